//! What the waitlist costs: turns handed on, many who wait, many who hang up, and a storm that is checked.
//!
//!     cargo bench --all-features --bench waitlist -- hand-off [--waiters 50] [--cycles 1000]
//!     cargo bench --all-features --bench waitlist -- waiting [--waiters 10000] [--queues 100] [--cycles 1000]
//!     cargo bench --all-features --bench waitlist -- hang-ups [--count 100000]
//!     cargo bench --all-features --bench waitlist -- storm [--clients 64] [--cycles 10000] [--kills 0.01]
//!
//! It starts a server on a new SQLite file, or one with `--config FILE`, or asks those of
//! `--url URL` (repeated for replicas; with `--pid PID` it sees the memory of the first). It prints a
//! line of JSON. Two files are open for each waiter: the limit is raised as far as `ulimit -Hn` allows.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use futures_util::future::{join_all, try_join_all};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Client, Method};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many requests are under way at once where many are to be done.
const AT_ONCE: usize = 64;
/// Longer than any run.
const LONG: u32 = 3_600;
/// From how many addresses connections come: each address has some 28,000 ports, and a port that was
/// closed is not used again for a minute.
const SOURCES: u8 = 16;

#[derive(Parser)]
struct Cli {
    work: Work,
    /// Where the service is, if it is not to be started; can be repeated for replicas
    #[arg(long)]
    url: Vec<String>,
    /// The service's process, to see what memory it takes
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// The settings of the service to start
    #[arg(long, conflicts_with = "url")]
    config: Option<PathBuf>,
    /// How many wait
    #[arg(long)]
    waiters: Option<usize>,
    /// In how many queues they do
    #[arg(long, default_value_t = 100)]
    queues: usize,
    /// How often a turn is handed on
    #[arg(long)]
    cycles: Option<usize>,
    /// How many clients make the storm
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many clients in one die with their ticket, waiting or active
    #[arg(long, default_value_t = 0.01)]
    kills: f64,
    /// How many hang up
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// What random choices are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// cargo bench says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    /// How long it takes from a release until the next one knows
    HandOff,
    /// What many who wait cost, and a hand-off beside them
    Waiting,
    /// What is left of those who hang up while they wait
    HangUps,
    /// Clients that come, renew, release and die on one queue: all of its history is checked
    Storm,
}

fn main() -> Outcome<()> {
    let cli = Cli::parse();
    raise_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(run(&cli))?);
    Ok(())
}

async fn run(cli: &Cli) -> Outcome<Value> {
    let service = Service::new(cli)?;
    match cli.work {
        Work::HandOff => hand_off(service, cli).await,
        Work::Waiting => waiting(service, cli).await,
        Work::HangUps => hang_ups(service, cli).await,
        Work::Storm => storm(service, cli).await,
    }
}

/// Opens as many files as one may; the server that is started may, too.
fn raise_limit() -> Outcome<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
}

