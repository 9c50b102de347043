//! Claims that PostgreSQL writes with one statement, against those who change the same meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::api::claims_model::assert_no_strays;
use crate::support::{Client, TestApp, allocations, claim, uuid};

on_each_database!(claims_never_take_what_an_inventory_no_longer_has);
on_each_database!(a_consumer_that_ends_while_it_moves_leaves_nothing_behind);
on_each_database!(new_consumers_of_one_uuid_become_one);

/// While it is filled, an inventory shrinks to what is in use just then, again and again.
fn claims_never_take_what_an_inventory_no_longer_has(app: TestApp) {
    let provider = app.client().new_stocked_provider(&[("VCPU", 5)]);
    let done = AtomicBool::new(false);
    let shrunk = thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let client = app.client();
                while !done.load(Ordering::Relaxed) {
                    let status = client.claim_one(&provider).status;
                    assert!([204, 409].contains(&status), "{status}");
                }
            });
        }
        let client = app.client();
        let shrunk = (0..40).filter(|_| shrink_and_grow(&client, &provider)).count();
        done.store(true, Ordering::Relaxed);
        shrunk
    });
    assert!(shrunk > 2, "{shrunk} of 40 shrank");
}

/// Sets the total to what is in use, which must then stay so, and more afterwards; `false` if a claim
/// came in between.
fn shrink_and_grow(client: &Client, provider: &str) -> bool {
    let seen = client.get(&format!("/resource_providers/{provider}/usages")).ok();
    let used = seen["usages"]["VCPU"].as_i64().unwrap().max(1);
    if !set_total(client, provider, &seen["resource_provider_generation"], used) {
        return false;
    }
    for _ in 0..5 {
        let now = client.usages(provider)["VCPU"].as_i64().unwrap();
        assert!(now <= used, "{now} of {used} are in use");
    }
    while !set_total(client, provider, &client.generation(provider).into(), used + 3) {}
    true
}

fn set_total(client: &Client, provider: &str, generation: &Value, total: i64) -> bool {
    let body = json!({ "resource_provider_generation": generation, "total": total });
    let answer = client.put(&format!("/resource_providers/{provider}/inventories/VCPU"), &body);
    assert!([200, 409].contains(&answer.status), "{answer}");
    answer.status == 200
}

fn a_consumer_that_ends_while_it_moves_leaves_nothing_behind(app: TestApp) {
    let providers: Vec<String> =
        (0..2).map(|_| app.client().new_stocked_provider(&[("VCPU", 100)])).collect();
    let path = format!("/allocations/{}", uuid());
    thread::scope(|scope| {
        for number in 0..8 {
            let (app, providers, path) = (&app, &providers, &path);
            scope.spawn(move || {
                let client = app.client().at("1.27");
                for round in 0..25 {
                    if number % 2 == 0 {
                        let status = client.delete(path).status;
                        assert!([204, 404].contains(&status), "{status}");
                    } else {
                        client.put(path, &holding(&providers[..1 + round % 2], number)).expect(204);
                    }
                }
            });
        }
    });
    assert_no_strays(&app);
    let client = app.client();
    // The first claim is on several providers, so it is not written with one statement. The second claim is
    // on one provider.
    for providers in [&providers[..], &providers[..1]] {
        client.at("1.27").put(&path, &holding(providers, 7)).expect(204);
        client.delete(&path).expect(204);
        client.delete(&path).expect(404);
    }
    for provider in &providers {
        assert_eq!(client.usages(provider), json!({ "VCPU": 0 }));
    }
    assert_no_strays(&app);
}

/// A claim of so much of each provider, as it was written before there were consumer generations.
fn holding(providers: &[String], amount: usize) -> Value {
    let resources = json!({ "resources": { "VCPU": amount } });
    let allocations: Value = providers.iter().map(|provider| (provider.clone(), resources.clone())).collect();
    json!({ "allocations": allocations, "project_id": "project", "user_id": "user" })
}

