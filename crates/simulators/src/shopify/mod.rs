//! A simulated Shopify shop: products, stock, customers and orders that a test moves by hand, signed webhooks to a target,
//! and the Admin GraphQL API with tokens, costs, compare-and-set and idempotency.
//!
//! How the sums add up, and how they change with edits and refunds, is written in `pricing`. Two simplifications: every
//! refunded line loses its quantity whatever becomes of the goods, and an edit that asks for more of a line adds a new line.

mod api;
mod catalog;
mod catalog_nodes;
mod catalog_rest;
mod document;
mod graphql;
mod idempotency;
mod inventory;
mod metafields;
mod mutations;
mod nodes;
mod order;
mod orders;
mod payments;
mod pictures;
mod place;
mod pricing;
mod product_writes;
mod queries;
mod refunds;
mod rest;
mod role;
mod sender;
mod spec;
mod state;
mod stock;
#[cfg(test)]
mod sums;
mod tracking;
mod translations;
mod view;
mod webhooks;

pub use pricing::Reduction;
pub use sender::{Delivery, Sent};
pub use spec::{Edit, OrderSpec, RefundSpec, Restock};
pub use state::Refused;
pub use view::{EventView, LineView, OrderView, PictureView, ProductView, StockWrite, TranslationView, VariantView};
pub use webhooks::{Webhook, sign};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use sender::{Sender, Settings};
use spec::Tracking;
use spindel_model::{Clock, Currency};
use state::State;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How the shop is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub client_id: String,
    /// Also signs the webhooks.
    pub client_secret: String,
    /// A token that never ends, as of a custom app made in the admin pages, when given.
    pub access_token: Option<String>,
    /// Lets a client refresh an expiring offline token, when given.
    pub refresh_token: Option<String>,
    /// `example.myshopify.com`.
    pub shop: String,
    /// Same seed, same shop and same random orders.
    pub seed: u64,
    pub currency: Currency,
    /// The buyers' other currency, and what one unit of the shop's costs in it.
    pub presentment: Option<(Currency, Decimal)>,
    /// For random orders; `None` mixes both.
    pub taxes_included: Option<bool>,
    pub variants: usize,
    pub locations: usize,
    pub customers: usize,
    /// Of every variant at every location, at the start.
    pub stock: i64,
    pub utc_offset_hours: i8,
    /// Languages of the shop: its own first, then those that texts may be translated into.
    pub locales: Vec<String>,
    /// In the header of webhooks.
    pub api_version: String,
    /// Webhook topics that are sent at all; `None` is every topic.
    pub topics: Option<Vec<String>>,
    /// How many webhooks are sent at a time.
    pub concurrency: usize,
    /// Wait before the first retry; doubled with each. The vendor's own is about a minute.
    pub retry_base: Duration,
    /// Newest webhooks that [`ShopifySim::webhook_log`] keeps.
    pub webhooks_kept: usize,
    /// Ends access tokens earlier than they say.
    pub token_lifetime: Option<SignedDuration>,
    /// Points of the cost bucket, and how many come back a second.
    pub bucket_size: f64,
    pub restore_rate: f64,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "client-id".into(),
            client_secret: "client-secret".into(),
            access_token: None,
            refresh_token: None,
            shop: "example.myshopify.com".into(),
            seed: 1,
            currency: Currency::NOK,
            presentment: Some((Currency::SEK, Decimal::new(987, 3))),
            taxes_included: None,
            variants: 40,
            locations: 2,
            customers: 25,
            stock: 1_000,
            utc_offset_hours: 1,
            locales: ["nb", "en", "sv"].map(str::to_owned).into(),
            api_version: "2026-07".into(),
            topics: None,
            concurrency: 8,
            retry_base: Duration::from_millis(50),
            webhooks_kept: 50_000,
            token_lifetime: None,
            bucket_size: 2_000.0,
            restore_rate: 100.0,
            clock: Clock::system(),
        }
    }
}

impl Options {
    /// A shop on the largest plan: ten times the calls of a standard one.
    pub fn plus() -> Self {
        Self { bucket_size: 20_000.0, restore_rate: 1_000.0, ..Self::default() }
    }
}

/// An order as it was placed: its id, and its name (`#1042`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: String,
    pub number: String,
}

/// What came of webhooks that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    /// Answered with a 2xx: forgeries that got through.
    pub accepted: u64,
}

/// The shop behind its lock, and the way out for its webhooks.
pub(crate) struct Shop {
    state: Mutex<State>,
    sender: Sender,
}

impl Shop {
    /// Runs under the lock; webhooks leave in the order in which things happened.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        for webhook in state.outbox.drain(..) {
            self.sender.send(webhook);
        }
        result
    }
}

