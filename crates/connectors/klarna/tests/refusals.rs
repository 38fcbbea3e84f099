//! How Klarna's refusals are read: by their code, and never with what was sent.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::HeaderMap;
use spindel_connect::{Connector as _, Reply, Verdict};
use spindel_connector_klarna::Klarna;
use spindel_model::ErrorClass;

fn refine(status: u16, body: &str) -> Option<Verdict> {
    Klarna::refine(&Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) })
}

fn refusal(code: &str) -> String {
    format!(r#"{{"correlation_id":"c-1","error_code":"{code}","error_messages":["kari@example.no is no address"]}}"#)
}

#[test]
fn every_code_has_its_reading_whatever_its_status_alone_would_mean() {
    for (status, code, class) in [
        (400, "BAD_VALUE", ErrorClass::Data),
        (400, "NOT_FOUND", ErrorClass::Gone),
        (401, "UNAUTHORIZED", ErrorClass::Auth),
        (403, "CAPTURE_NOT_ALLOWED", ErrorClass::Data),
        (403, "REFUND_NOT_ALLOWED", ErrorClass::Data),
        (403, "CANCEL_NOT_ALLOWED", ErrorClass::Data),
        (403, "NOT_ALLOWED", ErrorClass::Data),
        (403, "OPERATION_FORBIDDEN", ErrorClass::Auth),
        (404, "NO_SUCH_ORDER", ErrorClass::Gone),
        (404, "NO_SUCH_CAPTURE", ErrorClass::Gone),
        (413, "REQUEST_TOO_LARGE", ErrorClass::Data),
        (422, "INVALID_ADDRESS", ErrorClass::Data),
    ] {
        let verdict = refine(status, &refusal(code)).unwrap();
        assert_eq!(verdict.class, class, "{status} {code}");
        assert!(verdict.message.contains(code) && verdict.message.contains("c-1"), "{}", verdict.message);
    }
}

#[test]
fn without_a_code_a_403_is_about_the_credentials() {
    for body in ["", "<html></html>"] {
        let verdict = refine(403, body).unwrap();
        assert_eq!(verdict.class, ErrorClass::Auth);
        assert!(verdict.message.contains("`region`"), "{}", verdict.message);
    }
}

#[test]
fn what_may_be_tried_again_is_left_to_the_shared_table() {
    for (status, code) in [
        (201, "NONE"),
        (409, "CONFLICT"),
        (429, "TOO_MANY_REQUESTS"),
        (500, "INTERNAL_SERVER_ERROR"),
        (503, "TEMPORARILY_UNAVAILABLE"),
    ] {
        assert_eq!(refine(status, &refusal(code)), None, "{status}");
    }
}

#[test]
fn a_refusal_never_repeats_what_was_sent() {
    for code in ["BAD_VALUE", "kari@example.no", "SOMETHING_NEW"] {
        let message = refine(400, &refusal(code)).unwrap().message;
        assert!(!message.contains("kari"), "{message}");
    }
}
