//! `set_stock`: absolute quantities, compared and set, up to 250 in one call.
//!
//! Every round reads what is available now, leaves out what is so already, and writes the rest on condition that nothing
//! changed in between. What did change is read again in the next round.

use crate::{
    Shopify,
    graphql::{ACTIVATE_ITEM, FIND_ITEMS, Nodes, SET_QUANTITIES, UserError, quoted, refused},
    wire::gid,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Decimal, Performed, SetStock};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Outcome = Result<Performed, CallError>;

const OPERATION: &str = SET_QUANTITIES.name;
/// The first round and three more for what changed in between.
const ROUNDS: u32 = 4;
/// Pages of items that share a SKU with another.
const MOST_PAGES: usize = 8;

/// One ask, checked.
struct Wanted<'a> {
    /// Place in the batch.
    place: usize,
    key: Uuid,
    sku: &'a str,
    quantity: i64,
    expected: Option<i64>,
}

/// What the shop has of a SKU at a location.
struct Item {
    id: String,
    /// `None`: not stocked there.
    available: Option<i64>,
}

/// One quantity as `inventorySetQuantities` takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    inventory_item_id: String,
    location_id: String,
    quantity: i64,
    change_from_quantity: i64,
}

impl PerformBatch<SetStock> for Shopify {
    const REPEAT: Repeat = Repeat::VendorKey;
    const MAX: usize = 250;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetStock>]) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = asks.iter().map(|_| None).collect();
        let mut by_location: BTreeMap<&str, Vec<Wanted>> = BTreeMap::new();
        for (place, ask) in asks.iter().enumerate() {
            match wanted(place, ask) {
                Ok((location, wanted)) => by_location.entry(location).or_default().push(wanted),
                Err(error) => outcomes[place] = Some(Err(error)),
            }
        }
        for (location, wanted) in by_location {
            self.set_at(api, location, wanted, &mut outcomes).await;
        }
        outcomes.into_iter().map(|it| it.unwrap_or_else(|| Err(still_changing()))).collect()
    }
}

fn still_changing() -> CallError {
    CallError::transient(OPERATION, "the quantity went on changing in the shop while it was being set")
}

fn wanted<'a>(place: usize, ask: &Ask<'a, SetStock>) -> Result<(&'a str, Wanted<'a>), CallError> {
    let stock = &ask.verb.stock;
    let around = ask.around;
    let location = around.maps.translate(OPERATION, "location", &stock.location)?;
    if !location.starts_with("gid://shopify/Location/") {
        return Err(CallError::config(
            OPERATION,
            format!(
                "location `{}` is not one of the shop's; add `\"{}\" = \"gid://shopify/Location/…\"` to [maps.location]",
                stock.location, stock.location
            ),
        ));
    }
    let sku =
        stock.sku.as_deref().filter(|sku| !sku.is_empty()).ok_or_else(|| CallError::data(OPERATION, "the item has no SKU"))?;
    let available = stock.available.ok_or_else(|| CallError::data(OPERATION, format!("`{sku}` has no quantity")))?;
    let quantity = whole(available)
        .ok_or_else(|| CallError::data(OPERATION, format!("`{sku}`: Shopify takes whole quantities only, not {available}")))?;
    let wanted = Wanted { place, key: around.key, sku, quantity, expected: ask.verb.expected };
    Ok((location, wanted))
}

fn whole(quantity: Decimal) -> Option<i64> {
    quantity.is_integer().then(|| i64::try_from(quantity.trunc()).ok()).flatten()
}

impl Shopify {
    async fn set_at(&self, api: &Api, location: &str, mut pending: Vec<Wanted<'_>>, outcomes: &mut [Option<Outcome>]) {
        for round in 0..ROUNDS {
            let items = match self.find_items(api, location, &pending).await {
                Ok(items) => items,
                Err(error) => return settle_all(&pending, &error, outcomes),
            };
            let mut changes = Vec::new();
            let mut changed = Vec::new();
            let mut seen = BTreeSet::new();
            for wanted in pending {
                match self.step(api, location, &wanted, &items, &mut seen).await {
                    Ok(None) => outcomes[wanted.place] = Some(Ok(Performed::unchanged())),
                    Ok(Some(Step::Done)) => outcomes[wanted.place] = Some(Ok(Performed::done())),
                    Ok(Some(Step::Set(change))) => {
                        changes.push(change);
                        changed.push(wanted);
                    }
                    Err(error) => outcomes[wanted.place] = Some(Err(error)),
                }
            }
            if changes.is_empty() {
                return;
            }
            let errors = match self.set(api, &changes, key(round, &changed, &changes)).await {
                Ok(errors) => errors,
                Err(error) => return settle_all(&changed, &error, outcomes),
            };
            pending = settle(changed, &errors, outcomes);
            if pending.is_empty() {
                return;
            }
        }
    }

