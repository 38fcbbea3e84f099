//! Lists and what narrows them: pages of at most 50, told by headers.

use crate::shipmondo::{
    api::{Query, Refused, Reply},
    state::{Shipment, State},
    webhooks::Webhook,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

const MOST_A_PAGE: usize = 50;

/// The newest first. A shipment is not in here at once.
pub(crate) fn shipments(state: &State, query: &Query) -> Result<Reply, Refused> {
    let (from, until) = (moment(query, "created_at_min")?, moment(query, "created_at_max")?);
    let listed_until = state.now() - state.options.list_lag;
    let fits = |it: &&Shipment| {
        let is = |name: &str, value: Option<&str>| query.get(name).is_none_or(|asked| Some(asked.as_str()) == value);
        let numbered = |asked: &String| it.numbers().any(|number| number == asked);
        it.created_at <= listed_until
            && from.is_none_or(|from| it.created_at >= from)
            && until.is_none_or(|until| it.created_at <= until)
            && is("id", Some(&it.id.to_string()))
            && is("order_id", it.order_id.as_deref())
            && is("carrier_code", Some(it.product.carrier))
            && query.get("package_number").is_none_or(numbered)
    };
    page(state.shipments.values().rev().filter(fits).map(Shipment::json).collect(), query)
}

pub(crate) fn webhooks(state: &State, query: &Query) -> Result<Reply, Refused> {
    let fits = |it: &&Webhook| {
        query.get("name").is_none_or(|asked| *asked == it.name)
            && query.get("active").is_none_or(|asked| *asked == it.active.to_string())
            && query.get("id").is_none_or(|asked| *asked == it.id.to_string())
    };
    page(state.webhooks.values().filter(fits).map(Webhook::json).collect(), query)
}

/// What the monitor knows of these shipments; others are left out.
pub(crate) fn monitor(state: &State, query: &Query) -> Result<Reply, Refused> {
    let ids = query.get("ids").ok_or_else(|| Refused::invalid("ids"))?;
    let known = ids.split(',').filter_map(|it| state.shipments.get(&it.trim().parse().ok()?));
    page(known.map(Shipment::monitor).collect(), query)
}

fn page(all: Vec<Value>, query: &Query) -> Result<Reply, Refused> {
    let number = |name: &str, otherwise: usize| {
        let asked = query.get(name).map_or(Ok(otherwise), |it| it.parse());
        asked.ok().filter(|it| *it > 0).ok_or_else(|| Refused::invalid(name))
    };
    let (page, per_page) = (number("page", 1)?, number("per_page", 20)?.min(MOST_A_PAGE));
    let (count, pages) = (all.len(), all.len().div_ceil(per_page));
    let body = all.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let headers = [("X-Current-Page", page), ("X-Per-Page", per_page), ("X-Total-Count", count), ("X-Total-Pages", pages)];
    Ok(Reply { body, headers: headers.map(|(name, value)| (name, value.to_string())).into() })
}

/// A moment, or a day.
fn moment(query: &Query, name: &str) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp());
    text.parse().ok().or_else(day).map(Some).ok_or_else(|| Refused::invalid(name))
}
