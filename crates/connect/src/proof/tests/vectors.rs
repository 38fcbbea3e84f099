//! What vendors published, or their own libraries computed.

use super::*;

const WINDOW: Duration = Duration::from_secs(300);

#[test]
fn a_labelled_time_and_signature_hold() {
    let proof = |texts: &[&str]| Proof::hmac("stripe-signature").labelled("t", "v1", WINDOW).secrets(&secrets(texts));
    for (time, body, signature) in [
        (
            1_614_265_330,
            "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}",
            "af4ead0627a34a8cca29808e8de9ada8e41a92e6237c63cef6eacf51d36cca34",
        ),
        (
            1_795_000_000,
            r#"{"id":"evt_test_webhook","object":"event","type":"payment_intent.succeeded","created":1795000000,"livemode":false,"data":{"object":{"id":"pi_1","object":"payment_intent","amount":12900,"currency":"nok"}}}"#,
            "53c1dcbd0316b776bdeaeca13436645f227891c3393c2060607df0024081f9af",
        ),
    ] {
        let header = format!("t={time},v1={signature}");
        let request = || incoming(body, &[("stripe-signature", &header)]);
        assert!(proof(&["whsec_test_secret"]).check(request(), at(time)).is_ok());
        assert!(proof(&["new", "whsec_test_secret"]).check(request(), at(time)).is_ok());
        assert_eq!(proof(&["test_secret"]).check(request(), at(time)).err(), Some(Unproven::NoMatch));
        assert_eq!(proof(&["whsec_test_secret"]).check(request(), at(time + 301)).err(), Some(Unproven::TooOld));
        assert_eq!(proof(&["whsec_test_secret"]).check(request(), at(time - 301)).err(), Some(Unproven::TooNew));
        let mut ours = incoming(body, &[]);
        proof(&["whsec_test_secret"]).sign(&mut ours, at(time)).unwrap();
        assert_eq!(ours.headers["stripe-signature"], header);
    }
}

