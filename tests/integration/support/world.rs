//! A small fleet with some of everything.

use serde_json::{Value, json};

use super::{Client, allocations, claim, uuid};

/// The class that clients have made.
pub const CLASS: &str = "CUSTOM_CLASS";
/// The trait that clients have made.
pub const TRAIT: &str = "CUSTOM_TRAIT";

/// Two providers, the first with a child, an aggregate and a trait, and a consumer of the first.
pub struct World {
    pub client: Client,
    /// It has VCPU, DISK_GB and the custom class.
    pub provider: String,
    /// A child of the first.
    pub child: String,
    /// Another root, with VCPU.
    pub other: String,
    /// It holds one VCPU of the first provider.
    pub consumer: String,
    /// A consumer that does not exist.
    pub nobody: String,
    pub aggregate: String,
}

impl World {
    pub fn make(client: Client) -> World {
        let (class, name) = (format!("/resource_classes/{CLASS}"), format!("/traits/{TRAIT}"));
        client.put(&class, &Value::Null).ok();
        client.put(&name, &Value::Null).ok();
        let provider = client.new_stocked_provider(&[("VCPU", 10), ("DISK_GB", 10), (CLASS, 10)]);
        let other = client.new_stocked_provider(&[("VCPU", 10)]);
        let (child, consumer) = (uuid(), uuid());
        let body = json!({ "name": child, "uuid": child, "parent_provider_uuid": provider });
        client.post("/resource_providers", &body).ok();
        let world = World { client, provider, child, other, consumer, nobody: uuid(), aggregate: uuid() };
        world.put("traits", "traits", json!([TRAIT]));
        world.put("aggregates", "aggregates", json!([world.aggregate]));
        let path = format!("/allocations/{}", world.consumer);
        world.client.put(&path, &claim(allocations(&world.provider, "VCPU", 1), Value::Null)).ok();
        world
    }

    fn put(&self, part: &str, key: &str, value: Value) {
        let path = format!("/resource_providers/{}/{part}", self.provider);
        let mut body = json!({ "resource_provider_generation": self.provider_generation() });
        body[key] = value;
        self.client.put(&path, &body).ok();
    }

    pub fn provider_generation(&self) -> i64 {
        self.client.generation(&self.provider)
    }

    pub fn consumer_generation(&self) -> i64 {
        let body = self.client.get(&format!("/allocations/{}", self.consumer)).ok();
        body["consumer_generation"].as_i64().unwrap()
    }

    /// All that can be seen of the database.
    pub fn seen(&self) -> Value {
        let mut seen = json!({});
        let lists = [
            "/resource_providers",
            "/resource_classes",
            "/usages?project_id=project",
            "/waitlist?status=all",
        ];
        for path in lists {
            seen[path] = self.client.get(path).ok();
        }
        for provider in [&self.provider, &self.child, &self.other] {
            for part in ["", "/inventories", "/traits", "/aggregates", "/allocations", "/usages"] {
                let path = format!("/resource_providers/{provider}{part}");
                seen[&path] = self.client.get(&path).ok();
            }
        }
        for consumer in [&self.consumer, &self.nobody] {
            let path = format!("/allocations/{consumer}");
            seen[&path] = self.client.get(&path).ok();
        }
        seen
    }
}
