//! Books a refund as a credit note against the order's invoice, equal to the refund to the minor unit.

use super::{
    find::{performed, unchanged},
    invoice::posted_invoices,
    sheet::{cell, ids_cell, product},
};
use crate::{
    Odoo,
    identity::{Names, part},
    wire::{self, Move, SaleLine, SaleOrder},
};
use serde_json::json;
use spindel_connect::{Api, Around, CallError, ProductKey};
use spindel_model::{Decimal, Money, Performed, Refund, RefundLine, exponent};
use std::collections::HashMap;

const OPERATION: &str = "record_refund";

impl Odoo {
    pub(super) async fn record_refund(&self, api: &Api, refund: &Refund, around: &Around<'_>) -> Result<Performed, CallError> {
        let names = self.names(around.from);
        let name = names.refund(&refund.id);
        let total = refund.total.get(self.config.book_in);
        if total.is_zero() {
            return Ok(Performed::unchanged());
        }
        let order = self.find_order(api, &refund.order, around).await?;
        if order.currency_id.name() != total.currency.code() {
            let problem = format!("the refund is of {total}, {} is in {}: check `book_in`", order.name, order.currency_id.name());
            return Err(CallError::config(OPERATION, problem));
        }
        if let Some(note) = self.find_note(api, &names, &name).await? {
            if note.state == "posted" {
                return Ok(unchanged(&order));
            }
            // What an attempt left behind that did not come to its end.
            wire::act(api, OPERATION, "account.move", "unlink", &[note.id]).await?;
        }
        let invoices = posted_invoices(api, &order).await?;
        let Some(invoice) = invoices.into_iter().next() else {
            return nothing_to_credit(&order);
        };
        let lines = self.order_lines(api, &order).await?;
        let credit = Credit { odoo: self, api, refund, names: &names, name: &name, order: &order, invoice: &invoice, total };
        let note = credit.write(&lines).await?;
        wire::act(api, OPERATION, "account.move", "action_post", &[note]).await?;
        Ok(performed(&order))
    }

    pub(super) async fn recorded_refund(
        &self,
        api: &Api,
        refund: &Refund,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let names = self.names(around.from);
        let note = self.find_note(api, &names, &names.refund(&refund.id)).await?;
        Ok(note.filter(|it| it.state == "posted").map(|_| Performed::done()))
    }

    async fn find_note(&self, api: &Api, names: &Names, name: &str) -> Result<Option<Move>, CallError> {
        const OPERATION: &str = "find_refund";
        match names.find(api, OPERATION, &[name]).await?.get(name) {
            Some(id) => Ok(wire::read(api, OPERATION, "account.move", &[*id], Move::FIELDS).await?.pop()),
            None => Ok(None),
        }
    }

    /// The lines of the order by external id.
    async fn order_lines(&self, api: &Api, order: &SaleOrder) -> Result<HashMap<String, SaleLine>, CallError> {
        let domain = json!([["order_id", "=", order.id]]);
        let lines: Vec<SaleLine> =
            wire::search(api, "read_lines", "sale.order.line", domain, SaleLine::FIELDS, "id asc", 1000).await?;
        let names = self.externals(api, "read_lines", "sale.order.line", lines.iter().map(|it| it.id)).await?;
        Ok(lines.into_iter().filter_map(|line| Some((names.get(&line.id)?.clone(), line))).collect())
    }
}

/// A cancelled order that was never invoiced owes nothing, so there is nothing to give back in the books.
fn nothing_to_credit(order: &SaleOrder) -> Result<Performed, CallError> {
    if order.is_cancelled() {
        return Ok(unchanged(order));
    }
    let why = if order.is_confirmed() { "its products are invoiced on delivery" } else { "it is not confirmed" };
    Err(CallError::missing_dependency(OPERATION, format!("{} has no invoice yet to credit: {why}", order.name)))
}

