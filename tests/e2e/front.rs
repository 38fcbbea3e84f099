//! What stands before a Spindel: hands every request on as it came, and remembers it, so that it can be sent again.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

#[derive(Clone)]
pub struct Front {
    /// `http://127.0.0.1:port`, as senders know it.
    pub url: String,
    behind: SocketAddr,
    client: reqwest::Client,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// A request, and how it was answered.
#[derive(Clone, Debug)]
pub struct Passed {
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub status: u16,
    pub answer: Bytes,
}

impl Passed {
    /// The connection that it went to.
    pub fn connection(&self) -> &str {
        self.path.trim_start_matches("/in/").split('?').next().unwrap()
    }

    /// The same, sent to another one.
    pub fn to(&self, connection: &str) -> Self {
        let path = self.path.replacen(self.connection(), connection, 1);
        Self { path, ..self.clone() }
    }
}

impl Front {
    pub async fn of(behind: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let front = Self { url, behind, client: reqwest::Client::new(), passed: Arc::default() };
        let router = Router::new().fallback(hand_on).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        front
    }

    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }

    /// Sends a request on, and answers it with what came of it.
    pub async fn send(&self, request: &Passed) -> Passed {
        let url = format!("http://{}{}", self.behind, request.path);
        let answer = self.client.post(url).headers(request.headers.clone()).body(request.body.clone()).send().await.unwrap();
        let status = answer.status().as_u16();
        Passed { status, answer: answer.bytes().await.unwrap(), ..request.clone() }
    }
}

async fn hand_on(State(front): State<Front>, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(method, Method::POST);
    // The new request has its own.
    for name in ["content-length", "connection", "transfer-encoding"] {
        headers.remove(name);
    }
    let path = uri.path_and_query().unwrap().to_string();
    let passed = front.send(&Passed { path, headers, body, status: 0, answer: Bytes::new() }).await;
    let response = Response::builder().status(passed.status).header("content-type", "text/plain");
    let response = response.body(Body::from(passed.answer.clone())).unwrap();
    front.passed.lock().unwrap().push(passed);
    response
}
