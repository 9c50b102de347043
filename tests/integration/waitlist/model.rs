//! Random calls of many clients, compared with a naive model; and one queue that all of them want.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::support::{Backend, Client, rng, seed};
use crate::waitlist::clock;
use crate::waitlist::fences::fenced;
use crate::waitlist::queue::{LONG_WAIT, Queue, number, uuid};
use crate::waitlist::storms::how_many;

on_each_database!(queues_are_as_a_naive_model_has_them: Backend);
on_each_database!(a_queue_that_all_want_serves_in_order: Backend);

/// How many clients, each with queues of its own.
const STRANDS: usize = 4;
/// How often the clock jumps.
const PHASES: usize = 6;
/// How many calls each client makes in between.
const CALLS: usize = 40;
/// Leases and jumps are whole multiples of it, beside which the run of a test is nothing.
const STEP: i64 = 10_000;

/// A ticket as it should be.
#[derive(Clone, Debug)]
struct Ticket {
    uuid: String,
    status: &'static str,
    generation: i64,
    fence: Option<i64>,
    lease: Option<i64>,
    ends: Option<i64>,
}

/// A queue as it should be: all its tickets, in order.
struct Model {
    queue: Queue,
    generation: i64,
    tickets: Vec<Ticket>,
}

impl Ticket {
    fn is_live(&self) -> bool {
        self.status == "queued" || self.status == "active"
    }
}

impl Model {
    fn end(&mut self, index: usize, status: &'static str, now: i64) {
        let was_active = self.tickets[index].status == "active";
        self.tickets[index].status = status;
        self.tickets[index].generation += 1;
        self.generation += 1;
        if !was_active {
            return;
        }
        while let Some(next) = self.tickets.iter().position(|ticket| ticket.status == "queued") {
            let ticket = &mut self.tickets[next];
            ticket.generation += 1;
            if ticket.ends.is_some_and(|ends| ends <= now) {
                ticket.status = "expired";
                self.generation += 1;
                continue;
            }
            ticket.status = "active";
            ticket.fence = Some(self.generation);
            ticket.ends = ticket.lease.map(|lease| now + lease).or(ticket.ends);
            break;
        }
    }

    fn expire(&mut self, now: i64) {
        while let Some(overdue) =
            self.tickets.iter().position(|ticket| ticket.is_live() && ticket.ends.is_some_and(|at| at <= now))
        {
            self.end(overdue, "expired", now);
        }
    }

    fn join(&mut self, random: &mut StdRng, now: i64) {
        let is_free = !self.tickets.iter().any(Ticket::is_live);
        let length = random.random_range(1..4) * STEP;
        let leased = random.random_bool(0.6);
        let kept = leased && random.random_bool(0.3);
        let end = chrono::Utc::now() + chrono::TimeDelta::seconds(now + length);
        let mut body = if leased {
            json!({ "lease_seconds": length, "lease_while_queued": kept })
        } else {
            json!({ "expires_at": end.to_rfc3339() })
        };
        let stated = match (random.random_range(0..3), self.generation == 0) {
            (0, true) => Some(Value::Null),
            (0, false) => Some(self.generation.into()),
            (1, _) => Some((self.generation + 1).into()),
            _ => None,
        };
        let is_stale = stated.as_ref().is_some_and(|stated| *stated == json!(self.generation + 1));
        if let Some(stated) = stated {
            body["queue_generation"] = stated;
        }
        let answer = self.queue.try_join(&body);
        if is_stale {
            assert!(answer.is_concurrent_update(), "{answer}");
            return;
        }
        let joined = answer.expect(201).json();
        self.generation += 1;
        self.tickets.push(Ticket {
            uuid: uuid(&joined).to_owned(),
            status: if is_free { "active" } else { "queued" },
            generation: 1,
            fence: is_free.then_some(self.generation),
            lease: leased.then_some(length),
            ends: (is_free || !leased || kept).then_some(now + length),
        });
    }

    fn release(&mut self, index: usize, random: &mut StdRng, now: i64) {
        let ticket = self.tickets[index].clone();
        let given = ticket.generation + i64::from(random.random_bool(0.2));
        let path = format!("{}?generation={given}", self.queue.ticket_path(&ticket.uuid));
        let answer = self.queue.client.delete(&path);
        if ticket.is_live() && given != ticket.generation {
            assert!(answer.is_concurrent_update(), "{answer}");
            return;
        }
        answer.expect(204);
        if ticket.is_live() {
            self.end(index, "finished", now);
        }
    }

