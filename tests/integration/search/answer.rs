//! An answer in a form that can be compared: nothing hangs on the order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One way to satisfy a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Amounts by provider and class.
    pub allocations: BTreeMap<String, BTreeMap<String, i64>>,
    /// The providers that serve each group; absent before 1.34.
    pub mappings: Option<BTreeMap<String, BTreeSet<String>>>,
}

/// The summary of a provider in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Capacity and use by class.
    pub resources: BTreeMap<String, (i64, i64)>,
    /// Its traits; absent before 1.17.
    pub traits: Option<Vec<String>>,
    /// Parent and root; absent before 1.29.
    pub tree: Option<(Option<String>, String)>,
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The candidates, sorted.
    pub candidates: Vec<Candidate>,
    /// The summaries by provider.
    pub summaries: BTreeMap<String, Summary>,
    /// The candidates in the order in which they came.
    pub order: Vec<Candidate>,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Answer) -> bool {
        self.candidates == other.candidates && self.summaries == other.summaries
    }
}

impl Answer {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Answer {
        let text = std::str::from_utf8(body).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.to_string(), text, "no key is there twice, and all is as short as can be");
        let order: Vec<Candidate> = list(&value["allocation_requests"]).iter().map(candidate).collect();
        let mut candidates = order.clone();
        candidates.sort();
        let summaries = object(&value["provider_summaries"]);
        Answer {
            candidates,
            summaries: summaries.map(|(uuid, value)| (uuid.clone(), summary(value))).collect(),
            order,
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("an object").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn candidate(value: &Value) -> Candidate {
    let amounts = |value: &Value| {
        object(&value["resources"]).map(|(class, amount)| (class.clone(), amount.as_i64().unwrap())).collect()
    };
    let mut allocations = BTreeMap::new();
    match &value["allocations"] {
        Value::Array(each) => {
            for value in each {
                let before = allocations.insert(text(&value["resource_provider"]["uuid"]), amounts(value));
                assert_eq!(before, None, "a provider is named once");
            }
        }
        value => allocations.extend(object(value).map(|(uuid, value)| (uuid.clone(), amounts(value)))),
    }
    let mappings = value.get("mappings").map(|value| {
        object(value)
            .map(|(suffix, uuids)| {
                let set: BTreeSet<String> = list(uuids).iter().map(text).collect();
                assert_eq!(set.len(), list(uuids).len());
                (suffix.clone(), set)
            })
            .collect()
    });
    Candidate { allocations, mappings }
}

fn summary(value: &Value) -> Summary {
    let number = |value: &Value| value.as_i64().unwrap();
    Summary {
        resources: object(&value["resources"])
            .map(|(class, value)| (class.clone(), (number(&value["capacity"]), number(&value["used"]))))
            .collect(),
        traits: value.get("traits").map(|traits| list(traits).iter().map(text).collect()),
        tree: value.get("root_provider_uuid").map(|root| {
            let parent = &value["parent_provider_uuid"];
            (parent.as_str().map(str::to_owned), text(root))
        }),
    }
}
