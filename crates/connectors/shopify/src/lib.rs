//! Shopify: what its Admin API and its webhooks say, and how to say things to it.
//!
//! Facts are those of the Admin GraphQL API, 2026-07, and of the webhook bodies of the same version (REST shapes).

mod checkout;
mod graphql;
mod perform;
mod read;
mod receive;
mod reply;
mod subscribe;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, Budget, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply,
    Secret, Secrets, TokenGrant, Verdict, checks_out, fixtures, performs, performs_batch, polls, reads, receives, subscribes,
};
use spindel_model::{
    CancelOrder, CreateFulfilment, Currency, Order, Product, RecordPayment, RecordTracking, RefundOrder, SetPrice, SetStock,
    StockLevel, UpsertProduct,
};

/// One shop.
pub struct Shopify {
    shop: String,
    /// Path of the GraphQL endpoint, with the version.
    path: String,
    secrets: Vec<Secret>,
    currency: Option<Currency>,
    product_key: Option<ProductKey>,
}

/// The metafield that holds a product's id in the system that it comes from.
pub(crate) struct ProductKey {
    pub namespace: String,
    pub key: String,
}

/// Settings of a connection to a Shopify shop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The shop's permanent domain: `example.myshopify.com`.
    shop: String,
    /// Client id of the app (Dev Dashboard, the app's settings).
    client_id: String,
    /// Client secret of the app. Webhooks are signed with it.
    client_secret: Secret,
    /// Further secrets that webhooks may be signed with: the new one while the client secret is being changed, and
    /// the one shown in the Admin under Settings, Notifications, for webhooks made there by hand.
    #[serde(default)]
    webhook_secrets: Secrets,
    /// An access token that does not expire, of a custom app made in the Admin. Leave it out to have tokens fetched.
    access_token: Option<Secret>,
    /// First refresh token of an app that has expiring offline tokens; its successors are kept by Spindel.
    refresh_token: Option<Secret>,
    /// Version of the Admin API: `2026-07` unless told otherwise. Webhooks come in the version that the app is set to.
    api_version: Option<String>,
    /// The shop's own currency, as in `"NOK"`: product webhooks do not name it, and carry no prices without it.
    #[schemars(with = "Option<String>")]
    currency: Option<Currency>,
    /// Unique metafield by which products without a handle are found, as in `"erp.id"`. It must be defined in the shop
    /// with the type `id`.
    product_metafield: Option<String>,
    /// Where the API is, when not at the shop itself: a proxy, or a simulated shop.
    base_url: Option<String>,
}

const API_VERSION: &str = "2026-07";
const TOKEN_HEADER: &str = "x-shopify-access-token";

