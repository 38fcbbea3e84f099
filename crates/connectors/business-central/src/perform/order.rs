//! Brings a sales order to the state of the source's: once in effect, however often it is tried.
//!
//! A new order is made with all its lines in one call. Every line carries a mark, by which it is found again and by which is
//! seen whether it is to be changed; lines that people added carry none and stay.

use super::{
    find::{Sale, performed, performed_invoice, unchanged},
    sheet::{Books, Row, Sheet},
    total::Wanted,
};
use crate::{
    BusinessCentral, mark,
    mark::{Mark, ROUNDING},
    wire::{self, Invoice, Line, NewLine, Part, SalesOrder},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Address, Money, Order, Performed};
use std::collections::BTreeMap;

const OPERATION: &str = "push_order";

/// Addresses and the like: what people see above the lines.
type Head = BTreeMap<&'static str, String>;

impl BusinessCentral {
    pub(super) async fn push_order(&self, api: &Api, order: &Order, around: &Around<'_>) -> Result<Performed, CallError> {
        let draft = Draft::new(self, order, around)?;
        // What the settings lack shows before anything is called.
        let sheet = draft.sheet(self.config.prices_include_tax)?;
        match self.find_sale(api, &order.reference(), around).await? {
            Some(Sale::Open(found)) if order.cancelled_at.is_some() => self.delete_open(api, &found).await,
            Some(Sale::Open(found)) => draft.update(api, found).await,
            Some(Sale::Invoiced(invoices)) => draft.compare(&invoices),
            None if order.cancelled_at.is_some() => Ok(Performed::unchanged()),
            None if around.known.is_some() => {
                let problem = "the order was in Business Central and is neither there nor invoiced any more: somebody deleted it; \
                               cancel it in the shop too, or enter it by hand";
                Err(CallError::data(OPERATION, problem))
            }
            None => draft.create(api, sheet).await,
        }
    }

    /// Whether an earlier attempt carried this very version through to its end.
    pub(super) async fn pushed_order(
        &self,
        api: &Api,
        order: &Order,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let draft = Draft::new(self, order, around)?;
        let found = self.find_sale(api, &order.reference(), around).await?;
        Ok(match found {
            _ if order.cancelled_at.is_some() => found.is_none().then(Performed::unchanged),
            Some(Sale::Open(found)) => draft.is_complete(&found)?.then(|| performed(&found)),
            Some(Sale::Invoiced(invoices)) => draft.compare(&invoices).ok(),
            None => None,
        })
    }
}

/// One version of an order on its way into Business Central.
struct Draft<'a> {
    erp: &'a BusinessCentral,
    order: &'a Order,
    around: &'a Around<'a>,
    number: String,
    head: Head,
    /// Digests of order and head.
    tag: String,
    head_digest: String,
}

impl<'a> Draft<'a> {
    fn new(erp: &'a BusinessCentral, order: &'a Order, around: &'a Around<'a>) -> Result<Self, CallError> {
        let head = head(order);
        Ok(Self {
            erp,
            order,
            around,
            number: erp.document_number(OPERATION, &order.number, around.from)?,
            tag: mark::order(around.from, &order.id),
            head_digest: mark::digest(json!(head).to_string().as_bytes()),
            head,
        })
    }

    fn sheet(&self, includes_tax: bool) -> Result<Sheet, CallError> {
        Books { config: &self.erp.config, maps: self.around.maps, includes_tax }.sheet(self.order)
    }

    fn total(&self) -> Money {
        self.order.totals.grand.get(self.erp.config.book_in)
    }

    fn mark(&self, row: &Row) -> Mark {
        row.mark(&self.tag, &self.head_digest)
    }

