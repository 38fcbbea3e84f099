//! The tables of the company: records with etags, what is refused, and which changes are still to be told.

use super::{Setup, schema, schema::Set};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Properties; those whose name begins with `_` are never shown.
pub(super) type Record = Map<String, Value>;

/// An answer in the vendor's shape for errors.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// What the application itself refuses.
    pub(super) fn dialog(message: impl Into<String>) -> Self {
        Self::new(400, "Application_DialogException", message)
    }

    pub(super) fn body(&self) -> Value {
        let message = format!("{}  CorrelationId:  {}.", self.message, Uuid::new_v4());
        json!({ "error": { "code": self.code, "message": message } })
    }
}

/// A change that subscribers are to be told of.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub set: &'static str,
    pub id: String,
    pub change: &'static str,
    pub at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Subscription {
    pub id: String,
    pub url: String,
    pub resource: String,
    pub set: &'static str,
    pub client_state: String,
    pub etag: String,
    pub modified: Timestamp,
    pub expires: Timestamp,
}

#[derive(Clone)]
pub(super) struct State {
    pub setup: Setup,
    tables: BTreeMap<&'static str, Vec<Record>>,
    numbers: BTreeMap<&'static str, u64>,
    versions: u64,
    pub tokens: BTreeMap<String, Timestamp>,
    pub subscriptions: Vec<Subscription>,
    pub notices: Vec<Notice>,
    /// Entries whose transaction has not ended: they have a number, and nobody sees them.
    pub slow_entries: Vec<Record>,
}

impl State {
    pub(super) fn new(setup: Setup) -> Self {
        let mut state = Self {
            setup,
            tables: BTreeMap::new(),
            numbers: BTreeMap::new(),
            versions: 0,
            tokens: BTreeMap::new(),
            subscriptions: Vec::new(),
            notices: Vec::new(),
            slow_entries: Vec::new(),
        };
        for code in state.setup.journals.clone() {
            let fields = json!({ "code": code, "displayName": code });
            state.insert("customerPaymentJournals", fields);
        }
        for (number, price, stock) in state.setup.items.clone() {
            state.add_item(&number, price, stock);
        }
        for number in state.setup.services.clone() {
            state.insert("items", json!({ "number": number, "displayName": number, "type": "Service" }));
        }
        let customer = json!({ "number": "WEB", "displayName": "Webshop", "type": "Company" });
        state.insert("customers", customer);
        state.notices.clear();
        state
    }

