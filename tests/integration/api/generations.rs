//! Generations: who states a stale one is told, and nothing is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Client, TestApp, World, allocations, claim, inventory, uuid};

on_each_database!(thirty_two_clients_set_a_trait_each);
on_each_database!(a_stale_generation_is_refused_and_changes_nothing);
on_each_database!(of_writers_with_one_generation_exactly_one_succeeds);
on_each_database!(a_second_inventory_of_a_class_is_a_concurrent_update);
on_each_database!(lists_of_aggregates_written_at_once_do_not_mix);

/// The loop that Placement's documentation gives for setting a trait.
fn thirty_two_clients_set_a_trait_each(app: TestApp) {
    let provider = app.client().new_provider();
    let names: Vec<String> = (0..32).map(|number| format!("CUSTOM_TRAIT_{number:02}")).collect();
    for name in &names {
        app.client().put(&format!("/traits/{name}"), &Value::Null).expect(201);
    }
    let before = app.client().generation(&provider);
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| set_trait(&app.client(), &provider, name));
        }
    });
    let body = app.client().get(&format!("/resource_providers/{provider}/traits")).ok();
    assert_eq!(body["traits"], json!(names));
    assert_eq!(body["resource_provider_generation"], json!(before + 32));
    assert_eq!(app.client().generation(&provider), before + 32);
}

fn set_trait(client: &Client, provider: &str, name: &str) {
    let path = format!("/resource_providers/{provider}/traits");
    loop {
        let mut body = client.get(&path).expect(200).json();
        body["traits"].as_array_mut().unwrap().push(name.into());
        let answer = client.put(&path, &body);
        if answer.status == 200 {
            return;
        }
        assert!(answer.is_concurrent_update(), "{answer}");
    }
}

/// The thing whose generation a request states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Provider,
    Consumer,
    /// A consumer that does not exist, whose generation is null.
    Nobody,
}

/// A request that states a generation: its name, whose, method, path and body for a generation.
struct Mutator {
    name: &'static str,
    whose: Whose,
    method: &'static str,
    path: fn(&World) -> String,
    body: fn(&World, Value) -> Value,
}

const MUTATORS: &[Mutator] = &[
    Mutator {
        name: "replace inventories",
        whose: Whose::Provider,
        method: "PUT",
        path: |s| format!("/resource_providers/{}/inventories", s.provider),
        body: |_, generation| {
            json!({
                "resource_provider_generation": generation,
                "inventories": { "VCPU": inventory(77), "MEMORY_MB": inventory(77) },
            })
        },
    },
    Mutator {
        name: "update an inventory",
        whose: Whose::Provider,
        method: "PUT",
        path: |s| format!("/resource_providers/{}/inventories/VCPU", s.provider),
        body: |_, generation| json!({ "resource_provider_generation": generation, "total": 77 }),
    },
    Mutator {
        name: "replace traits",
        whose: Whose::Provider,
        method: "PUT",
        path: |s| format!("/resource_providers/{}/traits", s.provider),
        body: |_, generation| json!({ "resource_provider_generation": generation, "traits": ["HW_CPU_X86_VMX"] }),
    },
    Mutator {
        name: "replace aggregates",
        whose: Whose::Provider,
        method: "PUT",
        path: |s| format!("/resource_providers/{}/aggregates", s.provider),
        body: |s, generation| json!({ "resource_provider_generation": generation, "aggregates": [s.nobody] }),
    },
    Mutator {
        name: "reshape inventories",
        whose: Whose::Provider,
        method: "POST",
        path: |_| "/reshaper".to_owned(),
        body: |s, generation| reshape(s, generation, s.consumer_generation().into()),
    },
    Mutator {
        name: "reshape allocations",
        whose: Whose::Consumer,
        method: "POST",
        path: |_| "/reshaper".to_owned(),
        body: |s, generation| reshape(s, s.provider_generation().into(), generation),
    },
    Mutator {
        name: "replace allocations",
        whose: Whose::Consumer,
        method: "PUT",
        path: |s| format!("/allocations/{}", s.consumer),
        body: |s, generation| claim(allocations(&s.other, "VCPU", 3), generation),
    },
    Mutator {
        name: "end a consumer",
        whose: Whose::Consumer,
        method: "PUT",
        path: |s| format!("/allocations/{}", s.consumer),
        body: |_, generation| claim(json!({}), generation),
    },
    Mutator {
        name: "replace allocations of several, one stale",
        whose: Whose::Consumer,
        method: "POST",
        path: |_| "/allocations".to_owned(),
        body: |s, generation| {
            json!({
                s.consumer.clone(): claim(allocations(&s.other, "VCPU", 3), generation),
                s.nobody.clone(): claim(allocations(&s.other, "VCPU", 1), Value::Null),
            })
        },
    },
    Mutator {
        name: "claim",
        whose: Whose::Nobody,
        method: "PUT",
        path: |s| format!("/allocations/{}", s.nobody),
        body: |s, generation| claim(allocations(&s.provider, "VCPU", 1), generation),
    },
    Mutator {
        name: "claim for several, one stale",
        whose: Whose::Nobody,
        method: "POST",
        path: |_| "/allocations".to_owned(),
        body: |s, generation| {
            json!({
                s.nobody.clone(): claim(allocations(&s.other, "VCPU", 3), generation),
                s.consumer.clone(): claim(allocations(&s.other, "VCPU", 1), s.consumer_generation()),
            })
        },
    },
];

