//! Orders as Magento tells them: every row once, and every penny in its place.

use super::*;
use crate::{Shop, settings::WeightUnit};
use serde_json::{Value, json};
use spindel_model::{FulfilmentState, LineKind, Order as Canonical, PaymentState, TransactionKind};

fn shop(currency: Currency, prices_include_tax: bool) -> Shop {
    Shop { currency, prices_include_tax, weight_unit: WeightUnit::Kgs }
}

fn with(mut base: Value, extra: Value) -> Value {
    for (key, value) in extra.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// Two sweaters with ten per cent off, and freight.
fn order() -> Value {
    serde_json::from_str(include_str!("../../tests/order.json")).unwrap()
}

fn read(value: &Value) -> Order {
    spindel_connect::parse(value.to_string().as_bytes()).unwrap()
}

fn canonical(value: &Value, shop: &Shop) -> Canonical {
    let order = read(value).canonical(shop).unwrap();
    let rest = order.residue().unwrap();
    assert!(rest.shop.is_zero() && rest.presentment.is_zero(), "{rest:?}");
    for line in &order.lines {
        let off: Decimal = line.discounts.iter().map(|it| it.amount.shop.amount).sum();
        let made = (line.unit_price.shop.amount * line.quantity - off - line.total.shop.amount).abs();
        assert!(made < Decimal::new(1, 4), "line {}: {made}", line.id);
    }
    order
}

#[test]
fn a_configurable_product_is_one_line_and_the_order_adds_up() {
    let order = canonical(&order(), &shop(Currency::NOK, true));
    assert_eq!(order.lines.len(), 1);
    let line = &order.lines[0];
    assert_eq!((line.id.as_str(), line.sku.as_deref(), line.quantity), ("71", Some("ULL-RED-M"), Decimal::TWO));
    assert_eq!((line.product_id.as_deref(), line.variant_id.as_deref()), (Some("90"), Some("93")));
    assert_eq!((line.unit_price.shop.to_string(), line.total.shop.to_string()), ("199.00 NOK".into(), "348.00 NOK".into()));
    assert_eq!(line.discounts[0].amount.shop.to_string(), "50.00 NOK");
    assert_eq!(line.taxes[0].map_key("NO"), "NO/25/included");
    assert_eq!(line.grams.unwrap().to_string(), "350");
    assert_eq!(order.shipping_lines[0].total.shop.to_string(), "49.00 NOK");
    assert_eq!(order.shipping_lines[0].code.as_deref(), Some("bring_home"));
    assert_eq!(order.discounts[0].code.as_deref(), Some("HOST10"));
    assert_eq!(
        (order.totals.grand.shop.to_string(), order.totals.tax.shop.to_string()),
        ("397.00 NOK".into(), "79.40 NOK".into())
    );
    assert!(order.totals.rounding.shop.is_zero());
    assert_eq!((order.payment_state, order.fulfilment_state), (PaymentState::Paid, FulfilmentState::Unfulfilled));
    assert_eq!((order.number.as_str(), order.source_channel.as_deref()), ("000000042", Some("Norsk")));
    assert!(order.customer.is_none(), "a guest is no customer");
    let (billing, shipping) = (order.billing_address.unwrap(), order.shipping_address.unwrap());
    assert_eq!((billing.line2.as_deref(), shipping.city.as_deref()), (Some("2. etg"), Some("Oslo")));
    assert_eq!((order.transactions[0].kind, order.transactions[0].reference.as_deref()), (TransactionKind::Sale, Some("f339")));
}

#[test]
fn where_prices_exclude_tax_it_stands_beside_them() {
    let order = canonical(&order(), &shop(Currency::NOK, false));
    let line = &order.lines[0];
    assert_eq!((line.unit_price.shop.to_string(), line.total.shop.to_string()), ("159.20 NOK".into(), "278.40 NOK".into()));
    assert_eq!(line.discounts[0].amount.shop.to_string(), "40.00 NOK");
    assert_eq!(line.taxes[0].map_key("NO"), "NO/25/excluded");
    assert_eq!(order.shipping_lines[0].total.shop.to_string(), "39.20 NOK");
}

#[test]
fn a_discount_on_prices_with_tax_is_compensated() {
    let mut value = order();
    let item = &mut value["items"][0];
    for (key, amount) in [("tax_amount", 71.6), ("base_tax_amount", 71.6)] {
        item[key] = json!(amount);
    }
    item["discount_tax_compensation_amount"] = json!(8);
    item["base_discount_tax_compensation_amount"] = json!(8);
    let total = json!({ "grand_total": 407, "base_grand_total": 407, "tax_amount": 81.4, "base_tax_amount": 81.4 });
    let order = canonical(&with(value, total), &shop(Currency::NOK, true));
    assert_eq!(order.lines[0].total.shop.to_string(), "358.00 NOK");
    assert_eq!(order.lines[0].discounts[0].amount.shop.to_string(), "40.00 NOK");
}

#[test]
fn amounts_are_exact_in_every_currency() {
    for (currency, amount, want) in [
        (Currency::NOK, "1234567.89", "1234567.89 NOK"),
        (Currency::SEK, "0.1", "0.10 SEK"),
        (Currency::DKK, "447", "447.00 DKK"),
        (Currency::EUR, "19.900000000000002", "19.90 EUR"),
        (Currency::JPY, "4470", "4470 JPY"),
        (Currency::KWD, "12.345", "12.345 KWD"),
    ] {
        let code = currency.code();
        let body = format!(
            r#"{{"entity_id":1,"increment_id":"1","updated_at":"2026-11-20 10:00:00","base_currency_code":"{code}",
               "order_currency_code":"{code}","grand_total":{amount},"base_grand_total":{amount},
               "items":[{{"item_id":1,"sku":"A","qty_ordered":1,"price":{amount},"price_incl_tax":{amount},
               "row_total":{amount},"base_row_total":{amount},"row_total_incl_tax":{amount},"base_row_total_incl_tax":{amount}}}]}}"#
        );
        let order: Order = spindel_connect::parse(body.as_bytes()).unwrap();
        let order = order.canonical(&shop(currency, true)).unwrap();
        assert_eq!((order.totals.grand.shop.to_string(), order.lines[0].total.shop.to_string()), (want.into(), want.into()));
        assert!(order.totals.rounding.shop.is_zero());
    }
}

