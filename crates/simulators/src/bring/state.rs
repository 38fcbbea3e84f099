//! What Bring knows: consignments with their packages and events, and who is told of them.

use crate::bring::{Options, sender::Webhook};
use axum::body::Bytes;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

const WEBHOOKS_KEPT: usize = 10_000;

/// Why something cannot be done, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// One booking.
#[derive(Clone, Debug)]
pub struct Consignment {
    pub number: String,
    /// The sender's, by which tracking finds it.
    pub reference: String,
    pub correlation_id: Option<String>,
    pub service: String,
    pub recipient_name: String,
    pub postal_code: String,
    pub city: String,
    pub pickup_point: Option<String>,
    /// As it was sent: a local time, or milliseconds.
    pub shipping_date_time: String,
    /// Whom Bring tells: e-mail address and telephone number.
    pub notified: (Option<String>, Option<String>),
    /// Its label is not valid, and tracking knows nothing of it.
    pub test: bool,
    pub booked_at: Timestamp,
    pub packages: Vec<Package>,
    /// The unguessable part of its label's address.
    pub label: String,
    pub label_downloads: u32,
}

#[derive(Clone, Debug)]
pub struct Package {
    pub number: String,
    pub correlation_id: Option<String>,
    pub kilograms: Decimal,
    /// Length, width and height.
    pub centimetres: Option<(u32, u32, u32)>,
    /// In the order in which Bring was told of them.
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub status: String,
    pub city: String,
    /// In whole seconds, as Bring tells them.
    pub at: Timestamp,
}

impl Consignment {
    /// Whether this is its number, or that of one of its packages.
    pub fn has(&self, number: &str) -> bool {
        self.number == number || self.packages.iter().any(|it| it.number == number)
    }

    fn place_of(&self, status: &str) -> String {
        match status {
            "PRE_NOTIFIED" => String::new(),
            "READY_FOR_PICKUP" | "ATTEMPTED_DELIVERY" | "DELIVERED" | "TRANSPORT_TO_RECIPIENT" => self.city.clone(),
            _ => "OSLO".to_owned(),
        }
    }
}

pub(crate) struct State {
    pub options: Options,
    /// Where the APIs and the store of labels answer.
    pub base: String,
    pub store: String,
    pub consignments: Vec<Consignment>,
    pub target: Option<String>,
    pub outbox: Vec<Webhook>,
    pub log: VecDeque<Webhook>,
    /// Of services whose price was changed.
    pub prices: BTreeMap<String, Decimal>,
    pub service_errors: BTreeMap<String, (String, String)>,
    pub prices_down: bool,
    pub tracking_error: Option<u16>,
    pub labels_down: bool,
    pub calls: BTreeMap<&'static str, u64>,
    /// Start of the running second of an API, and its calls in it.
    windows: BTreeMap<&'static str, (Instant, u32)>,
    numbers: u64,
}

impl State {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            base: String::new(),
            store: String::new(),
            consignments: Vec::new(),
            target: None,
            outbox: Vec::new(),
            log: VecDeque::new(),
            prices: BTreeMap::new(),
            service_errors: BTreeMap::new(),
            prices_down: false,
            tracking_error: None,
            labels_down: false,
            calls: BTreeMap::new(),
            windows: BTreeMap::new(),
            numbers: 0,
        }
    }

    /// A number that was not given before.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Counts a call; `false` when the API had its fill in this second.
    pub fn admit(&mut self, api: &'static str) -> bool {
        let most = match api {
            "booking" => 18,
            "pickuppoint" => 80,
            "shippingguide" => 120,
            _ => u32::MAX,
        };
        let now = Instant::now();
        let window = self.windows.entry(api).or_insert((now, 0));
        if now.duration_since(window.0) >= Duration::from_secs(1) {
            *window = (now, 0);
        }
        window.1 += 1;
        let admitted = window.1 <= most;
        *self.calls.entry(api).or_default() += u64::from(admitted);
        admitted
    }

    pub fn scan(&mut self, parcel: &str, code: &str, at: Timestamp) -> Result<(), Refused> {
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let found = self.consignments.iter_mut().find(|it| it.has(parcel));
        let consignment = found.ok_or_else(|| Refused(format!("there is no parcel {parcel:?}")))?;
        if consignment.test {
            return Err(Refused(format!("parcel {parcel:?} is a test: it is never handed in")));
        }
        let event = Event { status: code.to_owned(), city: consignment.place_of(code), at };
        let shipment = consignment.number.clone();
        let mut moved = Vec::new();
        for package in consignment.packages.iter_mut().filter(|it| shipment == parcel || it.number == parcel) {
            package.events.push(event.clone());
            moved.push(package.number.clone());
        }
        for package in moved {
            self.announce(&shipment, &package, &event);
        }
        Ok(())
    }

    /// Nothing is signed: the header of the registration comes with every event.
    fn announce(&mut self, shipment: &str, package: &str, event: &Event) {
        let Some(url) = self.target.clone() else { return };
        // UTC, with an offset that has no colon.
        let time = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string();
        let body = json!({
            "status": event.status,
            "id": Uuid::new_v4(),
            "shipment": shipment,
            "package": package,
            "created": time(event.at),
            "pushed": time(self.options.clock.now()),
        });
        let correlation: String = Uuid::new_v4().simple().to_string().chars().take(5).collect();
        let headers = [
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("User-Agent", "Bringcast-Webhook/v1.0.34"),
            ("X-Bring-Application", "BMEC"),
            ("X-bring-Correlation", &correlation),
            ("X-bring-Version", "1.0.34"),
            (&self.options.webhook_header, &self.options.webhook_secret),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let webhook = Webhook { url, headers, body: Bytes::from(body.to_string()) };
        if self.log.len() >= WEBHOOKS_KEPT {
            self.log.pop_front();
        }
        self.log.push_back(webhook.clone());
        self.outbox.push(webhook);
    }
}
