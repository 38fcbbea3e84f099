//! Orders of the documented shape in six currencies, with prices that include tax and prices that do not.

use super::*;
use crate::{WeightUnit, wire::refund};
use serde_json::{Value, json};

fn shop() -> Shop {
    Shop {
        currency: None,
        prices_include_tax: None,
        weight_unit: WeightUnit::Kg,
        location: "main".into(),
        reserving_methods: vec!["kco".into()],
        pickup_point_meta: Some("pickup_point_id".into()),
        shipment_note: String::new(),
    }
}

/// Two of one thing with a coupon, freight, and 25 % tax.
fn body(included: bool, currency: &str, amounts: [&str; 10]) -> Value {
    let [subtotal, subtotal_tax, total, total_tax, freight, freight_tax, taxes, grand, off, off_tax] = amounts;
    json!({
        "id": 727, "number": "A-727", "status": "processing", "currency": currency, "prices_include_tax": included,
        "created_via": "checkout", "date_created_gmt": "2026-11-20T10:15:00", "date_modified_gmt": "2026-11-20T10:15:04",
        "date_paid_gmt": "2026-11-20T10:15:03", "total": grand, "total_tax": taxes, "customer_id": 0,
        "payment_method": "stripe", "transaction_id": "pi_7",
        "billing": { "first_name": "Kari", "country": "NO", "email": "kari@example.no", "phone": "+4791234567" },
        "shipping": [],
        "line_items": [{
            "id": 315, "name": "Genser", "product_id": 93, "variation_id": 99, "quantity": 2, "subtotal": subtotal,
            "subtotal_tax": subtotal_tax, "total": total, "total_tax": total_tax, "sku": "GENSER-M", "price": 143.20000000000002,
            "taxes": [{ "id": 1, "total": total_tax, "subtotal": "" }],
            "meta_data": [{ "key": "pa_size", "value": "m" }, { "key": "_internal", "value": [1] }],
        }],
        "tax_lines": [{ "rate_id": 1, "label": "MVA", "rate_percent": 25 }],
        "shipping_lines": [{
            "id": 317, "method_title": "Bring", "method_id": "flat_rate", "total": freight, "total_tax": freight_tax,
            "taxes": [{ "id": 1, "total": freight_tax }], "meta_data": [{ "key": "pickup_point_id", "value": 12345 }],
        }],
        "coupon_lines": [{ "id": 319, "code": "host10", "discount": off, "discount_tax": off_tax }],
    })
}

fn wire(body: Value) -> Order {
    spindel_connect::parse(body.to_string().as_bytes()).unwrap()
}

const TWO_DECIMALS: [&str; 10] = ["318.40", "79.60", "286.40", "71.60", "39.20", "9.80", "81.40", "407.00", "32.00", "8.00"];

#[test]
fn an_order_adds_up_in_every_currency_with_and_without_tax_in_its_prices() {
    let yen = ["3184", "796", "2864", "716", "392", "98", "814", "4070", "320", "80"];
    let dinar = ["31.840", "7.960", "28.640", "7.160", "3.920", "0.980", "8.140", "40.700", "3.200", "0.800"];
    for (currency, amounts, unit, grand) in [
        ("NOK", TWO_DECIMALS, ["199.00 NOK", "159.20 NOK"], "407.00 NOK"),
        ("SEK", TWO_DECIMALS, ["199.00 SEK", "159.20 SEK"], "407.00 SEK"),
        ("DKK", TWO_DECIMALS, ["199.00 DKK", "159.20 DKK"], "407.00 DKK"),
        ("EUR", TWO_DECIMALS, ["199.00 EUR", "159.20 EUR"], "407.00 EUR"),
        ("JPY", yen, ["1990 JPY", "1592 JPY"], "4070 JPY"),
        ("KWD", dinar, ["19.900 KWD", "15.920 KWD"], "40.700 KWD"),
    ] {
        for (included, unit) in [(true, unit[0]), (false, unit[1])] {
            let order = wire(body(included, currency, amounts)).canonical(&shop(), None).unwrap();
            assert_eq!(order.lines[0].unit_price.shop.to_string(), unit);
            assert_eq!(order.totals.grand.shop.to_string(), grand);
            assert!(order.totals.rounding.shop.is_zero(), "{currency} {included}: {}", order.totals.rounding.shop);
            assert!(order.residue().unwrap().shop.is_zero());
            let off = order.lines[0].discounts[0].amount;
            let list = order.lines[0].unit_price.times(order.lines[0].quantity).unwrap();
            assert_eq!(list.try_sub(off).unwrap().rounded(), order.lines[0].total);
        }
    }
}

