//! RSA: keys of the settings, and keys that a vendor publishes.

use super::*;

const EVENT: &str = r#"{"event_id":"eventId1","event":{"hello":"world"},"recipient_client_id":"client_id1"}"#;
const EVENT_SIGNATURE: &str = "Hgq9NEIAtFItHQfHYi2x94zAaHG7088PUDLdpSTdsFjLPD+IJCrKpSf4bxNeh3vHmMqj6zUVYfFEYvgI0riJNx12b3wIMHhoa/MxQGzzCcN4GnB/LVaTm9/1LZSxKpyR34FhaaYxbN3u3dSE60zk5swjzMKUFRmFiiE6k0knjcM+e0E3f1g9kFXgy/dUIOlty4SlS3hbv1UHS/BYXakH7d0lb4mrNxHIGNuIyFRmMpbZ4KyXDJo5nCQqvW0dZKAikpavf58/S8xbYyhJTImNJaUMZYQ5m8KD6H1ME48Hr3Q+Vgte9cXrTCreK1tVqCCy/ZaQGC7Z/qPOC+D849hi9g==";
const EVENT_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArGwUIIdaBSUrZq4V24cL
R3I19gel9uBBmXE3lt4oVHF0lMsHnA72cJNf/IPFYDWElM/tE4bat8p78O2ZQpus
6nzi/ISfSWprWhvTuI5sKx6CVgbRIzUM6VTIcvo8o3PK49HbgacRiUABZ1uNo7Cz
Pfmu5xAY+l2Ie1Dt8yperotKAKJmuPYeFWKGe9tzbPYgFluCy8DjPp2gGsmjsorR
/CVRJq8fWl5aTLha+ZHSTuyNY+RQhC/fZ7CHf89EdSvonyu6W7/SJmSf9DGGjmX0
HJNREqdTE9QdbSBMfNn/pa9fCGwR3yEoAZCkfVG06Xx02vOI0Q1RAkf2tGhO4bsZ
cwIDAQAB
-----END PUBLIC KEY-----";

const HOOK: &str = r#"{"order":{"increment_id":"000000042","grand_total":129.0}}"#;
const HOOK_SIGNATURE: &str = "diV0+GK9IMdtdA2fYxE+XRmjbfwb27bnV6tG9wmAXxxpiHWuaehVzEMribD15kURrm0vTV/xLMzOYvZzUPHbYjBKBu9ahNDBOTFYvw7/BM2g+a1L2bLxR7+fnRvnGqSLJCVST/hO9lk1wwjcuF0uSy0CzU7XI26GtBFUJlCz10V5oi6VznDZmj4dPYsxTBPOjiRMHu6RbFJYm0FUVv6yhi5uvo9ecsRkYVQ46Ub30jHoXOj3XhtfaciqWtR5yukhXvkmI0rSi3OpRAWaRymud+zCKYkEuYj7dUhwg/suWBEYxXSCvfwvWMS24F9jO7qepkF/chOCD4uQIb8osyb7dQ==";
const HOOK_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl1aD7UIi/XnpdetdVdBJ
ddGI7NLJaPlYgeu8oX8cLsWWBhXVx0RGh4rT77OGDZsdNkVCZddNaZyJwbYBzf1W
UStzeaQ2JsrU6w9qghytIyO5l0vd+XqTU4RBtGWc0sDQKxyOwJvUC86RpSGkQtot
nrrG2ujk3rpuH8o+7MDHFZNa67BeMH/uxvXCLijP9WQHiiEeODTUawF+WG2UStBD
88s1K7Ah90CwfBsoAZ2Lfs3oNomiCYQ7kx9Jcgm3EyxcJvBe2zKtUbch6js3jn0U
/1J6pdERHuvuGG3OsnODNFyRJBVec2fm1MvIO7bV82wwRPoJelAB8uVV/gY4XZMv
VwIDAQAB
-----END PUBLIC KEY-----";

const PATH: &str = "/prod/keys/pub-key-0a1b.pem";

fn event(headers: &[(&str, &str)]) -> Incoming {
    incoming(EVENT, headers)
}

fn published() -> Proof {
    Proof::rsa(&["x-sig-1", "x-sig-2"]).published(PublishedKeys {
        base: "https://keys.example.com".into(),
        path_headers: &["x-key-1", "x-key-2"],
        path_prefixes: &["/prod/keys/pub-key-"],
    })
}

#[test]
fn published_vectors_hold() {
    let proof = Proof::rsa(&["x-sig-1", "x-sig-2"]).keys(&[EVENT_KEY]);
    assert!(proof.check(event(&[("x-sig-1", EVENT_SIGNATURE)]), at(0)).is_ok());
    // Either signature is enough: the other one may be of a key that is not known yet.
    assert!(proof.check(event(&[("x-sig-1", HOOK_SIGNATURE), ("x-sig-2", EVENT_SIGNATURE)]), at(0)).is_ok());

    let proof = Proof::rsa(&["x-sig"]).over(vec![Part::BodyBase64]).keys(&[Secret::new(HOOK_KEY)]);
    assert!(proof.check(incoming(HOOK, &[("x-sig", HOOK_SIGNATURE)]), at(0)).is_ok());
}

