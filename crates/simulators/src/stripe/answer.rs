//! How Stripe says no.

use crate::{call::Answer, shopify::Refused};
use serde_json::{Value, json};

/// An error of Stripe's, as its parts.
#[derive(Debug)]
pub(crate) struct Problem {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub decline_code: Option<&'static str>,
    pub message: String,
    pub param: Option<String>,
    /// The payment that it is about.
    pub payment: Option<Box<Value>>,
    /// Parameters that make no sense are refused before a key is looked at, and so are not remembered under it.
    pub before_the_key: bool,
}

impl Problem {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            decline_code: None,
            message: message.into(),
            param: None,
            payment: None,
            before_the_key: false,
        }
    }

    /// What is asked for cannot be done as things stand.
    pub(crate) fn state(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::new(400, "invalid_request_error", message) }
    }

    pub(crate) fn parameter(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), before_the_key: true, ..Self::state(code, message) }
    }

    /// `what` as Stripe calls it: `payment_intent`.
    pub(crate) fn missing(what: &str, id: &str, param: &str) -> Self {
        let problem = Self::new(404, "invalid_request_error", format!("No such {what}: '{id}'"));
        Self { code: Some("resource_missing"), param: Some(param.to_owned()), ..problem }
    }

    pub(crate) fn refused(self) -> Refused {
        Refused(self.message)
    }

    pub(crate) fn answer(&self) -> Answer {
        let mut error = json!({ "type": self.kind, "message": self.message });
        for (field, value) in [("code", self.code), ("decline_code", self.decline_code)] {
            if let Some(value) = value {
                error[field] = value.into();
            }
        }
        if let Some(code) = self.code {
            error["doc_url"] = format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")).into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        if let Some(payment) = &self.payment {
            error["payment_intent"] = (**payment).clone();
        }
        Answer::json(self.status, json!({ "error": error }))
    }
}
