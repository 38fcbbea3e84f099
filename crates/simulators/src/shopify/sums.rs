//! The sums of orders, checked from the webhook bodies alone, over many random orders with edits, refunds and cancellations.

use crate::shopify::{Options, filled, rest, spec, state::State};
use rand::RngExt as _;
use rust_decimal::Decimal;
use serde_json::Value;
use spindel_model::Currency;

const SIDES: [&str; 2] = ["shop_money", "presentment_money"];

fn amount(set: &Value, side: &str) -> Decimal {
    set[side]["amount"].as_str().unwrap_or_else(|| panic!("no money: {set}")).parse().unwrap()
}

fn list(body: &Value, name: &str) -> Vec<Value> {
    body[name].as_array().unwrap().clone()
}

fn each(body: &Value, name: &str, side: &str, money: &str) -> Decimal {
    list(body, name).iter().map(|it| amount(&it[money], side)).sum()
}

fn scaled(whole: Decimal, part: &Value, of: &Value) -> Decimal {
    let (part, of) = (Decimal::from(part.as_u64().unwrap()), Decimal::from(of.as_u64().unwrap()));
    crate::shopify::pricing::round(whole * part / of, 2)
}

/// What the order comes to with the quantities of `quantity`, by the documented rules. Lines only, and the tax of lines.
fn lines_at(body: &Value, side: &str, quantity: &str) -> (Decimal, Decimal) {
    let (mut net, mut tax) = (Decimal::ZERO, Decimal::ZERO);
    for line in list(body, "line_items") {
        net += amount(&line["price_set"], side) * Decimal::from(line[quantity].as_u64().unwrap());
        for share in list(&line, "discount_allocations") {
            net -= scaled(amount(&share["amount_set"], side), &line[quantity], &line["quantity"]);
        }
        for it in list(&line, "tax_lines") {
            tax += scaled(amount(&it["price_set"], side), &line[quantity], &line["quantity"]);
        }
    }
    (net, tax)
}

fn shipping(body: &Value, side: &str) -> (Decimal, Decimal) {
    let (mut net, mut tax) = (Decimal::ZERO, Decimal::ZERO);
    for line in list(body, "shipping_lines") {
        net += amount(&line["price_set"], side) - each(&line, "discount_allocations", side, "amount_set");
        tax += each(&line, "tax_lines", side, "price_set");
    }
    for refund in list(body, "refunds") {
        net -= each(&refund, "refund_shipping_lines", side, "subtotal_amount_set");
        tax -= each(&refund, "refund_shipping_lines", side, "tax_amount_set");
    }
    (net, tax)
}

fn check_placed(body: &Value) {
    for side in SIDES {
        let (net, line_tax) = lines_at(body, side, "quantity");
        let (freight, freight_tax) = shipping(body, side);
        let tax = line_tax + freight_tax;
        let on_top = if body["taxes_included"] == true { Decimal::ZERO } else { tax };
        let tip = amount(&body["total_tip_received_set"], side);
        let name = &body["name"];
        assert_eq!(amount(&body["subtotal_price_set"], side), net, "{name} {side}");
        assert_eq!(amount(&body["total_tax_set"], side), tax, "{name} {side}");
        assert_eq!(each(body, "tax_lines", side, "price_set"), tax, "{name} {side}");
        assert_eq!(amount(&body["total_price_set"], side), net + freight + on_top + tip, "{name} {side}");
        assert_eq!(body["total_price_set"], body["current_total_price_set"], "{name}");
    }
}

fn check_current(body: &Value) {
    for side in SIDES {
        let current = amount(&body["current_total_price_set"], side);
        if !body["cancelled_at"].is_null() {
            assert!(current.is_zero());
            continue;
        }
        let (net, line_tax) = lines_at(body, side, "current_quantity");
        let (freight, freight_tax) = shipping(body, side);
        let tax = line_tax + freight_tax;
        let on_top = if body["taxes_included"] == true { Decimal::ZERO } else { tax };
        let tip = amount(&body["total_tip_received_set"], side);
        let name = &body["name"];
        assert_eq!(amount(&body["current_subtotal_price_set"], side), net, "{name} {side}");
        assert_eq!(amount(&body["current_total_tax_set"], side), tax, "{name} {side}");
        assert_eq!(current, net + freight + on_top + tip, "{name} {side}");
    }
}

