//! What Tryton refuses, and how it says so: mostly with status 200.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde_json::{Value, json};

pub(super) enum Refusal {
    /// What a person did wrong.
    User(String),
    /// "Are you sure?": its name, and what it says.
    Warning(String, String),
    Concurrency,
    /// An exception of the server itself. A bare `'name'` is a field or a model that is not there.
    Server(String),
    /// Refused before anything was looked at.
    Status(u16, &'static str),
}

pub(super) type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    pub(super) fn user(text: impl Into<String>) -> Self {
        Self::User(text.into())
    }

    pub(super) fn key(name: &str) -> Self {
        Self::Server(format!("'{name}'"))
    }

    pub(super) fn not_callable(button: &str, record: &str, model: &str) -> Self {
        Self::User(format!("You can not call \"{button}\" on \"{record}\" of \"{model}\"."))
    }

    pub(super) fn answer(self, id: &Value) -> Response {
        let error = match self {
            Self::User(text) => json!(["UserError", [text, "", null]]),
            Self::Warning(name, text) => json!(["UserWarning", [name, text, ""]]),
            Self::Concurrency => json!(["ConcurrencyException", "Records were modified in the meanwhile"]),
            Self::Server(text) => json!([text, ""]),
            Self::Status(status, text) => return page(status, text),
        };
        Json(json!({ "id": id, "error": error })).into_response()
    }
}

/// As werkzeug writes them. Who is not logged in gets no page.
fn page(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::UNAUTHORIZED && text.is_empty() {
        let mut answer = status.into_response();
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Tryton\""));
        return answer;
    }
    let name = status.canonical_reason().unwrap_or_default();
    let code = status.as_u16();
    let html = format!("<!doctype html>\n<html lang=en>\n<title>{code} {name}</title>\n<h1>{name}</h1>\n<p>{text}</p>\n");
    (status, Html(html)).into_response()
}
