//! A load driver: fills a Placement service with hosts, or sends it one kind of work for a while.
//!
//!     cargo bench --bench load -- URL fill --hosts 1000 [--nested]
//!     cargo bench --bench load -- URL WORK --hosts 1000 --clients 8 --seconds 5 [--seed 1]
//!
//! It speaks to any server of the API, so that two can be compared (see compare.py), and prints a
//! line of JSON: operations, seconds, latencies in milliseconds, answers by status.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Custom trait of every tenth host.
const RARE: &str = "CUSTOM_RARE";
/// How many consumers hold something of each host from the start.
const CONSUMERS: usize = 5;
/// How many traits each host has.
const TRAITS: usize = 40;

#[derive(Parser)]
struct Cli {
    /// Where the service is, such as http://127.0.0.1:8778
    url: String,
    /// fill, or a kind of work (see `operation` in the source)
    work: String,
    /// How many hosts there are
    #[arg(long, default_value_t = 1000)]
    hosts: usize,
    /// Hosts are trees: a root with disk, two NUMA nodes, each with a network device
    #[arg(long)]
    nested: bool,
    /// How many clients work at once, each on a connection of its own
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// For how long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many operations a second all clients do together at most; as many as they can without it
    #[arg(long)]
    rate: Option<f64>,
    /// What random choices are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// cargo bench says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let cli = Cli::parse();
    let report = if cli.work == "fill" { fill(&cli)? } else { run(&cli)? };
    println!("{report}");
    Ok(())
}

/// One client with a connection that it keeps.
struct Client {
    agent: ureq::Agent,
    url: String,
    rng: StdRng,
    hosts: usize,
    statuses: BTreeMap<u16, usize>,
    bytes: usize,
}

impl Client {
    fn new(cli: &Cli, number: u64) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Client {
            agent: config.into(),
            url: cli.url.trim_end_matches('/').to_owned(),
            rng: StdRng::seed_from_u64(cli.seed.wrapping_mul(1_000_003).wrapping_add(number)),
            hosts: cli.hosts,
            statuses: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Sends a request; returns status and body.
    fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome<(u16, Vec<u8>)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("x-auth-token", "admin")
            .header("accept", "application/json")
            .header("openstack-api-version", "placement 1.39");
        let mut response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(serde_json::to_vec(body)?)?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        *self.statuses.entry(status).or_default() += 1;
        self.bytes += body.len();
        Ok((status, body))
    }

    /// Sends a request that has to succeed.
    fn must(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome<Vec<u8>> {
        let (status, answer) = self.send(method, path, body)?;
        if status >= 300 {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(answer)
    }

    fn some_host(&mut self) -> String {
        host(self.rng.random_range(0..self.hosts))
    }
}

/// A uuid for a thing of some kind, so that all runs name it alike.
fn uuid_of(kind: u128, number: usize, part: usize) -> String {
    let bits = (kind << 112) | 0x4000_8000_0000_0000_0000 | ((part as u128) << 32) | number as u128;
    Uuid::from_u128(bits).to_string()
}

fn host(number: usize) -> String {
    uuid_of(0xa110, number, 0)
}

/// A provider below a host.
fn part_of(number: usize, part: usize) -> String {
    uuid_of(0xa110, number, part + 1)
}

fn consumer(number: usize, which: usize) -> String {
    uuid_of(0xc0c0, number, which)
}

fn aggregate(kind: usize, number: usize) -> String {
    uuid_of(0xa660, number, kind)
}

/// Traits that hosts have: real ones, as a driver reports them.
fn standard_traits() -> Vec<&'static str> {
    allotment::standard::traits().filter(|name| name.starts_with("COMPUTE_")).take(TRAITS).collect()
}

fn fill(cli: &Cli) -> Outcome<Value> {
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    Client::new(cli, 0).must("PUT", &format!("/traits/{RARE}"), None)?;
    std::thread::scope(|scope| {
        let fillers: Vec<_> = (0..cli.clients.max(1))
            .map(|number| {
                let next = &next;
                scope.spawn(move || -> Outcome<()> {
                    let mut client = Client::new(cli, number as u64);
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= cli.hosts {
                            return Ok(());
                        }
                        if cli.nested {
                            fill_tree(&mut client, number)?
                        } else {
                            fill_host(&mut client, number)?
                        }
                    }
                })
            })
            .collect();
        fillers.into_iter().try_for_each(|filler| filler.join().map_err(|_| "a filler panicked")?)
    })?;
    Ok(json!({"work": "fill", "hosts": cli.hosts, "seconds": started.elapsed().as_secs_f64()}))
}