/// A credit note on its way into Odoo.
struct Credit<'a> {
    odoo: &'a Odoo,
    api: &'a Api,
    refund: &'a Refund,
    names: &'a Names,
    name: &'a str,
    order: &'a SaleOrder,
    invoice: &'a Move,
    total: Money,
}

struct NoteLine {
    name: String,
    product: ProductKey,
    title: String,
    quantity: Decimal,
    price: Decimal,
    taxes: Vec<i64>,
}

impl Credit<'_> {
    /// Writes the draft; the id of the credit note.
    async fn write(&self, order_lines: &HashMap<String, SaleLine>) -> Result<i64, CallError> {
        let lines = self.lines(order_lines)?;
        let tolerance = Decimal::new(5, exponent(self.total.currency) + 1) * Decimal::from(2 * lines.len() + 1);
        let mut found = if lines.is_empty() { None } else { Some(self.load(&lines).await?) };
        let booked = found.as_ref().map_or(Money::zero(self.total.currency), |it| self.amount(it));
        let missing = self.total.amount - booked.amount;
        if !missing.is_zero() {
            let line = self.difference(missing, !lines.is_empty() && missing.abs() <= tolerance)?;
            found = Some(self.load(&[line]).await?);
        }
        match found {
            Some(note) if self.amount(&note) == self.total => Ok(note.id),
            Some(note) => {
                let problem = format!("totals_mismatch: the refund is of {}, Odoo makes it {}", self.total, self.amount(&note));
                Err(CallError::data(OPERATION, problem))
            }
            None => Err(CallError::data(OPERATION, "the refund has no lines and no amount")),
        }
    }

    fn amount(&self, note: &Move) -> Money {
        Money::new(note.amount_total.0, self.total.currency).rounded()
    }

    fn lines(&self, order_lines: &HashMap<String, SaleLine>) -> Result<Vec<NoteLine>, CallError> {
        let order = self.refund.order.id.as_deref().map(|id| self.names.order(id)).unwrap_or_default();
        let mut lines = Vec::new();
        for line in &self.refund.lines {
            let sold = order_lines.get(&part(&order, "line", &line.line_id)).ok_or_else(|| self.unknown_line(line))?;
            lines.extend(self.goods(line, sold));
        }
        let mut shipping: Vec<(&String, &SaleLine)> =
            order_lines.iter().filter(|(name, _)| name.starts_with(&format!("{order}_shipping_"))).collect();
        shipping.sort_by_key(|(_, line)| line.id);
        let paid = shipping.into_iter().map(|(_, line)| line).find(|line| !line.price_total.0.is_zero());
        lines.extend(paid.and_then(|line| self.shipping(line)));
        for (index, adjustment) in self.refund.adjustments.iter().enumerate() {
            let amount = adjustment.amount.get(self.odoo.config.book_in).amount;
            if !amount.is_zero() {
                let why = "the refund has an amount of no certain line";
                lines.push(NoteLine {
                    name: part(self.name, "adjustment", &index.to_string()),
                    product: product(&self.odoo.config.charge_product, "charge_product", why)?,
                    title: adjustment.reason.clone(),
                    quantity: Decimal::ONE,
                    price: amount,
                    taxes: Vec::new(),
                });
            }
        }
        Ok(lines)
    }

    /// Without its line there are no taxes to give back.
    fn unknown_line(&self, line: &RefundLine) -> CallError {
        let problem = format!("line {} of the refund is not on {} yet: push the order first", line.line_id, self.order.name);
        CallError::missing_dependency(OPERATION, problem)
    }

    /// Taxed as it was sold. The price of one, where it can be written exactly; else all of them as one.
    fn goods(&self, line: &RefundLine, sold: &SaleLine) -> Option<NoteLine> {
        let subtotal = line.subtotal.get(self.odoo.config.book_in).amount;
        if subtotal.is_zero() {
            return None;
        }
        let exact = subtotal
            .checked_div(line.quantity)
            .filter(|price| price.normalize().scale() <= 4 && price.checked_mul(line.quantity) == Some(subtotal));
        let (quantity, price) = exact.map_or((Decimal::ONE, subtotal), |price| (line.quantity, price));
        Some(NoteLine {
            name: part(self.name, "line", &line.line_id),
            product: ProductKey::Id(sold.product_id.as_ref()?.0),
            title: sold.name.clone(),
            quantity,
            price,
            taxes: sold.tax_ids.clone(),
        })
    }

    /// The refund says what was given back with tax; a price without tax is found by the proportion on the order.
    fn shipping(&self, sold: &SaleLine) -> Option<NoteLine> {
        let gross = self.refund.shipping?.get(self.odoo.config.book_in);
        let full = sold.price_unit.0.checked_mul(sold.product_uom_qty.0)?;
        let price = gross.times(full).ok()?.amount.checked_div(sold.price_total.0)?;
        let price = Money::new(price, gross.currency).rounded().amount;
        (!price.is_zero()).then_some(NoteLine {
            name: part(self.name, "shipping", "1"),
            product: ProductKey::Id(sold.product_id.as_ref()?.0),
            title: sold.name.clone(),
            quantity: Decimal::ONE,
            price,
            taxes: sold.tax_ids.clone(),
        })
    }

    /// What the lines lack: a rounding, or an amount that the source gave back without saying for what.
    fn difference(&self, amount: Decimal, is_rounding: bool) -> Result<NoteLine, CallError> {
        let config = &self.odoo.config;
        let (setting, key, title) = match is_rounding {
            true => (&config.rounding_product, "rounding_product", "Rounding"),
            false => (&config.charge_product, "charge_product", "Refund"),
        };
        let title = if is_rounding { title } else { self.refund.note.as_deref().filter(|it| !it.is_empty()).unwrap_or(title) };
        Ok(NoteLine {
            name: format!("{}_difference", self.name),
            product: product(setting, key, "the refund has an amount of no certain line")?,
            title: title.to_owned(),
            quantity: Decimal::ONE,
            price: amount,
            taxes: Vec::new(),
        })
    }

    async fn load(&self, lines: &[NoteLine]) -> Result<Move, CallError> {
        const HEADER: [&str; 9] = [
            "id",
            "move_type",
            "partner_id/.id",
            "journal_id/.id",
            "currency_id/.id",
            "invoice_date",
            "ref",
            "invoice_origin",
            "reversed_entry_id/.id",
        ];
        const LINE: [&str; 6] = [
            "invoice_line_ids/id",
            "invoice_line_ids/product_id/.id",
            "invoice_line_ids/name",
            "invoice_line_ids/quantity",
            "invoice_line_ids/price_unit",
            "invoice_line_ids/tax_ids/.id",
        ];
        let header = [
            self.names.full(self.name),
            "out_refund".into(),
            self.invoice.partner_id.0.to_string(),
            self.invoice.journal_id.0.to_string(),
            self.order.currency_id.0.to_string(),
            wire::day(self.refund.created_at),
            format!("refund {}", self.refund.id),
            self.order.name.clone(),
            self.invoice.id.to_string(),
        ];
        let products = self.odoo.find_products(self.api, lines.iter().map(|it| &it.product)).await?;
        let mut data = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let mut cells = if at == 0 { header.to_vec() } else { vec![String::new(); HEADER.len()] };
            let product = products.get(&line.product).ok_or_else(|| CallError::data(OPERATION, "a product was not found"))?;
            cells.extend([
                self.names.full(&line.name),
                product.to_string(),
                line.title.clone(),
                cell(line.quantity),
                cell(line.price),
                ids_cell(&line.taxes),
            ]);
            data.push(cells);
        }
        let fields: Vec<&str> = HEADER.into_iter().chain(LINE).collect();
        let ids = wire::load(self.api, OPERATION, "account.move", &fields, &data).await?;
        let found = wire::read(self.api, OPERATION, "account.move", &ids, Move::FIELDS).await?.pop();
        found.ok_or_else(|| CallError::unexpected(OPERATION, "the credit note that was just written is not there"))
    }
}
