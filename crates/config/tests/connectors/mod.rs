//! Three small connectors for the tests of the config: a shop that sends webhooks, an ERP that is polled, and a carrier.

use serde::Deserialize;
use spindel_connect::*;
use spindel_model::{BookShipment, Order, Performed, PushOrder, Rate, RateRequest, SetStock, StockLevel, Timestamp};
use std::collections::BTreeMap;

pub static CATALOG: &[Entry] = &[entry::<Ledger>(), entry::<Parcels>(), entry::<Stall>()];

/// A shop.
pub struct Stall {
    pub url: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct StallConfig {
    /// Address of the shop.
    url: String,
    /// Key of the shop's API.
    api_key: Secret,
    /// Secrets that webhooks are signed with.
    #[serde(default)]
    webhook_secrets: Secrets,
    /// How the shop rounds.
    rounding: Option<Rounding>,
    /// Headers of one's own.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// Where parcels leave.
    warehouse: Option<Warehouse>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    Up,
    Down,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Warehouse {
    /// Its name at the shop.
    name: String,
    /// Days until a parcel leaves.
    days: Option<u32>,
}

impl Connector for Stall {
    const INFO: Info = Info { id: "stall", name: "Stall", kind: Kind::Shop, about: "a shop for tests" };
    type Config = StallConfig;
    const ABILITIES: &'static [Ability<Self>] = &[receives(), performs::<SetStock, Self>(), reads::<Order, Self>()];
    const FIXTURES: &'static [Fixture] = &[Fixture {
        name: "receive_order",
        json: r#"{"ability": "receive", "shows": "an order", "maps": {"location": {"A": "B"}}, "expect": []}"#,
    }];

    fn connect(config: StallConfig) -> Result<(Self, Endpoint), ConfigError> {
        if !config.url.starts_with("https://") {
            return Err(ConfigError::new("url", "expected an address such as `https://stall.example.no`"));
        }
        if config.api_key.expose().len() < 8 {
            return Err(ConfigError::new("api_key", "is shorter than 8 characters"));
        }
        let endpoint = Endpoint::new(config.url.clone(), Auth::Bearer(config.api_key));
        Ok((Self { url: config.url }, endpoint))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok(self.url.clone())
    }
}

impl Receive for Stall {
    fn proof(&self, _kept: &[spindel_connect::Secret]) -> Proof {
        Proof::Hmac(Proof::hmac("x-stall-signature"))
    }

    fn topic(&self, _: &Verified) -> Result<String, ParseError> {
        Ok("order".into())
    }

    fn delivery_key(&self, _: &Verified) -> Option<String> {
        None
    }

    fn changes(&self, _: &Verified) -> Result<Vec<spindel_model::Change>, ParseError> {
        Ok(Vec::new())
    }
}

impl Perform<SetStock> for Stall {
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, _: &Api, _: Ask<'_, SetStock>) -> Result<Performed, CallError> {
        Err(CallError::transient("set_stock", "not for tests"))
    }
}

impl Read<Order> for Stall {
    async fn read(&self, _: &Api, _: &str) -> Result<Option<Order>, CallError> {
        Ok(None)
    }
}

/// An ERP.
pub struct Ledger;

#[derive(Deserialize, schemars::JsonSchema)]
#[allow(dead_code)]
pub struct LedgerConfig {
    /// Address of the ledger.
    url: String,
    /// The password of the user.
    password: Secret,
}

impl Connector for Ledger {
    const INFO: Info = Info { id: "ledger", name: "Ledger", kind: Kind::Erp, about: "an ERP for tests" };
    type Config = LedgerConfig;
    const ABILITIES: &'static [Ability<Self>] = &[performs::<PushOrder, Self>(), polls::<StockLevel, Self>()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(config: LedgerConfig) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, Endpoint::new(config.url, Auth::Bearer(config.password))))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok("ledger".into())
    }
}

impl Perform<PushOrder> for Ledger {
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, _: &Api, _: Ask<'_, PushOrder>) -> Result<Performed, CallError> {
        Err(CallError::transient("push_order", "not for tests"))
    }
}

impl Poll<StockLevel> for Ledger {
    async fn page(&self, _: &Api, _: Option<&Cursor>, _: Timestamp) -> Result<Page, CallError> {
        Ok(Page { changes: Vec::new(), cursor: Cursor(String::new()), more: false })
    }
}

/// A carrier: it tells of the parcels that were booked with it, and sends nothing.
pub struct Parcels;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParcelsConfig {}

impl Connector for Parcels {
    const INFO: Info = Info { id: "parcels", name: "Parcels", kind: Kind::Shipping, about: "a carrier for tests" };
    type Config = ParcelsConfig;
    const ABILITIES: &'static [Ability<Self>] = &[performs::<BookShipment, Self>(), quotes::<Self>()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(_: ParcelsConfig) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, Endpoint::new("https://parcels.example.no", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok("parcels".into())
    }
}

impl Perform<BookShipment> for Parcels {
    const REPEAT: Repeat = Repeat::Unsafe;

    async fn perform(&self, _: &Api, _: Ask<'_, BookShipment>) -> Result<Performed, CallError> {
        Err(CallError::transient("book_shipment", "not for tests"))
    }
}

impl Quote for Parcels {
    async fn quote(&self, _: &Api, _: &RateRequest) -> Result<Vec<Rate>, CallError> {
        Ok(Vec::new())
    }
}
