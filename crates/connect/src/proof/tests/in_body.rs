//! Secrets in the body.

use super::*;

const POINTERS: &[&str] = &["/value/*/clientState"];

fn check(texts: &[&str], body: &'static str) -> Result<Verified, Unproven> {
    Proof::in_body(POINTERS, &secrets(texts)).check(incoming(body, &[]), at(0))
}

#[test]
fn every_notification_must_hold_the_secret_and_it_is_not_kept() {
    let verified = check(&["new", "old"], r#"{"value":[{"clientState":"old","id":1.10},{"clientState":"new","note":"new"}]}"#);
    let kept = r#"{"value":[{"clientState":"withheld","id":1.10},{"clientState":"withheld","note":"withheld"}]}"#;
    assert_eq!(verified.unwrap().body(), kept);
}

#[test]
fn one_notification_without_it_is_enough_to_refuse_them_all() {
    for (body, why) in [
        (r#"{"value":[{"clientState":"s"},{"clientState":"x"}]}"#, Unproven::NoMatch),
        (r#"{"value":[{"clientState":"x"},{"clientState":"s"}]}"#, Unproven::NoMatch),
        (r#"{"value":[{"clientState":"s"},{}]}"#, Unproven::TokenMissing),
        (r#"{"value":[{"clientState":["s"]}]}"#, Unproven::TokenMissing),
        (r#"{"value":[{"clientState":""}]}"#, Unproven::NoMatch),
        (r#"{"value":[]}"#, Unproven::TokenMissing),
        (r#"{"value":{"clientState":"s"}}"#, Unproven::BodyMalformed),
        (r#"{}"#, Unproven::TokenMissing),
        ("[", Unproven::BodyMalformed),
        ("", Unproven::EmptyBody),
    ] {
        assert_eq!(check(&["s"], body).err(), Some(why), "{body}");
    }
    assert_eq!(check(&[""], r#"{"value":[{"clientState":""}]}"#).err(), Some(Unproven::NoMatch));
    assert_eq!(check(&[], r#"{"value":[{"clientState":"s"}]}"#).err(), Some(Unproven::NoMatch));
}

#[test]
fn a_test_request_gets_the_secret_into_every_notification() {
    let proof = Proof::in_body(POINTERS, &secrets(&["s"]));
    let mut request = incoming(r#"{"value":[{"clientState":"other"},{"id":2}]}"#, &[]);
    proof.sign(&mut request, at(0)).unwrap();
    assert!(proof.check(request, at(0)).is_ok());
}
