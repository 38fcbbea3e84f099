//! Errors in the PIM's own words.

use serde::Deserialize;
use spindel_connect::{Reply, Verdict};
use spindel_model::ErrorClass;

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

const LONGEST: usize = 300;

/// Nothing is sent to the PIM but questions, and what these name comes from the settings.
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    let class = match reply.status {
        400 | 422 => ErrorClass::Config,
        403 => ErrorClass::Auth,
        _ => return None,
    };
    let problem: Problem = serde_json::from_slice(&reply.body).ok()?;
    let message: String = problem.message.chars().take(LONGEST).filter(|it| !it.is_control()).collect();
    Some(Verdict::new(class, format!("HTTP {}: {message}", reply.status)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(status: u16, body: &'static str) -> Option<Verdict> {
        let headers = http::HeaderMap::new();
        refine(&Reply { status, headers, body: bytes::Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn a_question_that_is_refused_is_a_matter_of_the_settings() {
        let body = r#"{"code":422,"message":"Scope \"web\" does not exist."}"#;
        let verdict = read(422, body).unwrap();
        assert_eq!(verdict.class, ErrorClass::Config);
        assert_eq!(verdict.message, r#"HTTP 422: Scope "web" does not exist."#);
        assert_eq!(read(403, r#"{"code":403,"message":"Access forbidden."}"#).unwrap().class, ErrorClass::Auth);
    }

    #[test]
    fn other_answers_are_read_as_everywhere() {
        assert!(read(200, "{}").is_none());
        assert!(read(404, r#"{"code":404,"message":"Resource `a` does not exist."}"#).is_none());
        assert!(read(403, "<html>").is_none());
    }
}
