//! Amounts in every kind of currency, lines that add up, and what is read of dates and ids.

use super::{
    is_id,
    order::{Line, Movement, Order, lines_of, movement},
    payout::{Row, Settled},
};
use serde_json::{Value, json};
use spindel_model::{Money, PayoutLineKind, TransactionStatus};

fn order(currency: &str, more: Value) -> Order {
    let mut order = json!({
        "order_id": "o-1", "status": "PART_CAPTURED", "fraud_status": "ACCEPTED", "order_amount": 44_701, "captured_amount": 1001,
        "remaining_authorized_amount": 43_700, "purchase_currency": currency, "created_at": "2026-11-19T08:30:00.000Z",
        "expires_at": "2026-12-17T08:30:00+01:00", "merchant_reference1": "1042",
        "captures": [{ "capture_id": "c-1", "captured_amount": 1001, "captured_at": "2026-11-19T12:00:00+00:00" }],
        "refunds": [{ "refund_id": "r-1", "refunded_amount": 7, "refunded_at": "2026-11-20T12:00:00Z" }],
    });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(order).unwrap()
}

const CURRENCIES: [(&str, [&str; 3]); 7] = [
    ("NOK", ["447.01 NOK", "10.01 NOK", "0.07 NOK"]),
    ("SEK", ["447.01 SEK", "10.01 SEK", "0.07 SEK"]),
    ("DKK", ["447.01 DKK", "10.01 DKK", "0.07 DKK"]),
    ("EUR", ["447.01 EUR", "10.01 EUR", "0.07 EUR"]),
    ("eur", ["447.01 EUR", "10.01 EUR", "0.07 EUR"]),
    ("JPY", ["44701 JPY", "1001 JPY", "7 JPY"]),
    ("KWD", ["44.701 KWD", "1.001 KWD", "0.007 KWD"]),
];

#[test]
fn movements_are_exact_in_every_currency() {
    for (currency, want) in CURRENCIES {
        let order = order(currency, json!({}));
        let which = [Movement::Authorization, Movement::Capture("c-1"), Movement::Refund("r-1")];
        let got = which.map(|it| order.transaction(it, false).unwrap().amount.to_string());
        assert_eq!(got, want);
    }
}

#[test]
fn a_payout_is_the_sum_of_its_lines_in_every_currency_whatever_the_signs() {
    for (currency, _) in CURRENCIES {
        for sign in [1, -1] {
            let row =
                |kind: &str, amount: i64| json!({ "type": kind, "amount": amount, "order_id": "o-1", "currency_code": currency });
            let rows: Vec<Row> = serde_json::from_value(json!([
                row("SALE", 44_701),
                row("FEE", 1111 * sign),
                row("RETURN", 7 * sign),
                row("REVERSAL", 500 * sign),
                row("FEE_REFUND", 11),
                row("HOLDBACK", 900 * sign),
                row("RELEASE", 100),
                row("CORRECTION", -3),
                row("NEW_KIND", 5),
            ]))
            .unwrap();
            let net = 44_701 - 1111 - 7 - 500 + 11 - 900 + 100 - 3 + 5;
            let payout = settled(currency, "NET", net).payout(&rows).unwrap();
            let sum = payout.lines.iter().fold(Money::zero(payout.amount.currency), |sum, it| sum.try_add(it.net).unwrap());
            assert_eq!((sum, payout.lines.len()), (payout.amount, rows.len()), "{currency}");
            for line in &payout.lines {
                assert_eq!(line.gross.try_sub(line.fee).unwrap(), line.net, "{}", line.id);
            }
        }
    }
}

fn settled(currency: &str, kind: &str, net: i64) -> Settled {
    serde_json::from_value(json!({
        "payment_reference": "YTQ48FJA", "payout_date": "2026-11-18T05:00:00Z", "currency_code": currency,
        "merchant_settlement_type": kind, "totals": { "settlement_amount": net },
    }))
    .unwrap()
}

#[test]
fn what_the_rows_do_not_explain_is_a_line_of_its_own() {
    let rows: Vec<Row> = serde_json::from_value(json!([
        { "type": "SALE", "amount": 1000, "currency_code": "NOK", "capture_id": "c-1" },
        { "type": "SALE", "amount": 1000, "currency_code": "NOK", "capture_id": "c-1" },
        { "type": "SALE", "amount": 500, "currency_code": "SEK", "capture_id": "c-2" },
    ]))
    .unwrap();
    let payout = settled("NOK", "NET", 2450).payout(&rows).unwrap();
    let got: Vec<(&str, String)> = payout.lines.iter().map(|it| (it.id.as_str(), it.net.to_string())).collect();
    let want = [("sale/c-1", "10.00 NOK"), ("sale/c-1/2", "10.00 NOK"), ("rest", "4.50 NOK")];
    assert_eq!(got, want.map(|(id, net)| (id, net.to_owned())));
    assert_eq!(payout.lines[2].kind, PayoutLineKind::Adjustment);
}

