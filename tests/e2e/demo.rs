//! The demo with every vendor in each role: a bad day that ends with all ends agreeing.

use serde_json::Value;
use std::process::Command;

/// Tells a short day with these vendors and answers its report, which must be clean.
fn day(vendors: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_spindel"))
        .args(["--json", "--log", "warn", "demo", "--once", "--orders", "60", "--listen", "127.0.0.1:0"])
        .args(vendors)
        .output()
        .unwrap();
    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{vendors:?}: {error} in {text}\n{log}"));
    assert_eq!((output.status.code(), &report["clean"]), (Some(0), &true.into()), "{vendors:?}: {report:#}\n{log}");
    assert_eq!((&report["right"], &report["forgeries_accepted"]), (&report["in_shop"], &0.into()));
    assert!(count(&report["in_shop"]) >= 60 && count(&report["erp_faults"]["down"]) > 0, "{report:#}");
    report
}

fn count(number: &Value) -> u64 {
    number.as_u64().unwrap()
}

fn amount(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

/// What was sent was captured, and something of it given back.
fn money_is_right(report: &Value) {
    let (told, money) = (&report["told"], &report["money"]);
    assert!(count(&money["payments"]) >= 55 && money["payments"] == money["right"], "{report:#}");
    assert!(amount(&money["captured"]) > amount(&money["refunded"]) && amount(&money["refunded"]) > 0.0, "{report:#}");
    assert!(count(&told["refunded"]) > 0 && count(&told["cancelled"]) > 0, "{report:#}");
}

/// What was paid was booked once and has arrived.
fn parcels_are_right(report: &Value) {
    let parcels = &report["parcels"];
    assert!(count(&parcels["to_send"]) > 30 && parcels["to_send"] == parcels["right"], "{report:#}");
    assert_eq!(report["told"]["sent"], 0, "nobody packs what a carrier is booked for: {report:#}");
}

#[test]
fn without_options_a_shopify_shop_sells_and_odoo_has_it() {
    let report = day(&[]);
    assert_eq!((&report["vendors"]["shop"], &report["vendors"]["erp"]), (&"shopify".into(), &"odoo".into()));
    assert!(report["money"].is_null() && report["parcels"].is_null(), "{report:#}");
    assert!(count(&report["told"]["edited"]) > 0 && count(&report["duplicates_sent"]) > 0, "{report:#}");
}

#[test]
fn a_woocommerce_shop_is_captured_for_by_stripe() {
    let report = day(&["--shop", "woocommerce", "--payments", "stripe"]);
    assert_eq!(report["vendors"]["shop"], "woocommerce");
    assert!(count(&report["told"]["sent"]) > 30, "{report:#}");
    money_is_right(&report);
}

#[test]
fn what_klarna_holds_is_captured_when_it_was_sent() {
    money_is_right(&day(&["--payments", "klarna"]));
}

#[test]
fn bring_is_booked_once_for_every_order_that_vipps_holds_the_money_for() {
    let report = day(&["--payments", "vipps", "--shipping", "bring"]);
    money_is_right(&report);
    parcels_are_right(&report);
}

#[test]
fn parcels_of_shipmondo_are_followed_until_they_arrive() {
    let report = day(&["--shipping", "shipmondo"]);
    assert!(report["money"].is_null(), "{report:#}");
    parcels_are_right(&report);
}

#[test]
fn a_vendor_that_is_not_there_is_refused_with_those_that_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_spindel")).args(["demo", "--shop", "shopfy"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("shopify") && text.contains("woocommerce"), "{text}");
}
