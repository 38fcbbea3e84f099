//! Microsoft Dynamics 365 Business Central, over its API v2.0: orders, payments, refunds and customers go in;
//! stock, prices, shipments and customers come out.

mod mark;
mod perform;
mod poll;
mod problem;
mod read;
mod receive;
mod subscribe;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret,
    Secrets, TokenGrant, Verdict, fixtures, performs, polls, reads, receives, subscribes,
};
use spindel_model::{
    BookIn, CancelOrder, Currency, Customer, Price, PushOrder, RecordPayment, RecordRefund, Shipment, StockLevel, UpsertCustomer,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One company of one environment.
pub struct BusinessCentral {
    config: Config,
    company: Uuid,
    /// Of the company: the one that Business Central leaves out.
    currency: Currency,
    secrets: Vec<Secret>,
}

/// Settings of a connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Microsoft Entra tenant: its id, or its domain (`example.onmicrosoft.com`)
    tenant: String,
    /// Environment, as the admin center names it
    #[serde(default = "production")]
    environment: String,
    /// Id of the company (a GUID)
    company: String,
    /// Application (client) id of the app registration in Microsoft Entra
    client_id: String,
    /// Client secret of that app
    client_secret: Secret,
    /// Long random text that every notification must bring back (`clientState`); several while it is being changed
    #[serde(default)]
    webhook_secret: Secrets,
    /// Local currency of the company: `NOK`
    currency: String,
    /// Currency in which orders are booked: the shop's own (`shop`) or the one the buyer saw (`presentment`)
    #[serde(default)]
    #[schemars(with = "spindel_connect::Books")]
    book_in: BookIn,
    /// Whether the customers of web orders have prices including VAT in Business Central; only the first guess, orders tell
    #[serde(default)]
    prices_include_tax: bool,
    /// A customer of its own for each buyer, found by e-mail address (`each`), or all orders on `customer` (`one`)
    #[serde(default)]
    customers: Customers,
    /// Number of the customer for all orders (`customers = "one"`), or for those without an e-mail address
    #[serde(default)]
    customer: Option<String>,
    /// Text put before the order number, by the connection that orders come from; needed where two shops count alike
    #[serde(default)]
    prefixes: BTreeMap<String, String>,
    /// What shipping is booked on: `{ account = "3410" }`, `{ item = "FRAKT" }`, `{ charge = "FREIGHT" }` or `{ resource = "…" }`
    #[serde(default)]
    shipping: Option<Object>,
    /// What tips, duties and fees are booked on
    #[serde(default)]
    charge: Option<Object>,
    /// What roundings are booked on, without VAT
    #[serde(default)]
    rounding: Option<Object>,
    /// What refunds are booked on that bring no goods back
    #[serde(default)]
    refund: Option<Object>,
    /// What order lines without SKU are booked on
    #[serde(default)]
    custom: Option<Object>,
    /// Name of the place whose stock is reported: Business Central says no more than the sum of all places
    #[serde(default = "main")]
    location: String,
    /// Address of the API, where it is not Microsoft's cloud: `https://erp.example.com:7048/BC/api/v2.0`
    #[serde(default)]
    url: Option<String>,
    /// Address that gives tokens, where it is not Microsoft's cloud
    #[serde(default)]
    token_url: Option<String>,
}

/// What a line is booked on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Object {
    /// Number of a G/L account
    Account(String),
    /// Number of an item
    Item(String),
    /// Number of an item charge
    Charge(String),
    /// Number of a resource
    Resource(String),
}

