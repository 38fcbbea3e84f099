//! `spindel send`: one of a connector's example webhooks, signed like the vendor does, to a running Spindel.

use super::load;
use crate::{
    cli::{Global, SendArgs},
    output::{FAILED, NOTHING_MATCHED, Out, UNREACHABLE},
    server,
};
use anyhow::Context as _;
use serde_json::json;
use spindel_config::{ConnectionSettings, Settings};
use spindel_connect::{Example, Incoming, Secret};
use spindel_model::Clock;
use spindel_sync::kept_secrets;
use std::process::ExitCode;

pub async fn run(global: &Global, args: &SendArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let Some(connection) = loaded.settings.connections.get(&args.connection) else {
        let known: Vec<&str> = loaded.settings.connections.keys().map(String::as_str).collect();
        return Ok(unknown(out, "connection", &args.connection, &format!("the config has {}", known.join(", "))));
    };
    let webhooks =
        || connection.entry.fixtures.iter().filter(|fixture| fixture.example().is_ok_and(|example| example.ability == "receive"));
    let Some(fixture) = webhooks().find(|fixture| fixture.name == args.fixture) else {
        let known: Vec<&str> = webhooks().map(|fixture| fixture.name).collect();
        return Ok(unknown(
            out,
            "fixture",
            &args.fixture,
            &format!("connector `{}` has {}", connection.entry.info.id, known.join(", ")),
        ));
    };
    let base = args.to.clone().unwrap_or_else(|| base_url(&loaded.settings));
    let base = base.trim_end_matches('/');
    // Signed for the address under which the server takes itself to be known, and sent to where it is.
    let public = loaded.settings.server.public_url.as_ref().map(ToString::to_string);
    let known = public.as_deref().unwrap_or(base).trim_end_matches('/');
    let (origin, prefix) = match known.find("://").and_then(|at| Some(at + 3 + known[at + 3..].find('/')?)) {
        Some(at) => known.split_at(at),
        None => (known, ""),
    };
    let example = fixture.example()?;
    let request = match signed(connection, &example, (origin, prefix), &[]) {
        Ok(request) => request,
        // Only the store may know a secret, where it is the vendor who gives one.
        Err(why) => {
            let Ok(store) = server::open_store(&loaded.settings.store).await else { return Err(why) };
            let kept = kept_secrets(&*store, &args.connection).await.unwrap_or_default();
            signed(connection, &example, (origin, prefix), &kept)?
        }
    };
    let path = request.uri.strip_prefix(prefix).unwrap_or(&request.uri);
    post(&format!("{base}{path}"), request.clone(), out).await
}

fn unknown(out: &Out, what: &str, name: &str, hint: &str) -> ExitCode {
    out.refuse(&format!("there is no {what} `{name}`"), hint);
    ExitCode::from(NOTHING_MATCHED)
}

fn base_url(settings: &Settings) -> String {
    let mut address = settings.server.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

fn signed(
    connection: &ConnectionSettings,
    example: &Example,
    (origin, prefix): (&str, &str),
    kept: &[Secret],
) -> anyhow::Result<Incoming> {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    for (name, value) in &example.headers {
        headers.insert(http::HeaderName::try_from(name)?, value.parse()?);
    }
    let query = example.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Incoming {
        method: http::Method::POST,
        uri: format!("{prefix}/in/{}{query}", connection.name),
        origin: origin.to_owned(),
        headers,
        body: example.body_bytes(),
    };
    let proof = connection.connection.proof(kept).context("this connection receives no webhooks")?;
    proof.sign(&mut request, Clock::system().now()).context("cannot be signed with this connection's secrets")?;
    Ok(request)
}

/// The query may hold what proves the request.
fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(path, _)| path)
}

async fn post(url: &str, request: Incoming, out: &Out) -> anyhow::Result<ExitCode> {
    spindel_http::init();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let sent =
        client.post(url).headers(request.headers).body(request.body).timeout(std::time::Duration::from_secs(10)).send().await;
    let mut reply = match sent {
        Ok(reply) => reply,
        Err(error) => {
            out.refuse(
                &format!("no Spindel answers at {}: {}", shown(url), error.without_url()),
                "start it with `spindel serve`, or name another with --to",
            );
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    let status = reply.status();
    // The first part of the answer is all that is of interest, however long it is.
    let answer = reply.chunk().await?.unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(4096)]).into_owned();
    out.show(&json!({ "status": status.as_u16(), "answer": answer }), |out| {
        out.line(&format!("{status}: {}", answer.trim_end()))
    });
    Ok(ExitCode::from(if status.is_success() { 0 } else { FAILED }))
}