#[test]
fn a_signature_over_the_body_alone_holds() {
    let hex = |secret: &str| Proof::hmac("x-sig").secrets(&secrets(&[secret]));
    for (secret, body, signature) in [
        ("test_secret", r#"{"obj1":"hello","obj2":"world"}"#, "bebb1a643997f419b315ddba19e6f5411e1ce7f810ba6d3617ce72823092f363"),
        ("test_secret", "\u{1F600}", "837da296d05c4fe31f61d5d7ead035099d9585a5bcde87de952012a78f0b0c43"),
        (
            "klarna_signing_key_01",
            r#"{"metadata":{"event_type":"payment.request.state-change.completed","event_id":"d9f9b1a0-5b1a-4b0e-9b0a-9e9b1a0d5b1a","event_version":"v2","occurred_at":"2026-11-22T10:00:00Z","webhook_id":"krn:partner:global:notification:webhook:120e5b7e-dee8-43ca-9858-dca726e639b5","live":false},"payload":{"payment_request_id":"krn:payment:eu1:request:552603c0-fe8b-4ab1-aacb-41d55fafbdb4","state":"COMPLETED"}}"#,
            "2d625d24bdd84a1f1586732aec16f21df68b9fb568712f3a345ce2741ce9783c",
        ),
    ] {
        assert!(hex(secret).check(incoming(body, &[("x-sig", signature)]), at(0)).is_ok(), "{body}");
    }
    let body = r#"{"id":727,"status":"processing","currency":"NOK","total":"129.00"}"#;
    for (secret, signature) in [
        ("wc_hook_secret_01", "MJvLtRMzq1bp60knGlV67+DVPeu/xkuWb8rJBSQE24o="),
        ("a&b'c", "O6gkggba5N9Gj31armIuSKnmbA2N8sbbbnSaMhF6/CQ="),
        ("a&amp;b&#039;c", "6Kz6cw6ibKgGIL8ModF4AI2XuX1CGbRSuN05UkoUw+8="),
    ] {
        let proof = Proof::hmac("x-wc-webhook-signature").base64().secrets(&secrets(&[secret]));
        assert!(proof.check(incoming(body, &[("x-wc-webhook-signature", signature)]), at(0)).is_ok(), "{secret}");
    }
}

/// The vector that Vipps MobilePay documents.
fn signed_address() -> Incoming {
    let signature =
        "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U=";
    let headers = [
        ("x-ms-date", "Thu, 30 Mar 2023 08:38:32 GMT"),
        ("x-ms-content-sha256", "lNlsp1XA03N34HrQsVzPgJKtC+r7l/RBF4V3JQUWMj4="),
        ("authorization", signature),
    ];
    Incoming {
        uri: "/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63".into(),
        origin: "https://webhook.site".into(),
        ..incoming(r#"{"some-unique-content":"ee6e441b-cc4a-46f8-895d-a5af79bcc233/hello-world"}"#, &headers)
    }
}

fn address_proof(texts: &[&str]) -> Proof {
    Proof::hmac("authorization")
        .or_header("x-vipps-authorization")
        .base64()
        .prefix("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=")
        .over(vec![
            Part::Method,
            Part::Text("\n"),
            Part::Uri,
            Part::Text("\n"),
            Part::Header("x-ms-date".into()),
            Part::Text(";"),
            Part::Host,
            Part::Text(";"),
            Part::Header("x-ms-content-sha256".into()),
        ])
        .fresh_by_http_date("x-ms-date", WINDOW)
        .body_hash_in("x-ms-content-sha256")
        .secrets(&secrets(texts))
}

const ADDRESS_SECRET: &str = "A0+AeKBRG2KRGvnNwJpQlb6IJFk48CKXCIcrLoHncVJKDILsQSxS6NWCccwWm6r6FhGKhiHTBsG2wo/xU6FY/A==";

#[test]
fn a_signed_address_with_a_hash_of_the_body_holds() {
    let now: Timestamp = "2023-03-30T08:38:32Z".parse().unwrap();
    let proof = address_proof(&[ADDRESS_SECRET]);
    assert!(proof.covers_body());
    assert!(proof.check(signed_address(), now).is_ok());
    assert!(address_proof(&["new", ADDRESS_SECRET]).check(signed_address(), now).is_ok());
    assert_eq!(address_proof(&["new"]).check(signed_address(), now).err(), Some(Unproven::NoMatch));

    let mut ours = signed_address();
    ours.headers.clear();
    proof.sign(&mut ours, now).unwrap();
    assert_eq!(ours.headers, signed_address().headers);

    let mut moved = signed_address();
    let value = moved.headers.remove("authorization").unwrap();
    moved.headers.insert("x-vipps-authorization", value);
    assert!(proof.check(moved, now).is_ok());
}

#[test]
fn a_signed_address_is_refused_when_anything_of_it_differs() {
    let now: Timestamp = "2023-03-30T08:38:32Z".parse().unwrap();
    let proof = address_proof(&[ADDRESS_SECRET]);
    let why = |request: Incoming| proof.check(request, now).err();
    assert_eq!(why(Incoming { body: Bytes::from_static(b"{}"), ..signed_address() }), Some(Unproven::OtherBody));
    assert_eq!(why(Incoming { uri: "/in/other".into(), ..signed_address() }), Some(Unproven::NoMatch));
    assert_eq!(why(Incoming { origin: "https://webhook.site:8443".into(), ..signed_address() }), Some(Unproven::NoMatch));
    let minutes = jiff::SignedDuration::from_mins(6);
    assert_eq!(proof.check(signed_address(), now + minutes).err(), Some(Unproven::TooOld));
    assert_eq!(proof.check(signed_address(), now - minutes).err(), Some(Unproven::TooNew));
    for (header, told) in [
        ("x-ms-date", Unproven::SignedHeaderMissing),
        ("x-ms-content-sha256", Unproven::SignedHeaderMissing),
        ("authorization", Unproven::SignatureMissing),
    ] {
        let mut bare = signed_address();
        bare.headers.remove(header);
        assert_eq!(why(bare), Some(told), "{header}");
    }
    // A body with its own hash is still not the one that was signed.
    let mut forged = Incoming { body: Bytes::from_static(b"{}"), ..signed_address() };
    forged.headers.insert("x-ms-content-sha256", "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=".parse().unwrap());
    assert_eq!(why(forged), Some(Unproven::NoMatch));
}
