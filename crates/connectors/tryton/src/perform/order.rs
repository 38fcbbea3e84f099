//! Brings a sale in Tryton to the state of the source's order: once in effect, however often it is tried.
//!
//! Lines are written together with their version, so that a sale that carries it and has come far enough is complete.
//! From "processing" on Tryton lets nobody change a line: such an order is left to a person.

use super::{
    find::{performed, unchanged},
    mark,
    party::Places,
    sheet::{Books, Row, Sheet},
};
use crate::{
    Tryton,
    records::{Product, Sale},
    rpc::Rpc,
    wire,
};
use serde_json::{Map, Value, json};
use spindel_connect::{Around, CallError, ProductKey};
use spindel_model::{Decimal, Money, Order, Performed};
use std::collections::BTreeMap;

const OPERATION: &str = "push_order";

impl Tryton {
    pub(super) async fn push_order(&self, rpc: &Rpc<'_>, order: &Order, around: &Around<'_>) -> Result<Performed, CallError> {
        let web_id = mark::web_id(around.from, &order.id);
        let existing = self.sale_of(rpc, "find_order", &web_id).await?;
        if let Some(sale) = existing {
            if order.cancelled_at.is_some() {
                return self.cancel(rpc, sale).await;
            }
            if sale.is_cancelled() {
                let problem = format!(
                    "{} was cancelled in Tryton, but not in the shop: cancel it there, or set it to draft here",
                    sale.name()
                );
                return Err(CallError::data(OPERATION, problem));
            }
            if self.is_complete(&sale, order) {
                return Ok(unchanged(&sale));
            }
            if sale.is_processed() {
                return Err(too_late(&sale));
            }
            return self.write_order(rpc, order, around, &web_id, Some(sale)).await;
        }
        self.write_order(rpc, order, around, &web_id, None).await
    }

    /// Whether an earlier attempt carried this very version through to its end.
    pub(super) async fn pushed_order(
        &self,
        rpc: &Rpc<'_>,
        order: &Order,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let found = self.sale_of(rpc, "look_up_order", &mark::web_id(around.from, &order.id)).await?;
        Ok(found.filter(|it| self.is_complete(it, order)).map(|it| performed(&it)))
    }

    async fn write_order(
        &self,
        rpc: &Rpc<'_>,
        order: &Order,
        around: &Around<'_>,
        web_id: &str,
        existing: Option<Sale>,
    ) -> Result<Performed, CallError> {
        let draft = Draft { tryton: self, rpc, order, web_id, books: Books { config: &self.config, maps: around.maps } };
        let id = draft.write(existing, around).await?;
        if order.cancelled_at.is_some() {
            rpc.press("cancel_order", "sale.sale", "cancel", &[id]).await?;
        } else {
            rpc.press("quote_order", "sale.sale", "quote", &[id]).await?;
            if self.config.confirm {
                rpc.press("confirm_order", "sale.sale", "confirm", &[id]).await?;
            }
        }
        Ok(performed(&self.sale(rpc, "read_order", id).await?))
    }

    /// Carries this version, and is in the state that it asks for.
    fn is_complete(&self, sale: &Sale, order: &Order) -> bool {
        let state = match (order.cancelled_at.is_some(), self.config.confirm) {
            (true, _) => sale.is_cancelled(),
            (false, true) => sale.is_processed() || sale.state == "confirmed",
            (false, false) => !sale.is_cancelled() && sale.state != "draft",
        };
        let written = mark::version_in(sale.lines.iter().map(|it| it.note.as_deref()));
        // What was in a cancelled order is history.
        state && (order.cancelled_at.is_some() || written == Some(&mark::version(order, self.config.book_in)))
    }
}

fn too_late(sale: &Sale) -> CallError {
    let problem = format!(
        "{} is being processed in Tryton, where its lines can no longer be changed, and the order in the shop has changed: \
         change it there by hand (an amendment, a return, another sale)",
        sale.name()
    );
    CallError::data(OPERATION, problem)
}

/// One version of an order on its way into Tryton.
struct Draft<'a> {
    tryton: &'a Tryton,
    rpc: &'a Rpc<'a>,
    order: &'a Order,
    web_id: &'a str,
    books: Books<'a>,
}

