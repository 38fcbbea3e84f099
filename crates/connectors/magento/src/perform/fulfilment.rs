//! `create_fulfilment`: a shipment with its tracks. A remark on it carries a mark by which it is found again.

use super::{at, mark, marked, path, unchanged_at};
use crate::{
    Magento,
    search::Search,
    wire::{Id, Number, item::Item, order::Order, says, shipment::Shipment as WireShipment},
};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, Maps, Perform, Repeat};
use spindel_model::{CreateFulfilment, Decimal, Performed, Shipment, ShipmentLine};

const OPERATION: &str = "create_fulfilment";
/// Shipments of one order that are looked at.
const MOST: usize = 100;

#[derive(Serialize)]
struct Body {
    items: Vec<Row>,
    notify: bool,
    #[serde(rename = "appendComment")]
    append_comment: bool,
    comment: Remark,
    tracks: Vec<Track>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Arguments>,
}

#[derive(Serialize)]
struct Row {
    order_item_id: u64,
    qty: Number,
}

#[derive(Serialize)]
pub(super) struct Remark {
    pub comment: String,
    pub is_visible_on_front: u8,
}

#[derive(Serialize)]
pub(super) struct Track {
    track_number: String,
    title: String,
    carrier_code: String,
}

#[derive(Serialize)]
struct Arguments {
    extension_attributes: Source,
}

#[derive(Serialize)]
struct Source {
    source_code: String,
}

impl Perform<CreateFulfilment> for Magento {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Performed, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, OPERATION, &ask.around, &shipment.order).await?;
        let mark = mark(&ask.around, &shipment.id);
        if self.is_there(api, &order, &mark).await? {
            return Ok(unchanged_at(&order));
        }
        if matches!(order.state.as_deref(), Some("canceled" | "closed" | "holded")) {
            let state = order.state.as_deref().unwrap_or_default();
            return Err(CallError::data(
                OPERATION,
                format!("order {} is `{state}`: nothing of it is to be sent", order.number()),
            ));
        }
        let arguments = match &shipment.location {
            Some(location) => {
                let source_code = ask.maps.translate(OPERATION, "location", location)?.to_owned();
                Some(Arguments { extension_attributes: Source { source_code } })
            }
            None => None,
        };
        let body = Body {
            items: self.rows(&order, shipment)?,
            notify: ask.verb.notify_customer,
            append_comment: false,
            comment: Remark { comment: marked(Some(&shipment.id), &mark), is_visible_on_front: 0 },
            tracks: tracks(shipment, ask.maps),
            arguments,
        };
        // It answers the number of the shipment.
        api.post(OPERATION, path(OPERATION, "order", &order, "ship")?).json(&body).fetch::<Id>().await?;
        Ok(at(&order))
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Option<Performed>, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, OPERATION, &ask.around, &shipment.order).await?;
        let there = self.is_there(api, &order, &mark(&ask.around, &shipment.id)).await?;
        Ok(there.then(|| at(&order)))
    }
}

/// `[maps.carrier]` knows what the shop calls a carrier; others are `custom`, under their own name.
pub(super) fn tracks(shipment: &Shipment, maps: &Maps) -> Vec<Track> {
    let carrier = shipment.carrier.as_deref();
    let code = carrier.and_then(|it| maps.find("carrier", it)).unwrap_or("custom");
    let title = carrier.unwrap_or("Shipment");
    let track = |it: &spindel_model::Tracking| Track {
        track_number: it.number.clone(),
        title: title.to_owned(),
        carrier_code: code.to_owned(),
    };
    shipment.tracking.iter().map(track).collect()
}

impl Track {
    pub(super) fn into_parts(self) -> (String, String, String) {
        (self.track_number, self.title, self.carrier_code)
    }
}

/// The order's line that is meant: by id and SKU, else by SKU.
pub(super) fn line_of<'a>(order: &'a Order, sent: &ShipmentLine) -> Option<&'a Item> {
    let mut counted = order.rows().counted();
    // Ids of two systems may be the same by chance.
    let same = |it: &&Item| sent.sku.is_none() || it.sku == sent.sku;
    let by_id = sent.line_id.as_deref().and_then(|id| order.rows().counted().find(|it| it.item_id.0 == id).filter(same));
    by_id.or_else(|| counted.find(|it| sent.sku.is_some() && it.sku == sent.sku))
}

