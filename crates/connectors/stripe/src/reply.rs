//! How Stripe's errors deviate from the common status table.

use serde::Deserialize;
use spindel_connect::{Effect, Reply, Verdict, retry_after};
use spindel_model::{ErrorClass, Timestamp};
use std::time::Duration;

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

const LONGEST_MESSAGE: usize = 300;

/// <https://docs.stripe.com/api/errors>
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    if reply.status < 400 {
        return None;
    }
    let problem = reply.json::<Envelope>().ok()?.error;
    let (kind, code) = (problem.kind.as_deref().unwrap_or_default(), problem.code.as_deref().unwrap_or_default());
    Some(match (reply.status, kind, code) {
        // Its message repeats a part of the key.
        (401, ..) => Verdict::new(ErrorClass::Auth, "Stripe refuses the API key (HTTP 401): set `api_key` anew"),
        (403, ..) => Verdict::new(
            ErrorClass::Auth,
            "the API key may not do this (HTTP 403): give the restricted key the rights that the README lists",
        ),
        (429, _, "lock_timeout") => waiting(ErrorClass::Transient, "the object is in use at Stripe (lock_timeout)"),
        (429, ..) => rate_limited(reply),
        (409, _, "idempotency_key_in_use") => {
            waiting(ErrorClass::Transient, "the same request is still being worked on at Stripe (idempotency_key_in_use)")
        }
        (_, "idempotency_error", _) => Verdict::new(
            ErrorClass::Data,
            "Stripe had another request under this key (idempotency_error): the action changed since it was first tried",
        ),
        // The failed call found the payment in another state than the one just read: looking again tells which.
        (400, _, "payment_intent_unexpected_state") => waiting(ErrorClass::Transient, &problem.text(reply)),
        (400, _, "resource_missing") => Verdict::new(ErrorClass::Gone, problem.text(reply)),
        (424, ..) => unknown_effect(problem.text(reply)),
        (400 | 402 | 404 | 422, ..) if reply.header("stripe-should-retry") == Some("true") => {
            waiting(ErrorClass::Transient, &problem.text(reply))
        }
        (404, ..) => Verdict::new(ErrorClass::Gone, problem.text(reply)),
        (400 | 402 | 422, ..) => Verdict::new(ErrorClass::Data, problem.text(reply)),
        _ => return None,
    })
}

fn waiting(class: ErrorClass, message: &str) -> Verdict {
    Verdict::new(class, message).after(Duration::from_secs(1))
}

fn unknown_effect(message: String) -> Verdict {
    let mut verdict = Verdict::new(ErrorClass::Transient, message);
    verdict.effect = Effect::Unknown;
    verdict
}

fn rate_limited(reply: &Reply) -> Verdict {
    let reason = reply.header("stripe-rate-limited-reason").unwrap_or("no reason given");
    let message = format!("Stripe's rate limit (HTTP 429, {reason})");
    let mut verdict = Verdict::new(ErrorClass::RateLimited, message);
    // Stripe gives seconds, if anything; the present is only needed to read a date.
    verdict.retry_after = retry_after(reply, Timestamp::UNIX_EPOCH).filter(|it| it.as_secs() < 86_400);
    verdict
}

impl Problem {
    fn text(&self, reply: &Reply) -> String {
        let codes: Vec<&str> = [&self.code, &self.decline_code].into_iter().flatten().map(String::as_str).collect();
        let codes = if codes.is_empty() { self.kind.as_deref().unwrap_or("error").to_owned() } else { codes.join(", ") };
        let message: String = self.message.as_deref().unwrap_or("no message").chars().take(LONGEST_MESSAGE).collect();
        let again = match reply.header("idempotent-replayed") {
            Some("true") => "; it is Stripe's first answer, which it repeats to this delivery for 24 hours",
            _ => "",
        };
        format!("{message} ({codes}, HTTP {}{again})", reply.status)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Verdict> {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        refine(&Reply { status, headers: map, body: body.to_owned().into() })
    }

    fn error(status: u16, kind: &str, code: &str) -> Verdict {
        let body = format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"m"}}}}"#);
        read(status, &[], &body).unwrap()
    }

    #[test]
    fn every_documented_error_has_its_class() {
        for (status, kind, code, class) in [
            (400, "invalid_request_error", "amount_too_large", ErrorClass::Data),
            (400, "invalid_request_error", "charge_already_refunded", ErrorClass::Data),
            (400, "invalid_request_error", "payment_intent_unexpected_state", ErrorClass::Transient),
            (400, "idempotency_error", "", ErrorClass::Data),
            (401, "invalid_request_error", "", ErrorClass::Auth),
            (402, "card_error", "card_declined", ErrorClass::Data),
            (403, "invalid_request_error", "", ErrorClass::Auth),
            (404, "invalid_request_error", "resource_missing", ErrorClass::Gone),
            (409, "idempotency_error", "idempotency_key_in_use", ErrorClass::Transient),
            (424, "api_error", "", ErrorClass::Transient),
            (429, "invalid_request_error", "lock_timeout", ErrorClass::Transient),
            (429, "rate_limit_error", "rate_limit", ErrorClass::RateLimited),
        ] {
            assert_eq!(error(status, kind, code).class, class, "{status} {kind} {code}");
        }
        assert_eq!(error(424, "api_error", "").effect, Effect::Unknown);
    }

    #[test]
    fn a_key_is_never_repeated() {
        let body = r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_abcdef"}}"#;
        assert!(!read(401, &[], body).unwrap().message.contains("sk_test"));
    }

    #[test]
    fn what_is_no_error_of_stripe_is_left_to_the_common_table() {
        assert_eq!(read(502, &[], "<html>"), None);
        assert_eq!(read(500, &[], r#"{"error":{"type":"api_error"}}"#), None);
        assert_eq!(read(200, &[], r#"{"error":{"type":"api_error"}}"#), None);
    }

    #[test]
    fn a_repeated_answer_and_the_reason_of_a_limit_are_told() {
        let declined = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"lost_card","message":"No."}}"#;
        let told = read(402, &[("idempotent-replayed", "true")], declined).unwrap();
        assert!(told.message.starts_with("No. (card_declined, lost_card, HTTP 402; it is Stripe's first answer"), "{told:?}");
        let limited = r#"{"error":{"type":"rate_limit_error"}}"#;
        let headers = [("stripe-rate-limited-reason", "endpoint-rate"), ("retry-after", "3")];
        let told = read(429, &headers, limited).unwrap();
        assert!(told.message.contains("endpoint-rate"), "{told:?}");
        assert_eq!(told.retry_after, Some(Duration::from_secs(3)));
    }
}
