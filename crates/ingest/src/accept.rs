//! One request on `/in/{connection}`, from its first byte to its answer.

use crate::{
    prove::proof,
    refuse::{Kind, Noted, Refusal},
    trust::{Doubt, Trust},
};
use axum::{
    Router,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use spindel_connect::{Answer, Connection, NUDGE, Proof, QUERY, Verified};
use spindel_model::{Cause, Clock, EventId};
use spindel_store::{Appended, NewEvent, Store, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A store that has not committed by then is treated as down. The sender tries again, and a late commit is a duplicate then.
const COMMIT_WITHIN: Duration = Duration::from_millis(1500);
/// Headers that are kept with an event, in bytes; what is over it is left out, largest last.
const KEPT_HEADERS: usize = 16 * 1024;
/// Headers that carry credentials or say nothing about the event.
const DROPPED_HEADERS: [&str; 6] = ["authorization", "cookie", "proxy-authorization", "host", "connection", "content-length"];
/// Bodies that are being received or committed, all together: nobody has proved anything while they fill this.
const BODIES_KIB: usize = 256 * 1024;
/// What an event is called whose topic cannot be read; planning it says why.
const NO_TOPIC: &str = "unknown";
/// A topic may come out of the body, and is shown in lists and logs.
const LONGEST_TOPIC: usize = 128;

/// What ingest needs to know of a connection.
pub struct Inlet {
    pub connection: Arc<dyn Connection>,
    pub body_limit: usize,
    pub insecure_accept_unsigned: bool,
}

/// Finds the inlet of a connection in today's configuration.
pub type Inlets = Arc<dyn Fn(&str) -> Option<Inlet> + Send + Sync>;
/// Told of every event once it is committed.
pub type Announce = Arc<dyn Fn(EventId) + Send + Sync>;

/// What ingest is made of.
#[derive(Clone)]
pub struct Ingest {
    pub store: Arc<dyn Store>,
    pub inlets: Inlets,
    pub announce: Announce,
    /// For when an event came in.
    pub clock: Clock,
    /// The machine's clock, for proofs that are good for a short time.
    pub wall: Clock,
    pub noted: Arc<Noted>,
    pub bodies: Bodies,
    /// How senders know this server (`server.public_url`); without it, they are taken to know it by the name that they call.
    pub public_url: Option<String>,
    pub trust: Arc<Trust>,
}

/// The memory that bodies may take, shared by all requests.
#[derive(Clone)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self::of_kib(BODIES_KIB)
    }
}

