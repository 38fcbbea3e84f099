//! What Spindel writes into Tryton to find its own records again. Lines carry it in their note, which is for people of the
//! shop, stands on no document, and goes on to the lines of invoices.
//!
//! The first line of a note says which row of which order it is; in the first row of an order a second one says which
//! version of the order was written.

use serde_json::json;
use spindel_model::{BookIn, Order};
use uuid::Uuid;

/// `web_id` of a sale: `shop/411`.
pub(crate) fn web_id(from: &str, order: &str) -> String {
    format!("{from}/{order}")
}

/// Code of the party of a customer, which Tryton holds once.
pub(super) fn customer_code(from: &str, customer: &str) -> String {
    format!("{from}/{customer}")
}

/// Code of the party of an order without customer.
pub(super) fn guest_code(from: &str, order: &str) -> String {
    format!("{from}/guest/{order}")
}

/// Description of the entry that books a payment.
pub(super) fn payment(from: &str, gateway: &str, transaction: &str) -> String {
    format!("{from}/{gateway}:{transaction}")
}

/// Reference of a credit note.
pub(super) fn refund(from: &str, refund: &str) -> String {
    format!("{from}/refund/{refund}")
}

/// First line of the note of a row: `shop/411 line 4110`.
pub(crate) fn row(web_id: &str, key: &str) -> String {
    format!("{web_id} {key}")
}

/// The key of the row that carries this note: `line 4110`.
pub(crate) fn row_of<'a>(note: Option<&'a str>, web_id: &str) -> Option<&'a str> {
    note?.lines().next()?.strip_prefix(web_id)?.strip_prefix(' ')
}

/// The source's id of the order of a sale with this `web_id`. The name of a connection holds no `/`.
pub(crate) fn order_of(web_id: &str) -> Option<String> {
    let (_, id) = web_id.split_once('/')?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// Which version of an order was written, and whether its amounts included tax: `spindel 1 incl d:0123456789abcdef`.
pub(super) fn version(order: &Order, book_in: BookIn) -> String {
    let booked = json!({
        "book_in": book_in, "number": order.number, "placed_at": order.placed_at,
        "customer": order.customer.as_ref().map(|it| &it.id), "email": order.email,
        "billing": order.billing_address, "shipping": order.shipping_address, "note": order.note,
        "lines": order.lines.iter().map(|it| json!([it.id, it.sku, it.title, it.quantity, it.unit_price, it.total, it.taxes]))
            .collect::<Vec<_>>(),
        "delivery": order.shipping_lines, "discounts": order.discounts, "charges": order.charges,
        "rounding": order.totals.rounding, "grand": order.totals.grand,
    });
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, booked.to_string().as_bytes()).simple().to_string();
    let taxes = if order.prices_include_tax { "incl" } else { "excl" };
    format!("spindel 1 {taxes} d:{}", &digest[..16])
}

/// The version in one of these notes.
pub(super) fn version_in<'a>(notes: impl Iterator<Item = Option<&'a str>>) -> Option<&'a str> {
    notes.flatten().find_map(|note| note.lines().find(|line| line.starts_with("spindel 1 ")))
}

pub(super) fn includes_tax(version: &str) -> bool {
    version.starts_with("spindel 1 incl ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_again_by_its_note_whatever_people_wrote_below() {
        let note = row("shop/411", "line gid://shop/LineItem/1");
        assert_eq!(row_of(Some(&note), "shop/411"), Some("line gid://shop/LineItem/1"));
        assert_eq!(row_of(Some(&format!("{note}\nfragile")), "shop/411"), Some("line gid://shop/LineItem/1"));
        assert_eq!(row_of(Some(&note), "shop/41"), None);
        assert_eq!(row_of(Some("fragile"), "shop/411"), None);
        assert_eq!(row_of(None, "shop/411"), None);
    }

    #[test]
    fn the_order_of_a_sale_is_read_from_its_web_id() {
        for id in ["411", "gid://shop/Order/411"] {
            assert_eq!(order_of(&web_id("shop", id)).as_deref(), Some(id));
        }
        assert_eq!(order_of("c0ffee"), None);
        assert_eq!(order_of("shop/"), None);
    }

    #[test]
    fn the_version_is_found_among_notes_and_says_whether_taxes_were_included() {
        let notes = [None, Some("shop/1 line 1\nspindel 1 incl d:0123456789abcdef"), Some("shop/1 rounding")];
        let version = version_in(notes.into_iter()).unwrap();
        assert_eq!((version, includes_tax(version)), ("spindel 1 incl d:0123456789abcdef", true));
        assert!(!includes_tax("spindel 1 excl d:0123456789abcdef"));
        assert_eq!(version_in([Some("by hand")].into_iter()), None);
    }
}
