//! `create_fulfilment` and `record_tracking`. WooCommerce has no parcels: they are kept as meta data of the order, the buyer
//! gets a note with the tracking number, and the order is completed once all of it was sent.

use super::{at, meta, unchanged_at};
use crate::{
    Woocommerce,
    wire::{Id, order},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CreateFulfilment, Decimal, Order, Performed, RecordTracking, Shipment, ShipmentLine, Timestamp};

const CREATE: &str = "create_fulfilment";
const TRACK: &str = "record_tracking";
const SENT: &str = "_spindel_shipment_";
const TRACKED: &str = "_spindel_tracking_";

/// What is kept of a parcel.
#[derive(Serialize)]
struct Parcel<'a> {
    carrier: Option<&'a str>,
    state: spindel_model::ShipmentState,
    raw_state: Option<&'a str>,
    tracking: &'a [spindel_model::Tracking],
    lines: &'a [ShipmentLine],
    shipped_at: Option<Timestamp>,
    updated_at: Timestamp,
}

impl<'a> From<&'a Shipment> for Parcel<'a> {
    fn from(it: &'a Shipment) -> Self {
        Self {
            carrier: it.carrier.as_deref(),
            state: it.state,
            raw_state: it.raw_state.as_deref(),
            tracking: &it.tracking,
            lines: &it.lines,
            shipped_at: it.shipped_at,
            updated_at: it.updated_at,
        }
    }
}

impl Perform<CreateFulfilment> for Woocommerce {
    /// The parcel on the order is written last: where it is, all is done.
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Performed, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, CREATE, &ask.around, &shipment.order).await?;
        if has(&order, shipment) {
            return Ok(unchanged_at(&order));
        }
        if matches!(order.status.as_str(), "cancelled" | "refunded" | "failed" | "trash") {
            let message = format!("order {} is `{}`: nothing of it is to be sent", order.id.0, order.status);
            return Err(CallError::data(CREATE, message));
        }
        let complete = self.is_all(api, &order, shipment).await?;
        if ask.verb.notify_customer && !shipment.tracking.is_empty() {
            self.tell_buyer(api, &order, shipment).await?;
        }
        let mut body = json!({ "meta_data": [meta(&key(SENT, shipment), Parcel::from(shipment))] });
        if complete && order.status != "completed" {
            body["status"] = "completed".into();
        }
        self.write_order(api, CREATE, &order, &body).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Option<Performed>, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, CREATE, &ask.around, &shipment.order).await?;
        Ok(has(&order, shipment).then(|| at(&order)))
    }
}

impl Perform<RecordTracking> for Woocommerce {
    /// One entry for each parcel, overwritten.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordTracking>) -> Result<Performed, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, TRACK, &ask.around, &shipment.order).await?;
        let body = json!({ "meta_data": [meta(&key(TRACKED, shipment), Parcel::from(shipment))] });
        self.write_order(api, TRACK, &order, &body).await
    }
}

fn key(prefix: &str, shipment: &Shipment) -> String {
    let id: String = shipment.id.chars().take(150).collect();
    format!("{prefix}{id}")
}

fn has(order: &order::Order, shipment: &Shipment) -> bool {
    let key = key(SENT, shipment);
    order.meta_data.iter().any(|it| it.key == key)
}

impl Woocommerce {
    /// Whether nothing is left of the order once this and the parcels before it are gone.
    async fn is_all(&self, api: &Api, order: &order::Order, shipment: &Shipment) -> Result<bool, CallError> {
        if shipment.lines.is_empty() {
            return Ok(true);
        }
        let whole = self.whole(api, CREATE, order).await?;
        let mut left = open_lines(&whole);
        for line in earlier(order) {
            take(&mut left, &line);
        }
        for line in &shipment.lines {
            if !take(&mut left, line) {
                let sku = line.sku.as_deref().unwrap_or("without SKU");
                return Err(CallError::data(CREATE, format!("order {} has no line for the item `{sku}`", order.id.0)));
            }
        }
        Ok(left.iter().all(|it| it.quantity <= Decimal::ZERO))
    }

    async fn tell_buyer(&self, api: &Api, order: &order::Order, shipment: &Shipment) -> Result<(), CallError> {
        #[derive(Deserialize)]
        struct Note {
            #[serde(default)]
            note: String,
        }
        #[derive(Deserialize)]
        struct Made {
            #[serde(rename = "id")]
            _id: Id,
        }
        let resource = format!("/orders/{}/notes", crate::read::checked(CREATE, &order.id.0)?);
        let told: Vec<Note> = api.get(CREATE, self.path(&resource, &[("type", "customer")])).fetch().await?;
        if shipment.tracking.iter().all(|it| told.iter().any(|note| note.note.contains(&it.number))) {
            return Ok(());
        }
        let tracking = shipment.tracking.iter().map(|it| match &it.url {
            Some(url) => format!("{} {url}", it.number),
            None => it.number.clone(),
        });
        let tracking = tracking.collect::<Vec<_>>().join(", ");
        let carrier = shipment.carrier.as_deref().unwrap_or("-");
        let note = self.shop.shipment_note.replace("{carrier}", carrier).replace("{tracking}", &tracking);
        let body = json!({ "note": note, "customer_note": true });
        api.post(CREATE, self.path(&resource, &[])).json(&body).fetch::<Made>().await.map(|_| ())
    }
}

/// What is still to be sent of one line.
struct Open {
    id: String,
    sku: Option<String>,
    quantity: Decimal,
}

fn open_lines(order: &Order) -> Vec<Open> {
    let open = order.lines.iter().map(|it| Open {
        id: it.id.clone(),
        sku: it.sku.clone(),
        quantity: it.quantity - it.quantity_refunded,
    });
    open.collect()
}

/// Takes what was sent off the lines; false when no line is its.
fn take(left: &mut [Open], sent: &ShipmentLine) -> bool {
    let by_id = sent.line_id.is_some() && left.iter().any(|it| Some(&it.id) == sent.line_id.as_ref());
    let fits = |it: &Open| match by_id {
        true => Some(&it.id) == sent.line_id.as_ref(),
        false => sent.sku.is_some() && it.sku == sent.sku,
    };
    let mut quantity = sent.quantity;
    let mut found = false;
    // The same SKU may stand on several lines.
    for line in left.iter_mut().filter(|it| fits(it)) {
        found = true;
        let part = quantity.min(line.quantity).max(Decimal::ZERO);
        line.quantity -= part;
        quantity -= part;
    }
    found
}

/// Lines of the parcels that are on the order already.
fn earlier(order: &order::Order) -> Vec<ShipmentLine> {
    #[derive(Deserialize)]
    struct Kept {
        #[serde(default)]
        lines: Vec<ShipmentLine>,
    }
    let parcels = order.meta_data.iter().filter(|it| it.key.starts_with(SENT));
    parcels.filter_map(|it| serde_json::from_value::<Kept>(it.value.clone()).ok()).flat_map(|it| it.lines).collect()
}
