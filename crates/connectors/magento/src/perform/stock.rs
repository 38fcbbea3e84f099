//! `set_stock`: quantities of source items, a hundred at a time. Magento cannot compare and set.

use super::{
    bulk,
    catalogue::{MAX, ROWS},
};
use crate::{
    Magento,
    read::SourceItem,
    settings::Writing,
    wire::{Flag, Number},
};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Decimal, ErrorClass, Performed, SetStock};
use std::collections::{BTreeMap, BTreeSet};

const OPERATION: &str = "set_stock";
const RESOURCE: &str = "inventory/source-items";

type Outcome = Result<Performed, CallError>;

#[derive(Clone, Serialize)]
struct Row {
    sku: String,
    source_code: String,
    quantity: Number,
    status: u8,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "sourceItems")]
    source_items: &'a [Row],
}

/// What is asked for one SKU at one source.
struct Wanted {
    sku: String,
    source: String,
    quantity: Decimal,
    expected: Option<i64>,
}

impl PerformBatch<SetStock> for Magento {
    /// The quantity is set, not added.
    const REPEAT: Repeat = Repeat::Harmless;
    const MAX: usize = MAX;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetStock>]) -> Vec<Outcome> {
        let wanted: Vec<Result<Wanted, CallError>> = asks.iter().map(wanted).collect();
        let there = match self.there(api, &wanted).await {
            Ok(there) => there,
            Err(error) => return wanted.into_iter().map(|it| Err(it.err().unwrap_or_else(|| error.clone()))).collect(),
        };
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(asks.len());
        for (place, it) in wanted.into_iter().enumerate() {
            let planned = it.and_then(|it| {
                if !seen.insert((it.sku.clone(), it.source.clone())) {
                    return Err(CallError::transient(OPERATION, "the same item stands twice in one batch"));
                }
                Ok((at(&it.sku, &it.source), there.plan(&it)?))
            });
            outcomes.push(match planned {
                Err(error) => Err(error),
                Ok((at, None)) => Ok(Performed { unchanged: true, ..at }),
                Ok((at, Some(row))) => {
                    rows.push((place, row));
                    Ok(at)
                }
            });
        }
        for (place, written) in self.write_stock(api, rows).await {
            if let (Err(error), Some(outcome)) = (written, outcomes.get_mut(place)) {
                *outcome = Err(error);
            }
        }
        outcomes
    }
}

fn at(sku: &str, source: &str) -> Performed {
    Performed::at(format!("{sku}@{source}"))
}

fn wanted(ask: &Ask<'_, SetStock>) -> Result<Wanted, CallError> {
    let stock = &ask.verb.stock;
    let sku = stock.sku.as_deref().filter(|it| !it.is_empty());
    let sku = sku.ok_or_else(|| CallError::data(OPERATION, "the item has no SKU"))?;
    // Magento keeps what is reserved apart, and takes it off what lies there: taken off already, it would be so twice.
    let quantity = stock.on_hand.or(stock.available);
    let quantity = quantity.ok_or_else(|| CallError::data(OPERATION, "the stock level has no quantity"))?;
    Ok(Wanted {
        sku: sku.to_owned(),
        source: ask.maps.translate(OPERATION, "location", &stock.location)?.to_owned(),
        quantity: quantity.max(Decimal::ZERO).round_dp(4).normalize(),
        expected: ask.verb.expected,
    })
}

/// What the shop has of the SKUs of one batch.
struct There {
    rows: BTreeMap<(String, String), SourceItem>,
    /// Products that have no row yet at a source that is asked for.
    products: BTreeSet<String>,
}

