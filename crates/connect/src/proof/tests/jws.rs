//! Bodies that are wrapped in a signed token.

use super::*;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

fn token(header: &str, payload: &str, key: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let signature = Hmac::new(String::new()).with_keys(&secrets(&[key])).signature(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(&signature))
}

fn wrapped(token: &str) -> Incoming {
    Incoming { body: format!(r#"{{"data":"{token}"}}"#).into(), ..incoming("", &[]) }
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const PAYLOAD: &str = r#"{"data":{"id":7,"amount":"10.10"}}"#;

#[test]
fn a_token_from_elsewhere_is_believed_and_its_payload_is_the_body() {
    // A widely used example token: HS256 with the text `your-256-bit-secret`.
    let known = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    let proof = Proof::jws("/data", &secrets(&["your-256-bit-secret"]));
    let verified = proof.check(wrapped(known), at(0)).unwrap();
    assert_eq!(verified.body(), r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#);
}

#[test]
fn every_current_secret_is_accepted_and_no_other() {
    let old = wrapped(&token(HEADER, PAYLOAD, "old"));
    assert_eq!(Proof::jws("/data", &secrets(&["new", "old"])).check(old.clone(), at(0)).unwrap().body(), PAYLOAD);
    for none in [&["new"][..], &[""], &[]] {
        assert_eq!(Proof::jws("/data", &secrets(none)).check(old.clone(), at(0)).err(), Some(Unproven::NoMatch));
    }
    let empty = wrapped(&token(HEADER, PAYLOAD, ""));
    assert_eq!(Proof::jws("/data", &secrets(&[""])).check(empty, at(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn the_algorithm_is_not_the_sender_s_to_choose() {
    let proof = Proof::jws("/data", &secrets(&["s"]));
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","b64":false}"#,
    ] {
        let request = wrapped(&token(header, PAYLOAD, "s"));
        assert_eq!(proof.check(request, at(0)).err(), Some(Unproven::OtherAlgorithm), "{header}");
    }
    for header in ["", "{}", r#"{"alg":"HS256","alg":"none"}"#, r#"{"alg":["HS256"]}"#] {
        let request = wrapped(&token(header, PAYLOAD, "s"));
        assert_eq!(proof.check(request, at(0)).err(), Some(Unproven::SignatureMalformed), "{header}");
    }
    let unsigned = token(r#"{"alg":"none"}"#, PAYLOAD, "s");
    let (bare, _) = unsigned.rsplit_once('.').unwrap();
    assert!(proof.check(wrapped(&format!("{bare}.")), at(0)).is_err());
}

#[test]
fn a_token_that_was_touched_is_refused() {
    let proof = Proof::jws("/data", &secrets(&["s"]));
    let whole = token(HEADER, PAYLOAD, "s");
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    for altered in [
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", &signature[..20]),
        format!("{signed}.{signature}="),
        format!("{signed}.{signature}.x"),
        format!("{signed}A.{signature}"),
        String::new(),
        "..".to_owned(),
    ] {
        assert!(proof.check(wrapped(&altered), at(0)).is_err(), "{altered}");
    }
    for at_byte in 0..signed.len() {
        let mut bytes = whole.clone().into_bytes();
        bytes[at_byte] = if bytes[at_byte] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        if altered != whole {
            assert!(proof.check(wrapped(&altered), at(0)).is_err(), "{altered}");
        }
    }
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let proof = Proof::jws("/data", &secrets(&["s"]));
    for body in ["{}", r#"{"data":7}"#, r#"{"data":{"id":7}}"#, "[]", "data", "\u{1F600}"] {
        assert_eq!(proof.check(incoming(body, &[]), at(0)).err(), Some(Unproven::BodyMalformed), "{body}");
    }
    assert_eq!(proof.check(incoming("", &[]), at(0)).err(), Some(Unproven::EmptyBody));
    let no_text = Incoming { body: Bytes::from_static(&[0xc3, 0x28, 0xff]), ..incoming("", &[]) };
    assert_eq!(proof.check(no_text, at(0)).err(), Some(Unproven::BodyMalformed));
}

#[test]
fn a_token_says_until_when_it_holds() {
    let proof = Proof::jws("/data", &secrets(&["s"]));
    let why = |payload: &str, now| proof.check(wrapped(&token(HEADER, payload, "s")), at(now)).err();
    assert_eq!(why(r#"{"exp":1000}"#, 1300), None);
    assert_eq!(why(r#"{"exp":1000}"#, 1301), Some(Unproven::TooOld));
    assert_eq!(why(r#"{"nbf":1000}"#, 699), Some(Unproven::TooNew));
    assert_eq!(why(r#"{"exp":"soon"}"#, 0), Some(Unproven::TimestampMalformed));
}

#[test]
fn a_payload_is_wrapped_for_a_test() {
    let proof = Proof::jws("/data", &secrets(&["s"]));
    let mut request = incoming(PAYLOAD, &[]);
    proof.sign(&mut request, at(0)).unwrap();
    assert_eq!(proof.check(request.clone(), at(0)).unwrap().body(), PAYLOAD);
    let before = request.clone();
    proof.sign(&mut request, at(0)).unwrap();
    assert_eq!(before.body, request.body);
}
