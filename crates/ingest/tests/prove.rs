//! Requests against the whole router: what they are proved with, and what is kept of them.
#![allow(clippy::unwrap_used)]

use axum::{Router, body::Body, extract::Request};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use spindel_connect::{
    Ability, Answer, Api, Auth, BoxFuture, CallError, ConfigError, Connector, Endpoint, Fixture, Incoming, Info, Kind, NUDGE,
    ParseError, Part, Proof, PublishedKeys, QUERY, Receive, Secret, Verified, entry, receives,
};
use spindel_ingest::{Bodies, Ingest, Inlet, Sources, Trust};
use spindel_model::{Change, Clock};
use spindel_store::{EventFilter, Options, SqliteStore, Store};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

struct Toy(String);

#[derive(Deserialize, schemars::JsonSchema)]
struct Config {
    kind: String,
}

impl Connector for Toy {
    const INFO: Info = Info { id: "toy", name: "Toy", kind: Kind::Generic, about: "For tests" };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[receives()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self(config.kind), Endpoint::new("https://toy.example.com", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok(String::new())
    }
}

impl Receive for Toy {
    fn proof(&self, kept: &[Secret]) -> Proof {
        match self.0.as_str() {
            "kept" => Proof::hmac("x-sig").over(vec![Part::Url, Part::Body]).secrets(kept),
            "hint" => Proof::fetch_back("token", &[Secret::new("s3cret")]),
            _ => Proof::rsa(&["x-sig"]).published(PublishedKeys {
                base: "https://keys.example.com".into(),
                path_headers: &["x-key"],
                path_prefixes: &["/keys/"],
            }),
        }
    }

    fn topic(&self, _: &Verified) -> Result<String, ParseError> {
        Ok("toy".into())
    }

    fn delivery_key(&self, _: &Verified) -> Option<String> {
        None
    }

    fn changes(&self, _: &Verified) -> Result<Vec<Change>, ParseError> {
        Ok(Vec::new())
    }

    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        if incoming.body == "changed secret" || incoming.uri.ends_with("?changed") {
            let body = "none of the secrets\n".into();
            return Some(Answer { status: StatusCode::SERVICE_UNAVAILABLE, content_type: "text/plain", body });
        }
        let body = incoming.uri.split_once("?challenge=")?.1.to_owned();
        Some(Answer { status: StatusCode::OK, content_type: "text/plain", body: body.into() })
    }
}

#[derive(Default)]
struct Known {
    secrets: Mutex<Vec<&'static str>>,
    key: Mutex<Option<Result<Option<String>, String>>>,
    asked: Mutex<Vec<String>>,
}

impl Sources for Known {
    fn secrets<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Secret>, String>> {
        let secrets = self.secrets.lock().unwrap().iter().map(|text| Secret::new(*text)).collect();
        Box::pin(async { Ok(secrets) })
    }

    fn published_key<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<String>, String>> {
        self.asked.lock().unwrap().push(address.to_owned());
        let key = self.key.lock().unwrap().clone().unwrap();
        Box::pin(async { key })
    }
}

struct World {
    router: Router,
    store: Arc<dyn Store>,
    known: Arc<Known>,
    _folder: tempfile::TempDir,
}

fn world(public_url: Option<&str>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = SqliteStore::open(folder.path().join("spindel.db"), Options { encryption_key: None }).unwrap();
    let known = Arc::new(Known::default());
    let ingest = Ingest {
        store: Arc::clone(&store),
        inlets: Arc::new(|name| {
            let (connection, _) = (entry::<Toy>().connect)(serde_json::json!({ "kind": name })).ok()?;
            Some(Inlet { connection, body_limit: 1024, insecure_accept_unsigned: false })
        }),
        announce: Arc::new(|_| {}),
        clock: Clock::system(),
        wall: Clock::system(),
        noted: Arc::default(),
        bodies: Bodies::default(),
        public_url: public_url.map(str::to_owned),
        trust: Arc::new(Trust::new(Arc::clone(&known) as _)),
    };
    World { router: spindel_ingest::routes(ingest), store, known, _folder: folder }
}

