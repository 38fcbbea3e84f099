//! The transport against a vendor on loopback: tokens, caps, redirects, failures and limits.
#![allow(clippy::unwrap_used)]

mod credentials;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use spindel_connect::{
    Auth, BodyEncoding, BoxFuture, Budget, Digest, Endpoint, Failure, Limits, OAuth1, Reply, Request, Secret, TokenGrant,
    Transport as _,
};
use spindel_http::{Client, HttpTransport, MemoryTokens, Options, TokenKeeper};
use spindel_model::Clock;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::Notify};

/// What the vendor saw, and how it is to behave.
#[derive(Default)]
struct Vendor {
    fetches: AtomicUsize,
    calls: AtomicUsize,
    /// Calls with an older token get a 401.
    valid_from: AtomicUsize,
    grants: Mutex<Vec<String>>,
    seen: Mutex<Vec<(Uri, HeaderMap)>>,
}

async fn start(vendor: Arc<Vendor>) -> SocketAddr {
    let app = Router::new()
        .route("/token", post(token))
        .route("/single-use", post(single_use))
        .route("/own", post(own_shape))
        .route("/api", any(api))
        .route("/big", any(|| async { vec![b'x'; 100_000] }))
        .route("/bomb", any(bomb))
        .route("/packed", any(|| async { gzip(br#"{"ok":true}"#) }))
        .route("/moved", any(|| async { (StatusCode::FOUND, [("location", "/api")]) }))
        .route("/throttled", any(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")]) }))
        .route("/costs", any(|| async { [("x-left", "5")] }))
        .route("/never", any(|| async { Notify::new().notified().await }))
        .with_state(vendor);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn token(State(vendor): State<Arc<Vendor>>, body: Bytes) -> Response {
    vendor.grants.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
    let number = vendor.fetches.fetch_add(1, Ordering::SeqCst) + 1;
    let json = format!(r#"{{"access_token":"t{number}","expires_in":3600,"refresh_token":"r{number}"}}"#);
    ([("content-type", "application/json")], json).into_response()
}

/// Every refresh token is good for one use: for the last one given, or for the first before any was.
async fn single_use(State(vendor): State<Arc<Vendor>>, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let used = body.rsplit_once('=').unwrap().1.to_owned();
    let given = vendor.fetches.load(Ordering::SeqCst);
    let expected = if given == 0 { "first".to_owned() } else { format!("r{given}") };
    vendor.grants.lock().unwrap().push(body);
    if used != expected {
        return (StatusCode::BAD_REQUEST, [("content-type", "application/json")], r#"{"error":"invalid_grant"}"#).into_response();
    }
    let number = vendor.fetches.fetch_add(1, Ordering::SeqCst) + 1;
    let json = format!(r#"{{"access_token":"t{number}","expires_in":3600,"refresh_token":"r{number}"}}"#);
    ([("content-type", "application/json")], json).into_response()
}

async fn own_shape(State(vendor): State<Arc<Vendor>>, headers: HeaderMap, body: Bytes) -> Response {
    vendor.seen.lock().unwrap().push((Uri::from_static("/own"), headers));
    vendor.grants.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
    ([("content-type", "application/json")], r#"{"value":{"token":"t9","lasts":60}}"#).into_response()
}

async fn api(State(vendor): State<Arc<Vendor>>, uri: Uri, headers: HeaderMap) -> StatusCode {
    vendor.calls.fetch_add(1, Ordering::SeqCst);
    let number = headers.get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Bearer t")?.parse().ok());
    vendor.seen.lock().unwrap().push((uri, headers));
    if number.unwrap_or(usize::MAX) < vendor.valid_from.load(Ordering::SeqCst) {
        return StatusCode::UNAUTHORIZED;
    }
    StatusCode::OK
}

/// A deflate stream of stored blocks, in a gzip envelope.
fn gzip(content: &[u8]) -> Response {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let length = content.len() as u16;
    packed.push(1);
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(content);
    packed.extend(crc32(content).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    ([("content-encoding", "gzip")], packed).into_response()
}

fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// One zero, then copies of it, 258 at a time with one bit of Huffman code each way: about 1 : 1000.
async fn bomb() -> Response {
    let mut bits = Bits::default();
    bits.put(0b1, 1);
    bits.put(0b01, 2);
    bits.code(0x30, 8); // the literal 0
    for _ in 0..40_000 {
        bits.code(0b1100_0101, 8); // length 258
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // the end
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.bytes);
    packed.push(bits.current);
    packed.extend([0; 8]);
    ([("content-encoding", "gzip")], packed).into_response()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    current: u8,
    used: u8,
}

impl Bits {
    fn put(&mut self, value: u32, count: u8) {
        for bit in 0..count {
            self.current |= ((value >> bit & 1) as u8) << self.used;
            self.used += 1;
            if self.used == 8 {
                self.bytes.push(std::mem::take(&mut self.current));
                self.used = 0;
            }
        }
    }

    /// Huffman codes go in with their highest bit first.
    fn code(&mut self, value: u32, count: u8) {
        (0..count).rev().for_each(|bit| self.put(value >> bit & 1, 1));
    }
}

fn options() -> Options {
    let mut options = Options::new("erp", Clock::system(), Arc::new(MemoryTokens::default()));
    options.allow = vec!["127.0.0.0/8".parse().unwrap()];
    options
}

fn transport(address: SocketAddr, auth: Auth, options: Options) -> HttpTransport {
    Client::new().transport(Endpoint::new(format!("http://{address}"), auth), |_| None, options).unwrap()
}

fn grant(refresh_token: Option<&str>) -> Auth {
    let fields = vec![("grant_type", Secret::new("refresh_token")), ("client_id", Secret::new("a&b"))];
    let grant = TokenGrant::new("/token", BodyEncoding::Form, fields);
    Auth::Token(TokenGrant { refresh_token: refresh_token.map(Secret::new), ..grant })
}

fn get(path: impl Into<String>) -> Request {
    Request {
        operation: "test",
        method: http::Method::GET,
        path: path.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        cost: 1.0,
    }
}

#[tokio::test]
async fn a_call_carries_credentials_headers_and_our_name() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor.clone()).await;
    let endpoint = Endpoint::new(format!("http://{address}"), Auth::Header("x-key", Secret::new("k"))).header("x-version", "7");
    let transport = Client::new().transport(endpoint, |_| None, options()).unwrap();
    assert_eq!(transport.send(&get("/api?a=b")).await.unwrap().status, 200);
    let (uri, headers) = vendor.seen.lock().unwrap().pop().unwrap();
    assert_eq!(uri, "/api?a=b");
    assert_eq!((&headers["x-key"], &headers["x-version"]), (&HeaderValue::from_static("k"), &HeaderValue::from_static("7")));
    assert_eq!(headers["user-agent"], concat!("spindel/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let (vendor, other) = (Arc::new(Vendor::default()), Arc::new(Vendor::default()));
    let (address, elsewhere) = (start(vendor.clone()).await, start(other.clone()).await);
    let transport = transport(address, Auth::Bearer(Secret::new("secret")), options());
    transport.send(&get(format!("http://{address}/api"))).await.unwrap();
    transport.send(&get(format!("http://{elsewhere}/api"))).await.unwrap();
    assert!(vendor.seen.lock().unwrap()[0].1.contains_key("authorization"));
    assert!(!other.seen.lock().unwrap()[0].1.contains_key("authorization"));
}

#[tokio::test]
async fn a_path_cannot_change_the_host() {
    let vendor = Arc::new(Vendor::default());
    let transport = transport(start(vendor).await, Auth::None, options());
    assert_eq!(transport.send(&get("@127.0.0.1:1/api")).await.unwrap().status, 404);
}

#[tokio::test]
async fn an_answer_above_the_cap_is_given_up() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor).await;
    let options = Options { response_cap: 64 * 1024, ..options() };
    let transport = transport(address, Auth::None, options);
    for path in ["/big", "/bomb"] {
        assert_eq!(transport.send(&get(path)).await.unwrap_err(), Failure::TooLarge { cap: 64 * 1024 }, "{path}");
    }
    assert_eq!(&transport.send(&get("/packed")).await.unwrap().body[..], br#"{"ok":true}"#);
}

#[tokio::test]
async fn the_bomb_of_these_tests_unpacks_to_ten_megabytes() {
    let vendor = Arc::new(Vendor::default());
    let options = Options { response_cap: 11_000_000, ..options() };
    // Its check sum is wrong on purpose, so that only a reader that unpacks it all gets to this error.
    let failure = transport(start(vendor).await, Auth::None, options).send(&get("/bomb")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer(_)), "{failure}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let vendor = Arc::new(Vendor::default());
    let transport = transport(start(vendor.clone()).await, Auth::None, options());
    assert_eq!(transport.send(&get("/moved")).await.unwrap().status, 302);
    assert_eq!(vendor.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_no_answer() {
    let vendor = Arc::new(Vendor::default());
    let options = Options { timeout: Duration::from_millis(200), ..options() };
    let failure = transport(start(vendor).await, Auth::None, options).send(&get("/never")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer(_)), "{failure}");
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let vendor = tokio::spawn(async move {
        let (mut half, _) = listener.accept().await.unwrap();
        half.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
        drop(half);
        let (none, _) = listener.accept().await.unwrap();
        none.readable().await.unwrap();
        drop(none);
    });
    let transport = transport(address, Auth::None, options());
    for what in ["cut within the answer", "cut before the answer"] {
        let failure = transport.send(&get("/api?token=secret")).await.unwrap_err();
        assert!(matches!(failure, Failure::NoAnswer(_)), "{what}: {failure}");
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
    vendor.await.unwrap();
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = transport(address, Auth::None, options()).send(&get("/api")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoConnection(_)), "{failure}");
}

#[tokio::test]
async fn tls_with_somebody_who_speaks_none_is_no_connection() {
    let address = start(Arc::new(Vendor::default())).await;
    let failure = transport(address, Auth::None, options()).send(&get(format!("https://{address}/api"))).await.unwrap_err();
    assert!(matches!(failure, Failure::NoConnection(_)), "{failure}");
}

#[tokio::test]
async fn after_retry_after_nothing_is_sent_until_then() {
    let transport = transport(start(Arc::new(Vendor::default())).await, Auth::None, options());
    assert_eq!(transport.send(&get("/throttled")).await.unwrap().status, 429);
    let Err(Failure::Limited { wait }) = transport.send(&get("/api")).await else { panic!("sent") };
    assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(30), "{wait:?}");
}

#[tokio::test]
async fn the_budget_that_an_answer_reports_holds_the_next_call_back() {
    fn budget(reply: &Reply) -> Option<Budget> {
        let available = reply.header("x-left")?.parse().ok()?;
        Some(Budget { maximum: 1000.0, available, restore_per_second: 1.0, asked: None })
    }
    let address = start(Arc::new(Vendor::default())).await;
    let endpoint = Endpoint::new(format!("http://{address}"), Auth::None).limits(Limits::default());
    let transport = Client::new().transport(endpoint, budget, options()).unwrap();
    transport.send(&get("/costs")).await.unwrap();
    let dear = Request { cost: 100.0, ..get("/api") };
    let Err(Failure::Limited { wait }) = transport.send(&dear).await else { panic!("sent") };
    assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(95), "{wait:?}");
}

#[tokio::test]
async fn the_own_network_is_out_of_reach_unless_it_is_allowed() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor.clone()).await;
    let shut = || Options { allow: Vec::new(), ..options() };
    let client = Client::new();
    let refused = client.transport(Endpoint::new(format!("http://{address}"), Auth::None), |_| None, shut());
    assert!(matches!(refused.err(), Some(Failure::Refused(_))));
    let transport = client.transport(Endpoint::new("", Auth::None), |_| None, shut()).unwrap();
    for path in
        [format!("http://{address}/api"), format!("https://{address}/api"), format!("https://localhost:{}/api", address.port())]
    {
        let failure = transport.send(&get(path.as_str())).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused(_)), "{path}: {failure}");
    }
    assert!(matches!(transport.send(&get("/api")).await, Err(Failure::Refused(_))));
    assert_eq!(vendor.calls.load(Ordering::SeqCst), 0);
}
