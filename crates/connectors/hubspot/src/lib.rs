//! HubSpot: contacts and deals of its CRM, consent through its communication preferences, and its webhooks.
//!
//! Nobody gets into the CRM who did not agree to it, unless the settings say so.

mod consent;
mod contact;
mod deal;
mod perform;
mod read;
mod receive;
mod reply;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, Budget, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply,
    Secret, Secrets, TokenGrant, Verdict, fixtures, performs, performs_batch, reads, receives,
};
use spindel_model::{BookIn, Customer, PushOrder, UpsertCustomer};

/// One account (portal).
pub struct Hubspot {
    secrets: Vec<Secret>,
    portal_id: Option<String>,
    /// What consent is for.
    subscription_id: Option<u64>,
    without_consent: bool,
    customer_id_property: Option<String>,
    deal_key: String,
    pipeline: String,
    book_in: BookIn,
}

/// Settings of a connection to a HubSpot account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Access token of an app that is installed in this account alone (`pat-eu1-…`). Leave it out to have tokens fetched.
    access_token: Option<Secret>,
    /// Client id of an OAuth app.
    client_id: Option<String>,
    /// Refresh token of an OAuth app for this account.
    refresh_token: Option<Secret>,
    /// Client secret of the app: webhooks are signed with it, and an OAuth app gets its tokens by it. Several while it is
    /// being changed, the current one first.
    #[serde(default)]
    client_secret: Secrets,
    /// The account's id (Hub ID). Webhooks of other accounts that have the same app are then refused.
    portal_id: Option<String>,
    /// Subscription type that a buyer's consent is for (Settings, Marketing, Email, Subscription types). Without it, contacts
    /// are subscribed to nothing, and who withdraws is unsubscribed from all marketing email.
    subscription_id: Option<u64>,
    /// Also those who did not agree to marketing become contacts. You need another legal basis for that.
    #[serde(default)]
    contacts_without_consent: bool,
    /// Contact property for the shop's customer id, made in HubSpot beforehand.
    customer_id_property: Option<String>,
    /// Deal property with unique values, made in HubSpot beforehand, by which an order's deal is found: `spindel_order`
    /// unless told otherwise.
    deal_key: Option<String>,
    /// Internal name of the pipeline that deals go into: `default` unless told otherwise.
    pipeline: Option<String>,
    /// `"shop"` (the default) or `"presentment"`: the currency of deals.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    book_in: BookIn,
    /// Where the API is, when not at HubSpot itself: a proxy, or a simulation.
    base_url: Option<String>,
}

/// The API's versions are part of its paths.
pub(crate) const CRM: &str = "/crm/v3/objects";
pub(crate) const ASSOCIATIONS: &str = "/crm/v4/objects";
pub(crate) const PREFERENCES: &str = "/communication-preferences/v4";
/// The first pipeline of every account.
pub(crate) const FIRST_PIPELINE: &str = "default";

