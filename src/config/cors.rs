//! The `[cors]` table: which web pages may call.

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[cors]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct CorsSettings {
    /// Origins whose pages may call, such as `https://horizon.example.com`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Whether such calls may carry what the browser knows of the user.
    pub allow_credentials: bool,
    /// Headers of answers that such pages may read, beside the simple ones.
    pub expose_headers: Vec<String>,
    /// How many seconds a browser may remember what is allowed.
    pub max_age: u32,
    /// Methods that such calls may have.
    pub allow_methods: Vec<String>,
    /// Headers that such calls may carry, beside the simple ones.
    pub allow_headers: Vec<String>,
}

impl Default for CorsSettings {
    fn default() -> Self {
        let methods = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"];
        CorsSettings {
            allowed_origins: Vec::new(),
            allow_credentials: true,
            expose_headers: Vec::new(),
            max_age: 3600,
            allow_methods: methods.map(str::to_owned).to_vec(),
            allow_headers: Vec::new(),
        }
    }
}

impl CorsSettings {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_origin = |text: &&String| *text == "*" || (text.contains("://") && !text.ends_with('/'));
        if let Some(odd) = self.allowed_origins.iter().find(|text| !is_origin(text)) {
            let problem = format!("{odd:?} is neither * nor like https://horizon.example.com");
            return invalid("cors.allowed_origins", problem);
        }
        Ok(())
    }
}
