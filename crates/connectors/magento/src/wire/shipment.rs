//! Shipments with their tracks. Number and lines of the order come from the order itself.

use super::{Amount, Comment, Id, Utc, filled, order::Order};
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{Decimal, ShipmentLine, ShipmentState, Timestamp, Tracking};

#[derive(Deserialize)]
pub(crate) struct Shipment {
    pub entity_id: Id,
    pub order_id: Id,
    #[serde(default)]
    pub created_at: Utc,
    #[serde(default)]
    updated_at: Utc,
    #[serde(default)]
    items: Vec<Row>,
    pub tracks: Option<Vec<Track>>,
    pub comments: Option<Vec<Comment>>,
    extension_attributes: Option<Extension>,
}

#[derive(Deserialize)]
struct Row {
    order_item_id: Id,
    #[serde(default)]
    qty: Amount,
}

#[derive(Deserialize)]
pub(crate) struct Track {
    pub track_number: Option<String>,
    title: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Extension {
    source_code: Option<String>,
}

impl Shipment {
    fn modified(&self) -> Result<Timestamp, ParseError> {
        let missing = || ParseError::Content(format!("shipment {} has no time: expected `updated_at`", self.entity_id.0));
        self.updated_at.0.or(self.created_at.0).ok_or_else(missing)
    }

    pub fn has_track(&self, number: &str) -> bool {
        self.tracks.iter().flatten().any(|it| it.track_number.as_deref().map(str::trim) == Some(number))
    }

    pub fn canonical(&self, order: &Order) -> Result<spindel_model::Shipment, ParseError> {
        let tracks = || self.tracks.iter().flatten();
        let tracking = tracks().filter_map(|it| Some(Tracking { number: filled(it.track_number.clone())?, url: None }));
        Ok(spindel_model::Shipment {
            id: self.entity_id.0.clone(),
            order: order.reference(),
            state: ShipmentState::Shipped,
            raw_state: None,
            carrier: tracks().find_map(|it| filled(it.title.clone())),
            tracking: tracking.collect(),
            lines: self.lines(order),
            completes_order: false,
            location: self.extension_attributes.as_ref().and_then(|it| filled(it.source_code.clone())),
            shipped_at: self.created_at.0,
            updated_at: self.modified()?,
        })
    }

    /// A bundle that went out as a whole is told by its lines, and parts that went out apart by their bundle.
    fn lines(&self, order: &Order) -> Vec<ShipmentLine> {
        let mut lines: Vec<ShipmentLine> = Vec::new();
        for row in &self.items {
            let Some(item) = order.rows().find(&row.order_item_id.0) else { continue };
            for (line, ratio) in order.rows().lines_of(item) {
                let quantity = (row.qty.or_zero() * ratio).normalize();
                match lines.iter_mut().find(|it| it.line_id.as_deref() == Some(&line.item_id.0)) {
                    // The parts of one bundle each stand for all of it.
                    Some(there) => there.quantity = there.quantity.max(quantity),
                    None if quantity > Decimal::ZERO => lines.push(ShipmentLine {
                        line_id: Some(line.item_id.0.clone()),
                        sku: filled(line.sku.clone()),
                        quantity,
                    }),
                    None => {}
                }
            }
        }
        lines
    }
}