#[test]
fn both_currencies_add_up_for_themselves() {
    let value = json!({
        "entity_id": 7, "increment_id": "7", "updated_at": "2026-11-20 10:00:00", "base_currency_code": "NOK",
        "order_currency_code": "EUR", "base_grand_total": 100, "grand_total": 8.61, "tax_amount": 1.72, "base_tax_amount": 20,
        "items": [{ "item_id": 1, "sku": "A", "qty_ordered": 1, "tax_percent": 25, "row_total": 6.88, "base_row_total": 80,
            "row_total_incl_tax": 8.6, "base_row_total_incl_tax": 100, "tax_amount": 1.72, "base_tax_amount": 20 }],
    });
    let order = canonical(&value, &shop(Currency::NOK, true));
    assert_eq!((order.currency, order.presentment_currency), (Currency::NOK, Currency::EUR));
    assert_eq!(order.lines[0].total.presentment.to_string(), "8.60 EUR");
    assert_eq!((order.totals.rounding.presentment.to_string(), order.totals.rounding.shop.is_zero()), ("0.01 EUR".into(), true));
}

fn bundle(parts_priced: bool) -> Value {
    let (whole, part) = if parts_priced { (100, 40) } else { (100, 0) };
    let row = |id: u64, parent: Value, kind: &str, sku: &str, qty: u64, total: u64| {
        json!({ "item_id": id, "parent_item_id": parent, "product_type": kind, "sku": sku, "name": sku, "qty_ordered": qty,
            "row_total": total, "base_row_total": total, "row_total_incl_tax": total, "base_row_total_incl_tax": total })
    };
    let other = if parts_priced { 60 } else { 0 };
    let items = json!([
        row(1, Value::Null, "bundle", "SET", 1, whole),
        row(2, json!(1), "simple", "CUP", 2, part),
        row(3, json!(1), "simple", "POT", 1, other),
    ]);
    with(
        json!({ "entity_id": 9, "increment_id": "9", "updated_at": "2026-11-20 10:00:00", "base_currency_code": "NOK",
            "order_currency_code": "NOK", "base_grand_total": 100, "grand_total": 100 }),
        json!({ "items": items }),
    )
}

