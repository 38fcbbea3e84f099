//! What the account remembers: shipments and how they move, webhooks, and what they told.

use crate::shipmondo::{
    Options,
    products::Product,
    webhooks::{self, Message, Webhook},
};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const MESSAGES_KEPT: usize = 1_000;

pub(crate) struct State {
    pub options: Options,
    pub shipments: BTreeMap<u64, Shipment>,
    pub webhooks: BTreeMap<u64, Webhook>,
    /// Made by hand, for a test's target.
    pub by_hand: Vec<Webhook>,
    pub calls: BTreeMap<String, u64>,
    /// The second that requests are counted in, and how many came.
    pub window: (i64, u32),
    next_id: u64,
    to_send: Vec<Message>,
    log: VecDeque<Message>,
}

pub(crate) struct Shipment {
    pub id: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub product: &'static Product,
    pub service_codes: String,
    pub customer_number: Option<String>,
    /// VAT included.
    pub price: Decimal,
    pub reference: Option<String>,
    pub order_id: Option<String>,
    /// As they came.
    pub parties: Vec<Value>,
    pub parcels: Vec<Package>,
    pub service_point: Option<String>,
    pub source: &'static str,
    pub test: bool,
    pub cancelled: bool,
    pub scanned: Option<(Timestamp, Scan)>,
}

/// Parcels of one kind.
pub(crate) struct Package {
    pub grams: u64,
    pub numbers: Vec<String>,
    /// As they came.
    pub asked: Value,
}

/// What a carrier registers about a shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub status: String,
    /// How well it goes: `PROGRESSING`, `SUCCESS`, `DANGER`.
    pub state: String,
    pub text: String,
    pub city: Option<String>,
}

impl Scan {
    /// Any code, known to a connector or not.
    pub fn code(status: &str) -> Self {
        let state = if status == "DELIVERED" { "SUCCESS" } else { "PROGRESSING" };
        Self { status: status.to_owned(), state: state.to_owned(), text: "…".to_owned(), city: None }
    }

    pub fn en_route() -> Self {
        Self::code("EN_ROUTE")
    }

    pub fn available() -> Self {
        Self::code("AVAILABLE_FOR_DELIVERY")
    }

    pub fn delivered() -> Self {
        Self::code("DELIVERED")
    }

    #[must_use]
    pub fn danger(mut self) -> Self {
        "DANGER".clone_into(&mut self.state);
        self
    }

    #[must_use]
    pub fn at(mut self, city: &str) -> Self {
        self.city = Some(city.to_owned());
        self
    }
}

/// A shipment that is not there, or cannot move any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

/// A shipment as a test looks at it.
#[derive(Clone, Debug)]
pub struct ShipmentView {
    pub id: String,
    pub product: String,
    pub services: String,
    pub reference: Option<String>,
    pub numbers: Vec<String>,
    pub grams: u64,
    pub receiver: String,
    pub service_point: Option<String>,
    pub price: Decimal,
    pub test: bool,
    pub cancelled: bool,
    /// The carrier's last word.
    pub status: Option<String>,
}

/// A webhook that was made through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookView {
    pub id: String,
    pub name: String,
    /// `Shipments/create`.
    pub topic: String,
    pub endpoint: String,
    pub active: bool,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            shipments: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            by_hand: Vec::new(),
            calls: BTreeMap::new(),
            window: (0, 0),
            next_id: 1_168,
            to_send: Vec::new(),
            log: VecDeque::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// By its id, or the number of a parcel.
    pub(crate) fn id_of(&self, name: &str) -> Result<u64, Unknown> {
        let named = |it: &&Shipment| it.id.to_string() == name || it.numbers().any(|number| number == name);
        let found = self.shipments.values().find(named).map(|it| it.id);
        found.ok_or_else(|| Unknown(format!("there is no shipment {name:?}")))
    }

    pub(crate) fn scan(&mut self, name: &str, scan: Scan) -> Result<(), Unknown> {
        let (id, now) = (self.id_of(name)?, self.now());
        let Some(shipment) = self.shipments.get_mut(&id).filter(|it| !it.cancelled) else {
            return Err(Unknown(format!("shipment {id} is cancelled")));
        };
        let delivered = scan.status == "DELIVERED";
        shipment.scanned = Some((now, scan));
        let told = shipment.monitor();
        self.tell("Shipment Monitor", "latest", id, &told);
        if delivered {
            self.tell("Shipment Monitor", "delivered", id, &told);
        }
        Ok(())
    }

    /// Whether it is cancelled now, and whether the carrier followed.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<(bool, bool)> {
        let now = self.now();
        let shipment = self.shipments.get_mut(&id)?;
        if shipment.cancelled {
            return Some((true, shipment.product.cancels_at_carrier));
        }
        if shipment.scanned.is_some() {
            return Some((false, false));
        }
        shipment.cancelled = true;
        shipment.updated_at = now;
        let (told, followed) = (shipment.json(), shipment.product.cancels_at_carrier);
        self.tell("Shipments", "cancel", id, &told);
        Some((true, followed))
    }

    /// Queues one message for every webhook that is about this.
    pub(crate) fn tell(&mut self, resource: &str, action: &str, id: u64, data: &Value) {
        let listens = |it: &&Webhook| it.active && it.resource == resource && it.action == action;
        let hooks = self.webhooks.values().chain(&self.by_hand).filter(listens);
        let messages: Vec<Message> = hooks.map(|it| webhooks::message(it, id, data, &self.options)).collect();
        self.log.extend(messages.iter().cloned());
        while self.log.len() > MESSAGES_KEPT {
            self.log.pop_front();
        }
        self.to_send.extend(messages);
    }

    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.to_send)
    }

    /// Oldest first.
    pub(crate) fn newest(&self, n: usize) -> Vec<Message> {
        let skipped = self.log.len().saturating_sub(n);
        self.log.iter().skip(skipped).cloned().collect()
    }
}