impl Connector for Shopify {
    const INFO: Info = Info {
        id: "shopify",
        name: "Shopify",
        kind: Kind::Shop,
        about: "Orders, refunds, products, stock and customers of a Shopify shop; stock, prices, products, payments and parcels to it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs_batch::<SetStock, Self>(),
        performs::<SetPrice, Self>(),
        performs::<UpsertProduct, Self>(),
        performs::<CreateFulfilment, Self>(),
        performs::<RecordTracking, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RefundOrder, Self>(),
        reads::<Order, Self>(),
        reads::<Product, Self>(),
        reads::<StockLevel, Self>(),
        polls::<Order, Self>(),
        polls::<Product, Self>(),
        polls::<StockLevel, Self>(),
        subscribes(),
        checks_out(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_order",
        "cancel_order_again",
        "cancel_order_look_up_found",
        "cancel_order_look_up_nothing",
        "cancel_order_refused",
        "checkout",
        "config",
        "create_fulfilment",
        "create_fulfilment_look_up_found",
        "create_fulfilment_look_up_nothing",
        "create_fulfilment_of_all",
        "create_fulfilment_too_many",
        "poll_orders_first",
        "poll_orders_last",
        "poll_orders_with_a_bad_one",
        "poll_products",
        "poll_stock",
        "read_order",
        "read_order_gone",
        "read_product",
        "read_stock",
        "receive_app_scopes_update",
        "receive_app_uninstalled",
        "receive_collections_update",
        "receive_customers_data_request",
        "receive_customers_redact",
        "receive_customers_update",
        "receive_fulfillments_create",
        "receive_fulfillments_update",
        "receive_inventory_levels_update",
        "receive_newer_header_names",
        "receive_order_transactions_create",
        "receive_orders_cancelled",
        "receive_orders_create",
        "receive_orders_delete",
        "receive_orders_edited",
        "receive_orders_fulfilled",
        "receive_orders_paid",
        "receive_orders_updated",
        "receive_products_update",
        "receive_products_update_cut",
        "receive_refunds_create",
        "receive_refunds_create_without_goods",
        "receive_shop_redact",
        "record_payment",
        "record_payment_again",
        "record_payment_already_paid",
        "record_payment_busy",
        "record_payment_look_up_found",
        "record_payment_look_up_nothing",
        "record_payment_only_authorized",
        "record_payment_other_currency",
        "record_payment_too_much",
        "record_tracking",
        "record_tracking_before_fulfilment",
        "record_tracking_look_up_found",
        "record_tracking_look_up_nothing",
        "record_tracking_not_told",
        "record_tracking_refused",
        "record_tracking_unchanged",
        "refund",
        "refund_made_before",
        "refund_too_much",
        "set_price",
        "set_price_other_currency",
        "set_price_unchanged",
        "set_stock",
        "set_stock_activates",
        "set_stock_concurrent",
        "set_stock_per_item",
        "set_stock_stale",
        "set_stock_throttled",
        "subscribe_list",
        "subscribe_refused",
        "subscribe_register",
        "upsert_product",
        "upsert_product_in_two_languages",
        "upsert_product_in_unknown_language",
        "upsert_product_refused",
        "upsert_product_without_handle",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check_shop(&config.shop)?;
        let version = config.api_version.as_deref().unwrap_or(API_VERSION);
        check_version(version)?;
        if config.client_secret.is_empty() {
            return Err(ConfigError::new("client_secret", "is empty; every webhook would be refused"));
        }
        let base_url = match &config.base_url {
            Some(url) => spindel_connect::base_url("base_url", url, "http://127.0.0.1:9000")?,
            None => format!("https://{}", config.shop),
        };
        let product_key = config.product_metafield.as_deref().map(product_key).transpose()?;
        let path = format!("/admin/api/{version}/graphql.json");
        let mut secrets = vec![config.client_secret.clone()];
        secrets.extend(config.webhook_secrets.all());
        let currency = config.currency;
        let shop = config.shop.clone();
        let endpoint = Endpoint::new(base_url, auth(config)?).limits(Limits {
            per_second: None,
            parallel: 8,
            // The smallest plan's, until the first reply tells.
            budget: Some(Budget { maximum: 2000.0, available: 2000.0, restore_per_second: 100.0, asked: None }),
        });
        Ok((Self { shop, path, secrets, currency, product_key }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    fn budget(reply: &Reply) -> Option<Budget> {
        reply::budget(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let who: graphql::Probe = self.ask(api, graphql::PROBE, serde_json::json!({})).await?;
        let scopes: Vec<String> = who.current_app_installation.access_scopes.into_iter().map(|scope| scope.handle).collect();
        Ok(format!(
            "{} ({}), {}; scopes: {}",
            who.shop.name,
            who.shop.myshopify_domain,
            who.shop.currency_code.code(),
            scopes.join(", ")
        ))
    }
}

/// Anything else could lead a token to a stranger.
fn check_shop(shop: &str) -> Result<(), ConfigError> {
    let name = shop.strip_suffix(".myshopify.com").unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '-') {
        return Ok(());
    }
    Err(ConfigError::new("shop", "expected the permanent domain in lower case, as in `example.myshopify.com`"))
}

fn check_version(version: &str) -> Result<(), ConfigError> {
    let quarter = |month: &str| matches!(month, "01" | "04" | "07" | "10");
    let known = version == "unstable"
        || version
            .split_once('-')
            .is_some_and(|(year, month)| year.len() == 4 && year.chars().all(|c| c.is_ascii_digit()) && quarter(month));
    if known {
        return Ok(());
    }
    Err(ConfigError::new("api_version", "expected year and first month of a quarter, as in `2026-07`"))
}

fn product_key(text: &str) -> Result<ProductKey, ConfigError> {
    match text.rsplit_once('.') {
        Some((namespace, key)) if !namespace.is_empty() && !key.is_empty() => {
            Ok(ProductKey { namespace: namespace.to_owned(), key: key.to_owned() })
        }
        _ => Err(ConfigError::new("product_metafield", "expected namespace and key with a dot between, as in `erp.id`")),
    }
}

fn auth(config: Config) -> Result<Auth, ConfigError> {
    let grant_type = match (&config.access_token, &config.refresh_token) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new("access_token", "leave it out: with `refresh_token` tokens are fetched"));
        }
        (Some(token), None) => return Ok(Auth::Header(TOKEN_HEADER, token.clone())),
        (None, Some(_)) => "refresh_token",
        (None, None) => "client_credentials",
    };
    let fields = vec![
        ("grant_type", Secret::new(grant_type)),
        ("client_id", Secret::new(config.client_id)),
        ("client_secret", config.client_secret),
    ];
    let grant = TokenGrant::new("/admin/oauth/access_token", BodyEncoding::Json, fields);
    Ok(Auth::Token(TokenGrant { refresh_token: config.refresh_token, header: (TOKEN_HEADER, ""), ..grant }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connect(extra: Value) -> Result<(Shopify, Endpoint), ConfigError> {
        let mut settings = json!({ "shop": "fjell.myshopify.com", "client_id": "id", "client_secret": "s" });
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Shopify::connect(serde_json::from_value(settings).unwrap())
    }

    fn refused(extra: Value) -> ConfigError {
        connect(extra).err().unwrap()
    }

    #[test]
    fn only_a_permanent_shop_domain_is_called() {
        for shop in [
            "fjell",
            "https://fjell.myshopify.com",
            "Fjell.myshopify.com",
            "-a.myshopify.com",
            ".myshopify.com",
            "a.myshopify.com.evil.no",
            "a@b.myshopify.com",
        ] {
            assert_eq!(refused(json!({ "shop": shop })).field, "shop", "{shop}");
        }
        assert_eq!(connect(json!({})).unwrap().1.base_url, "https://fjell.myshopify.com");
    }

    #[test]
    fn a_base_url_stands_in_for_the_shop() {
        let (shop, endpoint) = connect(json!({ "base_url": "http://127.0.0.1:9000/", "api_version": "2026-10" })).unwrap();
        assert_eq!(endpoint.base_url, "http://127.0.0.1:9000");
        assert_eq!(shop.path, "/admin/api/2026-10/graphql.json");
    }

    #[test]
    fn tokens_are_fetched_by_client_credentials_unless_there_is_one() {
        let grant = |endpoint: Endpoint| match endpoint.auth {
            Auth::Token(grant) => grant.fields[0].1.expose().to_owned(),
            Auth::Header(name, _) => name.to_owned(),
            _ => String::new(),
        };
        assert_eq!(grant(connect(json!({})).unwrap().1), "client_credentials");
        assert_eq!(grant(connect(json!({ "refresh_token": "r" })).unwrap().1), "refresh_token");
        assert_eq!(grant(connect(json!({ "access_token": "t" })).unwrap().1), TOKEN_HEADER);
        assert_eq!(refused(json!({ "access_token": "t", "refresh_token": "r" })).field, "access_token");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        assert_eq!(refused(json!({ "api_version": "2026-05" })).field, "api_version");
        assert_eq!(refused(json!({ "product_metafield": "id" })).field, "product_metafield");
        assert_eq!(refused(json!({ "client_secret": "" })).field, "client_secret");
    }
}
