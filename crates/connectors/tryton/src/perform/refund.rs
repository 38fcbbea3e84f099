//! Books a refund as a credit note, equal to the refund to the minor unit. In Tryton that is an invoice of negative quantities.

use super::{
    find::{performed, unchanged},
    mark,
    sheet::{self, product},
};
use crate::{
    Tryton,
    records::{Invoice, InvoiceLine, Product, Sale, Tax},
    rpc::Rpc,
    wire,
};
use serde_json::{Value, json};
use spindel_connect::{Around, CallError, ProductKey};
use spindel_model::{Decimal, Money, Performed, Refund, RefundLine, exponent};
use std::collections::BTreeMap;

const OPERATION: &str = "record_refund";

impl Tryton {
    pub(super) async fn record_refund(
        &self,
        rpc: &Rpc<'_>,
        refund: &Refund,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        let total = refund.total.get(self.config.book_in);
        if total.is_zero() {
            return Ok(Performed::unchanged());
        }
        let sale = self.find_sale(rpc, &refund.order, around).await?;
        if sale.currency.code != total.currency.code() {
            let problem = format!("the refund is of {total}, {} is in {}: check `book_in`", sale.name(), sale.currency.code);
            return Err(CallError::config(OPERATION, problem));
        }
        let reference = mark::refund(around.from, &refund.id);
        if let Some(note) = find_note(rpc, &reference).await? {
            if note.is_booked() {
                return Ok(unchanged(&sale));
            }
            // What an attempt left behind that did not come to its end.
            rpc.press(OPERATION, "account.invoice", "delete", &[note.id]).await?;
        }
        let invoices = self.booked_invoices(rpc, OPERATION, &sale).await?;
        let Some(invoice) = invoices.first() else { return nothing_to_credit(&sale) };
        let credit = Credit {
            tryton: self,
            rpc,
            refund,
            web_id: sale.web_id.clone().unwrap_or_default(),
            reference,
            sale: &sale,
            invoice,
            lines: invoices.iter().flat_map(|it| &it.lines).collect(),
            total,
        };
        let note = credit.write().await?;
        rpc.press("post_credit_note", "account.invoice", "post", &[note]).await?;
        Ok(performed(&sale))
    }

    pub(super) async fn recorded_refund(
        &self,
        rpc: &Rpc<'_>,
        refund: &Refund,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let note = find_note(rpc, &mark::refund(around.from, &refund.id)).await?;
        Ok(note.filter(Invoice::is_booked).map(|_| Performed::done()))
    }
}

async fn find_note(rpc: &Rpc<'_>, reference: &str) -> Result<Option<Invoice>, CallError> {
    let domain = json!([["type", "=", "out"], ["reference", "=", reference], ["state", "!=", "cancelled"]]);
    Ok(rpc.search("find_refund", "account.invoice", domain, Invoice::FIELDS, 1).await?.pop())
}

/// A sale that was closed before it was invoiced owes nothing, so there is nothing to give back in the books.
fn nothing_to_credit(sale: &Sale) -> Result<Performed, CallError> {
    if sale.is_cancelled() || sale.state == "done" {
        return Ok(unchanged(sale));
    }
    let problem = format!("{} has no invoice yet to credit (it is in the state `{}`)", sale.name(), sale.state);
    Err(CallError::missing_dependency(OPERATION, problem))
}

/// A credit note on its way into Tryton.
struct Credit<'a> {
    tryton: &'a Tryton,
    rpc: &'a Rpc<'a>,
    refund: &'a Refund,
    web_id: String,
    reference: String,
    sale: &'a Sale,
    invoice: &'a Invoice,
    /// Of all invoices of the sale.
    lines: Vec<&'a InvoiceLine>,
    total: Money,
}

/// One line of the credit note: what an invoice line was, or a product of the settings.
struct NoteLine<'a> {
    of: Of<'a>,
    title: String,
    /// Positive: what is given back.
    quantity: Decimal,
    price: Decimal,
}

enum Of<'a> {
    Line(&'a InvoiceLine),
    Product(ProductKey),
}

