//! A receiver of webhooks that keeps what comes, and can turn some of it away.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use serde_json::Value;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub struct Inbox {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    taken: Vec<Taken>,
    refusals: u32,
    status: u16,
}

#[derive(Clone)]
pub struct Taken {
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Taken {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|it| it.to_str().unwrap()).unwrap_or_default()
    }
}

impl Inbox {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/in/shop", listener.local_addr().unwrap());
        let inbox = Self { url, shared: Arc::default() };
        inbox.shared.lock().unwrap().status = 200;
        let router = Router::new().fallback(take).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        inbox
    }

    /// The next `n` are answered so, all others with 200.
    pub fn refuse(&self, n: u32, status: u16) {
        let mut shared = self.shared.lock().unwrap();
        (shared.refusals, shared.status) = (n, status);
    }

    /// All that was answered with 200, in the order in which it came.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.lock().unwrap().taken.clone()
    }

    /// One text of each body.
    pub fn told(&self, read: impl Fn(&Value) -> &Value) -> Vec<String> {
        self.taken().iter().map(|it| read(&it.json()).as_str().unwrap_or_default().to_owned()).collect()
    }
}

async fn take(State(inbox): State<Inbox>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut shared = inbox.shared.lock().unwrap();
    if shared.refusals > 0 {
        shared.refusals -= 1;
        return StatusCode::from_u16(shared.status).unwrap();
    }
    shared.taken.push(Taken { uri, headers, body });
    StatusCode::OK
}