impl World {
    async fn post(&self, uri: &str, headers: &[(&str, &str)], body: &'static str) -> StatusCode {
        let mut request = Request::post(uri).header("host", "inner.example:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status()
    }

    async fn events(&self) -> usize {
        self.store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap().len()
    }
}

fn signature(secret: &str, address: &str, body: &'static str) -> String {
    let (origin, uri) = match address.split_once("/spindel/") {
        Some((origin, _)) => address.split_at(origin.len()),
        None => address.split_at(address.find("/in/").unwrap()),
    };
    let mut request = Incoming {
        method: http::Method::POST,
        uri: uri.into(),
        origin: origin.into(),
        headers: HeaderMap::new(),
        body: body.into(),
    };
    let proof = Proof::hmac("x-sig").over(vec![Part::Url, Part::Body]).secrets(&[Secret::new(secret)]);
    proof.sign(&mut request, Clock::system().now()).unwrap();
    request.headers["x-sig"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_that_the_vendor_gave_proves_and_the_address_is_the_public_one() {
    for (public_url, signed) in [
        (None, "http://inner.example:8080/in/kept?a=1"),
        (Some("https://hooks.example.no/"), "https://hooks.example.no/in/kept?a=1"),
        (Some("https://example.no/spindel"), "https://example.no/spindel/in/kept?a=1"),
    ] {
        let world = world(public_url);
        world.known.secrets.lock().unwrap().push("given");
        let post =
            async |secret, address| world.post("/in/kept?a=1", &[("x-sig", &signature(secret, address, "{}"))], "{}").await;
        assert_eq!(post("given", signed).await, StatusCode::OK, "{signed}");
        assert_eq!(post("other", signed).await, StatusCode::UNAUTHORIZED);
        assert_eq!(post("given", "https://elsewhere.example/in/kept?a=1").await, StatusCode::UNAUTHORIZED);
        assert_eq!(world.events().await, 1);
    }
}

#[tokio::test]
async fn a_hint_is_kept_with_its_query_each_time_and_never_with_its_secret() {
    let world = world(None);
    for _ in 0..2 {
        assert_eq!(world.post("/in/hint?order=7&token=s3cret", &[(QUERY, "forged=1")], "").await, StatusCode::OK);
    }
    assert_eq!(world.post("/in/hint?order=7&token=other", &[], "").await, StatusCode::UNAUTHORIZED);
    let listed = world.store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    assert_eq!(listed.len(), 2, "each hint says that something changed since");
    let event = world.store.event(listed[0].id).await.unwrap().unwrap();
    let mut kept: Vec<(&str, &str)> = event.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    kept.sort_unstable();
    assert_eq!(kept, [(NUDGE, "1"), (QUERY, "order=7")]);
}

#[tokio::test]
async fn a_published_key_is_fetched_from_the_vendor_alone_and_once() {
    let world = world(None);
    *world.known.key.lock().unwrap() = Some(Ok(None));
    let post = async |path| world.post("/in/rsa", &[("x-sig", "AAAA"), ("x-key", path)], "{}").await;
    for _ in 0..3 {
        assert_eq!(post("/keys/1.pem").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(post("//elsewhere.example/keys/1.pem").await, StatusCode::UNAUTHORIZED);
    assert_eq!(*world.known.asked.lock().unwrap(), ["https://keys.example.com/keys/1.pem"]);
    *world.known.key.lock().unwrap() = Some(Err("down".into()));
    assert_eq!(post("/keys/2.pem").await, StatusCode::SERVICE_UNAVAILABLE, "it may be genuine: the vendor is to come again");
}

#[tokio::test]
async fn a_handshake_by_get_is_answered_and_any_other_get_is_not_taken() {
    let world = world(None);
    let get = async |uri: &str| world.router.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
    let answer = get("/in/kept?challenge=abc").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await.unwrap(), "abc");
    assert_eq!(get("/in/kept").await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_a_connector_turns_away_is_on_record_and_answered_in_its_own_words() {
    let world = world(None);
    let post = |body: &'static str| Request::post("/in/kept").body(Body::from(body)).unwrap();
    for request in [post("changed secret"), Request::get("/in/kept?changed").body(Body::empty()).unwrap()] {
        let answer = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await.unwrap(), "none of the secrets\n");
    }
    // It is noted while nobody waits.
    let mut rejected = Vec::new();
    for _ in 0..500 {
        rejected = world.store.rejected(10).await.unwrap();
        if rejected.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let noted: Vec<_> = rejected.iter().map(|it| (it.connection.as_str(), it.status, it.reason.as_str())).collect();
    assert_eq!(noted, [("kept", 503, "none of the secrets"); 2]);
    let sizes: std::collections::BTreeSet<u64> = rejected.iter().map(|it| it.size).collect();
    assert_eq!(sizes, [0, 14].into());
    assert_eq!(world.events().await, 0);
}
