//! WooCommerce: what its REST API v3 and its webhooks say, and how to say things to it.

mod perform;
mod poll;
mod read;
mod receive;
mod reply;
mod subscribe;
mod walk;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Digest, Endpoint, Fixture, Info, Kind, Limits, OAuth1, Reply, Secret,
    Secrets, Verdict, fixtures, performs, performs_batch, polls, reads, receives, subscribes,
};
use spindel_model::{
    CancelOrder, CreateFulfilment, Currency, Customer, Order, OrderRef, Price, Product, RecordPayment, RecordRefund,
    RecordTracking, Refund, RefundOrder, SetPrice, SetStock, StockLevel, Transaction, UpsertCustomer, UpsertProduct,
};

/// One shop.
pub struct Woocommerce {
    /// The first signs webhooks that are registered from here.
    secrets: Vec<Secret>,
    plain_permalinks: bool,
    shop: Shop,
}

/// What the API does not say with its records.
pub(crate) struct Shop {
    pub currency: Option<Currency>,
    pub prices_include_tax: Option<bool>,
    pub weight_unit: WeightUnit,
    pub location: String,
    pub reserving_methods: Vec<String>,
    pub pickup_point_meta: Option<String>,
    pub shipment_note: String,
}

/// Settings of a connection to a WooCommerce shop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the WordPress site: `https://shop.example.no`. With `https` the keys go as they are, with `http` every
    /// call is signed with them instead.
    url: String,
    /// Consumer key, `ck_…`.
    consumer_key: Secret,
    /// Consumer secret, `cs_…`.
    consumer_secret: Secret,
    /// Signs the webhooks; letters and digits only. Several while it is being changed: webhooks that Spindel registers get
    /// the first.
    webhook_secret: Secrets,
    /// The shop's currency, as in `"NOK"`: products do not name it, and carry no prices without it.
    #[schemars(with = "Option<String>")]
    currency: Option<Currency>,
    /// Whether prices are entered with tax (WooCommerce, Settings, Tax); needed for prices.
    prices_include_tax: Option<bool>,
    /// Unit of weights (WooCommerce, Settings, Products): `kg` unless told otherwise.
    #[serde(default)]
    weight_unit: WeightUnit,
    /// What Spindel calls the shop's one stock: `main` unless told otherwise.
    location: Option<String>,
    /// Payment methods that only reserve when WooCommerce calls an order paid, as in `["kco"]`.
    #[serde(default)]
    reserving_methods: Vec<String>,
    /// Key of the shipping line's (or the order's) meta data that holds the chosen pick-up point.
    pickup_point_meta: Option<String>,
    /// Note to the buyer when something was sent; `{carrier}` and `{tracking}` are filled in.
    shipment_note: Option<String>,
    /// The site has plain permalinks: the API is at `/?rest_route=`.
    #[serde(default)]
    plain_permalinks: bool,
}

/// The shop's unit of weight.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightUnit {
    #[default]
    Kg,
    G,
    Lbs,
    Oz,
}

const LOCATION: &str = "main";
const SHIPMENT_NOTE: &str = "Shipped with {carrier}. Tracking: {tracking}";

