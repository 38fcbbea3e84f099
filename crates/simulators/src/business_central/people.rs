//! What people do in the company, and what they see there.

use super::{
    BusinessCentralSim, SentNotifications,
    api::{self, Ask},
    schema,
    state::{Record, Refusal, State, amount, decimal, one, text},
};
use crate::shopify::Forged;
use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Why the company does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(format!("{}: {}", refusal.code, refusal.message))
    }
}

/// A sales order, an invoice, a credit memo or a shipment.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentView {
    pub id: String,
    pub number: String,
    pub external_number: String,
    pub customer: String,
    pub status: String,
    pub currency: String,
    pub total: Decimal,
    /// Of invoices: what is not paid or credited.
    pub remaining: Decimal,
    /// Of invoices and shipments.
    pub order_number: String,
    pub lines: Vec<LineView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LineView {
    pub kind: String,
    /// Of the item, the account, the charge.
    pub number: String,
    pub description: String,
    pub description2: String,
    pub quantity: Decimal,
    pub unit_price: Decimal,
    pub discount: Decimal,
    pub tax_code: String,
    pub shipped: Decimal,
    pub invoiced: Decimal,
}

/// A line of a payment journal that is not posted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentView {
    pub journal: String,
    pub document_number: String,
    pub external_number: String,
    pub customer: String,
    pub amount: Decimal,
    pub invoice: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerView {
    pub id: String,
    pub number: String,
    pub name: String,
    pub email: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    pub id: String,
    pub set: String,
    pub url: String,
    pub expires_at: Timestamp,
}

fn document(state: &State, lines: &str, record: &Record) -> DocumentView {
    let line = |it: &Record| LineView {
        kind: text(it, "lineType").into(),
        number: text(it, "lineObjectNumber").into(),
        description: text(it, "description").into(),
        description2: text(it, "description2").into(),
        quantity: amount(it, "quantity"),
        unit_price: amount(it, "unitPrice"),
        discount: amount(it, "discountAmount"),
        tax_code: text(it, "taxCode").into(),
        shipped: amount(it, "shippedQuantity"),
        invoiced: amount(it, "invoicedQuantity"),
    };
    DocumentView {
        id: text(record, "id").into(),
        number: text(record, "number").into(),
        external_number: text(record, "externalDocumentNumber").into(),
        customer: text(record, "customerNumber").into(),
        status: text(record, "status").into(),
        currency: text(record, "currencyCode").into(),
        total: amount(record, "totalAmountIncludingTax"),
        remaining: amount(record, "remainingAmount"),
        order_number: text(record, "orderNumber").into(),
        lines: state.lines(lines, text(record, "id")).iter().map(line).collect(),
    }
}

impl BusinessCentralSim {
    // --- what there is

    pub fn orders(&self) -> Vec<DocumentView> {
        self.documents("salesOrders")
    }

    pub fn invoices(&self) -> Vec<DocumentView> {
        self.documents("salesInvoices")
    }

    pub fn credit_memos(&self) -> Vec<DocumentView> {
        self.documents("salesCreditMemos")
    }

    pub fn shipments(&self) -> Vec<DocumentView> {
        self.documents("salesShipments")
    }

    fn documents(&self, set: &str) -> Vec<DocumentView> {
        self.shared.with(|it| {
            let lines = schema::set(set).ok().and_then(|it| it.lines).unwrap_or_default();
            it.rows(set).iter().map(|row| document(it, lines, row)).collect()
        })
    }

    pub fn payments(&self) -> Vec<PaymentView> {
        self.shared.with(|it| {
            let code = |id: &str| it.row("customerPaymentJournals", id).map_or("", |it| text(it, "code")).to_owned();
            let view = |row: &Record| PaymentView {
                journal: code(text(row, "journalId")),
                document_number: text(row, "documentNumber").into(),
                external_number: text(row, "externalDocumentNumber").into(),
                customer: text(row, "customerNumber").into(),
                amount: amount(row, "amount"),
                invoice: text(row, "appliesToInvoiceNumber").into(),
                description: text(row, "description").into(),
            };
            it.rows("customerPayments").iter().map(view).collect()
        })
    }

