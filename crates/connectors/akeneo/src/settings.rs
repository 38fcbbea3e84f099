//! The settings of a connection, and what is refused of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{Auth, BodyEncoding, ConfigError, Secret, Secrets, TokenGrant};
use spindel_model::Currency;

/// Settings of a connection to a PIM.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the PIM: `https://example.cloud.akeneo.com`
    pub(crate) url: String,
    /// Client id of the connection (Connect, Connection settings) or of the app
    pub(crate) client_id: Option<String>,
    /// Secret of the connection; with `username` and `password`
    client_secret: Option<Secret>,
    /// Name of the connection's user, as in `spindel_1234`
    username: Option<String>,
    /// Password of the connection's user
    password: Option<Secret>,
    /// Access token of an app, instead of `client_secret`, `username` and `password`
    app_token: Option<Secret>,
    /// Signs the events of the Event Platform: primary and secondary secret of the subscription
    #[serde(default)]
    pub(crate) webhook_secret: Secrets,
    /// Signs the events of the older Events API: the secret of the connection's event subscription
    #[serde(default)]
    pub(crate) events_api_secret: Secrets,
    /// Code of the channel whose values are told: `ecommerce`
    pub(crate) channel: String,
    /// Locales that are told, the shop's own first: `["nb_NO", "sv_SE"]`
    pub(crate) locales: Vec<String>,
    /// Currency of the variants' price; the others stand among the attributes: `NOK`
    currency: String,
    /// Which of the PIM's attributes are what the shop knows by name
    #[serde(default)]
    pub(crate) attributes: Fields,
    /// When a product is told as active: `complete` (enabled, and complete for the channel in the first locale), `enabled`,
    /// or `complete_everywhere` (in all locales)
    #[serde(default)]
    pub(crate) publish_when: PublishWhen,
    /// Time zone of the PIM's server: `UTC` unless told otherwise, which is so in Akeneo's cloud
    time_zone: Option<String>,
    /// Where anybody can fetch a picture, with `{code}` for the code of the file or asset: `https://cdn.example.no/{code}`
    pub(crate) media_url: Option<String>,
}

/// Codes of attributes. What is left out is not told by name; all attributes stand among the product's attributes anyway.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fields {
    /// `name` unless told otherwise
    pub title: String,
    /// Text or text area, told as it is kept
    pub description: Option<String>,
    /// The identifier: `sku` unless told otherwise
    pub sku: String,
    /// Price collection
    pub price: Option<String>,
    /// Price collection with the price that is shown struck through
    pub compare_at: Option<String>,
    /// Measurement of weight
    pub weight: Option<String>,
    /// EAN, UPC
    pub gtin: Option<String>,
    /// Text or select
    pub brand: Option<String>,
    /// Name in the shop's address
    pub handle: Option<String>,
    /// Multi-select
    pub tags: Option<String>,
    /// Images, collections of assets, or texts with an address, in the order in which they are shown
    pub images: Vec<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            title: "name".to_owned(),
            description: None,
            sku: "sku".to_owned(),
            price: None,
            compare_at: None,
            weight: None,
            gtin: None,
            brand: None,
            handle: None,
            tags: None,
            images: Vec::new(),
        }
    }
}

