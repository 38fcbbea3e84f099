//! The transport of one connection: turn, credentials, one request, and what its answer says about the next.

use crate::{
    client::{Lines, Options},
    limit::Limiter,
    oauth1,
    token::{State, Tokens},
    wire::{Bounds, Outgoing, exchange},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use spindel_connect::{Auth, BoxFuture, BudgetFn, Endpoint, Failure, OAuth1, Reply, Request, TokenGrant, Transport, retry_after};
use spindel_model::Clock;
use std::sync::Arc;
use url::Url;

/// Carries the calls of one connection.
pub struct HttpTransport {
    connection: String,
    base: Base,
    credentials: Credentials,
    /// Sent with every call to the vendor.
    headers: HeaderMap,
    limiter: Limiter,
    budget: BudgetFn,
    bounds: Bounds,
    lines: Lines,
    clock: Clock,
}

enum Credentials {
    None,
    Fixed(HeaderName, HeaderValue),
    Signed(OAuth1),
    Token(Arc<Tokens>),
}

/// What one request goes with.
enum Proof<'a> {
    None,
    Header(HeaderName, HeaderValue),
    Signature(&'a OAuth1),
}

impl HttpTransport {
    pub(crate) fn new(lines: Lines, endpoint: Endpoint, budget: BudgetFn, options: Options) -> Result<Self, Failure> {
        let base = Base::new(&endpoint.base_url, &lines)?;
        let bounds = Bounds { timeout: options.timeout, cap: options.response_cap };
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let (name, value) = line(name, value)?;
            headers.insert(name, value);
        }
        for (name, value) in &endpoint.secret_headers {
            let (name, value) = line(name, value.expose())?;
            headers.insert(name, value);
        }
        let credentials = match endpoint.auth {
            Auth::None => Credentials::None,
            Auth::Password(_) => return Err(Failure::Refused("an HTTP connection has no user with a password".to_owned())),
            Auth::Basic(user, password) => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
                let (name, value) = line("authorization", &format!("Basic {pair}"))?;
                Credentials::Fixed(name, value)
            }
            Auth::OAuth1(credentials) => Credentials::Signed(credentials),
            Auth::Bearer(secret) => {
                let (name, value) = line("authorization", &format!("Bearer {}", secret.expose()))?;
                Credentials::Fixed(name, value)
            }
            Auth::Header(name, secret) => {
                let (name, value) = line(name, secret.expose())?;
                Credentials::Fixed(name, value)
            }
            Auth::Token(grant) => Credentials::Token(Arc::new(Tokens {
                headers: token_headers(&base, &grant, &headers)?,
                url: base.join(&grant.url)?,
                grant,
                lines: lines.clone(),
                bounds,
                connection: options.connection.clone(),
                keeper: options.tokens,
                clock: options.clock.clone(),
                state: tokio::sync::Mutex::new(State::default()),
            })),
        };
        let limiter = Limiter::new(endpoint.limits, options.max_wait);
        let (connection, clock) = (options.connection, options.clock);
        Ok(Self { connection, base, credentials, headers, limiter, budget, bounds, lines, clock })
    }

    async fn call(&self, request: &Request) -> Result<Reply, Failure> {
        let url = self.base.join(&request.path)?;
        let mut permit = self.limiter.acquire(request.operation, request.cost).await?;
        let reply = match &self.credentials {
            Credentials::Token(tokens) if self.base.owns(&url) => self.call_with_token(tokens, request, url).await,
            Credentials::Fixed(name, value) if self.base.owns(&url) => {
                self.once(request, url, Proof::Header(name.clone(), value.clone())).await
            }
            Credentials::Signed(credentials) if self.base.owns(&url) => {
                self.once(request, url, Proof::Signature(credentials)).await
            }
            _ => self.once(request, url, Proof::None).await,
        }?;
        permit.booked();
        if reply.status == 429
            && let Some(wait) = retry_after(&reply, self.clock.now())
        {
            self.limiter.hold(wait);
        }
        if let Some(budget) = (self.budget)(&reply) {
            self.limiter.learn(request.operation, budget);
        }
        Ok(reply)
    }

    /// A 401 may only mean that the token ran out early: one new token, one more try.
    async fn call_with_token(&self, tokens: &Arc<Tokens>, request: &Request, url: Url) -> Result<Reply, Failure> {
        let (name, prefix) = tokens.grant.header;
        let access = tokens.current(None).await?;
        let first = line(name, &format!("{prefix}{}", access.token.expose()))?;
        let reply = self.once(request, url.clone(), Proof::Header(first.0, first.1)).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let access = match tokens.current(Some(access.number)).await {
            Ok(access) => access,
            Err(Failure::Auth(_)) => return Ok(reply),
            // The vendor cannot give a token just now, which says nothing about the credentials.
            Err(other) => return Err(other),
        };
        let second = line(name, &format!("{prefix}{}", access.token.expose()))?;
        self.once(request, url, Proof::Header(second.0, second.1)).await
    }

    async fn once(&self, request: &Request, mut url: Url, proof: Proof<'_>) -> Result<Reply, Failure> {
        let client = self.lines.of(self.lines.guard.check(&url)?);
        let mut headers = if self.base.owns(&url) { self.headers.clone() } else { HeaderMap::new() };
        headers.extend(request.headers.clone());
        if !headers.contains_key(header::ACCEPT) {
            headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        }
        match proof {
            Proof::None => {}
            Proof::Header(name, value) => {
                headers.insert(name, value);
            }
            Proof::Signature(credentials) => {
                let signed =
                    oauth1::Signed { method: &request.method, url: &mut url, headers: &mut headers, body: &request.body };
                oauth1::sign(credentials, signed, self.clock.now())?;
            }
        }
        let outgoing = Outgoing { method: request.method.clone(), url, headers, body: request.body.clone() };
        let started = tokio::time::Instant::now();
        let result = exchange(client, outgoing, self.bounds).await;
        tracing::debug!(
            connection = self.connection,
            operation = request.operation,
            method = %request.method,
            status = result.as_ref().ok().map(|it| it.status),
            error = result.as_ref().err().map(tracing::field::display),
            millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "vendor called"
        );
        result
    }
}

