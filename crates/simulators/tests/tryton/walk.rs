//! What a shop's orders go through, and what must stand in the books after each step.

use crate::{hub::Hub, orders::Spec};
use serde_json::{Value, json};
use spindel_connect::{CallError, Cursor};
use spindel_connector_tryton::Tryton;
use spindel_model::{Change, Clock, Currency, Decimal, EntityKind, ErrorClass, Record, ShipmentState, Timestamp};

/// What a sale looks like in the books.
#[derive(Debug)]
pub struct Sale {
    pub state: String,
    pub invoice_state: String,
    pub shipment_state: String,
    pub total: Decimal,
    /// Booked invoices.
    pub invoiced: Decimal,
    /// How many sales have this `web_id`.
    pub times: usize,
}

/// A Tryton with a company that keeps its books in NOK, through the eyes of its people.
pub trait Books {
    fn settings(&self) -> Value;
    fn maps(&self) -> Value;
    /// What the ids of orders begin with, so that they are new in every run.
    fn run(&self) -> String;
    fn clock(&self) -> Clock;
    fn now(&self) -> Timestamp {
        self.clock().now()
    }
    /// A SKU of this run.
    fn sku(&self, at: usize) -> String;
    async fn sale(&self, web_id: &str) -> Sale;
    /// The total of the booked credit note with this reference.
    async fn credited(&self, reference: &str) -> Decimal;
    /// Puts goods on stock.
    async fn receive(&self, sku: &str, pieces: i64);
    async fn set_price(&self, sku: &str, price: &str);
    /// Packs and ships what a sale waits for, under a tracking number.
    async fn ship(&self, web_id: &str, tracking: &str);
    /// Name, email and phone of a party.
    async fn party(&self, code: &str) -> (String, String, String);
}

struct Walk<'a, B> {
    books: &'a B,
    hub: Hub,
}

pub fn hub(books: &impl Books, settings: Value) -> Hub {
    let mut hub = Hub::of::<Tryton>(settings, &books.clock());
    hub.maps = serde_json::from_value(books.maps()).unwrap();
    hub
}

pub async fn walk<B: Books>(books: &B) {
    let walk = Walk { books, hub: hub(books, books.settings()) };
    let who = walk.hub.connection.probe(&walk.hub.api).await.unwrap();
    assert!(who.starts_with("Tryton 8."), "{who}");
    walk.customers().await;
    walk.every_order_is_there_once_and_equal().await;
    walk.money_comes_in_and_goes_back().await;
    walk.parts_and_too_much_are_booked_as_such().await;
    walk.orders_change_until_they_are_processed().await;
    walk.orders_are_cancelled().await;
    walk.a_race_leaves_one_sale().await;
    walk.stock_and_prices_are_polled().await;
    walk.shipments_come_back().await;
    crate::shapes::shapes(books).await;
}