    pub fn customers(&self) -> Vec<CustomerView> {
        let view = |row: &Record| CustomerView {
            id: text(row, "id").into(),
            number: text(row, "number").into(),
            name: text(row, "displayName").into(),
            email: text(row, "email").into(),
        };
        self.shared.with(|it| it.rows("customers").iter().map(view).collect())
    }

    pub fn stock(&self, item: &str) -> Option<Decimal> {
        self.shared.with(|it| it.by("items", "number", item).map(|it| amount(it, "inventory")))
    }

    pub fn subscriptions(&self) -> Vec<SubscriptionView> {
        self.shared.with(|it| {
            it.forget_expired();
            let view = |it: &super::state::Subscription| SubscriptionView {
                id: it.id.clone(),
                set: it.set.to_owned(),
                url: it.url.clone(),
                expires_at: it.expires,
            };
            it.subscriptions.iter().map(view).collect()
        })
    }

    /// Every subscription ends so long from now, unless it is renewed.
    pub fn end_subscriptions_in(&self, left: SignedDuration) {
        self.shared.with(|it| {
            let ends = it.now() + left;
            it.subscriptions.iter_mut().for_each(|one| one.expires = ends);
        });
    }

    // --- orders

    /// As somebody types it in: item and quantity.
    pub fn enter_order(&self, external_number: &str, lines: &[(&str, u32)]) -> Result<String, Refused> {
        let rows =
            lines.iter().map(|(item, quantity)| json!({ "lineType": "Item", "lineObjectNumber": item, "quantity": quantity }));
        let body = json!({
            "externalDocumentNumber": external_number, "customerNumber": "WEB", "salesOrderLines": rows.collect::<Vec<_>>(),
        });
        let company = self.shared.with(|it| it.setup.company);
        let ask = Ask {
            method: Method::POST,
            path: format!("companies({company})/salesOrders"),
            query: Vec::new(),
            if_match: None,
            body: body.as_object().cloned(),
        };
        let reply = self.shared.with(|it| api::answer(it, &ask))?;
        Ok(reply.body.and_then(|it| it["number"].as_str().map(str::to_owned)).unwrap_or_default())
    }

    /// Moves an order by its number, in one transaction.
    fn order<T>(&self, number: &str, act: impl FnOnce(&mut State, &str) -> Result<T, Refusal>) -> Result<T, Refused> {
        self.shared.with(|state| {
            let found = state.by("salesOrders", "number", number);
            let id = found.map(|it| text(it, "id").to_owned()).ok_or_else(|| Refused(format!("there is no order {number}")))?;
            let mut trial = state.clone();
            let result = act(&mut trial, &id)?;
            *state = trial;
            Ok(result)
        })
    }

    /// Nothing of it can be changed from then on.
    pub fn release(&self, number: &str) -> Result<(), Refused> {
        self.order(number, |state, id| {
            state.release(id);
            Ok(())
        })
    }

    /// It can be changed again.
    pub fn reopen(&self, number: &str) -> Result<(), Refused> {
        self.order(number, |state, id| {
            state.change("salesOrders", id, one("status", json!("Draft")));
            Ok(())
        })
    }

    /// All that is left; the shipment's number.
    pub fn ship(&self, number: &str) -> Result<String, Refused> {
        self.order(number, |state, id| state.ship(id, None))
    }

    /// So many of some items (or of what else lines are booked on).
    pub fn ship_some(&self, number: &str, some: &[(&str, u32)]) -> Result<String, Refused> {
        let some: Vec<(String, Decimal)> = some.iter().map(|it| (it.0.to_owned(), it.1.into())).collect();
        self.order(number, |state, id| state.ship(id, Some(&some)))
    }

    /// What is shipped; the invoice's number. An order that is invoiced in full is gone.
    pub fn invoice(&self, number: &str) -> Result<String, Refused> {
        self.order(number, State::invoice)
    }

    pub fn delete_order(&self, number: &str) -> Result<(), Refused> {
        self.order(number, |state, id| {
            state.remove_document(schema::set("salesOrders")?, id);
            Ok(())
        })
    }