    fn wanted(&self, sheet: &Sheet, is_new: bool) -> Wanted<'_> {
        Wanted {
            total: self.total(),
            tolerance: sheet.tolerance,
            maps: self.around.maps,
            order: &self.tag,
            head: &self.head_digest,
            is_new,
        }
    }

    // --- new

    async fn create(&self, api: &Api, sheet: Sheet) -> Result<Performed, CallError> {
        let customer = self.erp.customer_of(api, self.order).await?;
        let guess = self.erp.config.prices_include_tax;
        let made = self.post(api, &customer, &sheet).await?;
        self.check_currency(&made.currency_code, &made.number)?;
        if made.prices_include_tax == guess {
            return self.finish(api, &made.id, &sheet).await;
        }
        // The customer's prices hold tax the other way: the same order again, with the other prices.
        let newest = self.erp.read_order(api, &made.id).await?;
        self.erp.delete_order(api, &newest).await?;
        let sheet = self.sheet(!guess)?;
        let made = self.post(api, &customer, &sheet).await?;
        self.finish(api, &made.id, &sheet).await
    }

    async fn finish(&self, api: &Api, id: &str, sheet: &Sheet) -> Result<Performed, CallError> {
        let found = self.erp.read_order(api, id).await?;
        self.erp.settle(api, found, &self.wanted(sheet, true)).await
    }

    async fn post(&self, api: &Api, customer: &str, sheet: &Sheet) -> Result<Made, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct NewOrder<'a> {
            external_document_number: &'a str,
            order_date: String,
            customer_id: &'a str,
            currency_code: &'a str,
            #[serde(flatten)]
            head: &'a Head,
            // Without `sequence`: it cannot be given to lines that come with their order.
            sales_order_lines: Vec<NewLine<'a>>,
        }
        let new = NewOrder {
            external_document_number: &self.number,
            order_date: mark::day(self.order.placed_at),
            customer_id: customer,
            currency_code: self.total().currency.code(),
            head: &self.head,
            sales_order_lines: sheet.rows.iter().map(|row| row.line(&self.mark(row), true)).collect(),
        };
        api.post("create_order", self.erp.path("salesOrders")).json(&new).fetch().await
    }

    fn check_currency(&self, code: &str, number: &str) -> Result<(), CallError> {
        let wanted = self.total().currency;
        if wire::is_currency(code, wanted, self.erp.currency) {
            return Ok(());
        }
        let problem =
            format!("{number} is in {code} in Business Central, and the order is in {}: check `book_in`", wanted.code());
        Err(CallError::config(OPERATION, problem))
    }

    // --- again

    /// Every line is there as this version has it, and the total is right.
    fn is_complete(&self, found: &SalesOrder) -> Result<bool, CallError> {
        let sheet = self.sheet(found.prices_include_tax)?;
        let is_right = found.total_amount_including_tax.0 == self.total().amount;
        Ok(is_right && self.changes(found, &sheet.rows).is_empty())
    }

    async fn update(&self, api: &Api, found: SalesOrder) -> Result<Performed, CallError> {
        self.check_ours(&found)?;
        self.check_currency(&found.currency_code, &found.number)?;
        let sheet = self.sheet(found.prices_include_tax)?;
        let changes = self.changes(&found, &sheet.rows);
        if changes.is_empty() && found.total_amount_including_tax.0 == self.total().amount {
            return Ok(unchanged(&found));
        }
        let found = if changes.is_empty() { found } else { self.change(api, &found, changes).await? };
        self.erp.settle(api, found, &self.wanted(&sheet, false)).await
    }

    /// All at once. The order's etag guards the whole: whoever changes a line changes it too.
    async fn change(&self, api: &Api, found: &SalesOrder, mut changes: Vec<Part>) -> Result<SalesOrder, CallError> {
        let path = self.erp.path(&format!("salesOrders({})", found.id));
        changes.insert(0, Part::patch(&path, &found.etag, &self.head));
        wire::batch(api, "change_order", changes).await?;
        self.erp.read_order(api, &found.id).await
    }

    fn changes(&self, found: &SalesOrder, rows: &[Row]) -> Vec<Part> {
        let lines = self.erp.path(&format!("salesOrders({})/salesOrderLines", found.id));
        let there: Vec<(&Line, Mark)> = found.sales_order_lines.iter().filter_map(|it| Some((it, it.mark()?))).collect();
        let ours: Vec<_> = there.into_iter().filter(|(_, mark)| mark.order == self.tag && mark.key != ROUNDING).collect();
        let mut parts = Vec::new();
        for (line, mark) in &ours {
            let path = format!("{lines}({})", line.id);
            match rows.iter().find(|row| row.key == mark.key) {
                Some(row) if !row.is_on(&line.line_type, &line.line_object_number) => {
                    parts.push(Part::delete(&path, "*"));
                    parts.push(Part::post(&lines, &row.line(&self.mark(row), true)));
                }
                // What people changed on a line stays, unless the source changed it too.
                Some(row) if mark.row == row.digest && mark.head != self.head_digest => {
                    parts.push(Part::patch(&path, "*", &json!({ "description2": self.mark(row).to_string() })));
                }
                Some(row) if mark.row != row.digest => {
                    parts.push(Part::patch(&path, "*", &row.line(&self.mark(row), false)));
                }
                Some(_) => {}
                None => parts.push(Part::delete(&path, "*")),
            }
        }
        let is_there = |row: &&Row| ours.iter().any(|(_, mark)| mark.key == row.key);
        let new = rows.iter().filter(|row| !is_there(row));
        parts.extend(new.map(|row| Part::post(&lines, &row.line(&self.mark(row), true))));
        parts
    }

    fn check_ours(&self, found: &SalesOrder) -> Result<(), CallError> {
        let is_ours = |mark: Mark| mark.order == self.tag;
        if found.sales_order_lines.iter().filter_map(Line::mark).any(is_ours) {
            return Ok(());
        }
        let problem = format!(
            "{} has the external document number {} and did not come from this shop's order: give it another, or set `prefixes`",
            found.number, self.number
        );
        Err(CallError::data(OPERATION, problem))
    }

    /// An order that is invoiced in full is not changed any more.
    fn compare(&self, invoices: &[Invoice]) -> Result<Performed, CallError> {
        let sheet = self.sheet(self.erp.config.prices_include_tax)?;
        let marks: Vec<Mark> = invoices.iter().flat_map(|it| &it.sales_invoice_lines).filter_map(Line::mark).collect();
        let is_there = |row: &Row| marks.iter().any(|mark| mark.key == row.key && mark.row == row.digest);
        let is_wanted = |mark: &Mark| mark.key == ROUNDING || sheet.rows.iter().any(|row| row.key == mark.key);
        let newest = invoices.first();
        if self.order.cancelled_at.is_none() && sheet.rows.iter().all(is_there) && marks.iter().all(is_wanted) {
            return Ok(Performed { unchanged: true, ..newest.map(performed_invoice).unwrap_or_default() });
        }
        let number = newest.map_or("", |it| it.number.as_str());
        let problem = format!("the order changed after it was invoiced ({number}): credit the difference in Business Central");
        Err(CallError::data(OPERATION, problem))
    }
}

