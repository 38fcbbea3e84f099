//! Every kind of proof, as a vendor's page words it; each believes what it signs, and nothing that was touched.

use spindel_connect::{Digest, Encoding, Incoming, Part, Proof, PublishedKeys, Secret};
use std::time::Duration;

const MINUTES: Duration = Duration::from_secs(300);

/// Over the body alone, base64, under either of two names.
fn plain(secrets: &[Secret]) -> Proof {
    Proof::hmac("acme-hmac").or_header("x-acme-hmac").base64().secrets(secrets)
}

/// Another digest, and a fixed text in front.
fn prefixed(secrets: &[Secret]) -> Proof {
    Proof::hmac("x-signature").digest(Digest::Sha512).encoding(Encoding::Hex).prefix("sha512=").secrets(secrets)
}

/// Several pieces, one of them a time in a header of its own (also `fresh_by_millis`, `fresh_by_http_date`).
fn pieces(secrets: &[Secret]) -> Proof {
    Proof::hmac("x-signature")
        .fresh_by("x-timestamp", MINUTES)
        .over(vec![Part::Method, Part::Url, Part::Timestamp, Part::Text("."), Part::Body])
        .secrets(secrets)
}

/// Time and signatures in one header: `t=1795000000,v1=…,v1=…`.
fn labelled(secrets: &[Secret]) -> Proof {
    Proof::hmac("acme-signature").labelled("t", "v1", MINUTES).secrets(secrets)
}

/// The body only by its hash, which is signed with what else is listed.
fn hashed(secrets: &[Secret]) -> Proof {
    Proof::hmac("authorization")
        .base64()
        .prefix("HMAC-SHA256 Signature=")
        .fresh_by_http_date("x-date", MINUTES)
        .body_hash_in("x-content-sha256")
        .over(vec![Part::Uri, Part::Timestamp, Part::Host, Part::Header("x-content-sha256".into())])
        .secrets(secrets)
}

/// With a key that only the vendor has: its public half stands in the settings …
fn rsa(public_keys: &[Secret]) -> Proof {
    Proof::rsa(&["x-signature-1", "x-signature-2"]).over(vec![Part::Body]).keys(public_keys)
}

/// … or is fetched from the vendor, under paths that the request names and this list allows.
fn rsa_published() -> Proof {
    Proof::rsa(&["x-signature"]).published(PublishedKeys {
        base: "https://keys.acme.example".to_owned(),
        path_headers: &["x-key-path"],
        path_prefixes: &["/keys/"],
    })
}

/// The body is JSON around a signed token, and what is in the token is the body.
fn token(secrets: &[Secret]) -> Proof {
    Proof::jws("/data", secrets)
}

/// A word that both know: in a header, in the address, or in each notification of the body.
fn shared(secrets: &[Secret]) -> Proof {
    Proof::any(vec![
        Proof::SharedToken { header: "x-api-key".to_owned(), tokens: secrets.to_vec() },
        Proof::in_url("key", secrets),
        Proof::in_body(&["/value/*/clientState"], secrets),
    ])
}

/// Nothing is signed: all that may come of it is a nudge.
fn unsigned(secrets: &[Secret]) -> Proof {
    Proof::fetch_back("key", secrets)
}

#[test]
fn each_believes_what_it_signs_and_nothing_else() {
    let now = "2026-11-20T10:00:00Z".parse().unwrap();
    let (secrets, others) = ([Secret::new("right-secret")], [Secret::new("other-secret")]);
    let kinds = [plain, prefixed, pieces, labelled, hashed, token, shared, unsigned, Proof::standard_webhooks];
    for (index, kind) in kinds.into_iter().enumerate() {
        let mut request = Incoming {
            method: http::Method::POST,
            uri: "/in/acme".to_owned(),
            origin: "https://hooks.example.no".to_owned(),
            headers: http::HeaderMap::from_iter([(http::HeaderName::from_static("webhook-id"), "1".parse().unwrap())]),
            body: r#"{"value":[{"id":1}]}"#.into(),
        };
        kind(&secrets).sign(&mut request, now).unwrap();
        assert!(kind(&secrets).check(request.clone(), now).is_ok(), "{index}");
        assert!(kind(&others).check(request.clone(), now).is_err(), "{index}");
        if kind(&secrets).covers_body() {
            request.body = [&request.body[..], b" "].concat().into();
            assert_ne!(kind(&secrets).check(request, now).is_ok(), index != 5, "{index}");
        }
    }
    assert!(rsa_published().covers_body() && rsa(&[]).covers_body());
}
