//! Settings: the test settings are accepted, mistakes are named, secrets are not repeated.

use super::{Problem, Subject};
use serde_json::{Value, json};

pub fn settings(subject: &Subject) -> Vec<Problem> {
    let mut problems = accepted(subject);
    problems.extend(unknown_key(subject));
    problems.extend(secrets_of_the_wrong_type(subject));
    problems
}

fn accepted(subject: &Subject) -> Vec<Problem> {
    let endpoint = match (subject.entry.connect)(subject.config.clone()) {
        Ok((_, endpoint)) => endpoint,
        Err(error) => return vec![Problem::new("settings", format!("fixtures/config.json is refused: {error}"))],
    };
    let base = &endpoint.base_url;
    let known = ["http", "amqp"].iter().any(|scheme| base.starts_with(scheme));
    if base.is_empty() || (known && !base.ends_with('/')) {
        return Vec::new();
    }
    let problem = format!(
        "the base URL `{base}` must begin with `https://` (a broker's with `amqps://`) and not end with a slash (or be empty)"
    );
    vec![Problem::new("settings", problem)]
}

fn unknown_key(subject: &Subject) -> Option<Problem> {
    const KEY: &str = "a_key_nobody_knows";
    let mut config = subject.config.clone();
    config.as_object_mut()?.insert(KEY.into(), json!(1));
    let problem = match (subject.entry.connect)(config) {
        Ok(_) => format!("a setting `{KEY}` is accepted: add `#[serde(deny_unknown_fields)]`"),
        Err(error) if error.to_string().contains(KEY) => return None,
        Err(error) => format!("an unknown setting `{KEY}` is refused without its name: {error}"),
    };
    Some(Problem::new("settings unknown key", problem))
}

fn secrets_of_the_wrong_type(subject: &Subject) -> Vec<Problem> {
    const VALUE: u64 = 4_711_471_147;
    let mut problems = Vec::new();
    for secret in subject.secrets() {
        for wrong in [json!(VALUE), json!({ "value": VALUE.to_string() })] {
            let mut config = subject.config.clone();
            let Some(place) = config.pointer_mut(&secret.pointer) else { continue };
            *place = wrong.clone();
            problems.extend(refused_silently(subject, &secret.pointer, config, &wrong, VALUE));
        }
    }
    problems
}

fn refused_silently(subject: &Subject, pointer: &str, config: Value, wrong: &Value, value: u64) -> Option<Problem> {
    let problem = match (subject.entry.connect)(config) {
        Ok(_) => format!("secret `{pointer}` may be {wrong}: it must be text"),
        Err(error) if error.to_string().contains(&value.to_string()) => {
            format!("the message about secret `{pointer}` of the wrong type repeats its value: {error}")
        }
        Err(_) => return None,
    };
    Some(Problem::new("settings secrets", problem))
}
