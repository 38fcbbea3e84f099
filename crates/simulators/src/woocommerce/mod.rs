//! A simulated WooCommerce shop: orders, products, customers and webhooks that a test moves by hand, and the REST API v3
//! with consumer keys, paging and batches.
//!
//! As the vendor does, it signs webhooks without time or event id, tells most changes of an order twice, never repeats a
//! webhook that failed, and switches one off that failed too often in a row.

mod api;
mod auth;
mod catalogue;
mod orders;
mod people;
mod place;
mod resource;
mod role;
mod state;
mod view;
mod webhooks;

pub use place::OrderSpec;
pub use state::Refused;
pub use view::{OrderView, WebhookView};
pub use webhooks::{Webhook, sign};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use rust_decimal::Decimal;
use spindel_model::Clock;
use state::{Shop, State};
use std::{io, sync::Arc};
use tokio::task::AbortHandle;

/// How the shop is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub consumer_key: String,
    pub consumer_secret: String,
    /// A key that may read and not write.
    pub read_only: bool,
    /// Whether calls count as having come over TLS (a proxy before the shop): then the keys go as they are, else every call
    /// must be signed with them (OAuth 1.0a).
    pub tls: bool,
    /// Of the webhooks that [`WoocommerceSim::set_target`] makes.
    pub webhook_secret: String,
    /// ISO 4217.
    pub currency: String,
    pub prices_include_tax: bool,
    pub products: usize,
    /// Of every product, at the start.
    pub stock: i64,
    pub utc_offset_hours: i8,
    /// How often one change of an order is told.
    pub repeats: usize,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            consumer_key: "ck_simulated".into(),
            consumer_secret: "cs_simulated".into(),
            read_only: false,
            tls: false,
            webhook_secret: "simulatedsecret".into(),
            currency: "NOK".into(),
            prices_include_tax: true,
            products: 12,
            stock: 1_000,
            utc_offset_hours: 1,
            repeats: 2,
            clock: Clock::system(),
        }
    }
}

/// An order as it was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: String,
    pub number: String,
}

/// What came of webhooks that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    /// Answered as a success: forgeries that got through.
    pub accepted: u64,
}

/// A running shop and the handle to move it. Dropping it ends the server and the sending.
pub struct WoocommerceSim {
    shop: Arc<Shop>,
    faults: Faults,
    server: Server,
    sending: AbortHandle,
}

impl Drop for WoocommerceSim {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl WoocommerceSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let (shop, jobs) = Shop::new(State::filled(options)).map_err(io::Error::other)?;
        let shop = Arc::new(shop);
        let sending = tokio::spawn(webhooks::run(Arc::clone(&shop), jobs)).abort_handle();
        let faults = Faults::default();
        let router = api::router(Arc::clone(&shop)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        shop.with(|state| state.home = server.base_url());
        Ok(Self { shop, faults, server, sending })
    }

    /// `http://127.0.0.1:port`: the address of the site.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the API fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// Orders.
impl WoocommerceSim {
    pub fn place_order(&self, spec: &OrderSpec) -> Result<Placed, Refused> {
        self.shop.with(|state| {
            let id = state.place(spec)?;
            Ok(Placed { id: id.to_string(), number: id.to_string() })
        })
    }

    /// The buyer's payment comes in.
    pub fn pay_order(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.set_status(number(order)?, "processing"))
    }

    /// The same, with the payment plugin writing down the provider's reference.
    pub fn pay_order_by(&self, order: &str, transaction: &str) -> Result<(), Refused> {
        self.shop.with(|state| {
            let order = number(order)?;
            state.set_transaction(order, transaction);
            state.set_status(order, "processing")
        })
    }

    /// As somebody would in the admin pages.
    pub fn complete_order(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.set_status(number(order)?, "completed"))
    }

    pub fn cancel_order(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.set_status(number(order)?, "cancelled"))
    }

    /// Gives back an amount, or one of a SKU with its tax; answers the refund's id.
    pub fn refund_order(&self, order: &str, amount: Decimal) -> Result<String, Refused> {
        self.shop.with(|state| Ok(state.refund_amount(number(order)?, amount, "by hand")?.to_string()))
    }

    pub fn refund_item(&self, order: &str, sku: &str, quantity: u32) -> Result<String, Refused> {
        self.shop.with(|state| Ok(state.refund_item(number(order)?, sku, quantity)?.to_string()))
    }

    /// To the trash.
    pub fn delete_order(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.trash_order(number(order)?))
    }

    /// Oldest first.
    pub fn orders(&self) -> Vec<OrderView> {
        self.shop.with(|state| state.orders.keys().filter_map(|id| state.view(*id)).collect())
    }

    pub fn order(&self, order: &str) -> Option<OrderView> {
        self.shop.with(|state| state.view(number(order).ok()?))
    }

    /// From now on the payment gateway refuses to give money back, in these words; `None` ends it.
    pub fn refuse_refunds(&self, words: Option<&str>) {
        self.shop.with(|state| state.gateway_refuses = words.map(str::to_owned));
    }
}

/// Products and customers.
impl WoocommerceSim {
    pub fn skus(&self) -> Vec<String> {
        self.shop.with(|state| state.products.values().filter_map(|it| resource::filled(it, "sku")).collect())
    }

    pub fn stock(&self, sku: &str) -> Option<i64> {
        self.shop.with(|state| state.product_of(sku).ok()?.get("stock_quantity")?.as_i64())
    }

    /// As somebody would in the admin pages.
    pub fn set_stock_by_hand(&self, sku: &str, quantity: i64) -> Result<(), Refused> {
        self.shop.with(|state| state.set_stock(sku, quantity))
    }

    /// The regular price, as text.
    pub fn price(&self, sku: &str) -> Option<String> {
        self.shop.with(|state| resource::filled(state.product_of(sku).ok()?, "regular_price"))
    }

    pub fn set_price_by_hand(&self, sku: &str, price: Decimal) -> Result<(), Refused> {
        self.shop.with(|state| state.set_price(sku, price))
    }

    /// Somebody opens an account; answers its id.
    pub fn add_customer(&self, email: &str, first_name: &str, last_name: &str) -> Result<String, Refused> {
        self.shop.with(|state| Ok(state.open_account(email, first_name, last_name)?.to_string()))
    }

    /// E-mail and id of every account.
    pub fn customers(&self) -> Vec<(String, String)> {
        let row = |(id, it): (&u64, &resource::Fields)| Some((resource::filled(it, "email")?, id.to_string()));
        self.shop.with(|state| state.customers.iter().filter_map(row).collect())
    }
}

/// Webhooks.
impl WoocommerceSim {
    /// As somebody would in the admin pages: one webhook for each topic, to this address. The address is asked for its
    /// answer to a ping only where a webhook is saved through the API.
    pub fn set_target(&self, url: &str) {
        self.shop.with(|state| state.add_webhooks(url));
    }

    pub fn webhooks(&self) -> Vec<WebhookView> {
        self.shop.with(|state| state.webhooks.values().map(|it| it.view()).collect())
    }

    /// Waits until all that was to be sent has been tried once.
    pub async fn flush(&self) {
        self.shop.settled().await;
    }

    /// What was sent, oldest first, with the status that came back.
    pub fn sent(&self) -> Vec<Webhook> {
        self.shop.with(|state| state.sent.clone())
    }

    /// Sends `n` webhooks that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        webhooks::forge(&self.shop, n).await
    }
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_| Refused(format!("{id:?} is no id")))
}