/// The service that is measured; if it was started here, it ends when this is dropped.
struct Service {
    urls: Vec<String>,
    pid: Option<u32>,
    clients: Vec<Client>,
    own: Option<(Child, tempfile::TempDir)>,
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            // There is nothing in it that anybody wants.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Service {
    fn new(cli: &Cli) -> Outcome<Service> {
        let client = |source: u8| {
            // From the loopback network one can come from any of its addresses.
            let source = (cli.url.is_empty() && cfg!(target_os = "linux"))
                .then(|| IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + source)));
            Client::builder()
                .no_proxy()
                .local_address(source)
                .tls_backend_preconfigured(tls()?)
                .build()
                .map_err(Box::<dyn Error + Send + Sync>::from)
        };
        let clients = (0..SOURCES).map(client).collect::<Outcome<_>>()?;
        let mut service = Service { urls: cli.url.clone(), pid: cli.pid, clients, own: None };
        if service.urls.is_empty() {
            service.start(cli)?;
        }
        Ok(service)
    }

    fn start(&mut self, cli: &Cli) -> Outcome<()> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_allotment"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).env("ALLOTMENT_LOG", "allotment::server=info");
        match &cli.config {
            Some(file) => command.arg("--config").arg(file),
            None => command.args(["--database", "sqlite:waitlist.db"]).current_dir(directory.path()),
        };
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let log = BufReader::new(child.stderr.take().ok_or("there is no log")?);
        self.pid = Some(child.id());
        self.own = Some((child, directory));
        let mut lines = log.lines();
        let listens = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, url)| url.trim().to_owned()));
        self.urls.push(listens.ok_or("the service did not start")?);
        // What nobody reads would stop it in the end.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(())
    }

    /// The status and the body of the answer; which of the servers and of the sources, `via` says.
    async fn send(
        &self,
        via: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Outcome<(u16, Value)> {
        let url = format!("{}{path}", self.urls[via % self.urls.len()].trim_end_matches('/'));
        let mut request = self.clients[via % self.clients.len()]
            .request(method, url)
            .header("x-auth-token", "admin")
            .header("openstack-api-version", "placement 1.39");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        Ok((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? }))
    }

    /// The body of an answer that has to be a success.
    async fn must(&self, via: usize, method: Method, path: &str, body: Option<&Value>) -> Outcome<Value> {
        let (status, answer) = self.send(via, method.clone(), path, body).await?;
        if status < 300 { Ok(answer) } else { Err(format!("{method} {path}: {status} {answer}").into()) }
    }

    /// A queue of a new provider.
    async fn queue(&self) -> Outcome<Queue> {
        let provider = Uuid::new_v4().to_string();
        let body = json!({ "name": provider, "uuid": provider });
        self.must(0, Method::POST, "/resource_providers", Some(&body)).await?;
        Ok(Queue { path: format!("/resource_providers/{provider}/waitlist"), id: "bench".to_owned() })
    }

    /// The resident memory in bytes and the open files; none where they can't be seen.
    fn size(&self) -> Option<(u64, usize)> {
        let pid = self.pid?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = resident.split_whitespace().next()?.parse().ok()?;
        Some((kib << 10, std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()))
    }

    /// The processor time that it has taken, in ticks.
    fn ticks(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid?)).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    }

    /// Waits until it has nothing to do: a second of hardly any work.
    async fn settle(&self) {
        let Some(mut before) = self.ticks() else {
            return tokio::time::sleep(Duration::from_secs(10)).await;
        };
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.ticks().unwrap_or(before);
            if now - before <= 2 {
                return;
            }
            before = now;
        }
    }
}

fn tls() -> Outcome<rustls::ClientConfig> {
    Ok(allotment::tls_roots::client_config(None)?)
}

/// A queue.
#[derive(Clone)]
struct Queue {
    path: String,
    id: String,
}

impl Queue {
    async fn join(&self, service: &Service, via: usize, lease: u32) -> Outcome<Value> {
        let body = json!({ "scope": "vm", "id": self.id, "lease_seconds": lease });
        service.must(via, Method::POST, &self.path, Some(&body)).await
    }

    fn ticket(&self, ticket: &Value) -> String {
        format!("{}/{}", self.path, ticket["uuid"].as_str().unwrap_or_default())
    }

    async fn wait(&self, service: &Service, via: usize, ticket: &Value) -> Outcome<Value> {
        let path = format!("{}?wait=true&timeout={LONG}", self.ticket(ticket));
        service.must(via, Method::GET, &path, None).await
    }

    async fn release(&self, service: &Service, via: usize, ticket: &Value) -> Outcome<()> {
        service.must(via, Method::DELETE, &self.ticket(ticket), None).await.map(drop)
    }
}

/// One who waits: its ticket, and the answer with when it came.
struct Waiting {
    ticket: Value,
    answer: JoinHandle<Outcome<(Value, Instant)>>,
}

async fn join_and_wait(service: &Arc<Service>, queue: &Queue, via: usize) -> Outcome<Waiting> {
    let ticket = queue.join(service, via, LONG).await?;
    let (service, queue, own) = (Arc::clone(service), queue.clone(), ticket.clone());
    let answer = tokio::spawn(async move {
        let answer = queue.wait(&service, via, &own).await?;
        Ok((answer, Instant::now()))
    });
    Ok(Waiting { ticket, answer })
}

