//! What comes in: Adobe I/O Events, which come again until they are taken, and Commerce webhooks, which a checkout waits for.

use crate::{
    Magento, Proving,
    event::{Fields, meaning},
    wire::{self, Id},
};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use spindel_connect::{Answer, Incoming, ParseError, Part, Proof, PublishedKeys, Receive, Secret, Verified};
use spindel_model::{Change, Timestamp};

const EVENT_SIGNATURES: [&str; 2] = ["x-adobe-digital-signature-1", "x-adobe-digital-signature-2"];
const EVENT_CODE: &str = "x-adobe-event-code";
const WEBHOOK_SIGNATURE: &str = "x-adobe-commerce-webhook-signature";
/// Parameter of the address in which a Commerce webhook names its hook.
const HOOK: &str = "hook";
/// Longest challenge that is echoed.
const LONGEST: usize = 200;
/// Most events of one batch.
const MOST: usize = 2000;

/// One event as a CloudEvent (`data`), and in its former shape (`event`).
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    code: Option<String>,
    time: Option<String>,
    data: Option<Data>,
    event: Option<Data>,
    event_id: Option<Id>,
    #[serde(alias = "recipientclientid")]
    recipient_client_id: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    value: Option<Fields>,
}

impl Receive for Magento {
    fn proof(&self, _kept: &[Secret]) -> Proof {
        match &self.proving {
            // Nothing is expected, so nothing is believed.
            Proving::Nothing => Proof::any(Vec::new()),
            Proving::Webhooks { tokens, token_header, .. } if !tokens.is_empty() => {
                Proof::SharedToken { header: token_header.clone(), tokens: tokens.clone() }
            }
            // The vendor's own words leave open whether the body or its base64 is signed; its code signs the base64.
            Proving::Webhooks { keys, .. } => Proof::any(vec![
                Proof::rsa(&[WEBHOOK_SIGNATURE]).over(vec![Part::BodyBase64]).keys(keys),
                Proof::rsa(&[WEBHOOK_SIGNATURE]).keys(keys),
            ]),
            Proving::Events { keys, .. } if !keys.is_empty() => Proof::rsa(&EVENT_SIGNATURES).keys(keys),
            Proving::Events { .. } => Proof::rsa(&EVENT_SIGNATURES).published(PublishedKeys {
                base: "https://static.adobeioevents.com".to_owned(),
                path_headers: &["x-adobe-public-key1-path", "x-adobe-public-key2-path"],
                path_prefixes: &["/prod/keys/pub-key-", "/stage/keys/pub-key-"],
            }),
        }
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        if let Proving::Webhooks { .. } = &self.proving {
            return hook(delivery);
        }
        if let Some(code) = delivery.optional_header(EVENT_CODE) {
            return Ok(code.to_owned());
        }
        let first = events(delivery)?.into_iter().next().and_then(|it| it.code);
        first.ok_or(ParseError::Header(EVENT_CODE))
    }

    /// The same on every attempt. Commerce webhooks have no id: their body decides, and it names the record's own time.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        match &self.proving {
            Proving::Events { .. } => {
                let own = delivery.optional_header("x-adobe-event-id").map(str::to_owned);
                own.or_else(|| Some(events(delivery).ok()?.into_iter().next()?.event_id?.0))
            }
            _ => None,
        }
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        match &self.proving {
            Proving::Events { client_id, .. } => {
                let header = delivery.optional_header(EVENT_CODE);
                let mut changes = Vec::new();
                for event in events(delivery)? {
                    changes.extend(event.change(client_id, header)?);
                }
                Ok(changes)
            }
            _ => Ok(meaning(&hook(delivery)?, &webhook_fields(delivery)?, None)?.into_iter().collect()),
        }
    }

    /// Adobe asks whether somebody is here before it sends anything: `GET …?challenge=8ec8d794-…`.
    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        if incoming.method != http::Method::GET || !matches!(self.proving, Proving::Events { .. }) {
            return None;
        }
        let (_, query) = incoming.uri.split_once('?')?;
        let (_, value) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "challenge")?;
        // What is echoed is a word, and never anything that a browser would take for a page.
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        if value.is_empty() || value.len() > LONGEST || !value.bytes().all(plain) {
            return None;
        }
        let body = Bytes::from(value.into_owned());
        Some(Answer { status: StatusCode::OK, content_type: "text/plain", body })
    }
}

fn hook(delivery: &Verified) -> Result<String, ParseError> {
    let missing =
        || ParseError::Content(format!("the address that was called names no hook: end it with `?{HOOK}=` and its name"));
    delivery.query(HOOK).filter(|it| !it.is_empty()).ok_or_else(missing)
}

/// The fields stand at the top, or in the one object of which the hook tells: `order`, `data`.
fn webhook_fields(delivery: &Verified) -> Result<Fields, ParseError> {
    let body: serde_json::Map<String, serde_json::Value> = delivery.json()?;
    let mut place = &body;
    // `data.order` is the deepest that hooks go.
    for _ in 0..2 {
        let mut inner = place.values().filter_map(serde_json::Value::as_object);
        match (place.contains_key("entity_id") || place.contains_key("id"), inner.next(), inner.next()) {
            (false, Some(one), None) => place = one,
            _ => break,
        }
    }
    let text = serde_json::Value::Object(place.clone()).to_string();
    spindel_connect::parse(text.as_bytes())
}

/// One event, or a batch of them.
fn events(delivery: &Verified) -> Result<Vec<Event>, ParseError> {
    let is_batch = delivery.body().iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'[');
    let all: Vec<Event> = if is_batch { delivery.json()? } else { vec![delivery.json()?] };
    if all.len() > MOST {
        return Err(ParseError::Content(format!("a batch of more than {MOST} events")));
    }
    Ok(all)
}

impl Event {
    fn change(self, client_id: &str, header: Option<&str>) -> Result<Option<Change>, ParseError> {
        // Adobe signs for all of its customers with the same key.
        if self.recipient_client_id.as_deref() != Some(client_id) {
            return Err(ParseError::Content("the event is for another client than `client_id`".to_owned()));
        }
        let at = self.time.as_deref().and_then(wire::utc);
        let fields = self.data.or(self.event).and_then(|it| it.value);
        let Some(code) = self.code.as_deref().or(header) else { return Err(ParseError::Header(EVENT_CODE)) };
        meaning(code, &fields.unwrap_or_default(), at.map(whole))
    }
}

/// To the second, as the records have it.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
