//! Books a refund as a posted credit memo, equal to the refund to the minor unit.

use super::{
    find::{Sale, missing, performed_invoice},
    sheet::{no_tax, object, rounded, shortened},
};
use crate::{
    BusinessCentral, Object, mark,
    wire::{self, CreditMemo, Invoice, Line, List, NewLine, Number, quoted, with_query},
};
use serde::Serialize;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Decimal, ErrorClass, Money, Performed, Refund, RefundLine, Restock, exponent};

const OPERATION: &str = "record_refund";

impl BusinessCentral {
    pub(super) async fn record_refund(&self, api: &Api, refund: &Refund, around: &Around<'_>) -> Result<Performed, CallError> {
        let total = refund.total.get(self.config.book_in);
        if total.is_zero() {
            return Ok(Performed::unchanged());
        }
        let invoices = self.find_invoices(api, &refund.order, around).await?;
        let Some(invoice) = invoices.first() else { return self.nothing_to_credit(api, refund, around).await };
        if !wire::is_currency(&invoice.currency_code, total.currency, self.currency) {
            let problem =
                format!("the refund is of {total}, {} is in {}: check `book_in`", invoice.number, invoice.currency_code);
            return Err(CallError::config(OPERATION, problem));
        }
        let number = document_number(refund, around);
        if let Some(found) = self.find_memo(api, &number).await? {
            if found.is_posted() {
                return Ok(Performed { unchanged: true, ..performed_invoice(invoice) });
            }
            // What an attempt left behind that did not come to its end.
            self.delete_memo(api, &found).await?;
        }
        let credit = Credit { erp: self, api, refund, around, invoice, invoices: &invoices, total };
        let memo = credit.write(number).await?;
        let path = self.path(&format!("salesCreditMemos({})/Microsoft.NAV.post", memo.id));
        api.post("post_credit_memo", path).send().await?;
        Ok(performed_invoice(invoice))
    }

    pub(super) async fn recorded_refund(
        &self,
        api: &Api,
        refund: &Refund,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let found = self.find_memo(api, &document_number(refund, around)).await?;
        Ok(found.filter(CreditMemo::is_posted).map(|_| Performed::done()))
    }

    /// A deleted order that was never invoiced owes nothing, so there is nothing to give back in the books.
    async fn nothing_to_credit(&self, api: &Api, refund: &Refund, around: &Around<'_>) -> Result<Performed, CallError> {
        match self.find_sale(api, &refund.order, around).await? {
            Some(Sale::Open(order)) => {
                let problem = format!("{} is not invoiced yet, so there is nothing to credit", order.number);
                Err(CallError::missing_dependency(OPERATION, problem))
            }
            Some(Sale::Invoiced(_)) => Err(CallError::transient(OPERATION, "the order was invoiced just now")),
            None if around.known.is_some() => Ok(Performed::unchanged()),
            None => Err(missing(&refund.order)),
        }
    }

    async fn find_memo(&self, api: &Api, number: &str) -> Result<Option<CreditMemo>, CallError> {
        let filter = format!("externalDocumentNumber eq {}", quoted(number));
        let options = [("$filter", filter.as_str()), ("$top", "5")];
        let found: List<CreditMemo> = api.get("find_refund", with_query(self.path("salesCreditMemos"), &options)).fetch().await?;
        // A posted one decides, whatever else is there.
        Ok(found.value.into_iter().max_by_key(CreditMemo::is_posted))
    }

    async fn delete_memo(&self, api: &Api, memo: &CreditMemo) -> Result<(), CallError> {
        let path = self.path(&format!("salesCreditMemos({})", memo.id));
        match api.delete("delete_credit_memo", path).header("if-match", &memo.etag).send().await {
            Err(error) if error.class != ErrorClass::Gone => Err(error),
            _ => Ok(()),
        }
    }

    async fn read_memo(&self, api: &Api, id: &str) -> Result<CreditMemo, CallError> {
        api.get("read_credit_memo", self.path(&format!("salesCreditMemos({id})"))).fetch().await
    }
}

/// By which the credit memo is found again.
fn document_number(refund: &Refund, around: &Around<'_>) -> String {
    mark::code("R-", around.from, &refund.id)
}

/// A credit memo on its way.
struct Credit<'a> {
    erp: &'a BusinessCentral,
    api: &'a Api,
    refund: &'a Refund,
    around: &'a Around<'a>,
    /// The newest.
    invoice: &'a Invoice,
    invoices: &'a [Invoice],
    total: Money,
}

