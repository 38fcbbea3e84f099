//! What comes over the wire: the envelope that Spindel itself sends, and bare records with their topic.

use serde::Deserialize;
use spindel_connect::{ParseError, parse};
use spindel_model::{
    Change, Customer, Dispute, EntityKind, EntityRef, Order, OrderRef, Payout, Price, Product, Record, Refund, Shipment,
    StockLevel, Timestamp, Topic, Transaction, Version,
};

#[derive(Deserialize)]
pub(crate) struct Envelope {
    data: Content,
}

#[derive(Deserialize)]
struct Content {
    entity: EntityRef,
    version: Version,
    record: Record,
}

impl Envelope {
    pub(crate) fn into_change(self, topic: Topic) -> Result<Change, ParseError> {
        let Content { entity, version, record } = self.data;
        let about = topic.entity();
        let carried = kind_of(&record).unwrap_or(about);
        if entity.kind != about || carried != about {
            let text = format!(
                "{topic} is about {about}, but `data` has an entity of kind {} and a record of kind {carried}",
                entity.kind
            );
            return Err(ParseError::Content(text));
        }
        Ok(Change { topic, entity, version, record })
    }
}

/// `None` for records that say nothing about their kind.
fn kind_of(record: &Record) -> Option<EntityKind> {
    Some(match record {
        Record::Order(_) => EntityKind::Order,
        Record::Refund(_) => EntityKind::Refund,
        Record::Transaction { .. } => EntityKind::Transaction,
        Record::Dispute(_) => EntityKind::Dispute,
        Record::Payout(_) => EntityKind::Payout,
        Record::Shipment(_) => EntityKind::Shipment,
        Record::Product(_) => EntityKind::Product,
        Record::Stock(_) => EntityKind::Stock,
        Record::Price(_) => EntityKind::Price,
        Record::Customer(_) => EntityKind::Customer,
        Record::Privacy(_) => EntityKind::Privacy,
        Record::Shop(_) => EntityKind::Shop,
        Record::Nudge | Record::Deleted => return None,
    })
}

/// The change that a bare record is, by its topic. Its version is the record's own time.
pub(crate) fn bare_change(topic: Topic, body: &[u8]) -> Result<Change, ParseError> {
    if matches!(topic, Topic::OrderDeleted | Topic::ProductDeleted | Topic::CustomerDeleted) {
        return deleted(topic, body);
    }
    let (id, version, record) = match topic.entity() {
        EntityKind::Order => {
            let it: Order = parse(body)?;
            (it.id.clone(), it.updated_at.into(), Record::Order(Box::new(it)))
        }
        EntityKind::Refund => {
            let it: Refund = parse(body)?;
            (it.id.clone(), it.created_at.into(), Record::Refund(Box::new(it)))
        }
        EntityKind::Transaction => {
            let Payment { order, transaction } = parse(body)?;
            (transaction.id.clone(), transaction.processed_at.into(), Record::Transaction { order, transaction })
        }
        EntityKind::Dispute => {
            let it: Dispute = parse(body)?;
            (it.id.clone(), it.updated_at.into(), Record::Dispute(Box::new(it)))
        }
        EntityKind::Payout => {
            let it: Payout = parse(body)?;
            (it.id.clone(), it.updated_at.into(), Record::Payout(Box::new(it)))
        }
        EntityKind::Shipment => {
            let it: Shipment = parse(body)?;
            (it.id.clone(), it.updated_at.into(), Record::Shipment(Box::new(it)))
        }
        EntityKind::Product => {
            let it: Product = parse(body)?;
            (it.id.clone(), it.updated_at.into(), Record::Product(Box::new(it)))
        }
        EntityKind::Stock => {
            let it: StockLevel = parse(body)?;
            let item = it.sku.as_ref().or(it.item_id.as_ref());
            let item = item.ok_or_else(|| ParseError::Content("a stock level needs `sku` or `item_id`".to_owned()))?;
            (format!("{item}@{}", it.location), it.as_of.into(), Record::Stock(it))
        }
        EntityKind::Price => {
            let it: Price = parse(body)?;
            (format!("{}/{}", it.sku, it.amount.currency.code()), it.as_of.into(), Record::Price(it))
        }
        EntityKind::Customer => {
            let it: Customer = parse(body)?;
            // Without a time of its own, arrival decides.
            (it.id.clone(), it.updated_at.map_or(Version::default(), Version::from), Record::Customer(Box::new(it)))
        }
        EntityKind::Shop | EntityKind::Privacy => {
            let text = format!("{topic} can only come in an envelope: {{\"type\", \"timestamp\", \"data\"}}");
            return Err(ParseError::Content(text));
        }
    };
    Ok(Change { topic, entity: EntityRef::new(topic.entity(), id), version, record })
}

#[derive(Deserialize)]
struct Payment {
    order: OrderRef,
    transaction: Transaction,
}

#[derive(Deserialize)]
struct Gone {
    id: String,
    #[serde(default)]
    updated_at: Option<Timestamp>,
}

fn deleted(topic: Topic, body: &[u8]) -> Result<Change, ParseError> {
    let gone: Gone = parse(body)?;
    Ok(Change {
        topic,
        entity: EntityRef::new(topic.entity(), gone.id),
        version: gone.updated_at.map_or(Version::default(), Version::from),
        record: Record::Deleted,
    })
}
