//! What can go wrong with a call, a payload or a setting.

use spindel_model::ErrorClass;
use std::time::Duration;

/// A call to a vendor that did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CallError {
    /// What was being done, in the connector's own words: `set_stock`, `find_order`.
    pub operation: &'static str,
    pub class: ErrorClass,
    /// One line for people, with the remedy where there is one. No secret, no personal data.
    pub message: String,
    /// Not before this much time has passed, by the vendor's own word.
    pub retry_after: Option<Duration>,
    pub effect: Effect,
}

/// Whether a failed call may have had its effect all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly not: it was refused, or never sent.
    None,
    /// The answer was lost, late or unreadable.
    Unknown,
}

impl CallError {
    pub fn new(operation: &'static str, class: ErrorClass, message: impl Into<String>) -> Self {
        Self { operation, class, message: message.into(), retry_after: None, effect: Effect::None }
    }

    /// The vendor refuses what was sent: a person must edit it.
    pub fn data(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, ErrorClass::Data, message)
    }

    /// A setting or a mapping is missing; the message names the key.
    pub fn config(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, ErrorClass::Config, message)
    }

    /// Something else must reach the destination first.
    pub fn missing_dependency(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, ErrorClass::MissingDependency, message)
    }

    pub fn transient(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, ErrorClass::Transient, message)
    }

    pub fn gone(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, ErrorClass::Gone, message)
    }

    /// The answer is not what the vendor's description promises.
    pub fn unexpected(operation: &'static str, message: impl Into<String>) -> Self {
        Self::transient(operation, message).with_unknown_effect()
    }

    /// What came cannot be understood, or not with these settings: a person must look at the record. For `map_err`.
    pub fn misfit(operation: &'static str) -> impl Fn(ParseError) -> Self {
        move |error| Self::data(operation, error.to_string())
    }

    pub fn with_unknown_effect(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// A genuine request whose content cannot be understood: the event is quarantined with this reason.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// `at` is the path of the offending value.
    #[error("payload is not what this topic promises, at `{at}`: {problem}")]
    Json { at: String, problem: String },
    #[error("no `{0}` header")]
    Header(&'static str),
    #[error("topic `{0}` is not known to this connector")]
    Topic(String),
    #[error("{0}")]
    Content(String),
}

/// A setting of a connection that the connector cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if field.is_empty() { String::new() } else { format!("`{field}`: ") })]
pub struct ConfigError {
    /// Dotted path of the field; empty when it is about the whole connection.
    pub field: String,
    /// What is wrong, what was expected, and never the value of a secret.
    pub problem: String,
}

impl ConfigError {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}
