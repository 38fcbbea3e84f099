//! The suite itself: it passes a sound connector, and finds each defect of those that are not.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Ask, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, ParseError, Perform, Proof,
    Receive, Repeat, Secret, Verified, entry, performs, receives,
};
use spindel_model::{Change, ErrorClass, Performed, SendChange};
use spindel_testkit::conformance::{self, Check, Subject};
use std::sync::atomic::{AtomicUsize, Ordering};

const SOUND: u8 = 0;
const TAKES_FAILURES_FOR_SUCCESS: u8 = 1;
const PANICS_ON_BAD_BODIES: u8 = 2;
const BELIEVES_EVERYBODY: u8 = 3;
const TELLS_ITS_SECRET: u8 = 4;
const CALLS_ANOTHER_PATH: u8 = 5;
const CALLS_TWICE: u8 = 6;
const CHANGES_ITS_KEY: u8 = 7;
const LACKS_AN_EXAMPLE: u8 = 8;
const MISREADS_THE_CHANGE: u8 = 9;
const NEVER_STOPS: u8 = 10;
const ACCEPTS_ANY_SETTING: u8 = 11;
const EXPECTS_MORE_CALLS: u8 = 12;

struct Toy<const DEFECT: u8> {
    key: Secret,
    secret: Secret,
    calls: AtomicUsize,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Config {
    key: Secret,
    secret: Secret,
    #[serde(flatten)]
    others: std::collections::BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

const CONFIG: Fixture = Fixture { name: "config", json: r#"{"key": "a-fake-key-1", "secret": "a-fake-secret-1"}"# };

const RECEIVE: Fixture = Fixture {
    name: "receive",
    json: r#"{
        "ability": "receive", "shows": "a change", "headers": {"x-id": "1"},
        "body": {"topic": "app.uninstalled", "entity": {"kind": "shop", "id": "1"}, "version": 1, "record": {"kind": "deleted"}},
        "expect": [{"entity": {"id": "1"}}]
    }"#,
};

macro_rules! send {
    ($name:literal, $step:literal, $method:literal, $reply:literal, $expect:literal) => {
        Fixture {
            name: $name,
            json: concat!(
                r#"{"ability": "send_change", "shows": "a change", "step": ""#,
                $step,
                r#"", "actions": [{"change": {"topic": "app.uninstalled", "entity": {"kind": "shop", "id": "1"}, "version": 1,
                "record": {"kind": "deleted"}}}], "exchanges": [{"method": ""#,
                $method,
                r#"", "path": "/changes/1", "reply": "#,
                $reply,
                r#"}], "expect": ["#,
                $expect,
                "]}"
            ),
        }
    };
}

const MADE: Fixture =
    send!("made", "perform", "POST", r#"{"body": {"id": "9"}}"#, r#"{"performed": {"reference": {"id": "9"}}}"#);
const REFUSED: Fixture = send!("refused", "perform", "POST", r#"{"status": 422}"#, r#"{"error": {"class": "data"}}"#);
const FOUND: Fixture =
    send!("found", "look_up", "GET", r#"{"body": {"id": "9"}}"#, r#"{"performed": {"reference": {"id": "9"}}}"#);
const NOT_FOUND: Fixture = send!("not_found", "look_up", "GET", r#"{"status": 404}"#, "null");
const UNMADE: Fixture = Fixture {
    name: "unmade",
    json: r#"{"ability": "subscribe", "shows": "nothing is called", "expect": [],
        "exchanges": [{"method": "GET", "path": "/", "reply": {}}]}"#,
};

impl<const DEFECT: u8> Connector for Toy<DEFECT> {
    const INFO: Info = Info { id: "toy", name: "Toy", kind: Kind::Generic, about: "For tests" };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[receives(), performs::<SendChange, Self>()];
    const FIXTURES: &'static [Fixture] = match DEFECT {
        LACKS_AN_EXAMPLE => &[CONFIG, RECEIVE, MADE, REFUSED, FOUND],
        EXPECTS_MORE_CALLS => &[CONFIG, RECEIVE, MADE, REFUSED, FOUND, NOT_FOUND, UNMADE],
        _ => &[CONFIG, RECEIVE, MADE, REFUSED, FOUND, NOT_FOUND],
    };

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        if DEFECT != ACCEPTS_ANY_SETTING
            && let Some(key) = config.others.keys().next()
        {
            return Err(ConfigError::new(key, "is not a setting"));
        }
        let toy = Self { key: config.key, secret: config.secret, calls: AtomicUsize::new(0) };
        Ok((toy, Endpoint::new("https://toy.example.com", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok(String::new())
    }
}

impl<const DEFECT: u8> Receive for Toy<DEFECT> {
    fn proof(&self, _kept: &[spindel_connect::Secret]) -> Proof {
        match DEFECT {
            BELIEVES_EVERYBODY => Proof::InsecureUnsigned,
            _ => Proof::hmac("x-sig").secrets(std::slice::from_ref(&self.secret)),
        }
    }

    fn topic(&self, _: &Verified) -> Result<String, ParseError> {
        Ok("toy".into())
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        match DEFECT {
            CHANGES_ITS_KEY => Some(self.calls.fetch_add(1, Ordering::SeqCst).to_string()),
            _ => delivery.optional_header("x-id").map(str::to_owned),
        }
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let mut change: Change = match DEFECT {
            PANICS_ON_BAD_BODIES => delivery.json().unwrap(),
            _ => delivery.json()?,
        };
        if DEFECT == MISREADS_THE_CHANGE {
            change.entity.id = "2".into();
        }
        Ok(vec![change])
    }
}

impl<const DEFECT: u8> Perform<SendChange> for Toy<DEFECT> {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, _: Ask<'_, SendChange>) -> Result<Performed, CallError> {
        let path = if DEFECT == CALLS_ANOTHER_PATH { "/changes/2" } else { "/changes/1" };
        let mut made: Result<Made, CallError> = api.post("make", path).fetch().await;
        while DEFECT == NEVER_STOPS && made.is_err() {
            made = api.post("make", path).fetch().await;
        }
        if DEFECT == CALLS_TWICE {
            let _ = api.post("make", path).send().await;
        }
        match made {
            Ok(made) => Ok(Performed::at(made.id)),
            Err(_) if DEFECT == TAKES_FAILURES_FOR_SUCCESS => Ok(Performed::done()),
            Err(error) if DEFECT == TELLS_ITS_SECRET => {
                Err(CallError { message: format!("{} with {}", error.message, self.key.expose()), ..error })
            }
            Err(error) => Err(error),
        }
    }

    async fn look_up(&self, api: &Api, _: Ask<'_, SendChange>) -> Result<Option<Performed>, CallError> {
        match api.get("find", "/changes/1").fetch::<Made>().await {
            Ok(made) => Ok(Some(Performed::at(made.id))),
            Err(error) if error.class == ErrorClass::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn problems<const DEFECT: u8>(check: Check) -> String {
    let found = check(&Subject::new(entry::<Toy<DEFECT>>()));
    found.into_iter().map(|it| format!("[{}] {}\n", it.case, it.text)).collect()
}

#[track_caller]
fn finds<const DEFECT: u8>(check: Check, text: &str) {
    let found = problems::<DEFECT>(check);
    assert!(found.contains(text), "expected `{text}` among:\n{found}");
}

#[test]
fn a_sound_connector_passes() {
    for check in [
        conformance::settings,
        conformance::examples_of_every_ability,
        conformance::webhooks_as_expected,
        conformance::forged_webhooks,
        conformance::malformed_webhooks,
        conformance::calls_as_expected,
        conformance::failing_vendor,
        conformance::no_secret_in_messages,
    ] {
        assert_eq!(problems::<SOUND>(check), "");
    }
}

#[test]
fn every_defect_is_found() {
    finds::<ACCEPTS_ANY_SETTING>(conformance::settings, "[settings unknown key] a setting `a_key_nobody_knows` is accepted");
    finds::<LACKS_AN_EXAMPLE>(
        conformance::examples_of_every_ability,
        "[send_change example of look_up that finds nothing] there is no",
    );
    finds::<EXPECTS_MORE_CALLS>(
        conformance::examples_of_every_ability,
        "`subscribe` is not in ABILITIES, which are receive, send_change",
    );
    finds::<EXPECTS_MORE_CALLS>(conformance::calls_as_expected, "exchanges[0]: `GET /` was never called");
    finds::<MISREADS_THE_CHANGE>(conformance::webhooks_as_expected, "$[0].entity.id: expected \"1\", got \"2\"");
    finds::<CHANGES_ITS_KEY>(conformance::webhooks_as_expected, "another delivery_key");
    finds::<BELIEVES_EVERYBODY>(conformance::forged_webhooks, "believed: a request signed with another secret");
    finds::<PANICS_ON_BAD_BODIES>(conformance::malformed_webhooks, "[receive malformed] fixtures/receive.json: panic:");
    finds::<CALLS_ANOTHER_PATH>(conformance::calls_as_expected, "path: expected `/changes/1`, got `/changes/2`");
    finds::<CALLS_TWICE>(conformance::calls_as_expected, "exchanges[1]: unexpected call `POST /changes/1` (make)");
    finds::<NEVER_STOPS>(conformance::failing_vendor, "does not stop calling");
    finds::<TELLS_ITS_SECRET>(conformance::no_secret_in_messages, "holds a secret of the settings");
    for fault in ["500", "503", "429", "401", "cut", "not json"] {
        let case = format!("[send_change {fault}] fixtures/made.json");
        finds::<TAKES_FAILURES_FOR_SUCCESS>(conformance::failing_vendor, &case);
    }
}

#[test]
fn a_waiver_hides_its_case_and_no_other() {
    conformance::run::<Toy<TELLS_ITS_SECRET>>(conformance::no_secret_in_messages, &[("secrets", "it is a toy")]);
    let faults = [("500", ""), ("503", ""), ("429", ""), ("401", ""), ("cut", ""), ("send_change not json", "")];
    conformance::run::<Toy<TAKES_FAILURES_FOR_SUCCESS>>(conformance::failing_vendor, &faults);
    let but_one = std::panic::catch_unwind(|| {
        conformance::run::<Toy<TAKES_FAILURES_FOR_SUCCESS>>(conformance::failing_vendor, &faults[1..]);
    });
    assert!(but_one.unwrap_err().downcast_ref::<String>().unwrap().contains("[send_change 500]"));
}

#[test]
#[should_panic(expected = "[500] the waiver hides nothing: remove it")]
fn a_waiver_that_is_not_needed_fails() {
    conformance::waivers_are_needed::<Toy<SOUND>>(&[("500", "once upon a time")]);
}

#[test]
#[should_panic(expected = "[secrets] the waiver gives no reason")]
fn a_waiver_without_a_reason_fails() {
    conformance::waivers_are_needed::<Toy<TELLS_ITS_SECRET>>(&[("secrets", " ")]);
}
