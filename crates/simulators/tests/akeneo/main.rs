//! The simulated PIM over HTTP, as anybody meets it, and as the connector does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod connector;
mod events;
mod rest;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use spindel_model::Clock;
use spindel_simulators::akeneo::{AkeneoSim, Options, ProductSpec, Val};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering::SeqCst},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn options(clock: &Clock) -> Options {
    Options { clock: clock.clone(), ..Options::default() }
}

fn clock() -> Clock {
    Clock::manual(at("2026-11-20T10:00:00Z"))
}

fn minutes(clock: &Clock, minutes: i64) {
    clock.advance(SignedDuration::from_mins(minutes));
}

fn mug() -> ProductSpec {
    ProductSpec {
        family: Some("kitchen".into()),
        parent: None,
        categories: vec!["cups".into()],
        enabled: true,
        values: vec![
            Val::new("sku", "KRUS"),
            Val::new("name", "Krus").locale("nb_NO"),
            Val::new("name", "Mugg").locale("sv_SE"),
            Val::new("description", "<p>Steintøy.</p>").locale("nb_NO").scope("ecommerce"),
            Val::new("description", "Til katalogen").locale("nb_NO").scope("print"),
            Val::new("price", json!([{ "amount": "199.00", "currency": "NOK" }])).scope("ecommerce"),
            Val::new("weight", json!({ "amount": "0.3500", "unit": "KILOGRAM" })),
            Val::new("collection", json!(["autumn", "new"])),
        ],
    }
}

/// A jumper in two colours and one size: a model, two below it, and a product below each. Answers the products.
fn jumper(pim: &AkeneoSim) -> [String; 2] {
    let names = vec![Val::new("name", "Ullgenser").locale("nb_NO"), Val::new("name", "Ylletröja").locale("sv_SE")];
    pim.create_model("ull", "knit_color_size", None, names).unwrap();
    ["black", "red"].map(|color| {
        let code = format!("ull_{color}");
        pim.create_model(&code, "knit_color_size", Some("ull"), vec![Val::new("color", color)]).unwrap();
        let values = vec![
            Val::new("sku", format!("ULL-{color}-M")),
            Val::new("size", "m"),
            Val::new("price", json!([{ "amount": "799.00", "currency": "NOK" }])).scope("ecommerce"),
        ];
        pim.create_product(ProductSpec { parent: Some(code), enabled: true, values, ..ProductSpec::default() }).unwrap()
    })
}

/// What came in, and what it is answered.
#[derive(Clone, Default)]
struct Hub {
    status: Arc<AtomicU16>,
    came: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Hub {
    async fn start() -> (Self, String) {
        let hub = Self::default();
        hub.status.store(200, SeqCst);
        let app = Router::new().route("/in/pim", post(receive)).with_state(hub.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/pim", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (hub, url)
    }

    fn take(&self) -> Vec<(HeaderMap, Bytes)> {
        std::mem::take(&mut self.came.lock().unwrap())
    }

    fn events(&self) -> Vec<Value> {
        self.take().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }
}

async fn receive(State(hub): State<Hub>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = hub.status.load(SeqCst);
    hub.came.lock().unwrap().push((headers, body));
    StatusCode::from_u16(status).unwrap()
}
