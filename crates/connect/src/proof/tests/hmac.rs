//! HMAC: what may differ, what may not, and when.

use super::*;

#[test]
fn published_standard_webhooks_vectors_hold() {
    for (secret, id, timestamp, body, signature) in [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ] {
        let proof = Proof::standard_webhooks(&secrets(&[secret]));
        let now = at(timestamp.parse().unwrap());
        let headers = |signature| [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        assert!(proof.check(incoming(body, &headers(signature)), now).is_ok());
        let among_others = format!("v1,AAAA v1a,zzz {signature} v2,abc");
        assert!(proof.check(incoming(body, &headers(&among_others)), now).is_ok());
        let other_version = signature.replace("v1,", "v2,");
        assert_eq!(proof.check(incoming(body, &headers(&other_version)), now).err(), Some(Unproven::SignatureMalformed));

        let mut signed = incoming(body, &[("webhook-id", id)]);
        proof.sign(&mut signed, now).unwrap();
        assert_eq!(signed.headers["webhook-signature"], signature);
    }
}

#[test]
fn the_window_is_closed_on_both_sides() {
    let proof = Proof::standard_webhooks(&secrets(&["c2VjcmV0LW9mLXRoZS10ZXN0"]));
    let mut signed = incoming("{}", &[("webhook-id", "m")]);
    proof.sign(&mut signed, at(1_000_000)).unwrap();
    assert!(proof.check(signed.clone(), at(1_000_300)).is_ok());
    assert!(proof.check(signed.clone(), at(999_700)).is_ok());
    assert_eq!(proof.check(signed.clone(), at(1_000_301)).err(), Some(Unproven::TooOld));
    assert_eq!(proof.check(signed, at(999_699)).err(), Some(Unproven::TooNew));
}

#[test]
fn every_current_secret_is_accepted_and_no_other() {
    let old = Proof::hmac("x-sig").base64().secrets(&secrets(&["old"]));
    let both = Proof::hmac("x-sig").base64().secrets(&secrets(&["new", "old"]));
    let new = Proof::hmac("x-sig").base64().secrets(&secrets(&["new"]));
    let mut signed = incoming("{}", &[]);
    old.sign(&mut signed, at(0)).unwrap();
    assert!(both.check(signed.clone(), at(0)).is_ok());
    assert_eq!(new.check(signed, at(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn an_empty_secret_proves_nothing() {
    let proof = Proof::hmac("x-sig").secrets(&secrets(&[""]));
    let mut signed = incoming("{}", &[]);
    proof.sign(&mut signed, at(0)).unwrap();
    assert_eq!(proof.check(signed, at(0)).err(), Some(Unproven::NoMatch));
    let token = Proof::SharedToken { header: "x-token".into(), tokens: secrets(&[""]) };
    assert!(token.check(incoming("{}", &[("x-token", "")]), at(0)).is_err());
}

#[test]
fn malformed_doubled_and_truncated_signatures_are_refused() {
    let proof = Proof::hmac("x-sig").secrets(&secrets(&["s"]));
    let mut signed = incoming("{}", &[]);
    proof.sign(&mut signed, at(0)).unwrap();
    let right = signed.headers["x-sig"].to_str().unwrap().to_owned();
    for (value, reason) in
        [("", Unproven::SignatureMalformed), ("zz", Unproven::SignatureMalformed), (&right[..62], Unproven::SignatureMalformed)]
    {
        assert_eq!(proof.check(incoming("{}", &[("x-sig", value)]), at(0)).err(), Some(reason), "{value}");
    }
    assert_eq!(proof.check(incoming("{}", &[]), at(0)).err(), Some(Unproven::SignatureMissing));
    let doubled = incoming("{}", &[("x-sig", &right), ("x-sig", &right)]);
    assert_eq!(proof.check(doubled, at(0)).err(), Some(Unproven::HeaderDoubled));
    assert_eq!(proof.check(incoming("", &[("x-sig", &right)]), at(0)).err(), Some(Unproven::EmptyBody));
}

#[test]
fn a_prefix_belongs_to_the_signature() {
    let proof = Proof::hmac("x-hub-signature-256").prefix("sha256=").secrets(&secrets(&["s"]));
    let mut signed = incoming("{}", &[]);
    proof.sign(&mut signed, at(0)).unwrap();
    assert!(signed.headers["x-hub-signature-256"].to_str().unwrap().starts_with("sha256="));
    assert!(proof.check(signed, at(0)).is_ok());
}

proptest::proptest! {
    #[test]
    fn one_flipped_bit_anywhere_is_noticed(body in proptest::collection::vec(proptest::num::u8::ANY, 1..200), at_byte in 0usize..200, bit in 0u8..8) {
        let proof = Proof::hmac("x-sig").base64().secrets(&secrets(&["s"]));
        let mut signed = incoming("", &[]);
        signed.body = Bytes::from(body.clone());
        proof.sign(&mut signed, at(0)).unwrap();
        proptest::prop_assert!(proof.check(signed.clone(), at(0)).is_ok());
        let mut flipped = body;
        let index = at_byte % flipped.len();
        flipped[index] ^= 1 << bit;
        signed.body = Bytes::from(flipped);
        proptest::prop_assert_eq!(proof.check(signed, at(0)).err(), Some(Unproven::NoMatch));
    }
}

#[test]
fn the_whole_address_is_signed_as_the_sender_knows_it() {
    let proof = |parts| Proof::hmac("x-sig").base64().over(parts).fresh_by_millis("x-time", Duration::from_secs(300));
    let parts = vec![Part::Method, Part::Url, Part::Body, Part::Timestamp];
    let proof = proof(parts).secrets(&secrets(&["s"]));
    let mut signed = Incoming { uri: "/in/crm?portal=1".into(), ..incoming("{}", &[]) };
    proof.sign(&mut signed, at(1_795_000_000)).unwrap();
    assert_eq!(signed.headers["x-time"], "1795000000000");
    assert!(proof.check(signed.clone(), at(1_795_000_000)).is_ok());
    for altered in [
        Incoming { uri: "/in/crm?portal=2".into(), ..signed.clone() },
        Incoming { origin: "https://other.example.no".into(), ..signed.clone() },
        Incoming { method: http::Method::PUT, ..signed.clone() },
    ] {
        assert_eq!(proof.check(altered, at(1_795_000_000)).err(), Some(Unproven::NoMatch));
    }
    assert_eq!(proof.check(signed.clone(), at(1_795_000_301)).err(), Some(Unproven::TooOld));
    assert_eq!(proof.check(signed, at(1_794_999_699)).err(), Some(Unproven::TooNew));
}

#[test]
fn the_host_goes_without_its_usual_port() {
    let proof = |origin: &str| {
        let mut signed = Incoming { origin: origin.into(), ..incoming("{}", &[]) };
        let proof = Proof::hmac("x-sig").over(vec![Part::Host]).secrets(&secrets(&["s"]));
        proof.sign(&mut signed, at(0)).unwrap();
        signed.headers["x-sig"].clone()
    };
    assert_eq!(proof("https://a.example"), proof("https://a.example:443"));
    assert_eq!(proof("http://a.example"), proof("http://a.example:80"));
    assert_ne!(proof("https://a.example"), proof("https://a.example:8443"));
    assert_ne!(proof("https://a.example"), proof("https://a.example:80"));
}

#[test]
fn a_time_that_is_no_plain_number_is_refused() {
    let proof = Proof::hmac("x-sig").fresh_by("x-time", Duration::from_secs(300)).secrets(&secrets(&["s"]));
    for time in ["", "+5", "-5", "5.0", "5 ", "0x5", "99999999999999999999", "Thu, 01 Jan 1970 00:00:05 GMT"] {
        let request = incoming("{}", &[("x-sig", &"0".repeat(64)), ("x-time", time)]);
        assert_eq!(proof.check(request, at(5)).err(), Some(Unproven::TimestampMalformed), "{time}");
    }
    let missing = incoming("{}", &[("x-sig", &"0".repeat(64))]);
    assert_eq!(proof.check(missing, at(5)).err(), Some(Unproven::SignedHeaderMissing));
    let doubled = incoming("{}", &[("x-sig", &"0".repeat(64)), ("x-time", "5"), ("x-time", "5")]);
    assert_eq!(proof.check(doubled, at(5)).err(), Some(Unproven::HeaderDoubled));
}

#[test]
fn labels_are_read_strictly() {
    let proof = Proof::hmac("x-sig").labelled("t", "v1", Duration::from_secs(300)).secrets(&secrets(&["new", "old"]));
    let mut signed = incoming("{}", &[]);
    proof.sign(&mut signed, at(1000)).unwrap();
    let right = signed.headers["x-sig"].to_str().unwrap().to_owned();
    assert_eq!(right.matches("v1=").count(), 2, "one signature for each current secret");
    let check = |value: &str, now| proof.check(incoming("{}", &[("x-sig", value)]), at(now)).err();
    assert_eq!(check(&right, 1000), None);
    assert_eq!(check(&format!("v0=00,{right},v2=zz"), 1000), None);
    assert_eq!(check(&right, 1301), Some(Unproven::TooOld));
    assert_eq!(check(&right, 699), Some(Unproven::TooNew));
    assert_eq!(check(&format!("t=999,{right}"), 1000), Some(Unproven::TimestampMalformed));
    assert_eq!(check(right.strip_prefix("t=1000,").unwrap(), 1000), Some(Unproven::TimestampMalformed));
    assert_eq!(check(&right.replace("v1=", "v0="), 1000), Some(Unproven::SignatureMalformed));
    assert_eq!(check(&right.replace("t=1000", "t=1001"), 1000), Some(Unproven::NoMatch));
}

#[test]
fn a_huge_signature_header_is_refused() {
    let proof = Proof::hmac("x-sig").secrets(&secrets(&["s"]));
    let request = incoming("{}", &[("x-sig", &"a".repeat(64 * 1024))]);
    assert_eq!(proof.check(request, at(0)).err(), Some(Unproven::SignatureMalformed));
}
