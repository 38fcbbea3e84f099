//! The simulated Odoo as a client meets it over HTTP, and the same walk against a real Odoo 19 when
//! `SPINDEL_ODOO_URL` and `SPINDEL_ODOO_KEY` are set (`SPINDEL_ODOO_DB` defaults to `hub`).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod erp;
mod walk;

use erp::{Erp, customer, loaded, order_rows, product, simulated};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use spindel_simulators::{
    fault::Fault,
    odoo::{OdooSim, Options, Product, TaxRounding},
};
use std::time::Duration;
use walk::walk;

#[tokio::test]
async fn an_order_goes_from_customer_to_refund() {
    let (sim, erp) = simulated().await;

    let seen = walk(&erp, "1").await;

    let at = |what: &str| &seen.iter().find(|(name, _)| *name == what).unwrap().1;
    assert_eq!(at("loaded")["amount_untaxed"], 1517.76);
    assert_eq!(at("loaded")["amount_tax"], 379.44);
    assert_eq!(at("loaded")["amount_total"], 1897.2);
    assert_eq!(at("after shipping")["delivery_status"], "full");
    assert_eq!(at("invoice")["amount_residual"], 1897.2);
    assert_eq!(at("after cancelling")["state"], "cancel");
    let orders = sim.orders();
    let order = orders.iter().find(|order| order.client_order_ref == "WEB-1").unwrap();
    assert_eq!(order.external_id.as_deref(), Some("hub.order_WEB-1"));
    assert_eq!(order.amount_total.to_string(), "1897.20");
    assert_eq!(order.create_count, 1);
    let paid: Vec<String> = sim.payments().iter().map(|payment| payment.amount.to_string()).collect();
    assert_eq!(paid, ["97.20", "1800.00", "250.00"]);
    assert_eq!(sim.invoices()[0].payment_state, "paid");
    assert_eq!(sim.invoices()[0].order.as_deref(), Some("WEB-1"));
    assert_eq!(sim.credit_notes()[0].amount.to_string(), "100.00");
    assert_eq!(sim.credit_notes()[0].order.as_deref(), Some("WEB-1"));
}

