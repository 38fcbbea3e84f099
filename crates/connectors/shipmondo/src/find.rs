//! How a booking is named and found again: Shipmondo filters by time and not by reference.

use crate::{Shipmondo, wire};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Shipment, ShipmentState, Timestamp, Tracking};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;

const PER_PAGE: usize = 50;

/// Order number and connection, so that two shops with one number are told apart: `1042@shop`.
pub(crate) fn reference(operation: &'static str, order: &OrderRef, from: &str) -> Result<String, CallError> {
    let number = order.number.as_deref().or(order.id.as_deref()).unwrap_or_default().trim().trim_start_matches('#');
    if number.is_empty() {
        return Err(CallError::data(operation, "the order has no number, by which its booking is found again"));
    }
    Ok(format!("{number}@{from}"))
}

/// The order number in a reference of ours. A connection's name has no dots, so an e-mail address is none.
fn marked(reference: &str) -> Option<&str> {
    let (number, from) = reference.rsplit_once('@')?;
    let is_name = from.starts_with(|it: char| it.is_ascii_lowercase())
        && from.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '_' | '-'));
    (is_name && !number.trim().is_empty()).then_some(number)
}

/// Whether Spindel booked it. What people make of a shipment of ours, as its return, may have our reference, too.
pub(crate) fn is_ours(shipment: &wire::Shipment) -> bool {
    let by_api = shipment.source_type.as_deref().is_none_or(|it| it == "api");
    by_api && shipment.reference.as_deref().and_then(marked).is_some()
}

/// What a shipment tells of its order: our own reference, or what a person or another system wrote.
pub(crate) fn order_of(shipment: &wire::Shipment) -> OrderRef {
    let reference = shipment.reference.as_deref().unwrap_or_default();
    let number = marked(reference).or(shipment.order_id.as_deref()).unwrap_or(reference).trim();
    OrderRef { id: None, number: (!number.is_empty()).then(|| number.to_owned()) }
}

pub(crate) fn shipment(from: &wire::Shipment, order: OrderRef, state: ShipmentState) -> Shipment {
    Shipment {
        id: from.id.clone(),
        order,
        state,
        raw_state: None,
        carrier: from.carrier_code.clone(),
        tracking: from.numbers().into_iter().map(|number| Tracking { number, url: None }).collect(),
        lines: Vec::new(),
        completes_order: false,
        location: None,
        shipped_at: None,
        updated_at: from.updated_at,
    }
}

/// When the action was first asked for: its key tells.
fn asked_at(around: &Around<'_>) -> Option<Timestamp> {
    let (seconds, _) = around.key.get_timestamp()?.to_unix();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// When bookings were last sent from here, by the keys of their actions. What a restart forgets is told by the key itself.
#[derive(Default)]
pub(crate) struct Sent(Mutex<BTreeMap<Uuid, Timestamp>>);

impl Sent {
    pub(crate) fn now(&self, around: &Around<'_>) {
        const MOST: usize = 10_000;
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(around.key, around.now);
        while sent.len() > MOST {
            // Keys sort by their age.
            sent.pop_first();
        }
    }

    /// For how long nothing found does not mean that there is nothing: new records reach Shipmondo's lists with a delay.
    pub(crate) fn still_hidden(&self, around: &Around<'_>) -> Option<Duration> {
        const LISTED_AFTER: Duration = Duration::from_secs(10 * 60);
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&around.key).copied();
        let age = Duration::try_from(around.now.duration_since(sent.max(asked_at(around))?)).unwrap_or_default();
        LISTED_AFTER.checked_sub(age).filter(|it| !it.is_zero())
    }
}

/// Where a search begins: a little before the action was asked for, and no longer ago than a month.
pub(crate) fn since(around: &Around<'_>) -> Timestamp {
    let month_ago = around.now - jiff::SignedDuration::from_hours(30 * 24);
    let asked = asked_at(around).map(|it| it - jiff::SignedDuration::from_mins(10));
    asked.unwrap_or(month_ago).max(month_ago).min(around.now)
}