impl Connector for Woocommerce {
    const INFO: Info = Info {
        id: "woocommerce",
        name: "WooCommerce",
        kind: Kind::Shop,
        about: "Orders, refunds, payments, products, stock, prices and customers of a WooCommerce shop, out and in",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs_batch::<SetStock, Self>(),
        performs_batch::<SetPrice, Self>(),
        performs::<UpsertProduct, Self>(),
        performs::<UpsertCustomer, Self>(),
        performs::<CreateFulfilment, Self>(),
        performs::<RecordTracking, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RefundOrder, Self>(),
        performs::<RecordRefund, Self>(),
        reads::<Order, Self>(),
        reads::<Refund, Self>(),
        reads::<Product, Self>(),
        reads::<StockLevel, Self>(),
        reads::<Price, Self>(),
        reads::<Customer, Self>(),
        polls::<Order, Self>(),
        polls::<Refund, Self>(),
        polls::<(OrderRef, Transaction), Self>(),
        polls::<Product, Self>(),
        polls::<StockLevel, Self>(),
        polls::<Price, Self>(),
        polls::<Customer, Self>(),
        subscribes(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_order",
        "cancel_order_again",
        "cancel_order_completed",
        "cancel_order_unknown",
        "config",
        "create_fulfilment",
        "create_fulfilment_cancelled",
        "create_fulfilment_look_up_found",
        "create_fulfilment_look_up_nothing",
        "create_fulfilment_part",
        "create_fulfilment_rest",
        "poll_customers",
        "poll_orders",
        "poll_orders_first",
        "poll_prices",
        "poll_products",
        "poll_refunds",
        "poll_stock",
        "poll_transactions",
        "read_customer",
        "read_order",
        "read_order_gone",
        "read_price",
        "read_product",
        "read_refund",
        "read_stock",
        "receive_coupon_updated",
        "receive_customer_created",
        "receive_customer_deleted",
        "receive_customer_updated",
        "receive_order_cancelled",
        "receive_order_completed",
        "receive_order_created",
        "receive_order_deleted",
        "receive_order_draft",
        "receive_order_paid",
        "receive_order_reserved",
        "receive_order_restored",
        "receive_order_updated_with_refund",
        "receive_product_deleted",
        "receive_product_updated",
        "receive_product_variable",
        "receive_product_variation",
        "record_payment",
        "record_payment_again",
        "record_payment_authorization",
        "record_payment_cancelled",
        "record_payment_part",
        "record_refund",
        "record_refund_again",
        "record_refund_look_up_found",
        "record_refund_look_up_nothing",
        "record_refund_other_currency",
        "record_refund_too_much",
        "record_tracking",
        "record_tracking_gone",
        "refund",
        "refund_again",
        "refund_gateway_refused",
        "refund_look_up_found",
        "refund_look_up_nothing",
        "refund_part",
        "refund_too_much",
        "refund_went_out",
        "set_price",
        "set_price_refused",
        "set_stock",
        "set_stock_per_item",
        "set_stock_throttled",
        "subscribe_list",
        "subscribe_register",
        "upsert_customer",
        "upsert_customer_found",
        "upsert_customer_without_email",
        "upsert_product",
        "upsert_product_refused",
        "upsert_product_variable",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        let url = spindel_connect::base_url("url", &config.url, "https://shop.example.no")?;
        if url.contains("/wp-json") {
            return Err(ConfigError::new("url", "leave `/wp-json` and what follows out: the address of the site is enough"));
        }
        let secrets = config.webhook_secret.all();
        if secrets.is_empty() || secrets.iter().any(Secret::is_empty) {
            return Err(ConfigError::new("webhook_secret", "is empty; every webhook would be refused"));
        }
        let (key, secret) = (config.consumer_key, config.consumer_secret);
        check_key("consumer_key", &key, "ck_")?;
        check_key("consumer_secret", &secret, "cs_")?;
        let auth = match url.starts_with("https://") {
            true => Auth::Basic(key.expose().to_owned(), secret),
            // Over a line that anybody can read the keys themselves must not go.
            false => Auth::OAuth1(OAuth1 {
                consumer_key: key,
                consumer_secret: secret,
                token: None,
                digest: Digest::Sha256,
                in_header: false,
            }),
        };
        let shop = Shop {
            currency: config.currency,
            prices_include_tax: config.prices_include_tax,
            weight_unit: config.weight_unit,
            location: config.location.unwrap_or_else(|| LOCATION.to_owned()),
            reserving_methods: config.reserving_methods,
            pickup_point_meta: config.pickup_point_meta,
            shipment_note: config.shipment_note.unwrap_or_else(|| SHIPMENT_NOTE.to_owned()),
        };
        // One PHP process answers one call: more at once would take them from the shop's own visitors.
        let endpoint = Endpoint::new(url, auth).limits(Limits { per_second: None, parallel: 4, budget: None });
        Ok((Self { secrets, plain_permalinks: config.plain_permalinks, shop }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Setting {
            value: String,
        }
        let path = self.path("/settings/general/woocommerce_currency", &[]);
        let currency: Setting = api.get("probe", path).fetch().await?;
        Ok(format!("a WooCommerce shop in {}", currency.value))
    }
}

/// The two are mistaken for each other otherwise, and nobody sees why.
fn check_key(field: &'static str, key: &Secret, prefix: &str) -> Result<(), ConfigError> {
    if key.expose().starts_with(prefix) {
        return Ok(());
    }
    Err(ConfigError::new(field, format!("must begin with `{prefix}`: WooCommerce, Settings, Advanced, REST API")))
}

impl Woocommerce {
    /// Path of a resource below the base URL.
    pub(crate) fn path(&self, resource: &str, query: &[(&str, &str)]) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        match (self.plain_permalinks, query.is_empty()) {
            (false, true) => format!("/wp-json/wc/v3{resource}"),
            (false, false) => format!("/wp-json/wc/v3{resource}?{query}"),
            (true, true) => format!("/?rest_route=/wc/v3{resource}"),
            (true, false) => format!("/?rest_route=/wc/v3{resource}&{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connect(extra: Value) -> Result<(Woocommerce, Endpoint), ConfigError> {
        let mut settings = json!({
            "url": "https://shop.example.no",
            "consumer_key": "ck_1",
            "consumer_secret": "cs_1",
            "webhook_secret": "hook",
        });
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Woocommerce::connect(serde_json::from_value(settings).unwrap())
    }

    fn refused(extra: Value) -> ConfigError {
        connect(extra).err().unwrap()
    }

    #[test]
    fn the_keys_go_as_they_are_over_tls_only() {
        let (_, endpoint) = connect(json!({})).unwrap();
        assert!(matches!(endpoint.auth, Auth::Basic(user, _) if user == "ck_1"));
        let (_, endpoint) = connect(json!({ "url": "http://127.0.0.1:9000/" })).unwrap();
        assert_eq!(endpoint.base_url, "http://127.0.0.1:9000");
        assert!(matches!(endpoint.auth, Auth::OAuth1(it) if it.token.is_none() && !it.in_header));
    }

    #[test]
    fn plain_permalinks_have_the_api_in_the_query() {
        let (shop, _) = connect(json!({})).unwrap();
        assert_eq!(shop.path("/orders", &[("status", "any")]), "/wp-json/wc/v3/orders?status=any");
        let (shop, _) = connect(json!({ "plain_permalinks": true })).unwrap();
        assert_eq!(shop.path("/orders", &[]), "/?rest_route=/wc/v3/orders");
        assert_eq!(shop.path("/orders", &[("sku", "A,B C")]), "/?rest_route=/wc/v3/orders&sku=A%2CB+C");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (extra, field) in [
            (json!({ "url": "shop.example.no" }), "url"),
            (json!({ "url": "ftp://shop.example.no" }), "url"),
            (json!({ "url": "https://shop.example.no/wp-json/wc/v3" }), "url"),
            (json!({ "url": "https://shop.example.no/?rest_route=/" }), "url"),
            (json!({ "consumer_key": "cs_1" }), "consumer_key"),
            (json!({ "consumer_secret": "ck_1" }), "consumer_secret"),
            (json!({ "webhook_secret": "" }), "webhook_secret"),
            (json!({ "webhook_secret": [] }), "webhook_secret"),
        ] {
            assert_eq!(refused(extra).field, field);
        }
    }
}
