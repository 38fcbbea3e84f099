//! Consent: given is told with its legal basis, withdrawn unsubscribes. What a person said at HubSpot later than in the shop
//! is not undone.

use crate::{
    Hubspot, PREFERENCES,
    contact::Person,
    wire::{SetStatus, Status, Statuses},
};
use serde::de::IgnoredAny;
use spindel_connect::{Api, CallError};
use spindel_model::{ConsentState, Timestamp};

const READ: &str = "read_consent";
const GIVE: &str = "give_consent";
const WITHDRAW: &str = "withdraw_consent";
const CHANNEL: &str = "EMAIL";

impl Hubspot {
    /// Of a contact that exists.
    pub(crate) async fn tell_consent(&self, api: &Api, from: &str, person: &Person) -> Result<(), CallError> {
        let given = match person.consent {
            ConsentState::Given => true,
            ConsentState::Withdrawn => false,
            ConsentState::Unknown | ConsentState::Pending => return Ok(()),
        };
        let path = format!("{PREFERENCES}/statuses/{}", encoded(&person.email));
        let Some(subscription_id) = self.subscription_id else {
            if !given {
                api.post(WITHDRAW, format!("{path}/unsubscribe-all?channel={CHANNEL}")).send().await?;
            }
            return Ok(());
        };
        let known: Statuses = api.get(READ, format!("{path}?channel={CHANNEL}")).fetch().await?;
        let status = known.results.iter().find(|it| it.subscription_id == Some(subscription_id));
        if !status.is_none_or(|it| is_newer(given, person.consent_at, it)) {
            return Ok(());
        }
        let body = SetStatus {
            channel: CHANNEL,
            status_state: if given { "SUBSCRIBED" } else { "UNSUBSCRIBED" },
            subscription_id,
            legal_basis: given.then_some("CONSENT_WITH_NOTICE"),
            legal_basis_explanation: given.then(|| explanation(from, person.consent_at)),
        };
        api.post(if given { GIVE } else { WITHDRAW }, path).json(&body).fetch::<IgnoredAny>().await?;
        Ok(())
    }
}

/// Whether what the shop says is to replace what HubSpot has.
fn is_newer(given: bool, said_at: Option<Timestamp>, known: &Status) -> bool {
    match (known.status.as_str(), given) {
        ("SUBSCRIBED", true) | ("UNSUBSCRIBED", false) => false,
        // Nobody is subscribed again without a time that is later.
        ("UNSUBSCRIBED", true) => said_at.is_some_and(|said| known.timestamp.is_some_and(|at| said > at)),
        // In doubt, who withdrew has withdrawn.
        ("SUBSCRIBED", false) => said_at.is_none_or(|said| known.timestamp.is_none_or(|at| at <= said)),
        _ => true,
    }
}

fn explanation(from: &str, at: Option<Timestamp>) -> String {
    match at {
        Some(at) => format!("Agreed to in the shop `{from}` at {at}"),
        None => format!("Agreed to in the shop `{from}`"),
    }
}

/// As one segment of a path.
fn encoded(email: &str) -> String {
    url::form_urlencoded::byte_serialize(email.as_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn replaces(given: bool, said_at: Option<&str>, status: &str, at: &str) -> bool {
        let known = serde_json::from_value(json!({ "subscriptionId": 1, "status": status, "timestamp": at })).unwrap();
        is_newer(given, said_at.map(|it| it.parse().unwrap()), &known)
    }

    #[test]
    fn the_later_word_counts_and_in_doubt_nobody_is_subscribed() {
        let (monday, tuesday) = ("2026-11-16T09:00:00Z", "2026-11-17T09:00:00Z");
        assert!(replaces(true, Some(tuesday), "UNSUBSCRIBED", monday));
        assert!(!replaces(true, Some(monday), "UNSUBSCRIBED", tuesday));
        assert!(!replaces(true, None, "UNSUBSCRIBED", monday));
        assert!(replaces(false, Some(tuesday), "SUBSCRIBED", monday));
        assert!(!replaces(false, Some(monday), "SUBSCRIBED", tuesday));
        assert!(replaces(false, None, "SUBSCRIBED", monday));
        assert!(replaces(true, None, "NOT_SPECIFIED", monday));
        assert!(!replaces(true, Some(tuesday), "SUBSCRIBED", monday));
        assert!(!replaces(false, Some(tuesday), "UNSUBSCRIBED", monday));
    }

    #[test]
    fn an_address_cannot_leave_its_segment() {
        assert_eq!(encoded("a/../b+c@example.no?x"), "a%2F..%2Fb%2Bc%40example.no%3Fx");
    }
}