/// Moves the consumer from VCPU to DISK_GB, and the inventory with it.
fn reshape(world: &World, provider_generation: Value, consumer_generation: Value) -> Value {
    json!({
        "inventories": {
            world.provider.clone(): {
                "resource_provider_generation": provider_generation,
                "inventories": { "DISK_GB": inventory(77) },
            },
        },
        "allocations": {
            world.consumer.clone(): claim(allocations(&world.provider, "DISK_GB", 1), consumer_generation),
        },
    })
}

impl Mutator {
    fn fresh(&self, world: &World) -> Value {
        match self.whose {
            Whose::Provider => world.provider_generation().into(),
            Whose::Consumer => world.consumer_generation().into(),
            Whose::Nobody => Value::Null,
        }
    }

    fn stale(&self, world: &World) -> Vec<Value> {
        let mut stale =
            vec![json!(-1), json!(2_147_483_648_i64), json!(i64::MIN), json!(u64::MAX), json!(1e30)];
        match self.fresh(world).as_i64() {
            Some(fresh) => stale.extend([json!(fresh - 1), json!(fresh + 1)]),
            None => stale.extend([json!(0), json!(1)]),
        }
        if self.whose == Whose::Consumer {
            stale.push(Value::Null);
        }
        stale
    }
}

fn a_stale_generation_is_refused_and_changes_nothing(app: TestApp) {
    for mutator in MUTATORS {
        let world = World::make(app.client());
        let path = (mutator.path)(&world);
        let before = world.seen();
        let rows = rows(&app);
        for generation in mutator.stale(&world) {
            let body = (mutator.body)(&world, generation.clone());
            let answer = world.client.send_json(mutator.method, &path, &body);
            assert!(answer.is_concurrent_update(), "{} at {generation}: {answer}", mutator.name);
        }
        assert_eq!(world.seen(), before, "{}", mutator.name);
        assert_eq!(self::rows(&app), rows, "{}", mutator.name);
        // The body itself was right.
        let body = (mutator.body)(&world, mutator.fresh(&world));
        world.client.send_json(mutator.method, &path, &body).ok();
        assert_ne!(world.seen(), before, "{}", mutator.name);
    }
}

/// How many rows there are of what the API does not show by itself.
fn rows(app: &TestApp) -> Vec<i64> {
    ["consumers", "projects", "users", "consumer_types", "placement_aggregates", "allocations"]
        .iter()
        .map(|table| app.database.count(&format!("SELECT COUNT(*) AS n FROM {table}")))
        .collect()
}

fn of_writers_with_one_generation_exactly_one_succeeds(app: TestApp) {
    for mutator in MUTATORS {
        let world = World::make(app.client());
        let (path, body) = ((mutator.path)(&world), (mutator.body)(&world, mutator.fresh(&world)));
        let succeeded = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let answer = app.client().send_json(mutator.method, &path, &body);
                    if (200..300).contains(&answer.status) {
                        succeeded.fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert!(answer.is_concurrent_update(), "{}: {answer}", mutator.name);
                    }
                });
            }
        });
        assert_eq!(succeeded.into_inner(), 1, "{}", mutator.name);
    }
}

/// A POST of one inventory may name a generation, which Placement never compared; of two that make
/// the same one, the second is told to read again.
fn a_second_inventory_of_a_class_is_a_concurrent_update(app: TestApp) {
    let client = app.client();
    let provider = client.new_provider();
    let path = format!("/resource_providers/{provider}/inventories");
    let succeeded = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..12 {
            let (app, path, succeeded) = (&app, &path, &succeeded);
            scope.spawn(move || {
                let body = json!({
                    "resource_provider_generation": number,
                    "resource_class": "VCPU",
                    "total": 1 + number,
                });
                let answer = app.client().post(path, &body);
                if answer.status == 201 {
                    succeeded.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert!(answer.is_concurrent_update(), "{answer}");
                }
            });
        }
    });
    assert_eq!(succeeded.into_inner(), 1);
    assert_eq!(client.generation(&provider), 1);
}

/// Before 1.19 aggregates come without a generation; of two lists written at once one is there in
/// the end, never a mixture of both.
fn lists_of_aggregates_written_at_once_do_not_mix(app: TestApp) {
    let client = app.client();
    let provider = client.new_provider();
    let path = format!("/resource_providers/{provider}/aggregates");
    let lists: Vec<Vec<String>> = (0..8).map(|_| sorted(vec![uuid(), uuid(), uuid()])).collect();
    for _ in 0..10 {
        thread::scope(|scope| {
            for list in &lists {
                let (app, path) = (&app, &path);
                scope.spawn(move || app.client().at("1.18").put(path, &json!(list)).expect(200));
            }
        });
        let body = client.get(&path).ok();
        let left = sorted(serde_json::from_value(body["aggregates"].clone()).unwrap());
        assert!(lists.contains(&left), "{left:?}");
        assert_eq!(body["resource_provider_generation"], 0);
    }
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}
