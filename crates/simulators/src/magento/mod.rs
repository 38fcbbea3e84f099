//! A simulated Magento shop: orders, credit memos, shipments, products and stock that a test moves by hand, and the REST API
//! with integrations, search criteria, store views, Multi Source Inventory and the bulk API; of Adobe Commerce its events.
//!
//! As the vendor does, it answers the last page again beyond the last, takes stock of SKUs that no product has, gives back all
//! of the freight where nobody says how much, and tells times without their zone.

mod auth;
mod bulk;
mod catalogue;
mod events;
mod http;
mod sales;
mod search;
mod state;

pub use events::{Forged, Sent};
pub use sales::{OrderSpec, Payment};
pub use state::Refused;

use crate::{
    fault::{self, Faults},
    server::Server,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use spindel_model::Clock;
use state::{Shop, State};
use std::{io, sync::Arc};

/// Public half of the key that events and webhooks are signed with.
pub const PUBLIC_KEY: &str = include_str!("public_key.pem");

/// What the shop sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Magento Open Source.
    Nothing,
    IoEvents {
        client_id: String,
    },
    Webhooks,
}

/// How the shop is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub consumer_key: String,
    pub consumer_secret: String,
    pub access_token: String,
    pub access_token_secret: String,
    /// Whether the access token alone will do.
    pub bearer: bool,
    /// User and password of an admin, for tokens of four hours.
    pub admin: (String, String),
    /// ISO 4217: what the shop keeps its books in.
    pub currency: String,
    /// What orders are placed in instead, and what one of the base currency costs in it.
    pub order_currency: Option<(String, Decimal)>,
    pub prices_include_tax: bool,
    /// Code and locale of each store view.
    pub stores: Vec<(String, String)>,
    pub sources: Vec<String>,
    pub products: usize,
    /// Of every product at every source, at the start.
    pub stock: i64,
    /// "Ship Bundle Items: Separately".
    pub bundles_apart: bool,
    /// "Web API Security, Input Limiting".
    pub input_limits: bool,
    /// The consumer of the bulk API works at once; otherwise when [`MagentoSim::run_consumer`] says.
    pub consumer_runs: bool,
    pub push: Push,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let view = |code: &str, locale: &str| (code.to_owned(), locale.to_owned());
        Self {
            consumer_key: "consumerkey01".into(),
            consumer_secret: "consumersecret01".into(),
            access_token: "accesstoken01".into(),
            access_token_secret: "tokensecret01".into(),
            bearer: false,
            admin: ("spindel".into(), "admin-password".into()),
            currency: "NOK".into(),
            order_currency: None,
            prices_include_tax: true,
            stores: vec![view("default", "nb_NO"), view("en", "en_GB")],
            sources: vec!["default".into(), "oslo".into()],
            products: 6,
            stock: 1_000,
            bundles_apart: false,
            input_limits: true,
            consumer_runs: true,
            push: Push::Nothing,
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

/// An order as it stands, in base currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    pub id: String,
    pub number: String,
    pub state: String,
    pub total: Decimal,
    pub paid: Decimal,
    pub refunded: Decimal,
    /// Remarks of its history.
    pub remarks: Vec<String>,
}

/// A running shop and the handle to move it. Dropping it ends the server and the sending.
pub struct MagentoSim {
    shop: Arc<Shop>,
    faults: Faults,
    server: Server,
}

impl MagentoSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let post = events::Post::start().map_err(io::Error::other)?;
        let shop = Arc::new(Shop::new(State::filled(options), post));
        let faults = Faults::default();
        let router = http::router(Arc::clone(&shop)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { shop, faults, server })
    }

    /// `http://127.0.0.1:port`: the address of the shop, without `/rest`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the API fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Method and path of every call so far.
    pub fn calls(&self) -> Vec<String> {
        self.shop.with(|state| state.calls.clone())
    }

    /// Something is done by hand, and whoever listens is told.
    fn act<T>(&self, run: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        let done = self.shop.with(run);
        self.shop.post_waiting();
        done
    }
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_| Refused(format!("{id:?} is no id")))
}

fn refused(problem: http::Problem) -> Refused {
    Refused(problem.message)
}

