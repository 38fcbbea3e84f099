//! What stands in a connector's `lib.rs`: the settings, the abilities, where the vendor is and how to log in.

use crate::wire;
use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret,
    Secrets, TokenGrant, Verdict, base_url, checks_out, finds_pickup_points, performs, performs_batch, polls, quotes, reads,
    receives, subscribes, tracks,
};
use spindel_model::{BookShipment, CapturePayment, ErrorClass, OrderRef, RefundOrder, SetStock, StockLevel, Transaction};

/// One account.
pub struct Acme {
    pub webhook_secrets: Vec<Secret>,
}

/// Settings of a connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the API: `https://api.acme.example`
    url: String,
    client_id: Secret,
    /// From Settings, API keys
    client_secret: Secret,
    /// Sign the webhooks, beside those that Acme gives when it is subscribed to; several while one is being changed
    #[serde(default)]
    webhook_secrets: Secrets,
}

impl Connector for Acme {
    const INFO: Info = Info { id: "acme", name: "Acme", kind: Kind::Shipping, about: "Everything, for everybody" };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[
        receives::<Self>(),
        performs_batch::<SetStock, Self>(),
        performs::<CapturePayment, Self>(),
        performs::<RefundOrder, Self>(),
        performs::<BookShipment, Self>(),
        reads::<(OrderRef, Transaction), Self>(),
        polls::<StockLevel, Self>(),
        subscribes::<Self>(),
        tracks::<Self>(),
        quotes::<Self>(),
        finds_pickup_points::<Self>(),
        checks_out::<Self>(),
    ];
    const FIXTURES: &'static [Fixture] = FIXTURES;

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        let url = base_url("url", &config.url, "https://api.acme.example")?;
        let grant = vec![
            ("grant_type", Secret::new("client_credentials")),
            ("client_id", config.client_id),
            ("client_secret", config.client_secret),
        ];
        let auth = Auth::Token(TokenGrant::new("/oauth/token", BodyEncoding::Form, grant));
        let endpoint = Endpoint::new(url, auth).limits(Limits { per_second: Some(10.0), ..Limits::default() });
        Ok((Self { webhook_secrets: config.webhook_secrets.all() }, endpoint))
    }

    /// Failures come with status 200.
    fn refine(reply: &Reply) -> Option<Verdict> {
        let failed: wire::Failed = reply.json().ok().filter(|_| reply.status == 200)?;
        let class = if failed.error == "busy" { ErrorClass::RateLimited } else { ErrorClass::Data };
        Some(Verdict::new(class, format!("Acme answers `{}`", failed.error)))
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let account: wire::Account = api.get("probe", "/account").fetch().await?;
        Ok(account.name)
    }
}

macro_rules! listed {
    ($($name:literal),* $(,)?) => {
        &[$(Fixture { name: $name, json: include_str!(concat!("fixtures/", $name, ".json")) }),*]
    };
}

/// As `fixtures![…]` of a connector, which looks into the folder of its crate.
const FIXTURES: &[Fixture] = listed![
    "config",
    "receive_parcel",
    "receive_payment",
    "receive_with_kept_secret",
    "set_stock",
    "set_stock_one_refused",
    "capture_payment",
    "capture_payment_without_payment",
    "refund",
    "refund_refused",
    "book_shipment",
    "book_shipment_refused",
    "book_shipment_look_up_found",
    "book_shipment_look_up_none",
    "read_transaction",
    "poll_stock",
    "subscribe_list",
    "subscribe_register",
    "subscribe_repair",
    "track",
    "quote",
    "pickup_points",
    "checkout",
];
