//! Requests that are not accepted: why, how they are counted and noted, and what the sender is told.

use crate::{Ingest, accept::answered};
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use spindel_connect::Answer;
use spindel_model::Rejected;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a sender is asked to wait after 503, in seconds.
const RETRY_AFTER: &str = "5";
/// Refusals that are noted per second; a flood of forgeries is neither stored nor logged line by line.
const NOTED_PER_SECOND: u64 = 20;
/// Longer than any connection's name is.
const LONGEST_NAME: usize = 64;
/// Of what a connector says to a sender whom it turns away, in the record.
const LONGEST_REASON: usize = 200;

/// Limits how many refusals are written down.
#[derive(Default)]
pub struct Noted {
    second: AtomicU64,
    count: AtomicU64,
}

impl Noted {
    pub(crate) fn allows(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.count.store(0, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed) < NOTED_PER_SECOND
    }
}

/// Why a request is not accepted.
pub(crate) struct Refusal {
    kind: Kind,
    /// For the record; the sender is told only the status.
    pub(crate) reason: String,
    size: u64,
    /// The connector's own words to the sender.
    answer: Option<Answer>,
}

/// What refusals are counted by: few, so that no sender can make up more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    UnknownConnection,
    ReceivesNothing,
    BadProof,
    TooLarge,
    Compressed,
    Incomplete,
    Unavailable,
    /// By the connector, as its vendor wants it.
    TurnedAway,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::UnknownConnection => "unknown_connection",
            Self::ReceivesNothing => "receives_nothing",
            Self::BadProof => "bad_proof",
            Self::TooLarge => "too_large",
            Self::Compressed => "compressed",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
            Self::TurnedAway => "turned_away",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::UnknownConnection | Self::ReceivesNothing => StatusCode::NOT_FOUND,
            Self::BadProof => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Unavailable | Self::TurnedAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), size: 0, answer: None }
    }

    pub(crate) fn by_connector(answer: Answer) -> Self {
        let said = String::from_utf8_lossy(&answer.body);
        let reason: String = said.trim().chars().take(LONGEST_REASON).collect();
        Self { answer: Some(answer), ..Self::new(Kind::TurnedAway, reason) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.answer.as_ref().map_or(self.kind.status(), |it| it.status)
    }

    pub(crate) fn of_size(self, size: u64) -> Self {
        Self { size, ..self }
    }
}

impl Ingest {
    pub(crate) async fn refuse(&self, connection: &str, refusal: Refusal) -> Response {
        let now = self.clock.now();
        // Whoever asks chose this name.
        let connection: String = connection.chars().take(LONGEST_NAME).collect();
        let counted = if refusal.kind == Kind::UnknownConnection { "unknown".to_owned() } else { connection.clone() };
        metrics::counter!("spindel_events_rejected_total", "connection" => counted, "reason" => refusal.kind.name()).increment(1);
        let noted = self.noted.allows(now.as_second().unsigned_abs());
        if noted && refusal.kind == Kind::Unavailable {
            tracing::warn!(connection, reason = refusal.reason, "not accepted: the sender is asked to come again");
        } else if noted {
            tracing::info!(connection, status = refusal.status().as_u16(), reason = refusal.reason, "request rejected");
            let rejected = Rejected {
                connection,
                at: now,
                reason: refusal.reason.clone(),
                status: refusal.status().as_u16(),
                size: refusal.size,
            };
            // Nobody waits for it: the answer is the same whether it is noted or not.
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                if let Err(error) = store.reject(rejected).await {
                    tracing::debug!(%error, "a rejected request was not noted");
                }
            });
        }
        if let Some(answer) = refusal.answer {
            return answered(answer);
        }
        let mut response = Response::new(Body::from(format!("{}\n", refusal.status().canonical_reason().unwrap_or("refused"))));
        *response.status_mut() = refusal.status();
        if refusal.kind == Kind::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if refusal.kind == Kind::TooLarge {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