#[test]
fn the_parts_of_an_order_are_read_and_its_float_is_not() {
    let order = wire(body(true, "NOK", TWO_DECIMALS)).canonical(&shop(), None).unwrap();
    let line = &order.lines[0];
    assert_eq!((line.sku.as_deref(), line.variant_id.as_deref()), (Some("GENSER-M"), Some("99")));
    assert_eq!(line.taxes[0].map_key("NO"), "NO/25/included");
    assert_eq!(line.attributes["meta"], json!({ "pa_size": "m" }));
    assert_eq!(order.discounts[0].code.as_deref(), Some("host10"));
    assert_eq!(order.shipping_lines[0].pickup_point.as_deref(), Some("12345"));
    assert_eq!(order.shipping_lines[0].total.shop.to_string(), "49.00 NOK");
    assert_eq!(order.shipping_address, order.billing_address);
    assert_eq!((order.customer.is_none(), order.email.as_deref()), (true, Some("kari@example.no")));
    assert_eq!(order.payment(), Some("pi_7"));
    assert_eq!(order.payment_state, PaymentState::Paid);
    assert!(!serde_json::to_string(&order).unwrap().contains("00002"));
}

#[test]
fn what_rounding_explains_is_rounding_and_more_than_that_is_an_error() {
    let mut almost = body(true, "NOK", TWO_DECIMALS);
    almost["total"] = "407.02".into();
    let order = wire(almost).canonical(&shop(), None).unwrap();
    assert_eq!(order.totals.rounding.shop.to_string(), "0.02 NOK");
    assert!(order.residue().unwrap().shop.is_zero());
    let mut short = body(true, "NOK", TWO_DECIMALS);
    short["total"] = "307.00".into();
    let error = wire(short).canonical(&shop(), None).unwrap_err().to_string();
    assert!(error.contains("307.00 NOK") && error.contains("407.00 NOK"), "{error}");
}

#[test]
fn a_discount_is_shared_by_its_coupons_and_is_manual_without_one() {
    let mut two = body(false, "NOK", TWO_DECIMALS);
    two["coupon_lines"] = json!([{ "code": "a", "discount": "8.00" }, { "code": "b", "discount": "24.00" }]);
    let order = wire(two).canonical(&shop(), None).unwrap();
    let shares: Vec<String> = order.lines[0].discounts.iter().map(|it| it.amount.shop.to_string()).collect();
    assert_eq!(shares, ["8.00 NOK", "24.00 NOK"]);
    let mut none = body(false, "NOK", TWO_DECIMALS);
    none["coupon_lines"] = json!([]);
    let order = wire(none).canonical(&shop(), None).unwrap();
    assert_eq!(order.discounts[0].kind, DiscountKind::Manual);
    assert_eq!(order.lines[0].discounts[0].discount, 0);
}

#[test]
fn a_fee_below_zero_takes_off_and_the_order_still_adds_up() {
    let mut fee = body(true, "NOK", TWO_DECIMALS);
    fee["fee_lines"] = json!([{ "name": "Avslag", "total": "-40.00", "total_tax": "-10.00", "taxes": [] }]);
    fee["total"] = "357.00".into();
    let order = wire(fee).canonical(&shop(), None).unwrap();
    assert_eq!(order.charges[0].total.shop.to_string(), "-50.00 NOK");
    assert!(order.totals.rounding.shop.is_zero());
}

