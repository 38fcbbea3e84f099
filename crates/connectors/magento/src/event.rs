//! What the names of Commerce's events mean. Of what goes with them only ids and times are used: the record is read back.

use crate::wire::{Amount, Id, Utc, order::Standing};
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{Change, EntityRef, Record, Timestamp, Topic};

/// The fields of the record that a change is told by, as far as the subscription sends them.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    entity_id: Option<Id>,
    id: Option<Id>,
    order_id: Option<Id>,
    parent_id: Option<Id>,
    state: Option<String>,
    created_at: Utc,
    updated_at: Utc,
    total_paid: Amount,
    total_due: Option<Amount>,
}

/// What an event is about.
enum About {
    Order,
    /// The order of something that is no record here: an invoice.
    ItsOrder,
    Refund,
    Shipment,
    /// The shipment of a track.
    ItsShipment,
    Product,
    NoProduct,
    Customer,
    NoCustomer,
}

/// `observer.sales_order_save_commit_after`, with or without what Adobe puts before it.
fn about(name: &str) -> Option<About> {
    let name = name.strip_prefix("com.adobe.commerce.").unwrap_or(name);
    let event = name.strip_prefix("observer.").or_else(|| name.strip_prefix("plugin."))?;
    let event = event.strip_prefix("magento.").unwrap_or(event);
    Some(match event {
        "sales_order_save_commit_after"
        | "sales_order_save_after"
        | "sales_order_place_after"
        | "checkout_submit_all_after"
        | "sales.api.order_management.place"
        | "sales.api.order_management.cancel"
        | "sales.api.order_repository.save" => About::Order,
        "sales_order_invoice_save_after" | "sales_order_invoice_save_commit_after" | "sales_order_invoice_pay" => About::ItsOrder,
        "sales_order_creditmemo_save_after" | "sales_order_creditmemo_save_commit_after" => About::Refund,
        "sales_order_shipment_save_after" | "sales_order_shipment_save_commit_after" => About::Shipment,
        "sales_order_shipment_track_save_after" | "sales_order_shipment_track_save_commit_after" => About::ItsShipment,
        "catalog_product_save_commit_after" | "catalog_product_save_after" | "catalog.api.product_repository.save" => {
            About::Product
        }
        "catalog_product_delete_commit_after" | "catalog_product_delete_after" => About::NoProduct,
        "customer_save_commit_after" | "customer_save_after" | "customer_save_after_data_object" => About::Customer,
        "customer_delete_commit_after" | "customer_delete_after" => About::NoCustomer,
        _ => return None,
    })
}

/// The change that an event means; `None` for one that no record here belongs to.
/// `at` is when it happened, where the record does not say.
pub(crate) fn meaning(name: &str, fields: &Fields, at: Option<Timestamp>) -> Result<Option<Change>, ParseError> {
    let Some(about) = about(name) else { return Ok(None) };
    let own = || fields.entity_id.as_ref().or(fields.id.as_ref());
    let (id, field, topic) = match about {
        About::Order => (own(), "entity_id", fields.topic()),
        About::ItsOrder => (fields.order_id.as_ref(), "order_id", Topic::OrderUpdated),
        About::Refund => (own(), "entity_id", Topic::RefundCreated),
        About::Shipment if fields.is_new() => (own(), "entity_id", Topic::ShipmentCreated),
        About::Shipment => (own(), "entity_id", Topic::ShipmentUpdated),
        About::ItsShipment => (fields.parent_id.as_ref(), "parent_id", Topic::ShipmentUpdated),
        About::Product if fields.is_new() => (own(), "entity_id", Topic::ProductCreated),
        About::Product => (own(), "entity_id", Topic::ProductUpdated),
        About::NoProduct => (own(), "entity_id", Topic::ProductDeleted),
        About::Customer if fields.is_new() => (own(), "entity_id", Topic::CustomerCreated),
        About::Customer => (own(), "entity_id", Topic::CustomerUpdated),
        About::NoCustomer => (own(), "entity_id", Topic::CustomerDeleted),
    };
    let missing = || ParseError::Content(format!("the event has no `{field}`: add it to the fields of its subscription"));
    let id = id.ok_or_else(missing)?.0.clone();
    let deleted = matches!(topic, Topic::ProductDeleted | Topic::CustomerDeleted);
    // A deletion has no time of its own, and comes after everything.
    let time = if deleted { Some(Timestamp::MAX) } else { fields.updated_at.0.or(at) };
    let untimed = || ParseError::Content("the event has no `updated_at`: add it to the fields of its subscription".to_owned());
    Ok(Some(Change {
        topic,
        entity: EntityRef::new(topic.entity(), id),
        version: time.ok_or_else(untimed)?.into(),
        record: if deleted { Record::Deleted } else { Record::Nudge },
    }))
}

