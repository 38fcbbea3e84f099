//! How Shopify's replies deviate from the common status table: failures with status 200, and the cost bucket.

use serde::Deserialize;
use spindel_connect::{Budget, Effect, Reply, Verdict};
use spindel_model::ErrorClass;
use std::time::Duration;

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    errors: Vec<Problem>,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
    #[serde(default)]
    extensions: ProblemExtensions,
}

#[derive(Default, Deserialize)]
struct ProblemExtensions {
    code: Option<String>,
}

#[derive(Default, Deserialize)]
struct Extensions {
    cost: Option<Cost>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    requested_query_cost: Option<f64>,
    throttle_status: ThrottleStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThrottleStatus {
    maximum_available: f64,
    currently_available: f64,
    restore_rate: f64,
}

/// <https://shopify.dev/docs/api/admin-graphql/2026-07#status-and-error-codes>
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    match reply.status {
        200 => {}
        402 => return Some(Verdict::new(ErrorClass::Auth, "the shop is frozen: its bill is not paid (HTTP 402)")),
        423 => return Some(Verdict::new(ErrorClass::Auth, "the shop is locked (HTTP 423)")),
        430 => return Some(Verdict::new(ErrorClass::RateLimited, "refused as abuse (HTTP 430)").after(Duration::from_secs(60))),
        _ => return None,
    }
    let envelope: Envelope = reply.json().ok()?;
    let throttled = envelope.errors.iter().find(|problem| problem.extensions.code.as_deref() == Some("THROTTLED"));
    throttled.or(envelope.errors.first()).map(|problem| read(problem, envelope.extensions.cost.as_ref()))
}

fn read(problem: &Problem, cost: Option<&Cost>) -> Verdict {
    // Shopify's text names fields and scopes; the cap is against the odd one that repeats what was sent.
    let text: String = problem.message.chars().take(200).collect();
    let code = problem.extensions.code.as_deref().unwrap_or_default();
    match code {
        "THROTTLED" => Verdict::new(ErrorClass::RateLimited, "throttled").after(wait(cost)),
        "ACCESS_DENIED" => Verdict::new(ErrorClass::Auth, text),
        "SHOP_INACTIVE" => Verdict::new(ErrorClass::Auth, "the shop is not active"),
        "INTERNAL_SERVER_ERROR" | "TIMEOUT" => unknown(code),
        "INVALID_VARIABLE" | "RESOURCE_NOT_FOUND" | "BAD_REQUEST" => {
            Verdict::new(ErrorClass::Data, format!("a value was refused: {code}"))
        }
        "MAX_COST_EXCEEDED" => Verdict::new(ErrorClass::Bug, "the query costs more than Shopify allows"),
        // Without `data` nothing was run: the document itself was refused.
        _ => Verdict::new(ErrorClass::Bug, format!("the query was refused: {text}")),
    }
}

fn unknown(code: &str) -> Verdict {
    Verdict { effect: Effect::Unknown, ..Verdict::new(ErrorClass::Transient, code.to_owned()) }
}

/// Until the bucket holds what the query costs.
fn wait(cost: Option<&Cost>) -> Duration {
    let seconds = cost.map_or(1.0, |cost| {
        let status = &cost.throttle_status;
        let missing = cost.requested_query_cost.unwrap_or(status.maximum_available) - status.currently_available;
        missing / status.restore_rate.max(1.0)
    });
    Duration::try_from_secs_f64(seconds.clamp(0.1, 600.0)).unwrap_or(Duration::from_secs(1))
}

pub(crate) fn budget(reply: &Reply) -> Option<Budget> {
    #[derive(Deserialize)]
    struct OnlyCost {
        extensions: Extensions,
    }
    let cost = reply.json::<OnlyCost>().ok()?.extensions.cost?;
    let status = cost.throttle_status;
    Some(Budget {
        maximum: status.maximum_available,
        available: status.currently_available,
        restore_per_second: status.restore_rate,
        asked: cost.requested_query_cost,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reply(status: u16, body: &Value) -> Reply {
        Reply { status, headers: Default::default(), body: body.to_string().into_bytes().into() }
    }

    fn failure(code: &str) -> Value {
        json!({
            "errors": [{ "message": "no", "extensions": { "code": code } }],
            "extensions": { "cost": {
                "requestedQueryCost": 400, "actualQueryCost": null,
                "throttleStatus": { "maximumAvailable": 2000.0, "currentlyAvailable": 150, "restoreRate": 100.0 },
            } },
        })
    }

    #[test]
    fn errors_with_status_200_are_read() {
        for (code, class, effect) in [
            ("THROTTLED", ErrorClass::RateLimited, Effect::None),
            ("ACCESS_DENIED", ErrorClass::Auth, Effect::None),
            ("SHOP_INACTIVE", ErrorClass::Auth, Effect::None),
            ("MAX_COST_EXCEEDED", ErrorClass::Bug, Effect::None),
            ("undefinedField", ErrorClass::Bug, Effect::None),
            ("INTERNAL_SERVER_ERROR", ErrorClass::Transient, Effect::Unknown),
        ] {
            let verdict = refine(&reply(200, &failure(code))).unwrap();
            assert_eq!((verdict.class, verdict.effect), (class, effect), "{code}");
        }
        assert_eq!(refine(&reply(200, &json!({ "data": { "shop": null } }))), None);
    }

    #[test]
    fn a_throttled_query_waits_until_the_bucket_holds_its_cost() {
        let verdict = refine(&reply(200, &failure("THROTTLED"))).unwrap();
        assert_eq!(verdict.retry_after, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_shop_that_is_frozen_or_locked_pauses_the_connection() {
        for (status, class) in [(402, ErrorClass::Auth), (423, ErrorClass::Auth), (430, ErrorClass::RateLimited)] {
            assert_eq!(refine(&reply(status, &json!({}))).unwrap().class, class, "{status}");
        }
        assert_eq!(refine(&reply(500, &json!({}))), None);
    }

    #[test]
    fn the_bucket_and_the_cost_are_read_off_every_reply() {
        let budget = budget(&reply(200, &failure("THROTTLED"))).unwrap();
        assert_eq!(budget, Budget { maximum: 2000.0, available: 150.0, restore_per_second: 100.0, asked: Some(400.0) });
    }
}