impl Transport for HttpTransport {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(self.call(request))
    }
}

/// Goes with a request for a token: what goes with every call to the vendor, if the token is the vendor's own, and the grant's.
fn token_headers(base: &Base, grant: &TokenGrant, shared: &HeaderMap) -> Result<HeaderMap, Failure> {
    let mut headers = if base.owns(&base.join(&grant.url)?) { shared.clone() } else { HeaderMap::new() };
    for (name, value) in &grant.headers {
        let (name, value) = line(name, value.expose())?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn line(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let refused = |what| Failure::Refused(format!("header `{name}` {what}"));
    let name = HeaderName::try_from(name).map_err(|_| refused("is no header name"))?;
    let mut value = HeaderValue::try_from(value).map_err(|_| refused("cannot hold its value"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Where paths begin; `None` for a connector that calls absolute addresses only.
struct Base(Option<(String, Url)>);

impl Base {
    fn new(text: &str, lines: &Lines) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url = parse(text)?;
        lines.guard.check(&url)?;
        Ok(Self(Some((text.trim_end_matches('/').to_owned(), url))))
    }

    fn join(&self, path: &str) -> Result<Url, Failure> {
        if path.starts_with("https://") || path.starts_with("http://") {
            return parse(path);
        }
        let Some((base, _)) = &self.0 else {
            return Err(Failure::Refused("this connection has no base URL, so the address must be absolute".to_owned()));
        };
        // Without the slash, `@elsewhere.example` would name another host.
        let slash = if path.is_empty() || path.starts_with(['/', '?']) { "" } else { "/" };
        parse(&format!("{base}{slash}{path}"))
    }

    /// Whether the connection's credentials may go there.
    fn owns(&self, url: &Url) -> bool {
        self.0.as_ref().is_none_or(|(_, base)| base.origin() == url.origin())
    }
}

fn parse(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| Failure::Refused(format!("the address cannot be read: {error}")))
}
