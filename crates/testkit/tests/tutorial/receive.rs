//! What Acme sends: how a request proves itself, and what it means.

use crate::{account::Acme, wire};
use http::{Method, StatusCode};
use spindel_connect::{Answer, Incoming, ParseError, Part, Proof, Receive, Secret, Verified};
use spindel_model::{Change, Record, Topic};
use std::time::Duration;

impl Receive for Acme {
    fn proof(&self, kept: &[Secret]) -> Proof {
        let secrets: Vec<Secret> = kept.iter().chain(&self.webhook_secrets).cloned().collect();
        Proof::hmac("acme-signature")
            .fresh_by("acme-timestamp", Duration::from_secs(300))
            .over(vec![Part::Timestamp, Part::Text("."), Part::Body])
            .secrets(&secrets)
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        Ok(delivery.header("acme-topic")?.to_owned())
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let topic = delivery.optional_header("acme-topic")?;
        Some(format!("{topic}/{}", delivery.optional_header("acme-delivery")?))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        match delivery.header("acme-topic")? {
            "parcel.moved" => Ok(vec![delivery.json::<wire::Parcel>()?.change(Topic::ShipmentUpdated)]),
            // It says that money moved and not how much.
            "payment.changed" => {
                let it: wire::PaymentChanged = delivery.json()?;
                Ok(vec![Change::new(Topic::TransactionCreated, it.payment, it.at, Record::Nudge)])
            }
            // Genuine, and of no interest.
            "account.greeted" => Ok(Vec::new()),
            other => Err(ParseError::Topic(other.to_owned())),
        }
    }

    /// A new address is asked whether it is there: `GET /in/NAME?hello=…` wants the word back.
    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        let (_, word) = incoming.uri.split_once("?hello=").filter(|_| incoming.method == Method::GET)?;
        let is_word = word.len() <= 64 && word.bytes().all(|it| it.is_ascii_alphanumeric());
        is_word.then(|| Answer { status: StatusCode::OK, content_type: "text/plain", body: word.to_owned().into() })
    }
}

#[test]
fn a_new_address_gives_the_word_back_and_nothing_else() {
    let ask = |method: Method, uri: &str| {
        let (origin, headers, body) = ("https://hooks.example.no".to_owned(), http::HeaderMap::new(), bytes::Bytes::new());
        let asked = Incoming { method, uri: uri.to_owned(), origin, headers, body };
        Acme { webhook_secrets: Vec::new() }.challenge(&asked).map(|it| it.body)
    };
    assert_eq!(ask(Method::GET, "/in/acme?hello=abc1"), Some("abc1".into()));
    assert_eq!((ask(Method::POST, "/in/acme?hello=abc1"), ask(Method::GET, "/in/acme?hello=<b>")), (None, None));
}
