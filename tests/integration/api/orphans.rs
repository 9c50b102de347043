//! Allocations whose consumer has no row, as old releases of Placement left them.

use serde_json::{Value, json};

use crate::api::claims_model::assert_no_strays;
use crate::support::{Client, TestApp, allocations, claim, uuid};

on_each_database!(a_claim_takes_their_place);
on_each_database!(they_count_until_they_are_replaced);
on_each_database!(a_reshape_takes_their_place);
on_each_database!(a_consumer_that_ends_gives_them_back);
on_each_database!(what_a_full_provider_has_of_them_may_be_claimed_again);

/// Two providers with ten VCPUs each, and an orphan that holds two of the first.
struct Left {
    client: Client,
    old: String,
    new: String,
    consumer: String,
}

impl Left {
    fn make(app: &TestApp) -> Left {
        let client = app.client();
        let (old, new) =
            (client.new_stocked_provider(&[("VCPU", 10)]), client.new_stocked_provider(&[("VCPU", 10)]));
        // Another consumer, which has a row, holds some of the provider too.
        client.claim_one(&old).expect(204);
        let left = Left { client, old, new, consumer: uuid() };
        left.claim(&left.old, 2).expect(204);
        app.database.execute(&format!("DELETE FROM consumers WHERE uuid = '{}'", left.consumer));
        left
    }

    fn path(&self) -> String {
        format!("/allocations/{}", self.consumer)
    }

    fn claim(&self, provider: &str, amount: i64) -> crate::support::Answer {
        self.client.put(&self.path(), &claim(allocations(provider, "VCPU", amount), Value::Null))
    }

    /// Asserts how much of the old and of the new provider is in use, as the database and as a search say.
    #[track_caller]
    fn assert_used(&self, old: i64, new: i64) {
        for (provider, used) in [(&self.old, old), (&self.new, new)] {
            assert_eq!(self.client.usages(provider)["VCPU"], json!(used), "{provider}");
            let path = format!("/allocation_candidates?resources=VCPU:1&in_tree={provider}");
            let found = self.client.get(&path).ok();
            let shown = &found["provider_summaries"][provider]["resources"]["VCPU"]["used"];
            assert_eq!(*shown, json!(used), "{provider}");
        }
    }
}

fn they_count_until_they_are_replaced(app: TestApp) {
    let left = Left::make(&app);
    left.assert_used(3, 0);
    // Placement shows nothing either without the consumer's row.
    assert_eq!(left.client.get(&left.path()).ok(), json!({ "allocations": {} }));
    let shown = left.client.get(&format!("/resource_providers/{}/allocations", left.old)).ok();
    assert!(shown["allocations"][&left.consumer].is_null(), "{shown}");
    // A claim that is refused changes nothing.
    left.claim(&left.new, 11).expect(409);
    // The other consumer's unit and these ten do not fit, also without the orphan's two.
    left.claim(&left.old, 10).expect(409);
    left.claim(&uuid(), 1).expect(400);
    left.client.put(&left.path(), &claim(allocations(&left.new, "VCPU", 1), 1)).expect(409);
    left.assert_used(3, 0);
}

fn a_claim_takes_their_place(app: TestApp) {
    type Write = fn(&Left) -> crate::support::Answer;
    let writes: [Write; 4] = [
        |left| left.claim(&left.new, 3),
        |left| {
            let mut body = claim(allocations(&left.new, "VCPU", 3), Value::Null);
            for later in ["consumer_generation", "consumer_type"] {
                body.as_object_mut().unwrap().remove(later);
            }
            left.client.at("1.12").put(&left.path(), &body)
        },
        |left| {
            let mut body = claim(allocations(&left.new, "VCPU", 3), Value::Null);
            // The project is not known yet.
            body["project_id"] = uuid().into();
            left.client.put(&left.path(), &body)
        },
        |left| {
            let body = claim(allocations(&left.new, "VCPU", 3), Value::Null);
            left.client.post("/allocations", &json!({ &left.consumer: body }))
        },
    ];
    for write in writes {
        let left = Left::make(&app);
        write(&left).expect(204);
        left.assert_used(1, 3);
        let shown = left.client.get(&left.path()).ok();
        assert_eq!(shown["allocations"][&left.new]["resources"], json!({ "VCPU": 3 }), "{shown}");
        assert_eq!(shown["allocations"].as_object().unwrap().len(), 1, "{shown}");
        assert_eq!(shown["consumer_generation"], 1);
        // The consumer claims the same provider again.
        left.client.put(&left.path(), &claim(allocations(&left.old, "VCPU", 4), 1)).expect(204);
        left.assert_used(5, 0);
        assert_no_strays(&app);
    }
}

fn a_reshape_takes_their_place(app: TestApp) {
    let left = Left::make(&app);
    let generation = left.client.generation(&left.new);
    let body = json!({
        "inventories": { &left.new: {
            "resource_provider_generation": generation, "inventories": { "VCPU": { "total": 10 } },
        } },
        "allocations": { &left.consumer: claim(allocations(&left.new, "VCPU", 3), Value::Null) },
    });
    left.client.post("/reshaper", &body).expect(204);
    left.assert_used(1, 3);
    assert_no_strays(&app);
}

fn a_consumer_that_ends_gives_them_back(app: TestApp) {
    let left = Left::make(&app);
    left.client.delete(&left.path()).expect(204);
    left.assert_used(1, 0);
    left.client.delete(&left.path()).expect(404);
    let left = Left::make(&app);
    let generation = left.client.generation(&left.old);
    left.client.put(&left.path(), &claim(json!({}), Value::Null)).expect(204);
    left.assert_used(1, 0);
    assert_eq!(left.client.generation(&left.old), generation + 1);
    left.client.put(&left.path(), &claim(json!({}), Value::Null)).expect(204);
    assert_eq!(left.client.generation(&left.old), generation + 1);
    assert_no_strays(&app);
}

/// The rule is that of any other consumer: a provider over its capacity may stay as it is.
fn what_a_full_provider_has_of_them_may_be_claimed_again(app: TestApp) {
    let left = Left::make(&app);
    let path = format!("/resource_providers/{}/inventories/VCPU", left.old);
    let generation = left.client.generation(&left.old);
    left.client.put(&path, &json!({ "resource_provider_generation": generation, "total": 1 })).expect(200);
    left.claim(&left.old, 3).expect(409);
    left.claim(&left.old, 2).expect(204);
    assert_eq!(left.client.usages(&left.old)["VCPU"], json!(3));
}
