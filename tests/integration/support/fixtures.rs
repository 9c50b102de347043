//! Things that many tests make first, and the bodies for them.

use serde_json::{Value, json};

use super::{Answer, Client};

/// A new uuid.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// An inventory with a total and otherwise defaults.
pub fn inventory(total: i32) -> Value {
    json!({ "total": total })
}

/// Allocations of one class from one provider.
pub fn allocations(provider: &str, class: &str, amount: i64) -> Value {
    json!({ provider: { "resources": { class: amount } } })
}

/// The body of a claim, by a consumer that is new if `generation` is null.
pub fn claim(allocations: Value, generation: impl Into<Value>) -> Value {
    json!({
        "allocations": allocations,
        "project_id": "project",
        "user_id": "user",
        "consumer_generation": generation.into(),
        "consumer_type": "INSTANCE",
    })
}

impl Client {
    /// Makes a provider and returns its uuid.
    pub fn new_provider(&self) -> String {
        let uuid = uuid();
        self.post("/resource_providers", &json!({ "name": uuid, "uuid": uuid })).ok();
        uuid
    }

    /// Makes a provider with these inventories, totals by class, and returns its uuid.
    pub fn new_stocked_provider(&self, totals: &[(&str, i32)]) -> String {
        let uuid = self.new_provider();
        let inventories: Value =
            totals.iter().map(|(class, total)| ((*class).to_owned(), inventory(*total))).collect();
        let body = json!({ "resource_provider_generation": 0, "inventories": inventories });
        self.put(&format!("/resource_providers/{uuid}/inventories"), &body).ok();
        uuid
    }

    /// Claims one VCPU of a provider for a new consumer.
    pub fn claim_one(&self, provider: &str) -> Answer {
        self.put(&format!("/allocations/{}", uuid()), &claim(allocations(provider, "VCPU", 1), Value::Null))
    }

    /// A provider's generation.
    pub fn generation(&self, provider: &str) -> i64 {
        self.get(&format!("/resource_providers/{provider}")).ok()["generation"].as_i64().unwrap()
    }

    /// Returns the amounts in use of a provider, by class.
    pub fn usages(&self, provider: &str) -> Value {
        self.get(&format!("/resource_providers/{provider}/usages")).ok()["usages"].clone()
    }
}
