//! Carries the calls of a connector whose vendor is a message broker: a POST to `/{routing key}` is a message on its exchange,
//! confirmed; a GET asks whether the broker is there.

use anyhow::Context as _;
use http::{HeaderMap, Method};
use spindel_connect::{Auth, BoxFuture, Endpoint, Failure, Reply, Request, Transport};
use spindel_queue::{Changes, ChangesError, Options};
use std::time::Duration;

/// Whether this endpoint is a broker's.
pub fn is_broker(endpoint: &Endpoint) -> bool {
    endpoint.base_url.starts_with("amqp://") || endpoint.base_url.starts_with("amqps://")
}

pub struct Bus(Changes);

impl Bus {
    /// The exchange is what the header `exchange` names. A call takes no longer than `timeout`.
    pub fn new(connection: &str, endpoint: Endpoint, timeout: Duration) -> anyhow::Result<Self> {
        let password = match endpoint.auth {
            Auth::Password(secret) => Some(secret.expose().to_owned()),
            _ => None,
        };
        let mut options = Options::new(&endpoint.base_url, password)?;
        (options.ca, options.answer_within) = (endpoint.ca, timeout);
        options.name = format!("spindel connection {connection}");
        let exchange = endpoint.headers.into_iter().find(|(name, _)| *name == "exchange").map(|(_, value)| value);
        let exchange = exchange.context("its connector names no exchange")?;
        Ok(Self(Changes::connect(options, &exchange)?))
    }

    async fn call(&self, request: &Request) -> Result<Reply, Failure> {
        let done = match request.method {
            Method::GET => self.0.reach().await,
            Method::POST => {
                let id = request.headers.get("message-id").and_then(|id| id.to_str().ok());
                let id = id.ok_or_else(|| Failure::Refused("a message needs an id".to_owned()))?;
                self.0.publish(request.path.trim_start_matches('/'), id, request.body.clone()).await
            }
            _ => return Err(Failure::Refused("a broker only takes messages".to_owned())),
        };
        answer(done)
    }
}

/// As if it were HTTP, so that the connector and the status table read it like any other.
fn answer(done: Result<(), ChangesError>) -> Result<Reply, Failure> {
    let reply = |status, body: String| Ok(Reply { status, headers: HeaderMap::new(), body: body.into() });
    match done {
        Ok(()) => reply(200, String::new()),
        Err(error @ ChangesError::Refused(_)) => reply(404, error.to_string()),
        Err(error @ ChangesError::Nacked) => reply(503, error.to_string()),
        Err(ChangesError::Unavailable(why)) => Err(Failure::NoConnection(why)),
        Err(ChangesError::Unknown(why)) => Err(Failure::NoAnswer(why)),
    }
}

impl Transport for Bus {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(self.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_the_broker_says_is_read_like_http() {
        assert_eq!(answer(Ok(())).unwrap().status, 200);
        assert_eq!(answer(Err(ChangesError::Refused("no"))).unwrap().status, 404);
        assert_eq!(answer(Err(ChangesError::Nacked)).unwrap().status, 503);
        let failed = |error| answer(Err(error)).unwrap_err();
        assert_eq!(failed(ChangesError::Unavailable("gone".into())), Failure::NoConnection("gone".into()));
        assert_eq!(failed(ChangesError::Unknown("cut".into())), Failure::NoAnswer("cut".into()));
    }

    fn bus(address: std::net::SocketAddr, timeout: Duration) -> Bus {
        let settings = serde_json::json!({ "url": format!("AMQP://spindel@{address}"), "password": "p" });
        let (_, endpoint) = (spindel_catalog::find("amqp").unwrap().connect)(settings).unwrap();
        assert!(is_broker(&endpoint));
        Bus::new("bus", endpoint, timeout).unwrap()
    }

    fn request(method: Method) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("message-id", http::HeaderValue::from_static("msg_1"));
        let (path, body) = ("/order.created.shop".into(), Bytes::from_static(b"{}"));
        Request { operation: "send_change", method, path, headers, body, cost: 1.0 }
    }

    #[tokio::test]
    async fn a_broker_that_is_away_is_no_connection_and_nothing_was_sent() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failed = bus(nobody, Duration::from_secs(10)).send(&request(Method::POST)).await.unwrap_err();
        assert!(matches!(failed, Failure::NoConnection(_)), "{failed}");
    }

    #[tokio::test]
    async fn a_broker_that_never_speaks_is_waited_for_no_longer_than_the_connection_says() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bus = bus(silent.local_addr().unwrap(), Duration::from_millis(300));
        for method in [Method::POST, Method::GET] {
            let begun = std::time::Instant::now();
            let failed = bus.send(&request(method)).await.unwrap_err();
            assert!(matches!(failed, Failure::NoConnection(_)), "{failed}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
    }
}