/// What comes back for a new order; its totals are read when its lines are all there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    id: String,
    number: String,
    #[serde(default)]
    currency_code: String,
    #[serde(default)]
    prices_include_tax: bool,
}

fn head(order: &Order) -> Head {
    const SELL_TO: [&str; 6] =
        ["sellToAddressLine1", "sellToAddressLine2", "sellToCity", "sellToState", "sellToPostCode", "sellToCountry"];
    const SHIP_TO: [&str; 6] =
        ["shipToAddressLine1", "shipToAddressLine2", "shipToCity", "shipToState", "shipToPostCode", "shipToCountry"];
    let mut head = Head::new();
    if let Some(address) = &order.billing_address {
        head.extend(SELL_TO.into_iter().zip(texts(address)));
    }
    if let Some(address) = &order.shipping_address {
        head.extend(SHIP_TO.into_iter().zip(texts(address)));
        let person = Address { company: None, ..address.clone() }.name();
        let company = address.company.clone().filter(|it| !it.trim().is_empty());
        head.insert("shipToContact", person.clone().filter(|_| company.is_some()).unwrap_or_default());
        head.insert("shipToName", company.or(person).unwrap_or_default());
    }
    let buyer = order.customer.as_ref();
    let email = order.email.clone().or_else(|| buyer.and_then(|it| it.email.clone()));
    let phone = order.phone.clone().or_else(|| buyer.and_then(|it| it.phone.clone()));
    head.extend(email.map(|it| ("email", it)));
    head.extend(phone.map(|it| ("phoneNumber", it)));
    head
}

/// All parts, the empty ones too: else those of the customer would stay.
fn texts(address: &Address) -> [String; 6] {
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    [
        text(&address.line1),
        text(&address.line2),
        text(&address.city),
        text(&address.region),
        text(&address.postal_code),
        text(&address.country),
    ]
}