    /// Milliseconds, as the vendor has them.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.setup.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    pub(super) fn today(&self) -> String {
        self.now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
    }

    pub(super) fn etag(&mut self) -> String {
        self.versions += 1;
        format!("W/\"{}\"", STANDARD.encode(format!("'20;{:012};1;00;'", self.versions)))
    }

    pub(super) fn next(&mut self, series: &'static str, first: u64) -> u64 {
        let next = self.numbers.entry(series).or_insert(first);
        *next += 1;
        *next - 1
    }

    // --- records

    pub(super) fn rows(&self, set: &str) -> &[Record] {
        self.tables.get(set).map_or(&[], Vec::as_slice)
    }

    pub(super) fn row(&self, set: &str, id: &str) -> Option<&Record> {
        self.rows(set).iter().find(|it| text(it, "id").eq_ignore_ascii_case(id))
    }

    pub(super) fn by(&self, set: &str, name: &str, value: &str) -> Option<&Record> {
        self.rows(set).iter().find(|it| text(it, name).eq_ignore_ascii_case(value))
    }

    pub(super) fn found(&self, set: &Set, id: &str) -> Result<&Record, Refusal> {
        let missing = || {
            let problem = format!("The {} does not exist. Identification fields and values: SystemId='{{{id}}}'", set.single);
            Refusal::new(404, "Internal_RecordNotFound", problem)
        };
        self.row(set.name, id).ok_or_else(missing)
    }

    /// Lines of a document, in their order.
    pub(super) fn lines(&self, lines: &str, document: &str) -> Vec<Record> {
        self.rows(lines).iter().filter(|it| text(it, "documentId") == document).cloned().collect()
    }

    /// With all properties that are not given left blank; its id.
    pub(super) fn insert(&mut self, set: &'static str, fields: Value) -> String {
        let Ok(known) = schema::set(set) else { unreachable!("{set} is a set of the schema") };
        let mut record = known.blank();
        if let Value::Object(fields) = fields {
            record.extend(fields);
        }
        let id = Uuid::new_v4().to_string();
        record.insert("id".into(), json!(id));
        self.tables.entry(known.name).or_default().push(record);
        self.touched(set, &id, "created");
        id
    }

    /// Changes a record; its etag and its time move.
    pub(super) fn change(&mut self, set: &'static str, id: &str, fields: Record) {
        self.quietly(set, id, fields);
        self.touched(set, id, "updated");
    }

    /// Of values that the vendor computes: nothing else moves.
    pub(super) fn quietly(&mut self, set: &str, id: &str, fields: Record) {
        let record = self.tables.get_mut(set).and_then(|it| it.iter_mut().find(|it| text(it, "id") == id));
        if let Some(record) = record {
            record.extend(fields);
        }
    }

    pub(super) fn touched(&mut self, set: &'static str, id: &str, change: &'static str) {
        let (etag, now) = (self.etag(), self.now());
        let stamp = json!({ "@odata.etag": etag, "lastModifiedDateTime": now });
        if let Value::Object(mut stamp) = stamp {
            if schema::set(set).is_ok_and(|it| it.field("lastModifiedDateTime").is_err()) {
                stamp.remove("lastModifiedDateTime");
            }
            self.quietly(set, id, stamp);
        }
        self.tell(set, id, change);
    }

    pub(super) fn remove(&mut self, set: &'static str, id: &str) {
        if let Some(table) = self.tables.get_mut(set) {
            table.retain(|it| text(it, "id") != id);
        }
        self.tell(set, id, "deleted");
    }

    // --- what is told

    /// One notice for each record until it is sent: the last change counts, but for what is new.
    fn tell(&mut self, set: &'static str, id: &str, change: &'static str) {
        if !schema::set(set).is_ok_and(|it| it.is_told) {
            return;
        }
        let at = self.now();
        let known = self.notices.iter_mut().find(|it| it.set == set && it.id == id);
        match known {
            Some(known) => {
                known.at = at;
                if !(known.change == "created" && change == "updated") {
                    known.change = change;
                }
            }
            None => self.notices.push(Notice { set, id: id.to_owned(), change, at }),
        }
    }

    /// Subscriptions that were not renewed in time are gone.
    pub(super) fn forget_expired(&mut self) {
        let now = self.now();
        self.subscriptions.retain(|it| it.expires > now);
    }

    // --- items

    pub(super) fn add_item(&mut self, number: &str, price: Decimal, stock: Decimal) -> String {
        let number = number.to_uppercase();
        let fields = json!({
            "number": number, "displayName": number, "type": "Inventory", "unitPrice": decimal(price), "baseUnitOfMeasureCode": "STK",
        });
        let id = self.insert("items", fields);
        if !stock.is_zero() {
            let entry = self.entry(&number, stock, "Positive Adjmt.", "START");
            self.book(entry);
        }
        id
    }

    /// A ledger entry that nobody sees yet: its number is given before its transaction ends.
    pub(super) fn entry(&mut self, item: &str, quantity: Decimal, kind: &str, document: &str) -> Record {
        let entry = json!({
            "entryNumber": self.next("itemLedgerEntries", 1), "itemNumber": item, "postingDate": self.today(), "entryType": kind,
            "documentNumber": document, "quantity": decimal(quantity),
        });
        entry.as_object().cloned().unwrap_or_default()
    }

    /// The item's stock moves, and neither its etag nor its time does.
    pub(super) fn book(&mut self, entry: Record) {
        let (number, quantity) = (text(&entry, "itemNumber").to_owned(), amount(&entry, "quantity"));
        self.insert("itemLedgerEntries", Value::Object(entry));
        let Some(item) = self.by("items", "number", &number) else { return };
        let (id, stock) = (text(item, "id").to_owned(), amount(item, "inventory") + quantity);
        self.quietly("items", &id, one("inventory", decimal(stock)));
    }

    pub(super) fn general_entry(&mut self, document: &str, kind: &str, debit: Decimal, credit: Decimal) {
        let entry = json!({
            "entryNumber": self.next("generalLedgerEntries", 1), "postingDate": self.today(), "documentNumber": document,
            "documentType": kind, "debitAmount": decimal(debit), "creditAmount": decimal(credit),
        });
        self.insert("generalLedgerEntries", entry);
    }
}

pub(super) fn text<'a>(record: &'a Record, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn amount(record: &Record, name: &str) -> Decimal {
    record.get(name).and_then(|it| it.to_string().parse().ok()).unwrap_or_default()
}

/// As a JSON number with these very digits.
pub(super) fn decimal(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or_default()
}

pub(super) fn one(name: &str, value: Value) -> Record {
    [(name.to_owned(), value)].into_iter().collect()
}