impl<B: Books> Walk<'_, B> {
    fn spec<'a>(&self, name: &str, currency: Currency, included: bool, lines: Vec<crate::orders::Line<'a>>) -> Spec<'a> {
        Spec::of(&format!("{}{name}", self.books.run()), currency, included, lines, self.books.now())
    }

    async fn sale(&self, spec: &Spec<'_>) -> Sale {
        self.books.sale(&format!("erp/{}", spec.id)).await
    }

    async fn refused(&self, action: Value) -> CallError {
        self.hub.perform(None, action).await.unwrap_err()
    }

    /// Performs it, finds that it was, and performs it again without effect.
    async fn once(&self, action: Value) {
        assert_eq!(self.hub.look_up(None, action.clone()).await.unwrap(), None, "{action}");
        let done = self.hub.perform(None, action.clone()).await.unwrap_or_else(|error| panic!("{error}\n{action:#}"));
        assert!(!done.unchanged, "{action}");
        assert!(self.hub.look_up(None, action.clone()).await.unwrap().is_some(), "{action}");
        let again = self.hub.perform(None, action.clone()).await.unwrap();
        assert!(again.unchanged, "{action}");
        assert_eq!(again.reference, done.reference);
    }

    async fn customers(&self) {
        let id = format!("C-{}", self.books.run());
        let customer = |email: &str, phone: &str| {
            json!({ "do": "upsert_customer", "customer": { "id": id, "email": email, "phone": phone, "first_name": "Liv",
                "last_name": "Strand", "locale": "nb-NO", "default_address": { "first_name": "Liv", "last_name": "Strand",
                "line1": "Havnegata 3", "postal_code": "5003", "city": "Bergen", "country": "NO" } } })
        };
        let first = self.hub.perform(None, customer("liv@example.no", "+47 22 33 44 55")).await.unwrap();
        let second = self.hub.perform(None, customer("liv.strand@example.no", "+47 22 33 44 55")).await.unwrap();
        assert_eq!(first.reference, second.reference);
        let (name, email, phone) = self.books.party(&format!("erp/{id}")).await;
        assert_eq!((name.as_str(), email.as_str()), ("Liv Strand", "liv.strand@example.no"));
        assert_eq!(phone.replace(' ', ""), "+4722334455");
    }

    async fn every_order_is_there_once_and_equal(&self) {
        let skus: Vec<String> = (0..3).map(|at| self.books.sku(at)).collect();
        let [a, b, c] = [0, 1, 2].map(|at| skus[at].as_str());
        let currencies = [Currency::NOK, Currency::EUR, Currency::JPY, Currency::SEK, Currency::DKK, Currency::KWD];
        for (at, currency) in currencies.into_iter().enumerate() {
            let whole = |text: &'static str, yen: &'static str| if currency == Currency::JPY { yen } else { text };
            for included in [true, false] {
                let lines = vec![
                    (a, 3, whole("100.00", "1000"), whole("13.00", "131")),
                    (b, 7, whole("33.33", "333"), "0"),
                    (c, 1, whole("799.20", "7992"), whole("0.07", "7")),
                ];
                let mut spec = self.spec(&format!("eq{at}{included}"), currency, included, lines);
                spec.shipping = Some(whole("99.00", "990"));
                spec.tip = Some(whole("25.50", "255"));
                spec.rounding = if included { -1 } else { 1 };
                spec.customer = included;
                let (push, grand) = spec.push();
                self.once(push).await;
                let sale = self.sale(&spec).await;
                assert_eq!((sale.total, sale.times, sale.state.as_str()), (grand, 1, "processing"), "{} {sale:?}", spec.id);
            }
        }
        let spec = self.spec("unknown", Currency::NOK, true, vec![("NOT-THERE", 1, "10.00", "0")]);
        let error = self.refused(spec.push().0).await;
        assert!(error.class == ErrorClass::Data && error.message.contains("NOT-THERE"), "{error}");
        assert_eq!(self.sale(&spec).await.times, 0);
    }

    async fn money_comes_in_and_goes_back(&self) {
        let sku = self.books.sku(0);
        for (name, currency, included, price, off, post, goodwill) in [
            ("paid", Currency::NOK, true, "100.00", "13.00", "99.00", "5.00"),
            ("paidx", Currency::NOK, false, "76.53", "0.01", "79.20", "0"),
            ("paide", Currency::EUR, true, "9.99", "1.00", "4.90", "0.50"),
            ("paidj", Currency::JPY, true, "1001", "10", "490", "3"),
        ] {
            let mut spec = self.spec(name, currency, included, vec![(&sku, 3, price, off)]);
            spec.shipping = Some(post);
            let (push, grand) = spec.push();
            let early = self.refused(spec.payment("t1", grand)).await;
            assert_eq!(early.class, ErrorClass::MissingDependency, "{early}");
            self.once(push).await;
            self.once(spec.payment("t1", grand)).await;
            let sale = self.sale(&spec).await;
            assert_eq!((sale.invoice_state.as_str(), sale.invoiced), ("paid", grand), "{sale:?}");
            for (at, pieces, shipping) in [(1, 1, true), (2, 2, false)] {
                let goodwill = if at == 1 { goodwill } else { "0" };
                let id = format!("{}r{at}", spec.id);
                let (refund, total) = spec.refund(&id, pieces, shipping, goodwill);
                self.once(refund).await;
                assert_eq!(self.books.credited(&format!("erp/refund/{id}")).await, -total, "{id}");
            }
            let (refund, total) = spec.refund(&format!("{}r3", spec.id), 0, false, "0");
            assert!(total.is_zero());
            assert!(self.hub.perform(None, refund).await.unwrap().unchanged);
        }
    }

    async fn parts_and_too_much_are_booked_as_such(&self) {
        let sku = self.books.sku(1);
        let spec = self.spec("parts", Currency::NOK, true, vec![(&sku, 1, "250.00", "0")]);
        let amount = |text: &str| text.parse::<Decimal>().unwrap();
        self.once(spec.push().0).await;
        self.once(spec.payment("t1", amount("100.00"))).await;
        assert_eq!(self.sale(&spec).await.invoice_state, "awaiting payment");
        self.once(spec.payment("t2", amount("175.00"))).await;
        assert_eq!(self.sale(&spec).await.invoice_state, "paid");
        let error = self.refused(spec.payment("t3", amount("1.00"))).await;
        assert!(error.class == ErrorClass::Data && error.message.contains("is paid already"), "{error}");
        let mut unmapped = spec.payment("t4", amount("1.00"));
        unmapped["transaction"]["gateway"] = json!("klarna");
        assert_eq!(self.refused(unmapped).await.class, ErrorClass::Config);
        let mut held = spec.payment("t5", amount("1.00"));
        held["transaction"]["kind"] = json!("authorization");
        assert!(self.hub.perform(None, held).await.unwrap().unchanged);
    }

    async fn orders_change_until_they_are_processed(&self) {
        let (sku, other) = (self.books.sku(0), self.books.sku(1));
        let mut settings = self.books.settings();
        settings["confirm"] = json!(false);
        let quoting = hub(self.books, settings);
        let mut spec = self.spec("edit", Currency::NOK, true, vec![(&sku, 2, "100.00", "0")]);
        quoting.perform(None, spec.push().0).await.unwrap();
        let sale = self.sale(&spec).await;
        assert_eq!((sale.state.as_str(), sale.total), ("quotation", Decimal::from(200)));
        spec.lines = vec![(&sku, 1, "100.00", "0"), (&other, 3, "33.33", "0.99")];
        let (push, grand) = spec.push();
        quoting.perform(None, push.clone()).await.unwrap();
        let sale = self.sale(&spec).await;
        assert_eq!((sale.state.as_str(), sale.total, sale.times), ("quotation", grand, 1));
        assert!(quoting.perform(None, push.clone()).await.unwrap().unchanged);
        // The same order through a connection that confirms.
        self.once(push).await;
        assert_eq!(self.sale(&spec).await.state, "processing");
        spec.lines = vec![(&sku, 5, "100.00", "0")];
        let error = self.refused(spec.push().0).await;
        assert!(error.class == ErrorClass::Data && error.message.contains("can no longer be changed"), "{error}");
        assert_eq!(self.sale(&spec).await.total, grand);
        // Nothing is left of an order: it stays there, empty.
        let mut empty = self.spec("empty", Currency::NOK, true, vec![]);
        empty.customer = false;
        self.hub.perform(None, empty.push().0.clone()).await.unwrap();
        assert!(self.sale(&empty).await.total.is_zero());
    }

    async fn orders_are_cancelled(&self) {
        let sku = self.books.sku(2);
        let spec = self.spec("cancel", Currency::NOK, true, vec![(&sku, 2, "100.00", "0")]);
        let cancel =
            json!({ "do": "cancel_order", "order": spec.reference(), "reason": "customer", "at": spec.at, "restock": true });
        assert_eq!(self.refused(cancel.clone()).await.class, ErrorClass::MissingDependency);
        self.once(spec.push().0).await;
        assert!(!self.hub.perform(None, cancel.clone()).await.unwrap().unchanged);
        let sale = self.sale(&spec).await;
        assert_eq!((sale.state.as_str(), sale.shipment_state.as_str(), sale.invoice_state.as_str()), ("done", "none", "none"));
        assert!(self.hub.perform(None, cancel).await.unwrap().unchanged);
        let (refund, _) = spec.refund(&format!("{}r", spec.id), 1, false, "0");
        assert!(self.hub.perform(None, refund).await.unwrap().unchanged, "what was never invoiced is not credited");
        // One that the shop cancelled before it came.
        let spec = self.spec("never", Currency::NOK, true, vec![(&sku, 2, "100.00", "0")]);
        let (mut push, _) = spec.push();
        push["order"]["cancelled_at"] = json!(spec.at);
        self.once(push.clone()).await;
        assert_eq!(self.sale(&spec).await.state, "cancelled");
        push["order"].as_object_mut().unwrap().remove("cancelled_at");
        let error = self.refused(push).await;
        assert!(error.class == ErrorClass::Data && error.message.contains("was cancelled in Tryton"), "{error}");
    }

    async fn a_race_leaves_one_sale(&self) {
        let sku = self.books.sku(0);
        let spec = self.spec("race", Currency::NOK, true, vec![(&sku, 1, "10.00", "0")]);
        let (push, _) = spec.push();
        let runs = [(); 3].map(|()| self.hub.perform(None, push.clone()));
        let [one, two, three] = runs;
        let (one, two, three) = tokio::join!(one, two, three);
        for lost in [one, two, three].into_iter().filter_map(Result::err) {
            assert_eq!(lost.class, ErrorClass::Transient, "{lost}");
        }
        // Whoever lost tries again, and the sale is whole.
        for _ in 0..3 {
            if self.hub.look_up(None, push.clone()).await.unwrap().is_some() {
                break;
            }
            let _ = self.hub.perform(None, push.clone()).await;
        }
        assert!(self.hub.look_up(None, push).await.unwrap().is_some());
        let sale = self.sale(&spec).await;
        assert_eq!((sale.times, sale.total), (1, Decimal::from(10)));
    }

    fn since_now(&self, kind: EntityKind) -> Option<Cursor> {
        Some(self.hub.connection.poll_since(kind, self.books.now()).unwrap())
    }

    async fn stock_and_prices_are_polled(&self) {
        let sku = self.books.sku(3);
        let of_sku = |changes: &[Change]| {
            let level = |it: &Change| match &it.record {
                Record::Stock(level) if level.sku.as_deref() == Some(sku.as_str()) => Some((it.entity.id.clone(), level.clone())),
                _ => None,
            };
            changes.iter().filter_map(level).next_back()
        };
        let (_, level) = of_sku(&self.hub.poll(EntityKind::Stock, &mut None).await).expect("goods without stock are listed, too");
        assert_eq!((level.available, level.on_hand), (Some(Decimal::ZERO), Some(Decimal::ZERO)));
        let mut cursor = self.since_now(EntityKind::Stock);
        self.books.receive(&sku, 20).await;
        let (_, level) = of_sku(&self.hub.poll(EntityKind::Stock, &mut cursor).await).unwrap();
        assert_eq!((level.available, level.on_hand), (Some(Decimal::from(20)), Some(Decimal::from(20))));
        let spec = self.spec("stock", Currency::NOK, true, vec![(&sku, 3, "10.00", "0")]);
        self.once(spec.push().0).await;
        let (id, promised) = of_sku(&self.hub.poll(EntityKind::Stock, &mut cursor).await).unwrap();
        assert_eq!((promised.available, promised.on_hand), (Some(Decimal::from(17)), Some(Decimal::from(20))));
        assert!(promised.as_of > level.as_of);
        let Some(Record::Stock(read)) = self.hub.read(EntityKind::Stock, &id).await else { panic!("no stock {id}") };
        assert_eq!((read.available, read.location), (promised.available, promised.location));
        assert!(self.hub.read(EntityKind::Stock, "999999@999999").await.is_none());

        let mut cursor = self.since_now(EntityKind::Price);
        self.books.set_price(&sku, "123.45").await;
        let changes = self.hub.poll(EntityKind::Price, &mut cursor).await;
        let price = changes.iter().find_map(|it| match &it.record {
            Record::Price(price) if price.sku == sku => Some(price.clone()),
            _ => None,
        });
        let price = price.expect("a new price is found");
        assert_eq!((price.amount.to_string().as_str(), price.includes_tax), ("123.45 NOK", false));
    }

    async fn shipments_come_back(&self) {
        let sku = self.books.sku(3);
        let spec = self.spec("ship", Currency::NOK, true, vec![(&sku, 2, "10.00", "0")]);
        self.once(spec.push().0).await;
        let mut cursor = self.since_now(EntityKind::Shipment);
        self.books.ship(&format!("erp/{}", spec.id), "370123456789").await;
        let changes = self.hub.poll(EntityKind::Shipment, &mut cursor).await;
        let found = changes.iter().find_map(|it| match &it.record {
            Record::Shipment(it) if it.order.id.as_deref() == Some(spec.id.as_str()) => Some(it.clone()),
            _ => None,
        });
        let shipment = found.expect("what left is found");
        assert_eq!(shipment.order.number, Some(format!("#{}", spec.id)));
        assert_eq!((shipment.state, shipment.tracking[0].number.as_str()), (ShipmentState::Shipped, "370123456789"));
        assert!(shipment.completes_order);
        let [line] = &shipment.lines[..] else { panic!("{:?}", shipment.lines) };
        assert_eq!(
            (line.line_id.clone(), line.sku.clone(), line.quantity),
            (Some(format!("{}-0", spec.id)), Some(sku.clone()), Decimal::TWO)
        );
        let Some(Record::Shipment(read)) = self.hub.read(EntityKind::Shipment, &shipment.id).await else {
            panic!("not readable")
        };
        assert_eq!(read, shipment);
        assert_eq!(self.sale(&spec).await.shipment_state, "sent");
    }
}
