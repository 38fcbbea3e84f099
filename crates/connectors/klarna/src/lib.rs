//! Klarna: what its order management, its settlements and its notifications say, and how to say things to it.
//!
//! Facts are those of Order Management v1, Settlements v1, Disputes v4 and the webhooks of the Klarna Network, version v2.

mod perform;
mod poll;
mod read;
mod receive;
mod reply;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Secrets,
    Verdict, base_url, fixtures, performs, polls, reads, receives,
};
use spindel_model::{
    AcknowledgePayment, CancelPayment, CapturePayment, Dispute, ErrorClass, ExtendAuthorization, OrderRef, Payout, RefundOrder,
    Transaction,
};

/// One merchant account.
pub struct Klarna {
    webhooks: Webhooks,
    callback_secrets: Vec<Secret>,
    signing_keys: Vec<Secret>,
    /// Where disputes are read, which no regional host knows.
    global_url: String,
    api_key: Option<Secret>,
    /// Nothing here is real money.
    playground: bool,
    region: Region,
}

/// Settings of a connection to Klarna.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the merchant account is: `eu`, `na` (North America) or `oc` (Oceania). Credentials hold in one region only.
    region: Region,
    /// The account is one of Klarna's playground.
    #[serde(default)]
    playground: bool,
    /// User name of the API credentials: `K123456_…` or `PK123456_…`.
    username: String,
    /// Password of the API credentials.
    password: Secret,
    /// How Klarna notifies: `classic` (the unsigned calls to the `merchant_urls` of an order) or `network` (signed webhooks of
    /// the Klarna Network).
    #[serde(default)]
    webhooks: Webhooks,
    /// With `classic`: the value of `secret` in the query of every URL that Klarna is given, 16 characters or more; several
    /// while it is being changed.
    #[serde(default)]
    callback_secret: Secrets,
    /// With `network`: the signing keys, as Klarna showed them when they were made; several while they are being changed.
    #[serde(default)]
    signing_keys: Secrets,
    /// API key of the Klarna Network (`klarna_live_api_…`): disputes are read with it.
    api_key: Option<Secret>,
    /// Where the API is, when not at Klarna itself: a proxy, or a simulated Klarna.
    base_url: Option<String>,
    /// The same for the API of the Klarna Network, which is another host.
    global_url: Option<String>,
}

/// Part of the world that an account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    Eu,
    Na,
    Oc,
}

/// How Klarna notifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Webhooks {
    #[default]
    Classic,
    Network,
}

const LEAST_SECRET: usize = 16;

