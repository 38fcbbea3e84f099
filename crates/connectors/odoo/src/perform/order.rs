//! Brings an order in Odoo to the state of the source's: once in effect, however often it is tried.
//!
//! Every step can be repeated, and the last one writes a mark with a digest of the order into `origin`: an order that
//! carries the mark is complete.

use super::{
    find::{no_currency, performed, read_order, unchanged},
    partner::{Partners, People},
    sheet::{Books, Row, cell, ids_cell, rounding_name},
};
use crate::{
    Odoo, identity,
    identity::Names,
    wire::{self, External, SaleLine, SaleOrder},
};
use serde_json::json;
use spindel_connect::{Api, Around, CallError, ProductKey};
use spindel_model::{Decimal, Money, Order, Performed};
use std::collections::{BTreeMap, HashMap};

const OPERATION: &str = "push_order";
/// More lines than an order can have; beyond them lines of earlier versions are not looked for.
const MOST_LINES: usize = 1000;

impl Odoo {
    pub(super) async fn push_order(&self, api: &Api, order: &Order, around: &Around<'_>) -> Result<Performed, CallError> {
        let names = self.names(around.from);
        let name = names.order(&order.id);
        let people = People::of(order, &names);
        let known = names.find(api, "find_order", &[vec![name.as_str()], people.names()].concat()).await?;
        let existing = match known.get(&name) {
            Some(id) => read_order(api, "find_order", *id).await?,
            None => None,
        };
        if let Some(existing) = &existing {
            if existing.is_cancelled() && order.cancelled_at.is_none() {
                let problem = format!(
                    "{} was cancelled in Odoo, but not in the shop: cancel it there, or set it to draft here",
                    existing.name
                );
                return Err(CallError::data(OPERATION, problem));
            }
            if self.is_complete(existing, order) && self.total_of(existing, order) == self.wanted(order) {
                return Ok(unchanged(existing));
            }
        }
        let draft = Draft {
            odoo: self,
            api,
            order,
            names: &names,
            books: Books { config: &self.config, maps: around.maps, order: &name },
        };
        let written = draft.write(existing.as_ref(), &people, known).await?;
        self.finish(api, order, written).await
    }

    /// Whether an earlier attempt carried this very version through to its end.
    pub(super) async fn pushed_order(
        &self,
        api: &Api,
        order: &Order,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let names = self.names(around.from);
        let name = names.order(&order.id);
        let known = names.find(api, "look_up_order", &[&name]).await?;
        let Some(id) = known.get(&name) else { return Ok(None) };
        let found = read_order(api, "look_up_order", *id).await?;
        Ok(found.filter(|it| self.is_complete(it, order)).map(|it| performed(&it)))
    }

    async fn finish(&self, api: &Api, order: &Order, written: SaleOrder) -> Result<Performed, CallError> {
        if order.cancelled_at.is_some() {
            if !written.is_cancelled() {
                wire::act(api, "cancel_order", "sale.order", "action_cancel", &[written.id]).await?;
            }
        } else if self.config.confirm && !written.is_confirmed() {
            wire::act(api, "confirm_order", "sale.order", "action_confirm", &[written.id]).await?;
        }
        // Confirming sets the date to the present, so it is written after it.
        let values = json!({ "origin": self.mark(order), "date_order": wire::time(order.placed_at) });
        wire::write(api, "mark_order", "sale.order", written.id, values).await?;
        Ok(performed(&written))
    }

    /// Carries this version, and is in the state that it asks for.
    fn is_complete(&self, found: &SaleOrder, order: &Order) -> bool {
        let state = match (order.cancelled_at.is_some(), self.config.confirm) {
            (true, _) => found.is_cancelled(),
            (false, true) => found.is_confirmed(),
            (false, false) => !found.is_cancelled(),
        };
        state && found.origin.as_deref() == Some(&self.mark(order))
    }

    /// Content of `origin`: a digest of what is booked, so that a change of anything else writes nothing.
    fn mark(&self, order: &Order) -> String {
        let booked = json!({
            "book_in": self.config.book_in, "number": order.number, "placed_at": order.placed_at,
            "cancelled": order.cancelled_at.is_some(), "customer": order.customer.as_ref().map(|it| &it.id), "email": order.email,
            "billing": order.billing_address, "shipping": order.shipping_address, "note": order.note,
            "lines": order.lines.iter().map(|it| json!([it.id, it.sku, it.title, it.quantity, it.unit_price, it.total, it.taxes])).collect::<Vec<_>>(),
            "delivery": order.shipping_lines, "discounts": order.discounts, "charges": order.charges,
            "rounding": order.totals.rounding, "grand": order.totals.grand,
        });
        format!("spindel v:1 d:{}", identity::digest(booked.to_string().as_bytes()))
    }