fn create(
    client: &mut Client,
    uuid: &str,
    name: &str,
    parent: Option<&str>,
    inventories: &Value,
) -> Outcome<()> {
    let body = json!({"uuid": uuid, "name": name, "parent_provider_uuid": parent});
    client.must("POST", "/resource_providers", Some(&body))?;
    let body = json!({"resource_provider_generation": 0, "inventories": inventories});
    client.must("PUT", &format!("/resource_providers/{uuid}/inventories"), Some(&body))?;
    Ok(())
}

fn set_traits(client: &mut Client, uuid: &str, traits: &[&str]) -> Outcome<()> {
    let body = json!({"resource_provider_generation": 1, "traits": traits});
    client.must("PUT", &format!("/resource_providers/{uuid}/traits"), Some(&body))?;
    Ok(())
}

fn set_aggregates(client: &mut Client, number: usize) -> Outcome<()> {
    let uuid = &host(number);
    let body = json!({
        "resource_provider_generation": 2,
        "aggregates": [aggregate(0, number % 3), aggregate(1, number / 40)],
    });
    client.must("PUT", &format!("/resource_providers/{uuid}/aggregates"), Some(&body))?;
    Ok(())
}

fn host_traits(number: usize) -> Vec<&'static str> {
    let mut traits = standard_traits();
    if number.is_multiple_of(10) {
        traits.push(RARE);
    }
    traits
}