impl Fields {
    fn is_new(&self) -> bool {
        self.created_at.0.is_some() && self.created_at == self.updated_at
    }

    fn topic(&self) -> Topic {
        let due = self.total_due.unwrap_or_default().0;
        let paid = due.is_some_and(|it| it.is_zero()) && !self.total_paid.or_zero().is_zero();
        let topic = Standing { state: self.state.as_deref(), paid }.topic();
        if topic == Topic::OrderUpdated && self.is_new() { Topic::OrderCreated } else { topic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(name: &str, fields: serde_json::Value) -> Option<(Topic, String, bool)> {
        let fields: Fields = spindel_connect::parse(fields.to_string().as_bytes()).unwrap();
        let at = Some("2026-11-20T10:00:00Z".parse().unwrap());
        meaning(name, &fields, at).unwrap().map(|it| (it.topic, it.entity.id, it.record == Record::Nudge))
    }

    #[test]
    fn an_order_is_told_by_how_it_stands() {
        let name = "com.adobe.commerce.observer.sales_order_save_commit_after";
        for (extra, topic) in [
            (json!({ "state": "canceled" }), Topic::OrderCancelled),
            (json!({ "state": "complete" }), Topic::OrderFulfilled),
            (json!({ "state": "processing", "total_paid": "397.0000", "total_due": "0.0000" }), Topic::OrderPaid),
            (json!({ "state": "processing" }), Topic::OrderUpdated),
            (
                json!({ "state": "new", "created_at": "2026-11-20 10:15:00", "updated_at": "2026-11-20 10:15:00" }),
                Topic::OrderCreated,
            ),
        ] {
            let mut fields = json!({ "entity_id": "42" });
            fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(told(name, fields), Some((topic, "42".into(), true)));
        }
    }

    #[test]
    fn what_belongs_to_a_record_changes_that_record() {
        for (name, fields, topic, id) in [
            ("observer.sales_order_invoice_save_after", json!({ "entity_id": 5, "order_id": 42 }), Topic::OrderUpdated, "42"),
            (
                "observer.sales_order_shipment_track_save_after",
                json!({ "entity_id": 5, "parent_id": 9 }),
                Topic::ShipmentUpdated,
                "9",
            ),
            ("plugin.magento.catalog.api.product_repository.save", json!({ "id": 93 }), Topic::ProductUpdated, "93"),
        ] {
            assert_eq!(told(name, fields), Some((topic, id.into(), true)), "{name}");
        }
        let gone = told("observer.catalog_product_delete_commit_after", json!({ "entity_id": "93" }));
        assert_eq!(gone, Some((Topic::ProductDeleted, "93".into(), false)));
    }

    #[test]
    fn what_is_of_no_interest_means_nothing_and_what_lacks_its_id_says_so() {
        assert_eq!(told("observer.cataloginventory_stock_item_save_commit_after", json!({ "qty": "3" })), None);
        assert_eq!(told("something.else", json!({})), None);
        let error = meaning("observer.sales_order_save_after", &Fields::default(), None).unwrap_err();
        assert!(error.to_string().contains("`entity_id`"), "{error}");
    }
}