impl Shipmondo {
    /// The newest shipment with this reference since then, but for one that is known to be cancelled.
    pub(crate) async fn find(
        &self,
        api: &Api,
        operation: &'static str,
        reference: &str,
        since: Timestamp,
        cancelled: Option<&str>,
    ) -> Result<Option<wire::Shipment>, CallError> {
        const MOST_PAGES: usize = 40;
        let mut newest: Option<wire::Shipment> = None;
        for page in 1..=MOST_PAGES {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("created_at_min", &since.to_string())
                .append_pair("per_page", &PER_PAGE.to_string())
                .append_pair("page", &page.to_string())
                .finish();
            let found: Vec<wire::Shipment> = api.get(operation, format!("/shipments?{query}")).fetch().await?;
            let full = found.len() >= PER_PAGE;
            let mine = |it: &wire::Shipment| it.reference.as_deref() == Some(reference) && cancelled != Some(it.id.as_str());
            newest = found.into_iter().filter(mine).chain(newest).max_by_key(|it| it.created_at);
            if !full {
                return Ok(newest);
            }
        }
        if newest.is_some() {
            return Ok(newest);
        }
        Err(CallError::data(
            operation,
            format!("Shipmondo has too many shipments to search; look for the reference {reference} there"),
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shipment(reference: Option<&str>, order_id: Option<&str>) -> wire::Shipment {
        let json =
            serde_json::json!({ "id": 1, "updated_at": "2026-11-20T10:00:00Z", "reference": reference, "order_id": order_id });
        serde_json::from_str(&json.to_string()).unwrap()
    }

    #[test]
    fn a_booking_is_named_by_order_and_connection_and_names_its_order() {
        let order = OrderRef { id: Some("5001".into()), number: Some("#1042".into()) };
        assert_eq!(reference("book", &order, "shop").unwrap(), "1042@shop");
        assert!(reference("book", &OrderRef::default(), "shop").is_err());
        for (reference, order_id, number) in [
            (Some("1042@shop"), Some("other"), Some("1042")),
            (Some("Gave"), Some("1043"), Some("1043")),
            (Some("1044"), None, Some("1044")),
            (Some("1045@shop"), None, Some("1045")),
            (Some("kari@example.dk"), Some("1046"), Some("1046")),
            (None, None, None),
        ] {
            assert_eq!(order_of(&shipment(reference, order_id)).number.as_deref(), number);
        }
    }

    #[test]
    fn what_was_booked_from_here_is_known_by_its_reference_and_its_source() {
        for (reference, source, ours) in [
            (Some("1042@shop"), Some("api"), true),
            (Some("1042@my_shop-2"), None, true),
            (Some("1042@shop"), Some("return"), false),
            (Some("1042@shop"), Some("manual"), false),
            (Some("kari@example.dk"), Some("api"), false),
            (Some("1042@"), Some("api"), false),
            (Some("@shop"), Some("api"), false),
            (Some("1042"), Some("api"), false),
            (None, Some("api"), false),
        ] {
            let shipment = wire::Shipment { source_type: source.map(str::to_owned), ..shipment(reference, None) };
            assert_eq!(is_ours(&shipment), ours, "{reference:?} {source:?}");
        }
    }

    #[test]
    fn a_search_begins_before_the_booking_and_waits_for_the_list() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let maps = spindel_connect::Maps::default();
        let around = |minutes: i64| {
            let at = now - jiff::SignedDuration::from_mins(minutes);
            let at = uuid::Timestamp::from_unix(uuid::NoContext, u64::try_from(at.as_second()).unwrap(), 0);
            Around { from: "shop", key: Uuid::new_v7(at), known: None, maps: &maps, attempt: 2, now }
        };
        assert_eq!(since(&around(5)).to_string(), "2026-11-20T09:45:00Z");
        assert_eq!(since(&around(60 * 24 * 90)).to_string(), "2026-10-21T10:00:00Z");
        let sent = Sent::default();
        assert_eq!(sent.still_hidden(&around(4)), Some(Duration::from_secs(360)));
        assert_eq!(sent.still_hidden(&around(10)), None);
        let keyless = Around { key: Uuid::nil(), ..around(0) };
        assert_eq!((since(&keyless).to_string(), sent.still_hidden(&keyless)), ("2026-10-21T10:00:00Z".to_owned(), None));
    }

    #[test]
    fn a_booking_that_was_sent_late_is_waited_for_as_long_as_any_other() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let maps = spindel_connect::Maps::default();
        let asked = uuid::Timestamp::from_unix(uuid::NoContext, u64::try_from(now.as_second()).unwrap() - 3600, 0);
        let first = Around { from: "shop", key: Uuid::new_v7(asked), known: None, maps: &maps, attempt: 5, now };
        let sent = Sent::default();
        sent.now(&first);
        let later = |minutes| Around { now: now + jiff::SignedDuration::from_mins(minutes), ..first };
        assert_eq!(sent.still_hidden(&later(1)), Some(Duration::from_secs(540)));
        assert_eq!(sent.still_hidden(&later(10)), None);
        let other = Around { key: Uuid::nil(), ..later(1) };
        assert_eq!(sent.still_hidden(&other), None);
    }
}
