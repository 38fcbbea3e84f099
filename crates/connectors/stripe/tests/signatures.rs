//! The signature of webhooks: published vectors, and what must not be believed.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use serde_json::json;
use spindel_connect::{Connector, Incoming, Part, Proof, Receive, Secret};
use spindel_connector_stripe::Stripe;
use spindel_model::Timestamp;

const SECRET: &str = "whsec_test_secret";
const SENT: i64 = 1_795_000_000;
const BODY: &str = r#"{"id":"evt_test_webhook","object":"event","type":"payment_intent.succeeded","created":1795000000,"livemode":false,"data":{"object":{"id":"pi_1","object":"payment_intent","amount":12900,"currency":"nok"}}}"#;
const HEADER: &str = "t=1795000000,v1=53c1dcbd0316b776bdeaeca13436645f227891c3393c2060607df0024081f9af";
const HEX: &str = "53c1dcbd0316b776bdeaeca13436645f227891c3393c2060607df0024081f9af";

fn proof(secrets: &[&str], kept: &[&str]) -> Proof {
    let settings = json!({ "api_key": "rk_test_x", "webhook_secret": secrets });
    let (stripe, _) = Stripe::connect(serde_json::from_value(settings).unwrap()).unwrap();
    let kept: Vec<Secret> = kept.iter().map(|it| Secret::new(*it)).collect();
    stripe.proof(&kept)
}

