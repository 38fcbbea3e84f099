//! Orders whose sums are checked by hand, in several currencies.

use super::*;
use crate::wire::rest;
use serde_json::{Value, json};
use spindel_model::{ChargeKind, Currency};

fn set(amount: &str, currency: &str) -> Value {
    let money = json!({ "amount": amount, "currency_code": currency });
    json!({ "shop_money": money, "presentment_money": money })
}

/// An order of one line: price, quantity as ordered and now, tax as ordered, totals as placed and now.
struct Shape<'a> {
    currency: &'a str,
    included: bool,
    price: &'a str,
    ordered: u32,
    current: u32,
    discount: &'a str,
    tax: &'a str,
    total: &'a str,
    current_total: &'a str,
    current_tax: &'a str,
}

fn body(it: &Shape) -> Value {
    let money = |amount: &str| set(amount, it.currency);
    json!({
        "id": 820982911946154508_u64, "name": "#9", "currency": it.currency, "presentment_currency": it.currency,
        "created_at": "2026-11-20T10:15:00+01:00", "updated_at": "2026-11-20T10:15:00+01:00",
        "taxes_included": it.included,
        "total_price_set": money(it.total), "total_tax_set": money(it.tax),
        "current_total_price_set": money(it.current_total), "current_total_tax_set": money(it.current_tax),
        "discount_applications": [{ "type": "automatic", "title": "Black week" }],
        "line_items": [{
            "id": 1, "sku": "A", "title": "A", "quantity": it.ordered, "current_quantity": it.current,
            "price_set": money(it.price),
            "discount_allocations": [{ "amount_set": money(it.discount), "discount_application_index": 0 }],
            "tax_lines": [{ "title": "VAT", "rate": 0.25, "price_set": money(it.tax) }],
        }],
    })
}

fn build(body: &Value) -> Result<Order, ParseError> {
    let order: rest::Order = serde_json::from_str(&body.to_string()).unwrap();
    order.draft()?.finish()
}

fn money(order: &Order, amount: &str) -> MoneyBag {
    MoneyBag::single(Money::new(amount.parse().unwrap(), order.currency))
}

fn adds_up(order: &Order) {
    assert!(order.residue().unwrap().shop.is_zero());
    assert!(order.residue().unwrap().presentment.is_zero());
}

#[test]
fn money_is_exact_whatever_the_smallest_unit() {
    for (currency, price, discount, tax, total) in [
        ("NOK", "219.10", "19.10", "83.82", "419.10"),
        ("SEK", "0.05", "0.01", "0.02", "0.09"),
        ("JPY", "1999", "98", "355", "3900"),
        ("KWD", "1.005", "0.001", "0.183", "2.009"),
    ] {
        let order = build(&body(&Shape {
            currency,
            included: true,
            price,
            ordered: 2,
            current: 2,
            discount,
            tax,
            total,
            current_total: total,
            current_tax: tax,
        }))
        .unwrap();
        assert_eq!(order.totals.grand, money(&order, total), "{currency}");
        assert!(order.totals.rounding.shop.is_zero(), "{currency}");
        assert_eq!(order.id, "820982911946154508");
        adds_up(&order);
    }
}

#[test]
fn tax_is_part_of_the_total_or_comes_on_top() {
    let included = Shape {
        currency: "NOK",
        included: true,
        price: "100.00",
        ordered: 1,
        current: 1,
        discount: "0.00",
        tax: "20.00",
        total: "100.00",
        current_total: "100.00",
        current_tax: "20.00",
    };
    let order = build(&body(&included)).unwrap();
    assert_eq!(order.totals.grand, money(&order, "100.00"));
    let on_top =
        Shape { included: false, tax: "25.00", current_tax: "25.00", total: "125.00", current_total: "125.00", ..included };
    let order = build(&body(&on_top)).unwrap();
    assert_eq!(order.totals.subtotal, money(&order, "100.00"));
    assert_eq!(order.totals.grand, money(&order, "125.00"));
    adds_up(&order);
}

fn refunded(current_total: &str) -> Value {
    // Three ordered, an edit left two, one was given back.
    let mut order = body(&Shape {
        currency: "NOK",
        included: true,
        price: "100.00",
        ordered: 3,
        current: 1,
        discount: "10.00",
        tax: "58.00",
        total: "290.00",
        current_total,
        current_tax: "19.33",
    });
    order["refunds"] = json!([{
        "id": 7, "created_at": "2026-11-21T09:00:00+01:00",
        "refund_line_items": [{
            "line_item_id": 1, "quantity": 1, "restock_type": "return", "subtotal": 96.66, "total_tax": 19.34,
            "subtotal_set": set("96.66", "NOK"), "total_tax_set": set("19.34", "NOK"),
        }],
        "transactions": [{ "id": 8, "kind": "refund", "status": "success", "gateway": "g", "amount": "96.66", "currency": "NOK" }],
    }]);
    order
}

