//! How Tryton says that something went wrong: mostly with status 200, in `error`.

use serde::Deserialize;
use serde_json::Value;
use spindel_connect::{Effect, Reply, Verdict};
use spindel_model::ErrorClass;

/// Longest part of Tryton's message that is repeated.
const KEPT_MESSAGE: usize = 300;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<Vec<Value>>,
}

/// A warning is no failure yet: whether it is accepted is for the caller to say.
pub(crate) fn read(reply: &Reply) -> Option<Verdict> {
    let class = |class, message: &str| Some(Verdict::new(class, message));
    match reply.status {
        200 => {
            let answer: Answer = serde_json::from_slice(&reply.body).ok()?;
            verdict(&answer.error?)
        }
        403 => {
            class(ErrorClass::Config, "Tryton does not offer this method: its version is too old, or a module is not activated")
        }
        404 => class(ErrorClass::Config, "there is no such database here, or the server is older than Tryton 8"),
        422 => class(ErrorClass::Bug, "Tryton cannot read the call (HTTP 422)"),
        _ => None,
    }
}

/// Whatever is reported was rolled back.
fn verdict(error: &[Value]) -> Option<Verdict> {
    let kind = error.first().and_then(Value::as_str).unwrap_or_default();
    let (class, message) = match kind {
        "UserWarning" => return None,
        "UserError" => {
            let texts = error.get(1);
            let message = texts.and_then(|it| it.get(0)).and_then(Value::as_str).unwrap_or_default();
            (of_user(message), format!("UserError: {}", first_line(message)))
        }
        "ConcurrencyException" => (ErrorClass::Transient, "ConcurrencyException: somebody changed it in the meantime".to_owned()),
        "LoginException" => (ErrorClass::Auth, "LoginException: Tryton asks for another way to log in".to_owned()),
        "RateLimitException" => (ErrorClass::RateLimited, "RateLimitException: too many attempts".to_owned()),
        other => of_server(other),
    };
    Some(Verdict { class, message, retry_after: None, effect: Effect::None })
}

fn of_user(message: &str) -> ErrorClass {
    if message.starts_with("You are not allowed to access") {
        ErrorClass::Auth
    } else if message.contains("that don't exist") || (message.contains("field \"Taxes\"") && message.contains("its domain")) {
        // What Spindel names by id without having found it comes from the settings or from [maps].
        ErrorClass::Config
    } else if message.starts_with("You can not call") {
        // It was in another state when it was read: somebody, or another attempt, came first.
        ErrorClass::Transient
    } else {
        ErrorClass::Data
    }
}

/// An exception of the server itself. A bare `'name'` is a model or a field that is not there.
fn of_server(text: &str) -> (ErrorClass, String) {
    const CONFLICTS: [&str; 5] = [
        "database is locked",
        "could not serialize access",
        "deadlock detected",
        "could not obtain lock",
        "server closed the connection",
    ];
    if CONFLICTS.iter().any(|it| text.contains(it)) {
        return (ErrorClass::Transient, first_line(text));
    }
    let name = text.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
    match name.filter(|it| it.bytes().all(|it| it.is_ascii_alphanumeric() || b"._".contains(&it))) {
        Some(name) => (
            ErrorClass::Config,
            format!("Tryton knows no `{name}`: activate the modules that the README of this connector lists"),
        ),
        None => (ErrorClass::Bug, format!("the server failed: {}", first_line(text))),
    }
}

pub(crate) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(KEPT_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refined(status: u16, body: impl ToString) -> Option<(ErrorClass, String)> {
        let reply = Reply { status, headers: Default::default(), body: body.to_string().into() };
        read(&reply).map(|it| {
            assert_eq!(it.effect, Effect::None);
            (it.class, it.message)
        })
    }

    #[test]
    fn failures_in_a_success_are_read_by_their_kind() {
        for (error, class) in [
            (json!(["UserError", ["The web ID on the sale must be unique per shop.", "", null]]), ErrorClass::Data),
            (json!(["UserError", ["You are not allowed to access \"Sale\".", "Within groups: ", null]]), ErrorClass::Auth),
            (
                json!(["UserError", ["You are trying to read records \"99\" of \"Tax\" that don't exist.", "", null]]),
                ErrorClass::Config,
            ),
            (json!(["UserError", ["You can not call \"quote\" on \"2 [#1001]\" of \"Sale\".", "", null]]), ErrorClass::Transient),
            (
                json!([
                    "UserError",
                    [
                        "The value \"99\" for field \"Taxes\" in record \"…\" of \"Sale Line\" is not valid according to its domain.",
                        "",
                        null
                    ]
                ]),
                ErrorClass::Config,
            ),
            (json!(["ConcurrencyException", "Records were modified in the meanwhile"]), ErrorClass::Transient),
            (json!(["LoginException", ["ip_address", "…", "char"]]), ErrorClass::Auth),
            (json!(["RateLimitException"]), ErrorClass::RateLimited),
            (json!(["database is locked", "Traceback: /srv/tryton"]), ErrorClass::Transient),
            (json!(["could not serialize access due to concurrent update\n", ""]), ErrorClass::Transient),
            (json!(["'web_shop'", ""]), ErrorClass::Config),
            (json!(["unsupported operand type(s)", "Traceback: kari@example.no"]), ErrorClass::Bug),
            (json!([]), ErrorClass::Bug),
        ] {
            assert_eq!(refined(200, json!({ "id": 1, "error": error })).map(|it| it.0), Some(class), "{error}");
        }
    }

    #[test]
    fn a_message_is_its_first_line_and_never_the_traceback() {
        let body = json!({ "id": 1, "error": ["a\nSELECT secret", "Traceback: kari@example.no"] });
        assert_eq!(refined(200, body).unwrap().1, "the server failed: a");
        let body = json!({ "id": 1, "error": ["UserError", ["Not so.\nMore", "Kari", null]] });
        assert_eq!(refined(200, body).unwrap().1, "UserError: Not so.");
    }

    #[test]
    fn a_result_and_a_warning_are_no_failures() {
        for body in [json!({ "id": 1, "result": null }), json!({ "id": 1, "error": ["UserWarning", ["a.b", "Sure?", ""]] })] {
            assert_eq!(refined(200, body), None);
        }
        assert_eq!(refined(200, "<html>"), None);
    }

    #[test]
    fn statuses_of_tryton_are_read_and_others_left_to_the_table() {
        for (status, class) in [(403, ErrorClass::Config), (404, ErrorClass::Config), (422, ErrorClass::Bug)] {
            assert_eq!(refined(status, "<html>").map(|it| it.0), Some(class), "{status}");
        }
        for status in [401, 429, 500, 503, 504] {
            assert_eq!(refined(status, "<html>"), None, "{status}");
        }
    }
}