/// A running shop and the handle to move it. Dropping it ends the server and the sending.
pub struct ShopifySim {
    shop: Arc<Shop>,
    faults: Faults,
    server: Server,
}

impl ShopifySim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let settings = Settings { seed: options.seed, concurrency: options.concurrency, retry_base: options.retry_base };
        let sender = Sender::start(settings).map_err(io::Error::other)?;
        let shop = Arc::new(Shop { state: Mutex::new(filled(options)), sender });
        let faults = Faults::default();
        let router = api::router(Arc::clone(&shop)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { shop, faults, server })
    }

    /// `http://127.0.0.1:port`: where the API answers.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the API fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

fn filled(options: Options) -> State {
    let (variants, locations) = (options.variants, options.locations);
    let (customers, stock) = (options.customers, options.stock);
    let (access_token, refresh_token) = (options.access_token.clone(), options.refresh_token.clone());
    let mut state = State::new(options);
    catalog::fill(&mut state, variants, locations, customers, stock);
    state.api.tokens.extend(access_token.map(|token| (token, Timestamp::MAX)));
    state.api.refresh_tokens.extend(refresh_token.map(|token| (token, None)));
    // What was there from the start is no news.
    state.outbox.clear();
    state.log.clear();
    state
}

/// Orders.
impl ShopifySim {
    pub fn place_order(&self, spec: &OrderSpec) -> Result<Placed, Refused> {
        self.shop.with(|state| {
            let id = state.place(spec)?;
            Ok(Placed { id: id.to_string(), number: state.order(id)?.name() })
        })
    }

    /// One to four lines, with or without discounts, shipping, tip and the other currency, paid or authorised.
    pub fn place_random_order(&self) -> Result<Placed, Refused> {
        let spec = self.shop.with(spec::random_order);
        self.place_order(&spec)
    }

    pub fn edit_order(&self, order: &str, edits: &[Edit]) -> Result<(), Refused> {
        self.shop.with(|state| state.edit(number(order)?, edits))
    }

    /// Adds a line, or takes something from one.
    pub fn edit_order_at_random(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| {
            let id = number(order)?;
            let edits = spec::random_edit(state, id);
            state.edit(id, &edits)
        })
    }

    /// Takes everything off and gives the money back, or voids what was only authorised. `reason` as `customer`.
    pub fn cancel_order(&self, order: &str, reason: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.cancel(number(order)?, reason, true, true, None))
    }

    /// Gives back what the lines (and the shipping) are worth, and answers the refund's id. The order must be paid.
    pub fn refund_order(&self, order: &str, spec: &RefundSpec) -> Result<String, Refused> {
        self.shop.with(|state| Ok(state.refund_in_full(number(order)?, spec)?.to_string()))
    }

    /// Captures first, if need be.
    pub fn refund_order_at_random(&self, order: &str) -> Result<String, Refused> {
        self.shop.with(|state| {
            let id = number(order)?;
            if state.order(id)?.payment().is_none() {
                state.capture(id)?;
            }
            let spec = spec::random_refund(state, id);
            Ok(state.refund_in_full(id, &spec)?.to_string())
        })
    }

    /// Captures what is outstanding.
    pub fn capture_order(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| state.capture(number(order)?).map(drop))
    }

    /// Marks what is outstanding as paid, by hand.
    pub fn mark_order_paid(&self, order: &str) -> Result<(), Refused> {
        self.shop.with(|state| Ok(state.pay(Some(number(order)?), None, "manual".into(), None).map(drop)?))
    }

    /// Fulfils all that is left, by hand in the shop.
    pub fn fulfil_order(&self, order: &str) -> Result<String, Refused> {
        self.shop.with(|state| Ok(state.fulfil(number(order)?, None, Tracking::default())?.to_string()))
    }

    /// Every order as it stands, oldest first.
    pub fn orders(&self) -> Vec<OrderView> {
        self.shop.with(|state| state.orders.values().map(OrderView::of).collect())
    }

    pub fn order(&self, order: &str) -> Option<OrderView> {
        self.shop.with(|state| state.orders.get(&number(order).ok()?).map(OrderView::of))
    }
}

/// Products, stock and customers.
impl ShopifySim {
    pub fn variants(&self) -> Vec<VariantView> {
        self.shop.with(|state| VariantView::all(state))
    }

    /// The product that has this SKU, with its texts in every language.
    pub fn product(&self, sku: &str) -> Option<ProductView> {
        self.shop.with(|state| ProductView::of(state, sku))
    }

    pub fn skus(&self) -> Vec<String> {
        self.variants().into_iter().map(|variant| variant.sku).collect()
    }

    /// Ids as text, the main location first.
    pub fn locations(&self) -> Vec<String> {
        self.shop.with(|state| state.catalog.locations.iter().map(|location| location.id.to_string()).collect())
    }