impl Credit<'_> {
    /// Writes the draft; its id.
    async fn write(&self) -> Result<i64, CallError> {
        let lines = self.lines().await?;
        let tolerance = Decimal::new(5, exponent(self.total.currency) + 1) * Decimal::from(2 * lines.len() + 1);
        let nothing = lines.is_empty();
        let lines = if nothing { vec![self.difference(self.total.amount, false)?] } else { lines };
        let note = self.create(&lines).await?;
        let missing = self.total.amount - self.amount(note).await?;
        if missing.is_zero() {
            return Ok(note);
        }
        let line = self.difference(missing, missing.abs() <= tolerance)?;
        let rows = self.rows(&[line]).await?;
        self.rpc.write("round_credit_note", "account.invoice", note, json!({ "lines": [["create", rows]] })).await?;
        let booked = self.amount(note).await?;
        if booked == self.total.amount {
            return Ok(note);
        }
        let problem = format!("totals_mismatch: the refund is of {}, Tryton makes it {booked}", self.total);
        Err(CallError::data(OPERATION, problem))
    }

    /// What the draft gives back.
    async fn amount(&self, note: i64) -> Result<Decimal, CallError> {
        let found: Vec<Invoice> = self.rpc.read("read_credit_note", "account.invoice", &[note], Invoice::FIELDS).await?;
        let lost = || CallError::unexpected("read_credit_note", "the credit note that was just written is not there");
        Ok(-found.first().ok_or_else(lost)?.total_amount.0)
    }

    async fn lines(&self) -> Result<Vec<NoteLine<'_>>, CallError> {
        let mut lines = Vec::new();
        for line in &self.refund.lines {
            let sold = self.line(&format!("line {}", line.line_id)).ok_or_else(|| self.unknown_line(line))?;
            lines.extend(self.goods(line, sold)?);
        }
        lines.extend(self.shipping().await?);
        for adjustment in &self.refund.adjustments {
            let amount = adjustment.amount.get(self.tryton.config.book_in).amount;
            if !amount.is_zero() {
                lines.push(self.charge(&adjustment.reason, amount)?);
            }
        }
        Ok(lines)
    }

    fn line(&self, key: &str) -> Option<&InvoiceLine> {
        self.lines.iter().find(|it| mark::row_of(it.note.as_deref(), &self.web_id) == Some(key)).copied()
    }

    /// Without its line there are no taxes to give back.
    fn unknown_line(&self, line: &RefundLine) -> CallError {
        let problem =
            format!("line {} of the refund is on no invoice of {}: push the order first", line.line_id, self.sale.name());
        CallError::missing_dependency(OPERATION, problem)
    }

    /// Taxed as it was sold. The price of one, where it can be written exactly; else all of them as one.
    fn goods<'a>(&self, line: &RefundLine, sold: &'a InvoiceLine) -> Result<Option<NoteLine<'a>>, CallError> {
        let book_in = self.tryton.config.book_in;
        let (subtotal, tax) = (line.subtotal.get(book_in).amount, line.tax.get(book_in).amount);
        let net = if !tax.is_zero() && self.includes_tax()? { subtotal - tax } else { subtotal };
        if net.is_zero() {
            return Ok(None);
        }
        let (quantity, price) = match sheet::price(net, line.quantity) {
            Ok(price) if price.checked_mul(line.quantity) == Some(net) => (line.quantity, price),
            _ => (Decimal::ONE, net),
        };
        Ok(Some(NoteLine { title: title(sold), of: Of::Line(sold), quantity, price }))
    }

    fn includes_tax(&self) -> Result<bool, CallError> {
        let version = mark::version_in(self.lines.iter().map(|it| it.note.as_deref()));
        let lost = || {
            let problem =
                format!("the note of the first line of {} was changed: credit this refund by hand", self.invoice.name());
            CallError::data(OPERATION, problem)
        };
        version.map(mark::includes_tax).ok_or_else(lost)
    }

    /// The refund says what was given back with tax.
    async fn shipping(&self) -> Result<Option<NoteLine<'_>>, CallError> {
        let Some(gross) = self.refund.shipping.map(|it| it.get(self.tryton.config.book_in)).filter(|it| !it.is_zero()) else {
            return Ok(None);
        };
        let prefix = mark::row(&self.web_id, "shipping ");
        let is_paid = |it: &&&InvoiceLine| it.amount.is_some_and(|it| !it.0.is_zero());
        let mut shipping = self.lines.iter().filter(|it| it.note.as_deref().is_some_and(|it| it.starts_with(&prefix)));
        let Some(sold) = shipping.find(is_paid) else { return Ok(None) };
        let taxes: Vec<Tax> = self.rpc.read("read_taxes", "account.tax", &sold.taxes, &["rate"]).await?;
        let rates: Decimal = taxes.iter().filter_map(|it| it.rate).map(|it| it.0).sum();
        let range = || CallError::data(OPERATION, "an amount is out of range");
        let net = gross.amount.checked_div(Decimal::ONE + rates).ok_or_else(range)?;
        let price = Money::new(net, gross.currency).rounded().amount;
        Ok(Some(NoteLine { title: title(sold), of: Of::Line(sold), quantity: Decimal::ONE, price }))
    }

    fn charge(&self, title: &str, amount: Decimal) -> Result<NoteLine<'static>, CallError> {
        let why = "the refund has an amount of no certain line";
        let key = product(&self.tryton.config.charge_product, "charge_product", why)?;
        Ok(NoteLine { of: Of::Product(key), title: title.to_owned(), quantity: Decimal::ONE, price: amount })
    }

    /// What the lines lack: a rounding, or an amount that the source gave back without saying for what.
    fn difference(&self, amount: Decimal, is_rounding: bool) -> Result<NoteLine<'static>, CallError> {
        if !is_rounding {
            return self.charge(self.refund.note.as_deref().filter(|it| !it.is_empty()).unwrap_or("Refund"), amount);
        }
        let why = "the credit note needs a rounding line";
        let key = product(&self.tryton.config.rounding_product, "rounding_product", why)?;
        Ok(NoteLine { of: Of::Product(key), title: "Rounding".into(), quantity: Decimal::ONE, price: amount })
    }

    async fn create(&self, lines: &[NoteLine<'_>]) -> Result<i64, CallError> {
        let rows = self.rows(lines).await?;
        let invoice = self.invoice;
        let values = json!({
            "type": "out", "company": self.tryton.config.company, "party": invoice.party,
            "invoice_address": invoice.invoice_address, "account": invoice.account, "journal": invoice.journal,
            "currency": invoice.currency.id, "reference": self.reference, "lines": [["create", rows]],
        });
        self.rpc.create_one("create_credit_note", "account.invoice", values).await
    }

    async fn rows(&self, lines: &[NoteLine<'_>]) -> Result<Vec<Value>, CallError> {
        let keys = lines.iter().filter_map(|it| match &it.of {
            Of::Product(key) => Some(key),
            Of::Line(_) => None,
        });
        let products = self.tryton.find_products(self.rpc, keys).await?;
        lines.iter().map(|line| self.row(line, &products)).collect()
    }

    fn row(&self, line: &NoteLine<'_>, products: &BTreeMap<ProductKey, Product>) -> Result<Value, CallError> {
        let company = self.tryton.config.company;
        let quantity = wire::quantity(-line.quantity)?;
        let mut row = json!({
            // Tryton's own default is the currency of the company.
            "type": "line", "company": company, "currency": self.invoice.currency.id, "quantity": quantity,
            "unit_price": wire::decimal(line.price), "description": line.title,
        });
        match &line.of {
            Of::Line(sold) => {
                row["product"] = json!(sold.product);
                row["unit"] = json!(sold.unit);
                row["account"] = json!(sold.account);
                row["taxes"] = json!([["add", sold.taxes]]);
                row["origin"] = json!(format!("account.invoice.line,{}", sold.id));
            }
            Of::Product(key) => {
                let product = products.get(key).ok_or_else(|| CallError::data(OPERATION, "a product was not found"))?;
                row["product"] = json!(product.id);
                row["unit"] = json!(product.sale_uom.unwrap_or(product.default_uom));
                row["account"] = json!(self.account(product)?);
            }
        }
        Ok(row)
    }

    /// The revenue account of the product's category, else of any line of the invoice.
    fn account(&self, product: &Product) -> Result<i64, CallError> {
        let own = product.category.as_ref().and_then(|it| it.account_revenue);
        let of_line = || self.lines.iter().find_map(|it| it.account);
        let none =
            || CallError::config(OPERATION, format!("product {} has no revenue account: set its account category", product.id));
        own.or_else(of_line).ok_or_else(none)
    }
}

/// Without what was taken off, which stands below it.
fn title(sold: &InvoiceLine) -> String {
    sold.description.as_deref().and_then(|it| it.lines().next()).unwrap_or_default().to_owned()
}