#[tokio::test]
async fn a_real_odoo_answers_alike() {
    let (Ok(url), Ok(key)) = (std::env::var("SPINDEL_ODOO_URL"), std::env::var("SPINDEL_ODOO_KEY")) else {
        return;
    };
    let database = std::env::var("SPINDEL_ODOO_DB").unwrap_or_else(|_| "hub".to_owned());
    let (_sim, simulated) = simulated().await;
    // Two runs against one server must not meet each other's records.
    let run = uuid::Uuid::new_v4().simple().to_string();

    let real = walk(&Erp::new(&url, &key, &database), &run).await;
    let ours = walk(&simulated, &run).await;

    let differing: Vec<String> = real
        .iter()
        .zip(&ours)
        .filter(|(real, ours)| real != ours)
        .map(|((what, real), (_, ours))| format!("{what}\n  real {real}\n  ours {ours}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[tokio::test]
async fn create_has_no_idea_of_duplicates() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let values = json!({"vals_list": [{"partner_id": partner, "client_order_ref": "WEB-2"}]});

    for _ in 0..6 {
        erp.ok("sale.order", "create", values.clone()).await;
    }

    let orders = sim.orders();
    assert_eq!(orders.len(), 6);
    assert!(orders.iter().all(|order| order.create_count == 6 && order.external_id.is_none()));
}

#[tokio::test]
async fn an_external_id_is_unique_under_parallel_load() {
    let load_time = Duration::from_millis(50);
    let products = vec![Product::goods("ULL-1", "Ullgenser", Decimal::from(100))];
    let sim = OdooSim::start(Options { products, load_time, ..Options::default() }).await.unwrap();
    let erp = Erp::of(&sim);
    let partner = customer(&erp).await;
    let rows = order_rows("WEB-3", partner, &[(product(&erp, "ULL-1").await, "1", "10", "0")]);

    let calls = (0..5).map(|_| {
        let (erp, rows) = (erp.clone(), rows.clone());
        tokio::spawn(async move { erp.ok("sale.order", "load", rows).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut losers = 0;
    for call in calls {
        let answer = call.await.unwrap();
        if answer["ids"] == false {
            losers += 1;
            assert_eq!(answer["messages"][0]["message"], "could not serialize access due to concurrent update\n");
        }
    }

    assert!((1..5).contains(&losers), "{losers} of 5 lost");
    assert_eq!(sim.orders().len(), 1);
}

#[tokio::test]
async fn a_cut_connection_leaves_the_effect_in_place() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let rows = order_rows("WEB-4", partner, &[(product(&erp, "ULL-1").await, "1", "10", "0")]);

    sim.faults().next(Fault::CutAfter, 1);
    assert!(erp.send("sale.order", "load", &rows).await.is_err());

    assert_eq!(sim.orders().len(), 1);
    loaded(&erp, rows).await;
    assert_eq!(sim.orders().len(), 1);
}

#[tokio::test]
async fn a_failed_call_leaves_nothing_behind() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let values = json!({"vals_list": [{"partner_id": partner, "order_line": [
        [0, 0, {"product_id": product(&erp, "ULL-1").await}], [0, 0, {"product_id": 99_999}]]}]});

    let (status, name, _) = erp.refusal("sale.order", "create", values).await;

    assert_eq!((status, name.as_str()), (404, "odoo.exceptions.MissingError"));
    assert_eq!(sim.orders(), []);
    let lines = erp.ok("sale.order.line", "search", json!({"domain": []})).await;
    assert_eq!(lines, json!([]));
}

#[tokio::test]
async fn keys_databases_and_bodies_are_checked() {
    let (_sim, erp) = simulated().await;
    let search = json!({"domain": []});

    let wrong_key = Erp { key: "wrong".into(), ..erp.clone() };
    let (status, name, message) = wrong_key.refusal("res.partner", "search", search.clone()).await;
    assert_eq!((status, name.as_str()), (401, "werkzeug.exceptions.Unauthorized"));
    assert_eq!(message, "Invalid apikey");
    let wrong_database = Erp { database: "other".into(), ..erp.clone() };
    assert_eq!(wrong_database.call("res.partner", "search", search).await.0, 404);
    let (_, array) = erp.call("res.partner", "search", json!([])).await;
    assert_eq!(array["arguments"], json!(["missing a required argument: 'domain'", 422]));
    #[expect(clippy::disallowed_methods, reason = "the server is the test's own")]
    let version = erp.http.get(format!("{}/web/version", erp.base)).send().await.unwrap().text().await.unwrap();
    assert!(version.contains("\"version\":\"19.0\""), "{version}");
}

#[tokio::test]
async fn a_refused_order_is_refused_until_it_is_accepted() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let rows = |reference: &str, product| order_rows(reference, partner, &[(product, "1", "10", "0")]);
    let (sweater, hat) = (product(&erp, "ULL-1").await, product(&erp, "LUE-1").await);
    sim.refuse("ULL-1", "The sweater is discontinued.");
    sim.refuse("WEB-6", "Not this one.");

    let by_sku = erp.ok("sale.order", "load", rows("WEB-5", sweater)).await;
    let by_reference = erp.ok("sale.order", "load", rows("WEB-6", hat)).await;
    let values = json!({"vals_list": [{"partner_id": partner, "client_order_ref": "WEB-6"}]});
    let created = erp.refusal("sale.order", "create", values).await;

    assert_eq!(by_sku["ids"], false);
    assert_eq!(by_sku["messages"][0]["message"], "The sweater is discontinued.");
    assert_eq!(by_reference["messages"][0]["message"], "Not this one.");
    assert_eq!(created, (422, "odoo.exceptions.UserError".into(), "Not this one.".into()));
    assert_eq!(sim.orders(), []);
    sim.accept("ULL-1");
    loaded(&erp, rows("WEB-5", sweater)).await;
}

#[tokio::test]
async fn a_hanging_order_holds_back_no_other() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let product = product(&erp, "ULL-1").await;
    let rows = |reference: &str| order_rows(reference, partner, &[(product, "1", "10", "0")]);
    sim.hang("WEB-7");

    let stuck = tokio::spawn({
        let (erp, rows) = (erp.clone(), rows("WEB-7"));
        async move { loaded(&erp, rows).await }
    });
    loaded(&erp, rows("WEB-8")).await;
    assert_eq!(sim.orders().len(), 1);
    assert!(!stuck.is_finished());

    sim.unhang("WEB-7");
    stuck.await.unwrap();
    assert_eq!(sim.orders().len(), 2);
}

#[tokio::test]
async fn conflicts_do_nothing_and_are_reproducible() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let rows = order_rows("WEB-9", partner, &[(product(&erp, "ULL-1").await, "1", "10", "0")]);

    sim.conflicts_at_random(1, 1.0);
    assert_eq!(erp.ok("sale.order", "load", rows.clone()).await["ids"], false);
    assert_eq!(sim.orders(), []);

    sim.conflicts_at_random(1, 0.0);
    loaded(&erp, rows).await;
}

#[tokio::test]
async fn domains_are_evaluated_as_odoo_does() {
    let (_sim, erp) = simulated().await;
    let norway = erp.found("res.country", json!([["code", "=", "NO"]])).await;
    let values = json!({"vals_list": [
        {"name": "Kari Nordmann", "ref": "C-100", "email": "Kari@Example.no", "country_id": norway},
        {"name": "Ola Nordmann", "ref": "C-200"},
    ]});
    let ids = erp.ok("res.partner", "create", values).await;
    let (kari, ola) = (ids[0].clone(), ids[1].clone());
    let within = json!(["id", "in", ids]);
    let cases = [
        (json!([["ref", "=", "C-100"]]), json!([kari])),
        (json!([["ref", "=like", "C%0"], within]), json!([kari, ola])),
        (json!([["ref", "=like", "C-_00"], ["email", "ilike", "kari@EX"]]), json!([kari])),
        (json!([["email", "like", "kari@ex"]]), json!([])),
        (json!(["|", ["ref", "=", "C-100"], ["ref", "=", "C-200"]]), json!([kari, ola])),
        (json!(["&", within, "!", ["ref", "=", "C-100"]]), json!([ola])),
        (json!([within, ["ref", "not in", ["C-100"]]]), json!([ola])),
        (json!([within, ["country_id.code", "=", "NO"]]), json!([kari])),
        (json!([within, ["country_id.code", "!=", "NO"]]), json!([ola])),
        (json!([within, ["country_id", "=", "Norway"]]), json!([kari])),
        (json!([within, ["country_id", "ilike", "norw"]]), json!([kari])),
        (json!([within, ["country_id", "=", false]]), json!([ola])),
        (json!([within, ["email", "=", false]]), json!([ola])),
        (json!([within, ["email", "!=", false]]), json!([kari])),
        (json!([within, ["child_ids", "=", false]]), json!([kari, ola])),
        (json!([within, ["write_date", ">=", "2020-01-01"]]), json!([kari, ola])),
        (json!([within, ["write_date", "<", "2020-01-01 00:00:00"]]), json!([])),
        (json!([["id", "in", []]]), json!([])),
    ];
    for (domain, expected) in cases {
        let found = erp.ok("res.partner", "search", json!({"domain": domain, "order": "id"})).await;
        assert_eq!(found, expected, "{domain}");
    }
    let second = json!({"domain": [within], "order": "id desc", "limit": 1, "offset": 1});
    assert_eq!(erp.ok("res.partner", "search", second).await, json!([kari]));
}

/// Lines (quantity, price, discount, tax ids), then untaxed, tax and total as a real Odoo 19 said.
type Priced<'a> = (&'a [(f64, f64, f64, &'a [i64])], [f64; 3]);

async fn totals(rounding: TaxRounding, cases: &[Priced<'_>]) {
    let products = vec![Product::goods("ULL-1", "Ullgenser", Decimal::from(100))];
    let sim = OdooSim::start(Options { products, rounding, ..Options::default() }).await.unwrap();
    let erp = Erp::of(&sim);
    let (partner, product) = (customer(&erp).await, product(&erp, "ULL-1").await);
    for (lines, expected) in cases {
        let line = |(quantity, price, discount, taxes): &(f64, f64, f64, &[i64])| {
            json!([0, 0, {"product_id": product, "product_uom_qty": quantity, "price_unit": price, "discount": discount,
                "tax_ids": [[6, 0, taxes]]}])
        };
        let lines: Vec<Value> = lines.iter().map(line).collect();
        let values = json!({"vals_list": [{"partner_id": partner, "order_line": lines}]});
        let order = erp.ok("sale.order", "create", values).await[0].as_i64().unwrap();
        let read = erp.read("sale.order", order, &["amount_untaxed", "amount_tax", "amount_total"]).await;
        let [untaxed, tax, total] = expected;
        assert_eq!(read, json!({"id": order, "amount_untaxed": untaxed, "amount_tax": tax, "amount_total": total}), "{lines:?}");
    }
}

const ON_TOP: &[i64] = &[3];
const INCLUDED: &[i64] = &[31];

#[tokio::test]
async fn totals_rounded_globally_are_those_of_a_real_odoo() {
    let cases: &[Priced] = &[
        (&[(1.0, 9.99, 0.0, ON_TOP); 3], [29.97, 7.49, 37.46]),
        (&[(1.0, 9.99, 0.0, INCLUDED); 3], [23.98, 5.99, 29.97]),
        (&[(3.0, 9.99, 33.33, INCLUDED), (1.0, 19.95, 0.0, &[32]), (7.0, 0.35, 0.0, &[33])], [35.52, 6.86, 42.38]),
        (&[(1.0, 9.995, 0.0, ON_TOP), (1.0, 9.985, 0.0, INCLUDED), (2.5, 3.333, 0.0, INCLUDED)], [24.65, 6.16, 30.81]),
        (&[(3.0, 33.33, 0.0, INCLUDED), (1.0, -10.0, 0.0, INCLUDED)], [71.99, 18.0, 89.99]),
        (&[(1.0, 99.9, 7.5, INCLUDED); 5], [369.63, 92.41, 462.04]),
        (&[(1.0, 99.9, 12.345678, INCLUDED), (1.0, 99.9, 12.35, INCLUDED)], [140.1, 35.02, 175.12]),
        (&[(1.0, 100.0, 0.0, &[]), (1.0, 100.0, 0.0, &[4])], [200.0, 0.0, 200.0]),
        (&[(7.0, 49.99, 0.0, &[32]), (3.0, 19.99, 0.0, INCLUDED)], [352.27, 57.63, 409.9]),
    ];
    totals(TaxRounding::Globally, cases).await;
}

#[tokio::test]
async fn totals_rounded_per_line_are_those_of_a_real_odoo() {
    let cases: &[Priced] = &[
        (&[(1.0, 9.99, 0.0, ON_TOP); 3], [29.97, 7.5, 37.47]),
        (&[(1.0, 9.99, 0.0, INCLUDED); 3], [23.97, 6.0, 29.97]),
        (&[(1.0, 9.995, 0.0, ON_TOP), (1.0, 9.985, 0.0, INCLUDED), (2.5, 3.333, 0.0, INCLUDED)], [24.65, 6.17, 30.82]),
        (&[(1.0, 99.9, 7.5, INCLUDED); 5], [369.65, 92.4, 462.05]),
    ];
    totals(TaxRounding::PerLine, cases).await;
}

#[tokio::test]
async fn the_currency_is_the_price_lists_and_fixed_once_confirmed() {
    let (sim, erp) = simulated().await;
    let partner = customer(&erp).await;
    let euro = erp.found("product.pricelist", json!([["currency_id.name", "=", "EUR"]])).await;
    let values =
        json!({"vals_list": [{"partner_id": partner, "currency_id": 126}, {"partner_id": partner, "pricelist_id": euro}]});
    let orders = erp.ok("sale.order", "create", values).await;
    erp.ok("sale.order", "action_confirm", json!({"ids": orders})).await;

    let currencies: Vec<String> = sim.orders().into_iter().map(|order| order.currency).collect();
    assert_eq!(currencies, ["NOK", "EUR"]);
    let change = json!({"ids": orders, "vals": {"pricelist_id": euro}});
    let (status, _, message) = erp.refusal("sale.order", "write", change).await;
    assert_eq!((status, message.as_str()), (422, "You cannot change the pricelist of a confirmed order !"));
}

#[tokio::test]
async fn stock_is_found_by_the_quants_write_date_and_reserved_by_orders() {
    let (sim, erp) = simulated().await;
    sim.set_stock("ULL-1", "WH/Stock", 10);
    let quants = |since: String| {
        json!({"domain": [["location_id.usage", "=", "internal"], ["write_date", ">=", since]],
            "fields": ["product_id", "quantity", "reserved_quantity", "available_quantity", "write_date"],
            "order": "write_date asc, id asc", "limit": 500})
    };
    let first = erp.ok("stock.quant", "search_read", quants("2020-01-01 00:00:00".into())).await;
    assert_eq!(first[0]["available_quantity"], 10.0);
    assert_eq!(first[0]["product_id"][1], "[ULL-1] Ullgenser");
    let at = first[0]["write_date"].as_str().unwrap().to_owned();
    assert_eq!(at.len(), "2026-11-22 12:00:00".len());

    let partner = customer(&erp).await;
    let rows = order_rows("WEB-10", partner, &[(product(&erp, "ULL-1").await, "3", "10", "0")]);
    let order = loaded(&erp, rows).await;
    erp.ok("sale.order", "action_confirm", json!({"ids": [order]})).await;

    let then = erp.ok("stock.quant", "search_read", quants(at)).await;
    assert_eq!(then[0]["reserved_quantity"], 3.0);
    assert_eq!(then[0]["available_quantity"], 7.0);
    assert!(sim.ship("WEB-10", "Posten", "TRK-1"));
    let picking = json!({"domain": [["sale_id", "=", order]], "fields": ["state", "carrier_tracking_ref", "carrier_id"]});
    let picking = erp.ok("stock.picking", "search_read", picking).await;
    assert_eq!(picking[0]["state"], "done");
    assert_eq!(picking[0]["carrier_tracking_ref"], "TRK-1");
    assert_eq!(picking[0]["carrier_id"][1], "Posten");
}

#[tokio::test]
async fn a_short_transfer_asks_and_does_nothing_unless_told_to_split() {
    let (sim, erp) = simulated().await;
    sim.set_stock("ULL-1", "WH/Stock", 2);
    let partner = customer(&erp).await;
    let order = loaded(&erp, order_rows("WEB-11", partner, &[(product(&erp, "ULL-1").await, "3", "10", "0")])).await;
    erp.ok("sale.order", "action_confirm", json!({"ids": [order]})).await;
    let picking = erp.read("sale.order", order, &["picking_ids"]).await["picking_ids"].clone();

    let asked = erp.ok("stock.picking", "button_validate", json!({"ids": picking})).await;
    assert_eq!(asked["res_model"], "stock.backorder.confirmation");
    assert_eq!(erp.read("sale.order", order, &["delivery_status"]).await["delivery_status"], "pending");

    let split = json!({"ids": picking, "context": {"skip_backorder": true}});
    assert_eq!(erp.ok("stock.picking", "button_validate", split).await, true);
    assert_eq!(erp.read("sale.order", order, &["delivery_status"]).await["delivery_status"], "partial");
}

#[tokio::test]
async fn a_price_change_moves_the_templates_date_only() {
    let (sim, erp) = simulated().await;
    let product = product(&erp, "ULL-1").await;
    let dates = ["write_date", "lst_price", "product_tmpl_id"];
    let before = erp.read("product.product", product, &dates).await;
    let since = json!({"domain": [["write_date", ">", before["write_date"]]], "fields": ["default_code", "list_price"]});

    sim.set_price("ULL-1", Decimal::new(69950, 2));

    let variant = erp.read("product.product", product, &dates).await;
    assert_eq!(variant["write_date"], before["write_date"]);
    assert_eq!(variant["lst_price"], 699.5);
    let templates = erp.ok("product.template", "search_read", since).await;
    let changed = templates.as_array().unwrap().iter().find(|template| template["default_code"] == "ULL-1").unwrap();
    assert_eq!(changed["list_price"], 699.5);
}

#[tokio::test]
async fn fields_tell_their_type_label_and_relation() {
    let (_sim, erp) = simulated().await;
    let asked = json!({"allfields": ["tax_ids", "tax_id"], "attributes": ["type", "string", "relation"]});

    let fields = erp.ok("sale.order.line", "fields_get", asked).await;

    assert_eq!(fields, json!({"tax_ids": {"type": "many2many", "string": "Taxes", "relation": "account.tax"}}));
}
