//! Odoo 19 as an ERP, over its JSON-2 API: orders, payments, refunds and customers go in; stock, prices and shipments come out.

mod identity;
mod perform;
mod poll;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, Books, CallError, ConfigError, Connector, Effect, Endpoint, Fixture, Info, Kind, Limits, ProductKey,
    Reply, Secret, Verdict, base_url, fixtures, performs, polls,
};
use spindel_model::{
    BookIn, CancelOrder, ErrorClass, Price, PushOrder, RecordPayment, RecordRefund, Shipment, StockLevel, UpsertCustomer,
};
use std::collections::BTreeMap;

/// One Odoo database, through the eyes of the user who owns the API key.
pub struct Odoo {
    config: Config,
}

/// Settings of a connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the server: `https://erp.example.com`
    url: String,
    /// Name of the database; needed when the server holds several
    #[serde(default)]
    database: Option<String>,
    /// API key of an Odoo user (Preferences, Account security)
    api_key: Secret,
    /// Currency in which orders are booked: the shop's own (`shop`) or the one the buyer saw (`presentment`)
    #[serde(default)]
    #[schemars(with = "Books")]
    book_in: BookIn,
    /// First part of the external ids under which Spindel finds its records again; never change it later
    #[serde(default = "default_namespace")]
    namespace: String,
    /// Service product for shipping lines: its internal reference (text) or its id (number)
    #[serde(default)]
    shipping_product: Option<ProductKey>,
    /// Service product for discount lines: internal reference or id
    #[serde(default)]
    discount_product: Option<ProductKey>,
    /// Service product for rounding lines, without taxes: internal reference or id
    #[serde(default)]
    rounding_product: Option<ProductKey>,
    /// Service product for tips, duties and fees, and for refunds of no certain line: internal reference or id
    #[serde(default)]
    charge_product: Option<ProductKey>,
    /// Product for order lines that have no SKU: internal reference or id
    #[serde(default)]
    custom_product: Option<ProductKey>,
    /// Price list for each currency, by id; needed where Odoo has several price lists in one currency
    #[serde(default)]
    pricelists: BTreeMap<String, i64>,
    /// Confirm orders, so that they are delivered; `false` leaves quotations
    #[serde(default = "yes")]
    confirm: bool,
}

fn default_namespace() -> String {
    "spindel".to_owned()
}

fn yes() -> bool {
    true
}

