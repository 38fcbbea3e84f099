//! Failures on demand: a middleware in front of a simulated vendor, and the handle with which a test steers it.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{FromFnLayer, Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// One way in which a vendor fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without an answer; the request is not carried out.
    Down,
    /// Carried out and answered as usual, after this long.
    Slow(Duration),
    /// 429, with `Retry-After` in seconds when given; not carried out.
    TooMany { retry_after: Option<u64> },
    /// This status with a plain body; not carried out.
    Error(u16),
    /// Carried out, then the connection is closed without an answer.
    CutAfter,
    /// Carried out, then answered 200 with text that is no JSON.
    Malformed,
}

impl Fault {
    fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow(_) => "slow",
            Self::TooMany { .. } => "too_many",
            Self::Error(_) => "error",
            Self::CutAfter => "cut_after",
            Self::Malformed => "malformed",
        }
    }
}

/// Handle to the failures of one simulated vendor. Clones steer the same vendor.
///
/// A request takes the first of: what [`Faults::next`] queued, what [`Faults::set`] set, what [`Faults::at_random`] draws.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    queued: VecDeque<(Fault, u32)>,
    constant: Option<Fault>,
    random: Option<Random>,
    counts: BTreeMap<&'static str, u64>,
}

struct Random {
    rng: StdRng,
    share: f64,
    faults: Vec<Fault>,
}

impl Faults {
    /// Every request fails in this way, token requests included, until it is cleared with `None`.
    pub fn set(&self, fault: Option<Fault>) {
        self.plan().constant = fault;
    }

    /// The next `n` API requests fail in this way; several calls queue up.
    pub fn next(&self, fault: Fault, n: u32) {
        self.plan().queued.push_back((fault, n));
    }

    /// Each API request fails with probability `share` in one of these ways, reproducibly by `seed`; an empty list ends it.
    pub fn at_random(&self, seed: u64, share: f64, faults: Vec<Fault>) {
        self.plan().random =
            (!faults.is_empty()).then(|| Random { rng: StdRng::seed_from_u64(seed), share: share.clamp(0.0, 1.0), faults });
    }

    /// Ends every failure: queued, constant and random.
    pub fn clear(&self) {
        let mut plan = self.plan();
        plan.queued.clear();
        plan.constant = None;
        plan.random = None;
    }

    /// How many of each kind were injected.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.plan().counts.clone()
    }

    fn draw(&self, token_request: bool) -> Option<Fault> {
        let mut plan = self.plan();
        let fault = if token_request { plan.constant.clone() } else { plan.draw() };
        if let Some(fault) = &fault {
            *plan.counts.entry(fault.name()).or_default() += 1;
        }
        fault
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn draw(&mut self) -> Option<Fault> {
        self.queued.retain(|(_, left)| *left > 0);
        if let Some((fault, left)) = self.queued.front_mut() {
            *left -= 1;
            return Some(fault.clone());
        }
        if self.constant.is_some() {
            return self.constant.clone();
        }
        let random = self.random.as_mut()?;
        if !random.rng.random_bool(random.share) {
            return None;
        }
        let pick = random.rng.random_range(0..random.faults.len());
        random.faults.get(pick).cloned()
    }
}

/// Marks an answer that the server must not send: it closes the connection instead.
#[derive(Clone, Copy)]
pub(crate) struct Cut;

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
type Handler = fn(State<Faults>, Request, Next) -> Answer;

/// The middleware. Put it outermost, so that a failing vendor fails before it checks anything.
pub(crate) fn layer(faults: Faults) -> FromFnLayer<Handler, Faults, (State<Faults>, Request)> {
    from_fn_with_state(faults, inject as Handler)
}

fn inject(State(faults): State<Faults>, request: Request, next: Next) -> Answer {
    Box::pin(async move {
        let token_request = ["/oauth/", "/oauth2/"].iter().any(|it| request.uri().path().contains(it));
        match faults.draw(token_request) {
            None => next.run(request).await,
            Some(Fault::Down) => cut(),
            Some(Fault::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                next.run(request).await
            }
            Some(Fault::TooMany { retry_after }) => too_many(retry_after),
            Some(Fault::Error(status)) => plain_error(status),
            Some(Fault::CutAfter) => {
                next.run(request).await;
                cut()
            }
            Some(Fault::Malformed) => {
                next.run(request).await;
                (StatusCode::OK, "<html>upstream is being maintained").into_response()
            }
        }
    })
}

fn cut() -> Response {
    let mut answer = StatusCode::BAD_GATEWAY.into_response();
    answer.extensions_mut().insert(Cut);
    answer
}

fn too_many(retry_after: Option<u64>) -> Response {
    let mut answer = (StatusCode::TOO_MANY_REQUESTS, "too many requests").into_response();
    if let Some(seconds) = retry_after {
        let value = HeaderValue::from(seconds);
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

fn plain_error(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, "simulated failure").into_response()
}
