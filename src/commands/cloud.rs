//! The environment variables that configure OpenStack clients, such as `OS_AUTH_URL`. All names begin with
//! `OS_`.

use std::env;

use allotment::auth::keystone::{Interface, Issued, Settings};
use allotment::setting::Unusable;
use reqwest::Url;

/// A function that returns the value of an environment variable.
type Read = dyn Fn(&str) -> Option<String>;

/// The environment variables, or a replacement for them in tests.
pub struct Cloud(Box<Read>);

/// The kind of credentials for the log-in at Keystone.
enum Way {
    Password,
    ApplicationCredential,
}

impl Cloud {
    /// Returns the environment variables of this process.
    pub fn from_env() -> Cloud {
        Cloud(Box::new(|name| env::var(name).ok()))
    }

    /// Returns the value of a variable, or `None` if the variable is unset or empty.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|text| !text.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns the interface and the region by which the service's URL is found in Keystone's catalog. The
    /// URL is looked up only if the option `--url` is missing.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        let interface = match self.first(&["OS_INTERFACE", "OS_ENDPOINT_TYPE"]).as_deref() {
            None | Some("public" | "publicURL") => Interface::Public,
            Some("internal" | "internalURL") => Interface::Internal,
            Some("admin" | "adminURL") => Interface::Admin,
            Some(_) => return Err("OS_INTERFACE can be public, internal or admin".to_owned()),
        };
        Ok(Endpoint { interface, region: self.get("OS_REGION_NAME") })
    }

    /// Returns the settings for a log-in at Keystone, or `None` if no variable asks for a log-in. If a needed
    /// variable is missing, the error is a message that names the variable.
    pub fn settings(&self) -> Option<Result<Settings, String>> {
        let way = match self.way()? {
            Ok(way) => way,
            Err(unknown) => return Some(Err(unknown)),
        };
        let mut settings = Settings {
            auth_url: self.get("OS_AUTH_URL").unwrap_or_default(),
            user_id: self.get("OS_USER_ID"),
            user_domain_id: self.first(&["OS_USER_DOMAIN_ID", "OS_DEFAULT_DOMAIN_ID"]),
            user_domain_name: self.first(&[
                "OS_USER_DOMAIN_NAME",
                "OS_DEFAULT_DOMAIN_NAME",
                "OS_DEFAULT_DOMAIN",
            ]),
            ..Settings::default()
        };
        if settings.auth_url.is_empty() {
            return Some(Err("OS_AUTH_URL is needed to log in with the other OS_ variables".to_owned()));
        }
        // If both an id and a name are set, the id is used, as in other OpenStack clients.
        if settings.user_id.is_none() {
            settings.username = self.get("OS_USERNAME");
        }
        match way {
            Way::Password => self.add_password(&mut settings),
            // An application credential belongs to a project, so no project is set.
            Way::ApplicationCredential => {
                let of = |name: &str| self.get(&format!("OS_APPLICATION_CREDENTIAL_{name}"));
                settings.application_credential_id = of("ID");
                settings.application_credential_name = of("NAME");
                settings.application_credential_secret = of("SECRET").as_deref().map(Into::into);
            }
        }
        Some(settings.check().map(|()| settings).map_err(|unusable| self.told(&unusable)))
    }

    fn add_password(&self, settings: &mut Settings) {
        settings.password = self.get("OS_PASSWORD").as_deref().map(Into::into);
        settings.system_scope = self.get("OS_SYSTEM_SCOPE");
        if settings.system_scope.is_some() {
            return;
        }
        settings.project_id = self.first(&["OS_PROJECT_ID", "OS_TENANT_ID"]);
        if settings.project_id.is_none() {
            settings.project_name = self.first(&["OS_PROJECT_NAME", "OS_TENANT_NAME"]);
        }
        settings.project_domain_id = self.first(&["OS_PROJECT_DOMAIN_ID", "OS_DEFAULT_DOMAIN_ID"]);
        settings.project_domain_name =
            self.first(&["OS_PROJECT_DOMAIN_NAME", "OS_DEFAULT_DOMAIN_NAME", "OS_DEFAULT_DOMAIN"]);
    }

    /// Returns the kind of credentials, or `None` if no variable asks for a log-in. An unsupported
    /// `OS_AUTH_TYPE` is an error.
    fn way(&self) -> Option<Result<Way, String>> {
        let has = |names: &[&str]| self.first(names).is_some();
        match self.get("OS_AUTH_TYPE").as_deref() {
            Some("password" | "v3password") => Some(Ok(Way::Password)),
            Some("v3applicationcredential") => Some(Ok(Way::ApplicationCredential)),
            None if has(&["OS_PASSWORD"]) => Some(Ok(Way::Password)),
            None if has(&["OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME"]) => {
                Some(Ok(Way::ApplicationCredential))
            }
            None if has(&["OS_USERNAME", "OS_USER_ID"]) && has(&["OS_AUTH_URL"]) => Some(Ok(Way::Password)),
            // With these values of `OS_AUTH_TYPE`, a token already exists or is not needed. So there is no log-in.
            None | Some("none" | "noauth" | "admin_token" | "token" | "v3token" | "http_basic") => None,
            Some(_) => Some(Err(
                "OS_AUTH_TYPE must be password or v3applicationcredential; --token-command gets tokens in any other \
                 way"
                    .to_owned(),
            )),
        }
    }

    /// Returns a message about a wrong setting, with the name of the environment variable instead of the key.
    pub fn told(&self, unusable: &Unusable) -> String {
        let key = unusable.key.trim_start_matches("auth.keystone.").to_ascii_uppercase();
        format!("OS_{key}: {}", unusable.problem)
    }
}

/// The interface and the region of the service's URL in Keystone's catalog.
pub struct Endpoint {
    interface: Interface,
    region: Option<String>,
}

impl Endpoint {
    /// Returns the service's URL from the catalog that Keystone sent with a token.
    pub fn find(&self, issued: &Issued) -> Result<Url, String> {
        let found = issued.endpoint("placement", self.interface, self.region.as_deref());
        let url = found.and_then(|url| Url::parse(url).ok());
        url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
            "the catalog has no matching endpoint of placement: OS_INTERFACE and OS_REGION_NAME select it, \
             and --url replaces it"
                .to_owned()
        })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
