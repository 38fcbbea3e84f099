//! Shipments to customers that left, with what is in them and how to follow them.

use super::{PAGE, PARTS, from};
use crate::{
    Tryton,
    perform::{order_of, row_of},
    records::{ShipmentOut, SoldBy, SoldLine},
    rpc::Rpc,
    wire,
};
use serde_json::{Map, Value, json};
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Read, Round};
use spindel_model::{Change, OrderRef, Shipment, ShipmentLine, ShipmentState, Timestamp, Topic, Tracking};
use std::collections::{BTreeMap, BTreeSet, HashMap};

impl Poll<Shipment> for Tryton {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_shipments";
        let rpc = self.rpc(api);
        let round = Round::read(cursor, now, None)?;
        let domain = json!([
            ["state", "in", ["shipped", "done"]],
            ["company", "=", self.config.company],
            ["last_modified_at", ">=", from(&round)],
            ["id", ">", round.id()]
        ]);
        let found = shipments(&rpc, OPERATION, domain, PAGE).await?;
        let sold = sold_lines(&rpc, OPERATION, &found).await?;
        let shipments = found.iter().flat_map(|it| self.of_each_sale(it, &sold));
        let changes = shipments.map(|it| Change::shipment(Topic::ShipmentUpdated, it)).collect();
        let rows: Vec<_> = found.iter().map(|it| (it.id, it.last_modified_at.0)).collect();
        Ok(round.rows(changes, &rows, PAGE))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Read<Shipment> for Tryton {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Shipment>, CallError> {
        const OPERATION: &str = "read_shipment";
        let rpc = self.rpc(api);
        let Ok(number) = id.split('/').next().unwrap_or_default().parse::<i64>() else { return Ok(None) };
        let found = shipments(&rpc, OPERATION, json!([["id", "=", number]]), 1).await?;
        let sold = sold_lines(&rpc, OPERATION, &found).await?;
        Ok(found.iter().flat_map(|it| self.of_each_sale(it, &sold)).find(|it| it.id == id))
    }
}

/// Carriers and packages are of modules that need not be there.
async fn shipments(rpc: &Rpc<'_>, operation: &'static str, domain: Value, limit: usize) -> Result<Vec<ShipmentOut>, CallError> {
    let mut fields = vec![
        "state",
        "effective_date",
        "last_modified_at",
        "warehouse.code",
        "warehouse.name",
        "outgoing_moves.state",
        "outgoing_moves.origin",
        "outgoing_moves.quantity",
        "outgoing_moves.product.code",
    ];
    let names = json!(["carrier", "shipping_reference"]);
    let known: Map<String, Value> = rpc.call(operation, "model.stock.shipment.out.fields_get", vec![names]).await?;
    if known.contains_key("carrier") {
        fields.push("carrier.rec_name");
    }
    if known.contains_key("shipping_reference") {
        fields.extend(["packages.shipping_reference", "packages.shipping_tracking_url"]);
    }
    rpc.search(operation, "stock.shipment.out", domain, &fields, limit).await
}

/// The lines of sales that moves of these shipments are for.
async fn sold_lines(
    rpc: &Rpc<'_>,
    operation: &'static str,
    shipments: &[ShipmentOut],
) -> Result<HashMap<i64, SoldLine>, CallError> {
    let origins = shipments.iter().flat_map(|it| &it.moves).filter_map(|it| it.origin.as_deref());
    let ids: BTreeSet<i64> = origins.filter_map(|it| wire::id_in(it, "sale.line")).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut sold = HashMap::new();
    for part in ids.chunks(PARTS) {
        let lines: Vec<SoldLine> = rpc.read(operation, "sale.line", part, SoldLine::FIELDS).await?;
        sold.extend(lines.into_iter().map(|it| (it.id, it)));
    }
    Ok(sold)
}

impl Tryton {
    /// A shipment holds goods of one sale; of several only where Tryton is told to put them together.
    fn of_each_sale(&self, shipment: &ShipmentOut, sold: &HashMap<i64, SoldLine>) -> Vec<Shipment> {
        let mut sales: BTreeMap<i64, (&SoldBy, Vec<ShipmentLine>)> = BTreeMap::new();
        for moved in shipment.moves.iter().filter(|it| it.state != "cancelled") {
            let Some(quantity) = moved.quantity.map(|it| it.0.normalize()).filter(|it| !it.is_zero()) else { continue };
            let line = moved.origin.as_deref().and_then(|it| wire::id_in(it, "sale.line")).and_then(|it| sold.get(&it));
            let Some(line) = line else { continue };
            let web_id = line.sale.web_id.as_deref().unwrap_or_default();
            let key = row_of(line.note.as_deref(), web_id).and_then(|it| it.strip_prefix("line "));
            let (line_id, sku) = (key.map(str::to_owned), moved.product.as_ref().and_then(|it| it.code.clone()));
            let lines = &mut sales.entry(line.sale.id).or_insert((&line.sale, Vec::new())).1;
            // What was sent in parts has several moves for one line.
            match lines.iter_mut().find(|it| it.line_id == line_id && it.sku == sku) {
                Some(line) => line.quantity += quantity,
                None => lines.push(ShipmentLine { line_id, sku, quantity }),
            }
        }
        let several = sales.len() > 1;
        let one = |(sale, (by, lines)): (i64, (&SoldBy, Vec<ShipmentLine>))| {
            let id = if several { format!("{}/{sale}", shipment.id) } else { shipment.id.to_string() };
            Some(Shipment { completes_order: nothing_is_left(by), ..written(shipment, id, self.order(by)?, lines) })
        };
        sales.into_iter().filter_map(one).collect()
    }

    /// `None` for a sale whose order is of no known source.
    fn order(&self, sale: &SoldBy) -> Option<OrderRef> {
        let web_id = sale.web_id.as_deref().filter(|_| sale.web_shop == Some(self.config.web_shop));
        let order = OrderRef { id: web_id.and_then(order_of), number: sale.reference.clone().filter(|it| !it.is_empty()) };
        (order.id.is_some() || order.number.is_some()).then_some(order)
    }
}

/// Tryton itself says so only when the last shipment is done, which may be days after it left.
fn nothing_is_left(sale: &SoldBy) -> bool {
    let is_over = |state: &str| matches!(state, "shipped" | "done" | "cancelled");
    sale.shipment_state != "exception" && sale.shipments.iter().all(|it| is_over(&it.state))
}

fn written(shipment: &ShipmentOut, id: String, order: OrderRef, lines: Vec<ShipmentLine>) -> Shipment {
    let has_left = matches!(shipment.state.as_str(), "shipped" | "done");
    let state = match shipment.state.as_str() {
        "cancelled" => ShipmentState::Cancelled,
        // That it is done says that the books are closed, and not that it was delivered.
        _ if has_left => ShipmentState::Shipped,
        _ => ShipmentState::Pending,
    };
    let packages = shipment.packages.iter().filter_map(|it| {
        let number = it.shipping_reference.clone().filter(|it| !it.is_empty())?;
        Some(Tracking { number, url: it.shipping_tracking_url.clone().filter(|it| it.starts_with("http")) })
    });
    Shipment {
        id,
        order,
        state,
        raw_state: Some(shipment.state.clone()),
        carrier: shipment.carrier.as_ref().map(|it| it.rec_name.clone()),
        tracking: packages.collect(),
        lines,
        completes_order: false,
        location: Some(shipment.warehouse.label().to_owned()),
        shipped_at: shipment.effective_date.filter(|_| has_left).map(|it| it.0),
        updated_at: shipment.last_modified_at.0,
    }
}