impl Connector for Hubspot {
    const INFO: Info = Info {
        id: "hubspot",
        name: "HubSpot",
        kind: Kind::Crm,
        about: "Contacts and deals of a HubSpot account, with consent; changes of contacts from it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] =
        &[receives(), performs_batch::<UpsertCustomer, Self>(), performs::<PushOrder, Self>(), reads::<Customer, Self>()];

    const FIXTURES: &'static [Fixture] = fixtures![
        "config",
        "push_order",
        "push_order_of_a_guest",
        "push_order_refused",
        "push_order_refused_in_part",
        "push_order_without_consent",
        "read_customer",
        "read_customer_gone",
        "receive_contact_changes",
        "receive_deletions",
        "receive_generic_events",
        "receive_other_objects",
        "upsert_customer",
        "upsert_customer_consent_withdrawn_at_hubspot",
        "upsert_customer_daily_limit",
        "upsert_customer_one_of_two_refused",
        "upsert_customer_scope_missing",
        "upsert_customer_withdrawn",
        "upsert_customer_withdrawn_and_unknown",
        "upsert_customer_without_consent",
        "upsert_customer_without_email",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        let base_url = match &config.base_url {
            Some(url) => spindel_connect::base_url("base_url", url, "http://127.0.0.1:9000")?,
            None => "https://api.hubapi.com".to_owned(),
        };
        let secrets = config.client_secret.all();
        let auth = auth(&config, &secrets)?;
        let digits = |text: &String| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if config.portal_id.as_ref().is_some_and(|it| !digits(it)) {
            return Err(ConfigError::new("portal_id", "expected the Hub ID, digits in quotes, as in `\"12345678\"`"));
        }
        let deal_key = config.deal_key.unwrap_or_else(|| "spindel_order".to_owned());
        property("deal_key", &deal_key)?;
        if let Some(name) = &config.customer_id_property {
            property("customer_id_property", name)?;
        }
        let hubspot = Self {
            secrets,
            portal_id: config.portal_id,
            subscription_id: config.subscription_id,
            without_consent: config.contacts_without_consent,
            customer_id_property: config.customer_id_property,
            deal_key,
            pipeline: config.pipeline.unwrap_or_else(|| FIRST_PIPELINE.to_owned()),
            book_in: config.book_in,
        };
        let endpoint = Endpoint::new(base_url, auth).limits(Limits {
            per_second: None,
            parallel: 8,
            // The smallest edition's: 100 in ten seconds, until the first reply tells.
            budget: Some(Budget { maximum: 100.0, available: 100.0, restore_per_second: 10.0, asked: None }),
        });
        Ok((hubspot, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    fn budget(reply: &Reply) -> Option<Budget> {
        reply::budget(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let it: wire::Account = api.get("probe", "/account-info/v3/details").fetch().await?;
        if let Some(portal) = self.portal_id.as_ref().filter(|portal| **portal != it.portal_id.to_string()) {
            let message = format!("the token is for account {}, and `portal_id` says {portal}", it.portal_id);
            return Err(CallError::config("probe", message));
        }
        Ok(format!("account {}, {}", it.portal_id, it.company_currency.unwrap_or_default()))
    }
}

fn auth(config: &Config, secrets: &[Secret]) -> Result<Auth, ConfigError> {
    let (id, refresh) = match (&config.access_token, &config.client_id, &config.refresh_token) {
        (Some(token), None, None) if !token.is_empty() => return Ok(Auth::Bearer(token.clone())),
        (Some(_), None, None) => return Err(ConfigError::new("access_token", "is empty; every call would be refused")),
        (Some(_), ..) => {
            return Err(ConfigError::new("access_token", "leave it out: with `refresh_token` tokens are fetched"));
        }
        (None, Some(id), Some(refresh)) => (id, refresh),
        (None, Some(_), None) => return Err(ConfigError::new("refresh_token", "is missing; an OAuth app needs it")),
        (None, None, Some(_)) => return Err(ConfigError::new("client_id", "is missing; an OAuth app needs it")),
        (None, None, None) => {
            return Err(ConfigError::new("access_token", "is missing; or give `client_id` and `refresh_token` of an OAuth app"));
        }
    };
    let Some(secret) = secrets.first() else {
        return Err(ConfigError::new("client_secret", "is missing; an OAuth app needs it for its tokens"));
    };
    let fields = vec![
        ("grant_type", Secret::new("refresh_token")),
        ("client_id", Secret::new(id.as_str())),
        ("client_secret", secret.clone()),
    ];
    let grant = TokenGrant::new("/oauth/v1/token", BodyEncoding::Form, fields);
    Ok(Auth::Token(TokenGrant { refresh_token: Some(refresh.clone()), ..grant }))
}

/// Internal names are of small letters, digits and underscores.
fn property(field: &str, name: &str) -> Result<(), ConfigError> {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
    if name.starts_with(|it: char| it.is_ascii_lowercase()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(ConfigError::new(field, "expected the internal name of a property, as in `spindel_order`"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn connect(settings: Value) -> Result<(Hubspot, Endpoint), ConfigError> {
        Hubspot::connect(serde_json::from_value(settings).unwrap())
    }

    fn refused(settings: Value) -> String {
        connect(settings).err().unwrap().field
    }

    #[test]
    fn an_app_of_one_account_has_a_token_and_an_oauth_app_fetches_its_own() {
        let endpoint = connect(json!({ "access_token": "t" })).unwrap().1;
        assert_eq!(endpoint.base_url, "https://api.hubapi.com");
        assert!(matches!(endpoint.auth, Auth::Bearer(_)));
        let oauth = json!({ "client_id": "id", "client_secret": ["new", "old"], "refresh_token": "r" });
        let Auth::Token(grant) = connect(oauth).unwrap().1.auth else { panic!("no token is fetched") };
        let sent: Vec<_> = grant.fields.iter().map(|(name, value)| (*name, value.expose())).collect();
        assert_eq!(sent, [("grant_type", "refresh_token"), ("client_id", "id"), ("client_secret", "new")]);
        assert_eq!(grant.refresh_token.unwrap().expose(), "r");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        assert_eq!(refused(json!({})), "access_token");
        assert_eq!(refused(json!({ "access_token": "" })), "access_token");
        assert_eq!(refused(json!({ "access_token": "t", "refresh_token": "r" })), "access_token");
        assert_eq!(refused(json!({ "client_id": "id" })), "refresh_token");
        assert_eq!(refused(json!({ "refresh_token": "r" })), "client_id");
        assert_eq!(refused(json!({ "client_id": "id", "refresh_token": "r" })), "client_secret");
        assert_eq!(refused(json!({ "access_token": "t", "portal_id": "eu1" })), "portal_id");
        assert_eq!(refused(json!({ "access_token": "t", "deal_key": "Spindel order" })), "deal_key");
        assert_eq!(refused(json!({ "access_token": "t", "customer_id_property": "" })), "customer_id_property");
        assert_eq!(refused(json!({ "access_token": "t", "base_url": "api" })), "base_url");
    }
}