impl There {
    fn plan(&self, wanted: &Wanted) -> Result<Option<Row>, CallError> {
        let Wanted { sku, source, quantity, expected } = wanted;
        let there = self.rows.get(&(sku.clone(), source.clone()));
        if there.is_none() && !self.products.contains(sku) {
            return Err(CallError::data(OPERATION, format!("the shop has no product with SKU `{sku}`")));
        }
        let now = there.map(|it| it.quantity.or_zero().normalize());
        if now == Some(*quantity) {
            return Ok(None);
        }
        if let (Some(expected), Some(now)) = (expected, now)
            && now != Decimal::from(*expected)
        {
            let message = format!("the shop has {now} and not {expected} as expected: it was left as it is");
            return Err(CallError::data(OPERATION, message));
        }
        let row = Row {
            sku: sku.clone(),
            source_code: source.clone(),
            quantity: Number(*quantity),
            status: u8::from(is_in_stock(there, *quantity)),
        };
        Ok(Some(row))
    }
}

/// What a person said of it stays: sold out with goods on the shelf, or on sale without.
fn is_in_stock(there: Option<&SourceItem>, quantity: Decimal) -> bool {
    let some = |it: Decimal| it > Decimal::ZERO;
    match there {
        Some(SourceItem { quantity: now, status: Flag(status), .. }) if some(now.or_zero()) == some(quantity) => *status,
        _ => some(quantity),
    }
}

impl Magento {
    async fn there(&self, api: &Api, wanted: &[Result<Wanted, CallError>]) -> Result<There, CallError> {
        let wanted = || wanted.iter().filter_map(|it| it.as_ref().ok());
        let mut rows = BTreeMap::new();
        for source in wanted().map(|it| it.source.as_str()).collect::<BTreeSet<_>>() {
            let skus: BTreeSet<&str> = wanted().filter(|it| it.source == source).map(|it| it.sku.as_str()).collect();
            let here = |search: crate::search::Search| search.with("source_code", "eq", source);
            let found: Vec<SourceItem> = self.about(api, OPERATION, RESOURCE, &skus, here).await?;
            rows.extend(found.into_iter().map(|it| ((it.sku.clone(), it.source_code.clone()), it)));
        }
        // A row can be written for a SKU that no product has, and nobody would ever see it.
        let missing = wanted().filter(|it| !rows.contains_key(&(it.sku.clone(), it.source.clone())));
        let missing: BTreeSet<&str> = missing.map(|it| it.sku.as_str()).collect();
        let products = self.by_sku(api, OPERATION, &missing).await?.into_keys().collect();
        Ok(There { rows, products })
    }

    async fn write_stock(&self, api: &Api, rows: Vec<(usize, Row)>) -> Vec<(usize, Result<(), CallError>)> {
        let (places, rows): (Vec<usize>, Vec<Row>) = rows.into_iter().unzip();
        let written = match self.stock {
            Writing::Bulk => {
                let bodies: Vec<Body<'_>> = rows.chunks(1).map(|source_items| Body { source_items }).collect();
                bulk::write(api, OPERATION, RESOURCE, &bodies).await
            }
            Writing::Direct => {
                let mut written = Vec::with_capacity(rows.len());
                for rows in rows.chunks(ROWS) {
                    written.extend(directly(api, rows).await);
                }
                written
            }
        };
        places.into_iter().zip(written).collect()
    }
}

/// One row that is refused makes the shop refuse them all: then each is sent by itself.
async fn directly(api: &Api, rows: &[Row]) -> Vec<Result<(), CallError>> {
    match post(api, rows).await {
        Err(error) if error.class == ErrorClass::Data && rows.len() > 1 => {
            let mut written = Vec::with_capacity(rows.len());
            for row in rows.chunks(1) {
                written.push(post(api, row).await);
            }
            written
        }
        outcome => rows.iter().map(|_| outcome.clone()).collect(),
    }
}

async fn post(api: &Api, source_items: &[Row]) -> Result<(), CallError> {
    let path = format!("/all/V1/{RESOURCE}");
    // It answers an empty list; a page would be no answer of Magento's.
    api.post(OPERATION, path).json(&Body { source_items }).fetch::<serde::de::IgnoredAny>().await.map(|_| ())
}