/// Latencies in milliseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    /// Adds how long it was from one moment to another; what was earlier took no time.
    fn add(&mut self, from: Instant, to: Instant) {
        self.0.push(to.saturating_duration_since(from).as_secs_f64() * 1e3);
    }

    fn report(mut self) -> Value {
        self.0.sort_by(f64::total_cmp);
        let last = self.0.len().saturating_sub(1);
        let at = |part: f64| self.0.get(((self.0.len() as f64 * part) as usize).min(last));
        json!({ "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0) })
    }
}

/// Hands turns on along a line that stays as long as it is.
async fn hand_on(service: &Arc<Service>, waiters: usize, cycles: usize) -> Outcome<Value> {
    let queue = service.queue().await?;
    let mut active = queue.join(service, 0, LONG).await?;
    let mut line = std::collections::VecDeque::new();
    for via in 0..waiters {
        line.push_back(join_and_wait(service, &queue, via).await?);
    }
    service.settle().await;
    let (mut since_release, mut since_answer) = (Times::default(), Times::default());
    for cycle in 0..cycles {
        let asked = Instant::now();
        queue.release(service, cycle, &active).await?;
        let released = Instant::now();
        let next = line.pop_front().ok_or("nobody waits")?;
        let (ticket, came) = next.answer.await??;
        if ticket["status"] != "active" || ticket["uuid"] != next.ticket["uuid"] {
            return Err(format!("not the next one: {ticket}").into());
        }
        since_release.add(asked, came);
        since_answer.add(released, came);
        active = ticket;
        line.push_back(join_and_wait(service, &queue, cycle + waiters).await?);
        // Its question is to be there before the next turn comes.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    line.iter().for_each(|waiting| waiting.answer.abort());
    Ok(json!({
        "waiters": waiters, "cycles": cycles,
        "from_answer_of_release": since_answer.report(), "from_release": since_release.report(),
    }))
}

async fn hand_off(service: Service, cli: &Cli) -> Outcome<Value> {
    let service = Arc::new(service);
    let report = hand_on(&service, cli.waiters.unwrap_or(50).max(1), cli.cycles.unwrap_or(1_000)).await?;
    Ok(json!({ "work": "hand-off", "replicas": service.urls.len(), "result": report }))
}

/// Does something for each number, many at once.
async fn for_each<F>(count: usize, work: impl Fn(usize) -> F) -> Outcome<()>
where
    F: Future<Output = Outcome<()>>,
{
    let next = AtomicUsize::new(0);
    let worker = || async {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number).await?;
        }
    };
    try_join_all((0..AT_ONCE).map(|_| worker())).await.map(drop)
}

async fn waiting(service: Service, cli: &Cli) -> Outcome<Value> {
    let (waiters, cycles) = (cli.waiters.unwrap_or(10_000), cli.cycles.unwrap_or(1_000));
    let service = Arc::new(service);
    // Once round, so that what the first requests take is not counted.
    let alone = hand_on(&service, 1, cycles).await?;
    let owner = service.queue().await?;
    let queues: Vec<Queue> =
        (0..cli.queues.max(1)).map(|number| Queue { id: number.to_string(), ..owner.clone() }).collect();
    try_join_all(queues.iter().map(|queue| queue.join(&service, 0, LONG))).await?;
    let before = service.size();
    let waiting = std::sync::Mutex::new(Vec::with_capacity(waiters));
    for_each(waiters, |number| {
        let (service, queue, waiting) = (&service, &queues[number % queues.len()], &waiting);
        async move {
            let one = join_and_wait(service, queue, number).await?;
            waiting.lock().map_err(|_| "a client panicked")?.push(one);
            Ok(())
        }
    })
    .await?;
    service.settle().await;
    let while_they_wait = service.size();
    let beside = hand_on(&service, 1, cycles).await?;
    let waiting = waiting.into_inner().map_err(|_| "a client panicked")?;
    if let Some(early) = waiting.iter().find(|waiting| waiting.answer.is_finished()) {
        return Err(format!("{} did not wait", early.ticket).into());
    }
    waiting.iter().for_each(|waiting| waiting.answer.abort());
    join_all(waiting.into_iter().map(|waiting| waiting.answer)).await;
    service.settle().await;
    Ok(json!({
        "work": "waiting", "waiters": waiters, "queues": queues.len(),
        "before": size(before), "waiting": size(while_they_wait), "after": size(service.size()),
        "hand_off_alone": alone, "hand_off_beside": beside,
    }))
}

