//! Finds the documents of an order by their external document number. A sales order is gone once all of it is invoiced:
//! then its invoices stand for it.

use crate::{
    BusinessCentral, mark,
    wire::{Invoice, Line, List, SalesOrder, quoted, with_query},
};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Performed};

const OPERATION: &str = "find_order";
/// Orders with the same number; more than one is somebody's mistake.
const MOST_ORDERS: &str = "5";
const MOST_INVOICES: &str = "50";

/// What stands for an order.
pub enum Sale {
    Open(SalesOrder),
    /// Newest first.
    Invoiced(Vec<Invoice>),
}

/// Under what an order is looked for.
enum Sought {
    Number(String),
    /// The order's own id, of a link.
    Id(String),
}

impl BusinessCentral {
    /// The external document number of an order: a code, which Business Central keeps in capitals.
    pub fn document_number(&self, operation: &'static str, number: &str, from: &str) -> Result<String, CallError> {
        const LONGEST: usize = 35;
        let prefix = self.config.prefixes.get(from).map_or("", String::as_str);
        let code = format!("{prefix}{}", number.trim()).to_uppercase();
        if number.trim().is_empty() || code.chars().count() > LONGEST {
            let problem = format!("the order number must have between 1 and {LONGEST} characters, its prefix included");
            return Err(CallError::data(operation, problem));
        }
        Ok(code)
    }

    /// The number that the source gave it.
    pub fn source_number(&self, document_number: &str) -> String {
        let prefixes = self.config.prefixes.values().filter(|it| !it.is_empty()).map(|it| it.to_uppercase());
        let rest = prefixes.filter_map(|prefix| document_number.strip_prefix(&prefix)).min_by_key(|rest| rest.len());
        rest.unwrap_or(document_number).to_owned()
    }

    /// The order, or its invoices; `None` when it is neither.
    pub(super) async fn find_sale(&self, api: &Api, order: &OrderRef, around: &Around<'_>) -> Result<Option<Sale>, CallError> {
        let (sought, tag) = self.sought(order, around)?;
        let orders = self.orders(api, &sought).await?;
        if let Some(found) = meant(orders, |it| &it.sales_order_lines, tag.as_deref())?.pop() {
            return Ok(Some(Sale::Open(found)));
        }
        let invoices = self.invoices(api, &sought).await?;
        let invoices = meant_invoices(invoices, tag.as_deref());
        Ok((!invoices.is_empty()).then_some(Sale::Invoiced(invoices)))
    }

    /// Posted invoices of an order, newest first, also while the rest of it is still to be invoiced.
    pub(super) async fn find_invoices(
        &self,
        api: &Api,
        order: &OrderRef,
        around: &Around<'_>,
    ) -> Result<Vec<Invoice>, CallError> {
        let (sought, tag) = self.sought(order, around)?;
        Ok(meant_invoices(self.invoices(api, &sought).await?, tag.as_deref()))
    }

    fn sought(&self, order: &OrderRef, around: &Around<'_>) -> Result<(Sought, Option<String>), CallError> {
        let tag = order.id.as_ref().map(|id| mark::order(around.from, id));
        let sought = match (&order.number, around.known) {
            (Some(number), _) => Sought::Number(self.document_number(OPERATION, number, around.from)?),
            (None, Some(id)) if id.parse::<uuid::Uuid>().is_ok() => Sought::Id(id.to_owned()),
            _ => return Err(missing(order)),
        };
        Ok((sought, tag))
    }

    async fn orders(&self, api: &Api, sought: &Sought) -> Result<Vec<SalesOrder>, CallError> {
        let filter = match sought {
            Sought::Number(number) => format!("externalDocumentNumber eq {}", quoted(number)),
            Sought::Id(id) => format!("id eq {id}"),
        };
        let options = [("$filter", filter.as_str()), ("$top", MOST_ORDERS), ("$expand", "salesOrderLines")];
        let found: List<SalesOrder> = api.get(OPERATION, with_query(self.path("salesOrders"), &options)).fetch().await?;
        Ok(found.value)
    }

    async fn invoices(&self, api: &Api, sought: &Sought) -> Result<Vec<Invoice>, CallError> {
        let filter = match sought {
            Sought::Number(number) => format!("externalDocumentNumber eq {}", quoted(number)),
            Sought::Id(id) => format!("orderId eq {id}"),
        };
        let options = [
            ("$filter", filter.as_str()),
            ("$orderby", "number desc"),
            ("$top", MOST_INVOICES),
            ("$expand", "salesInvoiceLines"),
        ];
        let found: List<Invoice> = api.get("find_invoices", with_query(self.path("salesInvoices"), &options)).fetch().await?;
        Ok(found.value)
    }

    pub(super) async fn read_order(&self, api: &Api, id: &str) -> Result<SalesOrder, CallError> {
        let path = with_query(self.path(&format!("salesOrders({id})")), &[("$expand", "salesOrderLines")]);
        api.get("read_order", path).fetch().await
    }

    pub(super) async fn delete_order(&self, api: &Api, order: &SalesOrder) -> Result<(), CallError> {
        let path = self.path(&format!("salesOrders({})", order.id));
        api.delete("delete_order", path).header("if-match", &order.etag).send().await.map(drop)
    }
}

/// Of those with the same number, the one whose lines are this order's. One that people entered is taken when it is the only one.
fn meant<T>(found: Vec<T>, lines: impl Fn(&T) -> &[Line], tag: Option<&str>) -> Result<Vec<T>, CallError> {
    let (marked, unmarked): (Vec<T>, Vec<T>) =
        found.into_iter().partition(|it| lines(it).iter().any(|line| line.mark().is_some()));
    let is_ours = |it: &T| lines(it).iter().filter_map(Line::mark).any(|mark| tag.is_none_or(|tag| mark.order == tag));
    let mut ours: Vec<T> = marked.into_iter().filter(is_ours).collect();
    if ours.is_empty() {
        ours = unmarked;
    }
    if ours.len() > 1 {
        let problem =
            "ambiguous: several orders in Business Central have this external document number; change it on all but one";
        return Err(CallError::data(OPERATION, problem));
    }
    Ok(ours)
}

fn meant_invoices(mut found: Vec<Invoice>, tag: Option<&str>) -> Vec<Invoice> {
    let is_other = |it: &Invoice| {
        let mut marks = it.sales_invoice_lines.iter().filter_map(Line::mark).peekable();
        marks.peek().is_some() && tag.is_some_and(|tag| marks.all(|mark| mark.order != tag))
    };
    found.retain(|it| matches!(it.status.as_str(), "Open" | "Paid") && !is_other(it));
    found
}

pub(super) fn missing(order: &OrderRef) -> CallError {
    let name = order.number.as_ref().or(order.id.as_ref()).map_or("", String::as_str);
    CallError::missing_dependency(OPERATION, format!("order {name} is not in Business Central yet"))
}

/// What was done, with the order as the record that is linked.
pub(super) fn performed(order: &SalesOrder) -> Performed {
    Performed::at(&order.id).numbered(&order.number)
}

pub(super) fn unchanged(order: &SalesOrder) -> Performed {
    Performed { unchanged: true, ..performed(order) }
}

/// The order of an invoice is gone; its id and number are kept.
pub(super) fn performed_invoice(invoice: &Invoice) -> Performed {
    match invoice.order_id.as_ref().filter(|id| id.parse().is_ok_and(|it: uuid::Uuid| !it.is_nil())) {
        Some(id) => Performed::at(id).numbered(&invoice.order_number),
        None => Performed::done(),
    }
}