    fn renew(&mut self, index: usize, random: &mut StdRng, now: i64) {
        let ticket = &mut self.tickets[index];
        let given = ticket.generation + i64::from(random.random_bool(0.2));
        let lease = random.random_range(1..4) * STEP;
        let body = json!({ "generation": given, "lease_seconds": lease });
        let answer = self.queue.client.put(&self.queue.ticket_path(&ticket.uuid), &body);
        if !ticket.is_live() {
            assert_eq!(answer.code(), "waitlist.ended", "{answer}");
        } else if given != ticket.generation {
            assert!(answer.is_concurrent_update(), "{answer}");
        } else {
            answer.expect(200);
            ticket.generation += 1;
            // The lease of a queued ticket runs only if it did before.
            let runs = ticket.status == "active" || (ticket.lease.is_some() && ticket.ends.is_some());
            ticket.lease = Some(lease);
            ticket.ends = runs.then_some(now + lease);
        }
    }

    /// Removes a ticket, as only clients of CNAPI can.
    fn remove(&mut self, index: usize, now: i64) {
        let path = format!("/tickets/{}", self.tickets[index].uuid);
        self.queue.client.delete(&path).expect(204);
        if self.tickets[index].is_live() {
            self.end(index, "finished", now);
        }
        self.tickets.remove(index);
        self.queue.client.delete(&path).expect(404);
    }

    fn write(&self, index: usize) {
        let ticket = &self.tickets[index];
        let path = format!("/traits/CUSTOM_{}", crate::support::uuid().replace('-', "").to_uppercase());
        let answer = fenced(&self.queue.client, "PUT", &path, &Value::Null, &ticket.uuid);
        let is_active = ticket.status == "active";
        assert_eq!(answer.status, if is_active { 201 } else { 409 }, "{answer}");
        let written = self.queue.client.get(&path).status;
        assert_eq!(written, if is_active { 204 } else { 404 });
    }

    fn call(&mut self, random: &mut StdRng, now: i64) {
        if self.tickets.is_empty() || random.random_bool(0.4) {
            return self.join(random, now);
        }
        // Mostly one of those that came last.
        let first = self.tickets.len().saturating_sub(6);
        let index = random.random_range(first..self.tickets.len());
        match random.random_range(0..9) {
            0..4 => self.release(index, random, now),
            4..6 => self.renew(index, random, now),
            6 => self.remove(index, now),
            _ => self.write(index),
        }
    }

    /// Whether the service says the same; what is different, if not.
    fn difference(&self) -> Option<String> {
        let list = self.queue.list("all");
        if self.generation == 0 {
            return (list != json!({ "queues": [], "tickets": [] })).then(|| list.to_string());
        }
        let seen: Vec<_> = list["tickets"].as_array().unwrap().iter().map(told).collect();
        let expected: Vec<_> = self.tickets.iter().map(Ticket::told).collect();
        let queue = &list["queues"][0];
        let active = self.tickets.iter().find(|ticket| ticket.status == "active");
        let queued = self.tickets.iter().filter(|ticket| ticket.status == "queued").count();
        let same = seen == expected
            && queue["generation"] == json!(self.generation)
            && queue["active"] == json!(active.map(|ticket| &ticket.uuid))
            && queue["queued"] == json!(queued);
        (!same).then(|| format!("expected {} {expected:#?}, got {list:#}", self.generation))
    }