#[test]
fn a_bundle_is_counted_once_by_its_parts_or_as_a_whole() {
    let skus = |value: &Value| -> Vec<String> {
        canonical(value, &shop(Currency::NOK, true)).lines.into_iter().filter_map(|it| it.sku).collect()
    };
    assert_eq!(skus(&bundle(true)), ["CUP", "POT"]);
    assert_eq!(skus(&bundle(false)), ["SET"]);
    let whole = canonical(&bundle(false), &shop(Currency::NOK, true));
    assert_eq!(whole.lines[0].attributes["parts"][0], json!({ "sku": "CUP", "quantity": "2" }));
}

#[test]
fn what_was_sent_of_a_bundle_is_told_by_the_rows_that_were_sent() {
    let state = |value: &Value| canonical(value, &shop(Currency::NOK, true)).fulfilment_state;
    for parts_priced in [true, false] {
        let mut whole = bundle(parts_priced);
        whole["items"][0]["qty_shipped"] = json!(1);
        assert_eq!(state(&whole), FulfilmentState::Fulfilled);
        let mut apart = bundle(parts_priced);
        apart["items"][1]["qty_shipped"] = json!(2);
        assert_eq!(state(&apart), FulfilmentState::Partial);
        apart["items"][2]["qty_shipped"] = json!(1);
        assert_eq!(state(&apart), FulfilmentState::Fulfilled);
    }
}

