//! A good request for each body that a route takes, by the microversion that brought the body.

use serde_json::{Value, json};

use crate::support::{CLASS, TRAIT, World, uuid};

/// A route with a body, and how to make a request that it accepts.
pub struct Row {
    pub method: &'static str,
    /// The path as the route table has it.
    pub route: &'static str,
    pub version: &'static str,
    /// A path and a body that are good as things stand.
    pub good: fn(&World) -> (String, Value),
}

impl Row {
    /// Whether it is a route of a dialect of CNAPI.
    pub fn is_cnapi(&self) -> bool {
        self.route.starts_with("/servers/")
    }
}

const fn row(
    method: &'static str,
    route: &'static str,
    version: &'static str,
    good: fn(&World) -> (String, Value),
) -> Row {
    Row { method, route, version, good }
}

const PROVIDERS: &str = "/resource_providers";
const PROVIDER: &str = "/resource_providers/{uuid}";
const INVENTORIES: &str = "/resource_providers/{uuid}/inventories";
const INVENTORY: &str = "/resource_providers/{uuid}/inventories/{resource_class}";
const AGGREGATES: &str = "/resource_providers/{uuid}/aggregates";
const TRAITS: &str = "/resource_providers/{uuid}/traits";
const CLASSES: &str = "/resource_classes";
const RESOURCE_CLASS: &str = "/resource_classes/{name}";
const ALLOCATIONS: &str = "/allocations";
const CONSUMER: &str = "/allocations/{consumer_uuid}";
const RESHAPER: &str = "/reshaper";
const PROVIDER_WAITLIST: &str = "/resource_providers/{uuid}/waitlist";
const TICKET: &str = "/resource_providers/{uuid}/waitlist/{ticket}";
const WAITLIST: &str = "/waitlist";
const GROUP: &str = "/waitlist/{group}";
const SERVER_TICKETS: &str = "/servers/{server}/tickets";
const SERVER_WAITLIST: &str = "/servers/{server}/waitlist";

pub const ROWS: &[Row] = &[
    row("POST", CLASSES, "1.2", |_| (CLASSES.to_owned(), json!({ "name": new_class() }))),
    row("PUT", RESOURCE_CLASS, "1.2", |world| {
        let name = new_class();
        world.client.post(CLASSES, &json!({ "name": name })).ok();
        (format!("{CLASSES}/{name}"), json!({ "name": new_class() }))
    }),
    row("POST", PROVIDERS, "1.0", |_| (PROVIDERS.to_owned(), json!({ "name": new_name(), "uuid": uuid() }))),
    row("POST", PROVIDERS, "1.14", |world| {
        let body = json!({ "name": new_name(), "uuid": uuid(), "parent_provider_uuid": world.provider });
        (PROVIDERS.to_owned(), body)
    }),
    row("PUT", PROVIDER, "1.0", |world| (of_provider(world, ""), json!({ "name": new_name() }))),
    row("PUT", PROVIDER, "1.14", |world| {
        (of_provider(world, ""), json!({ "name": new_name(), "parent_provider_uuid": null }))
    }),
    row("PUT", PROVIDER, "1.37", |world| {
        let path = format!("{PROVIDERS}/{}", world.child);
        (path, json!({ "name": new_name(), "parent_provider_uuid": world.provider }))
    }),
    row("POST", INVENTORIES, "1.0", |world| {
        let mut body = inventory();
        body["resource_class"] = "VCPU".into();
        body["resource_provider_generation"] = 0.into();
        (format!("{PROVIDERS}/{}/inventories", world.client.new_provider()), body)
    }),
    row("PUT", INVENTORIES, "1.0", |world| {
        let body = json!({
            "resource_provider_generation": world.provider_generation(),
            "inventories": { "VCPU": inventory(), "DISK_GB": inventory() },
        });
        (of_provider(world, "/inventories"), body)
    }),
    row("PUT", INVENTORY, "1.0", |world| {
        let mut body = inventory();
        body["resource_provider_generation"] = world.provider_generation().into();
        (of_provider(world, "/inventories/VCPU"), body)
    }),
    row("PUT", AGGREGATES, "1.1", |world| (of_provider(world, "/aggregates"), json!([uuid(), uuid()]))),
    row("PUT", AGGREGATES, "1.19", |world| {
        let generation = world.provider_generation();
        let body = json!({ "resource_provider_generation": generation, "aggregates": [uuid(), uuid()] });
        (of_provider(world, "/aggregates"), body)
    }),
    row("PUT", TRAITS, "1.6", |world| {
        let generation = world.provider_generation();
        let body = json!({ "resource_provider_generation": generation, "traits": [TRAIT, "HW_CPU_X86_VMX"] });
        (of_provider(world, "/traits"), body)
    }),
    row("PUT", CONSUMER, "1.0", |world| (of_consumer(world), claim(world, 0))),
    row("PUT", CONSUMER, "1.8", |world| (of_consumer(world), claim(world, 8))),
    row("PUT", CONSUMER, "1.12", |world| (of_consumer(world), claim(world, 12))),
    row("PUT", CONSUMER, "1.28", |world| (of_consumer(world), claim(world, 28))),
    row("PUT", CONSUMER, "1.34", |world| (of_consumer(world), claim(world, 34))),
    row("PUT", CONSUMER, "1.38", |world| (of_consumer(world), claim(world, 38))),
    row("POST", ALLOCATIONS, "1.13", |world| (ALLOCATIONS.to_owned(), claims(world, 13))),
    row("POST", ALLOCATIONS, "1.28", |world| (ALLOCATIONS.to_owned(), claims(world, 28))),
    row("POST", ALLOCATIONS, "1.34", |world| (ALLOCATIONS.to_owned(), claims(world, 34))),
    row("POST", ALLOCATIONS, "1.38", |world| (ALLOCATIONS.to_owned(), claims(world, 38))),
    row("POST", RESHAPER, "1.30", |world| (RESHAPER.to_owned(), reshape(world, 30))),
    row("POST", RESHAPER, "1.34", |world| (RESHAPER.to_owned(), reshape(world, 34))),
    row("POST", RESHAPER, "1.38", |world| (RESHAPER.to_owned(), reshape(world, 38))),
    row("POST", PROVIDER_WAITLIST, "1.0", |world| {
        let mut body = ticket();
        body["lease_seconds"] = 600.into();
        body["queue_generation"] = Value::Null;
        (of_provider(world, "/waitlist"), body)
    }),
    row("PUT", TICKET, "1.0", |world| {
        let mut body = ticket();
        body["lease_seconds"] = 600.into();
        let path = of_provider(world, "/waitlist");
        let taken = world.client.post(&path, &body).ok();
        let renewal = json!({ "generation": 1, "expires_at": END, "extra": { "a": 1 } });
        (format!("{path}/{}", taken["uuid"].as_str().unwrap()), renewal)
    }),
    row("POST", WAITLIST, "1.0", |world| (WAITLIST.to_owned(), group(world))),
    row("PUT", GROUP, "1.0", |world| {
        let taken = world.client.post(WAITLIST, &group(world)).ok();
        let path = format!("{WAITLIST}/{}", taken["uuid"].as_str().unwrap());
        (path, json!({ "generation": 1, "lease_seconds": 600 }))
    }),
    row("POST", SERVER_TICKETS, "1.0", |world| {
        let mut body = ticket();
        body["expires_at"] = END.into();
        body["req_id"] = "workflow".into();
        (format!("/servers/{}/tickets", world.provider), body)
    }),
    row("POST", SERVER_WAITLIST, "1.0", |world| {
        let body = json!({ "scope": "vm", "uid": new_name(), "expires": END });
        (format!("/servers/{}/waitlist", world.provider), body)
    }),
];