    fn wanted(&self, order: &Order) -> Money {
        order.totals.grand.get(self.config.book_in)
    }

    /// Odoo's total, freed from the dust of its floats. In another currency it equals nothing.
    fn total_of(&self, found: &SaleOrder, order: &Order) -> Money {
        let wanted = self.wanted(order).currency;
        let currency = found.currency_id.name().parse().unwrap_or(spindel_model::Currency::XXX);
        let total = Money::new(found.amount_total.0, currency);
        if currency == wanted { total.rounded() } else { total }
    }
}

/// One version of an order on its way into Odoo.
struct Draft<'a> {
    odoo: &'a Odoo,
    api: &'a Api,
    order: &'a Order,
    names: &'a Names,
    books: Books<'a>,
}

impl Draft<'_> {
    /// Writes order and lines, until Odoo's total is the source's to the minor unit.
    async fn write(
        &self,
        existing: Option<&SaleOrder>,
        people: &People<'_>,
        known: HashMap<String, i64>,
    ) -> Result<SaleOrder, CallError> {
        let wanted = self.odoo.wanted(self.order);
        let sheet = self.books.sheet(self.order)?;
        let earlier = match existing {
            Some(order) => self.earlier_rows(order).await?,
            None => Vec::new(),
        };
        let mut rows = with_earlier(sheet.rows, earlier, self.books.order);
        let products = self.odoo.find_products(self.api, rows.iter().map(|it| &it.product)).await?;
        // Odoo refuses a price list for a confirmed order, even the same one.
        let confirmed = existing.is_some_and(SaleOrder::is_confirmed);
        let pricelist = if confirmed { None } else { Some(self.odoo.find_pricelist(self.api, wanted.currency).await?) };
        let partners = self.odoo.find_or_create_partners(self.api, people, known, self.names).await?;

        let header = self.header(&partners, pricelist);
        let mut found = self.load(&header, &rows, &products).await?;
        if found.currency_id.name() != wanted.currency.code() {
            return Err(no_currency(OPERATION, wanted.currency.code()));
        }
        let missing = wanted.amount - self.odoo.total_of(&found, self.order).amount;
        if missing.is_zero() {
            return Ok(found);
        }
        if missing.abs() > sheet.tolerance {
            return Err(self.mismatch(&found));
        }
        let at = rows.iter().position(|it| it.name == rounding_name(self.books.order));
        let rounding = at.map_or(Ok(missing), |at| add(rows[at].price, missing))?;
        rows = vec![self.books.rounding(rounding)?];
        let products = self.odoo.find_products(self.api, rows.iter().map(|it| &it.product)).await?;
        found = self.load(&Header::default(), &rows, &products).await?;
        if self.odoo.total_of(&found, self.order) != wanted {
            return Err(self.mismatch(&found));
        }
        Ok(found)
    }

    fn mismatch(&self, found: &SaleOrder) -> CallError {
        let (ours, theirs) = (self.odoo.wanted(self.order), self.odoo.total_of(found, self.order));
        let problem = format!(
            "totals_mismatch: the shop's total is {ours}, Odoo makes it {theirs} ({}); compare the taxes in [maps.tax] with the shop's, \
             whether they are included in prices too",
            found.name
        );
        CallError::data(OPERATION, problem)
    }

    fn header(&self, partners: &Partners, pricelist: Option<Option<i64>>) -> Header {
        let mut header = Header::default();
        header.add("partner_id/.id", partners.buyer.to_string());
        header.add("partner_invoice_id/.id", partners.billing.to_string());
        header.add("partner_shipping_id/.id", partners.shipping.to_string());
        header.add("client_order_ref", self.order.number.clone());
        // Not complete until it carries its mark.
        header.add("origin", "spindel".into());
        header.add("date_order", wire::time(self.order.placed_at));
        if let Some(pricelist) = pricelist {
            header.add("pricelist_id/.id", pricelist.map(|it| it.to_string()).unwrap_or_default());
        }
        if let Some(note) = self.order.note.as_ref().filter(|it| !it.is_empty()) {
            header.add("note", as_html(note));
        }
        header
    }

    async fn load(&self, header: &Header, rows: &[Row], products: &BTreeMap<ProductKey, i64>) -> Result<SaleOrder, CallError> {
        const LINE: [&str; 7] = [
            "order_line/id",
            "order_line/product_id/.id",
            "order_line/name",
            "order_line/product_uom_qty",
            "order_line/price_unit",
            "order_line/discount",
            "order_line/tax_ids/.id",
        ];
        let fields: Vec<&str> = std::iter::once("id").chain(header.0.iter().map(|(field, _)| *field)).chain(LINE).collect();
        let first: Vec<String> =
            std::iter::once(self.names.full(self.books.order)).chain(header.0.iter().map(|(_, it)| it.clone())).collect();
        let mut data = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let mut cells = if at == 0 { first.clone() } else { vec![String::new(); first.len()] };
            let product = products.get(&row.product).ok_or_else(|| CallError::data(OPERATION, "a product was not found"))?;
            // Price, discount and taxes always go with the quantity: without them Odoo takes its own.
            cells.extend([
                self.names.full(&row.name),
                product.to_string(),
                row.title.clone(),
                cell(row.quantity),
                cell(row.price),
                "0".into(),
                ids_cell(&row.taxes),
            ]);
            data.push(cells);
        }
        if data.is_empty() {
            data.push(first.into_iter().chain(LINE.map(|_| String::new())).collect());
        }
        let ids = wire::load(self.api, OPERATION, "sale.order", &fields, &data).await?;
        let id = ids.first().copied().unwrap_or_default();
        let found = read_order(self.api, "read_order", id).await?;
        found.ok_or_else(|| CallError::unexpected("read_order", "the order that was just written is not there"))
    }

    /// The lines that Spindel wrote before; lines that people added in Odoo are not among them.
    async fn earlier_rows(&self, order: &SaleOrder) -> Result<Vec<Row>, CallError> {
        const OPERATION: &str = "read_lines";
        let domain = json!([["order_id", "=", order.id]]);
        let lines: Vec<SaleLine> =
            wire::search(self.api, OPERATION, "sale.order.line", domain, SaleLine::FIELDS, "id asc", MOST_LINES).await?;
        let externals = self.odoo.externals(self.api, OPERATION, "sale.order.line", lines.iter().map(|it| it.id)).await?;
        let row = |line: SaleLine| {
            let name = externals.get(&line.id).filter(|it| it.starts_with(self.books.order))?;
            Some(Row {
                name: name.clone(),
                product: ProductKey::Id(line.product_id?.0),
                title: line.name,
                quantity: line.product_uom_qty.0,
                price: line.price_unit.0,
                taxes: line.tax_ids,
            })
        };
        Ok(lines.into_iter().filter_map(row).collect())
    }
}

