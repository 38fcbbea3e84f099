//! `spindel health`: whether a Spindel is ready, as an exit code; for the health check of a container that has no curl.

use crate::output::{FAILED, Out};
use std::{process::ExitCode, time::Duration};

const WITHIN: Duration = Duration::from_secs(2);
/// What a person reads of an answer.
const SHOWN: usize = 16 * 1024;

pub async fn run(url: &reqwest::Url, out: &Out) -> anyhow::Result<ExitCode> {
    spindel_http::init();
    Ok(match complaint(url).await {
        None => ExitCode::SUCCESS,
        Some(complaint) => {
            out.complain(&complaint);
            ExitCode::from(FAILED)
        }
    })
}

async fn complaint(url: &reqwest::Url) -> Option<String> {
    match tokio::time::timeout(WITHIN, ask(url)).await {
        Ok(Ok((status, _))) if status.is_success() => None,
        Ok(Ok((status, body))) => Some(format!("{url} answers {status}: {}", body.trim_end())),
        Ok(Err(error)) => Some(format!("no Spindel answers at {url}: {}", root_of(&error))),
        Err(_) => Some(format!("no Spindel answers at {url} within {} s", WITHIN.as_secs())),
    }
}

async fn ask(url: &reqwest::Url) -> reqwest::Result<(reqwest::StatusCode, String)> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let mut reply = client.get(url.clone()).send().await?;
    let mut body = Vec::new();
    while body.len() < SHOWN
        && let Some(chunk) = reply.chunk().await?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(SHOWN - body.len())]);
    }
    Ok((reply.status(), String::from_utf8_lossy(&body).into_owned()))
}

/// The client's own words repeat the address; what the system said is at the root.
fn root_of(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, routing::get};

    #[tokio::test]
    async fn only_a_2xx_is_ready_and_what_is_wrong_is_told() {
        spindel_http::init();
        let routes = Router::new()
            .route("/ready", get(|| async { "ready" }))
            .route("/not", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "the store is down") }))
            .route("/long", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "x".repeat(1 << 20)) }))
            .route("/hangs", get(|| async { std::future::pending::<()>().await }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, routes).await });
        let asked = async |path: &str| complaint(&format!("http://{address}{path}").parse().unwrap()).await;

        assert_eq!(asked("/ready").await, None);
        assert!(asked("/not").await.unwrap().ends_with("503 Service Unavailable: the store is down"));
        assert!(asked("/long").await.unwrap().len() < SHOWN + 200);
        assert!(asked("/elsewhere").await.unwrap().contains("404"));
        assert!(asked("/hangs").await.unwrap().contains("within 2 s"));
        server.abort();
        let _ = server.await;
        assert!(asked("/ready").await.unwrap().contains("refused"));
    }
}