/// Orders.
impl MagentoSim {
    pub fn place_order(&self, spec: &OrderSpec) -> Result<Placed, Refused> {
        self.act(|state| {
            let id = state.place(spec)?;
            let number = state.orders.get(&id).map(|it| it.number.clone()).unwrap_or_default();
            Ok(Placed { id: id.to_string(), number })
        })
    }

    /// Takes what is authorised, or books what came in: everything that is due.
    pub fn invoice_order(&self, order: &str) -> Result<(), Refused> {
        self.act(|state| sales::invoice(state, number(order)?, &json!({ "capture": true })).map(|_| ()).map_err(refused))
    }

    pub fn cancel_order(&self, order: &str) -> Result<bool, Refused> {
        self.act(|state| sales::cancel(state, number(order)?).map_err(refused))
    }

    /// Sends so many of these SKUs (of everything where none is named), with a track; answers the shipment's id.
    pub fn ship_order(&self, order: &str, lines: &[(&str, u32)], track: &str) -> Result<String, Refused> {
        self.act(|state| {
            let id = number(order)?;
            let items = rows(state, id, lines)?;
            let tracks = json!([{ "track_number": track, "title": "Bring", "carrier_code": "custom" }]);
            let body = json!({ "items": items, "tracks": tracks });
            sales::ship(state, id, &body).map(|it| it.to_string()).map_err(refused)
        })
    }

    /// Gives back so many of these SKUs and an adjustment, and no freight; by the payment method where `online`.
    /// Answers the credit memo's id.
    pub fn refund_order(&self, order: &str, lines: &[(&str, u32)], adjustment: Decimal, online: bool) -> Result<String, Refused> {
        self.act(|state| {
            let id = number(order)?;
            let mut items = rows(state, id, lines)?;
            if items.is_empty() {
                let any = state.orders.get(&id).and_then(|it| it.counted().next()).map(|it| it.id);
                items.push(json!({ "order_item_id": any, "qty": 0 }));
            }
            let arguments = json!({ "shipping_amount": 0, "adjustment_positive": state::num(adjustment) });
            let body = json!({ "items": items, "isOnline": online, "arguments": arguments });
            let invoice = state.invoices.values().find(|it| it.order == id).map(|it| it.id).filter(|_| online);
            sales::refund(state, id, invoice, &body).map(|it| it.to_string()).map_err(refused)
        })
    }

    pub fn order(&self, order: &str) -> Option<OrderView> {
        self.shop.with(|state| {
            let it = state.orders.get(&order.parse().ok()?)?;
            let remarks = it.histories.iter().filter_map(|it| it["comment"].as_str().map(str::to_owned));
            Some(OrderView {
                id: it.id.to_string(),
                number: it.number.clone(),
                state: it.state.to_owned(),
                total: it.total(),
                paid: it.paid,
                refunded: it.refunded,
                remarks: remarks.collect(),
            })
        })
    }

    /// Tracks of all shipments of an order.
    pub fn tracks(&self, order: &str) -> Vec<String> {
        self.of(order, sales::shipments)
            .iter()
            .flat_map(|it| it["tracks"].as_array().cloned().unwrap_or_default())
            .filter_map(|it| it["track_number"].as_str().map(str::to_owned))
            .collect()
    }

    /// Shipments of an order, as the API tells them.
    pub fn shipments(&self, order: &str) -> Vec<Value> {
        self.of(order, sales::shipments)
    }

    /// Credit memos of an order, as the API tells them.
    pub fn credit_memos(&self, order: &str) -> Vec<Value> {
        self.of(order, sales::memos)
    }

    pub fn invoices(&self, order: &str) -> Vec<Value> {
        self.of(order, sales::invoices)
    }

    fn of(&self, order: &str, list: fn(&State) -> Vec<Value>) -> Vec<Value> {
        let id = order.parse::<u64>().unwrap_or_default();
        self.shop.with(|state| list(state)).into_iter().filter(|it| it["order_id"] == id).collect()
    }

    /// From now on the payment method refuses to give money back; `None` ends it.
    pub fn refuse_refunds(&self, words: Option<&str>) {
        self.shop.with(|state| state.refuses = words.map(str::to_owned));
    }
}