impl Odoo {
    /// External ids (without namespace) of records, by record id.
    pub(crate) async fn externals(
        &self,
        api: &Api,
        operation: &'static str,
        model: &str,
        ids: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, String>, CallError> {
        let ids: Vec<i64> = ids.collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let domain = json!([["module", "=", self.config.namespace], ["model", "=", model], ["res_id", "in", ids]]);
        let found: Vec<External> =
            wire::search(api, operation, "ir.model.data", domain, &["name", "res_id"], "id asc", 2 * ids.len()).await?;
        Ok(found.into_iter().map(|it| (it.res_id, it.name)).collect())
    }
}

/// Fields of the order itself.
#[derive(Default)]
struct Header(Vec<(&'static str, String)>);

impl Header {
    fn add(&mut self, field: &'static str, value: String) {
        self.0.push((field, value));
    }
}

/// The new rows, and earlier ones that are no longer wanted at quantity 0: a confirmed order loses no line.
fn with_earlier(mut rows: Vec<Row>, earlier: Vec<Row>, order: &str) -> Vec<Row> {
    let dropped = |it: &Row| !it.quantity.is_zero() && !rows.iter().any(|row| row.name == it.name);
    let dropped: Vec<Row> = earlier.into_iter().filter(dropped).collect();
    for mut row in dropped {
        // The rounding line is set anew once the total is known.
        if row.name == rounding_name(order) {
            row.price = Decimal::ZERO;
        } else {
            row.quantity = Decimal::ZERO;
        }
        rows.push(row);
    }
    rows
}

fn add(a: Decimal, b: Decimal) -> Result<Decimal, CallError> {
    a.checked_add(b).ok_or_else(|| CallError::data(OPERATION, "an amount is out of range"))
}

/// `note` is HTML in Odoo, and what a buyer writes is not.
fn as_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br>")
}
