//! The schemes against published vectors, and against whoever would forge a request.

mod address;
mod hmac;
mod in_body;
mod jws;
mod rsa;
mod vectors;

use super::*;
use crate::Secret;

fn incoming(body: &'static str, headers: &[(&str, &str)]) -> Incoming {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    Incoming {
        method: http::Method::POST,
        uri: "/in/shop".into(),
        origin: "https://hooks.example.no".into(),
        headers: map,
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new(*text)).collect()
}

#[test]
fn one_of_several_proofs_is_enough_and_none_is_not() {
    let both = || Proof::any(vec![Proof::hmac("x-sig").secrets(&secrets(&["s"])), Proof::fetch_back("token", &secrets(&["t"]))]);
    let mut signed = incoming("{}", &[]);
    Proof::hmac("x-sig").secrets(&secrets(&["s"])).sign(&mut signed, at(0)).unwrap();
    let told = both().check(signed.clone(), at(0)).unwrap();
    assert!(!told.is_nudge(), "a signed request is more than a hint");

    let hint = Incoming { uri: "/in/shop?token=t&order=7".into(), ..incoming("", &[]) };
    let told = both().check(hint, at(0)).unwrap();
    assert!(told.is_nudge());
    assert_eq!(told.query("order").as_deref(), Some("7"));

    assert_eq!(both().check(incoming("{}", &[]), at(0)).err(), Some(Unproven::SignatureMissing));
    let forged = incoming("{}", &[("x-sig", &"0".repeat(64))]);
    assert_eq!(both().check(forged, at(0)).err(), Some(Unproven::NoMatch));
    assert_eq!(Proof::any(Vec::new()).check(signed, at(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn a_parameter_of_one_proof_is_not_kept_when_another_held() {
    let both = Proof::any(vec![Proof::hmac("x-sig").secrets(&secrets(&["s"])), Proof::in_url("token", &secrets(&["t"]))]);
    let mut signed = Incoming { uri: "/in/shop?token=t&a=1".into(), ..incoming("{}", &[]) };
    Proof::hmac("x-sig").secrets(&secrets(&["s"])).sign(&mut signed, at(0)).unwrap();
    assert_eq!(both.check(signed, at(0)).unwrap().headers()[QUERY], "a=1");
}

#[test]
fn of_several_proofs_the_first_that_can_signs_and_a_proved_request_stays_as_it_is() {
    let both = Proof::any(vec![Proof::rsa(&["x-rsa"]).keys::<&str>(&[]), Proof::hmac("x-sig").secrets(&secrets(&["s"]))]);
    let mut request = incoming("{}", &[]);
    both.sign(&mut request, at(0)).unwrap();
    assert!(request.headers.contains_key("x-sig"));
    let before = request.clone();
    both.sign(&mut request, at(0)).unwrap();
    assert_eq!(before.headers, request.headers);
    assert!(matches!(both.holding(&request, at(0)), Some(Proof::Hmac(_))));
}

#[test]
fn what_spindel_says_about_a_request_is_never_taken_from_the_request() {
    let proof = Proof::hmac("x-sig").secrets(&secrets(&["s"]));
    let mut signed = incoming("{}", &[(QUERY, "a=forged"), (NUDGE, "1")]);
    proof.sign(&mut signed, at(0)).unwrap();
    let verified = proof.check(signed.clone(), at(0)).unwrap();
    assert_eq!(verified.query("a"), None);
    assert!(!verified.is_nudge());
    let unproven = proof.accept_unproven(signed).unwrap();
    assert_eq!(unproven.query("a"), None);
}

#[test]
fn a_huge_query_is_refused_whatever_is_proved() {
    let uri = format!("/in/shop?a={}", "b".repeat(5000));
    let huge = Incoming { uri, ..incoming("{}", &[]) };
    assert_eq!(Proof::InsecureUnsigned.check(huge, at(0)).err(), Some(Unproven::AddressTooLong));
}
