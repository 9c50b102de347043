//! The JSON Schemas of request bodies and query strings, which are files in `schemas/`.

/// Declares lazily loaded schemas. Each line has the kind (`body` or `query`), the name of the static, and the
/// file name without `.json`.
macro_rules! schemas {
    ($($kind:ident $visible:vis $name:ident = $file:literal;)*) => {
        $(
            $visible static $name: $crate::wire::schema::LazySchema = std::sync::LazyLock::new(|| {
                let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/schemas/", $file, ".json"));
                $crate::wire::schema::Schema::$kind($file, text)
            });
        )*
    };
}
pub(crate) use schemas;

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
