//! Tryton 8 as an ERP, over its JSON-RPC: orders, payments, refunds and customers go in; stock, prices and shipments come out.

mod perform;
mod poll;
mod problem;
mod records;
mod rpc;
mod wire;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, Books, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits,
    ProductKey, Reply, Secret, TokenGrant, Verdict, base_url, fixtures, performs, polls, reads,
};
use spindel_model::{BookIn, CancelOrder, Price, PushOrder, RecordPayment, RecordRefund, Shipment, StockLevel, UpsertCustomer};

/// One company of one Tryton database.
pub struct Tryton {
    config: Config,
}

/// Settings of a connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the server, without the database: `https://erp.example.com`
    url: String,
    /// Name of the database
    database: String,
    /// Login of the user whom Spindel works as
    user: String,
    /// Password of that user
    password: Secret,
    /// Id of the company that everything is booked in
    #[serde(default = "first")]
    company: i64,
    /// Id of the web shop (Product, Web Shops) that orders are booked for; with the order's id it is what makes one unique
    web_shop: i64,
    /// Currency in which orders are booked: the shop's own (`shop`) or the one the buyer saw (`presentment`)
    #[serde(default)]
    #[schemars(with = "Books")]
    book_in: BookIn,
    /// Id of the warehouse that orders are sent from; needed when there are several
    #[serde(default)]
    warehouse: Option<i64>,
    /// Ids of the warehouses whose stock is polled; without it, all of them
    #[serde(default)]
    stock_warehouses: Vec<i64>,
    /// Id of the price list whose prices are polled; without it, list prices
    #[serde(default)]
    price_list: Option<i64>,
    /// Service product for shipping lines: its code (text) or the id of the variant (number)
    #[serde(default)]
    shipping_product: Option<ProductKey>,
    /// Service product for rounding lines, without taxes: code or id
    #[serde(default)]
    rounding_product: Option<ProductKey>,
    /// Service product for tips, duties and fees, and for refunds of no certain line: code or id
    #[serde(default)]
    charge_product: Option<ProductKey>,
    /// Product for order lines that have no SKU: code or id
    #[serde(default)]
    custom_product: Option<ProductKey>,
    /// When an invoice is made: as soon as an order is processed (`order`) or for what was shipped (`fulfillment`)
    #[serde(default)]
    invoice: InvoiceMethod,
    /// Confirm orders, so that they are invoiced and shipped; `false` leaves quotations
    #[serde(default = "yes")]
    confirm: bool,
    /// Answer Tryton's warnings ("are you sure?") with yes; `false` leaves such an action to a person
    #[serde(default = "yes")]
    accept_warnings: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoiceMethod {
    #[default]
    Order,
    Fulfillment,
}

impl InvoiceMethod {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Fulfillment => "fulfillment",
        }
    }
}

fn yes() -> bool {
    true
}

fn first() -> i64 {
    1
}