fn request(headers: &[(&str, &[u8])], body: impl Into<Bytes>) -> Incoming {
    spindel_testkit::post("/in/stripe", headers, body)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn believes(proof: &Proof, header: &str, body: &'static str, now: i64) -> bool {
    proof.check(request(&[("Stripe-Signature", header.as_bytes())], body), at(now)).is_ok()
}

#[test]
fn the_published_hashes_hold() {
    let key = [Secret::new("test_secret")];
    for (input, signature) in [
        (r#"{"obj1":"hello","obj2":"world"}"#, "bebb1a643997f419b315ddba19e6f5411e1ce7f810ba6d3617ce72823092f363"),
        ("\u{1F600}", "837da296d05c4fe31f61d5d7ead035099d9585a5bcde87de952012a78f0b0c43"),
    ] {
        let proof = Proof::hmac("x-signature").secrets(&key);
        assert!(proof.check(request(&[("x-signature", signature.as_bytes())], input), at(0)).is_ok(), "{input}");
    }
    // A request without a body is refused anyway, so the hash of nothing is taken beside one.
    let of_nothing = Proof::hmac("x-signature").over(vec![Part::Text("")]).secrets(&key);
    let signature = "f7f9bd47fb987337b5796fdc1fdb9ba221d0d5396814bfcaf9521f43fd8927fd";
    assert!(of_nothing.check(request(&[("x-signature", signature.as_bytes())], "x"), at(0)).is_ok());
}

#[test]
fn the_published_signatures_hold() {
    let body = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}";
    let header = "t=1614265330,v1=af4ead0627a34a8cca29808e8de9ada8e41a92e6237c63cef6eacf51d36cca34";
    assert!(believes(&proof(&[SECRET], &[]), header, body, 1_614_265_330));
    assert!(believes(&proof(&[SECRET], &[]), HEADER, BODY, SENT));
}

#[test]
fn what_is_signed_here_is_signed_as_stripe_does() {
    let mut incoming = request(&[], BODY);
    proof(&[SECRET], &[]).sign(&mut incoming, at(SENT)).unwrap();
    assert_eq!(incoming.headers["stripe-signature"], HEADER);
}

#[test]
fn the_window_is_five_minutes_in_both_directions() {
    let proof = proof(&[SECRET], &[]);
    for (now, believed) in
        [(SENT + 300, true), (SENT - 300, true), (SENT + 301, false), (SENT - 301, false), (SENT + 86_400, false)]
    {
        assert_eq!(believes(&proof, HEADER, BODY, now), believed, "{now}");
    }
}

#[test]
fn another_time_in_the_header_breaks_the_signature() {
    assert!(!believes(&proof(&[SECRET], &[]), &HEADER.replace("1795000000", "1795000001"), BODY, SENT));
}

#[test]
fn a_wrong_secret_is_refused_and_both_hold_while_it_is_rolled() {
    assert!(!believes(&proof(&["whsec_other_secret"], &[]), HEADER, BODY, SENT));
    assert!(!believes(&proof(&["test_secret"], &[]), HEADER, BODY, SENT));
    assert!(!believes(&proof(&[], &[]), HEADER, BODY, SENT));
    assert!(believes(&proof(&["whsec_other_secret", SECRET], &[]), HEADER, BODY, SENT));
    assert!(believes(&proof(&[], &[SECRET]), HEADER, BODY, SENT), "the secret that Stripe gave at the registration");
    let other = "0".repeat(64);
    for header in [format!("t=1795000000,v1={other},v1={HEX}"), format!("t=1795000000,v1={HEX},v1={other}")] {
        assert!(believes(&proof(&[SECRET], &[]), &header, BODY, SENT), "{header}");
    }
}

#[test]
fn other_schemes_are_passed_over_and_prove_nothing() {
    let proof = proof(&[SECRET], &[]);
    assert!(believes(
        &proof,
        &format!("{HEADER},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"),
        BODY,
        SENT
    ));
    assert!(!believes(&proof, &format!("t=1795000000,v0={HEX}"), BODY, SENT));
    assert!(!believes(&proof, &format!("t=1795000000,v2={HEX}"), BODY, SENT));
}

#[test]
fn a_header_that_lacks_something_is_refused_in_every_way() {
    let proof = proof(&[SECRET], &[]);
    for header in [
        String::new(),
        format!("v1={HEX}"),
        "t=1795000000".to_owned(),
        format!("t=,v1={HEX}"),
        format!("t=soon,v1={HEX}"),
        "t=1795000000,v1=".to_owned(),
        format!("t=1795000000,v1={}", &HEX[..62]),
        format!("t=1795000000,v1={}zz", &HEX[..62]),
        HEX.to_owned(),
        format!("t=1795000000,v1={}", "a".repeat(64 * 1024)),
        format!("t=1795000000,{}", "v1=00,".repeat(20_000)),
    ] {
        assert!(!believes(&proof, &header, BODY, SENT), "{}", header.chars().take(90).collect::<String>());
    }
    assert!(proof.check(request(&[], BODY), at(SENT)).is_err(), "no header");
    let twice = [("stripe-signature", HEADER.as_bytes()), ("stripe-signature", HEADER.as_bytes())];
    assert!(proof.check(request(&twice, BODY), at(SENT)).is_err(), "two headers");
    assert!(proof.check(request(&[("stripe-signature", &[0xff, 0xfe])], BODY), at(SENT)).is_err(), "no text");
}

#[test]
fn header_names_have_no_case() {
    for name in ["stripe-signature", "STRIPE-SIGNATURE", "Stripe-signature"] {
        assert!(proof(&[SECRET], &[]).check(request(&[(name, HEADER.as_bytes())], BODY), at(SENT)).is_ok(), "{name}");
    }
}

#[test]
fn one_flipped_bit_anywhere_is_noticed() {
    let proof = proof(&[SECRET], &[]);
    for byte in 0..BODY.len() {
        let mut body = BODY.as_bytes().to_vec();
        body[byte] ^= 1;
        assert!(proof.check(request(&[("stripe-signature", HEADER.as_bytes())], body), at(SENT)).is_err(), "byte {byte}");
    }
}

#[test]
fn a_body_that_is_no_text_is_signed_and_understood_as_nothing() {
    let proof = proof(&[SECRET], &[]);
    let mut incoming = request(&[], &[0xff, 0xfe, 0x00, 0x80][..]);
    proof.sign(&mut incoming, at(SENT)).unwrap();
    let verified = proof.check(incoming, at(SENT)).unwrap();
    let (stripe, _) = Stripe::connect(serde_json::from_value(json!({ "api_key": "rk_test_x" })).unwrap()).unwrap();
    assert!(stripe.topic(&verified).is_err());
    assert!(stripe.delivery_key(&verified).is_none());
    assert!(stripe.changes(&verified).is_err());
}
