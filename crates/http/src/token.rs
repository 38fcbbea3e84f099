//! Access tokens: fetched once for all callers at the same time, renewed before they run out and after a 401.

use crate::{
    client::Lines,
    wire::{Bounds, Outgoing, exchange},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use spindel_connect::{BodyEncoding, BoxFuture, Failure, Reply, Secret, TokenGrant, retry_after};
use spindel_model::{Clock, Timestamp};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use url::Url;

/// Keeps refresh tokens that the vendor replaces at every use, beyond a restart.
pub trait TokenKeeper: Send + Sync {
    fn load<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>>;
    /// The new token must be safe when this answers: the vendor has already forgotten the old one.
    fn save<'a>(&'a self, connection: &'a str, refresh_token: &'a Secret) -> BoxFuture<'a, Result<(), String>>;
}

/// Keeps refresh tokens until the process ends.
#[derive(Default)]
pub struct MemoryTokens(Mutex<HashMap<String, Secret>>);

impl TokenKeeper for MemoryTokens {
    fn load<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(connection).cloned();
        Box::pin(async { Ok(kept) })
    }

    fn save<'a>(&'a self, connection: &'a str, refresh_token: &'a Secret) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.to_owned(), refresh_token.clone());
        Box::pin(async { Ok(()) })
    }
}

/// A failed fetch answers everybody who asks this soon after it.
const SHARED_FAILURE: Duration = Duration::from_secs(1);
/// Longest time by which a token is renewed before it runs out.
const MARGIN: Duration = Duration::from_secs(60);
/// How long another node may take from its answer to the refresh token being kept.
const OTHER_NODE_KEEPS: Duration = Duration::from_millis(300);
/// A token endpoint that throttles without saying for how long.
const THROTTLED: Duration = Duration::from_secs(10);

/// The token of one connection.
pub(crate) struct Tokens {
    pub(crate) grant: TokenGrant,
    /// Sent with every request for a token.
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) lines: Lines,
    pub(crate) bounds: Bounds,
    pub(crate) connection: String,
    pub(crate) keeper: Arc<dyn TokenKeeper>,
    pub(crate) clock: Clock,
    pub(crate) state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    access: Option<Access>,
    fetched: u64,
    /// A refresh token that the vendor gave and that could not be kept: until it is, nobody else knows it.
    unsaved: Option<Secret>,
    failed: Option<(Instant, Failure)>,
}

/// A token that may be used now.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) token: Secret,
    /// Tells this token from its successors.
    pub(crate) number: u64,
    renew_at: Option<Timestamp>,
}

struct Granted {
    token: Secret,
    expires_in: Option<u64>,
    refresh_token: Option<Secret>,
}

impl Tokens {
    /// The current token; a new one when it is about to run out, or when it is the one the vendor refused.
    pub(crate) async fn current(self: &Arc<Self>, refused: Option<u64>) -> Result<Access, Failure> {
        if let Some(access) = self.state.lock().await.usable(refused, self.clock.now()) {
            return Ok(access);
        }
        // In a task of its own: a caller who gives up must not take a refresh token with it that was just replaced.
        let this = self.clone();
        let renewed = tokio::spawn(async move { this.renew(refused).await }).await;
        renewed.unwrap_or_else(|error| Err(Failure::Auth(format!("the token could not be fetched: {error}"))))
    }

