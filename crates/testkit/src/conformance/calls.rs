//! Calls: made as the examples say, read as the examples say, and never a success when the vendor fails.

use super::{
    ADDRESS, FROM, KEY, NOW, Problem, Subject,
    coverage::{is_step, is_success},
    subject::Named,
    without_panic,
};
use crate::{
    script::{Fault, Faulty, Script},
    subset,
};
use serde_json::{Value, json};
use spindel_connect::{
    Api, Around, CallError, Connection, Cursor, Described, Effect, Example, Job, Registered, Request, Subscription, Transport,
};
use spindel_model::{Action, Clock, EntityKind, ErrorClass, Performed, PickupQuery, RateRequest, Timestamp};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Every example but webhooks against its script.
pub fn as_expected(subject: &Subject) -> Vec<Problem> {
    let mut problems = Vec::new();
    for named in subject.examples.iter().filter(is_called) {
        let script = Arc::new(Script::new(named.example.exchanges.clone()));
        let mut found = Vec::new();
        match play(subject, &named.example, script.clone()) {
            Ok(outcome) => {
                found.extend(subset(&named.example.expect, &outcome.json).err().map(|it| format!("outcome differs\n{it}")))
            }
            Err(problem) => found.push(problem),
        }
        // What was called explains the outcome, so it comes first.
        let called = script.problems();
        let all = called.into_iter().chain(found).collect::<Vec<_>>().join("\n");
        if !all.is_empty() {
            problems.push(Problem::new(&named.example.ability, format!("{} ({})\n{all}", named.file, named.example.shows)));
        }
    }
    problems
}

/// Every request that the examples make, as it goes out, with the file of its example.
pub fn requests(subject: &Subject) -> Vec<(String, Request)> {
    let mut all = Vec::new();
    for named in subject.examples.iter().filter(is_called) {
        let script = Arc::new(Script::new(named.example.exchanges.clone()));
        // What does not go as written is for the suite to tell.
        let _outcome = play(subject, &named.example, script.clone());
        all.extend(script.requests().into_iter().map(|it| (named.file.clone(), it)));
    }
    all
}

fn is_called(named: &&Named) -> bool {
    !super::receive::ABILITIES.contains(&named.example.ability.as_str())
}

/// The first example of success of every action, with a vendor that fails in each of the ways of [`Fault`].
pub fn failing_vendor(subject: &Subject) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (named, fault) in faulty_runs(subject) {
        let case = format!("{} {}", named.example.ability, fault.as_str());
        let found = match play(subject, &named.example, Arc::new(Faulty::new(fault))) {
            Ok(outcome) => outcome.results.iter().filter_map(|it| misread(fault, it)).collect::<Vec<_>>(),
            Err(problem) => vec![problem],
        };
        let problem = |text| Problem::new(&case, format!("{}, the vendor answers with {fault:?}: {text}", named.file));
        problems.extend(found.into_iter().map(problem));
    }
    problems
}

/// Every message of every failure that the suite can bring about.
pub fn no_secret_in_messages(subject: &Subject) -> Vec<Problem> {
    let secrets = subject.secret_texts();
    let scripted = subject.examples.iter().filter(is_called).map(|it| {
        let transport: Arc<dyn Transport> = Arc::new(Script::new(it.example.exchanges.clone()));
        (it, transport)
    });
    let faulty = faulty_runs(subject).into_iter().map(|(it, fault)| {
        let transport: Arc<dyn Transport> = Arc::new(Faulty::new(fault));
        (it, transport)
    });
    let mut problems = Vec::new();
    for (named, transport) in scripted.chain(faulty) {
        let Ok(outcome) = play(subject, &named.example, transport) else { continue };
        for error in outcome.results.iter().filter_map(|it| it.as_ref().err()) {
            let message = error.to_string();
            if secrets.iter().any(|secret| message.contains(secret.expose())) {
                problems
                    .push(Problem::new("secrets", format!("{}: an error message holds a secret of the settings", named.file)));
            }
        }
    }
    problems
}

