//! Magento Open Source and Adobe Commerce: what their REST API, webhooks and events say, and how to say things to them.
//!
//! What holds is the REST API of 2.4.9 with Multi Source Inventory. Open Source has no webhooks: it is polled.

mod event;
mod perform;
mod poll;
mod read;
mod receive;
mod reply;
mod search;
mod settings;
mod wire;

use spindel_connect::{
    Ability, Api, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Reply, Secret, Verdict, fixtures, performs,
    performs_batch, polls, reads, receives,
};
use spindel_model::{
    CancelOrder, CapturePayment, CreateFulfilment, Currency, Customer, Order, Product, RecordPayment, RecordRefund,
    RecordTracking, Refund, RefundOrder, SetPrice, SetStock, Shipment, StockLevel, UpsertProduct,
};

pub use settings::Config;

/// One shop.
pub struct Magento {
    proving: Proving,
    shop: Shop,
    stock: settings::Writing,
    prices: settings::Writing,
    bundles_ship_separately: bool,
    attribute_set: u64,
    time_zone: jiff::tz::TimeZone,
}

/// How what comes in proves itself, by the kind of what comes in.
pub(crate) enum Proving {
    Nothing,
    Webhooks {
        keys: Vec<String>,
        token_header: String,
        tokens: Vec<Secret>,
    },
    /// Without keys those that Adobe publishes count.
    Events {
        keys: Vec<String>,
        client_id: String,
    },
}

/// What the shop's records do not say of themselves.
#[derive(Clone, Copy)]
pub(crate) struct Shop {
    pub currency: Currency,
    pub prices_include_tax: bool,
    pub weight_unit: settings::WeightUnit,
}

impl Connector for Magento {
    const INFO: Info = Info {
        id: "magento",
        name: "Magento / Adobe Commerce",
        kind: Kind::Shop,
        about: "Orders, refunds, shipments, products, customers and stock of a Magento shop; stock, prices, products, \
                shipments, invoices and credit memos to it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs_batch::<SetStock, Self>(),
        performs_batch::<SetPrice, Self>(),
        performs::<UpsertProduct, Self>(),
        performs::<CreateFulfilment, Self>(),
        performs::<RecordTracking, Self>(),
        performs::<CancelOrder, Self>(),
        performs::<RecordPayment, Self>(),
        performs::<CapturePayment, Self>(),
        performs::<RecordRefund, Self>(),
        performs::<RefundOrder, Self>(),
        reads::<Order, Self>(),
        reads::<Refund, Self>(),
        reads::<Shipment, Self>(),
        reads::<Product, Self>(),
        reads::<Customer, Self>(),
        reads::<StockLevel, Self>(),
        polls::<Order, Self>(),
        polls::<Refund, Self>(),
        polls::<Shipment, Self>(),
        polls::<Product, Self>(),
        polls::<Customer, Self>(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "config",
        "cancel_order",
        "cancel_order_again",
        "cancel_order_refused",
        "cancel_order_unknown",
        "capture_payment",
        "capture_payment_bare_amount",
        "capture_payment_invoiced",
        "capture_payment_look_up_found",
        "capture_payment_look_up_nothing",
        "capture_payment_look_up_part",
        "capture_payment_part",
        "create_fulfilment",
        "create_fulfilment_again",
        "create_fulfilment_bundle",
        "create_fulfilment_look_up_found",
        "create_fulfilment_look_up_nothing",
        "create_fulfilment_nothing_left",
        "create_fulfilment_other_item",
        "create_fulfilment_part",
        "create_fulfilment_refused",
        "poll_customers",
        "poll_orders",
        "poll_orders_first",
        "poll_products",
        "poll_refunds",
        "poll_shipments",
        "read_customer",
        "read_order",
        "read_order_gone",
        "read_product",
        "read_refund",
        "read_shipment",
        "read_stock",
        "receive_batch",
        "receive_credit_memo",
        "receive_order_paid",
        "receive_track",
        "record_payment",
        "record_payment_again",
        "record_payment_authorization",
        "record_payment_other_currency",
        "record_payment_part",
        "record_refund",
        "record_refund_again",
        "record_refund_deadlock",
        "record_refund_goodwill",
        "record_refund_less",
        "record_refund_look_up_found",
        "record_refund_look_up_nothing",
        "record_refund_refused",
        "record_tracking",
        "record_tracking_again",
        "record_tracking_before_shipment",
        "record_tracking_gone",
        "refund",
        "refund_again",
        "refund_look_up_found",
        "refund_look_up_nothing",
        "refund_offline_payment",
        "refund_went_out",
        "set_price",
        "set_price_list",
        "set_price_other_currency",
        "set_price_refused_row",
        "set_stock",
        "set_stock_one_refused",
        "set_stock_sold_out",
        "set_stock_unmapped",
        "upsert_product",
        "upsert_product_bad_view",
        "upsert_product_known",
        "upsert_product_refused",
        "upsert_product_unmapped_option",
        "upsert_product_variants",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        settings::connect(config)
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        const OPERATION: &str = "probe";
        let views: Vec<wire::StoreConfig> = api.get(OPERATION, "/all/V1/store/storeConfigs").fetch().await?;
        let ours = self.shop.currency;
        if let Some(other) = views.iter().find(|it| it.base_currency_code != ours) {
            let theirs = other.base_currency_code.code();
            let problem = format!("store view `{}` has the base currency {theirs}, `currency` says {}", other.code, ours.code());
            return Err(CallError::config(OPERATION, problem));
        }
        let views: Vec<String> = views.into_iter().map(|it| format!("{} ({})", it.code, it.locale)).collect();
        Ok(format!("base currency {}; store views: {}", ours.code(), views.join(", ")))
    }
}