    /// Another line, as somebody adds it by hand.
    pub fn add_line(&self, number: &str, item: &str, quantity: u32) -> Result<(), Refused> {
        self.order(number, |state, id| {
            let line = json!({ "lineType": "Item", "lineObjectNumber": item, "quantity": quantity });
            let line: Record = line.as_object().cloned().unwrap_or_default();
            state.add_line(schema::set("salesOrderLines")?, id, &line)?;
            state.retotal(schema::set("salesOrders")?, id);
            Ok(())
        })
    }

    /// Posts all lines of a payment journal: how many.
    pub fn post_journal(&self, code: &str) -> Result<usize, Refused> {
        Ok(self.shared.with(|it| it.post_journal(code))?)
    }

    // --- items and customers

    /// Its id.
    pub fn add_item(&self, number: &str, price: Decimal, stock: u32) -> String {
        self.shared.with(|it| it.add_item(number, price, stock.into()))
    }

    pub fn set_price(&self, item: &str, price: Decimal) -> Result<(), Refused> {
        self.item(item, |state, id| state.change("items", id, one("unitPrice", decimal(price))))
    }

    /// Up or down: the item itself does not change with it.
    pub fn adjust_stock(&self, item: &str, by: i64) -> Result<(), Refused> {
        self.item(item, |state, _| {
            let entry = state.entry(item, by.into(), "Positive Adjmt.", "ADJUSTED");
            state.book(entry);
        })
    }

    /// In a transaction that takes long: its entry has its number now, and is seen after [`BusinessCentralSim::end_slowly`].
    pub fn adjust_stock_slowly(&self, item: &str, by: i64) -> Result<(), Refused> {
        self.item(item, |state, _| {
            let entry = state.entry(item, by.into(), "Positive Adjmt.", "SLOW");
            state.slow_entries.push(entry);
        })
    }

    pub fn end_slowly(&self) {
        self.shared.with(|state| std::mem::take(&mut state.slow_entries).into_iter().for_each(|it| state.book(it)));
    }

    pub fn delete_item(&self, item: &str) -> Result<(), Refused> {
        self.item(item, |state, id| state.remove("items", id))
    }

    fn item(&self, number: &str, act: impl FnOnce(&mut State, &str)) -> Result<(), Refused> {
        self.shared.with(|state| {
            let found = state.by("items", "number", number).map(|it| text(it, "id").to_owned());
            let id = found.ok_or_else(|| Refused(format!("there is no item {number}")))?;
            act(state, &id);
            Ok(())
        })
    }

    /// Its number; prices of its orders hold VAT as given.
    pub fn add_customer(&self, name: &str, email: &str, prices_include_tax: bool) -> String {
        self.shared.with(|state| {
            let number = format!("C{:05}", state.next("customers", 10));
            let fields = json!({
                "number": number, "displayName": name, "type": "Person", "email": email, "_pricesIncludeTax": prices_include_tax,
            });
            state.insert("customers", fields);
            number
        })
    }

    /// Any property of a customer, by its number.
    pub fn change_customer(&self, number: &str, property: &str, value: Value) -> Result<(), Refused> {
        self.shared.with(|state| {
            let found = state.by("customers", "number", number).map(|it| text(it, "id").to_owned());
            let id = found.ok_or_else(|| Refused(format!("there is no customer {number}")))?;
            state.change("customers", &id, one(property, value));
            Ok(())
        })
    }

    // --- access and notifications

    /// Every token ends now.
    pub fn revoke_tokens(&self) {
        self.shared.with(|it| it.tokens.clear());
    }

    /// Sends what is due at once, and waits until all was taken, refused or given up.
    pub async fn flush(&self) {
        self.shared.deliver().await;
    }

    /// Every request with notifications that was made, retries included, oldest first.
    pub fn sent(&self) -> Vec<SentNotifications> {
        self.shared.sent()
    }

    /// The last request of each address once more.
    pub async fn send_again(&self) {
        self.shared.send_again().await;
    }

    /// Sends `n` requests with wrong, empty, malformed and missing `clientState` to an address.
    pub async fn forge(&self, url: &str, n: usize) -> Forged {
        self.shared.forge(url, n).await
    }
}
