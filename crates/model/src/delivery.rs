//! What Spindel itself keeps account of: events that came in, deliveries, their states and attempts.

use crate::{ActionKind, Change, EntityRef, Mention, UnknownName, Version, change::names};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $Name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Name(pub Uuid);
        impl $Name {
            /// A new id; later ids sort after earlier ones.
            pub fn new() -> Self { Self(Uuid::now_v7()) }
        }
        impl Default for $Name { fn default() -> Self { Self::new() } }
        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{}{}", $prefix, self.0.simple()))
            }
        }
        impl FromStr for $Name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                text.strip_prefix($prefix)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| UnknownName { what: concat!("id (", $prefix, "…)"), name: text.to_owned() })
            }
        }
        impl Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
        }
        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
ids! {
    /// `evt_…`
    EventId, "evt_";
    /// `dlv_…`; also the idempotency key of its action.
    DeliveryId, "dlv_";
}

names! {
    /// Why an event or a delivery exists.
    Cause, "cause" {
        Webhook = "webhook",
        Poll = "poll",
        /// An action brought it about: a booked parcel.
        Action = "action",
        Reconcile = "reconcile",
        Replay = "replay",
    }
}

impl Cause {
    /// Fresh work has reserved slots that the rest cannot take.
    pub fn is_fresh(self) -> bool {
        matches!(self, Self::Webhook | Self::Poll)
    }
}

/// One thing that came in. Immutable but for its state; the body is kept raw.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub connection: String,
    /// The vendor's own word: `orders/create`.
    pub topic: String,
    pub cause: Cause,
    pub received_at: Timestamp,
    /// Lower-case names; no secrets (the signature is dropped once it held).
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub state: EventState,
    /// How often the same event came again and was answered without a second effect.
    pub duplicates: u32,
}

/// Where an event is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EventState {
    /// Committed, not yet planned.
    Accepted,
    /// Its deliveries exist.
    Planned,
    /// No flow wants it.
    Unrouted,
    /// It cannot be understood; can be planned again after a fix.
    Quarantined { reason: String },
}

impl EventState {
    pub const NAMES: [&'static str; 4] = ["accepted", "planned", "unrouted", "quarantined"];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Planned => "planned",
            Self::Unrouted => "unrouted",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}

/// A request that was refused, kept for a short time so that a wrong secret can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub connection: String,
    pub at: Timestamp,
    /// Never the secret, never the expected signature.
    pub reason: String,
    /// HTTP status of the answer.
    pub status: u16,
    pub size: u64,
}

/// One change carried by one flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    pub id: DeliveryId,
    pub event: EventId,
    pub flow: String,
    pub from: String,
    pub to: String,
    pub action: ActionKind,
    /// What the change is about, at the source.
    pub entity: EntityRef,
    /// The entity of the source whose actions run in order.
    pub lane: EntityRef,
    pub version: Version,
    pub cause: Cause,
    /// What people call it: the order number, the SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(flatten)]
    pub state: State,
    /// Tries that counted; throttling and an open breaker do not.
    pub attempts: u32,
    /// Grows with every claim: who holds an older one may no longer write.
    pub fence: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Where a delivery is, and for an end: why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// For its turn in the lane; not before `at`.
    Waiting {
        at: Timestamp,
    },
    Due {
        at: Timestamp,
    },
    Running {
        lease: Lease,
    },
    /// The last attempt's outcome is unknown. Without `look_up_at` only a person can tell.
    InDoubt {
        look_up_at: Option<Timestamp>,
    },
    Held {
        guard: String,
    },
    /// Put aside by a person, or because its connection is.
    Paused {
        reason: String,
    },
    Delivered,
    /// The destination already had it so.
    Unchanged,
    Superseded {
        by: DeliveryId,
    },
    Duplicate,
    Echo,
    /// Something newer was applied before.
    Stale,
    Skipped {
        reason: String,
    },
    Conflict {
        reason: String,
    },
    Dead {
        class: ErrorClass,
        reason: String,
    },
    Discarded {
        by: String,
        why: String,
    },
}