/// If several clients create the same consumer at once, one client succeeds, and the other clients get a
/// conflict.
fn new_consumers_of_one_uuid_become_one(app: TestApp) {
    let providers: Vec<String> =
        (0..4).map(|_| app.client().new_stocked_provider(&[("VCPU", 100)])).collect();
    for _ in 0..10 {
        let path = format!("/allocations/{}", uuid());
        let made = thread::scope(|scope| {
            let claiming: Vec<_> = (0..8)
                .map(|number| {
                    let (app, path, provider) = (&app, &path, &providers[number % 4]);
                    scope.spawn(move || {
                        let wanted = claim(allocations(provider, "VCPU", 1), Value::Null);
                        let answer = app.client().put(path, &wanted);
                        if answer.status != 204 {
                            let told = (answer.status, answer.code());
                            assert_eq!(told, (409, "concurrent_update".to_owned()), "{answer}");
                        }
                        answer.status == 204
                    })
                })
                .collect();
            let made = claiming.into_iter().map(|thread| thread.join().unwrap());
            made.filter(|made| *made).count()
        });
        assert_eq!(made, 1);
    }
    let client = app.client();
    let used: i64 = providers.iter().map(|provider| client.usages(provider)["VCPU"].as_i64().unwrap()).sum();
    assert_eq!(used, 10);
    assert_no_strays(&app);
}

/// Another writer changes a row while the statement waits for this row.
#[cfg(feature = "postgres")]
mod meanwhile {
    use std::time::{Duration, Instant};

    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::support::{Answer, Backend};

    /// The statements that wait for a row.
    const WAITING: &str = "FROM pg_stat_activity WHERE datname = current_database() \
                           AND wait_event_type = 'Lock' AND query LIKE 'WITH seen%'";

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "in vain for a minute: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A service that knows the owner of claims, so that the next is written with one statement.
    fn started() -> TestApp {
        let app = TestApp::start(Backend::Postgres);
        let provider = app.client().new_stocked_provider(&[("VCPU", 1)]);
        app.client().claim_one(&provider).expect(204);
        app
    }

    /// Returns the answer to `request`, which begins after `sql` and continues when `sql` is committed.
    fn answered_after(app: &TestApp, sql: &str, request: impl Fn(&Client) -> Answer + Sync) -> Answer {
        let mut other = app.database.connect();
        other.batch_execute(&format!("BEGIN; {sql}")).unwrap();
        thread::scope(|scope| {
            let answering = scope.spawn(|| request(&app.client()));
            until("the statement waits", || {
                app.database.count(&format!("SELECT COUNT(*) AS n {WAITING}")) == 1
            });
            other.batch_execute("COMMIT").unwrap();
            answering.join().unwrap()
        })
    }

    #[test]
    fn a_claim_fits_what_the_other_leaves() {
        let app = started();
        let client = app.client();
        let provider = client.new_stocked_provider(&[("VCPU", 5)]);
        let shrink = format!(
            "UPDATE resource_providers SET generation = generation + 1 WHERE uuid = '{provider}'; \
             UPDATE inventories SET total = 1, reserved = 1 WHERE total = 5"
        );
        let answer = answered_after(&app, &shrink, |client| client.claim_one(&provider));
        assert_eq!(answer.status, 409, "{answer}");
        assert!(answer.detail().contains("would exceed the capacity"), "{answer}");
        assert_eq!(client.usages(&provider), json!({ "VCPU": 0 }));
        assert_no_strays(&app);
    }

    #[test]
    fn a_claim_goes_on_where_nothing_has_changed() {
        let app = started();
        let provider = app.client().new_stocked_provider(&[("VCPU", 5)]);
        let touch = format!("UPDATE resource_providers SET name = 'renamed' WHERE uuid = '{provider}'");
        answered_after(&app, &touch, |client| client.claim_one(&provider)).expect(204);
        assert_eq!(app.client().usages(&provider), json!({ "VCPU": 1 }));
    }

