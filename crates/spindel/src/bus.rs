//! Carries the calls of a connector whose vendor is a message broker: a POST to `/{routing key}` is a message on its exchange,
//! confirmed; a GET asks whether the broker is there.

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method};
use spindel_connect::{Auth, BoxFuture, Endpoint, Failure, Reply, Request, Transport};
use spindel_queue::{Changes, ChangesError, Options};

/// Whether this endpoint is a broker's.
pub fn is_broker(endpoint: &Endpoint) -> bool {
    endpoint.base_url.starts_with("amqp://") || endpoint.base_url.starts_with("amqps://")
}

pub struct Bus(Changes);

impl Bus {
    /// The exchange is what the header `exchange` names.
    pub fn new(connection: &str, endpoint: Endpoint) -> anyhow::Result<Self> {
        let password = match endpoint.auth {
            Auth::Password(secret) => Some(secret.expose().to_owned()),
            _ => None,
        };
        let mut options = Options::new(&endpoint.base_url, password)?;
        options.ca = endpoint.ca;
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
    let reply = |status, body| Ok(Reply { status, headers: HeaderMap::new(), body });
    match done {
        Ok(()) => reply(200, Bytes::new()),
        Err(ChangesError::Refused(why)) => reply(404, Bytes::from_static(why.as_bytes())),
        Err(ChangesError::Unavailable(why)) => Err(Failure::NoConnection(why)),
        Err(error @ ChangesError::Unknown) => Err(Failure::NoAnswer(error.to_string())),
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

    #[test]
    fn what_the_broker_says_is_read_like_http() {
        assert_eq!(answer(Ok(())).unwrap().status, 200);
        assert_eq!(answer(Err(ChangesError::Refused("no"))).unwrap().status, 404);
        let failed = |error| answer(Err(error)).unwrap_err();
        assert!(matches!(failed(ChangesError::Unavailable("gone".into())), Failure::NoConnection(_)));
        assert!(matches!(failed(ChangesError::Unknown), Failure::NoAnswer(_)));
    }

    #[tokio::test]
    async fn a_broker_that_is_away_is_no_connection_and_nothing_was_sent() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = serde_json::json!({ "url": format!("amqp://spindel@{nobody}"), "password": "p" });
        let (_, endpoint) = (spindel_catalog::find("amqp").unwrap().connect)(settings).unwrap();
        assert!(is_broker(&endpoint));
        let bus = Bus::new("bus", endpoint).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("message-id", http::HeaderValue::from_static("msg_1"));
        let request = Request {
            operation: "send_change",
            method: Method::POST,
            path: "/order.created.shop".into(),
            headers,
            body: Bytes::from_static(b"{}"),
            cost: 1.0,
        };
        let failed = bus.send(&request).await.unwrap_err();
        assert!(matches!(failed, Failure::NoConnection(_)), "{failed}");
    }
}