/// The right of one worker to act on a delivery, until it ends or runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub node: String,
    pub until: Timestamp,
}

impl State {
    pub const NAMES: [&'static str; 16] = [
        "waiting",
        "due",
        "running",
        "in_doubt",
        "held",
        "paused",
        "delivered",
        "unchanged",
        "superseded",
        "duplicate",
        "echo",
        "stale",
        "skipped",
        "conflict",
        "dead",
        "discarded",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Due { .. } => "due",
            Self::Running { .. } => "running",
            Self::InDoubt { .. } => "in_doubt",
            Self::Held { .. } => "held",
            Self::Paused { .. } => "paused",
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Superseded { .. } => "superseded",
            Self::Duplicate => "duplicate",
            Self::Echo => "echo",
            Self::Stale => "stale",
            Self::Skipped { .. } => "skipped",
            Self::Conflict { .. } => "conflict",
            Self::Dead { .. } => "dead",
            Self::Discarded { .. } => "discarded",
        }
    }

    /// Nothing more happens unless a person asks for it.
    pub fn is_end(&self) -> bool {
        !matches!(
            self,
            Self::Waiting { .. }
                | Self::Due { .. }
                | Self::Running { .. }
                | Self::InDoubt { .. }
                | Self::Held { .. }
                | Self::Paused { .. }
        )
    }

    /// The destination has what it must know.
    pub fn has_arrived(&self) -> bool {
        matches!(self, Self::Delivered | Self::Unchanged | Self::Superseded { .. } | Self::Duplicate | Self::Echo | Self::Stale)
    }
}

names! {
    /// Decides what happens after a failure.
    ErrorClass, "error class" {
        /// Timeout, 5xx, connection: back off.
        Transient = "transient",
        /// Wait as told; no attempt is spent.
        RateLimited = "rate_limited",
        /// The connection is paused until its credentials are mended.
        Auth = "auth",
        /// A mapping or a setting is missing; mending it retries the group.
        Config = "config",
        /// The vendor refuses a field: edit and retry.
        Data = "data",
        /// Something else must arrive first; deferred for a day at most.
        MissingDependency = "missing_dependency",
        /// The target no longer exists.
        Gone = "gone",
        /// A panic or a broken promise of ours.
        Bug = "bug",
    }
}

/// One try of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// `perform` or `look_up`.
    pub step: AttemptStep,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// `None` for success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// One line for people; no secret, no personal data.
    pub message: String,
    pub exchanges: Vec<Exchange>,
}

names! {
    AttemptStep, "attempt step" {
        Perform = "perform",
        LookUp = "look_up",
    }
}

/// One HTTP request and its answer, redacted and truncated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub operation: String,
    pub method: String,
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a performed action left at the destination.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Performed {
    /// The destination's own id of the lane's entity, kept as a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The destination already had it so.
    #[serde(default)]
    pub unchanged: bool,
    /// What happened at the destination by it, told as if the destination had sent it: the parcel that was booked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Papers that came of it, kept for people: labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// A paper that a vendor made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// `label-370438101268058536.pdf`
    pub name: String,
    /// `application/pdf`, `x-application/zpl`
    pub media_type: String,
    /// Standard base64 with padding.
    pub base64: String,
}

/// A record at the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub id: String,
    /// What people there call it: `S00042`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl Performed {
    pub fn done() -> Self {
        Self::default()
    }

    pub fn unchanged() -> Self {
        Self { unchanged: true, ..Self::default() }
    }

    pub fn at(id: impl Into<String>) -> Self {
        Self { reference: Some(Reference { id: id.into(), number: None }), ..Self::default() }
    }

    pub fn numbered(mut self, number: impl Into<String>) -> Self {
        if let Some(reference) = &mut self.reference {
            reference.number = Some(number.into());
        }
        self
    }

    pub fn telling(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    pub fn with(mut self, document: Document) -> Self {
        self.documents.push(document);
        self
    }
}

/// Business keys of a change, and the entity it is about, kept for search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub entity: EntityRef,
    pub mentions: Vec<Mention>,
}