impl Bodies {
    fn of_kib(kib: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// Makes room for a body that has grown to `length`; what it holds is free again when `room` is dropped.
    fn grow(&self, room: &mut Option<OwnedSemaphorePermit>, length: usize) -> bool {
        let missing = length.div_ceil(1024) - room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(missing).ok().and_then(|missing| Arc::clone(&self.0).try_acquire_many_owned(missing).ok());
        let Some(more) = more else { return false };
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        true
    }
}

/// `POST /in/{connection}`; a `GET` there is answered where a vendor makes sure that way that somebody is here.
pub fn routes(ingest: Ingest) -> Router {
    Router::new().route("/in/{connection}", post(receive).get(greet)).with_state(ingest)
}

async fn greet(State(ingest): State<Ingest>, Path(connection): Path<String>, request: Request) -> Response {
    let answer = (ingest.inlets)(&connection).and_then(|inlet| {
        let (parts, _) = request.into_parts();
        inlet.connection.challenge(&ingest.incoming(parts, Bytes::new()))
    });
    match answer.map(met) {
        Some(Ok(response)) => response,
        Some(Err(refusal)) => ingest.refuse(&connection, refusal).await,
        None => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response(),
    }
}

/// A connector's own answer: the vendor's handshake, or no.
fn met(answer: Answer) -> Result<Response, Refusal> {
    if answer.status.as_u16() >= 400 { Err(Refusal::by_connector(answer)) } else { Ok(answered(answer)) }
}

pub(crate) fn answered(answer: Answer) -> Response {
    (answer.status, [(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
}

async fn receive(State(ingest): State<Ingest>, Path(connection): Path<String>, request: Request) -> Response {
    let started = tokio::time::Instant::now();
    let response = match ingest.accept(&connection, request).await {
        Ok(response) => response,
        Err(refusal) => ingest.refuse(&connection, refusal).await,
    };
    metrics::histogram!("spindel_ingest_seconds").record(started.elapsed());
    response
}

impl Ingest {
    async fn accept(&self, name: &str, request: Request) -> Result<Response, Refusal> {
        let inlet = (self.inlets)(name).ok_or_else(|| Refusal::new(Kind::UnknownConnection, "no such connection"))?;
        let kept = self.kept(name, Doubt::None).await?;
        let proof = proof(&inlet, &kept)?;
        let (parts, body, _room) = read(request, inlet.body_limit, &self.bodies).await?;
        let incoming = self.incoming(parts, body);
        let size = incoming.body.len() as u64;
        if let Some(answer) = inlet.connection.challenge(&incoming) {
            return met(answer).map_err(|refusal| refusal.of_size(size));
        }
        let (verified, proof) = self.prove(name, &inlet, (kept, proof), incoming).await.map_err(|it| it.of_size(size))?;
        let event = self.event(name, &inlet, &proof, &verified).map_err(|refusal| refusal.of_size(size))?;
        self.commit(event).await
    }

    fn event(&self, name: &str, inlet: &Inlet, proof: &Proof, verified: &Verified) -> Result<NewEvent, Refusal> {
        let topic = match inlet.connection.topic(verified) {
            Some(Ok(topic)) => topic,
            // It is genuine, so it is kept: the same reason quarantines it when it is planned.
            Some(Err(_)) => NO_TOPIC.to_owned(),
            None => return Err(Refusal::new(Kind::ReceivesNothing, "this connection receives nothing")),
        };
        let id = EventId::new();
        // Two hints look the same and say each that something has changed since; elsewhere the query is part of what was said.
        let query = || verified.optional_header(QUERY).map(|query| format!("?{query}"));
        let own_key = || if verified.is_nudge() { Some(id.to_string()) } else { query() };
        let vendor_key = inlet.connection.delivery_key(verified).or_else(own_key);
        Ok(NewEvent {
            id,
            connection: name.to_owned(),
            dedupe_key: dedupe_key(&topic, vendor_key.as_deref(), verified.body()),
            topic: topic.chars().take(LONGEST_TOPIC).collect(),
            cause: Cause::Webhook,
            received_at: self.clock.now(),
            headers: kept_headers(verified.headers(), &proof.headers()),
            body: verified.body().to_vec(),
        })
    }

    async fn commit(&self, event: NewEvent) -> Result<Response, Refusal> {
        let unavailable = |error: StoreError| Refusal::new(Kind::Unavailable, error.to_string());
        let connection = event.connection.clone();
        let appended = tokio::time::timeout(COMMIT_WITHIN, self.store.append(event)).await;
        let appended =
            appended.unwrap_or_else(|_| Err(StoreError::Unavailable("no commit in time".into()))).map_err(unavailable)?;
        let (id, outcome) = match appended {
            Appended::New(id) => {
                (self.announce)(id);
                metrics::counter!("spindel_events_accepted_total", "connection" => connection).increment(1);
                (id, "accepted")
            }
            Appended::Duplicate(id) => {
                metrics::counter!("spindel_events_duplicate_total", "connection" => connection).increment(1);
                (id, "duplicate")
            }
        };
        let body = format!("{{\"event\":\"{id}\",\"outcome\":\"{outcome}\"}}\n");
        Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

/// What is left of a request: its head, its body, and the room that the body takes.
type Whole = (http::request::Parts, Bytes, Option<OwnedSemaphorePermit>);

/// Reads at most `limit` bytes; one more is a refusal, never a shorter body. The body's room is kept until it is committed.
async fn read(request: Request, limit: usize, bodies: &Bodies) -> Result<Whole, Refusal> {
    let (parts, mut body) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::new(Kind::Compressed, "compressed bodies are not taken: signatures cover the raw bytes"));
    }
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large =
        || Refusal::new(Kind::TooLarge, format!("larger than {limit} bytes")).of_size(declared.unwrap_or(limit as u64 + 1));
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let (mut whole, mut room) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(Kind::Incomplete, "the body did not arrive whole"))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if !bodies.grow(&mut room, length) {
            return Err(Refusal::new(Kind::Unavailable, "too many bodies are being received at once"));
        }
        whole.extend_from_slice(&data);
    }
    Ok((parts, whole.freeze(), room))
}

/// What makes an event the same as an earlier one: the vendor's key, the topic, and the body itself. A vendor's ids repeat
/// across topics and collide within a second; a differing body is never dropped.
fn dedupe_key(topic: &str, vendor_key: Option<&str>, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    for part in [topic.as_bytes(), vendor_key.unwrap_or_default().as_bytes(), body] {
        // Lengths first, so that no two sets of parts run together.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kept_headers(headers: &HeaderMap, proofs: &[&str]) -> Vec<(String, String)> {
    let dropped = |name: &str| DROPPED_HEADERS.contains(&name) || proofs.iter().any(|proof| proof.eq_ignore_ascii_case(name));
    let text =
        |(name, value): (&http::HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    let mut kept: Vec<(String, String)> = headers.iter().filter(|(name, _)| !dropped(name.as_str())).filter_map(text).collect();
    // What this server says about the request goes first.
    kept.sort_by_key(|(name, value)| (![QUERY, NUDGE].contains(&name.as_str()), name.len() + value.len()));
    let mut total = 0;
    kept.retain(|(name, value)| {
        total += name.len() + value.len();
        total <= KEPT_HEADERS
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use proptest::prelude::*;

    #[tokio::test]
    async fn bodies_take_no_more_memory_than_they_may_all_together() {
        let bodies = Bodies::of_kib(3);
        let request = |length: usize| Request::new(Body::from(vec![b'x'; length]));
        let (_, first, room) = read(request(2048), 1 << 20, &bodies).await.unwrap_or_else(|it| panic!("{}", it.reason));
        let refused = read(request(2048), 1 << 20, &bodies).await.err().map(|it| it.status());
        assert_eq!(refused, Some(StatusCode::SERVICE_UNAVAILABLE));
        drop((first, room));
        assert!(read(request(3072), 1 << 20, &bodies).await.is_ok());
        assert_eq!(read(request(1025), 1024, &bodies).await.err().map(|it| it.status()), Some(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn a_vendor_key_never_hides_a_differing_body_or_topic() {
        let key = |topic, vendor, body: &'static str| dedupe_key(topic, vendor, &Bytes::from_static(body.as_bytes()));
        let first = key("orders/create", Some("e1"), "{}");
        assert_eq!(first, key("orders/create", Some("e1"), "{}"));
        for other in [
            key("orders/create", Some("e1"), "{ }"),
            key("orders/paid", Some("e1"), "{}"),
            key("orders/create", Some("e2"), "{}"),
            key("orders/create", None, "e1{}"),
            key("orders/createe1", None, "{}"),
        ] {
            assert_ne!(first, other);
        }
    }

    /// Topic, vendor key and body out of few letters, so that parts of two events often run together as the same text.
    fn parts() -> impl Strategy<Value = (String, Option<String>, Vec<u8>)> {
        ("[ab]{0,3}", proptest::option::of("[ab]{0,3}"), proptest::collection::vec(b'a'..=b'b', 0..4))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn only_what_is_the_same_in_every_part_has_the_same_key(one in parts(), other in parts()) {
            let key = |(topic, vendor, body): &(String, Option<String>, Vec<u8>)| {
                dedupe_key(topic, vendor.as_deref(), &Bytes::from(body.clone()))
            };
            // An empty key of the vendor's says as little as none.
            let said = |(topic, vendor, body): &(String, Option<String>, Vec<u8>)| {
                (topic.clone(), vendor.clone().unwrap_or_default(), body.clone())
            };
            prop_assert_eq!(key(&one) == key(&other), said(&one) == said(&other));
            prop_assert_eq!(key(&one), key(&one.clone()));
        }

        #[test]
        fn any_change_of_any_byte_of_a_body_makes_another_event(body in proptest::collection::vec(any::<u8>(), 1..200), place in any::<proptest::sample::Index>(), flip in 1u8..) {
            let mut differing = body.clone();
            differing[place.index(body.len())] ^= flip;
            let key = |body: Vec<u8>| dedupe_key("orders/create", Some("e1"), &Bytes::from(body));
            prop_assert_ne!(key(body), key(differing));
        }
    }

    #[test]
    fn credentials_and_proofs_are_not_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", "Bearer x"), ("x-sig", "abc"), ("x-topic", "orders/create"), ("cookie", "a=b")] {
            headers.insert(name, value.parse().unwrap());
        }
        headers.insert("x-huge", "h".repeat(KEPT_HEADERS).parse().unwrap());
        assert_eq!(kept_headers(&headers, &["X-Sig"]), [("x-topic".to_owned(), "orders/create".to_owned())]);
    }
}