    /// What one wanted quantity takes; nothing when it is so already.
    async fn step(
        &self,
        api: &Api,
        location: &str,
        wanted: &Wanted<'_>,
        items: &BTreeMap<String, Vec<Item>>,
        seen: &mut BTreeSet<String>,
    ) -> Result<Option<Step>, CallError> {
        let sku = wanted.sku;
        let item = match items.get(sku).map(Vec::as_slice) {
            None | Some([]) => return Err(CallError::data(OPERATION, format!("the shop has no item with SKU `{sku}`"))),
            Some([item]) => item,
            Some(several) => {
                let count = several.len();
                return Err(CallError::data(
                    OPERATION,
                    format!("the shop has {count} items with SKU `{sku}`; it must be unique"),
                ));
            }
        };
        if !seen.insert(item.id.clone()) {
            return Err(CallError::transient(OPERATION, format!("`{sku}` stands twice in one batch for this location")));
        }
        let Some(available) = item.available else {
            return self.activate(api, location, item, wanted).await.map(Some);
        };
        if available == wanted.quantity {
            return Ok(None);
        }
        Ok(Some(Step::Set(Change {
            inventory_item_id: item.id.clone(),
            location_id: location.to_owned(),
            quantity: wanted.quantity,
            change_from_quantity: wanted.expected.unwrap_or(available),
        })))
    }

    async fn find_items(
        &self,
        api: &Api,
        location: &str,
        wanted: &[Wanted<'_>],
    ) -> Result<BTreeMap<String, Vec<Item>>, CallError> {
        let terms: BTreeSet<String> = wanted.iter().map(|it| format!("sku:{}", quoted(it.sku))).collect();
        let query = terms.into_iter().collect::<Vec<_>>().join(" OR ");
        let mut items: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let variables = json!({ "query": query, "location": location, "after": after });
            let page: Found = self.ask(api, FIND_ITEMS, variables).await?;
            for node in page.inventory_items.nodes {
                // The search is lenient about case; a SKU is not.
                let available = node.inventory_level.and_then(|level| level.quantities.first().map(|it| it.quantity));
                let item = Item { id: gid("InventoryItem", &node.id), available };
                items.entry(node.sku.unwrap_or_default()).or_default().push(item);
            }
            after = page.inventory_items.page_info.next();
            if after.is_none() {
                break;
            }
        }
        Ok(items)
    }

    async fn activate(&self, api: &Api, location: &str, item: &Item, wanted: &Wanted<'_>) -> Result<Step, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Activated {
            inventory_activate: Errors,
        }
        // The quantity is part of the key: another one is another request.
        let key = Uuid::new_v5(&wanted.key, format!("activate {location} {}", wanted.quantity).as_bytes());
        let variables = json!({ "item": item.id, "location": location, "available": wanted.quantity, "key": key });
        let Activated { inventory_activate: outcome } = self.ask(api, ACTIVATE_ITEM, variables).await?;
        refused(ACTIVATE_ITEM.name, &outcome.user_errors)?;
        Ok(Step::Done)
    }

    async fn set(&self, api: &Api, changes: &[Change], key: Uuid) -> Result<Vec<UserError>, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Set {
            inventory_set_quantities: Errors,
        }
        let input = json!({ "name": "available", "reason": "correction", "quantities": changes });
        let set: Set = self.ask(api, SET_QUANTITIES, json!({ "input": input, "key": key })).await?;
        Ok(set.inventory_set_quantities.user_errors)
    }
}

enum Step {
    Done,
    Set(Change),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    inventory_items: Nodes<FoundItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundItem {
    id: String,
    sku: Option<String>,
    inventory_level: Option<FoundLevel>,
}

#[derive(Deserialize)]
struct FoundLevel {
    quantities: Vec<FoundQuantity>,
}

#[derive(Deserialize)]
struct FoundQuantity {
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Errors {
    user_errors: Vec<UserError>,
}

/// The same request has the same key however often it is tried, and any other has another: Shopify refuses a key that
/// comes again with different quantities.
fn key(round: u32, wanted: &[Wanted<'_>], changes: &[Change]) -> Uuid {
    let keys: Vec<Uuid> = wanted.iter().map(|it| it.key).collect();
    let text = json!([round, keys, changes]).to_string();
    Uuid::new_v5(&keys.first().copied().unwrap_or_default(), text.as_bytes())
}

fn settle_all(wanted: &[Wanted<'_>], error: &CallError, outcomes: &mut [Option<Outcome>]) {
    for it in wanted {
        outcomes[it.place] = Some(Err(error.clone()));
    }
}

/// Notes what became of each, and gives back what must be tried again: Shopify sets all or none.
fn settle<'a>(changed: Vec<Wanted<'a>>, errors: &[UserError], outcomes: &mut [Option<Outcome>]) -> Vec<Wanted<'a>> {
    let mut again = Vec::new();
    for (index, wanted) in changed.into_iter().enumerate() {
        let own = errors.iter().find(|error| error.index() == Some(index));
        match own.or_else(|| errors.iter().find(|error| error.index().is_none())) {
            None if errors.is_empty() => outcomes[wanted.place] = Some(Ok(Performed::done())),
            None => again.push(wanted),
            Some(error) => match error.code() {
                "CHANGE_FROM_QUANTITY_STALE" if wanted.expected.is_none() => again.push(wanted),
                "ITEM_NOT_STOCKED_AT_LOCATION" | "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" => again.push(wanted),
                _ => outcomes[wanted.place] = Some(Err(error.to_error(OPERATION))),
            },
        }
    }
    again
}
