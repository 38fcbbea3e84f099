//! What Business Central's error codes mean.

use serde::Deserialize;
use spindel_connect::{Effect, Verdict};
use spindel_model::ErrorClass;

/// Another record has this key already: what was asked for may be there.
pub const SAME_KEY: &str = "Internal_EntityWithSameKeyExists";

#[derive(Deserialize)]
struct Body {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads a failure by its code. `None`: the shared status table knows better (throttling, timeouts, pages that are no JSON).
pub fn read(status: u16, body: &[u8]) -> Option<Verdict> {
    if status < 400 || matches!(status, 408 | 429 | 502..=504) {
        return None;
    }
    let Body { error } = serde_json::from_slice(body).ok()?;
    let (class, effect) = class(status, &error);
    Some(Verdict { class, message: told(&error), retry_after: None, effect })
}

/// One call is one transaction: what was refused was rolled back.
fn class(status: u16, problem: &Problem) -> (ErrorClass, Effect) {
    let code = problem.code.as_str();
    let class = match code {
        // Someone else was quicker: the next try reads it again. And what is there already is found by the next try.
        "Request_EntityChanged" | SAME_KEY => ErrorClass::Transient,
        "Internal_TenantUnavailable" => ErrorClass::Transient,
        "Internal_CompanyNotFound" => ErrorClass::Config,
        // `If-Match` was missing or no etag.
        "BadRequest_InvalidToken" => ErrorClass::Bug,
        _ if code.starts_with("Authentication_") || code.starts_with("Authorization_") => ErrorClass::Auth,
        _ if status >= 500 => {
            let effect = if is_conflict(&problem.message) { Effect::None } else { Effect::Unknown };
            return (ErrorClass::Transient, effect);
        }
        _ if matches!(status, 401 | 403) => ErrorClass::Auth,
        _ if matches!(status, 404 | 410) => ErrorClass::Gone,
        _ if matches!(status, 409 | 412 | 423) => ErrorClass::Transient,
        _ => ErrorClass::Data,
    };
    (class, Effect::None)
}

/// The database gave up in favour of another transaction.
fn is_conflict(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["deadlock", "locked by another", "could not be acquired", "being updated in a transaction"]
        .iter()
        .any(|it| message.contains(it))
}

/// Code and message, without what only Microsoft can use, and without the values that were sent: they may be a person's.
fn told(problem: &Problem) -> String {
    const KEPT: usize = 300;
    let mut message = problem.message.as_str();
    for end in ["CorrelationId:", "Value:", "Identification fields and values"] {
        message = message.split(end).next().unwrap_or_default();
    }
    let without_people = message.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
    let message: String = without_people.collect::<Vec<_>>().join(" ").chars().take(KEPT).collect();
    format!("{}: {message}", problem.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(status: u16, code: &str, message: &str) -> Option<Verdict> {
        read(status, json!({ "error": { "code": code, "message": message } }).to_string().as_bytes())
    }

    #[test]
    fn failures_are_read_by_their_code() {
        for (status, code, message, class, effect) in [
            (409, "Request_EntityChanged", "Another user has already changed the record.", ErrorClass::Transient, Effect::None),
            (400, SAME_KEY, "The record already exists.", ErrorClass::Transient, Effect::None),
            (400, "Application_DialogException", "You may not enter numbers manually.", ErrorClass::Data, Effect::None),
            (400, "Application_StringExceededLength", "The length of the string is 41.", ErrorClass::Data, Effect::None),
            (400, "BadRequest_InvalidToken", "Could not validate the client concurrency token.", ErrorClass::Bug, Effect::None),
            (401, "Authentication_InvalidCredentials", "The server has rejected the client.", ErrorClass::Auth, Effect::None),
            (400, "Authorization_RequestDenied", "Sorry, the current permissions prevented it.", ErrorClass::Auth, Effect::None),
            (404, "Internal_RecordNotFound", "The Customer does not exist.", ErrorClass::Gone, Effect::None),
            (404, "Internal_CompanyNotFound", "Cannot find company.", ErrorClass::Config, Effect::None),
            (500, "Internal_ServerError", "A deadlock occurred in SQL Server.", ErrorClass::Transient, Effect::None),
            (500, "Internal_ServerError", "An unexpected error occurred.", ErrorClass::Transient, Effect::Unknown),
        ] {
            let found = verdict(status, code, message).map(|it| (it.class, it.effect));
            assert_eq!(found, Some((class, effect)), "{status} {code} {message}");
        }
    }

    #[test]
    fn throttling_timeouts_and_pages_are_left_to_the_status_table() {
        for status in [200, 408, 429, 503, 504] {
            assert_eq!(verdict(status, "Application_TooManyRequests", "Slow down"), None, "{status}");
        }
        assert_eq!(read(500, b"<html>"), None);
        assert_eq!(read(400, b""), None);
    }

    #[test]
    fn a_message_says_what_is_wrong_and_nothing_about_a_person() {
        let message = "The length of the string is 120, but it must be less than or equal to 100 characters. \
                       Value: Kari Nordmann  CorrelationId:  11111111-2222-3333-4444-555555555555.";
        let told = verdict(400, "Application_StringExceededLength", message).unwrap().message;
        assert!(told.starts_with("Application_StringExceededLength: The length of the string is 120"), "{told}");
        assert!(!told.contains("Kari") && !told.contains("Correlation"), "{told}");
        let told = verdict(400, "Application_DialogException", "The address kari@example.no is not valid.").unwrap().message;
        assert!(!told.contains('@'), "{told}");
    }
}