impl Magento {
    pub(super) async fn shipments(
        &self,
        api: &Api,
        operation: &'static str,
        order: &Order,
    ) -> Result<Vec<WireShipment>, CallError> {
        let search = Search::new().with("order_id", "eq", order.entity_id.0.as_str()).sorted("entity_id").page(MOST, 1);
        search.list(api, operation, "shipments").await
    }

    async fn is_there(&self, api: &Api, order: &Order, mark: &str) -> Result<bool, CallError> {
        let shipments = self.shipments(api, OPERATION, order).await?;
        Ok(shipments.iter().any(|it| says(it.comments.as_ref(), mark)))
    }

    /// Always all that is meant: a list that is left out counts from what was ordered, and not from what is left.
    fn rows(&self, order: &Order, shipment: &Shipment) -> Result<Vec<Row>, CallError> {
        let mut planned: Vec<(&Item, Decimal)> = Vec::new();
        let mut plan = |line: &Item, quantity: Decimal| {
            for (row, ratio) in order.rows().sent_as(line, self.bundles_ship_separately) {
                let Some(row) = order.rows().find(&row.item_id.0).filter(|it| it.is_sent()) else { continue };
                // Half a bundle cannot be sent as a whole.
                let wanted = (quantity * ratio).ceil().min(row.to_send());
                match planned.iter_mut().find(|(it, _)| it.item_id == row.item_id) {
                    // The parts of one bundle each stand for all of it; lines of one SKU are told apart before.
                    Some((_, there)) => *there = wanted.max(*there),
                    None => planned.push((row, wanted)),
                }
            }
        };
        if shipment.lines.is_empty() {
            order.rows().counted().for_each(|line| plan(line, line.qty_ordered.or_zero()));
        }
        for (line, quantity) in divided(order, &shipment.lines)? {
            plan(line, quantity);
        }
        let rows = planned.into_iter().filter(|(_, quantity)| !quantity.is_zero()).map(|(row, quantity)| {
            let order_item_id = row.item_id.number();
            let order_item_id = order_item_id.ok_or_else(|| CallError::unexpected(OPERATION, "an item's id is no number"))?;
            Ok(Row { order_item_id, qty: Number(quantity.normalize()) })
        });
        let rows: Vec<Row> = rows.collect::<Result<_, CallError>>()?;
        if rows.is_empty() {
            return Err(CallError::data(OPERATION, format!("nothing of order {} is left to be sent", order.number())));
        }
        Ok(rows)
    }
}

/// What was sent, by the order's lines: one SKU may stand on several of them.
fn divided<'a>(order: &'a Order, sent: &[ShipmentLine]) -> Result<Vec<(&'a Item, Decimal)>, CallError> {
    let mut all: Vec<(&Item, Decimal)> = Vec::new();
    for it in sent {
        let Some(first) = line_of(order, it) else {
            let sku = it.sku.as_deref().unwrap_or("without SKU");
            return Err(CallError::data(OPERATION, format!("order {} has no line for the item `{sku}`", order.number())));
        };
        let others = order.rows().counted().filter(|row| row.item_id != first.item_id && row.sku == first.sku);
        let mut left = it.quantity;
        for row in std::iter::once(first).chain(others) {
            let taken: Decimal = all.iter().filter(|(line, _)| line.item_id == row.item_id).map(|(_, part)| *part).sum();
            let part = left.min((row.qty_ordered.or_zero() - taken).max(Decimal::ZERO));
            if part > Decimal::ZERO {
                all.push((row, part));
                left -= part;
            }
        }
    }
    let mut lines: Vec<(&Item, Decimal)> = Vec::new();
    for (row, part) in all {
        match lines.iter_mut().find(|(line, _)| line.item_id == row.item_id) {
            Some((_, there)) => *there += part,
            None => lines.push((row, part)),
        }
    }
    Ok(lines)
}
