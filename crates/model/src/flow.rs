//! A flow: changes of these topics from this connection become this action at that one.

use crate::{ActionKind, AttributeMap, Filter, Topic};
use std::time::Duration;

/// `[flows.NAME]`
#[derive(Clone, Debug)]
pub struct Flow {
    pub name: String,
    pub from: String,
    pub on: Vec<Topic>,
    pub to: String,
    pub action: ActionKind,
    pub when: Filter,
    /// Wait this long after arrival before acting.
    pub lag: Duration,
    pub trust: Trust,
    /// Poll the source this often.
    pub every: Option<Duration>,
    /// Of products: field at the destination by attribute of the source.
    pub attributes: AttributeMap,
    /// jq over the action.
    pub map: Option<String>,
    pub retry: RetryPolicy,
}

/// Whether a webhook's payload is applied, or only a nudge after which the record is read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    #[default]
    Payload,
    Refetch,
}

/// `retry = { first, factor, max, give_up_after }`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    pub first: Duration,
    pub factor: f64,
    pub max: Duration,
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    /// About 5 s, 20 s, 80 s, 5 m, 20 m, 1.5 h, 6 h, then every 12 h, given up after 72 h.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            factor: 4.0,
            max: Duration::from_secs(12 * 3600),
            give_up_after: Duration::from_secs(72 * 3600),
        }
    }
}