    /// Checks the queue after the overdue tickets have ended. If several tickets expire at once, they may end
    /// in any order. The fence of the active ticket then tells how many tickets ended before it.
    fn check(&mut self) {
        for _ in 0..3_000 {
            let list = self.queue.list("all");
            for (ticket, seen) in self.tickets.iter_mut().zip(list["tickets"].as_array().unwrap()) {
                let fence = seen["fence"].as_i64();
                if fence.is_some_and(|fence| ticket.fence.is_some() && fence <= self.generation) {
                    ticket.fence = fence;
                }
            }
            check_order(&list);
            if self.difference().is_none() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", self.difference().unwrap_or_default());
    }
}

type Told = (String, String, i64, Option<i64>, bool);

fn told(ticket: &Value) -> Told {
    let status = ticket["status"].as_str().unwrap().to_owned();
    let fence = ticket["fence"].as_i64();
    (uuid(ticket).to_owned(), status, number(ticket, "generation"), fence, ticket["expires_at"].is_string())
}

impl Ticket {
    fn told(&self) -> Told {
        let has_end = self.ends.is_some();
        (self.uuid.clone(), self.status.to_owned(), self.generation, self.fence, has_end)
    }
}

fn queues_are_as_a_naive_model_has_them(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let seed = seed();
    let rounds = how_many(STRANDS * PHASES * CALLS).div_ceil(STRANDS * PHASES * CALLS);
    let mut now = 0;
    for round in 0..rounds {
        let mut strands: Vec<(StdRng, Vec<Model>)> = (0..STRANDS)
            .map(|strand| {
                let first = Queue::new(&app.client());
                let second = Queue { id: "two".to_owned(), ..first.clone() };
                let queues = [first, second, Queue::new(&app.client())];
                let models = queues.map(|queue| Model { queue, generation: 0, tickets: Vec::new() });
                (rng(seed, (round * STRANDS + strand) as u64), models.into())
            })
            .collect();
        for _ in 0..PHASES {
            thread::scope(|scope| {
                for (random, models) in &mut strands {
                    scope.spawn(move || {
                        for _ in 0..CALLS {
                            let index = random.random_range(0..models.len());
                            models[index].call(random, now);
                            assert_eq!(models[index].difference(), None);
                        }
                    });
                }
            });
            now += STEP;
            clock.jump(now);
            for model in strands.iter_mut().flat_map(|(_, models)| models) {
                model.expire(now);
                model.check();
            }
        }
    }
}

/// One client takes tickets, waits for its turn and releases them, or gives up before.
fn take_turns(queue: &Queue, random: &mut StdRng, working: &AtomicBool) {
    for _ in 0..15 {
        let ticket = queue.join();
        if random.random_bool(0.2) {
            queue.release(&ticket);
            continue;
        }
        let mine = queue.wait(&ticket, LONG_WAIT);
        assert_eq!(mine["status"], "active", "{mine}");
        assert!(!working.swap(true, Ordering::SeqCst), "two work at once");
        let renewal = json!({ "generation": mine["generation"], "lease_seconds": 900 });
        queue.client.put(&queue.ticket_path(uuid(&mine)), &renewal).expect(200);
        assert!(working.swap(false, Ordering::SeqCst));
        queue.release(&mine);
    }
}

/// That a queue has a holder if it has tickets, and only one, and has served in order.
fn check_order(list: &Value) {
    let tickets = list["tickets"].as_array().unwrap();
    let of = |status: &str| tickets.iter().filter(|ticket| ticket["status"] == status).count();
    assert!(of("active") <= 1 && (of("queued") == 0 || of("active") == 1), "{list:#}");
    let fences: Vec<i64> = tickets.iter().filter_map(|ticket| ticket["fence"].as_i64()).collect();
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    if let Some(queue) = list["queues"].get(0) {
        assert_eq!(number(queue, "queued"), of("queued") as i64, "{list:#}");
    }
}

/// That each ticket that came, and each that ended, was one step of the queue's generation.
fn check_generation(list: &Value) {
    let tickets = list["tickets"].as_array().unwrap();
    let live = tickets.iter().filter(|t| t["status"] == "active" || t["status"] == "queued").count();
    let generation = list["queues"][0]["generation"].as_i64().unwrap_or_default();
    assert_eq!(generation, (2 * tickets.len() - live) as i64, "{list:#}");
}

fn a_queue_that_all_want_serves_in_order(backend: Backend) {
    let (app, _) = clock::start(backend, backend.replicas());
    let clients = app.clients();
    let queue = Queue::new(&clients[0]);
    let (seed, working, done) = (seed(), AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let strands: Vec<_> = (0..8)
            .map(|strand| {
                // All of one replica: others are told of changes a second late.
                let queue = queue.with(&Client::new(app.address()));
                let working = &working;
                scope.spawn(move || take_turns(&queue, &mut rng(seed, strand), working))
            })
            .collect();
        let watching = queue.with(&clients[clients.len() - 1]);
        let watcher = scope.spawn({
            let done = &done;
            move || {
                while !done.load(Ordering::SeqCst) {
                    let list = watching.list("all");
                    check_order(&list);
                    check_generation(&list);
                }
            }
        });
        let outcomes: Vec<_> = strands.into_iter().map(|strand| strand.join()).collect();
        done.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    let list = queue.list("all");
    check_order(&list);
    check_generation(&list);
    assert_eq!(list["tickets"].as_array().unwrap().len(), 8 * 15);
    assert_eq!(list["queues"][0]["active"], Value::Null);
}