impl Connector for Odoo {
    const INFO: Info = Info {
        id: "odoo",
        name: "Odoo",
        kind: Kind::Erp,
        about: "ERP, version 19 and later: orders, invoices, payments, refunds, customers, stock, prices, shipments",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[
        performs::<PushOrder, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<RecordRefund, Self>(),
        performs::<UpsertCustomer, Self>(),
        polls::<StockLevel, Self>(),
        polls::<Price, Self>(),
        polls::<Shipment, Self>(),
    ];
    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_order",
        "cancel_order_again",
        "cancel_order_unknown",
        "config",
        "poll_price",
        "poll_shipment",
        "poll_stock",
        "push_order_cancelled",
        "push_order_conflict",
        "push_order_edited",
        "push_order_look_up_found",
        "push_order_look_up_other_version",
        "push_order_new",
        "push_order_tax_without_map",
        "push_order_totals_mismatch",
        "push_order_unchanged",
        "push_order_unknown_sku",
        "record_payment",
        "record_payment_authorization",
        "record_payment_look_up_found",
        "record_payment_look_up_none",
        "record_payment_without_journal",
        "record_refund",
        "record_refund_look_up_found",
        "record_refund_look_up_none",
        "record_refund_never_invoiced",
        "record_refund_of_unknown_order",
        "upsert_customer",
        "upsert_customer_refused",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check(&config)?;
        let base_url = base_url("url", &config.url, "https://erp.example.com")?;
        let mut endpoint = Endpoint::new(base_url, Auth::Bearer(config.api_key.clone()))
            // More at once only makes Odoo's own retries of conflicting transactions slower.
            .limits(Limits { parallel: 4, ..Limits::default() });
        if let Some(database) = &config.database {
            endpoint = endpoint.header("x-odoo-database", database);
        }
        Ok((Self { config }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        let problem: wire::Problem = serde_json::from_slice(&reply.body).ok().filter(|_| reply.status >= 400)?;
        let class = match (reply.status, problem.kind()) {
            (401 | 403, _) => ErrorClass::Auth,
            (404, "MissingError") => ErrorClass::Gone,
            // A model or method that is not there: a module is not installed, or the version is too old.
            (404, _) => ErrorClass::Config,
            (400 | 422, _) => ErrorClass::Data,
            (500, _) if problem.is_conflict() => ErrorClass::Transient,
            (500, _) => ErrorClass::Bug,
            _ => return None,
        };
        // One call is one transaction: a reported failure was rolled back.
        Some(Verdict { class, message: problem.first_line(), retry_after: None, effect: Effect::None })
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let server: wire::Server = api.get("version", "/web/version").fetch().await?;
        let session: wire::Session = wire::call(api, "who_am_i", "res.users", "context_get", &serde_json::json!({})).await?;
        let users: Vec<wire::User> = wire::read(api, "who_am_i", "res.users", &[session.uid], &["name", "company_id"]).await?;
        let user = users.first().ok_or_else(|| CallError::unexpected("who_am_i", "Odoo does not show the key's own user"))?;
        let company = user.company_id.as_ref().map_or("no company", |it| it.name());
        Ok(format!("Odoo {}, {company}, as {}", server.version, user.name))
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    if config.api_key.is_empty() {
        return Err(ConfigError::new("api_key", "is empty; make one in Odoo under Preferences, Account security"));
    }
    let letters = |it: char| it.is_ascii_alphanumeric() || it == '_';
    if config.namespace.is_empty() || !config.namespace.chars().all(letters) {
        return Err(ConfigError::new("namespace", "expected letters, digits and `_` only, as in `spindel`"));
    }
    for code in config.pricelists.keys() {
        if code.parse::<spindel_model::Currency>().is_err() {
            return Err(ConfigError::new(format!("pricelists.{code}"), "expected a currency code such as `NOK`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refined(status: u16, name: &str, message: &str) -> Option<(ErrorClass, String)> {
        let body = json!({ "name": name, "message": message, "debug": "Traceback: /srv/odoo, kari@example.no" });
        let reply = Reply { status, headers: Default::default(), body: body.to_string().into() };
        Odoo::refine(&reply).map(|it| {
            assert_eq!(it.effect, Effect::None);
            (it.class, it.message)
        })
    }

    #[test]
    fn failures_are_read_by_status_and_exception() {
        for (status, name, message, class) in [
            (401, "werkzeug.exceptions.Unauthorized", "Invalid apikey", ErrorClass::Auth),
            (403, "odoo.exceptions.AccessError", "You are not allowed", ErrorClass::Auth),
            (404, "odoo.exceptions.MissingError", "Record does not exist", ErrorClass::Gone),
            (404, "werkzeug.exceptions.NotFound", "the model 'sale.order' does not exist", ErrorClass::Config),
            (422, "odoo.exceptions.UserError", "You cannot do this", ErrorClass::Data),
            (500, "builtins.ValueError", "Invalid field 'x' on 'sale.order'", ErrorClass::Bug),
            (500, "psycopg2.errors.SerializationFailure", "could not serialize access", ErrorClass::Transient),
            (500, "psycopg2.errors.LockNotAvailable", "could not obtain lock on row", ErrorClass::Transient),
            (500, "psycopg2.OperationalError", "server closed the connection", ErrorClass::Transient),
        ] {
            assert_eq!(refined(status, name, message).map(|it| it.0), Some(class), "{status} {name}");
        }
    }

    #[test]
    fn a_message_is_its_first_line_and_never_the_traceback() {
        let (_, message) = refined(422, "odoo.exceptions.UserError", "Not so.\nSELECT secret").unwrap();
        assert_eq!(message, "UserError: Not so.");
    }

    #[test]
    fn what_is_not_of_odoo_is_left_to_the_status_table() {
        let page = Reply { status: 500, headers: Default::default(), body: "<html>".into() };
        assert_eq!(Odoo::refine(&page), None);
        assert_eq!(refined(503, "werkzeug.exceptions.ServiceUnavailable", "busy"), None);
        assert_eq!(refined(429, "werkzeug.exceptions.TooManyRequests", "slow down"), None);
    }

    fn refused(change: Value) -> String {
        let mut settings = json!({ "url": "https://erp.example.com", "api_key": "k" });
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let config: Config = serde_json::from_value(settings).unwrap();
        Odoo::connect(config).err().map(|it| it.field).unwrap_or_default()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (change, field) in [
            (json!({}), ""),
            (json!({ "url": "erp.example.com" }), "url"),
            (json!({ "url": "https://" }), "url"),
            (json!({ "api_key": "" }), "api_key"),
            (json!({ "namespace": "my-shop" }), "namespace"),
            (json!({ "pricelists": { "KRONER": 3 } }), "pricelists.KRONER"),
        ] {
            assert_eq!(refused(change.clone()), field, "{change}");
        }
    }
}
