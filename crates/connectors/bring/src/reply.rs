//! What Bring's replies say beyond their status: refusals name a code each.

use crate::wire;
use spindel_connect::{CallError, Effect, Reply, Verdict};
use spindel_model::ErrorClass;

/// A refusal in the form of a booking's answer; everything else is read by its status.
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    if !matches!(reply.status, 400 | 422 | 500) {
        return None;
    }
    let answer: wire::Booked = reply.json().ok()?;
    let errors = answer.consignments.iter().flat_map(|it| it.errors.iter().flatten());
    let (class, message, effect) = read(errors)?;
    Some(Verdict { class, message, retry_after: None, effect })
}

/// Bring refuses with status 200 as well.
pub(crate) fn refused(operation: &'static str, errors: &[wire::BookingError]) -> Result<(), CallError> {
    match read(errors.iter()) {
        None => Ok(()),
        Some((class, message, effect)) => Err(CallError { operation, class, message, retry_after: None, effect }),
    }
}

fn read<'a>(errors: impl Iterator<Item = &'a wire::BookingError>) -> Option<(ErrorClass, String, Effect)> {
    const SHOWN: usize = 5;
    let errors: Vec<_> = errors.collect();
    let (class, effect) = if errors.is_empty() {
        return None;
    } else if errors.iter().any(|it| it.code.contains("INTERNAL")) {
        // Not refused but failed, and who knows how far it came.
        (ErrorClass::Transient, Effect::Unknown)
    } else if errors.iter().any(|it| it.code.contains("AUTHORIZATION")) {
        (ErrorClass::Auth, Effect::None)
    } else {
        (ErrorClass::Data, Effect::None)
    };
    let told: Vec<String> = errors.iter().take(SHOWN).map(|it| format!("{} {}", plain(&it.code), it.words())).collect();
    Some((class, told.join("; ").trim().to_owned(), effect))
}

/// A code without anything that is not one.
fn plain(code: &str) -> String {
    code.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_')).take(60).collect()
}

impl wire::BookingError {
    /// The English message, up to where Bring appends the value that it did not like.
    fn words(&self) -> String {
        let message = self.messages.iter().find(|it| it.lang.as_deref() == Some("en")).or(self.messages.first());
        let text = message.map_or("", |it| it.message.as_str());
        let end = text.find([':', '"', '\'', '@', '(', '[']).unwrap_or(text.len());
        let words = text[..end].split_whitespace().take_while(|word| !word.contains(|it: char| it.is_ascii_digit()));
        words.take(25).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, body: &serde_json::Value) -> Reply {
        Reply { status, headers: http::HeaderMap::new(), body: body.to_string().into() }
    }

    fn refusal(code: &str, message: &str) -> serde_json::Value {
        let error = json!({ "uniqueId": "u", "code": code, "messages": [{ "lang": "en", "message": message }] });
        json!({ "consignments": [{ "confirmation": null, "errors": [error], "correlationId": null }] })
    }

    #[test]
    fn a_refusal_is_told_by_code_and_words_without_the_value() {
        let verdict = refine(&reply(400, &refusal("BOOK_INPUT-057", "Invalid postal Code: 0999 kari@example.no"))).unwrap();
        assert_eq!((verdict.class, verdict.message.as_str()), (ErrorClass::Data, "BOOK_INPUT-057 Invalid postal Code"));
        assert_eq!(verdict.effect, Effect::None);
    }

    #[test]
    fn an_inner_error_of_bring_leaves_open_whether_it_booked() {
        let verdict = refine(&reply(500, &refusal("BOOK-INTERNAL-001", "An unexpected error occurred"))).unwrap();
        assert_eq!((verdict.class, verdict.effect), (ErrorClass::Transient, Effect::Unknown));
        let verdict = refine(&reply(400, &refusal("BOOK-AUTHORIZATION-001", "not authorized"))).unwrap();
        assert_eq!(verdict.class, ErrorClass::Auth);
    }

    #[test]
    fn other_replies_are_read_by_their_status() {
        assert_eq!(refine(&reply(400, &json!({ "message": "no" }))), None);
        assert_eq!(refine(&reply(200, &refusal("BOOK-INPUT-001", "Bad request"))), None);
        assert_eq!(refine(&reply(429, &json!({}))), None);
    }
}