#[test]
fn an_order_that_was_edited_and_partly_refunded_stands_after_the_edit_and_before_the_refund() {
    let order = build(&refunded("96.67")).unwrap();
    let line = &order.lines[0];
    assert_eq!((line.quantity, line.quantity_ordered, line.quantity_refunded), (2.into(), 3.into(), 1.into()));
    assert_eq!(line.discounts[0].amount, money(&order, "6.67"));
    assert_eq!(line.taxes[0].amount, money(&order, "38.67"));
    assert_eq!(order.totals.grand, money(&order, "193.33"));
    assert_eq!(order.totals.tax, money(&order, "38.67"));
    assert_eq!(order.totals.refunded, money(&order, "96.66"));
    adds_up(&order);
}

#[test]
fn a_payout_that_differs_from_what_the_goods_were_worth_does_not_break_the_sum() {
    // A fee of 16.66 was kept, and Shopify took the goods off the total all the same.
    let mut body = refunded("96.67");
    body["refunds"][0]["transactions"][0]["amount"] = json!("80.00");
    let order = build(&body).unwrap();
    assert_eq!(order.totals.grand, money(&order, "193.33"));
    assert_eq!(order.totals.refunded, money(&order, "80.00"));
    adds_up(&order);
}

#[test]
fn an_order_that_does_not_add_up_is_refused_with_both_sums() {
    let error = build(&refunded("150.00")).unwrap_err().to_string();
    assert_eq!(error, "order #9 does not add up: parts 193.33 NOK, total 246.66 NOK");
}

#[test]
fn rounding_is_booked_up_to_half_a_unit_for_each_figure_and_refused_beyond() {
    let mut shape = Shape {
        currency: "NOK",
        included: true,
        price: "100.00",
        ordered: 1,
        current: 1,
        discount: "0.00",
        tax: "20.00",
        total: "100.01",
        current_total: "100.01",
        current_tax: "20.00",
    };
    let order = build(&body(&shape)).unwrap();
    assert_eq!(order.totals.rounding, money(&order, "0.01"));
    adds_up(&order);
    shape.current_total = "100.02";
    assert!(build(&body(&shape)).is_err());
}

#[test]
fn cash_rounding_that_is_declared_is_booked_as_rounding() {
    let mut body = body(&Shape {
        currency: "NOK",
        included: true,
        price: "99.60",
        ordered: 1,
        current: 1,
        discount: "0.00",
        tax: "19.92",
        total: "100.00",
        current_total: "100.00",
        current_tax: "19.92",
    });
    assert!(build(&body).is_err());
    body["total_cash_rounding_payment_adjustment_set"] = set("0.40", "NOK");
    let order = build(&body).unwrap();
    assert_eq!(order.totals.rounding, money(&order, "0.40"));
    adds_up(&order);
}

#[test]
fn a_tip_is_a_charge_and_a_removed_line_is_left_out() {
    let mut body = body(&Shape {
        currency: "NOK",
        included: true,
        price: "100.00",
        ordered: 1,
        current: 1,
        discount: "0.00",
        tax: "20.00",
        total: "110.00",
        current_total: "110.00",
        current_tax: "20.00",
    });
    body["total_tip_received"] = json!("10.00");
    let mut removed = body["line_items"][0].clone();
    removed["id"] = json!(2);
    removed["current_quantity"] = json!(0);
    body["line_items"].as_array_mut().unwrap().push(removed);
    let order = build(&body).unwrap();
    assert_eq!(order.lines.len(), 1);
    assert_eq!((order.charges[0].kind, order.charges[0].total), (ChargeKind::Tip, money(&order, "10.00")));
    assert_eq!(order.currency, Currency::NOK);
    adds_up(&order);
}

#[test]
fn an_order_that_was_edited_and_then_cancelled_still_arrives_as_cancelled() {
    // A line was added by an edit, so the placed total is too small, and after the cancellation every current figure is zero.
    let mut body = body(&Shape {
        currency: "NOK",
        included: true,
        price: "100.00",
        ordered: 1,
        current: 0,
        discount: "0.00",
        tax: "20.00",
        total: "100.00",
        current_total: "0.00",
        current_tax: "0.00",
    });
    let mut added = body["line_items"][0].clone();
    added["id"] = json!(2);
    body["line_items"].as_array_mut().unwrap().push(added);
    assert!(build(&body).is_ok_and(|order| order.lines.is_empty() && order.totals.grand.shop.is_zero()));
    body["cancelled_at"] = json!("2026-11-20T11:00:00+01:00");
    let order = build(&body).unwrap();
    assert_eq!((order.lines.len(), order.totals.grand), (2, money(&order, "200.00")));
    adds_up(&order);
}
