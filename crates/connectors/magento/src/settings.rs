//! The settings of a connection, and what is made of them.

use crate::{Magento, Proving, Shop};
use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{Auth, ConfigError, Digest, Endpoint, Limits, OAuth1, Secret, Secrets, public_key_problem};
use spindel_model::Currency;

/// Settings of a connection to a Magento shop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the shop, without `/rest`: `https://shop.example.com`.
    url: String,
    /// Access token of the integration.
    access_token: Secret,
    /// Consumer key of the integration. With it, `consumer_secret` and `access_token_secret` every call is signed (OAuth 1.0a);
    /// without the three the access token is sent as a bearer token, which the shop must allow.
    consumer_key: Option<Secret>,
    /// Consumer secret of the integration.
    consumer_secret: Option<Secret>,
    /// Access token secret of the integration.
    access_token_secret: Option<Secret>,
    /// The shop's base currency, as in `"NOK"`.
    #[schemars(with = "String")]
    currency: Currency,
    /// Whether catalogue prices are entered with tax (Stores, Configuration, Sales, Tax, Catalog Prices).
    #[serde(default = "yes")]
    prices_include_tax: bool,
    /// What the shop weighs in.
    #[serde(default)]
    weight_unit: WeightUnit,
    /// The shop's time zone, in which sales begin and end: `Europe/Oslo`. UTC unless told otherwise.
    time_zone: Option<String>,
    /// What comes in: Adobe Commerce webhooks or Adobe I/O Events. Leave it out for Magento Open Source, which sends nothing.
    events: Option<Events>,
    /// Public keys (PEM) that what comes in is checked with. Of Commerce webhooks: the key that the Admin shows. Of I/O Events:
    /// leave it out, the keys are those that Adobe publishes.
    #[serde(default)]
    public_keys: Vec<String>,
    /// For Commerce webhooks without signatures: the secret that the webhooks send in `webhook_header`.
    #[serde(default)]
    webhook_token: Secrets,
    /// Header of `webhook_token`.
    #[serde(default = "token_header")]
    webhook_header: String,
    /// Client id of the Adobe Developer Console project that registered the events.
    client_id: Option<String>,
    /// How stock is set: `direct`, or `bulk` for many in one call, which the shop works through in its background.
    #[serde(default)]
    stock: Writing,
    /// How prices are set: `direct` or `bulk`.
    #[serde(default)]
    prices: Writing,
    /// The parts of bundles are sent apart (their setting "Ship Bundle Items: Separately").
    #[serde(default)]
    bundles_ship_separately: bool,
    /// Attribute set of new products.
    #[serde(default = "default_set")]
    attribute_set: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Events {
    CommerceWebhooks,
    IoEvents,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Writing {
    /// At once, with an answer.
    #[default]
    Direct,
    /// Queued by the shop: quicker for many, and what goes wrong later is seen only there.
    Bulk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightUnit {
    #[default]
    Kgs,
    Lbs,
}

fn yes() -> bool {
    true
}

fn token_header() -> String {
    "x-spindel-token".to_owned()
}

fn default_set() -> u64 {
    4
}

pub(crate) fn connect(config: Config) -> Result<(Magento, Endpoint), ConfigError> {
    let base_url = format!("{}/rest", checked_url(&config.url)?);
    let magento = Magento {
        proving: proving(&config)?,
        shop: Shop { currency: config.currency, prices_include_tax: config.prices_include_tax, weight_unit: config.weight_unit },
        stock: config.stock,
        prices: config.prices,
        bundles_ship_separately: config.bundles_ship_separately,
        attribute_set: config.attribute_set,
        time_zone: time_zone(config.time_zone.as_deref())?,
    };
    let limits = Limits { per_second: None, parallel: 4, budget: None };
    Ok((magento, Endpoint::new(base_url, auth(config)?).limits(limits)))
}

fn checked_url(text: &str) -> Result<String, ConfigError> {
    let url = spindel_connect::base_url("url", text, "https://shop.example.com")?;
    if url.ends_with("/rest") || url.contains("/rest/") {
        return Err(ConfigError::new("url", "leave out `/rest` and what comes after it"));
    }
    Ok(url)
}

fn auth(config: Config) -> Result<Auth, ConfigError> {
    if config.access_token.is_empty() {
        return Err(ConfigError::new("access_token", "is empty"));
    }
    match (config.consumer_key, config.consumer_secret, config.access_token_secret) {
        (None, None, None) => Ok(Auth::Bearer(config.access_token)),
        (Some(consumer_key), Some(consumer_secret), Some(token_secret)) => Ok(Auth::OAuth1(OAuth1 {
            consumer_key,
            consumer_secret,
            token: Some((config.access_token, token_secret)),
            digest: Digest::Sha256,
            in_header: true,
        })),
        (key, secret, _) => {
            let missing = match (key, secret) {
                (None, _) => "consumer_key",
                (_, None) => "consumer_secret",
                _ => "access_token_secret",
            };
            let problem = "is missing: signed calls need `consumer_key`, `consumer_secret` and `access_token_secret`";
            Err(ConfigError::new(missing, problem))
        }
    }
}

fn proving(config: &Config) -> Result<Proving, ConfigError> {
    for (index, pem) in config.public_keys.iter().enumerate() {
        if let Some(problem) = public_key_problem(pem) {
            return Err(ConfigError::new(format!("public_keys[{index}]"), problem));
        }
    }
    let (keys, tokens) = (config.public_keys.clone(), config.webhook_token.all());
    if tokens.iter().any(Secret::is_empty) {
        return Err(ConfigError::new("webhook_token", "one is empty; leave it out"));
    }
    match config.events {
        None if keys.is_empty() && tokens.is_empty() => Ok(Proving::Nothing),
        None => Err(ConfigError::new("events", "is missing: `commerce-webhooks` or `io-events`")),
        Some(Events::CommerceWebhooks) => {
            if keys.is_empty() == tokens.is_empty() {
                let problem = "expected either `public_keys` (signed webhooks) or `webhook_token` (a header of your own)";
                return Err(ConfigError::new("events", problem));
            }
            let token_header = config.webhook_header.to_ascii_lowercase();
            if http::HeaderName::try_from(&token_header).is_err() {
                return Err(ConfigError::new("webhook_header", "is no header name"));
            }
            Ok(Proving::Webhooks { keys, token_header, tokens })
        }
        Some(Events::IoEvents) if !tokens.is_empty() => {
            Err(ConfigError::new("webhook_token", "leave it out: Adobe signs its events"))
        }
        Some(Events::IoEvents) => match config.client_id.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            Some(client_id) => Ok(Proving::Events { keys, client_id: client_id.to_owned() }),
            None => {
                Err(ConfigError::new("client_id", "is missing: Adobe signs the events of all its customers with the same key"))
            }
        },
    }
}

fn time_zone(name: Option<&str>) -> Result<jiff::tz::TimeZone, ConfigError> {
    let Some(name) = name else { return Ok(jiff::tz::TimeZone::UTC) };
    jiff::tz::TimeZone::get(name).map_err(|_| ConfigError::new("time_zone", "is no time zone, as in `Europe/Oslo`"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connect_with(extra: Value) -> Result<(Magento, Endpoint), ConfigError> {
        let mut settings = json!({ "url": "https://shop.example.com/", "access_token": "t", "currency": "NOK" });
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        connect(serde_json::from_value(settings).unwrap())
    }

    fn refused(extra: Value) -> String {
        connect_with(extra).err().unwrap().field
    }

    #[test]
    fn the_address_is_that_of_the_shop_and_the_api_lies_below() {
        assert_eq!(connect_with(json!({})).unwrap().1.base_url, "https://shop.example.com/rest");
        for url in ["shop.example.com", "ftp://shop.example.com", "https://shop.example.com/rest/all/V1", "https://a.no?x=1"] {
            assert_eq!(refused(json!({ "url": url })), "url", "{url}");
        }
    }

    #[test]
    fn calls_are_signed_when_all_of_the_integration_is_there() {
        assert!(matches!(connect_with(json!({})).unwrap().1.auth, Auth::Bearer(_)));
        let whole = json!({ "consumer_key": "a", "consumer_secret": "b", "access_token_secret": "c" });
        let Auth::OAuth1(oauth) = connect_with(whole).unwrap().1.auth else { panic!("not signed") };
        assert!(oauth.in_header && oauth.digest == Digest::Sha256 && oauth.token.is_some());
        assert_eq!(refused(json!({ "consumer_key": "a", "consumer_secret": "b" })), "access_token_secret");
        assert_eq!(refused(json!({ "consumer_key": "a", "access_token_secret": "b" })), "consumer_secret");
        assert_eq!(refused(json!({ "consumer_secret": "a" })), "consumer_key");
    }

    #[test]
    fn what_comes_in_has_exactly_one_kind_of_proof() {
        assert_eq!(refused(json!({ "events": "commerce-webhooks" })), "events");
        assert_eq!(refused(json!({ "webhook_token": "t" })), "events");
        assert_eq!(refused(json!({ "events": "commerce-webhooks", "webhook_token": "" })), "webhook_token");
        assert_eq!(refused(json!({ "events": "commerce-webhooks", "public_keys": ["no key"] })), "public_keys[0]");
        assert_eq!(refused(json!({ "events": "io-events" })), "client_id");
        assert_eq!(refused(json!({ "events": "io-events", "client_id": "c", "webhook_token": "t" })), "webhook_token");
        let proving = connect_with(json!({ "events": "io-events", "client_id": "c" })).unwrap().0.proving;
        assert!(matches!(proving, Proving::Events { .. }));
    }

    #[test]
    fn an_unknown_time_zone_is_named() {
        assert_eq!(refused(json!({ "time_zone": "Mars/Olympus" })), "time_zone");
        assert!(connect_with(json!({ "time_zone": "Europe/Oslo" })).is_ok());
    }
}