impl Connector for Tryton {
    const INFO: Info = Info {
        id: "tryton",
        name: "Tryton",
        kind: Kind::Erp,
        about: "ERP, version 8 and later: orders, invoices, payments, credit notes, customers, stock, prices, shipments",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[
        performs::<PushOrder, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<RecordRefund, Self>(),
        performs::<UpsertCustomer, Self>(),
        reads::<StockLevel, Self>(),
        reads::<Shipment, Self>(),
        polls::<StockLevel, Self>(),
        polls::<Price, Self>(),
        polls::<Shipment, Self>(),
    ];
    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_order_draft",
        "cancel_order_processing",
        "cancel_order_again",
        "cancel_order_unknown",
        "config",
        "poll_price",
        "poll_price_list_changed",
        "poll_shipment",
        "poll_stock_first",
        "poll_stock_changed",
        "push_order_new",
        "push_order_guest_without_address",
        "push_order_cancelled",
        "push_order_edited",
        "push_order_unchanged",
        "push_order_processing_conflict",
        "push_order_cancelled_in_tryton",
        "push_order_unknown_sku",
        "push_order_tax_without_map",
        "push_order_totals_mismatch",
        "push_order_without_web_shop",
        "push_order_look_up_found",
        "push_order_look_up_none",
        "read_shipment",
        "read_shipment_none",
        "read_stock",
        "read_stock_none",
        "record_payment",
        "record_payment_partial",
        "record_payment_authorization",
        "record_payment_without_map",
        "record_payment_before_processing",
        "record_payment_concurrency",
        "record_payment_look_up_found",
        "record_payment_look_up_none",
        "record_refund",
        "record_refund_again",
        "record_refund_never_invoiced",
        "record_refund_of_unknown_line",
        "record_refund_look_up_found",
        "record_refund_look_up_none",
        "upsert_customer_new",
        "upsert_customer_known",
        "upsert_customer_refused",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check(&config)?;
        let base_url = base_url("url", &config.url, "https://erp.example.com")?;
        let endpoint = Endpoint::new(base_url, Auth::Token(login(&config)))
            // Each call is a transaction of its own, and those of one order hold each other up.
            .limits(Limits { parallel: 4, ..Limits::default() });
        Ok((Self { config }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        problem::read(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        const OPERATION: &str = "who_am_i";
        let rpc = self.rpc(api);
        let series: String = rpc.server_version().await?;
        let preferences: records::Preferences = rpc.call(OPERATION, "model.res.user.get_preferences", vec![json!(true)]).await?;
        if !preferences.companies.contains(&self.config.company) {
            let problem = format!(
                "`company`: the user may not work in the company with id {}, but in {:?}",
                self.config.company, preferences.companies
            );
            return Err(CallError::config(OPERATION, problem));
        }
        let shop = rpc.web_shop(OPERATION).await?;
        Ok(format!("Tryton {series}, web shop {}, as {}", shop.name, self.config.user))
    }
}

/// A session is opened with login and password; `[user id, token, …]` is the answer.
fn login(config: &Config) -> TokenGrant {
    let mut grant = TokenGrant::new(rpc::path(&config.database), BodyEncoding::Json, Vec::new());
    let parameters = json!([config.user, { "password": config.password.expose() }]);
    let body = json!({ "id": 0, "method": "common.db.login", "params": parameters });
    grant.body = Some(Secret::new(body.to_string()));
    grant.header = ("authorization", "Session ");
    let user = config.user.clone();
    grant.read = Some(Box::new(move |answer: &Value| {
        let id = answer.pointer("/result/0")?.as_i64()?;
        let token = answer.pointer("/result/1")?.as_str()?;
        Some((Secret::new(STANDARD.encode(format!("{user}:{id}:{token}"))), None))
    }));
    grant
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    if config.database.is_empty() || !config.database.chars().all(fits) {
        return Err(ConfigError::new("database", "expected the name of the database: letters, digits, `_`, `-` and `.`"));
    }
    if config.user.is_empty() {
        return Err(ConfigError::new("user", "is empty; expected the login of a Tryton user"));
    }
    if config.password.is_empty() {
        return Err(ConfigError::new("password", "is empty; expected the password of `user`"));
    }
    for (field, id) in [("company", config.company), ("web_shop", config.web_shop)] {
        if id < 1 {
            return Err(ConfigError::new(field, "expected an id, which is a number from 1 on"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(change: Value) -> Result<(Tryton, Endpoint), ConfigError> {
        let mut settings =
            json!({ "url": "https://erp.example.com/", "database": "hub", "user": "a:b", "password": "p\"w", "web_shop": 1 });
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Tryton::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (change, field) in [
            (json!({}), ""),
            (json!({ "url": "erp.example.com" }), "url"),
            (json!({ "url": "https://" }), "url"),
            (json!({ "database": "" }), "database"),
            (json!({ "database": "a/b" }), "database"),
            (json!({ "user": "" }), "user"),
            (json!({ "password": "" }), "password"),
            (json!({ "web_shop": 0 }), "web_shop"),
            (json!({ "company": -1 }), "company"),
        ] {
            assert_eq!(connect(change.clone()).err().map(|it| it.field).unwrap_or_default(), field, "{change}");
        }
    }

    #[test]
    fn a_session_is_opened_by_login_and_goes_with_every_call() {
        let (_, endpoint) = connect(json!({})).unwrap();
        assert_eq!(endpoint.base_url, "https://erp.example.com");
        let Auth::Token(grant) = endpoint.auth else { panic!("no session") };
        assert_eq!((grant.url.as_str(), grant.header), ("/hub/rpc/", ("authorization", "Session ")));
        let body: Value = serde_json::from_str(grant.body.as_ref().unwrap().expose()).unwrap();
        assert_eq!(body, json!({ "id": 0, "method": "common.db.login", "params": ["a:b", { "password": "p\"w" }] }));
        let read = grant.read.unwrap();
        let (token, expires) = read(&json!({ "id": 0, "result": [7, "c0ffee", null] })).unwrap();
        assert_eq!((STANDARD.decode(token.expose()).unwrap().as_slice(), expires), (b"a:b:7:c0ffee".as_slice(), None));
        for answer in [json!({ "id": 0, "error": ["LoginException", []] }), json!({ "id": 0, "result": null }), json!([])] {
            assert!(read(&answer).is_none(), "{answer}");
        }
    }
}