impl Shipment {
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &String> {
        self.parcels.iter().flat_map(|it| &it.numbers)
    }

    pub(crate) fn party(&self, kind: &str) -> Option<&Value> {
        self.parties.iter().find(|it| it["type"] == kind)
    }

    pub(crate) fn json(&self) -> Value {
        let parcel = |it: &Package| {
            let mut json = it.asked.clone();
            json["quantity"] = json!(it.numbers.len());
            json["weight"] = json!(it.grams);
            json["weight_kg"] = json!((Decimal::from(it.grams) / Decimal::ONE_THOUSAND).normalize().to_string());
            json["pkg_no"] = json!(it.numbers.first());
            json["pkg_nos"] = json!(it.numbers);
            json
        };
        json!({
            "id": self.id,
            "created_at": utc(self.created_at),
            "updated_at": utc(self.updated_at),
            "carrier_code": self.product.carrier,
            "description": self.product.description,
            "contents": null,
            "product_id": self.product.id,
            "product_code": self.product.code,
            "service_codes": self.service_codes,
            "customer_number": self.customer_number,
            "price": self.price.normalize().to_string(),
            "reference": self.reference,
            "order_id": self.order_id,
            "pkg_no": self.numbers().next(),
            "parties": self.parties,
            "parcels": self.parcels.iter().map(parcel).collect::<Vec<_>>(),
            "service_point": self.service_point.as_ref().map(|id| json!({ "id": id, "shipping_agent": self.product.carrier })),
            "source_type": self.source,
        })
    }

    /// What the Shipment Monitor says, asked or by a webhook. All is null while nothing was registered.
    pub(crate) fn monitor(&self) -> Value {
        let (at, scan) = self.scanned.as_ref().map(|(at, scan)| (local(*at), scan)).unzip();
        let grams: u64 = self.parcels.iter().map(|it| it.grams * it.numbers.len() as u64).sum();
        json!({
            "shipment_id": self.id,
            "current_state": scan.map(|it| &it.state),
            "current_status": scan.map(|it| &it.status),
            "current_status_text": scan.map(|it| &it.text),
            "current_status_registered_at": at,
            "carrier_code": self.product.carrier,
            "carrier_track_id": self.numbers().next(),
            "weight": (Decimal::from(grams) / Decimal::ONE_THOUSAND).normalize().to_string(),
            "city": scan.and_then(|it| it.city.as_ref()),
        })
    }
}

impl ShipmentView {
    pub(crate) fn of(it: &Shipment) -> Self {
        let receiver = it.party("receiver").and_then(|it| it["name"].as_str());
        Self {
            id: it.id.to_string(),
            product: it.product.code.to_owned(),
            services: it.service_codes.clone(),
            reference: it.reference.clone(),
            numbers: it.numbers().cloned().collect(),
            grams: it.parcels.iter().map(|one| one.grams * one.numbers.len() as u64).sum(),
            receiver: receiver.unwrap_or_default().to_owned(),
            service_point: it.service_point.clone(),
            price: it.price,
            test: it.test,
            cancelled: it.cancelled,
            status: it.scanned.as_ref().map(|(_, scan)| scan.status.clone()),
        }
    }
}

impl WebhookView {
    pub(crate) fn of(it: &Webhook) -> Self {
        Self {
            id: it.id.to_string(),
            name: it.name.clone(),
            topic: format!("{}/{}", it.resource, it.action),
            endpoint: it.endpoint.clone(),
            active: it.active,
        }
    }
}

pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The monitor tells Danish time.
fn local(at: Timestamp) -> String {
    let zone = TimeZone::get("Europe/Copenhagen").unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}