fn faulty_runs(subject: &Subject) -> Vec<(&Named, Fault)> {
    let mut runs = Vec::new();
    for ability in (subject.entry.abilities)() {
        if !matches!(ability, Described::Performs { .. }) {
            continue;
        }
        let key = ability.to_string();
        let calls_its_vendor = |it: &&Named| is_success(&it.example) && !it.example.exchanges.is_empty();
        if let Some(named) = subject.examples_of(&key).find(calls_its_vendor) {
            runs.extend(Fault::ALL.map(|fault| (named, fault)));
        }
    }
    runs
}

/// Why this result is not what the fault asks for.
fn misread(fault: Fault, result: &Result<(), CallError>) -> Option<String> {
    let error = match result {
        Ok(()) => return Some("taken for a success".to_owned()),
        Err(error) => error,
    };
    let (class, wait, effect) = match fault {
        Fault::Error | Fault::Unavailable => (ErrorClass::Transient, None, None),
        Fault::Throttled => (ErrorClass::RateLimited, Some(Duration::from_secs(7)), None),
        Fault::Unauthorized => (ErrorClass::Auth, None, None),
        Fault::Cut | Fault::NotJson => (ErrorClass::Transient, None, Some(Effect::Unknown)),
    };
    if error.class != class {
        return Some(format!("read as {}, expected {class} ({error})", error.class));
    }
    if wait.is_some() && error.retry_after != wait {
        return Some(format!("`Retry-After: 7` is read as {:?} ({error})", error.retry_after));
    }
    let effect = effect.filter(|it| *it != error.effect)?;
    Some(format!("whether it had its effect is read as {:?}, expected {effect:?} ({error})", error.effect))
}

/// What came of an example.
struct Outcome {
    /// In the form of [`Example::expect`].
    json: Value,
    /// The same, as far as it went wrong.
    results: Vec<Result<(), CallError>>,
}

fn play(subject: &Subject, example: &Example, transport: Arc<dyn Transport>) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| error.to_string())?;
    let run = without_panic(|| {
        let now = NOW.parse::<Timestamp>().map_err(|error| error.to_string())?;
        let api = Api::new(transport, subject.entry.refine, Clock::manual(now));
        let connection = subject.connection();
        runtime.block_on(perform(&*connection, &api, example, now))
    });
    run.and_then(|it| it)
}

async fn perform(connection: &dyn Connection, api: &Api, example: &Example, now: Timestamp) -> Result<Outcome, String> {
    let undeclared = || format!("`{}` is not in ABILITIES", example.ability);
    let kind = |text: &str| text.parse::<EntityKind>().map_err(|error| error.to_string());
    match example.ability.split_once(' ').unwrap_or((&example.ability, "")) {
        ("read", of) => {
            let id = example.id.as_deref().ok_or("a `read` example needs an `id`")?;
            Ok(one(connection.read(api, kind(of)?, id).ok_or_else(undeclared)?.await, |it| json!(it)))
        }
        ("poll", of) => {
            let cursor = example.cursor.clone().map(Cursor);
            let page = connection.poll(api, kind(of)?, cursor.as_ref(), now).ok_or_else(undeclared)?.await;
            let whole = example.expect.is_object();
            Ok(one(page, |it| match whole {
                true => json!({ "changes": it.changes, "cursor": it.cursor, "more": it.more }),
                false => json!(it.changes),
            }))
        }
        ("subscribe", _) if is_step(example, "register") => {
            let topic = example.id.as_deref().ok_or("a `register` example needs the topic as its `id`")?;
            Ok(one(connection.subscribe(api, topic, ADDRESS).ok_or_else(undeclared)?.await, registered_json))
        }
        ("subscribe", _) if is_step(example, "repair") => {
            let topic = example.id.as_deref().ok_or("a `repair` example needs the topic as its `id`")?;
            let id = example.known.as_deref().ok_or("a `repair` example needs the subscription's id as its `known`")?;
            let subscription = Subscription { active: false, ..Subscription::new(id, topic, ADDRESS) };
            Ok(one(connection.repair(api, &subscription).ok_or_else(undeclared)?.await, registered_json))
        }
        ("subscribe", _) => Ok(one(connection.subscriptions(api).ok_or_else(undeclared)?.await, |it| json!(it))),
        ("track", _) => {
            let most = connection.tracks().ok_or_else(undeclared)?;
            if example.parcels.is_empty() || example.parcels.len() > most {
                return Err(format!("a `track` example needs 1 to {most} `parcels`"));
            }
            Ok(one(connection.track(api, &example.parcels).ok_or_else(undeclared)?.await, |it| json!(it)))
        }
        ("quote", _) => {
            let request: RateRequest = body(example, "RateRequest")?;
            Ok(one(connection.quote(api, &request).ok_or_else(undeclared)?.await, |it| json!(it)))
        }
        ("pickup_points", _) => {
            let query: PickupQuery = body(example, "PickupQuery")?;
            Ok(one(connection.pickup_points(api, &query).ok_or_else(undeclared)?.await, |it| json!(it)))
        }
        _ => act(connection, api, example, now).await,
    }
}

