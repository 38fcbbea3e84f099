//! Secrets in the address.

use super::*;

fn called(uri: &str, body: &'static str) -> Incoming {
    Incoming { uri: uri.into(), ..incoming(body, &[]) }
}

#[test]
fn the_secret_is_not_kept_and_the_rest_of_the_query_is() {
    let proof = Proof::in_url("token", &secrets(&["new&", "old"]));
    let verified = proof.check(called("/in/shop?a=1&token=new%26&b=%C3%A5", "{}"), at(0)).unwrap();
    assert_eq!(verified.headers()[QUERY], "a=1&b=%C3%A5");
    assert_eq!(verified.query("b").as_deref(), Some("\u{e5}"));
    assert_eq!(verified.query("token"), None);
    let alone = proof.check(called("/in/shop?token=old", "{}"), at(0)).unwrap();
    assert!(!alone.headers().contains_key(QUERY));
    assert!(!alone.is_nudge());
}

#[test]
fn an_address_without_the_right_secret_once_is_refused() {
    let proof = Proof::in_url("token", &secrets(&["s3cret"]));
    for (uri, why) in [
        ("/in/shop", Unproven::TokenMissing),
        ("/in/shop?", Unproven::TokenMissing),
        ("/in/shop?Token=s3cret", Unproven::TokenMissing),
        ("/in/shop?token", Unproven::NoMatch),
        ("/in/shop?token=", Unproven::NoMatch),
        ("/in/shop?token=s3cre", Unproven::NoMatch),
        ("/in/shop?token=s3cret1", Unproven::NoMatch),
        ("/in/shop?token=S3cret", Unproven::NoMatch),
        ("/in/shop?token=s3cret&token=s3cret", Unproven::TokenDoubled),
        ("/in/shop?token=x&%74oken=s3cret", Unproven::TokenDoubled),
    ] {
        assert_eq!(proof.check(called(uri, "{}"), at(0)).err(), Some(why), "{uri}");
    }
    assert_eq!(proof.check(called("/in/shop?token=s3cret", ""), at(0)).err(), Some(Unproven::EmptyBody));
    let empty = Proof::in_url("token", &secrets(&[""]));
    assert_eq!(empty.check(called("/in/shop?token=", "{}"), at(0)).err(), Some(Unproven::NoMatch));
    assert_eq!(Proof::in_url("token", &[]).check(called("/in/shop?token=", "{}"), at(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn who_signs_nothing_may_send_an_empty_body_and_is_only_a_hint() {
    let proof = Proof::fetch_back("token", &secrets(&["s3cret"]));
    let verified = proof.check(called("/in/pay?order=7&token=s3cret", ""), at(0)).unwrap();
    assert!(verified.is_nudge());
    assert_eq!(verified.query("order").as_deref(), Some("7"));
    assert_eq!(proof.check(called("/in/pay?order=7", ""), at(0)).err(), Some(Unproven::TokenMissing));
}

#[test]
fn a_test_request_gets_the_secret_once() {
    let proof = Proof::in_url("to ken", &secrets(&["a b&c"]));
    let mut request = called("/in/shop?a=1&to+ken=old", "{}");
    proof.sign(&mut request, at(0)).unwrap();
    assert_eq!(request.uri, "/in/shop?a=1&to+ken=a+b%26c");
    assert!(proof.check(request, at(0)).is_ok());
    let none = Proof::in_url("token", &[]).sign(&mut called("/", "{}"), at(0));
    assert_eq!(none.err(), Some(Unproven::NoMatch));
}

#[test]
fn where_nothing_is_asked_for_the_secret_is_still_not_kept() {
    let proof = Proof::fetch_back("token", &secrets(&["s3cret"]));
    let accepted = proof.accept_unproven(called("/in/pay?order=7&token=other", "")).unwrap();
    assert_eq!(accepted.headers()[QUERY], "order=7");
    assert!(accepted.is_nudge());
}