struct NoteLine {
    object: Object,
    title: String,
    quantity: Decimal,
    price: Decimal,
    tax_code: Option<String>,
}

/// An amount, without and with tax.
#[derive(Clone, Copy)]
struct Both {
    net: Decimal,
    gross: Decimal,
}

impl Credit<'_> {
    /// Writes the draft, and makes its total the refund's.
    async fn write(&self, number: String) -> Result<CreditMemo, CallError> {
        let lines = self.lines()?;
        let half = Decimal::new(5, exponent(self.total.currency) + 1);
        let tolerance = half * Decimal::from(2 * lines.len() + 1);
        let made = self.post(number, &lines).await?;
        let memo = self.erp.read_memo(self.api, &made.id).await?;
        let missing = self.total.amount - memo.total_amount_including_tax.0;
        if missing.is_zero() {
            return Ok(memo);
        }
        if missing.abs() > tolerance {
            return Err(self.mismatch(&memo).await);
        }
        let rounding = object(OPERATION, &self.erp.config.rounding, "rounding", "the credit memo needs a rounding line")?;
        let line = self.untaxed(rounding, "Rounding", missing);
        let path = self.erp.path(&format!("salesCreditMemos({})/salesCreditMemoLines", memo.id));
        self.api.post("round_credit_memo", path).json(&line.written()).send().await?;
        let memo = self.erp.read_memo(self.api, &made.id).await?;
        if memo.total_amount_including_tax.0 != self.total.amount {
            return Err(self.mismatch(&memo).await);
        }
        Ok(memo)
    }

    async fn post(&self, number: String, lines: &[NoteLine]) -> Result<CreditMemo, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct NewMemo<'a> {
            external_document_number: String,
            credit_memo_date: String,
            posting_date: String,
            customer_id: &'a str,
            currency_code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            invoice_number: Option<&'a str>,
            sales_credit_memo_lines: Vec<NewLine<'a>>,
        }
        let day = mark::day(self.refund.created_at);
        // A memo cannot be applied to an invoice that is paid already: then it stands open on the customer's account.
        let open = self.invoices.iter().find(|it| it.remaining_amount.0 >= self.total.amount);
        let memo = NewMemo {
            external_document_number: number,
            credit_memo_date: day.clone(),
            posting_date: day,
            customer_id: &self.invoice.customer_id,
            currency_code: self.total.currency.code(),
            invoice_number: open.map(|it| it.number.as_str()),
            sales_credit_memo_lines: lines.iter().map(NoteLine::written).collect(),
        };
        self.api.post("create_credit_memo", self.erp.path("salesCreditMemos")).json(&memo).fetch().await
    }

    async fn mismatch(&self, memo: &CreditMemo) -> CallError {
        let theirs = Money::new(memo.total_amount_including_tax.0, self.total.currency);
        let deleted = self.erp.delete_memo(self.api, memo).await.is_ok();
        let outcome = if deleted { "the draft was deleted" } else { "the draft could not be deleted" };
        let problem = format!(
            "totals_mismatch: the refund is of {}, Business Central makes it {theirs} ({}); {outcome}",
            self.total, memo.number
        );
        CallError::data(OPERATION, problem)
    }

    fn lines(&self) -> Result<Vec<NoteLine>, CallError> {
        let book_in = self.erp.config.book_in;
        let (mut lines, mut sum) = (Vec::new(), Decimal::ZERO);
        let includes_tax = self.source_includes_tax();
        for line in &self.refund.lines {
            let (subtotal, tax) = (line.subtotal.get(book_in).amount, line.tax.get(book_in).amount);
            let both = match includes_tax {
                true => Both { net: subtotal - tax, gross: subtotal },
                false => Both { net: subtotal, gross: subtotal + tax },
            };
            if !both.gross.is_zero() {
                sum += both.gross;
                lines.push(self.goods(line, both)?);
            }
        }
        if let Some(gross) = self.refund.shipping.map(|it| it.get(book_in)).filter(|it| !it.is_zero()) {
            sum += gross.amount;
            lines.push(self.shipping(gross)?);
        }
        for adjustment in &self.refund.adjustments {
            let amount = adjustment.amount.get(book_in).amount;
            if !amount.is_zero() {
                sum += amount;
                lines.push(self.untaxed(self.account()?, &adjustment.reason, amount));
            }
        }
        // An amount that the source gave back without saying for what.
        let rest = self.total.amount - sum;
        if !rest.is_zero() {
            let title = self.refund.note.as_deref().filter(|it| !it.is_empty()).unwrap_or("Refund");
            lines.push(self.untaxed(self.account()?, title, rest));
        }
        Ok(lines)
    }

    /// A refund does not say whether its lines hold tax; its total does.
    fn source_includes_tax(&self) -> bool {
        let book_in = self.erp.config.book_in;
        let adjustments = self.refund.adjustments.iter().map(|it| it.amount.get(book_in).amount);
        let rest = self.refund.shipping.map_or(Decimal::ZERO, |it| it.get(book_in).amount) + adjustments.sum::<Decimal>();
        let lines: Decimal = self.refund.lines.iter().map(|it| it.subtotal.get(book_in).amount).sum();
        let taxes: Decimal = self.refund.lines.iter().map(|it| it.tax.get(book_in).amount).sum();
        let without = (self.total.amount - rest - lines).abs();
        let with = (self.total.amount - rest - lines - taxes).abs();
        without <= with
    }

    /// Taxed as it was sold. The item itself only where goods come back, for it goes on stock with its credit memo.
    fn goods(&self, line: &RefundLine, both: Both) -> Result<NoteLine, CallError> {
        let key = mark::key('L', &line.line_id);
        let sold = self.sold(|it| it == key).ok_or_else(|| {
            let problem = format!("line {} of the refund is not on {} or its like yet", line.line_id, self.invoice.number);
            CallError::missing_dependency(OPERATION, problem)
        })?;
        let comes_back = line.restock == Restock::Return && sold.line_type == "Item" && !line.quantity.is_zero();
        let object = if comes_back { Object::Item(sold.line_object_number.clone()) } else { self.account()? };
        let amount = self.amount(both);
        let quantity = if comes_back { line.quantity } else { Decimal::ONE };
        let price = amount.checked_div(quantity).ok_or_else(|| CallError::data(OPERATION, "an amount is out of range"))?;
        Ok(NoteLine {
            object,
            title: shortened(&sold.description),
            quantity,
            price: rounded(price, 5),
            tax_code: Some(sold.tax_code.clone()).filter(|it| !it.is_empty()),
        })
    }

    /// The refund says what was given back with tax; what it is without is found by the rate of the sale.
    fn shipping(&self, gross: Money) -> Result<NoteLine, CallError> {
        let sold = self.sold(|it| it.starts_with('S'));
        let percent = sold.map_or(Decimal::ZERO, |it| it.tax_percent.0);
        let net = gross.amount * Decimal::ONE_HUNDRED / (Decimal::ONE_HUNDRED + percent);
        let both = Both { net: Money::new(net, gross.currency).rounded().amount, gross: gross.amount };
        Ok(NoteLine {
            object: self.account()?,
            title: sold.map_or_else(|| "Shipping".to_owned(), |it| shortened(&it.description)),
            quantity: Decimal::ONE,
            price: self.amount(both),
            tax_code: match sold {
                Some(sold) => Some(sold.tax_code.clone()).filter(|it| !it.is_empty()),
                None => no_tax(self.around.maps),
            },
        })
    }

    fn untaxed(&self, object: Object, title: &str, amount: Decimal) -> NoteLine {
        let tax_code = no_tax(self.around.maps);
        NoteLine { object, title: shortened(title), quantity: Decimal::ONE, price: amount, tax_code }
    }

    fn sold(&self, is_key: impl Fn(&str) -> bool) -> Option<&Line> {
        let lines = self.invoices.iter().flat_map(|it| &it.sales_invoice_lines);
        lines.into_iter().find(|it| it.mark().is_some_and(|mark| is_key(&mark.key)))
    }

    /// As the customer's prices hold tax.
    fn amount(&self, both: Both) -> Decimal {
        if self.invoice.prices_include_tax { both.gross } else { both.net }
    }

    fn account(&self) -> Result<Object, CallError> {
        object(OPERATION, &self.erp.config.refund, "refund", "the refund has an amount that brings no goods back")
    }
}

impl NoteLine {
    fn written(&self) -> NewLine<'_> {
        let (kind, number) = self.object.parts();
        NewLine {
            line_type: Some(kind),
            line_object_number: Some(number),
            tax_code: self.tax_code.as_deref(),
            description: &self.title,
            description2: String::new(),
            quantity: Number(self.quantity),
            unit_price: Number(self.price.normalize()),
            discount_amount: Number(Decimal::ZERO),
        }
    }
}