impl Draft<'_> {
    /// Writes the sale with its lines, until Tryton's total is the source's to the minor unit; its id.
    async fn write(&self, existing: Option<Sale>, around: &Around<'_>) -> Result<i64, CallError> {
        let wanted = self.wanted();
        let sheet = self.books.sheet(self.order)?;
        let products = self.products(&sheet.rows).await?;
        let currency = self.tryton.currency(self.rpc, wanted.currency.code()).await?;
        let places = self.tryton.places(self.rpc, self.order, around.from).await?;
        let rows = self.rows(&sheet, &products, true)?;
        let mut header = self.header(&places, currency);
        let id = match existing {
            None => {
                header.extend(self.of_a_new_sale().await?);
                header.insert("lines".into(), json!([["create", rows]]));
                self.rpc.create_one("create_order", "sale.sale", Value::Object(header)).await?
            }
            Some(sale) => {
                if sale.state != "draft" {
                    self.rpc.press("reopen_order", "sale.sale", "draft", &[sale.id]).await?;
                }
                let earlier = sale.lines.iter().filter(|it| mark::row_of(it.note.as_deref(), self.web_id).is_some());
                let earlier: Vec<i64> = earlier.map(|it| it.id).collect();
                header.insert("lines".into(), json!([["delete", earlier], ["create", rows]]));
                self.rpc.write("write_order", "sale.sale", sale.id, Value::Object(header)).await?;
                sale.id
            }
        };
        self.balance(id, &sheet).await?;
        Ok(id)
    }

    /// Adds what rounding took away.
    async fn balance(&self, id: i64, sheet: &Sheet) -> Result<(), CallError> {
        let wanted = self.wanted();
        let sale = self.tryton.sale(self.rpc, "read_order", id).await?;
        if sale.currency.code != wanted.currency.code() {
            let problem =
                format!("{} is in {}, the order in {}: cancel it in Tryton", sale.name(), sale.currency.code, wanted.currency);
            return Err(CallError::data(OPERATION, problem));
        }
        let missing = wanted.amount - sale.total_amount.0;
        if missing.is_zero() {
            return Ok(());
        }
        let known = sheet.rows.iter().any(|it| it.key == "rounding");
        if missing.abs() > sheet.tolerance {
            return Err(self.mismatch(&sale));
        }
        let mut row = self.books.rounding(missing)?;
        if known {
            row.key = "rounding more".into();
        }
        let rows = vec![row];
        let products = self.products(&rows).await?;
        let sheet = Sheet { rows, tolerance: Decimal::ZERO };
        let lines = self.rows(&sheet, &products, false)?;
        self.rpc.write("round_order", "sale.sale", id, json!({ "lines": [["create", lines]] })).await?;
        let sale = self.tryton.sale(self.rpc, "read_order", id).await?;
        if sale.total_amount.0 == wanted.amount { Ok(()) } else { Err(self.mismatch(&sale)) }
    }

    fn wanted(&self) -> Money {
        self.order.totals.grand.get(self.tryton.config.book_in)
    }

    fn mismatch(&self, sale: &Sale) -> CallError {
        let problem = format!(
            "totals_mismatch: the shop's total is {}, Tryton makes it {} ({}); compare the taxes in [maps.tax] with the shop's",
            self.wanted(),
            sale.total_amount.0,
            sale.name()
        );
        CallError::data(OPERATION, problem)
    }

    async fn products(&self, rows: &[Row]) -> Result<BTreeMap<ProductKey, Product>, CallError> {
        self.tryton.find_products(self.rpc, rows.iter().filter_map(|it| it.product.as_ref())).await
    }

    fn header(&self, places: &Places, currency: i64) -> Map<String, Value> {
        let mut header = Map::new();
        let mut set = |name: &str, value: Value| {
            header.insert(name.to_owned(), value);
        };
        set("party", json!(places.party));
        set("invoice_address", json!(places.billing));
        set("shipment_address", json!(places.shipping));
        set("currency", json!(currency));
        set("reference", json!(self.order.number));
        set("sale_date", wire::day(self.order.placed_at));
        set("comment", wire::or_null(self.order.note.as_ref().filter(|it| !it.is_empty())));
        header
    }

    /// What is decided once. Without a carrier, costs of shipping are no business of Tryton's: the shop's order has them.
    async fn of_a_new_sale(&self) -> Result<Map<String, Value>, CallError> {
        const OPTIONAL: &str = "shipment_cost_method";
        let names = json!(["web_id", OPTIONAL]);
        let fields: Map<String, Value> = self.rpc.call("sale_fields", "model.sale.sale.fields_get", vec![names]).await?;
        let config = &self.tryton.config;
        let mut header = Map::new();
        header.insert("company".into(), json!(config.company));
        header.insert("web_shop".into(), json!(config.web_shop));
        header.insert("web_id".into(), json!(self.web_id));
        header.insert("invoice_method".into(), json!(config.invoice.as_str()));
        header.insert("shipment_method".into(), json!("order"));
        if let Some(warehouse) = config.warehouse {
            header.insert("warehouse".into(), json!(warehouse));
        }
        if fields.contains_key(OPTIONAL) {
            header.insert(OPTIONAL.into(), Value::Null);
        }
        Ok(header)
    }

    fn rows(&self, sheet: &Sheet, products: &BTreeMap<ProductKey, Product>, first: bool) -> Result<Vec<Value>, CallError> {
        let mut rows = Vec::with_capacity(sheet.rows.len());
        for (at, row) in sheet.rows.iter().enumerate() {
            let mut note = mark::row(self.web_id, &row.key);
            if first && at == 0 {
                note = format!("{note}\n{}", mark::version(self.order, self.tryton.config.book_in));
            }
            let Some(key) = &row.product else {
                rows.push(json!({ "type": "comment", "description": row.title, "note": note }));
                continue;
            };
            let product = products.get(key).ok_or_else(|| CallError::data(OPERATION, "a product was not found"))?;
            rows.push(json!({
                "type": "line", "product": product.id, "unit": product.sale_uom.unwrap_or(product.default_uom),
                "quantity": wire::quantity(row.quantity)?, "unit_price": wire::decimal(row.price),
                "taxes": [["add", row.taxes]], "description": row.title, "note": note,
            }));
        }
        Ok(rows)
    }
}