impl Connector for Klarna {
    const INFO: Info = Info {
        id: "klarna",
        name: "Klarna",
        kind: Kind::Payment,
        about: "Authorisations, captures, refunds, disputes and payouts; captures, refunds and cancellations to it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs::<AcknowledgePayment, Self>(),
        performs::<CapturePayment, Self>(),
        performs::<RefundOrder, Self>(),
        performs::<CancelPayment, Self>(),
        performs::<ExtendAuthorization, Self>(),
        reads::<(OrderRef, Transaction), Self>(),
        reads::<Dispute, Self>(),
        reads::<Payout, Self>(),
        polls::<Payout, Self>(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "acknowledge_payment",
        "acknowledge_payment_of_klarnas_own_order",
        "acknowledge_payment_refused",
        "acknowledge_payment_without_payment",
        "cancel_payment",
        "cancel_payment_again",
        "cancel_payment_of_the_rest",
        "cancel_payment_refused",
        "capture_payment",
        "capture_payment_expired",
        "capture_payment_made_before",
        "capture_payment_of_a_part",
        "capture_payment_of_the_rest",
        "capture_payment_refused",
        "capture_payment_too_much",
        "capture_payment_under_review",
        "config",
        "extend_authorization",
        "extend_authorization_refused",
        "poll_payouts_first",
        "poll_payouts_next",
        "read_authorization",
        "read_authorization_gone",
        "read_authorization_rejected",
        "read_capture",
        "read_dispute_closed",
        "read_payout",
        "read_refund",
        "receive_dispute_closed",
        "receive_dispute_deadline_extended",
        "receive_dispute_initiated",
        "receive_payment_request_completed",
        "receive_transaction_authorized",
        "refund",
        "refund_made_before",
        "refund_nothing_outstanding",
        "refund_too_much",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check_credentials(&config)?;
        let callback_secrets = config.callback_secret.all();
        if callback_secrets.iter().any(|it| it.expose().chars().count() < LEAST_SECRET) {
            let problem = format!("must have {LEAST_SECRET} characters or more: it is all that proves who calls");
            return Err(ConfigError::new("callback_secret", problem));
        }
        let signing_keys = config.signing_keys.all();
        if signing_keys.iter().any(Secret::is_empty) {
            return Err(ConfigError::new("signing_keys", "one is empty; leave it out"));
        }
        let (base_url, global_url) = addresses(&config)?;
        let endpoint = Endpoint::new(base_url, Auth::Basic(config.username, config.password)).limits(Limits {
            // A playground account may ask 50 times a second, a live one 200 times; other systems ask as well.
            per_second: Some(if config.playground { 20.0 } else { 80.0 }),
            parallel: 8,
            budget: None,
        });
        let connection = Self {
            webhooks: config.webhooks,
            callback_secrets,
            signing_keys,
            global_url,
            api_key: config.api_key,
            playground: config.playground,
            region: config.region,
        };
        Ok((connection, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        // Nothing says who one is; an order that cannot exist is only missed by those who may look.
        match api.get("probe", wire::order_path("00000000-0000-0000-0000-000000000000")).send().await {
            Err(error) if error.class != ErrorClass::Gone => Err(error),
            _ => {
                let kind = if self.playground { "playground" } else { "live" };
                Ok(format!("the credentials hold in region {}, {kind}", self.region.as_str()))
            }
        }
    }
}

impl Region {
    fn as_str(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Na => "na",
            Self::Oc => "oc",
        }
    }

    fn host(self, playground: bool) -> &'static str {
        match (self, playground) {
            (Self::Eu, false) => "https://api.klarna.com",
            (Self::Na, false) => "https://api-na.klarna.com",
            (Self::Oc, false) => "https://api-oc.klarna.com",
            (Self::Eu, true) => "https://api.playground.klarna.com",
            (Self::Na, true) => "https://api-na.playground.klarna.com",
            (Self::Oc, true) => "https://api-oc.playground.klarna.com",
        }
    }
}

/// The API's address, and that of the Klarna Network, which is one for all regions. They must not be one: each has
/// credentials of its own.
fn addresses(config: &Config) -> Result<(String, String), ConfigError> {
    let global = if config.playground { "https://api-global.test.klarna.com" } else { "https://api-global.klarna.com" };
    let base = base_url(
        "base_url",
        config.base_url.as_deref().unwrap_or(config.region.host(config.playground)),
        "https://api.klarna.com",
    )?;
    let global = base_url("global_url", config.global_url.as_deref().unwrap_or(global), "https://api-global.klarna.com")?;
    if config.api_key.is_some() && config.base_url.is_some() && config.global_url.is_none() {
        return Err(ConfigError::new("global_url", "is missing: with `base_url`, disputes are not read at Klarna itself either"));
    }
    if base == global {
        return Err(ConfigError::new("global_url", "expected another address than `base_url`: each has its own credentials"));
    }
    Ok((base, global))
}

fn check_credentials(config: &Config) -> Result<(), ConfigError> {
    if config.username.is_empty() || config.username.contains(':') {
        return Err(ConfigError::new("username", "expected the user name of the API credentials, as in `K123456_abcdef012345`"));
    }
    if config.password.is_empty() {
        return Err(ConfigError::new("password", "is empty; expected the password of the API credentials"));
    }
    if config.api_key.as_ref().is_some_and(Secret::is_empty) {
        return Err(ConfigError::new("api_key", "is empty; leave it out where there is none"));
    }
    Ok(())
}