impl Fields {
    /// Each with the setting that names it, and the end of the types that it may have; none: any.
    pub fn named(&self) -> Vec<(&'static str, &str, &'static [&'static str])> {
        const TEXT: &[&str] = &["_text", "_textarea", "_identifier"];
        const PRICE: &[&str] = &["_price_collection"];
        let mut named = vec![("title", self.title.as_str(), TEXT), ("sku", self.sku.as_str(), &["_identifier", "_text"][..])];
        let optional: [(_, &Option<String>, &'static [&'static str]); 8] = [
            ("description", &self.description, TEXT),
            ("price", &self.price, PRICE),
            ("compare_at", &self.compare_at, PRICE),
            ("weight", &self.weight, &["_metric"]),
            ("gtin", &self.gtin, &["_text", "_identifier", "_number"]),
            ("brand", &self.brand, &[]),
            ("handle", &self.handle, TEXT),
            ("tags", &self.tags, &[]),
        ];
        named.extend(optional.into_iter().filter_map(|(setting, code, kinds)| Some((setting, code.as_deref()?, kinds))));
        named.extend(self.images.iter().map(|code| ("images", code.as_str(), &[][..])));
        named
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublishWhen {
    #[default]
    Complete,
    Enabled,
    CompleteEverywhere,
}

/// Codes in the PIM are of letters, digits and underscores.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

impl Config {
    pub(crate) fn checked(&self) -> Result<(), ConfigError> {
        if !is_code(&self.channel) {
            return Err(ConfigError::new("channel", "expected the code of a channel, as in `ecommerce`"));
        }
        if self.locales.is_empty() || !self.locales.iter().all(|it| is_code(it)) {
            return Err(ConfigError::new("locales", "expected codes as the PIM has them, as in `[\"nb_NO\", \"sv_SE\"]`"));
        }
        if let Some((setting, ..)) = self.attributes.named().into_iter().find(|(_, code, _)| !is_code(code)) {
            return Err(ConfigError::new(format!("attributes.{setting}"), "expected the code of an attribute, as in `name`"));
        }
        if self.media_url.as_ref().is_some_and(|it| !it.starts_with("https://") || !it.contains("{code}")) {
            return Err(ConfigError::new(
                "media_url",
                "expected an address with `{code}`, as in `https://cdn.example.no/{code}`",
            ));
        }
        Ok(())
    }

    pub(crate) fn base_url(&self) -> Result<String, ConfigError> {
        let url = self.url.trim_end_matches('/');
        let host = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => Ok(url.to_owned()),
            _ => Err(ConfigError::new("url", "expected the PIM's address and no more, as in `https://example.cloud.akeneo.com`")),
        }
    }

    pub(crate) fn currency(&self) -> Result<Currency, ConfigError> {
        self.currency.parse().map_err(|_| ConfigError::new("currency", "expected a currency code, as in `NOK`"))
    }

    pub(crate) fn time_zone(&self) -> Result<TimeZone, ConfigError> {
        match self.time_zone.as_deref() {
            None | Some("UTC") => Ok(TimeZone::UTC),
            Some(name) => TimeZone::get(name)
                .map_err(|_| ConfigError::new("time_zone", "expected a time zone that this machine knows, as in `Europe/Oslo`")),
        }
    }

    pub(crate) fn auth(&self) -> Result<Auth, ConfigError> {
        if let Some(token) = &self.app_token {
            if self.client_secret.is_some() || self.username.is_some() || self.password.is_some() {
                return Err(ConfigError::new(
                    "app_token",
                    "leave it out, or leave out `client_secret`, `username` and `password`",
                ));
            }
            return match token.is_empty() {
                true => Err(ConfigError::new("app_token", "is empty; every call would be refused")),
                false => Ok(Auth::Bearer(token.clone())),
            };
        }
        let missing = |field: &str| ConfigError::new(field, "is missing; a connection needs it, or else give an `app_token`");
        let filled = |text: &Option<String>| text.clone().filter(|it| !it.is_empty());
        let secret = |secret: &Option<Secret>| secret.clone().filter(|it| !it.is_empty());
        let client_id = filled(&self.client_id).ok_or_else(|| missing("client_id"))?;
        let client_secret = secret(&self.client_secret).ok_or_else(|| missing("client_secret"))?;
        let username = filled(&self.username).ok_or_else(|| missing("username"))?;
        let password = secret(&self.password).ok_or_else(|| missing("password"))?;
        let fields = vec![("grant_type", Secret::new("password")), ("username", Secret::new(username)), ("password", password)];
        let mut grant = TokenGrant::new("/api/oauth/v1/token", BodyEncoding::Json, fields);
        let pair = STANDARD.encode(format!("{client_id}:{}", client_secret.expose()));
        grant.headers = vec![("authorization", Secret::new(format!("Basic {pair}")))];
        Ok(Auth::Token(grant))
    }
}
