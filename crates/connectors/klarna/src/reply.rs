//! How Klarna says no: a code in the body, which tells more than the status.

use serde::Deserialize;
use spindel_connect::{Reply, Verdict};
use spindel_model::ErrorClass;

#[derive(Deserialize)]
struct Refusal {
    error_code: String,
    correlation_id: Option<String>,
    /// How the Klarna Network calls it.
    error_id: Option<String>,
}

/// Refusals by their code. Its messages are left out, as they may repeat what was sent; the correlation id finds them at Klarna.
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    // Of those with their own waiting the shared table knows all there is to know.
    if !(400..500).contains(&reply.status) || matches!(reply.status, 408 | 409 | 423 | 425 | 429) {
        return None;
    }
    let Ok(refusal) = reply.json::<Refusal>() else {
        return matches!(reply.status, 401 | 403).then(|| {
            Verdict::new(ErrorClass::Auth, format!("HTTP {}: check `username`, `password` and `region`", reply.status))
        });
    };
    let code = refusal.error_code.as_str();
    let (class, remedy) = reading(code, reply.status)?;
    let id = refusal.correlation_id.or(refusal.error_id);
    let id = id.or_else(|| reply.header("klarna-correlation-id").map(str::to_owned)).map(known_form).unwrap_or_default();
    Some(Verdict::new(class, format!("Klarna answers {}: {remedy}{id}", known_code(code))))
}

fn reading(code: &str, status: u16) -> Option<(ErrorClass, &'static str)> {
    Some(match code {
        "CAPTURE_NOT_ALLOWED" => {
            (ErrorClass::Data, "the order cannot be captured as it stands (expired, cancelled, under review, or captured before)")
        }
        "REFUND_NOT_ALLOWED" => (ErrorClass::Data, "this much cannot be given back as the order stands"),
        "CANCEL_NOT_ALLOWED" => (ErrorClass::Data, "the order cannot be cancelled as it stands: something of it was captured"),
        "NOT_ALLOWED" => (ErrorClass::Data, "the order does not allow this as it stands (expired, cancelled, or closed)"),
        "NO_SUCH_ORDER" => (ErrorClass::Gone, "there is no such order in this account"),
        "NO_SUCH_CAPTURE" | "NOT_FOUND" | "RESOURCE_NOT_FOUND" => (ErrorClass::Gone, "there is no such record in this account"),
        "BAD_VALUE" => (ErrorClass::Data, "a value is refused"),
        "REQUEST_TOO_LARGE" => (ErrorClass::Data, "the request is too large"),
        "UNPROCESSABLE_ENTITY" => (ErrorClass::Data, "the request makes no sense to Klarna"),
        "TOO_MANY_REQUESTS" => return None,
        // Of the Klarna Network, whose refusals all have a code.
        "FORBIDDEN" | "OPERATION_FORBIDDEN" => (ErrorClass::Auth, "the API key may not do this: check `api_key` and its rights"),
        _ if matches!(status, 401) => {
            (ErrorClass::Auth, "the credentials are refused: check `username`, `password`, `api_key`, `region`")
        }
        // A 403 that has a code is about what was asked and not about who asks.
        _ if matches!(status, 404 | 410) => (ErrorClass::Gone, "it is not there"),
        _ => (ErrorClass::Data, "the request is refused"),
    })
}

/// A code as it may be shown; anything that does not look like one is left out.
fn known_code(code: &str) -> &str {
    let plain = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
    if code.len() <= 64 && code.chars().all(plain) { code } else { "with a code of its own" }
}

fn known_form(id: String) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
    if id.len() <= 64 && id.chars().all(plain) { format!(" (correlation id {id})") } else { String::new() }
}
