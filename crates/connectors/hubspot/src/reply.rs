//! How HubSpot's replies deviate from the common status table, and what of a refusal may be told.

use crate::wire::Problem;
use serde::Deserialize;
use spindel_connect::{Budget, Reply, Verdict};
use spindel_model::ErrorClass;
use std::time::Duration;

/// The day ends at midnight of the account's zone, which is not told.
const DAILY_WAIT: Duration = Duration::from_secs(3600);
const BURST_WAIT: Duration = Duration::from_secs(10);

pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    match reply.status {
        400 => Some(Verdict::new(ErrorClass::Data, refusal(&reply.json().ok()?))),
        403 => Some(Verdict::new(ErrorClass::Auth, missing_scopes(&reply.json().ok()?)?)),
        429 if reply.header("retry-after").is_none() => throttled(reply),
        // The account is being moved to another data centre.
        477 => {
            let wait = reply.header("retry-after").and_then(|it| it.parse().ok()).unwrap_or(3600);
            let verdict = Verdict::new(ErrorClass::Transient, "the account is being moved (HTTP 477)");
            Some(verdict.after(Duration::from_secs(wait)))
        }
        _ => None,
    }
}

fn throttled(reply: &Reply) -> Option<Verdict> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Throttled {
        policy_name: Option<String>,
    }
    let it: Throttled = reply.json().ok()?;
    let daily = it.policy_name.as_deref() == Some("DAILY");
    let (message, wait) = if daily { ("all calls of this day are used up", DAILY_WAIT) } else { ("throttled", BURST_WAIT) };
    Some(Verdict::new(ErrorClass::RateLimited, message).after(wait))
}

fn missing_scopes(problem: &Problem) -> Option<String> {
    let scopes = problem.category == "MISSING_SCOPES";
    scopes.then(|| "the app lacks a scope for this call; the README lists those that it needs".to_owned())
}

/// For people: category, codes and names of properties. HubSpot's own text repeats what was sent.
pub(crate) fn refusal(problem: &Problem) -> String {
    let mut text = format!("HubSpot refuses it: {}", plain(&problem.category));
    let details = problem.errors.iter().map(|it| (it.code.clone(), it.place.clone()));
    let named = values(&problem.message).into_iter().map(|it| (it.error, it.name));
    for (code, property) in details.chain(named).take(5) {
        match (code, property) {
            (Some(code), Some(property)) => text.push_str(&format!(", `{}` is {}", plain(&property), plain(&code))),
            (Some(code), None) => text.push_str(&format!(", {}", plain(&code))),
            (None, Some(property)) => text.push_str(&format!(", see `{}`", plain(&property))),
            (None, None) => {}
        }
    }
    if let Some(id) = &problem.correlation_id {
        text.push_str(&format!(" (correlation id {})", plain(id)));
    }
    text
}

#[derive(Deserialize)]
struct Value {
    name: Option<String>,
    error: Option<String>,
}

/// `Property values were not valid: [{"error":"INVALID_EMAIL","name":"email", …}]`
fn values(message: &str) -> Vec<Value> {
    let list = message.split_once(": ").map(|(_, list)| list).unwrap_or_default();
    serde_json::from_str(list).unwrap_or_default()
}

/// Codes and internal names only: a value would not look like one.
fn plain(text: &str) -> String {
    let code = text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.'));
    if code { text.chars().take(60).collect() } else { "…".to_owned() }
}

pub(crate) fn budget(reply: &Reply) -> Option<Budget> {
    let number = |name: &str| reply.header(name)?.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0);
    let maximum = number("x-hubspot-ratelimit-max").filter(|it| *it >= 1.0)?;
    let available = number("x-hubspot-ratelimit-remaining")?.min(maximum);
    let seconds = number("x-hubspot-ratelimit-interval-milliseconds").filter(|it| *it >= 1.0)? / 1000.0;
    Some(Budget { maximum, available, restore_per_second: maximum / seconds, asked: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: serde_json::Value) -> Reply {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Reply { status, headers: map, body: body.to_string().into_bytes().into() }
    }

    #[test]
    fn a_refusal_names_properties_and_codes_and_never_a_value() {
        let list = r#"[{"isValid":false,"message":"kari@ is no address","error":"INVALID_EMAIL","name":"email"}]"#;
        let body = json!({
            "status": "error", "category": "VALIDATION_ERROR", "message": format!("Property values were not valid: {list}"),
            "correlationId": "a43683b0-5717-4ceb-80b4-104d02915d8c", "errors": [{ "code": "kari@ nordmann", "message": "kari@" }],
        });
        let verdict = refine(&reply(400, &[], body)).unwrap();
        assert_eq!(verdict.class, ErrorClass::Data);
        assert_eq!(
            verdict.message,
            "HubSpot refuses it: VALIDATION_ERROR, …, `email` is INVALID_EMAIL (correlation id a43683b0-5717-4ceb-80b4-104d02915d8c)"
        );
    }

    #[test]
    fn a_day_that_is_used_up_is_waited_for_longer_than_a_burst() {
        for (policy, seconds) in [("DAILY", 3600), ("TEN_SECONDLY_ROLLING", 10)] {
            let verdict = refine(&reply(429, &[], json!({ "errorType": "RATE_LIMIT", "policyName": policy }))).unwrap();
            assert_eq!((verdict.class, verdict.retry_after), (ErrorClass::RateLimited, Some(Duration::from_secs(seconds))));
        }
        assert_eq!(refine(&reply(429, &[("retry-after", "7")], json!({ "policyName": "DAILY" }))), None);
    }

    #[test]
    fn a_move_to_another_data_centre_is_waited_for() {
        let verdict = refine(&reply(477, &[("retry-after", "86400")], json!({}))).unwrap();
        assert_eq!((verdict.class, verdict.retry_after), (ErrorClass::Transient, Some(Duration::from_secs(86_400))));
    }

    #[test]
    fn what_may_still_be_asked_is_read_off_every_reply() {
        let headers = [
            ("x-hubspot-ratelimit-max", "190"),
            ("x-hubspot-ratelimit-remaining", "150"),
            ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
        ];
        let told = budget(&reply(200, &headers, json!({}))).unwrap();
        assert_eq!(told, Budget { maximum: 190.0, available: 150.0, restore_per_second: 19.0, asked: None });
        assert_eq!(budget(&reply(200, &headers[..2], json!({}))), None);
    }
}
