//! What happened as CloudEvents of the Event Platform and as requests of the older Events API, signed as each of them is.

use super::{
    courier::{Letter, Way},
    state::{Attribute, State, Val, Values},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;

/// Events in one request of the Events API.
const BATCH: usize = 10;
const SUBSCRIPTION: &str = "019256aa-7f77-7f58-bc8c-770f7e369c5b";
/// Headers of the Event Platform's signatures, by the primary and the secondary secret.
pub(super) const SIGNATURES: [&str; 2] = ["X-AKENEO-SIGNATURE-PRIMARY", "X-AKENEO-SIGNATURE-SECONDARY"];

/// One thing that happened, in both ways of telling it.
pub(crate) struct Happened {
    /// Without what all types begin with: `product.updated`.
    kind: String,
    data: Value,
    /// `None` for what the Events API does not tell.
    older: Option<(String, Value)>,
}

/// One event as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Message {
    /// `com.akeneo.pim.v1.product.updated`
    pub kind: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// One that must not be accepted; `kind` picks the way in which it is false.
    pub(super) fn forged(&self, kind: usize) -> Self {
        let mut forged = self.clone();
        let signatures = |headers: &mut Vec<(String, String)>, change: &dyn Fn(&mut String)| {
            headers.iter_mut().filter(|(name, _)| SIGNATURES.contains(&name.as_str())).for_each(|(_, value)| change(value));
        };
        match kind % 4 {
            0 => signatures(&mut forged.headers, &|it| *it = sign("another secret", &[&self.body])),
            1 => {
                let middle = forged.body.len() / 2;
                forged.body[middle] ^= 1;
            }
            2 => forged.headers.retain(|(name, _)| !SIGNATURES.contains(&name.as_str())),
            _ => signatures(&mut forged.headers, &String::clear),
        }
        forged
    }
}

/// Lower-case hex of HMAC-SHA256 over the parts.
pub fn sign(secret: &str, parts: &[&[u8]]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let Ok(mut mac) = mac else { unreachable!("HMAC takes a key of any length") };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Before and after, by attribute, as a delta tells it.
pub(super) fn changes(before: &Values, after: &[Val], attributes: &BTreeMap<String, Attribute>) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for val in after {
        let old = before.get(&val.attribute).into_iter().flatten();
        let previous = old.into_iter().find(|it| it.locale == val.locale && it.scope == val.scope).map(|it| &it.data);
        let kind = attributes.get(&val.attribute).map(|it| &it.kind);
        let change = json!({
            "previous": previous, "new": val.data, "type": kind, "locale": val.locale, "scope": val.scope,
        });
        if let Value::Array(list) = all.entry(val.attribute.clone()).or_insert_with(|| json!([])) {
            list.push(change);
        }
    }
    all.into()
}

impl State {
    pub fn tell(&mut self, kind: &str, data: Value) {
        self.outbox.push(Happened { kind: kind.to_owned(), data, older: None });
    }

    pub(super) fn product_event(&mut self, what: &str, uuid: &str, changes: Value) {
        let Some(product) = self.products.get(uuid) else { return };
        let mut told = json!({ "uuid": uuid });
        let mut kind = format!("product.{what}");
        if what == "updated" && self.options.delta {
            let at = product.updated.strftime("%Y-%m-%d %H:%M:%S.000000").to_string();
            told["updated_at"] = json!({ "date": at, "timezone": "UTC" });
            told["changes"] = changes;
            kind.push_str(".delta");
        }
        // The whole product, without labels of options.
        let mut resource = self.product_json(product, &super::search::Shown::default());
        resource["identifier"] = json!(self.sku(product));
        let older = Some((format!("product.{what}"), resource));
        self.outbox.push(Happened { kind, data: json!({ "product": told }), older });
    }

    pub(super) fn deleted_event(&mut self, uuid: &str, sku: Option<String>) {
        let data = json!({ "product": { "uuid": uuid } });
        let older = Some(("product.removed".to_owned(), json!({ "uuid": uuid, "identifier": sku })));
        self.outbox.push(Happened { kind: "product.deleted".to_owned(), data, older });
    }

    pub(super) fn model_event(&mut self, what: &str, code: &str) {
        let (action, resource) = match self.models.get(code) {
            Some(model) => (what, self.model_json(model, &super::search::Shown::default())),
            None => ("removed", json!({ "code": code })),
        };
        let older = Some((format!("product_model.{action}"), resource));
        let data = json!({ "product_model": { "code": code } });
        self.outbox.push(Happened { kind: format!("product-model.{what}"), data, older });
    }

    /// What is to be sent of what happened; all of it is kept in the log.
    pub fn letters(&mut self) -> Vec<Letter> {
        let happened = std::mem::take(&mut self.outbox);
        let mut letters = Vec::new();
        for it in &happened {
            let message = self.cloud_event(it);
            if let Some(url) = self.target.clone() {
                letters.push(Letter { url, message: message.clone(), way: Way::Platform });
            }
            self.keep(message);
        }
        let Some(url) = self.older_target.clone() else { return letters };
        let older: Vec<&(String, Value)> = happened.iter().filter_map(|it| it.older.as_ref()).collect();
        for batch in older.chunks(BATCH) {
            let message = self.older_request(batch);
            letters.push(Letter { url: url.clone(), message, way: Way::EventsApi });
        }
        letters
    }

    fn cloud_event(&mut self, happened: &Happened) -> Message {
        let kind = format!("com.akeneo.pim.v1.{}", happened.kind);
        let mut data = happened.data.clone();
        data["author"] = json!({ "identifier": "kari", "type": "user" });
        let event = json!({
            "specversion": "1.0",
            "id": self.uuid(),
            "source": "pim",
            "type": kind,
            "subject": SUBSCRIPTION,
            "datacontenttype": "application/json",
            "dataschema": format!("https://event.prd.sdk.akeneo.cloud/spec/{kind}.schema.json"),
            "time": self.now().to_string(),
            "data": data,
        });
        let body = event.to_string().into_bytes();
        let secrets = [Some(&self.options.primary_secret), self.options.secondary_secret.as_ref()];
        let mut headers = vec![
            ("content-type".to_owned(), "application/cloudevents+json".to_owned()),
            ("X-AKENEO-SIGNATURE-ALGORITHM".to_owned(), "HmacSHA256".to_owned()),
        ];
        let signed = SIGNATURES.iter().zip(secrets).filter_map(|(name, secret)| Some((name, secret?)));
        headers.extend(signed.map(|(name, secret)| ((*name).to_owned(), sign(secret, &[&body]))));
        Message { kind, headers, body }
    }

    fn older_request(&mut self, batch: &[&(String, Value)]) -> Message {
        let at = self.now();
        let mut events = Vec::new();
        for (action, resource) in batch {
            events.push(json!({
                "action": action,
                "event_id": self.uuid(),
                "event_datetime": at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
                "author": "kari",
                "author_type": "ui",
                "pim_source": self.base,
                "data": { "resource": resource },
            }));
        }
        let body = json!({ "events": events }).to_string().into_bytes();
        let time = at.as_second().to_string();
        let signature = sign(&self.options.events_api_secret, &[time.as_bytes(), b".", &body]);
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("X-Akeneo-Request-Timestamp".to_owned(), time),
            ("X-Akeneo-Request-Signature".to_owned(), signature),
        ];
        Message { kind: batch.first().map(|it| it.0.clone()).unwrap_or_default(), headers, body }
    }
}