fn body<T: serde::de::DeserializeOwned>(example: &Example, what: &str) -> Result<T, String> {
    let body = example.body.clone().ok_or_else(|| format!("a `{}` example needs a {what} as its `body`", example.ability))?;
    serde_json::from_value(body).map_err(|error| format!("body is no {what}: {error}"))
}

/// The secret itself is not for a fixture's eyes: only that there is one.
fn registered_json(registered: Registered) -> Value {
    let mut json = json!(registered.subscription);
    if let (Some(fields), Some(_)) = (json.as_object_mut(), &registered.secret) {
        fields.insert("secret".to_owned(), "given".into());
    }
    json
}

async fn act(connection: &dyn Connection, api: &Api, example: &Example, now: Timestamp) -> Result<Outcome, String> {
    let undeclared = || format!("`{}` is not in ABILITIES", example.ability);
    let actions = actions(example)?;
    let jobs: Vec<Job> = actions.iter().enumerate().map(|(index, action)| job(example, action, index, now)).collect();
    let results = if is_step(example, "look_up") {
        let mut results = Vec::new();
        for job in jobs {
            results.push(connection.look_up(api, job).ok_or_else(undeclared)?.await);
        }
        results
    } else {
        let results = connection.perform(api, &jobs).ok_or_else(undeclared)?.await;
        results.into_iter().map(|it| it.map(Some)).collect()
    };
    if results.len() != actions.len() {
        return Err(format!("{} action(s) have {} outcome(s)", actions.len(), results.len()));
    }
    let json = results.iter().map(outcome_json).collect();
    Ok(Outcome { json: Value::Array(json), results: results.into_iter().map(|it| it.map(|_| ())).collect() })
}

fn actions(example: &Example) -> Result<Vec<Action>, String> {
    if example.actions.is_empty() {
        return Err("an example of an action needs at least one of `actions`".to_owned());
    }
    let read = |(index, json): (usize, &Value)| {
        let mut json = json.clone();
        // The ability says it already.
        if let Some(fields) = json.as_object_mut() {
            fields.entry("do").or_insert_with(|| example.ability.clone().into());
        }
        serde_json::from_value(json).map_err(|error| format!("actions[{index}]: {error}"))
    };
    example.actions.iter().enumerate().map(read).collect()
}

fn job<'a>(example: &'a Example, action: &'a Action, index: usize, now: Timestamp) -> Job<'a> {
    let around = Around {
        from: FROM,
        key: Uuid::from_u128(KEY.as_u128() + index as u128),
        known: example.known.as_deref(),
        maps: &example.maps,
        attempt: 1,
        now,
    };
    Job { action, around }
}

fn one<T>(result: Result<T, CallError>, json: impl FnOnce(T) -> Value) -> Outcome {
    match result {
        Ok(value) => Outcome { json: json(value), results: vec![Ok(())] },
        Err(error) => Outcome { json: error_json(&error), results: vec![Err(error)] },
    }
}

fn outcome_json(result: &Result<Option<Performed>, CallError>) -> Value {
    match result {
        Ok(Some(performed)) => json!({ "performed": performed }),
        Ok(None) => Value::Null,
        Err(error) => error_json(error),
    }
}

/// `retry_after` is in seconds.
fn error_json(error: &CallError) -> Value {
    json!({ "error": {
        "class": error.class,
        "message": error.message,
        "operation": error.operation,
        "retry_after": error.retry_after.map(|it| it.as_secs()),
        "effect": match error.effect { Effect::None => "none", Effect::Unknown => "unknown" },
    } })
}