fn fill_host(client: &mut Client, number: usize) -> Outcome<()> {
    let uuid = &host(number);
    let inventories = json!({
        "VCPU": {"total": 64, "allocation_ratio": 4.0},
        "MEMORY_MB": {"total": 262_144, "reserved": 512, "allocation_ratio": 1.5},
        "DISK_GB": {"total": 2_000},
    });
    create(client, uuid, &format!("host{number}"), None, &inventories)?;
    set_traits(client, uuid, &host_traits(number))?;
    set_aggregates(client, number)?;
    for which in 0..CONSUMERS {
        let resources = json!({"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 20});
        let allocations = json!({uuid: {"resources": resources}});
        let path = format!("/allocations/{}", consumer(number, which));
        client.must("PUT", &path, Some(&claim_body(&allocations)))?;
    }
    Ok(())
}

fn fill_tree(client: &mut Client, number: usize) -> Outcome<()> {
    let uuid = &host(number);
    create(client, uuid, &format!("host{number}"), None, &json!({"DISK_GB": {"total": 2_000}}))?;
    set_traits(client, uuid, &host_traits(number))?;
    set_aggregates(client, number)?;
    for node in 0..2 {
        let (numa, device) = (&part_of(number, node), &part_of(number, 2 + node));
        let inventories = json!({
            "VCPU": {"total": 32, "allocation_ratio": 4.0},
            "MEMORY_MB": {"total": 131_072, "allocation_ratio": 1.5},
        });
        create(client, numa, &format!("host{number}_numa{node}"), Some(uuid), &inventories)?;
        set_traits(client, numa, &["HW_NUMA_ROOT"])?;
        let name = format!("host{number}_numa{node}_pf");
        create(client, device, &name, Some(numa), &json!({"SRIOV_NET_VF": {"total": 8}}))?;
        set_traits(client, device, &["HW_NIC_SRIOV"])?;
    }
    for which in 0..CONSUMERS {
        let numa = part_of(number, which % 2);
        let allocations = json!({
            numa: {"resources": {"VCPU": 2, "MEMORY_MB": 4096}},
            uuid: {"resources": {"DISK_GB": 20}},
        });
        let path = format!("/allocations/{}", consumer(number, which));
        client.must("PUT", &path, Some(&claim_body(&allocations)))?;
    }
    Ok(())
}

fn claim_body(allocations: &Value) -> Value {
    json!({
        "allocations": allocations, "project_id": "bench", "user_id": "bench",
        "consumer_type": "INSTANCE", "consumer_generation": null,
    })
}

fn run(cli: &Cli) -> Outcome<Value> {
    let until = Instant::now() + Duration::from_secs_f64(cli.seconds);
    let started = Instant::now();
    let clients = cli.clients.max(1);
    let finished: Vec<(Vec<f64>, Client)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || -> Outcome<(Vec<f64>, Client)> {
                    let mut client = Client::new(cli, number as u64);
                    let mut times = Vec::new();
                    let mut next = started;
                    while Instant::now() < until {
                        let begun = Instant::now();
                        operation(&mut client, &cli.work)?;
                        times.push(begun.elapsed().as_secs_f64() * 1e3);
                        if let Some(rate) = cli.rate {
                            // One that is late does not hurry afterwards.
                            next = Instant::now().max(next + Duration::from_secs_f64(clients as f64 / rate));
                            std::thread::sleep(next - Instant::now());
                        }
                    }
                    Ok((times, client))
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().map_err(|_| "a client panicked")?)
            .collect::<Outcome<_>>()
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let mut times: Vec<f64> = finished.iter().flat_map(|(times, _)| times.iter().copied()).collect();
    times.sort_by(f64::total_cmp);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (status, count) in finished.iter().flat_map(|(_, client)| &client.statuses) {
        *statuses.entry(*status).or_default() += count;
    }
    let operations = times.len();
    let at = |part: f64| times.get(((operations as f64 * part) as usize).min(operations.saturating_sub(1)));
    Ok(json!({
        "work": cli.work, "clients": cli.clients, "operations": operations, "seconds": seconds,
        "per_second": operations as f64 / seconds, "p50_ms": at(0.5), "p99_ms": at(0.99),
        "statuses": statuses, "p999_ms": at(0.999), "max_ms": at(1.0),
        "bytes": finished.iter().map(|(_, client)| client.bytes).sum::<usize>() / operations.max(1),
    }))
}

/// Does a kind of work once.
fn operation(client: &mut Client, work: &str) -> Outcome<()> {
    match work {
        "provider" => read(client, ""),
        "inventories" | "traits" | "usages" | "allocations" | "aggregates" => {
            read(client, &format!("/{work}"))
        }
        "claim" => {
            let host = client.some_host();
            claim(client, &host, &json!({"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}))
        }
        "contended" => claim(client, &host(0), &json!({"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1})),
        "schedule" => schedule(client),
        "list" => {
            client.must("GET", "/resource_providers?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1", None).map(drop)
        }
        _ => match query(work) {
            Some(query) => client.must("GET", &format!("/allocation_candidates?{query}"), None).map(drop),
            None => Err(format!("there is no work {work:?}").into()),
        },
    }
}

/// The query string of a search.
fn query(work: &str) -> Option<String> {
    let flat = "resources=VCPU:1,MEMORY_MB:512,DISK_GB:1";
    let granular =
        "resources=DISK_GB:10&resources1=VCPU:1,MEMORY_MB:512&resources2=SRIOV_NET_VF:1&limit=1000";
    Some(match work {
        "candidates-1000" => format!("{flat}&limit=1000"),
        "candidates-10" => format!("{flat}&limit=10"),
        "candidates-all" => flat.to_owned(),
        // As nova asks: in a zone, with traits that hosts have and one that none has.
        "candidates-nova" => format!(
            "{flat}&member_of={}&required={},!COMPUTE_STATUS_DISABLED&limit=1000",
            aggregate(0, 1),
            standard_traits().into_iter().take(2).collect::<Vec<_>>().join(",")
        ),
        "candidates-rare" => format!("{flat}&required={RARE}&limit=1000"),
        "nested-granular" => format!("{granular}&group_policy=none"),
        "nested-isolate" => format!("{granular}&group_policy=isolate"),
        "nested-subtree" => format!("{granular}&group_policy=none&same_subtree=1,2"),
        _ => return None,
    })
}

fn read(client: &mut Client, part: &str) -> Outcome<()> {
    let host = client.some_host();
    client.must("GET", &format!("/resource_providers/{host}{part}"), None).map(drop)
}

/// Claims and gives back. A conflict is counted with the statuses and tried no further.
fn claim(client: &mut Client, host: &str, resources: &Value) -> Outcome<()> {
    let path = format!("/allocations/{}", Uuid::from_u128(client.rng.random()));
    let body = claim_body(&json!({host: {"resources": resources}}));
    let (status, _) = client.send("PUT", &path, Some(&body))?;
    if status < 300 {
        client.send("DELETE", &path, None)?;
    }
    Ok(())
}

/// What a scheduler that takes any candidate reads of them: to take apart the summaries too would keep
/// the machine from those who are measured.
#[derive(Deserialize)]
struct Candidates {
    allocation_requests: Vec<Value>,
}

/// Searches, claims one of the candidates, and gives it back.
fn schedule(client: &mut Client) -> Outcome<()> {
    let answer = client.must(
        "GET",
        "/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1&limit=1000",
        None,
    )?;
    let found = serde_json::from_slice::<Candidates>(&answer)?.allocation_requests;
    let chosen = &found.choose(&mut client.rng).ok_or("no candidates")?["allocations"];
    let path = format!("/allocations/{}", Uuid::from_u128(client.rng.random()));
    let (status, _) = client.send("PUT", &path, Some(&claim_body(chosen)))?;
    if status < 300 {
        client.send("DELETE", &path, None)?;
    }
    Ok(())
}
