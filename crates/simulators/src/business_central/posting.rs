//! What posting does: shipments, invoices, credit memos, journals, and the ledgers behind them.

use super::{
    documents::rounded,
    schema,
    state::{Record, Refusal, State, amount, decimal, one, text},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn nothing() -> Refusal {
    Refusal::dialog("There is nothing to post.")
}

impl State {
    pub(super) fn release(&mut self, order: &str) {
        self.change("salesOrders", order, one("status", json!("Open")));
    }

    /// All that is left, or some of some items; the shipment's number.
    pub(super) fn ship(&mut self, order: &str, some: Option<&[(String, Decimal)]>) -> Result<String, Refusal> {
        let header = self.found(schema::set("salesOrders")?, order)?.clone();
        let mut shipped = Vec::new();
        for line in self.lines("salesOrderLines", order) {
            let left = amount(&line, "quantity") - amount(&line, "shippedQuantity");
            let wanted = match some {
                None => left,
                Some(some) => some.iter().find(|it| it.0 == text(&line, "lineObjectNumber")).map_or(Decimal::ZERO, |it| it.1),
            };
            if !wanted.is_zero() && wanted.abs() <= left.abs() {
                shipped.push((line, wanted));
            }
        }
        if shipped.is_empty() {
            return Err(nothing());
        }
        self.release(order);
        let number = self.next("salesShipments", 102_001).to_string();
        let mut shipment = copied("salesShipments", &header);
        shipment.insert("number".into(), json!(number));
        shipment.insert("orderNumber".into(), header["number"].clone());
        shipment.insert("postingDate".into(), json!(self.today()));
        let id = self.insert("salesShipments", Value::Object(shipment));
        for (line, quantity) in shipped {
            let mut row = copied("salesShipmentLines", &line);
            // Posted shipments call the types otherwise than orders do.
            let kind = match text(&line, "lineType") {
                "Account" => "G/L Account",
                "Charge" => "Charge (Item)",
                other => other,
            };
            row.extend([
                ("documentId".to_owned(), json!(id)),
                ("lineType".to_owned(), json!(kind)),
                ("quantity".to_owned(), decimal(quantity)),
            ]);
            self.insert("salesShipmentLines", Value::Object(row));
            let done = amount(&line, "shippedQuantity") + quantity;
            self.quietly("salesOrderLines", text(&line, "id"), one("shippedQuantity", decimal(done)));
            self.moved(&line, -quantity, &number);
        }
        let left = self.lines("salesOrderLines", order).iter().any(|it| amount(it, "quantity") != amount(it, "shippedQuantity"));
        self.change("salesOrders", order, one("fullyShipped", json!(!left)));
        Ok(number)
    }

    /// Only items that are kept on stock have entries.
    fn moved(&mut self, line: &Record, quantity: Decimal, document: &str) {
        let number = text(line, "lineObjectNumber").to_uppercase();
        let is_kept = self.by("items", "number", &number).is_some_and(|it| text(it, "type") == "Inventory");
        if text(line, "lineType") == "Item" && is_kept {
            let entry = self.entry(&number, quantity, "Sale", document);
            self.book(entry);
        }
    }

    /// All that is shipped and not invoiced. An order that is invoiced in full is gone; the invoice's number.
    pub(super) fn invoice(&mut self, order: &str) -> Result<String, Refusal> {
        let header = self.found(schema::set("salesOrders")?, order)?.clone();
        let open = |it: &Record| amount(it, "shippedQuantity") - amount(it, "invoicedQuantity");
        let lines: Vec<Record> = self.lines("salesOrderLines", order).into_iter().filter(|it| !open(it).is_zero()).collect();
        if lines.is_empty() {
            return Err(nothing());
        }
        let number = self.next("salesInvoices", 103_001).to_string();
        let mut invoice = copied("salesInvoices", &header);
        invoice.extend([
            ("number".to_owned(), json!(number)),
            ("orderId".to_owned(), json!(order)),
            ("orderNumber".to_owned(), header["number"].clone()),
            ("invoiceDate".to_owned(), json!(self.today())),
            ("postingDate".to_owned(), json!(self.today())),
            ("status".to_owned(), json!("Open")),
        ]);
        let id = self.insert("salesInvoices", Value::Object(invoice));
        for line in &lines {
            let quantity = open(line);
            let mut row = copied("salesInvoiceLines", line);
            let off = amount(line, "discountAmount") * quantity / amount(line, "quantity");
            row.extend([
                ("documentId".to_owned(), json!(id)),
                ("quantity".to_owned(), decimal(quantity)),
                ("discountAmount".to_owned(), decimal(rounded(off, text(&header, "currencyCode")))),
            ]);
            row.remove("shippedQuantity");
            row.remove("invoicedQuantity");
            self.insert("salesInvoiceLines", Value::Object(row));
            let done = amount(line, "invoicedQuantity") + quantity;
            self.quietly("salesOrderLines", text(line, "id"), one("invoicedQuantity", decimal(done)));
        }
        self.retotal(schema::set("salesInvoices")?, &id);
        let total = self.row("salesInvoices", &id).map_or(Decimal::ZERO, |it| amount(it, "totalAmountIncludingTax"));
        self.change("salesInvoices", &id, one("remainingAmount", decimal(total)));
        self.general_entry(&number, "Invoice", total, Decimal::ZERO);
        let is_left = |it: &Record| amount(it, "quantity") != amount(it, "invoicedQuantity");
        if self.lines("salesOrderLines", order).iter().any(is_left) {
            self.touched("salesOrders", order, "updated");
        } else {
            self.remove_document(schema::set("salesOrders")?, order);
        }
        Ok(number)
    }

    pub(super) fn remove_document(&mut self, set: &'static schema::Set, id: &str) {
        let Some(lines) = set.lines.and_then(|it| schema::set(it).ok()) else { return };
        for line in self.lines(lines.name, id) {
            self.remove(lines.name, text(&line, "id"));
        }
        self.remove(set.name, id);
    }

    /// A draft keeps its id and gets the number of a posted memo.
    pub(super) fn post_memo(&mut self, id: &str) -> Result<(), Refusal> {
        let set = schema::set("salesCreditMemos")?;
        let memo = self.found(set, id)?.clone();
        self.editable(set, &memo)?;
        let lines = self.lines("salesCreditMemoLines", id);
        if lines.is_empty() {
            return Err(nothing());
        }
        let total = amount(&memo, "totalAmountIncludingTax");
        let applied = text(&memo, "invoiceNumber");
        if !applied.is_empty() {
            self.settle(applied, total)?;
        }
        let number = self.next("posted memos", 104_001).to_string();
        for line in &lines {
            self.moved(line, amount(line, "quantity"), &number);
        }
        self.general_entry(&number, "Credit Memo", Decimal::ZERO, total);
        let status = if applied.is_empty() { "Open" } else { "Paid" };
        let mut posted = one("number", json!(number));
        posted.insert("status".into(), json!(status));
        self.change(set.name, id, posted);
        Ok(())
    }

    /// Takes an amount off what is open of an invoice.
    fn settle(&mut self, invoice: &str, by: Decimal) -> Result<(), Refusal> {
        let found = self.by("salesInvoices", "number", invoice).filter(|it| !amount(it, "remainingAmount").is_zero());
        let closed = || Refusal::new(400, "Internal_DataNotFoundFilter", "There is no Cust. Ledger Entry within the filter.");
        let found = found.ok_or_else(closed)?;
        let (id, left) = (text(found, "id").to_owned(), (amount(found, "remainingAmount") - by).max(Decimal::ZERO));
        let mut fields = one("remainingAmount", decimal(left));
        if left.is_zero() {
            fields.insert("status".into(), json!("Paid"));
        }
        self.change("salesInvoices", &id, fields);
        Ok(())
    }

    // --- payments

    pub(super) fn create_payment(&mut self, journal: &str, body: &Record) -> Result<String, Refusal> {
        let set = schema::set("customerPayments")?;
        let mut fields = set.checked(body)?;
        if amount(&fields, "amount") >= Decimal::ZERO {
            return Err(Refusal::dialog("The \"amount\" should be a negative number."));
        }
        let (id, number) = (text(&fields, "customerId"), text(&fields, "customerNumber"));
        let customer = if id.is_empty() { self.by("customers", "number", number) } else { self.row("customers", id) };
        let customer = customer.ok_or_else(|| Refusal::dialog("A customerNumber or a customerId must be provided."))?;
        let (id, number) = (customer["id"].clone(), customer["number"].clone());
        fields.insert("customerId".into(), id);
        fields.insert("customerNumber".into(), number);
        if let Some(number) = fields.get("appliesToInvoiceNumber").and_then(Value::as_str).filter(|it| !it.is_empty()) {
            let open = self.by("salesInvoices", "number", number).filter(|it| !amount(it, "remainingAmount").is_zero());
            let missing = || Refusal::dialog("The \"appliesToInvoiceNumber\" does not match to an open Invoice.");
            let invoice = open.ok_or_else(missing)?["id"].clone();
            fields.insert("appliesToInvoiceId".into(), invoice);
        }
        fields.insert("journalId".into(), json!(journal));
        Ok(self.insert(set.name, Value::Object(fields)))
    }

    /// The lines of a journal become entries of the ledger, and are gone.
    pub(super) fn post_journal(&mut self, code: &str) -> Result<usize, Refusal> {
        let journal = self.by("customerPaymentJournals", "code", code).map(|it| text(it, "id").to_owned());
        let journal = journal.ok_or_else(nothing)?;
        let is_in = |it: &&Record| text(it, "journalId") == journal;
        let payments: Vec<Record> = self.rows("customerPayments").iter().filter(is_in).cloned().collect();
        for payment in &payments {
            let value = -amount(payment, "amount");
            let invoice = text(payment, "appliesToInvoiceNumber");
            if !invoice.is_empty() {
                self.settle(invoice, value)?;
            }
            let number = text(payment, "documentNumber");
            self.general_entry(number, "Payment", Decimal::ZERO, value);
            self.general_entry(number, "Payment", value, Decimal::ZERO);
            self.remove("customerPayments", text(payment, "id"));
        }
        Ok(payments.len())
    }
}

/// What two kinds of documents have in common.
fn copied(set: &str, from: &Record) -> Record {
    let Ok(set) = schema::set(set) else { return Record::new() };
    let names = set.fields().map(|it| it.name).filter(|it| *it != "id");
    names.filter_map(|it| Some((it.to_owned(), from.get(it)?.clone()))).collect()
}
