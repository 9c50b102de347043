//! The settings `trusted_proxies` and `proxy_headers`: the proxies whose headers about the client are believed,
//! and the names of these headers.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The headers in which proxies describe the client. All other headers are ignored, since a client may have
/// written these headers itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Prefix`.
    #[default]
    XForwarded,
    /// The header `Forwarded` of RFC 7239.
    Forwarded,
}

/// The networks of the proxies whose headers about the client are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Returns true if no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the proxy at this address is trusted. An IPv4 address in IPv6 notation (`::ffff:10.0.0.1`)
    /// counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl Serialize for TrustedProxies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let network = |text: String| {
            let network = text.parse::<IpNet>().ok();
            let network = network.or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
            network.ok_or_else(|| D::Error::custom("must be addresses or networks such as 10.0.0.0/8"))
        };
        let texts = Vec::<String>::deserialize(deserializer)?;
        Ok(TrustedProxies(texts.into_iter().map(network).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_networks() {
        let trusted: TrustedProxies =
            serde_json::from_value(serde_json::json!(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])).unwrap();
        for (address, expected) in [
            ("10.255.0.1", true),
            ("::ffff:10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::7", true),
            ("::1", false),
        ] {
            assert_eq!(trusted.contains(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(
            serde_json::to_value(&trusted).unwrap(),
            serde_json::json!(["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"])
        );
        assert!(serde_json::from_str::<TrustedProxies>(r#"["proxy"]"#).is_err());
    }
}