    /// Available of a SKU at a location (id or gid), or at the main one.
    pub fn stock(&self, sku: &str, location: Option<&str>) -> Option<i64> {
        self.shop.with(|state| {
            let keys = state.stock_keys(sku, location).ok()?;
            state.catalog.levels.get(&keys).map(|level| level.available)
        })
    }

    /// Sells over the counter: no order, only stock that is gone.
    pub fn sell(&self, sku: &str, quantity: u32) -> Result<(), Refused> {
        self.shop.with(|state| {
            let (item, location) = state.stock_keys(sku, None)?;
            state.move_stock(item, Some(location), -i64::from(quantity), 0);
            Ok(())
        })
    }

    /// As somebody would in the admin pages: not a write through the API.
    pub fn set_stock_by_hand(&self, sku: &str, location: Option<&str>, available: i64) -> Result<(), Refused> {
        self.shop.with(|state| {
            let (item, location) = state.stock_keys(sku, location)?;
            state.set_stock(item, location, available);
            Ok(())
        })
    }

    /// Writes of stock that came through the API and were carried out, oldest first.
    pub fn stock_writes(&self) -> Vec<StockWrite> {
        self.shop.with(|state| state.stock_writes.clone())
    }

    /// Changes title and price of the product that has this SKU, by hand.
    pub fn update_product(&self, sku: &str, title: Option<&str>, price: Option<Decimal>) -> Result<(), Refused> {
        self.shop.with(|state| state.update_product(sku, title, price))
    }

    /// Changes a customer's e-mail address, by hand. `customer` is the id, or `None` for the first one.
    pub fn update_customer(&self, customer: Option<&str>, email: &str) -> Result<String, Refused> {
        self.shop.with(|state| state.update_customer(customer, email))
    }
}

/// Webhooks.
impl ShopifySim {
    /// Where webhooks go, as with subscriptions of the app's own settings: never deleted for failing. `None` stops sending.
    pub fn set_target(&self, url: Option<&str>) {
        self.shop.sender.set_targets(url.map(str::to_owned).into_iter().collect());
    }

    /// The same for several addresses: webhooks go to them in turn, as behind a load balancer.
    pub fn set_targets(&self, urls: Vec<String>) {
        self.shop.sender.set_targets(urls);
    }

    pub fn set_delivery(&self, delivery: Delivery) {
        self.shop.sender.set_delivery(delivery);
    }

    /// Webhooks that the shop wanted to send, whether a target was set or not; oldest first.
    pub fn webhook_log(&self) -> Vec<Webhook> {
        self.shop.with(|state| state.log.iter().cloned().collect())
    }

    /// Waits until everything was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.shop.sender.flush().await
    }

    pub fn sent(&self) -> Sent {
        self.shop.sender.sent()
    }

    /// Sends `n` webhooks to the target that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        let genuine: Vec<Webhook> = self.shop.with(|state| state.log.iter().rev().take(n.max(1)).cloned().collect());
        let mut forged = Forged::default();
        for (kind, webhook) in genuine.iter().cycle().take(n).enumerate() {
            let Some(accepted) = self.shop.sender.try_once(&webhooks::forged(webhook, kind)).await else { break };
            forged.sent += 1;
            forged.accepted += u64::from(accepted);
        }
        forged
    }

    /// Topic and address of every subscription made through the API.
    pub fn subscriptions(&self) -> Vec<(String, String)> {
        self.shop.sender.subscriptions().iter().map(|it| (it.topic.clone(), it.uri.clone())).collect()
    }
}

/// The API's moods.
impl ShopifySim {
    /// Ends every access token, the one that never ends included, so that the next call is answered 401.
    pub fn expire_tokens(&self) {
        self.shop.with(|state| state.api.tokens.clear());
    }

    pub fn tokens_issued(&self) -> u64 {
        self.shop.with(|state| state.api.tokens_issued)
    }

    /// Answers these root fields with ACCESS_DENIED.
    pub fn deny_access(&self, fields: &[&str]) {
        self.shop.with(|state| state.api.denied = fields.iter().map(|&field| field.to_owned()).collect());
    }

    /// The next `n` writes with an idempotency key are told that another one is running.
    pub fn next_writes_are_concurrent(&self, n: u32) {
        self.shop.with(|state| state.api.idempotency.concurrent = n);
    }

    /// Root fields asked for, and how often; throttled and cut-off calls that were never read are not counted.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shop.with(|state| state.api.calls.clone())
    }
}

/// The number of an order from its id or gid.
fn number(id: &str) -> Result<u64, Refused> {
    let number = id.rsplit('/').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| Refused(format!("{id:?} is no order id")))
}
