//! What a shop writes about its broker, and the endpoint that is made of it.

use serde::Deserialize;
use spindel_connect::{Auth, ConfigError, Endpoint, Secret};
use std::path::PathBuf;
use url::Url;

const EXCHANGE: &str = "spindel.changes";
/// As long as a name may be in AMQP, in bytes.
const LONGEST_NAME: usize = 255;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `amqp://user@host:5672/vhost`, or `amqps://…` with TLS. Without a path it is the vhost `/`.
    url: String,
    /// The user's password.
    password: Secret,
    /// Topic exchange that changes are published on: `"spindel.changes"` when left out. It is declared, durable, when it is missing.
    exchange: Option<String>,
    /// PEM file of the authority that signed the broker's certificate, where it is not a public one. With `amqps`.
    ca: Option<PathBuf>,
}

impl Config {
    pub(crate) fn endpoint(self) -> Result<Endpoint, ConfigError> {
        let problem = |field: &str, text: &str| Err(ConfigError::new(field, text));
        let url = match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "amqp" | "amqps") && url.has_host() => url,
            _ => return problem("url", "expected the broker's address, as in `amqps://user@broker.example.com/vhost`"),
        };
        if url.password().is_some() {
            return problem("url", "must not hold a password; put it into `password`");
        }
        if url.username().is_empty() {
            return problem("url", "names no user, as in `amqps://user@broker.example.com/vhost`");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return problem("url", "holds more than an address and a vhost");
        }
        if self.password.is_empty() {
            return problem("password", "is empty");
        }
        if self.ca.is_some() && url.scheme() == "amqp" {
            return problem("ca", "has no meaning without TLS: write `amqps://` in `url`, or remove it");
        }
        let exchange = self.exchange.unwrap_or_else(|| EXCHANGE.to_owned());
        if exchange.is_empty() || exchange.len() > LONGEST_NAME || exchange.starts_with("amq.") {
            return problem(
                "exchange",
                "expected a name of your own of at most 255 bytes; names that begin with `amq.` are the broker's",
            );
        }
        if exchange.chars().any(|it| !it.is_ascii_graphic()) {
            return problem("exchange", "only visible ASCII characters, without spaces");
        }
        // As it was read, so that nobody else reads another scheme out of it.
        let endpoint =
            Endpoint::new(url.as_str().trim_end_matches('/'), Auth::Password(self.password)).header("exchange", exchange);
        Ok(match self.ca {
            Some(ca) => endpoint.ca(ca),
            None => endpoint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn endpoint(settings: Value) -> Result<Endpoint, String> {
        serde_json::from_value::<Config>(settings).unwrap().endpoint().map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_a_user_and_a_password_are_enough() {
        let endpoint =
            endpoint(json!({ "url": "amqp://spindel@broker.example.com/", "password": "p" })).unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(endpoint.base_url, "amqp://spindel@broker.example.com");
        assert_eq!(endpoint.headers, [("exchange", "spindel.changes".to_owned())]);
        assert!(matches!(endpoint.auth, Auth::Password(it) if it.expose() == "p"));
    }

    #[test]
    fn a_scheme_may_be_written_in_any_case() {
        let endpoint = endpoint(json!({ "url": "AMQPS://spindel@broker.example.com/Shop", "password": "p" }));
        assert_eq!(endpoint.unwrap_or_else(|it| panic!("{it}")).base_url, "amqps://spindel@broker.example.com/Shop");
    }

    #[test]
    fn each_mistake_is_named_with_its_setting_and_never_with_the_password() {
        let with = |field: &str, value: &str| {
            let mut settings = json!({ "url": "amqps://spindel@broker.example.com/shop", "password": "s3cret" });
            settings[field] = value.into();
            settings
        };
        for (settings, field) in [
            (with("url", "https://broker.example.com"), "url"),
            (with("url", "amqp:broker"), "url"),
            (with("url", "amqps://spindel:s3cret@broker.example.com"), "url"),
            (with("url", "amqps://broker.example.com"), "url"),
            (with("url", "amqps://spindel@broker.example.com/shop?heartbeat=1"), "url"),
            (with("password", ""), "password"),
            (with("exchange", ""), "exchange"),
            (with("exchange", "amq.topic"), "exchange"),
            (with("exchange", "my changes"), "exchange"),
            (with("exchange", &"x".repeat(256)), "exchange"),
            (json!({ "url": "amqp://u@broker.example.com", "password": "s3cret", "ca": "/ca.pem" }), "ca"),
        ] {
            let problem = endpoint(settings.clone()).err().unwrap_or_else(|| panic!("accepted: {settings}"));
            assert!(problem.starts_with(&format!("`{field}`: ")) && !problem.contains("s3cret"), "{problem}");
        }
    }
}
