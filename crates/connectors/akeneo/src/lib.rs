//! Akeneo PIM: products and product models with their locales, channels, prices and pictures come out of it, and the events
//! of the Event Platform and of the older Events API.

mod poll;
mod product;
mod read;
mod receive;
mod reply;
mod settings;
mod values;
mod wire;

pub use settings::Config;

use jiff::tz::TimeZone;
use settings::{Fields, PublishWhen};
use spindel_connect::{
    Ability, Api, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Verdict, fixtures,
    polls, reads, receives,
};
use spindel_model::{Currency, Product};

/// One PIM, as one channel sees it.
pub struct Akeneo {
    client_id: Option<String>,
    webhook_secrets: Vec<Secret>,
    events_api_secrets: Vec<Secret>,
    channel: String,
    /// Never empty.
    locales: Vec<String>,
    currency: Currency,
    fields: Fields,
    publish_when: PublishWhen,
    time_zone: TimeZone,
    media_url: Option<String>,
}

/// Where the API begins; links of lists are only followed below it.
pub(crate) const API: &str = "/api/rest/v1/";

impl Connector for Akeneo {
    const INFO: Info = Info {
        id: "akeneo",
        name: "Akeneo PIM",
        kind: Kind::Pim,
        about: "Products and product models with all attributes, locales, prices and pictures of one channel",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[receives(), reads::<Product, Self>(), polls::<Product, Self>()];
    const FIXTURES: &'static [Fixture] = fixtures![
        "config",
        "poll_product_changed",
        "poll_product_first",
        "poll_product_unreadable",
        "read_product",
        "read_product_disabled",
        "read_product_gone",
        "read_product_model",
        "read_product_model_without_products",
        "read_product_variant",
        "receive_app_deleted",
        "receive_events_api",
        "receive_of_no_interest",
        "receive_product_created",
        "receive_product_deleted",
        "receive_product_delta",
        "receive_product_model_deleted",
        "receive_product_model_updated",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        config.checked()?;
        let endpoint = Endpoint::new(config.base_url()?, config.auth()?)
            // 4 at a time for a connection, and 100 in a second for the whole PIM: others are to have some of it.
            .limits(Limits { per_second: Some(40.0), parallel: 4, budget: None });
        let akeneo = Self {
            webhook_secrets: config.webhook_secret.all(),
            events_api_secrets: config.events_api_secret.all(),
            currency: config.currency()?,
            time_zone: config.time_zone()?,
            client_id: config.client_id,
            channel: config.channel,
            locales: config.locales,
            fields: config.attributes,
            publish_when: config.publish_when,
            media_url: config.media_url,
        };
        Ok((akeneo, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    /// What is set must be there: a locale or an attribute that is misspelt is simply never filled in.
    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        const OPERATION: &str = "probe";
        let channel: wire::Channel = api.get(OPERATION, format!("{API}channels/{}", self.channel)).fetch().await?;
        if let Some(locale) = self.locales.iter().find(|it| !channel.locales.contains(it)) {
            let there = channel.locales.join(", ");
            let problem = format!("`locales`: {locale} is not of the channel {}, which has {there}", self.channel);
            return Err(CallError::config(OPERATION, problem));
        }
        if !channel.currencies.iter().any(|it| it == self.currency.code()) {
            let there = channel.currencies.join(", ");
            let problem = format!("`currency`: {} is not of the channel, which has {there}", self.currency.code());
            return Err(CallError::config(OPERATION, problem));
        }
        let named = self.fields.named();
        let known = read::attributes(api, OPERATION, named.iter().map(|(_, code, _)| *code)).await?;
        for (setting, code, kinds) in named {
            let Some(attribute) = known.iter().find(|it| it.code == code) else {
                return Err(CallError::config(OPERATION, format!("`attributes.{setting}`: the PIM has no attribute {code}")));
            };
            if !kinds.is_empty() && !kinds.iter().any(|kind| attribute.kind.ends_with(kind)) {
                let problem = format!("`attributes.{setting}`: {code} is of the type {}, which does not fit", attribute.kind);
                return Err(CallError::config(OPERATION, problem));
            }
        }
        Ok(format!("channel {}, {} in {}", self.channel, self.locales.join(", "), self.currency.code()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};
    use spindel_connect::Auth;

    pub(crate) fn connect(change: Value) -> Result<(Akeneo, Endpoint), ConfigError> {
        let json = Akeneo::FIXTURES.iter().find(|it| it.name == "config").unwrap().json;
        let mut settings: Value = serde_json::from_str(json).unwrap();
        for (key, value) in change.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Akeneo::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn a_connection_fetches_tokens_with_its_user_and_names_itself_in_a_header() {
        let (_, endpoint) = connect(json!({ "client_secret": "s", "client_id": "1_a" })).unwrap();
        assert_eq!(endpoint.base_url, "https://fjord.cloud.akeneo.com");
        let Auth::Token(grant) = endpoint.auth else { panic!("no token is fetched") };
        assert_eq!(grant.url, "/api/oauth/v1/token");
        let (name, value) = &grant.headers[0];
        assert_eq!((*name, value.expose()), ("authorization", "Basic MV9hOnM="));
        let fields: Vec<_> = grant.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(fields, ["grant_type", "username", "password"]);
        assert!(endpoint.limits.parallel <= 4 && endpoint.limits.per_second.is_some_and(|it| it <= 100.0));
    }

    #[test]
    fn an_app_has_a_token_of_its_own() {
        let app = json!({ "app_token": "t", "client_secret": null, "username": null, "password": null });
        assert!(matches!(connect(app).unwrap().1.auth, Auth::Bearer(_)));
    }

    #[test]
    fn a_setting_that_cannot_be_worked_with_is_named() {
        for (change, field) in [
            (json!({ "url": "fjord.cloud.akeneo.com" }), "url"),
            (json!({ "url": "https://fjord.cloud.akeneo.com/api/rest" }), "url"),
            (json!({ "client_id": "" }), "client_id"),
            (json!({ "client_secret": null }), "client_secret"),
            (json!({ "username": null }), "username"),
            (json!({ "password": "" }), "password"),
            (json!({ "app_token": "t" }), "app_token"),
            (json!({ "app_token": "", "client_secret": null, "username": null, "password": null }), "app_token"),
            (json!({ "channel": "" }), "channel"),
            (json!({ "locales": [] }), "locales"),
            (json!({ "locales": ["nb-NO"] }), "locales"),
            (json!({ "currency": "kroner" }), "currency"),
            (json!({ "attributes": { "price": "price list" } }), "attributes.price"),
            (json!({ "time_zone": "Europe/Atlantis" }), "time_zone"),
            (json!({ "media_url": "https://cdn.example.no/" }), "media_url"),
        ] {
            assert_eq!(connect(change).err().unwrap().field, field);
        }
    }
}