#[test]
fn another_key_another_message_and_a_flipped_bit_are_noticed() {
    let rotated = Proof::rsa(&["x-sig-1"]).keys(&[HOOK_KEY, EVENT_KEY]);
    assert!(rotated.check(event(&[("x-sig-1", EVENT_SIGNATURE)]), at(0)).is_ok());
    let other = Proof::rsa(&["x-sig-1"]).keys(&[HOOK_KEY]);
    assert_eq!(other.check(event(&[("x-sig-1", EVENT_SIGNATURE)]), at(0)).err(), Some(Unproven::NoMatch));
    let none = Proof::rsa(&["x-sig-1"]).keys::<&str>(&[]);
    assert_eq!(none.check(event(&[("x-sig-1", EVENT_SIGNATURE)]), at(0)).err(), Some(Unproven::NoMatch));
    for at_byte in 0..EVENT.len() {
        let mut body = EVENT.as_bytes().to_vec();
        body[at_byte] ^= 1;
        let altered = Incoming { body: body.into(), ..event(&[("x-sig-1", EVENT_SIGNATURE)]) };
        assert_eq!(rotated.check(altered, at(0)).err(), Some(Unproven::NoMatch));
    }
    let raw = Proof::rsa(&["x-sig"]).keys(&[HOOK_KEY]);
    assert_eq!(raw.check(incoming(HOOK, &[("x-sig", HOOK_SIGNATURE)]), at(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let proof = Proof::rsa(&["x-sig-1"]).keys(&[EVENT_KEY]);
    let half = &EVENT_SIGNATURE[..172];
    for (value, why) in [("", Unproven::NoMatch), ("!", Unproven::SignatureMalformed), (half, Unproven::NoMatch)] {
        assert_eq!(proof.check(event(&[("x-sig-1", value)]), at(0)).err(), Some(why), "{value}");
    }
    assert_eq!(proof.check(event(&[]), at(0)).err(), Some(Unproven::SignatureMissing));
    let doubled = event(&[("x-sig-1", EVENT_SIGNATURE), ("x-sig-1", EVENT_SIGNATURE)]);
    assert_eq!(proof.check(doubled, at(0)).err(), Some(Unproven::HeaderDoubled));
    let empty = incoming("", &[("x-sig-1", EVENT_SIGNATURE)]);
    assert_eq!(proof.check(empty, at(0)).err(), Some(Unproven::EmptyBody));
}

#[test]
fn only_keys_of_the_vendor_are_asked_for_and_believed() {
    let mut proof = published();
    let request = event(&[("x-sig-1", EVENT_SIGNATURE), ("x-key-1", PATH)]);
    assert_eq!(proof.wanted_keys(&request), ["https://keys.example.com/prod/keys/pub-key-0a1b.pem"]);
    assert_eq!(proof.check(request.clone(), at(0)).err(), Some(Unproven::NoMatch), "believed before its key is known");
    proof.supply(&[("https://elsewhere.example.com/prod/keys/pub-key-0a1b.pem".into(), EVENT_KEY.into())]);
    assert_eq!(proof.check(request.clone(), at(0)).err(), Some(Unproven::NoMatch), "believed with a key from elsewhere");
    proof.supply(&[(format!("https://keys.example.com{PATH}"), EVENT_KEY.into())]);
    assert!(proof.check(request, at(0)).is_ok());
}

#[test]
fn a_path_that_leads_elsewhere_is_never_fetched() {
    for path in [
        "",
        "/",
        "/prod/keys/pub-key-",
        "/stage/keys/pub-key-1.pem",
        "/prod/keys/pub-key-/../../private",
        "/prod/keys/pub-key-%2e%2e/x",
        "/prod/keys/pub-key-1.pem?to=https://elsewhere.example",
        "/prod/keys/pub-key-1.pem#x",
        "/prod/keys/pub-key-1@elsewhere.example",
        "/prod/keys/pub-key-1\\x",
        "//elsewhere.example/prod/keys/pub-key-1.pem",
        ".elsewhere.example/prod/keys/pub-key-1.pem",
        "@elsewhere.example/prod/keys/pub-key-1.pem",
        "https://elsewhere.example/prod/keys/pub-key-1.pem",
        &format!("/prod/keys/pub-key-{}", "1".repeat(300)),
    ] {
        assert!(published().wanted_keys(&event(&[("x-key-1", path)])).is_empty(), "{path}");
    }
    assert!(published().wanted_keys(&event(&[("x-key-1", PATH), ("x-key-1", PATH)])).is_empty());
}

#[test]
fn what_is_no_key_says_so() {
    assert_eq!(public_key_problem(EVENT_KEY), None);
    assert_eq!(public_key_problem(&format!("\n{HOOK_KEY}\n")), None);
    for wrong in ["", "ssh-rsa AAAA", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", &EVENT_KEY[..200]] {
        assert!(public_key_problem(wrong).is_some(), "{wrong}");
    }
    // A curve's key in the same wrapping.
    let curve =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
    assert!(public_key_problem(curve).is_some());
}

#[test]
fn nobody_but_the_vendor_signs() {
    let mut request = event(&[]);
    assert_eq!(Proof::rsa(&["x-sig"]).keys(&[EVENT_KEY]).sign(&mut request, at(0)).err(), Some(Unproven::CannotSign));
}
