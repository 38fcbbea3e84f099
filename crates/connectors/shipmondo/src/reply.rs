//! What Shipmondo's replies say beyond their status: refusals come as `{"error": "…"}`.

use crate::wire;
use spindel_connect::{Reply, Verdict};
use spindel_model::ErrorClass;

pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    if !matches!(reply.status, 400 | 422) {
        return None;
    }
    let refused: wire::Refused = reply.json().ok()?;
    Some(Verdict::new(ErrorClass::Data, format!("Shipmondo refuses it: {}", words(&refused.error))))
}

/// The message as far as it is Shipmondo's own words: without values in quotes, numbers and addresses.
fn words(message: &str) -> String {
    let mut told = Vec::new();
    for word in message.split_whitespace().take(30) {
        let value = word.contains(|it: char| it.is_ascii_digit() || matches!(it, '@' | '"' | '“' | '`' | '='));
        told.push(if value { "…" } else { word });
    }
    told.dedup();
    told.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &'static str) -> Reply {
        Reply { status, headers: http::HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn a_refusal_is_told_in_words_without_values() {
        let verdict = refine(&reply(422, r#"{"error":"Invalid email kari@example.dk for receiver 4512345678"}"#)).unwrap();
        assert_eq!(verdict.message, "Shipmondo refuses it: Invalid email … for receiver …");
        assert_eq!(verdict.class, ErrorClass::Data);
    }

    #[test]
    fn other_replies_are_read_by_their_status() {
        assert_eq!(refine(&reply(401, r#"{"error":"Invalid API User or API Key"}"#)), None);
        assert_eq!(refine(&reply(422, "<html>")), None);
        assert_eq!(refine(&reply(200, r#"{"error":"no"}"#)), None);
    }
}
