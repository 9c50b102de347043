//! `/reshaper`: inventories and allocations that move together.

use serde_json::{Value, json};

use crate::support::{Client, TestApp, allocations, claim, inventory, uuid};

on_each_database!(resources_move_to_a_child);
on_each_database!(a_stale_generation_moves_nothing);
on_each_database!(what_is_in_use_must_move_along);
on_each_database!(unknown_names_are_told);
on_each_database!(bad_bodies_are_refused);
on_each_database!(claims_must_fit_the_new_inventories);
on_each_database!(it_comes_with_1_30);

/// A provider with VCPUs, a child of it, and a consumer that holds two of them.
struct Tree {
    client: Client,
    top: String,
    low: String,
    consumer: String,
}

impl Tree {
    fn make(app: &TestApp) -> Tree {
        let client = app.client();
        let top = client.new_stocked_provider(&[("VCPU", 8), ("DISK_GB", 50)]);
        let (low, consumer) = (uuid(), uuid());
        let body = json!({ "name": low, "uuid": low, "parent_provider_uuid": top });
        client.post("/resource_providers", &body).ok();
        let held = claim(allocations(&top, "VCPU", 2), Value::Null);
        client.put(&format!("/allocations/{consumer}"), &held).expect(204);
        Tree { client, top, low, consumer }
    }

    /// The body that moves all VCPUs to the child.
    fn moves(&self) -> Value {
        json!({
            "inventories": {
                &self.top: new(2, json!({ "DISK_GB": inventory(50) })),
                &self.low: new(0, json!({ "VCPU": inventory(8) })),
            },
            "allocations": { &self.consumer: claim(allocations(&self.low, "VCPU", 2), 1) },
        })
    }

    /// The classes of the two providers, with what is in use.
    fn usages(&self) -> (Value, Value) {
        (self.client.usages(&self.top), self.client.usages(&self.low))
    }

    #[track_caller]
    fn assert_unmoved(&self) {
        assert_eq!(self.usages(), (json!({ "VCPU": 2, "DISK_GB": 0 }), json!({})));
        assert_eq!((self.client.generation(&self.top), self.client.generation(&self.low)), (2, 0));
    }
}

fn new(generation: i64, inventories: Value) -> Value {
    json!({ "resource_provider_generation": generation, "inventories": inventories })
}

fn resources_move_to_a_child(app: TestApp) {
    let tree = Tree::make(&app);
    let moved = tree.client.post("/reshaper", &tree.moves()).expect(204);
    assert!(moved.body.is_empty(), "{moved}");
    assert_eq!(tree.usages(), (json!({ "DISK_GB": 0 }), json!({ "VCPU": 2 })));
    let held = tree.client.get(&format!("/allocations/{}", tree.consumer)).ok();
    assert_eq!(held["consumer_generation"], 2);
    assert_eq!(held["allocations"][&tree.low]["resources"], json!({ "VCPU": 2 }));
    // The same again was made for generations that are no longer there.
    assert!(tree.client.post("/reshaper", &tree.moves()).is_concurrent_update());
}

fn a_stale_generation_moves_nothing(app: TestApp) {
    let tree = Tree::make(&app);
    for (provider, generation) in [(&tree.top, 1), (&tree.low, 1)] {
        let mut body = tree.moves();
        body["inventories"][provider]["resource_provider_generation"] = generation.into();
        let refused = tree.client.post("/reshaper", &body);
        assert!(refused.is_concurrent_update(), "{refused}");
        assert!(refused.detail().contains("resource provider generation conflict"), "{refused}");
    }
    for generation in [Value::Null, json!(2)] {
        let mut body = tree.moves();
        body["allocations"][&tree.consumer]["consumer_generation"] = generation;
        let refused = tree.client.post("/reshaper", &body);
        assert!(refused.is_concurrent_update(), "{refused}");
        assert!(refused.detail().contains("consumer generation conflict"), "{refused}");
    }
    tree.assert_unmoved();
}

fn what_is_in_use_must_move_along(app: TestApp) {
    let tree = Tree::make(&app);
    let mut body = tree.moves();
    body["allocations"] = json!({});
    let refused = tree.client.post("/reshaper", &body).expect(409);
    assert_eq!(refused.code(), "inventory.inuse");
    assert!(refused.detail().contains("Inventory for 'VCPU' on resource provider"), "{refused}");
    tree.assert_unmoved();
}

fn unknown_names_are_told(app: TestApp) {
    let tree = Tree::make(&app);
    let missing = uuid();
    let mut body = tree.moves();
    body["inventories"][&missing] = new(0, json!({}));
    let refused = tree.client.post("/reshaper", &body).expect(400);
    assert_eq!(refused.code(), "resource_provider.not_found");
    assert!(
        refused.detail().contains(&format!("Resource provider {missing} in inventories not found")),
        "{refused}"
    );
    let mut body = tree.moves();
    body["inventories"][&tree.low]["inventories"]["CUSTOM_NONE"] = inventory(1);
    let refused = tree.client.post("/reshaper", &body).expect(400);
    assert!(refused.detail().contains("No such resource class CUSTOM_NONE."), "{refused}");
    let mut body = tree.moves();
    body["allocations"][&tree.consumer]["allocations"] = allocations(&missing, "VCPU", 2);
    tree.client.post("/reshaper", &body).expect(400);
    tree.assert_unmoved();
}

fn bad_bodies_are_refused(app: TestApp) {
    let tree = Tree::make(&app);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = tree.moves();
        change(&mut body);
        body
    };
    for body in [
        json!({}),
        changed(&|body| body["more"] = json!({})),
        changed(&|body| drop(body.as_object_mut().unwrap().remove("allocations"))),
        changed(&|body| drop(body.as_object_mut().unwrap().remove("inventories"))),
        changed(&|body| body["inventories"][&tree.low]["inventories"]["VCPU"] = json!({})),
        changed(&|body| body["inventories"][&tree.low] = json!({ "inventories": {} })),
        changed(&|body| body["allocations"][&tree.consumer]["project_id"] = Value::Null),
        changed(&|body| body["inventories"]["provider"] = new(0, json!({}))),
    ] {
        let refused = tree.client.post("/reshaper", &body).expect(400);
        assert!(refused.detail().contains("JSON does not validate"), "{refused}");
    }
    tree.assert_unmoved();
}

fn claims_must_fit_the_new_inventories(app: TestApp) {
    let tree = Tree::make(&app);
    for (class, amount, words) in [
        ("VCPU", 9, "would exceed the capacity"),
        ("DISK_GB", 1, "Inventory for 'DISK_GB' on resource provider"),
    ] {
        let mut body = tree.moves();
        body["allocations"][&tree.consumer]["allocations"] = allocations(&tree.low, class, amount);
        let refused = tree.client.post("/reshaper", &body).expect(409);
        assert!(refused.detail().contains(words), "{refused}");
    }
    tree.assert_unmoved();
}

fn it_comes_with_1_30(app: TestApp) {
    let tree = Tree::make(&app);
    let mut body = tree.moves();
    tree.client.at("1.29").post("/reshaper", &body).expect(404);
    // Types of consumers come with 1.38.
    tree.client.at("1.37").post("/reshaper", &body).expect(400);
    body["allocations"][&tree.consumer].as_object_mut().unwrap().remove("consumer_type");
    tree.client.post("/reshaper", &body).expect(400);
    tree.assert_unmoved();
    tree.client.at("1.30").post("/reshaper", &body).expect(204);
    tree.client.get("/reshaper").expect(405);
}
