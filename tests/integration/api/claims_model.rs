//! Random claims, moves and ends of consumers, compared with a naive model of what is held.

use std::collections::BTreeMap;
use std::thread;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, claim, rng, seed, uuid};

on_each_database!(one_client_is_answered_as_the_model_says);
on_each_database!(many_clients_leave_what_they_were_told);

const CLASSES: [&str; 2] = ["VCPU", "MEMORY_MB"];

/// The allocations of a consumer: amounts by provider and class.
type Holding = BTreeMap<(String, &'static str), i64>;

/// The inventory of a provider for one class.
#[derive(Clone, Copy, Debug)]
struct Stock {
    total: i64,
    reserved: i64,
    min_unit: i64,
    max_unit: i64,
    step_size: i64,
    ratio: f64,
}

impl Stock {
    fn random(rng: &mut StdRng) -> Stock {
        Stock {
            total: rng.random_range(5..60),
            reserved: rng.random_range(0..5),
            min_unit: rng.random_range(1..4),
            max_unit: rng.random_range(6..30),
            step_size: rng.random_range(1..3),
            ratio: [0.5, 1.0, 1.5, 16.0][rng.random_range(0..4)],
        }
    }

    fn body(&self) -> Value {
        json!({
            "total": self.total, "reserved": self.reserved, "min_unit": self.min_unit,
            "max_unit": self.max_unit, "step_size": self.step_size, "allocation_ratio": self.ratio,
        })
    }

    fn capacity(&self) -> f64 {
        (self.total - self.reserved) as f64 * self.ratio
    }
}

/// Everything, as a list would have it: what each provider has, what each consumer holds.
#[derive(Default)]
struct Model {
    stocks: BTreeMap<(String, &'static str), Stock>,
    /// Generation and holding of those that exist.
    consumers: BTreeMap<String, (i64, Holding)>,
}

impl Model {
    fn used(&self, key: &(String, &'static str)) -> i64 {
        self.consumers.values().filter_map(|(_, holding)| holding.get(key)).sum()
    }

    /// Whether these consumers may hold this instead of what they hold.
    fn permits(&self, writes: &[(String, Holding)]) -> bool {
        let mut after = Model { stocks: self.stocks.clone(), consumers: self.consumers.clone() };
        after.write(writes);
        let written = writes.iter().flat_map(|(_, holding)| holding);
        written.into_iter().all(|(key, amount)| {
            let Some(stock) = self.stocks.get(key) else {
                return false;
            };
            let (before, used) = (self.used(key), after.used(key));
            let fits = used as f64 <= stock.capacity() || used <= before;
            fits && (stock.min_unit..=stock.max_unit).contains(amount) && amount % stock.step_size == 0
        })
    }

    fn write(&mut self, writes: &[(String, Holding)]) {
        for (consumer, holding) in writes {
            if holding.is_empty() {
                self.consumers.remove(consumer);
            } else {
                let generation = self.generation(consumer).unwrap_or(0) + 1;
                self.consumers.insert(consumer.clone(), (generation, holding.clone()));
            }
        }
    }

    fn generation(&self, consumer: &str) -> Option<i64> {
        self.consumers.get(consumer).map(|(generation, _)| *generation)
    }

    /// Compares with what the service says of every provider and consumer.
    fn assert_shown(&self, client: &Client) {
        for (consumer, (generation, holding)) in &self.consumers {
            let shown = client.get(&format!("/allocations/{consumer}")).ok();
            assert_eq!(shown["consumer_generation"], json!(generation), "{consumer}");
            assert_eq!(holding_of(&shown), *holding, "{consumer}");
        }
        for key in self.stocks.keys() {
            assert_eq!(client.usages(&key.0)[key.1], json!(self.used(key)), "{key:?}");
        }
    }
}

/// The holding that `GET /allocations/{consumer}` shows.
fn holding_of(shown: &Value) -> Holding {
    let mut holding = Holding::new();
    for (provider, allocation) in shown["allocations"].as_object().unwrap() {
        for class in CLASSES {
            if let Some(amount) = allocation["resources"][class].as_i64() {
                holding.insert((provider.clone(), class), amount);
            }
        }
    }
    holding
}

/// The body of a claim for a holding.
fn body(holding: &Holding, generation: Option<i64>) -> Value {
    let mut allocations = json!({});
    for ((provider, class), amount) in holding {
        allocations[provider]["resources"][class] = json!(amount);
    }
    claim(allocations, json!(generation))
}

/// Providers with random stocks, in the service and in a model.
fn stocked(client: &Client, rng: &mut StdRng) -> Model {
    let mut model = Model::default();
    for _ in 0..4 {
        let provider = client.new_provider();
        for class in CLASSES {
            let stock = Stock::random(rng);
            model.stocks.insert((provider.clone(), class), stock);
            set_stock(client, &provider, class, &stock);
        }
    }
    model
}

fn set_stock(client: &Client, provider: &str, class: &str, stock: &Stock) {
    let path = format!("/resource_providers/{provider}/inventories");
    let mut body = stock.body();
    if client.usages(provider).get(class).is_none() {
        body["resource_class"] = class.into();
        client.post(&path, &body).ok();
        return;
    }
    // The documented loop.
    loop {
        body["resource_provider_generation"] = client.generation(provider).into();
        let answer = client.put(&format!("{path}/{class}"), &body);
        if answer.status == 200 {
            return;
        }
        assert!(answer.is_concurrent_update(), "{answer}");
    }
}

fn random_holding(rng: &mut StdRng, model: &Model) -> Holding {
    let mut holding = Holding::new();
    if rng.random_ratio(1, 8) {
        return holding;
    }
    for key in model.stocks.keys() {
        if rng.random_ratio(1, 4) {
            holding.insert(key.clone(), rng.random_range(1..12));
        }
    }
    holding
}

/// Sends what some consumers are to hold: one by PUT or, to end it, by DELETE, several by POST.
fn send(client: &Client, rng: &mut StdRng, model: &Model, writes: &[(String, Holding)]) -> Answer {
    if let [(consumer, holding)] = writes {
        let path = format!("/allocations/{consumer}");
        let known = model.generation(consumer);
        if holding.is_empty() && known.is_some() && rng.random() {
            return client.delete(&path);
        }
        return client.put(&path, &body(holding, known));
    }
    let bodies: Value = writes
        .iter()
        .map(|(consumer, holding)| (consumer.clone(), body(holding, model.generation(consumer))))
        .collect();
    client.post("/allocations", &bodies)
}

fn random_writes(rng: &mut StdRng, model: &Model, consumers: &[String]) -> Vec<(String, Holding)> {
    let count = [1, 1, 1, 2, 3][rng.random_range(0..5)];
    let chosen: Vec<&String> = consumers.choose_multiple(rng, count).collect();
    chosen.into_iter().map(|consumer| (consumer.clone(), random_holding(rng, model))).collect()
}

fn one_client_is_answered_as_the_model_says(app: TestApp) {
    let mut rng = rng(seed(), 0);
    let client = app.client();
    let mut model = stocked(&client, &mut rng);
    let consumers: Vec<String> = (0..8).map(|_| uuid()).collect();
    let mut outcomes = [0, 0];
    for _ in 0..150 {
        if rng.random_ratio(1, 10) {
            // Also below what is in use, after which only less may be claimed.
            let keys: Vec<_> = model.stocks.keys().cloned().collect();
            let key = keys.choose(&mut rng).unwrap().clone();
            let stock = Stock::random(&mut rng);
            set_stock(&client, &key.0, key.1, &stock);
            model.stocks.insert(key, stock);
        }
        let writes = random_writes(&mut rng, &model, &consumers);
        let answer = send(&client, &mut rng, &model, &writes);
        let permitted = model.permits(&writes);
        outcomes[usize::from(permitted)] += 1;
        if permitted {
            assert_eq!(answer.status, 204, "{writes:?} {answer}");
            model.write(&writes);
        } else {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (409, "undefined_code"),
                "{writes:?} {answer}"
            );
        }
    }
    assert!(outcomes.iter().all(|&count| count > 10), "too one-sided to tell anything: {outcomes:?}");
    model.assert_shown(&client);
    assert_no_strays(&app);
}

fn many_clients_leave_what_they_were_told(app: TestApp) {
    let seed = seed();
    let client = app.client();
    let stocks = stocked(&client, &mut rng(seed, 0)).stocks;
    let shared: Vec<String> = (0..3).map(|_| uuid()).collect();
    let told: Vec<Model> = thread::scope(|scope| {
        let started: Vec<_> = (1..=8)
            .map(|strand| {
                let model = Model { stocks: stocks.clone(), ..Model::default() };
                let (app, shared) = (&app, &shared);
                scope.spawn(move || work(&app.client(), rng(seed, strand), model, shared))
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut model = Model { stocks, ..Model::default() };
    model.consumers.extend(told.into_iter().flat_map(|told| told.consumers));
    for consumer in shared {
        // The test can't know which write was last. So the model takes over the allocations that the service
        // shows.
        let shown = client.get(&format!("/allocations/{consumer}")).ok();
        if let Some(generation) = shown["consumer_generation"].as_i64() {
            model.consumers.insert(consumer, (generation, holding_of(&shown)));
        }
    }
    model.assert_shown(&client);
    for (key, stock) in &model.stocks {
        assert!(model.used(key) as f64 <= stock.capacity(), "{key:?} {stock:?}: {}", model.used(key));
    }
    assert_no_strays(&app);
}

/// One of many clients: writes to consumers of its own, to shared ones without generations, and
/// takes providers' rows by writes that change nothing. Returns what it was told about its own.
fn work(client: &Client, mut rng: StdRng, mut model: Model, shared: &[String]) -> Model {
    let own: Vec<String> = (0..4).map(|_| uuid()).collect();
    for _ in 0..30 {
        match rng.random_range(0..10) {
            0 => {
                let keys: Vec<_> = model.stocks.keys().cloned().collect();
                let key = keys.choose(&mut rng).unwrap();
                set_stock(client, &key.0, key.1, &model.stocks[key]);
            }
            1 | 2 => {
                let consumer = shared.choose(&mut rng).unwrap();
                write_without_generation(client, consumer, &random_holding(&mut rng, &model));
            }
            _ => {
                let writes = random_writes(&mut rng, &model, &own);
                let answer = send(client, &mut rng, &model, &writes);
                if answer.status == 204 {
                    model.write(&writes);
                } else {
                    assert_refused(&answer);
                }
            }
        }
    }
    model
}

fn write_without_generation(client: &Client, consumer: &str, holding: &Holding) {
    let (client, path) = (client.at("1.27"), format!("/allocations/{consumer}"));
    if holding.is_empty() {
        let status = client.delete(&path).status;
        assert!([204, 404].contains(&status), "{status}");
        return;
    }
    let mut body = body(holding, None);
    for key in ["consumer_generation", "consumer_type"] {
        body.as_object_mut().unwrap().remove(key);
    }
    let answer = client.put(&path, &body);
    if answer.status != 204 {
        assert_refused(&answer);
    }
}

/// The only refusals there may be: for want of room, or against the constraints.
#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (409, "undefined_code"), "{answer}");
}

/// No allocation without its consumer, no consumer without allocations.
pub fn assert_no_strays(app: &TestApp) {
    for sql in [
        "SELECT COUNT(*) AS n FROM allocations WHERE consumer_id NOT IN (SELECT uuid FROM consumers)",
        "SELECT COUNT(*) AS n FROM consumers WHERE uuid NOT IN (SELECT consumer_id FROM allocations)",
    ] {
        assert_eq!(app.database.count(sql), 0, "{sql}");
    }
}