#[test]
fn a_shipment_names_rows_and_means_lines() {
    for (parts_priced, row, qty, want) in [
        (true, 1, 1, vec![("2", 2), ("3", 1)]),
        (true, 2, 2, vec![("2", 2)]),
        (false, 1, 1, vec![("1", 1)]),
        (false, 2, 2, vec![("1", 1)]),
    ] {
        let shipment = json!({ "entity_id": 5, "order_id": 9, "updated_at": "2026-11-20 10:00:00",
            "items": [{ "order_item_id": row, "qty": qty }], "tracks": [{ "track_number": "370", "title": "Bring" }] });
        let shipment: crate::wire::shipment::Shipment = spindel_connect::parse(shipment.to_string().as_bytes()).unwrap();
        let lines = shipment.canonical(&read(&bundle(parts_priced))).unwrap().lines;
        let got: Vec<(String, Decimal)> = lines.into_iter().map(|it| (it.line_id.unwrap(), it.quantity)).collect();
        let want: Vec<(String, Decimal)> = want.into_iter().map(|(id, qty)| (id.to_owned(), Decimal::from(qty))).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn what_was_paid_with_gift_cards_is_a_payment_and_no_discount() {
    let mut value = with(order(), json!({ "grand_total": 297, "base_grand_total": 297, "total_paid": 297 }));
    value["extension_attributes"]["gift_cards_amount"] = json!(100);
    value["extension_attributes"]["base_gift_cards_amount"] = json!(100);
    let order = canonical(&value, &shop(Currency::NOK, true));
    assert_eq!(order.totals.grand.shop.to_string(), "397.00 NOK");
    let paid: Vec<(String, String)> = order.transactions.into_iter().map(|it| (it.gateway, it.amount.to_string())).collect();
    assert_eq!(paid, [("klarna_kp".into(), "297.00 NOK".into()), ("gift_card".into(), "100.00 NOK".to_owned())]);
}

#[test]
fn what_was_cancelled_of_an_order_that_goes_on_is_left_out() {
    let mut value = order();
    value["items"][0]["qty_canceled"] = json!(1);
    let cancelled = json!({ "total_canceled": 174, "base_total_canceled": 174, "tax_canceled": 34.8, "base_tax_canceled": 34.8 });
    let partial = canonical(&with(value, cancelled), &shop(Currency::NOK, true));
    assert_eq!((partial.lines[0].quantity, partial.lines[0].quantity_ordered), (Decimal::ONE, Decimal::TWO));
    assert_eq!(
        (partial.lines[0].total.shop.to_string(), partial.totals.grand.shop.to_string()),
        ("174.00 NOK".into(), "223.00 NOK".into())
    );
    let mut whole =
        with(order(), json!({ "state": "canceled", "total_canceled": 397, "base_total_canceled": 397, "total_paid": null }));
    whole["items"][0]["qty_canceled"] = json!(2);
    let whole = canonical(&whole, &shop(Currency::NOK, true));
    assert_eq!((whole.lines[0].quantity, whole.totals.grand.shop.to_string()), (Decimal::TWO, "397.00 NOK".into()));
    assert_eq!((whole.payment_state, whole.cancelled_at.is_some()), (PaymentState::Voided, true));
}

#[test]
fn an_order_whose_parts_do_not_make_its_total_is_not_guessed_at() {
    let value = with(order(), json!({ "grand_total": 447, "base_grand_total": 447 }));
    let error = read(&value).canonical(&shop(Currency::NOK, true)).unwrap_err().to_string();
    assert!(error.contains("447.00 NOK") && error.contains("397.00 NOK"), "{error}");
}

#[test]
fn an_order_is_told_by_how_it_stands() {
    for (extra, topic, payment) in [
        (json!({}), Topic::OrderPaid, PaymentState::Paid),
        (json!({ "total_paid": null, "total_due": 397, "state": "new" }), Topic::OrderUpdated, PaymentState::Pending),
        (
            json!({ "total_paid": null, "total_due": 397, "payment": { "method": "klarna_kp", "amount_authorized": 397 } }),
            Topic::OrderUpdated,
            PaymentState::Authorized,
        ),
        (json!({ "total_paid": 100, "total_due": 297 }), Topic::OrderUpdated, PaymentState::PartiallyPaid),
        (json!({ "state": "complete" }), Topic::OrderFulfilled, PaymentState::Paid),
        (json!({ "state": "closed", "total_refunded": 397 }), Topic::OrderUpdated, PaymentState::Refunded),
        (json!({ "total_refunded": 100 }), Topic::OrderPaid, PaymentState::PartiallyRefunded),
    ] {
        let value = with(order(), extra);
        assert_eq!(read(&value).topic(), topic);
        assert_eq!(canonical(&value, &shop(Currency::NOK, true)).payment_state, payment);
    }
}

#[test]
fn goods_without_weight_are_no_goods_to_send() {
    let mut value = order();
    value["items"][0]["product_type"] = json!("downloadable");
    assert_eq!(canonical(&value, &shop(Currency::NOK, true)).lines[0].kind, LineKind::Digital);
}

#[test]
fn a_credit_memo_adds_up_and_counts_every_row_once() {
    let memo = json!({
        "entity_id": 12, "order_id": 42, "state": 2, "created_at": "2026-11-20 12:00:00", "transaction_id": "r1",
        "base_currency_code": "NOK", "order_currency_code": "NOK", "grand_total": 228, "base_grand_total": 228,
        "shipping_amount": 39.2, "base_shipping_amount": 39.2, "shipping_tax_amount": 9.8, "base_shipping_tax_amount": 9.8,
        "adjustment_positive": 15, "base_adjustment_positive": 15, "adjustment_negative": 10, "base_adjustment_negative": 10,
        "items": [
            { "order_item_id": 71, "sku": "ULL-RED-M", "qty": 1, "row_total": 159.2, "base_row_total": 159.2, "tax_amount": 34.8,
              "base_tax_amount": 34.8, "discount_amount": 20, "base_discount_amount": 20 },
            { "order_item_id": 72, "sku": "ULL-RED-M", "qty": 1, "row_total": null, "base_row_total": 0 },
        ],
        "comments": [{ "comment": "for stor" }],
    });
    let memo: crate::wire::refund::CreditMemo = spindel_connect::parse(memo.to_string().as_bytes()).unwrap();
    let refund = memo.canonical(&shop(Currency::NOK, true), &read(&order())).unwrap();
    assert_eq!(refund.lines.len(), 1);
    assert_eq!(refund.lines[0].subtotal.shop.to_string(), "174.00 NOK");
    assert_eq!(refund.shipping.unwrap().shop.to_string(), "49.00 NOK");
    let adjustments: Vec<String> = refund.adjustments.iter().map(|it| format!("{} {}", it.reason, it.amount.shop)).collect();
    assert_eq!(adjustments, ["adjustment 15.00 NOK", "fee -10.00 NOK"]);
    assert_eq!((refund.note.as_deref(), refund.order.number.as_deref()), (Some("for stor"), Some("000000042")));
    assert!(refund.outstanding().unwrap().is_zero(), "the payment method paid it out");
}
