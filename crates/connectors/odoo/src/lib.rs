//! Odoo 19 as an ERP, over its JSON-2 API: orders, payments, refunds and customers go in; stock, prices and shipments come out.

mod identity;
mod perform;
mod poll;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Effect, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Verdict,
    fixtures, performs, polls,
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

/// A product by its internal reference (text) or its id (number).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ProductKey {
    Id(i64),
    Sku(String),
}

/// The schema of [`BookIn`], which the model leaves to those who offer it as a setting.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)]
enum Books {
    Shop,
    Presentment,
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
    const FIXTURES: &'static [Fixture] = fixtures!["config"];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check(&config)?;
        let base_url = config.url.trim_end_matches('/').to_owned();
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
    let rest = ["https://", "http://"].iter().find_map(|scheme| config.url.strip_prefix(scheme));
    if rest.is_none_or(|rest| rest.trim_matches('/').is_empty()) {
        return Err(ConfigError::new("url", "expected an address such as `https://erp.example.com`"));
    }
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