fn size(size: Option<(u64, usize)>) -> Value {
    size.map_or(
        Value::Null,
        |(bytes, files)| json!({ "mib": bytes as f64 / f64::from(1 << 20), "files": files }),
    )
}

async fn hang_ups(service: Service, cli: &Cli) -> Outcome<Value> {
    let service = Arc::new(service);
    let queue = service.queue().await?;
    let active = queue.join(&service, 0, LONG).await?;
    let ticket = queue.join(&service, 0, LONG).await?;
    let mut rounds = Vec::new();
    // What grows with each round leaks; what the first one leaves is what the allocator keeps.
    const ROUNDS: usize = 4;
    let before = service.size();
    for _ in 0..ROUNDS {
        for_each(cli.count / ROUNDS, |number| {
            let (service, queue, ticket) = (&service, &queue, &ticket);
            async move {
                // The clients wait so long that their requests are under way; dropping a request closes its
                // connection.
                let patience = Duration::from_millis(20 + number as u64 % 200);
                match tokio::time::timeout(patience, queue.wait(service, number, ticket)).await {
                    Ok(answer) => Err(format!("an answer before the turn: {:?}", answer).into()),
                    Err(_) => Ok(()),
                }
            }
        })
        .await?;
        service.settle().await;
        rounds.push(size(service.size()));
    }
    queue.release(&service, 0, &active).await?;
    let turn = queue.wait(&service, 0, &ticket).await?;
    if turn["status"] != "active" {
        return Err(format!("the turn did not come: {turn}").into());
    }
    Ok(
        json!({ "work": "hang-ups", "count": cli.count, "before": size(before), "after_each_quarter": rounds }),
    )
}

/// The lease of the storm's tickets: so long others wait for one who dies.
const STORM_LEASE: u32 = 1;

/// What the clients of a storm did, by kind.
type Deeds = BTreeMap<&'static str, usize>;

async fn storm(service: Service, cli: &Cli) -> Outcome<Value> {
    let cycles = cli.cycles.unwrap_or(10_000);
    let queue = service.queue().await?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let clients = (0..cli.clients.max(1)).map(|number| {
        let (service, queue, next) = (&service, &queue, &next);
        async move {
            let seed = cli.seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
            let (mut rng, mut deeds) = (StdRng::seed_from_u64(seed), Deeds::new());
            while next.fetch_add(1, Ordering::Relaxed) < cycles {
                let deed = cycle(service, queue, &mut rng, cli.kills).await?;
                *deeds.entry(deed).or_default() += 1;
            }
            Outcome::Ok(deeds)
        }
    });
    let mut deeds = Deeds::new();
    for (deed, count) in try_join_all(clients).await?.into_iter().flatten() {
        *deeds.entry(deed).or_default() += count;
    }
    let seconds = started.elapsed().as_secs_f64();
    // Those whose holders died expire one after the other.
    let last = queue.join(&service, 0, LONG).await?;
    let last = queue.wait(&service, 0, &last).await?;
    queue.release(&service, 0, &last).await?;
    let history = check_history(&service, &queue, cycles + 1).await?;
    Ok(json!({
        "work": "storm", "replicas": service.urls.len(), "clients": cli.clients, "cycles": cycles,
        "seed": cli.seed, "seconds": seconds, "per_second": cycles as f64 / seconds,
        "deeds": deeds, "checked": history,
    }))
}