impl Object {
    /// As `lineType` says it, and the number.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Account(number) => ("Account", number),
            Self::Item(number) => ("Item", number),
            Self::Charge(number) => ("Charge", number),
            Self::Resource(number) => ("Resource", number),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Customers {
    #[default]
    Each,
    One,
}

fn production() -> String {
    "production".to_owned()
}

fn main() -> String {
    "MAIN".to_owned()
}

impl Connector for BusinessCentral {
    const INFO: Info = Info {
        id: "business-central",
        name: "Business Central",
        kind: Kind::Erp,
        about: "ERP, API v2.0: orders, payments, credit memos, customers, stock, prices, shipments",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[
        receives::<Self>(),
        performs::<PushOrder, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<RecordRefund, Self>(),
        performs::<UpsertCustomer, Self>(),
        reads::<Price, Self>(),
        reads::<Customer, Self>(),
        polls::<StockLevel, Self>(),
        polls::<Price, Self>(),
        polls::<Shipment, Self>(),
        polls::<Customer, Self>(),
        subscribes::<Self>(),
    ];
    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_order",
        "cancel_order_entered_by_people",
        "cancel_order_invoiced",
        "cancel_order_unknown",
        "config",
        "poll_customer",
        "poll_price",
        "poll_shipment",
        "poll_stock_entries",
        "poll_stock_first",
        "push_order_cancelled",
        "push_order_changed_meanwhile",
        "push_order_deleted_by_people",
        "push_order_edited",
        "push_order_entered_by_people",
        "push_order_invoiced",
        "push_order_look_up_found",
        "push_order_look_up_none",
        "push_order_new",
        "push_order_of_another_shop",
        "push_order_other_basis",
        "push_order_rounded",
        "push_order_same_key",
        "push_order_tax_without_map",
        "push_order_totals_mismatch",
        "push_order_unchanged",
        "push_order_without_email",
        "read_customer",
        "read_price",
        "receive_collection",
        "receive_notifications",
        "record_payment",
        "record_payment_foreign",
        "record_payment_look_up_found",
        "record_payment_look_up_none",
        "record_payment_void",
        "record_refund",
        "record_refund_look_up_found",
        "record_refund_look_up_none",
        "record_refund_not_invoiced",
        "record_refund_shipping",
        "subscribe_again",
        "subscribe_list",
        "subscribe_register",
        "upsert_customer_by_email",
        "upsert_customer_known",
        "upsert_customer_look_up_found",
        "upsert_customer_look_up_none",
        "upsert_customer_new",
        "upsert_customer_without_email",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check(&config)?;
        let company = config
            .company
            .parse()
            .map_err(|_| ConfigError::new("company", "expected the company's id, a GUID; `GET companies` lists them"))?;
        let currency =
            config.currency.parse().map_err(|_| ConfigError::new("currency", "expected a currency code such as `NOK`"))?;
        let base = base_url(&config)?;
        let endpoint = Endpoint::new(base, Auth::Token(grant(&config)))
            // Texts of errors, and the form of numbers and dates, follow the language.
            .header("accept-language", "en-US")
            // 6000 calls in five minutes and 5 at a time, for each user; a little is left for others.
            .limits(Limits { per_second: Some(18.0), parallel: 5, budget: None });
        let secrets = config.webhook_secret.all();
        Ok((Self { config, company, currency, secrets }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        problem::read(reply.status, &reply.body)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Company {
            name: String,
            #[serde(default)]
            display_name: String,
        }
        let it: Company = api.get("probe", self.path("")).fetch().await?;
        let name = if it.display_name.is_empty() { it.name } else { it.display_name };
        Ok(format!("{name}, environment {}", self.config.environment))
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let is_name = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || "-._".contains(it));
    if !is_name(&config.tenant) {
        return Err(ConfigError::new("tenant", "expected the tenant's id or its domain, such as `example.onmicrosoft.com`"));
    }
    if !is_name(&config.environment) {
        return Err(ConfigError::new("environment", "expected the environment's name, such as `production`"));
    }
    if config.client_id.trim().is_empty() {
        return Err(ConfigError::new("client_id", "is empty; it is the application id of the app registration"));
    }
    if config.client_secret.is_empty() {
        return Err(ConfigError::new("client_secret", "is empty; make one in Microsoft Entra under Certificates & secrets"));
    }
    for secret in config.webhook_secret.all() {
        // Nothing else proves a notification. A request may repeat it a thousand times, and one that is too large to be taken
        // ends the subscription.
        if !(16..=256).contains(&secret.expose().chars().count()) {
            return Err(ConfigError::new("webhook_secret", "expected between 16 and 256 characters, by chance"));
        }
    }
    if config.customers == Customers::One && config.customer.as_deref().is_none_or(|it| it.trim().is_empty()) {
        return Err(ConfigError::new("customer", "is needed with `customers = \"one\"`: the number of that customer"));
    }
    Ok(())
}

fn base_url(config: &Config) -> Result<String, ConfigError> {
    let Some(url) = &config.url else {
        return Ok(format!("https://api.businesscentral.dynamics.com/v2.0/{}/{}/api/v2.0", config.tenant, config.environment));
    };
    spindel_connect::base_url("url", url, "https://erp.example.com:7048/BC/api/v2.0")
}

fn grant(config: &Config) -> TokenGrant {
    let cloud = || format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", config.tenant);
    let fields = vec![
        ("grant_type", Secret::new("client_credentials")),
        ("client_id", Secret::new(&config.client_id)),
        ("client_secret", config.client_secret.clone()),
        ("scope", Secret::new("https://api.businesscentral.dynamics.com/.default")),
    ];
    TokenGrant::new(config.token_url.clone().unwrap_or_else(cloud), BodyEncoding::Form, fields)
}

impl BusinessCentral {
    /// Below the company: `/companies(…)/salesOrders`.
    fn path(&self, below: &str) -> String {
        let slash = if below.is_empty() { "" } else { "/" };
        format!("/companies({}){slash}{below}", self.company)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn settings(change: Value) -> Result<(BusinessCentral, Endpoint), ConfigError> {
        let json = BusinessCentral::FIXTURES.iter().find(|it| it.name == "config").unwrap().json;
        let mut settings: Value = serde_json::from_str(json).unwrap();
        for (key, value) in change.as_object().unwrap() {
            settings[key] = value.clone();
        }
        BusinessCentral::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn a_setting_that_cannot_be_worked_with_is_named() {
        for (change, field) in [
            (json!({ "tenant": "" }), "tenant"),
            (json!({ "tenant": "a/b" }), "tenant"),
            (json!({ "environment": "prod/../x" }), "environment"),
            (json!({ "company": "Fjord AS" }), "company"),
            (json!({ "client_id": " " }), "client_id"),
            (json!({ "client_secret": "" }), "client_secret"),
            (json!({ "webhook_secret": "short" }), "webhook_secret"),
            (json!({ "webhook_secret": "a".repeat(300) }), "webhook_secret"),
            (json!({ "currency": "kroner" }), "currency"),
            (json!({ "customers": "one", "customer": null }), "customer"),
            (json!({ "url": "erp.example.com" }), "url"),
        ] {
            let error = settings(change).err().unwrap();
            assert_eq!(error.field, field, "{error}");
        }
    }

    #[test]
    fn the_cloud_is_called_below_tenant_and_environment_and_never_faster_than_it_allows() {
        let (_, endpoint) = settings(json!({})).ok().unwrap();
        assert_eq!(endpoint.base_url, "https://api.businesscentral.dynamics.com/v2.0/fjord.onmicrosoft.com/production/api/v2.0");
        assert!(endpoint.limits.per_second.is_some_and(|it| it <= 20.0) && endpoint.limits.parallel <= 5);
        let Auth::Token(grant) = endpoint.auth else { panic!("no token") };
        assert_eq!(grant.url, "https://login.microsoftonline.com/fjord.onmicrosoft.com/oauth2/v2.0/token");
        let fields: Vec<_> = grant.fields.iter().map(|(name, value)| (*name, value.expose())).collect();
        assert!(fields.contains(&("grant_type", "client_credentials")));
        assert!(fields.contains(&("scope", "https://api.businesscentral.dynamics.com/.default")));
    }

    #[test]
    fn another_address_takes_the_place_of_the_cloud() {
        let change = json!({ "url": "http://127.0.0.1:9000/api/v2.0/", "token_url": "http://127.0.0.1:9000/token" });
        let (_, endpoint) = settings(change).ok().unwrap();
        assert_eq!(endpoint.base_url, "http://127.0.0.1:9000/api/v2.0");
        let Auth::Token(grant) = endpoint.auth else { panic!("no token") };
        assert_eq!(grant.url, "http://127.0.0.1:9000/token");
    }
}
