//! Posted shipments of orders that came through Spindel.

use super::{Position, Row, since};
use crate::{BusinessCentral, wire::SalesShipment};
use jiff::{civil::Date, tz::TimeZone};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{
    Change, Decimal, EntityKind, EntityRef, OrderRef, Record, Shipment, ShipmentLine, ShipmentState, Timestamp, Topic, Version,
};

impl Row for SalesShipment {
    fn number(&self) -> &str {
        &self.number
    }

    fn changed_at(&self) -> Option<Timestamp> {
        Some(self.last_modified_date_time)
    }
}

impl Poll<Shipment> for BusinessCentral {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let position = Position::read(cursor, now)?;
        let mut terms = position.terms();
        terms.push("externalDocumentNumber ne ''".to_owned());
        let expand = [("$expand", "salesShipmentLines")];
        let found: Vec<SalesShipment> = self.rows(api, "poll_shipments", "salesShipments", &terms, &expand).await?;
        let changes = found.iter().filter_map(|it| self.shipped(it)).collect();
        let (cursor, more) = position.after(&found);
        Ok(Page { changes, cursor, more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(since(at))
    }
}

impl BusinessCentral {
    /// `None` for a shipment whose order did not come through Spindel.
    fn shipped(&self, shipment: &SalesShipment) -> Option<Change> {
        let lines: Vec<_> = shipment.sales_shipment_lines.iter().filter_map(|it| Some((it, it.mark()?))).collect();
        if lines.is_empty() {
            return None;
        }
        let goods = lines.iter().filter(|(line, mark)| mark.key.starts_with('L') && line.quantity.0 > Decimal::ZERO);
        let lines = goods.map(|(line, mark)| ShipmentLine {
            line_id: mark.line_id().map(str::to_owned),
            sku: Some(line.line_object_number.clone()).filter(|it| line.line_type == "Item" && !it.is_empty()),
            quantity: line.quantity.0.normalize(),
        });
        let lines: Vec<ShipmentLine> = lines.collect();
        // A list without goods would mean all that is left of the order.
        if lines.is_empty() {
            return None;
        }
        let number = self.source_number(&shipment.external_document_number);
        Some(Change {
            topic: Topic::ShipmentUpdated,
            entity: EntityRef::new(EntityKind::Shipment, &shipment.id),
            version: Version::from(shipment.last_modified_date_time),
            record: Record::Shipment(Box::new(Shipment {
                id: shipment.id.clone(),
                order: OrderRef { id: None, number: Some(number) },
                state: ShipmentState::Shipped,
                raw_state: None,
                carrier: None,
                tracking: Vec::new(),
                lines,
                completes_order: false,
                location: None,
                shipped_at: shipment.posting_date.as_deref().and_then(midnight),
                updated_at: shipment.last_modified_date_time,
            })),
        })
    }
}

/// An empty date is the first day of the year 1.
fn midnight(day: &str) -> Option<Timestamp> {
    let day: Date = day.parse().ok().filter(|it: &Date| it.year() > 1)?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
