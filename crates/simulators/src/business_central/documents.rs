//! Sales orders and credit memos while they are open: lines, what they are booked on, and how they add up.

use super::{
    schema::{self, Set},
    state::{Record, Refusal, State, amount, decimal, one, text},
};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use spindel_model::Currency;
use std::collections::BTreeMap;

const LINE_TYPES: [&str; 6] = ["Comment", "Account", "Item", "Resource", "Fixed Asset", "Charge"];

fn relation(field: &str, value: &str, table: &str) -> Refusal {
    let problem = format!("The field {field} contains a value ({value}) that cannot be found in the related table ({table}).");
    Refusal::new(400, "Internal_InvalidTableRelation", problem)
}

/// Half away from zero, to the smallest unit of the currency.
pub(super) fn rounded(value: Decimal, currency: &str) -> Decimal {
    let digits = currency.parse::<Currency>().ok().and_then(|it| it.exponent()).map_or(2, u32::from);
    value.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

impl State {
    /// With its lines, in one transaction.
    pub(super) fn create_document(&mut self, set: &'static Set, body: &Record) -> Result<String, Refusal> {
        let mut fields = set.checked(body)?;
        if fields.contains_key("number") {
            let problem = "You may not enter numbers manually. If you want to enter numbers manually, please activate Manual Nos. in \
                           No. Series S-ORD.";
            return Err(Refusal::dialog(problem));
        }
        let customer = self.customer(&fields)?.clone();
        for (name, of_customer) in [
            ("customerId", "id"),
            ("customerNumber", "number"),
            ("customerName", "displayName"),
            ("billToCustomerId", "id"),
            ("billToCustomerNumber", "number"),
            ("billToName", "displayName"),
        ] {
            fields.insert(name.into(), customer[of_customer].clone());
        }
        for (name, of_customer) in [
            ("sellToAddressLine1", "addressLine1"),
            ("sellToCity", "city"),
            ("sellToPostCode", "postalCode"),
            ("sellToCountry", "country"),
            ("email", "email"),
        ] {
            fields.entry(name).or_insert_with(|| customer[of_customer].clone());
        }
        let currency = fields.entry("currencyCode").or_insert_with(|| json!("")).as_str().unwrap_or_default().to_owned();
        fields.insert("currencyCode".into(), json!(self.currency(&currency)?));
        let includes = customer.get("_pricesIncludeTax").cloned().unwrap_or(json!(false));
        fields.insert("pricesIncludeTax".into(), includes);
        fields.insert("status".into(), json!("Draft"));
        let first = if set.name == "salesOrders" { 101_001 } else { 1001 };
        fields.insert("number".into(), json!(self.next(set.name, first).to_string()));
        fields.entry("postingDate").or_insert(json!(self.today()));
        if let Some(number) = fields.get("invoiceNumber").and_then(Value::as_str).filter(|it| !it.is_empty()) {
            let invoice = self.by("salesInvoices", "number", number);
            let invoice = invoice.ok_or_else(|| relation("Applies-to Doc. No.", number, "Cust. Ledger Entry"))?;
            let id = invoice["id"].clone();
            fields.insert("invoiceId".into(), id);
        }
        let id = self.insert(set.name, Value::Object(fields));
        let lines = set.lines.unwrap_or_default();
        for line in body.get(lines).and_then(Value::as_array).into_iter().flatten() {
            let line = line.as_object().ok_or_else(|| Refusal::new(400, "BadRequest", "Invalid Request Body"))?;
            // A flaw that the vendor has had for years.
            if line.contains_key("sequence") {
                let problem = "You cannot change the value of the SystemId field to a value that already exists.";
                return Err(Refusal::new(500, "Internal_ServerError", problem));
            }
            self.add_line(schema::set(lines)?, &id, line)?;
        }
        self.retotal(set, &id);
        Ok(id)
    }

    fn customer(&self, fields: &Record) -> Result<&Record, Refusal> {
        let (id, number) = (text(fields, "customerId"), text(fields, "customerNumber"));
        let (found, name) = match (id, number) {
            ("", "") => return Err(Refusal::dialog("A customerNumber or a customerId must be provided.")),
            ("", number) => (self.by("customers", "number", number), "customerNumber"),
            (id, _) => (self.row("customers", id), "customerId"),
        };
        found.ok_or_else(|| Refusal::dialog(format!("The \"{name}\" does not match to a Customer.")))
    }

    /// The company's own is shown with its code, and may be left out.
    fn currency(&self, code: &str) -> Result<String, Refusal> {
        let local = self.setup.currency.code();
        match code {
            "" => Ok(local.to_owned()),
            code if code == local || self.setup.currencies.iter().any(|it| it.code() == code) => Ok(code.to_owned()),
            code => Err(relation("Currency Code of table Sales Header", code, "Currency")),
        }
    }

    /// Whether people have released or posted it.
    pub(super) fn editable(&self, set: &Set, document: &Record) -> Result<(), Refusal> {
        let number = text(document, "number");
        match text(document, "status") {
            "Draft" => Ok(()),
            "Open" if set.name == "salesOrders" => {
                let problem = format!(
                    "Status must be equal to 'Open'  in Sales Header: Document Type=Order, No.={number}. Current value is 'Released'."
                );
                Err(Refusal::new(400, "Application_FieldValidationException", problem))
            }
            _ => Err(Refusal::dialog(format!("{number} is posted and cannot be changed."))),
        }
    }

    // --- lines

    pub(super) fn add_line(&mut self, set: &'static Set, document: &str, body: &Record) -> Result<String, Refusal> {
        let mut line = set.blank();
        line.insert("documentId".into(), json!(document));
        line.extend(set.checked(body)?);
        let header = self.above(set, document)?;
        self.booked_on(&header, &mut line, body)?;
        let sequence = 10_000 * (self.lines(set.name, document).len() + 1);
        line.insert("sequence".into(), json!(sequence));
        Ok(self.insert(set.name, Value::Object(line)))
    }

    pub(super) fn change_line(&mut self, set: &'static Set, id: &str, body: &Record) -> Result<(), Refusal> {
        let mut line = self.found(set, id)?.clone();
        let fields = set.checked(body)?;
        for name in ["lineType", "documentId"] {
            if fields.get(name).is_some_and(|it| line.get(name) != Some(it)) {
                return Err(Refusal::dialog(format!("The \"{name}\" cannot be changed.")));
            }
        }
        let header = self.above(set, text(&line, "documentId"))?;
        line.extend(fields);
        if amount(&line, "quantity") < amount(&line, "shippedQuantity") {
            return Err(Refusal::dialog("Quantity must not be less than what is shipped in Sales Line."));
        }
        self.booked_on(&header, &mut line, body)?;
        self.change(set.name, id, line);
        Ok(())
    }

    /// The document of lines, if it may be changed.
    pub(super) fn above(&self, set: &Set, document: &str) -> Result<Record, Refusal> {
        let above = schema::set(set.above.map_or("", |it| it.0))?;
        let header = self.found(above, document)?;
        self.editable(above, header)?;
        Ok(header.clone())
    }

    fn booked_on(&self, header: &Record, line: &mut Record, body: &Record) -> Result<(), Refusal> {
        let kind = text(line, "lineType").to_owned();
        if !LINE_TYPES.contains(&kind.as_str()) {
            let problem = format!("'{kind}' is not an option. The existing options are: {}", LINE_TYPES.join(","));
            return Err(Refusal::new(400, "Unknown", problem));
        }
        let number = text(line, "lineObjectNumber").to_owned();
        match kind.as_str() {
            "Item" => {
                let item = self.by("items", "number", &number).filter(|_| !number.is_empty());
                let item = item.ok_or_else(|| relation("No. of table Sales Line", &number, "Item"))?;
                line.insert("itemId".into(), item["id"].clone());
                if text(line, "description").is_empty() {
                    line.insert("description".into(), item["displayName"].clone());
                }
                if !body.contains_key("unitPrice") && amount(line, "unitPrice").is_zero() {
                    line.insert("unitPrice".into(), item["unitPrice"].clone());
                }
            }
            "Account" if !self.setup.accounts.contains(&number) => {
                return Err(relation("No. of table Sales Line", &number, "G/L Account"));
            }
            _ => {}
        }
        if text(line, "taxCode").is_empty() {
            let first = self.setup.vat.first().map_or("", |it| it.0.as_str());
            line.insert("taxCode".into(), json!(first));
        }
        let code = text(line, "taxCode").to_owned();
        let rate = self.setup.vat.iter().find(|it| it.0.eq_ignore_ascii_case(&code)).map(|it| it.1);
        let rate =
            rate.ok_or_else(|| relation("VAT Prod. Posting Group of table Sales Line", &code, "VAT Product Posting Group"))?;
        line.insert("taxPercent".into(), decimal(rate));
        let full = rounded(amount(line, "quantity") * amount(line, "unitPrice"), text(header, "currencyCode"));
        if body.contains_key("discountPercent") && !body.contains_key("discountAmount") {
            let off = full * amount(line, "discountPercent") / Decimal::ONE_HUNDRED;
            line.insert("discountAmount".into(), decimal(rounded(off, text(header, "currencyCode"))));
        }
        let off = amount(line, "discountAmount");
        if off > full.max(Decimal::ZERO) {
            return Err(Refusal::dialog("The Line Discount Amount must not be greater than the line's amount."));
        }
        let percent = if full.is_zero() { Decimal::ZERO } else { (off * Decimal::ONE_HUNDRED / full).round_dp(5) };
        line.insert("discountPercent".into(), decimal(percent));
        Ok(())
    }

    /// Amounts of the lines, and the document's: VAT is rounded once for each of its codes.
    pub(super) fn retotal(&mut self, set: &'static Set, id: &str) {
        let Some(header) = self.row(set.name, id).cloned() else { return };
        let currency = text(&header, "currencyCode");
        let includes = header.get("pricesIncludeTax").and_then(Value::as_bool).unwrap_or_default();
        let lines = set.lines.unwrap_or_default();
        let mut sums: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
        for line in self.lines(lines, id) {
            let percent = amount(&line, "taxPercent");
            let full = rounded(amount(&line, "quantity") * amount(&line, "unitPrice"), currency);
            let worth = full - amount(&line, "discountAmount");
            let sum = sums.entry(text(&line, "taxCode").to_owned()).or_insert((Decimal::ZERO, percent));
            sum.0 += worth;
            let (net, tax) = split(worth, percent, includes, currency);
            let mut amounts = Record::new();
            for (name, value) in [
                ("amountExcludingTax", net),
                ("totalTaxAmount", tax),
                ("amountIncludingTax", net + tax),
                ("netAmount", net),
                ("netTaxAmount", tax),
                ("netAmountIncludingTax", net + tax),
            ] {
                amounts.insert(name.into(), decimal(value));
            }
            self.quietly(lines, text(&line, "id"), amounts);
        }
        let parts = sums.values().map(|(worth, percent)| split(*worth, *percent, includes, currency));
        let (net, tax) = parts.fold((Decimal::ZERO, Decimal::ZERO), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let mut totals = one("totalAmountExcludingTax", decimal(net));
        totals.insert("totalTaxAmount".into(), decimal(tax));
        totals.insert("totalAmountIncludingTax".into(), decimal(net + tax));
        self.change(set.name, id, totals);
    }
}

/// Without tax, and the tax.
fn split(worth: Decimal, percent: Decimal, includes: bool, currency: &str) -> (Decimal, Decimal) {
    if includes {
        let tax = rounded(worth * percent / (Decimal::ONE_HUNDRED + percent), currency);
        (worth - tax, tax)
    } else {
        (worth, rounded(worth * percent / Decimal::ONE_HUNDRED, currency))
    }
}