/// One client's way through the queue, to the end or until it dies; says what became of it.
async fn cycle(service: &Service, queue: &Queue, rng: &mut StdRng, kills: f64) -> Outcome<&'static str> {
    let via = rng.random_range(0..usize::from(SOURCES) * service.urls.len());
    let ticket = queue.join(service, via, STORM_LEASE).await?;
    let dies_waiting = rng.random_bool(kills / 2.0);
    if rng.random_bool(0.1) || dies_waiting {
        let patience = Duration::from_millis(rng.random_range(0..20));
        // Dropping the question closes its connection.
        let _ = tokio::time::timeout(patience, queue.wait(service, via, &ticket)).await;
        if dies_waiting {
            return Ok("died waiting");
        }
    }
    if rng.random_bool(0.05) {
        queue.release(service, via, &ticket).await?;
        return Ok("gave up");
    }
    let mut ticket = queue.wait(service, via, &ticket).await?;
    if rng.random_bool(kills / 2.0) {
        return Ok("died active");
    }
    if rng.random_bool(0.2) && ticket["status"] == "active" {
        let body = json!({ "generation": ticket["generation"], "lease_seconds": STORM_LEASE });
        let (status, answer) = service.send(via, Method::PUT, &queue.ticket(&ticket), Some(&body)).await?;
        match status {
            200 => ticket = answer,
            // It was so slow that its lease is over.
            409 => return Ok("expired before its renewal"),
            _ => return Err(format!("renewal: {status} {answer}").into()),
        }
    }
    queue.release(service, via, &ticket).await?;
    Ok(if ticket["status"] == "active" { "released" } else { "expired before its release" })
}

async fn generation(service: &Service, queue: &Queue) -> Outcome<Option<i64>> {
    let path = format!("{}?scope=vm&id={}", queue.path, queue.id);
    let list = service.must(0, Method::GET, &path, None).await?;
    Ok(list["queues"][0]["generation"].as_i64())
}

/// Reads the history of a queue in which nobody is left, and checks all of it.
async fn check_history(service: &Service, queue: &Queue, expected: usize) -> Outcome<Value> {
    let mut tickets: Vec<Value> = Vec::new();
    loop {
        let marker = tickets.last().map_or_else(String::new, |last| {
            format!("&marker={}", last["uuid"].as_str().unwrap_or_default())
        });
        let page = service.must(0, Method::GET, &format!("{}?status=all{marker}", queue.path), None).await?;
        match page["tickets"].as_array() {
            Some(page) if !page.is_empty() => tickets.extend(page.iter().cloned()),
            _ => break,
        }
    }
    let number = |ticket: &Value, key: &str| ticket[key].as_i64();
    tickets.sort_by_key(|ticket| number(ticket, "position"));
    let wrong = |what: &str, ticket: &Value| Err(format!("{what}: {ticket}").into());
    if tickets.len() != expected {
        return Err(format!("{} tickets of {expected}", tickets.len()).into());
    }
    let generation = generation(service, queue).await?;
    // Each came and ended in one step: nothing else moves a queue, and nothing does so twice.
    if generation != Some(2 * expected as i64) {
        return Err(format!("{expected} tickets moved the queue to generation {generation:?}").into());
    }
    let (mut position, mut fence, mut free_since, mut active) = (0, 0, String::new(), 0);
    for ticket in &tickets {
        let text = |key: &str| ticket[key].as_str().unwrap_or_default().to_owned();
        match number(ticket, "position") {
            Some(own) if own > position => position = own,
            _ => return wrong("two at one position", ticket),
        }
        if !matches!(text("status").as_str(), "finished" | "expired") {
            return wrong("not ended", ticket);
        }
        let Some(own) = number(ticket, "fence") else { continue };
        active += 1;
        // In the order of positions, fences grow: that is first come, first served.
        if own <= fence {
            return wrong("not in its turn", ticket);
        }
        // It became active no sooner than the one before it ended: that is one at a time.
        if text("activated_at") < free_since {
            return wrong("active beside another", ticket);
        }
        (fence, free_since) = (own, text("updated_at"));
    }
    let expired = tickets.iter().filter(|ticket| ticket["status"] == "expired").count();
    Ok(
        json!({ "tickets": tickets.len(), "were_active": active, "expired": expired, "generation": generation }),
    )
}