/// The rows of an order that are meant by these SKUs.
fn rows(state: &State, order: u64, lines: &[(&str, u32)]) -> Result<Vec<Value>, Refused> {
    let order = state.orders.get(&order).ok_or_else(|| Refused(format!("there is no order {order}")))?;
    let row = |(sku, qty): &(&str, u32)| {
        let item = order.row(sku).ok_or_else(|| Refused(format!("order {} has no {sku}", order.number)))?;
        Ok(json!({ "order_item_id": item.id, "qty": qty }))
    };
    lines.iter().map(row).collect()
}

/// Products, stock and customers.
impl MagentoSim {
    pub fn stock(&self, sku: &str, source: &str) -> Option<Decimal> {
        self.shop.with(|state| state.source_items.get(&(sku.to_owned(), source.to_owned())).map(|it| it.quantity))
    }

    pub fn set_stock_by_hand(&self, sku: &str, source: &str, quantity: i64, in_stock: bool) {
        let item = catalogue::SourceItem { quantity: Decimal::from(quantity), status: u64::from(in_stock) };
        self.shop.with(|state| state.source_items.insert((sku.to_owned(), source.to_owned()), item));
    }

    /// Whether it is told as in stock.
    pub fn is_in_stock(&self, sku: &str, source: &str) -> Option<bool> {
        self.shop.with(|state| state.source_items.get(&(sku.to_owned(), source.to_owned())).map(|it| it.status == 1))
    }

    pub fn price(&self, sku: &str) -> Option<Decimal> {
        self.shop.with(|state| state.product(sku).ok()?.price)
    }

    /// Price, and the days from and to which it holds.
    pub fn special_price(&self, sku: &str) -> Option<(Decimal, Option<String>, Option<String>)> {
        self.shop.with(|state| {
            let it = state.specials.get(&(sku.to_owned(), 0))?;
            Some((it.price, it.from.clone(), it.to.clone()))
        })
    }

    pub fn product_id(&self, sku: &str) -> Option<String> {
        self.shop.with(|state| state.product(sku).ok().map(|it| it.id.to_string()))
    }

    /// `name` or an attribute of a product, in a store view (`all` for none of them).
    pub fn product_value(&self, sku: &str, store: &str, name: &str) -> Option<Value> {
        self.shop.with(|state| state.product(sku).ok()?.value(state.store(store)?, name).cloned())
    }

    /// Numbers of the variants of a product.
    pub fn variants(&self, sku: &str) -> Vec<u64> {
        let links = |state: &mut State| state.product(sku).ok()?.extension.get("configurable_product_links").cloned();
        let links = self.shop.with(links);
        links.and_then(|it| Some(it.as_array()?.iter().filter_map(Value::as_u64).collect())).unwrap_or_default()
    }

    /// As somebody would in the admin pages.
    pub fn rename_product(&self, sku: &str, name: &str) -> Result<(), Refused> {
        self.act(|state| {
            let body = json!({ "product": { "sku": state.product(sku)?.sku, "name": name } });
            catalogue::save(state, 0, &body).map(|_| ()).map_err(refused)
        })
    }

    /// Somebody opens an account; answers its id.
    pub fn add_customer(&self, email: &str, first_name: &str, last_name: &str, subscribed: bool) -> String {
        self.shop.with(|state| {
            let (id, now) = (state.next_id(), state.stamp());
            let customer = json!({ "id": id, "group_id": 1, "created_at": now, "updated_at": now, "email": email,
                "firstname": first_name, "lastname": last_name, "store_id": 1, "website_id": 1, "addresses": [],
                "extension_attributes": { "is_subscribed": subscribed } });
            state.customers.insert(id, customer);
            id.to_string()
        })
    }

    /// The consumer of the bulk API works through what is queued.
    pub fn run_consumer(&self) {
        self.shop.with(bulk::work);
        self.shop.post_waiting();
    }
}

/// Events and webhooks.
impl MagentoSim {
    /// Where events or webhooks go; a webhook names its hook in the query behind it.
    pub fn set_target(&self, url: &str) {
        self.shop.with(|state| state.target = Some(url.to_owned()));
    }

    /// Waits until all that was to be sent was taken or given up.
    pub async fn flush(&self) {
        self.shop.post.flush().await;
    }

    /// How often anything was sent until now, forgeries not counted.
    pub fn tries(&self) -> u64 {
        self.shop.post.tries()
    }

    /// What was sent, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.shop.post.sent()
    }

    /// Sends the last one `n` times in ways that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        self.shop.post.forge(n).await
    }
}
