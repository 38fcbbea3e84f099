//! Checks the signature, has the body committed, answers.

use super::Job;
use crate::body::{INTAKE, Key, SIGNATURE, TIMESTAMP, key};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac as _;
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};

#[derive(Clone)]
struct Intake {
    key: Key,
    jobs: mpsc::UnboundedSender<Job>,
}

pub async fn serve(address: SocketAddr, jobs: mpsc::UnboundedSender<Job>) -> anyhow::Result<()> {
    let router = Router::new().route(INTAKE, post(receive)).with_state(Intake { key: key(), jobs });
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn receive(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    if !genuine(&intake.key, &headers, &body) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (committed, answer) = oneshot::channel();
    let asked = intake.jobs.send(Job::Insert { body, committed });
    let (Ok(()), Ok(id)) = (asked, answer.await) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let answer = format!("{{\"event\":\"{id}\",\"outcome\":\"accepted\"}}\n");
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

fn genuine(key: &Key, headers: &HeaderMap, body: &[u8]) -> bool {
    let (Some(time), Some(signature)) = (headers.get(TIMESTAMP), headers.get(SIGNATURE)) else { return false };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    key.clone().chain_update(time).chain_update(".").chain_update(body).verify_slice(&signature).is_ok()
}
