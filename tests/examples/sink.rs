//! Whoever reads signed webhooks: takes everything, and remembers it.

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// `whsec_` and 32 bytes.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

pub struct Sink {
    pub url: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Sink {
    pub async fn start() -> Self {
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let take = async |State(taken): State<Arc<Mutex<Vec<Value>>>>, body: Bytes| {
            taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            StatusCode::NO_CONTENT
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(take)).with_state(Arc::clone(&taken));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, taken }
    }

    /// The records that came under this topic.
    pub fn of(&self, topic: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|it| it["type"] == topic).map(|it| it["data"]["record"]["data"].clone()).collect()
    }
}
