//! From customer to refund, as a connector would go, with the refusals on the way; runs against the simulator and a real server.

use crate::erp::{Erp, customer, loaded, order_rows};
use serde_json::{Value, json};

/// What a walk saw, without ids and dates, so that two servers can be compared.
pub type Seen = Vec<(&'static str, Value)>;

/// From customer to refund, as a connector would go, with the refusals on the way.
pub async fn walk(erp: &Erp, run: &str) -> Seen {
    let mut seen = Seen::new();
    let tax = erp
        .found("account.tax", json!([["type_tax_use", "=", "sale"], ["amount", "=", 25], ["price_include", "=", false]]))
        .await;
    let partner = customer(erp).await;
    let mut goods = Vec::new();
    for name in ["Ullgenser", "Lue", "Sokker"] {
        let values = json!({"vals_list": [{"name": name, "default_code": format!("{name}-{run}"), "type": "consu",
            "is_storable": true, "list_price": 100.0, "taxes_id": [[6, 0, [tax]]]}]});
        goods.push(erp.ok("product.product", "create", values).await[0].as_i64().unwrap());
    }
    let location = erp.found("stock.location", json!([["usage", "=", "internal"]])).await;
    for product in &goods {
        let values = json!({"vals_list": [{"product_id": product, "location_id": location, "inventory_quantity": 50}],
            "context": {"inventory_mode": true}});
        let quant = erp.ok("stock.quant", "create", values).await;
        erp.ok("stock.quant", "action_apply_inventory", json!({"ids": quant})).await;
    }
    let reference = format!("WEB-{run}");
    let rows = |quantity: &str| {
        let lines = [(goods[0], quantity, "799.2", "10"), (goods[1], "1", "79.2", "0")];
        order_rows(&reference, partner, &lines)
    };

    let order = loaded(erp, rows("2")).await;
    assert_eq!(loaded(erp, rows("2")).await, order);
    let amounts = ["state", "amount_untaxed", "amount_tax", "amount_total", "currency_id", "date_order"];
    let shown = |mut record: Value| {
        record.as_object_mut().unwrap().remove("id");
        if let Some(currency) = record["currency_id"][1].as_str().map(str::to_owned) {
            record["currency_id"] = json!(currency);
        }
        record
    };
    seen.push(("loaded", shown(erp.read("sale.order", order, &amounts).await)));
    loaded(erp, rows("3")).await;
    seen.push(("loaded with another quantity", shown(erp.read("sale.order", order, &amounts).await)));
    seen.push(("confirmed", erp.ok("sale.order", "action_confirm", json!({"ids": [order]})).await));
    seen.push(("confirmed twice", told(erp.refusal("sale.order", "action_confirm", json!({"ids": [order]})).await)));
    loaded(erp, rows("2")).await;
    let status = ["state", "amount_total", "invoice_status", "delivery_status"];
    seen.push(("edited when confirmed", shown(erp.read("sale.order", order, &status).await)));
    seen.push(("deleted when confirmed", told(erp.refusal("sale.order", "unlink", json!({"ids": [order]})).await)));
    let lines = erp.read("sale.order", order, &["order_line"]).await["order_line"].clone();
    let delete = json!({"ids": [order], "vals": {"order_line": [[2, lines[0]]]}});
    seen.push(("line deleted when confirmed", told(erp.refusal("sale.order", "write", delete).await)));
    let other = order_rows(&reference, partner, &[(goods[2], "2", "799.2", "10")]);
    seen.push(("other product when confirmed", erp.ok("sale.order", "load", other).await));

    let picking = erp.read("sale.order", order, &["picking_ids"]).await["picking_ids"].clone();
    let context = json!({"skip_sms": true, "skip_backorder": true});
    seen.push(("shipped", erp.ok("stock.picking", "button_validate", json!({"ids": picking, "context": context})).await));
    seen.push(("after shipping", shown(erp.read("sale.order", order, &status).await)));
    seen.push(("stock", shown(erp.read("product.product", goods[0], &["qty_available", "free_qty"]).await)));

    let invoice = invoiced(erp, order).await;
    let entry = ["move_type", "state", "payment_state", "ref", "amount_untaxed", "amount_tax", "amount_total", "amount_residual"];
    seen.push(("invoice", shown(erp.read("account.move", invoice, &entry).await)));
    seen.push(("posted", erp.ok("account.move", "action_post", json!({"ids": [invoice]})).await));
    let journal = erp.found("account.journal", json!([["type", "=", "bank"]])).await;
    for amount in [Some(97.2), None] {
        pay(erp, invoice, journal, amount).await;
        seen.push(("paid", shown(erp.read("account.move", invoice, &entry).await)));
    }
    let context = json!({"active_model": "account.move", "active_ids": [invoice]});
    let again = json!({"vals_list": [{"journal_id": journal}], "context": context});
    seen.push(("paid again", told(erp.refusal("account.payment.register", "create", again).await)));

    let sales = erp.read("account.move", invoice, &["journal_id"]).await["journal_id"][0].clone();
    let values = json!({"vals_list": [{"move_ids": [[6, 0, [invoice]]], "journal_id": sales, "reason": "re_55",
        "date": "2026-11-22"}], "context": context});
    let wizard = erp.ok("account.move.reversal", "create", values).await;
    erp.ok("account.move.reversal", "refund_moves", json!({"ids": wizard, "context": context})).await;
    let credit = erp.found("account.move", json!([["reversed_entry_id", "in", [invoice]]])).await;
    let number = erp.read("account.move", invoice, &["name"]).await["name"].as_str().unwrap().to_owned();
    let credited = |mut record: Value| {
        record["ref"] = json!(record["ref"].as_str().unwrap_or_default().replace(&number, "INV"));
        record
    };
    seen.push(("credit note", credited(shown(erp.read("account.move", credit, &entry).await))));
    let partial = json!({"ids": [credit], "vals": {"invoice_line_ids": [[5, 0, 0],
        [0, 0, {"name": "Refund", "quantity": 1, "price_unit": 80.0, "tax_ids": [[6, 0, [tax]]]}]]}});
    erp.ok("account.move", "write", partial).await;
    erp.ok("account.move", "action_post", json!({"ids": [credit]})).await;
    seen.push(("partial credit note", credited(shown(erp.read("account.move", credit, &entry).await))));
    let late = json!({"ids": [credit], "vals": {"invoice_line_ids": [[0, 0, {"name": "x", "price_unit": 1}]]}});
    seen.push(("posted entry edited", told(erp.refusal("account.move", "write", late).await)));

    let order = loaded(erp, order_rows(&format!("C{run}"), partner, &[(goods[1], "1", "10", "0")])).await;
    erp.ok("sale.order", "action_confirm", json!({"ids": [order]})).await;
    seen.push(("cancelled", erp.ok("sale.order", "action_cancel", json!({"ids": [order]})).await));
    seen.push(("after cancelling", shown(erp.read("sale.order", order, &status).await)));
    seen.push(("cancelled twice", erp.ok("sale.order", "action_cancel", json!({"ids": [order]})).await));
    seen.push(("draft again", erp.ok("sale.order", "action_draft", json!({"ids": [order]})).await));
    seen.extend(by_external_id(erp, partner, goods[0], run).await);
    seen.extend(refusals(erp, partner, goods[0], run).await);
    seen
}

/// A payment in advance and a credit note that are loaded, so that they are there once.
async fn by_external_id(erp: &Erp, partner: i64, product: i64, run: &str) -> Seen {
    let mut seen = Seen::new();
    let journal = erp.found("account.journal", json!([["type", "=", "bank"]])).await;
    let sales = erp.found("account.journal", json!([["type", "=", "sale"]])).await;
    let krone = erp.found("res.currency", json!([["name", "=", "NOK"]])).await;
    let payment = json!({
        "fields": ["id", "payment_type", "partner_type", "partner_id/.id", "amount", "currency_id/.id", "date",
            "journal_id/.id", "memo"],
        "data": [[format!("hub.pay_{run}"), "inbound", "customer", partner.to_string(), "250.00", krone.to_string(),
            "2026-11-22", journal.to_string(), format!("vipps:{run}")]],
    });
    let first = erp.ok("account.payment", "load", payment.clone()).await["ids"].clone();
    assert_eq!(erp.ok("account.payment", "load", payment).await["ids"], first);
    let fields = ["state", "amount", "payment_type", "date", "invoice_ids"];
    let shown = |mut record: Value| {
        record.as_object_mut().unwrap().remove("id");
        record
    };
    let id = first[0].as_i64().unwrap();
    seen.push(("payment in advance", shown(erp.read("account.payment", id, &fields).await)));
    seen.push(("payment posted", erp.ok("account.payment", "action_post", json!({"ids": [id]})).await));
    seen.push(("posted payment", shown(erp.read("account.payment", id, &fields).await)));

    let order = loaded(erp, order_rows(&format!("R{run}"), partner, &[(product, "2", "100", "0")])).await;
    erp.ok("sale.order", "action_confirm", json!({"ids": [order]})).await;
    let invoice = invoiced(erp, order).await;
    erp.ok("account.move", "action_post", json!({"ids": [invoice]})).await;
    let credit = json!({
        "fields": ["id", "move_type", "partner_id/.id", "journal_id/.id", "currency_id/.id", "invoice_date", "ref",
            "reversed_entry_id/.id", "invoice_line_ids/id", "invoice_line_ids/product_id/.id", "invoice_line_ids/name",
            "invoice_line_ids/quantity", "invoice_line_ids/price_unit", "invoice_line_ids/tax_ids/.id"],
        "data": [[format!("hub.credit_{run}"), "out_refund", partner.to_string(), sales.to_string(), krone.to_string(),
                "2026-11-22", "refund 1", invoice.to_string(), format!("hub.credit_{run}_1"), product.to_string(),
                "Ullgenser", "1", "80", ""],
            ["", "", "", "", "", "", "", "", format!("hub.credit_{run}_2"), product.to_string(), "Rounding", "1", "0.37", ""]],
    });
    let first = erp.ok("account.move", "load", credit.clone()).await["ids"].clone();
    assert_eq!(erp.ok("account.move", "load", credit).await["ids"], first);
    erp.ok("account.move", "action_post", json!({"ids": first})).await;
    let entry = ["move_type", "state", "payment_state", "amount_untaxed", "amount_tax", "amount_total", "amount_residual"];
    for (what, id) in [("loaded credit note", first[0].as_i64().unwrap()), ("invoice it reverses", invoice)] {
        seen.push((what, shown(erp.read("account.move", id, &entry).await)));
    }
    let status = ["invoice_status"];
    seen.push(("order it belongs to", shown(erp.read("sale.order", order, &status).await)));
    let user = erp.ok("res.users", "context_get", json!({})).await;
    seen.push(("the key's user", json!(user["uid"].is_i64())));
    seen
}

async fn refusals(erp: &Erp, partner: i64, product: i64, run: &str) -> Seen {
    let mut seen = Seen::new();
    let cases = [
        ("no such model", "no.model", "search", json!({"domain": []})),
        ("no such method", "sale.order", "nope", json!({})),
        ("private method", "sale.order", "_compute", json!({})),
        ("missing argument", "res.partner", "create", json!({})),
        ("unexpected argument", "res.partner", "search", json!({"domain": [], "zork": 1})),
        ("field in domain", "res.partner", "search", json!({"domain": [["zork", "=", 1]]})),
        ("operator in domain", "res.partner", "search", json!({"domain": [["name", "zork", 1]]})),
        ("path in domain", "res.partner", "search", json!({"domain": [["country_id.zork", "=", 1]]})),
        ("malformed domain", "res.partner", "search", json!({"domain": [["id", "=", 16], "|"]})),
        ("order clause", "res.partner", "search", json!({"domain": [], "order": "name zork"})),
        ("field read", "res.partner", "search_read", json!({"domain": [], "fields": ["zork"], "limit": 1})),
        ("field written", "res.partner", "create", json!({"vals_list": [{"name": "x", "zork": 1}]})),
        ("record missing", "res.partner", "write", json!({"ids": [99_999_999], "vals": {"name": "x"}})),
        ("order missing", "sale.order", "action_confirm", json!({"ids": [99_999_999]})),
        ("partner without name", "res.partner", "create", json!({"vals_list": [{}]})),
        ("order without partner", "sale.order", "create", json!({"vals_list": [{}]})),
        ("order of nobody", "sale.order", "create", json!({"vals_list": [{"partner_id": 99_999_999}]})),
        (
            "ISO date",
            "sale.order",
            "create",
            json!({"vals_list": [{"partner_id": partner, "date_order": "2026-11-20T10:15:00Z"}]}),
        ),
        (
            "text for a number",
            "sale.order",
            "create",
            json!({"vals_list": [{"partner_id": partner,
            "order_line": [[0, 0, {"product_id": product, "product_uom_qty": "abc"}]]}]}),
        ),
        (
            "old field name",
            "sale.order",
            "create",
            json!({"vals_list": [{"partner_id": partner,
            "order_line": [[0, 0, {"product_id": product, "tax_id": []}]]}]}),
        ),
        ("column name", "sale.order", "load", json!({"fields": ["id", "zork"], "data": [["hub.z", "1"]]})),
    ];
    for (what, model, method, body) in cases {
        seen.push((what, told(erp.refusal(model, method, body).await)));
    }
    seen.push(("read of unknown ids", erp.ok("res.partner", "read", json!({"ids": [99_999_999], "fields": ["name"]})).await));
    let fields = ["id", "partner_id/.id", "order_line/id", "order_line/product_id/.id", "order_line/product_uom_qty"];
    let id = format!("hub.bad_{run}");
    let line = format!("{id}_l");
    let (partner, product) = (partner.to_string(), product.to_string());
    let rows = [
        ("load: no partner", [&id, "99999999", &line, &product, "1"]),
        ("load: partner is no id", [&id, "abc", &line, &product, "1"]),
        ("load: no product", [&id, &partner, &line, "99999999", "1"]),
        ("load: quantity", [&id, &partner, &line, &product, "abc"]),
    ];
    for (what, row) in rows {
        let mut answer = erp.ok("sale.order", "load", json!({"fields": fields, "data": [row]})).await;
        for message in answer["messages"].as_array_mut().unwrap() {
            message.as_object_mut().unwrap().remove("moreinfo");
        }
        seen.push((what, answer));
    }
    seen
}

fn told((status, name, message): (u16, String, String)) -> Value {
    json!([status, name, message])
}

async fn invoiced(erp: &Erp, order: i64) -> i64 {
    let context = json!({"active_model": "sale.order", "active_ids": [order]});
    let values = json!({"vals_list": [{"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [order]]]}],
        "context": context});
    let wizard = erp.ok("sale.advance.payment.inv", "create", values).await;
    let made = erp.ok("sale.advance.payment.inv", "create_invoices", json!({"ids": wizard, "context": context})).await;
    assert_eq!(made["res_model"], "account.move");
    erp.read("sale.order", order, &["invoice_ids"]).await["invoice_ids"][0].as_i64().unwrap()
}

async fn pay(erp: &Erp, invoice: i64, journal: i64, amount: Option<f64>) {
    let context = json!({"active_model": "account.move", "active_ids": [invoice]});
    let mut values = json!({"journal_id": journal, "communication": "vipps:tx-1"});
    if let Some(amount) = amount {
        values["amount"] = json!(amount);
    }
    let wizard = erp.ok("account.payment.register", "create", json!({"vals_list": [values], "context": context})).await;
    erp.ok("account.payment.register", "action_create_payments", json!({"ids": wizard, "context": context})).await;
}