    /// Claims on one provider are written one after the other. While such claims wait, they hold no
    /// connection that claims on other providers need.
    #[test]
    fn many_on_one_provider_wait_on_one_connection() {
        const MANY: usize = 40;
        let app = started();
        let [provider, elsewhere] = [0, 1].map(|_| app.client().new_stocked_provider(&[("VCPU", 50)]));
        let mut other = app.database.connect();
        let touch = format!("UPDATE resource_providers SET name = 'renamed' WHERE uuid = '{provider}'");
        other.batch_execute(&format!("BEGIN; {touch}")).unwrap();
        thread::scope(|scope| {
            let claiming: Vec<_> =
                (0..MANY).map(|_| scope.spawn(|| app.client().claim_one(&provider).expect(204))).collect();
            let waiting = || app.database.count(&format!("SELECT COUNT(*) AS n {WAITING}"));
            until("a claim waits", || waiting() > 0);
            for _ in 0..10 {
                app.client().claim_one(&elsewhere).expect(204);
                assert_eq!(waiting(), 1);
            }
            assert!(claiming.iter().all(|claiming| !claiming.is_finished()));
            other.batch_execute("COMMIT").unwrap();
        });
        assert_eq!(app.client().usages(&provider), json!({ "VCPU": MANY }));
        assert_eq!(app.client().usages(&elsewhere), json!({ "VCPU": 10 }));
        // One step each, and one for the inventory.
        assert_eq!(app.client().generation(&provider), i64::try_from(MANY).unwrap() + 1);
        assert_no_strays(&app);
    }

    #[test]
    fn the_end_of_a_consumer_takes_along_what_the_other_gave_it() {
        let app = started();
        let client = app.client();
        let providers = [0, 1].map(|_| client.new_stocked_provider(&[("VCPU", 5)]));
        let path = format!("/allocations/{}", uuid());
        client.put(&path, &claim(allocations(&providers[0], "VCPU", 1), Value::Null)).expect(204);
        let consumer = path.trim_start_matches("/allocations/");
        let moved = format!(
            "UPDATE consumers SET generation = generation + 1 WHERE uuid = '{consumer}'; \
             INSERT INTO allocations (consumer_id, resource_provider_id, resource_class_id, used) \
             SELECT '{consumer}', id, 0, 2 FROM resource_providers WHERE uuid = '{}'; \
             DELETE FROM allocations WHERE consumer_id = '{consumer}' AND used = 1",
            providers[1]
        );
        answered_after(&app, &moved, |client| client.delete(&path)).expect(204);
        assert_no_strays(&app);
        for provider in &providers {
            assert_eq!(client.usages(provider), json!({ "VCPU": 0 }));
        }
    }

    /// Whether a search finds a provider that has so much.
    fn is_found(client: &Client, amount: i64) -> bool {
        let found = client.get(&format!("/allocation_candidates?resources=DISK_GB:{amount}")).ok();
        found["allocation_requests"].as_array().is_some_and(|requests| !requests.is_empty())
    }

    /// Nobody tells what a statement has written whose connection is lost: so all is read again, also
    /// what somebody else changed behind the service.
    #[test]
    fn after_a_lost_connection_everything_is_read_again() {
        let app = started();
        let client = app.client();
        let provider = client.new_stocked_provider(&[("VCPU", 5), ("DISK_GB", 10)]);
        let mut other = app.database.connect();
        other.batch_execute("BEGIN; UPDATE resource_providers SET updated_at = now()").unwrap();
        thread::scope(|scope| {
            let claiming = scope.spawn(|| app.client().claim_one(&provider));
            let ended = format!("SELECT COUNT(pg_terminate_backend(pid)) AS n {WAITING}");
            app.database
                .connect()
                .batch_execute("UPDATE inventories SET total = 6 WHERE total = 10")
                .unwrap();
            until("the claim waits", || app.database.count(&ended) == 1);
            assert_eq!(claiming.join().unwrap().status, 503);
        });
        other.batch_execute("ROLLBACK").unwrap();
        until("the picture is made anew", || !is_found(&client, 10));
        assert!(is_found(&client, 6));
        client.claim_one(&provider).expect(204);
        assert_eq!(client.usages(&provider), json!({ "VCPU": 1, "DISK_GB": 0 }));
    }
}
