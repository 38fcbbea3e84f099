//! The conformance suite with a connector for every kind of proof: sound ones pass, and a careless one is found.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, ParseError, Part, Proof, PublishedKeys,
    Receive, Secret, Verified, entry, receives,
};
use spindel_model::Change;
use spindel_testkit::conformance::{self, Check, Subject};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(300);

const LABELLED: u8 = 0;
const ADDRESS: u8 = 1;
const TOKEN: u8 = 2;
const IN_URL: u8 = 3;
const FETCH_BACK: u8 = 4;
const IN_BODY: u8 = 5;
const RSA: u8 = 6;
const PUBLISHED: u8 = 7;
const ANY: u8 = 8;
const KEPT: u8 = 9;
/// A careless one.
const SAYS_MORE_THAN_A_HINT: u8 = 10;

struct Toy<const KIND: u8>(Secret);

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    secret: Secret,
}

const CONFIG: Fixture = Fixture { name: "config", json: r#"{"secret": "a-fake-secret-1"}"# };

macro_rules! example {
    ($more:literal, $record:literal) => {
        Fixture {
            name: "receive",
            json: concat!(
                r#"{"ability": "receive", "shows": "a change", "query": "order=1", "#,
                $more,
                r#""body": {"topic": "app.uninstalled", "entity": {"kind": "shop", "id": "1"}, "version": 1, "state": "x",
                "record": {"kind": ""#,
                $record,
                r#""}}, "expect": [{"entity": {"id": "1"}}]}"#
            ),
        }
    };
}

impl<const KIND: u8> Connector for Toy<KIND> {
    const INFO: Info = Info { id: "toy", name: "Toy", kind: spindel_connect::Kind::Generic, about: "For tests" };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[receives()];
    const FIXTURES: &'static [Fixture] = match KIND {
        FETCH_BACK => &[CONFIG, example!("", "nudge")],
        KEPT => &[CONFIG, example!(r#""kept": ["a-kept-secret-1"], "#, "deleted")],
        _ => &[CONFIG, example!("", "deleted")],
    };

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self(config.secret), Endpoint::new("https://toy.example.com", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok(String::new())
    }
}

impl<const KIND: u8> Receive for Toy<KIND> {
    fn proof(&self, kept: &[Secret]) -> Proof {
        let secrets = std::slice::from_ref(&self.0);
        let address = vec![Part::Method, Part::Url, Part::Header("x-time".into()), Part::Header("x-hash".into())];
        match KIND {
            LABELLED => Proof::hmac("x-sig").labelled("t", "v1", WINDOW).secrets(secrets),
            ADDRESS => Proof::hmac("x-sig")
                .base64()
                .over(address)
                .fresh_by_http_date("x-time", WINDOW)
                .body_hash_in("x-hash")
                .secrets(secrets),
            TOKEN => Proof::jws("/data", secrets),
            IN_URL => Proof::in_url("token", secrets),
            FETCH_BACK | SAYS_MORE_THAN_A_HINT => Proof::fetch_back("token", secrets),
            IN_BODY => Proof::in_body(&["/state"], secrets),
            RSA => Proof::rsa(&["x-sig"]).over(vec![Part::BodyBase64]).keys::<Secret>(&[]),
            PUBLISHED => Proof::rsa(&["x-sig", "x-sig-2"]).published(PublishedKeys {
                base: "https://keys.example.com".into(),
                path_headers: &["x-key"],
                path_prefixes: &["/keys/"],
            }),
            ANY => Proof::any(vec![Proof::rsa(&["x-rsa"]).keys::<Secret>(&[]), Proof::hmac("x-sig").secrets(secrets)]),
            _ => Proof::hmac("x-sig").secrets(kept),
        }
    }

    fn topic(&self, _: &Verified) -> Result<String, ParseError> {
        Ok("toy".into())
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        delivery.query("order")
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        assert_eq!(delivery.query("token"), None, "the secret is still in the address");
        Ok(vec![delivery.json()?])
    }
}

fn problems<const KIND: u8>(checks: &[Check]) -> String {
    let subject = Subject::new(entry::<Toy<KIND>>());
    checks.iter().flat_map(|check| check(&subject)).map(|it| format!("[{}] {}\n", it.case, it.text)).collect()
}

const ALL: &[Check] =
    &[conformance::settings, conformance::webhooks_as_expected, conformance::forged_webhooks, conformance::malformed_webhooks];

#[test]
fn sound_connectors_of_every_kind_pass() {
    assert_eq!(problems::<LABELLED>(ALL), "");
    assert_eq!(problems::<ADDRESS>(ALL), "");
    assert_eq!(problems::<TOKEN>(ALL), "");
    assert_eq!(problems::<IN_URL>(ALL), "");
    assert_eq!(problems::<FETCH_BACK>(ALL), "");
    assert_eq!(problems::<IN_BODY>(ALL), "");
    assert_eq!(problems::<RSA>(ALL), "");
    assert_eq!(problems::<PUBLISHED>(ALL), "");
    assert_eq!(problems::<ANY>(ALL), "");
    assert_eq!(problems::<KEPT>(ALL), "");
}

#[test]
fn a_hint_that_says_more_is_found() {
    let found = problems::<SAYS_MORE_THAN_A_HINT>(&[conformance::webhooks_as_expected]);
    assert!(found.contains("must be nudges"), "{found}");
}