#[test]
fn the_state_of_the_payment_follows_status_refunds_and_method() {
    for (extra, state) in [
        (json!({}), PaymentState::Paid),
        (json!({ "payment_method": "kco" }), PaymentState::Authorized),
        (json!({ "date_paid_gmt": null }), PaymentState::Pending),
        (json!({ "status": "on-hold", "date_paid_gmt": null }), PaymentState::Pending),
        (json!({ "status": "cancelled" }), PaymentState::Voided),
        (json!({ "status": "refunded" }), PaymentState::Refunded),
        (json!({ "refunds": [{ "id": 1, "total": "-10.00" }] }), PaymentState::PartiallyRefunded),
        (json!({ "refunds": [{ "id": 1, "total": "-407.00" }] }), PaymentState::Refunded),
    ] {
        let mut it = body(true, "NOK", TWO_DECIMALS);
        for (key, value) in extra.as_object().unwrap() {
            it[key] = value.clone();
        }
        assert_eq!(wire(it).canonical(&shop(), None).unwrap().payment_state, state, "{extra}");
    }
}

#[test]
fn what_happened_to_an_order_is_told_by_its_times() {
    for (extra, topic) in [
        (json!({}), Topic::OrderPaid),
        (json!({ "date_modified_gmt": "2026-11-20T12:00:00" }), Topic::OrderUpdated),
        (json!({ "status": "completed", "date_completed_gmt": "2026-11-20T10:15:04" }), Topic::OrderFulfilled),
        (json!({ "status": "cancelled" }), Topic::OrderCancelled),
        (json!({ "status": "pending", "date_paid_gmt": null }), Topic::OrderUpdated),
    ] {
        let mut it = body(true, "NOK", TWO_DECIMALS);
        for (key, value) in extra.as_object().unwrap() {
            it[key] = value.clone();
        }
        assert_eq!(wire(it).topic(), topic, "{extra}");
    }
}

#[test]
fn refunds_stand_below_zero_at_the_vendor_and_above_it_here() {
    let order = wire(body(true, "NOK", TWO_DECIMALS));
    let refund: refund::Refund = spindel_connect::parse(
        json!({
            "id": 726, "date_created_gmt": "2026-11-21T10:00:00", "amount": "240.00", "reason": "skadet", "refunded_payment": true,
            "line_items": [{
                "id": 330, "quantity": -1, "total": "-143.20", "total_tax": "-35.80", "sku": "GENSER-M",
                "meta_data": [{ "key": "_refunded_item_id", "value": "315" }],
            }],
            "shipping_lines": [{ "id": 331, "total": "-39.20", "total_tax": "-9.80" }],
        })
        .to_string()
        .as_bytes(),
    )
    .unwrap();
    let refund = refund.canonical(&order).unwrap();
    assert_eq!((refund.id.as_str(), refund.payment.as_deref()), ("727/726", Some("pi_7")));
    assert_eq!(refund.total.shop.to_string(), "240.00 NOK");
    let line = &refund.lines[0];
    assert_eq!(
        (line.line_id.as_str(), line.quantity, line.subtotal.shop.to_string()),
        ("315", Decimal::ONE, "179.00 NOK".into())
    );
    assert_eq!(line.tax.shop.to_string(), "35.80 NOK");
    assert_eq!(refund.shipping.unwrap().shop.to_string(), "49.00 NOK");
    assert_eq!(refund.adjustments[0].amount.shop.to_string(), "12.00 NOK");
    assert!(refund.outstanding().unwrap().is_zero());
    let order = order.canonical(&shop(), Some(vec![refund])).unwrap();
    assert_eq!(order.lines[0].quantity_refunded, Decimal::ONE);
}