#[test]
fn an_authorisation_lapses_only_where_something_is_left_of_it() {
    let lapses = |more| order("NOK", more).transaction(Movement::Authorization, false).unwrap().expires_at;
    assert_eq!(lapses(json!({})), Some("2026-12-17T07:30:00Z".parse().unwrap()));
    assert_eq!(lapses(json!({ "remaining_authorized_amount": 0 })), None);
}

#[test]
fn the_review_and_the_state_of_an_order_tell_whether_it_holds() {
    for (status, fraud, want) in [
        ("AUTHORIZED", "ACCEPTED", TransactionStatus::Success),
        ("AUTHORIZED", "PENDING", TransactionStatus::Pending),
        ("AUTHORIZED", "REJECTED", TransactionStatus::Failure),
        ("CAPTURED", "ACCEPTED", TransactionStatus::Success),
        ("CLOSED", "ACCEPTED", TransactionStatus::Success),
        ("CANCELLED", "ACCEPTED", TransactionStatus::Failure),
        ("EXPIRED", "ACCEPTED", TransactionStatus::Failure),
    ] {
        let order = order("NOK", json!({ "status": status, "fraud_status": fraud }));
        assert_eq!(order.transaction(Movement::Authorization, true).unwrap().status, want, "{status} {fraud}");
    }
}

fn lines() -> Vec<Line> {
    serde_json::from_value(json!([
        { "reference": "A", "name": "A", "quantity": 3, "unit_price": 10_000, "tax_rate": 2500, "total_amount": 29_000,
          "total_discount_amount": 1000, "total_tax_amount": 5800 },
        { "reference": "B", "name": "B", "quantity": 2, "unit_price": 999, "tax_rate": 1500, "total_amount": 1998,
          "total_tax_amount": 261 },
        { "type": "shipping_fee", "name": "S", "quantity": 1, "unit_price": 4900, "tax_rate": 2500, "total_amount": 4900,
          "total_tax_amount": 980 },
    ]))
    .unwrap()
}

#[test]
fn lines_are_only_given_where_they_come_to_the_amount() {
    let find = |goods: &[(Option<&str>, i64)], shipping, amount| lines_of(&lines(), goods, shipping, amount);
    assert_eq!(find(&[], false, 35_898).map(|it| it.len()), Some(3));
    assert_eq!(find(&[], false, 35_897), None);
    assert_eq!(find(&[(Some("B"), 1)], false, 999).unwrap()[0].total_tax_amount, 130);
    assert_eq!(find(&[(Some("B"), 1)], true, 5899).map(|it| it.len()), Some(2));
    // A discount of 1000 on three cannot be divided, and four were never sold.
    assert_eq!(find(&[(Some("A"), 1)], false, 9667), None);
    assert_eq!(find(&[(Some("B"), 3)], false, 2997), None);
    assert_eq!(find(&[(Some("A"), 3)], false, 29_000).unwrap()[0], lines()[0]);
    for unknown in [None, Some(""), Some("C")] {
        assert_eq!(find(&[(unknown, 1)], false, 999), None);
    }
}

#[test]
fn a_sku_that_stands_on_two_lines_is_not_guessed_at() {
    let mut twice = lines();
    twice.push(twice[1].clone());
    assert_eq!(lines_of(&twice, &[(Some("B"), 1)], false, 999), None);
}

#[test]
fn the_id_of_a_movement_names_its_order() {
    assert_eq!(movement("o-1"), Some(("o-1", Movement::Authorization)));
    assert_eq!(movement("o-1/captures/c-1"), Some(("o-1", Movement::Capture("c-1"))));
    assert_eq!(movement("o-1/refunds/r-1"), Some(("o-1", Movement::Refund("r-1"))));
    for other in ["o-1/captures", "o-1/captures/c-1/more", "o-1/else/c-1"] {
        assert_eq!(movement(other), None, "{other}");
    }
}

#[test]
fn only_what_looks_like_an_id_goes_into_a_path() {
    for id in ["b71c5d0e-3f5a-4c1e-9a66-2d1f0c7e4a10", "YTQ48FJA", "krn:payment:eu1:dispute:a-b:1"] {
        assert!(is_id(id), "{id}");
    }
    for other in ["", "..", "a/b", "a?b", "a b", "a%2f", "å", &"a".repeat(256)] {
        assert!(!is_id(other), "{other}");
    }
}