const END: &str = "2999-01-01T00:00:00Z";

/// A ticket of a queue that nobody else is in.
fn ticket() -> Value {
    json!({ "scope": "vm", "id": new_name(), "action": "move", "extra": { "a": 1 } })
}

fn group(world: &World) -> Value {
    let mut member = ticket();
    member["resource_provider_uuid"] = world.provider.as_str().into();
    json!({ "tickets": [member], "action": "move", "extra": null, "expires_at": END })
}

fn of_provider(world: &World, part: &str) -> String {
    format!("{PROVIDERS}/{}{part}", world.provider)
}

fn of_consumer(world: &World) -> String {
    format!("{ALLOCATIONS}/{}", world.consumer)
}

fn new_class() -> String {
    format!("{CLASS}_{}", uuid().replace('-', "").to_uppercase())
}

fn new_name() -> String {
    format!("host {}", uuid())
}

fn inventory() -> Value {
    json!({
        "total": 16, "reserved": 1, "min_unit": 1, "max_unit": 16, "step_size": 1, "allocation_ratio": 1.5,
    })
}

/// Returns the allocations of a claim, in the form of a body of this minor version.
fn claim(world: &World, minor: u32) -> Value {
    let resources = json!({ "VCPU": 1, "DISK_GB": 1 });
    if minor < 12 {
        let item = json!({ "resource_provider": { "uuid": world.provider }, "resources": resources });
        let mut body = json!({ "allocations": [item] });
        if minor >= 8 {
            body["project_id"] = "project".into();
            body["user_id"] = "user".into();
        }
        return body;
    }
    let allocations = json!({ &world.provider: { "resources": resources } });
    let mut body = json!({ "allocations": allocations, "project_id": "project", "user_id": "user" });
    if minor >= 28 {
        body["consumer_generation"] = world.consumer_generation().into();
    }
    if minor >= 34 {
        body["mappings"] = json!({ "_GROUP": [world.provider] });
    }
    if minor >= 38 {
        body["consumer_type"] = "INSTANCE".into();
    }
    body
}

fn claims(world: &World, minor: u32) -> Value {
    json!({ &world.consumer: claim(world, minor) })
}

fn reshape(world: &World, minor: u32) -> Value {
    json!({
        "inventories": {
            &world.provider: {
                "resource_provider_generation": world.provider_generation(),
                "inventories": { "VCPU": inventory(), "DISK_GB": inventory() },
            },
        },
        "allocations": claims(world, minor),
    })
}