fn body(state: &State, id: u64) -> Value {
    rest::order(state, &state.orders[&id])
}

fn shop(seed: u64) -> State {
    filled(Options { seed, webhooks_kept: 10, ..Options::default() })
}

#[test]
fn placed_orders_add_up_in_both_currencies() {
    for seed in 0..20 {
        let mut state = shop(seed);
        for _ in 0..15 {
            let spec = spec::random_order(&mut state);
            let id = state.place(&spec).unwrap();
            check_placed(&body(&state, id));
        }
    }
}

#[test]
fn orders_add_up_after_edits_refunds_and_cancellations_and_keep_what_was_first_ordered() {
    for seed in 0..20 {
        let mut state = shop(1_000 + seed);
        for _ in 0..10 {
            let spec = spec::random_order(&mut state);
            let id = state.place(&spec).unwrap();
            let placed = body(&state, id);
            for _ in 0..state.rng.random_range(0..5) {
                change(&mut state, id);
                let now = body(&state, id);
                check_current(&now);
                assert_eq!(placed["total_price_set"], now["total_price_set"]);
                assert_eq!(placed["total_tax_set"], now["total_tax_set"]);
                for (first, later) in list(&placed, "line_items").iter().zip(list(&now, "line_items")) {
                    assert_eq!(first["quantity"], later["quantity"]);
                    assert_eq!(first["tax_lines"], later["tax_lines"]);
                    assert_eq!(first["discount_allocations"], later["discount_allocations"]);
                }
            }
        }
    }
}

fn change(state: &mut State, id: u64) {
    match state.rng.random_range(0..6) {
        0..3 => {
            let edits = spec::random_edit(state, id);
            let _cancelled = state.edit(id, &edits);
        }
        3..5 => {
            let _paid = state.capture(id);
            let refund = spec::random_refund(state, id);
            let _cancelled = state.refund_in_full(id, &refund);
        }
        _ => {
            let _fulfilled = state.cancel(id, "CUSTOMER", true, true, None);
        }
    }
}

#[test]
fn a_line_refunded_piece_by_piece_gives_back_exactly_what_was_paid() {
    for seed in 0..20 {
        let mut state = shop(2_000 + seed);
        let spec = spec::OrderSpec { paid: true, tip: Decimal::ZERO, ..spec::random_order(&mut state) };
        let id = state.place(&spec).unwrap();
        let total = state.orders[&id].placed.total;
        for line in 0..spec.lines.len() {
            for _ in 0..spec.lines[line].1 {
                let refund =
                    spec::RefundSpec { lines: vec![(line, 1)], shipping: true, restock: spec::Restock::Return, note: None };
                state.refund_in_full(id, &refund).unwrap();
            }
        }
        let order = &state.orders[&id];
        assert_eq!(order.refunded(), total, "seed {seed}");
        assert!(order.current().total.is_zero(), "seed {seed}");
        if !total.is_zero() {
            assert_eq!(order.financial_status(), "refunded", "seed {seed}");
        }
    }
}

#[test]
fn a_currency_without_cents_adds_up_too() {
    let presentment = Some((Currency::JPY, Decimal::new(1_457, 2)));
    let mut state = filled(Options { presentment, ..Options::default() });
    for _ in 0..30 {
        let spec = spec::OrderSpec { presentment: true, ..spec::random_order(&mut state) };
        let id = state.place(&spec).unwrap();
        let placed = body(&state, id);
        check_placed(&placed);
        assert!(amount(&placed["total_price_set"], "presentment_money").fract().is_zero());
    }
}

#[test]
fn a_cancelled_order_is_worth_nothing_and_gives_back_what_was_paid() {
    let mut state = shop(7);
    for paid in [true, false] {
        let spec = spec::OrderSpec { paid, ..spec::random_order(&mut state) };
        let id = state.place(&spec).unwrap();
        state.cancel(id, "CUSTOMER", true, true, None).unwrap();
        let order = &state.orders[&id];
        assert!(order.current().total.is_zero());
        assert_eq!(order.refunded(), order.received());
        assert_eq!(order.financial_status(), if paid { "refunded" } else { "voided" });
        assert!(state.edit(id, &[]).is_err());
    }
}
