//! One action as a connector gets it: the verb, and what Spindel knows around it.

use crate::CallError;
use spindel_model::{Action, Timestamp, Verb};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One thing asked of a connector.
pub struct Ask<'a, V> {
    pub verb: &'a V,
    pub around: Around<'a>,
}

/// What goes with an action, whatever its verb.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The connection that the change came from; part of any reference that must be unique at the destination.
    pub from: &'a str,
    /// Stays the same however often this delivery is tried.
    pub key: Uuid,
    /// The destination's own id of the lane's entity, when a link is known.
    pub known: Option<&'a str>,
    /// `[maps.*]` of the config.
    pub maps: &'a Maps,
    /// 1 for the first try.
    pub attempt: u32,
    pub now: Timestamp,
}

/// [`Around`] with an action of any kind: what the engine hands over.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub action: &'a Action,
    pub around: Around<'a>,
}

impl<'a, V> std::ops::Deref for Ask<'a, V> {
    type Target = Around<'a>;

    fn deref(&self) -> &Self::Target {
        &self.around
    }
}

impl<'a> Job<'a> {
    /// The typed form; `None` when the action is of another kind.
    pub fn of<V: Verb>(&self) -> Option<Ask<'a, V>> {
        Some(Ask { verb: V::of(self.action)?, around: self.around })
    }
}

impl Around<'_> {
    /// A key of its own for one step of an action that takes several calls; the same on every try.
    pub fn key_for(&self, step: &str) -> Uuid {
        Uuid::new_v5(&self.key, step.as_bytes())
    }
}

/// `[maps.NAME]` tables: how codes of one system are called in the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Maps(pub BTreeMap<String, BTreeMap<String, String>>);

impl Maps {
    /// The value of `key` in `[maps.NAME]`, or an error of class `config` that names what to add.
    pub fn require(&self, operation: &'static str, name: &str, key: &str) -> Result<&str, CallError> {
        self.find(name, key).ok_or_else(|| {
            CallError::config(
                operation,
                format!("`{key}` is not in [maps.{name}]; add `\"{key}\" = \"…\"` there and it is tried again"),
            )
        })
    }

    /// The value of `key` in `[maps.NAME]`; without such a table, the key itself.
    pub fn translate<'a>(&'a self, operation: &'static str, name: &str, key: &'a str) -> Result<&'a str, CallError> {
        if self.0.contains_key(name) { self.require(operation, name, key) } else { Ok(key) }
    }

    pub fn find(&self, name: &str, key: &str) -> Option<&str> {
        self.0.get(name)?.get(key).map(String::as_str)
    }
}
