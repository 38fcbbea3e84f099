//! Runs a config file's own tests: given this event, expect these actions. Nothing is sent and nothing is stored.

use serde_json::Value;
use spindel_config::{ExpectedAction, FlowTest, Given};
use spindel_engine::{Payload, Wiring, jq, plan};
use spindel_model::{Cause, Clock, Event, EventId, EventState, State};
use spindel_store::NewDelivery;

/// Runs one test; the error says what was expected and what came.
pub async fn run_test(wiring: &Wiring, jq: &jq::Pool, test: &FlowTest, clock: &Clock) -> Result<(), String> {
    let event = event(wiring, test, clock)?;
    let plan = plan(wiring, jq, &event, clock.now()).await;
    if let EventState::Quarantined { reason } = &plan.state {
        return Err(format!("the event is quarantined: {reason}"));
    }
    for expected in &test.expect {
        let of_flow: Vec<&NewDelivery> = plan.deliveries.iter().filter(|delivery| delivery.flow == expected.flow).collect();
        if of_flow.is_empty() {
            return Err(format!("flow `{}` does not want this event", expected.flow));
        }
        let misfits: Vec<String> = of_flow.iter().filter_map(|delivery| fits(expected, delivery).err()).collect();
        if misfits.len() == of_flow.len() {
            return Err(misfits.join("; "));
        }
    }
    let surprise = plan.deliveries.iter().find(|delivery| {
        !matches!(delivery.state, State::Skipped { .. }) && !test.expect.iter().any(|expected| expected.flow == delivery.flow)
    });
    match surprise {
        Some(delivery) => Err(format!("flow `{}` acts as well, which the test does not expect", delivery.flow)),
        None => Ok(()),
    }
}

fn event(wiring: &Wiring, test: &FlowTest, clock: &Clock) -> Result<Event, String> {
    let account = wiring.account(&test.connection).ok_or_else(|| format!("there is no connection `{}`", test.connection))?;
    let (cause, headers, body) = match &test.given {
        Given::Change(change) => (Cause::Poll, Vec::new(), Value::Array(vec![change.clone()]).to_string().into_bytes()),
        Given::Webhook { headers, body } => {
            let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
            (Cause::Webhook, headers, body.clone().into_bytes())
        }
        Given::Fixture(name) => {
            let vendor = account.connection.info().id;
            let fixture = account.fixtures.iter().find(|fixture| fixture.name == *name);
            let example = fixture.ok_or_else(|| format!("connector `{vendor}` has no fixture `{name}`"))?.example();
            let example = example.map_err(|error| format!("fixture `{name}` is no example of an event: {error}"))?;
            (Cause::Webhook, example.headers.clone().into_iter().collect(), example.body_bytes().to_vec())
        }
    };
    Ok(Event {
        id: EventId::new(),
        connection: test.connection.clone(),
        topic: "test".into(),
        cause,
        received_at: clock.now(),
        headers,
        body,
        state: EventState::Accepted,
        duplicates: 0,
    })
}

fn fits(expected: &ExpectedAction, delivery: &NewDelivery) -> Result<(), String> {
    let flow = &expected.flow;
    match (&delivery.state, &expected.skipped) {
        (State::Skipped { reason }, Some(part)) if reason.contains(part.as_str()) => return Ok(()),
        (State::Skipped { reason }, Some(part)) => {
            return Err(format!("flow `{flow}` skips it because of `{reason}`, expected `{part}`"));
        }
        (State::Skipped { reason }, None) => return Err(format!("flow `{flow}` skips it: {reason}")),
        (State::Dead { reason, .. }, _) => return Err(format!("flow `{flow}` fails: {reason}")),
        (_, Some(part)) => return Err(format!("flow `{flow}` acts, expected it to skip because of `{part}`")),
        _ => {}
    }
    let Some(wanted) = &expected.action else { return Ok(()) };
    let payload = delivery.action_json.as_deref().and_then(|json| Payload::of_kind(delivery.action, json).ok());
    let Some(Payload::Action(action)) = payload else {
        return Err(format!("flow `{flow}` reads the record back first, so its action is not known before"));
    };
    let action = serde_json::to_value(&action).map_err(|error| error.to_string())?;
    subset("action", wanted, &action).map_err(|problem| format!("flow `{flow}`: {problem}"))
}

/// Everything that is wanted is there; what is not mentioned may be anything.
fn subset(path: &str, wanted: &Value, got: &Value) -> Result<(), String> {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => wanted.iter().try_for_each(|(key, value)| {
            let path = format!("{path}.{key}");
            let found = got.get(key).ok_or_else(|| format!("`{path}` is missing"))?;
            subset(&path, value, found)
        }),
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => wanted
            .iter()
            .zip(got)
            .enumerate()
            .try_for_each(|(index, (wanted, got))| subset(&format!("{path}.{index}"), wanted, got)),
        (wanted, got) if wanted == got => Ok(()),
        (wanted, got) => Err(format!("`{path}` is {got}, expected {wanted}")),
    }
}
