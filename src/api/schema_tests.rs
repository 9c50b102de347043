//! Schemas and the wording of their errors.

use super::*;

#[test]
fn every_schema_loads() {
    for (file, schema) in ALL {
        assert!(schema.is_ok(), "{file}");
    }
}