    async fn renew(&self, refused: Option<u64>) -> Result<Access, Failure> {
        let mut state = self.state.lock().await;
        if let Some(access) = state.usable(refused, self.clock.now()) {
            return Ok(access);
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < SHARED_FAILURE
        {
            return Err(failure.clone());
        }
        match self.fetch(&mut state).await {
            Ok(granted) => Ok(state.take(granted, self.clock.now())),
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn fetch(&self, state: &mut State) -> Result<Granted, Failure> {
        let Some(first) = &self.grant.refresh_token else {
            return self.ask(None).await;
        };
        // Another node may have used up the token that was kept a moment ago, so that it is read anew each time.
        let kept = match &state.unsaved {
            Some(unsaved) => Some(unsaved.clone()),
            None => self.kept().await?,
        };
        let mut tried = kept.unwrap_or_else(|| first.clone());
        let mut granted = self.ask(Some(&tried)).await;
        if matches!(granted, Err(Failure::Auth(_)))
            && let Some(successor) = self.successor(&tried).await?
        {
            tried = successor;
            granted = self.ask(Some(&tried)).await;
        }
        // A person may have logged in anew since: then the settings hold the better one.
        if matches!(granted, Err(Failure::Auth(_))) && tried.expose() != first.expose() {
            granted = self.ask(Some(first)).await;
        }
        let granted = granted?;
        if let Some(next) = &granted.refresh_token {
            // Safe before the first use of what came with it.
            state.unsaved = Some(next.clone());
            let saved = self.keeper.save(&self.connection, next).await;
            saved.map_err(|error| Failure::Auth(format!("the new refresh token cannot be kept: {error}")))?;
        }
        state.unsaved = None;
        Ok(granted)
    }

    async fn kept(&self) -> Result<Option<Secret>, Failure> {
        let kept = self.keeper.load(&self.connection).await;
        kept.map_err(|error| Failure::Auth(format!("the kept refresh token cannot be read: {error}")))
    }

    /// What another node may have been given for the same token at the same time; it needs a moment to keep it.
    async fn successor(&self, refused: &Secret) -> Result<Option<Secret>, Failure> {
        for wait in [Duration::ZERO, OTHER_NODE_KEEPS] {
            tokio::time::sleep(wait).await;
            let kept = self.kept().await?.filter(|kept| kept.expose() != refused.expose());
            if kept.is_some() {
                return Ok(kept);
            }
        }
        Ok(None)
    }

    async fn ask(&self, refresh_token: Option<&Secret>) -> Result<Granted, Failure> {
        let mut fields: Vec<(&str, &str)> = self.grant.fields.iter().map(|(name, value)| (*name, value.expose())).collect();
        fields.extend(refresh_token.map(|it| ("refresh_token", it.expose())));
        let (content_type, mut body) = encoded(self.grant.encoding, &fields);
        if let Some(whole) = &self.grant.body {
            body = Bytes::copy_from_slice(whole.expose().as_bytes());
        }
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let client = self.lines.of(self.lines.guard.check(&self.url)?);
        let outgoing = Outgoing { method: Method::POST, url: self.url.clone(), headers, body };
        let reply = exchange(client, outgoing, self.bounds).await;
        tracing::debug!(
            connection = self.connection,
            operation = "token",
            status = reply.as_ref().ok().map(|it| it.status),
            "token asked for"
        );
        // Whatever happened to it, the call that needs the token was not sent.
        let reply = reply.map_err(|failure| match failure {
            Failure::NoAnswer(why) => Failure::NoConnection(format!("token: {why}")),
            other => other,
        })?;
        read(&reply, &self.grant, self.clock.now())
    }
}

impl State {
    fn usable(&self, refused: Option<u64>, now: Timestamp) -> Option<Access> {
        let access = self.access.as_ref()?;
        let fresh = access.renew_at.is_none_or(|at| now < at) && refused != Some(access.number);
        fresh.then(|| access.clone())
    }

    fn take(&mut self, granted: Granted, now: Timestamp) -> Access {
        self.fetched += 1;
        self.failed = None;
        let renew_at = granted.expires_in.and_then(|seconds| {
            let life = Duration::from_secs(seconds.min(365 * 24 * 3600));
            now.checked_add(life - (life / 10).min(MARGIN)).ok()
        });
        let access = Access { token: granted.token, number: self.fetched, renew_at };
        self.access = Some(access.clone());
        access
    }
}

fn encoded(encoding: BodyEncoding, fields: &[(&str, &str)]) -> (&'static str, Bytes) {
    match encoding {
        BodyEncoding::Form => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            ("application/x-www-form-urlencoded", form.into())
        }
        BodyEncoding::Json => {
            let json: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
            ("application/json", Value::Object(json).to_string().into())
        }
    }
}

/// Nothing of the answer but an error code is ever repeated.
fn read(reply: &Reply, grant: &TokenGrant, now: Timestamp) -> Result<Granted, Failure> {
    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let text = |key: &str| json.as_ref()?.get(key)?.as_str();
    match reply.status {
        200..=299 => {}
        429 => return Err(Failure::Limited { wait: retry_after(reply, now).unwrap_or(THROTTLED) }),
        status @ (408 | 500..=599) => return Err(Failure::NoConnection(format!("token: HTTP {status}"))),
        status => {
            let code = text("error").filter(|it| it.len() <= 64 && it.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            let code = code.map(|it| format!(" ({it})")).unwrap_or_default();
            return Err(Failure::Auth(format!("the token endpoint answers HTTP {status}{code}; check the credentials")));
        }
    }
    let refresh_token = text("refresh_token").filter(|it| !it.is_empty()).map(Secret::new);
    if let Some(find) = &grant.read {
        let (token, expires_in) = json
            .as_ref()
            .and_then(find)
            .filter(|(token, _)| !token.is_empty())
            .ok_or_else(|| Failure::Auth("the token endpoint's answer has no token where this vendor has it".to_owned()))?;
        return Ok(Granted { token, expires_in, refresh_token });
    }
    let Some(token) = text("access_token").filter(|it| !it.is_empty()) else {
        return Err(Failure::Auth("the token endpoint's answer has no `access_token`".to_owned()));
    };
    let expires_in = json.as_ref().and_then(|it| it.get("expires_in")).and_then(|it| match it {
        // Some send it as text.
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    Ok(Granted { token: Secret::new(token), expires_in, refresh_token })
}
