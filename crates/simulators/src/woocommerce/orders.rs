//! What becomes of orders: status, payment, stock, notes and refunds, by hand and through the API.

use super::{
    api::{Answer, Call, Problem, created, invalid, ok, page, problem},
    place::RATE_ID,
    resource::{Fields, amount, fields, filled, list, merge_meta, money},
    state::{Refused, State, refuse},
};
use axum::http::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(crate) const STATUSES: [&str; 8] =
    ["pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "checkout-draft"];
const UNKNOWN: &str = "woocommerce_rest_shop_order_invalid_id";
/// Of a gateway that says no, and of an amount that does not fit, alike.
const REFUND_FAILED: &str = "woocommerce_rest_cannot_create_order_refund";

impl State {
    fn order_mut(&mut self, id: u64) -> Result<&mut Fields, Refused> {
        self.orders.get_mut(&id).ok_or_else(|| Refused(format!("there is no order {id}")))
    }

    /// One change is usually told more than once.
    pub fn tell_order(&mut self, id: u64) {
        for _ in 0..self.options.repeats {
            self.tell("order.updated", id);
        }
    }

    pub fn touch_order(&mut self, id: u64) {
        let (now, offset) = (self.now(), self.options.utc_offset_hours);
        if let Some(order) = self.orders.get_mut(&id) {
            super::resource::set_date(order, "date_modified", now, offset);
        }
        self.tell_order(id);
    }

    pub fn set_status(&mut self, id: u64, status: &str) -> Result<(), Refused> {
        self.put_status(id, status)?;
        self.touch_order(id);
        Ok(())
    }

    fn put_status(&mut self, id: u64, status: &str) -> Result<(), Refused> {
        let (now, offset) = (self.now(), self.options.utc_offset_hours);
        let order = self.order_mut(id)?;
        order.insert("status".into(), status.into());
        if matches!(status, "processing" | "completed") && order["date_paid_gmt"].is_null() {
            super::resource::set_date(order, "date_paid", now, offset);
        }
        if status == "completed" {
            super::resource::set_date(order, "date_completed", now, offset);
        }
        match status {
            "processing" | "completed" | "on-hold" if self.reduced.insert(id) => self.move_goods(id, -1),
            "cancelled" | "pending" if self.reduced.remove(&id) => self.move_goods(id, 1),
            _ => {}
        }
        Ok(())
    }

    fn move_goods(&mut self, id: u64, sign: i64) {
        let lines = self.orders.get(&id).map(|it| list(it, "line_items").to_vec()).unwrap_or_default();
        for line in lines {
            let item = line["variation_id"].as_u64().filter(|it| *it != 0).or(line["product_id"].as_u64());
            let quantity = line["quantity"].as_i64().unwrap_or_default();
            if let Some(item) = item {
                self.move_stock(item, sign * quantity);
            }
        }
    }

    pub fn trash_order(&mut self, id: u64) -> Result<(), Refused> {
        self.order_mut(id)?.insert("status".into(), "trash".into());
        self.tell("order.deleted", id);
        Ok(())
    }

    pub fn refund_amount(&mut self, id: u64, amount: Decimal, reason: &str) -> Result<u64, Refused> {
        self.refund(id, &fields(json!({ "amount": money(amount), "reason": reason, "api_refund": false }))).map_err(words)
    }

    pub fn refund_item(&mut self, id: u64, sku: &str, quantity: u32) -> Result<u64, Refused> {
        let lines = list(self.order_mut(id)?, "line_items").to_vec();
        let Some(line) = lines.iter().filter_map(Value::as_object).find(|it| it["sku"] == sku) else {
            return refuse(format!("order {id} has no line with SKU {sku:?}"));
        };
        let share = Decimal::from(quantity) / amount(line, "quantity");
        let (net, tax) = ((amount(line, "total") * share).round_dp(2), (amount(line, "total_tax") * share).round_dp(2));
        let taxes = json!([{ "id": RATE_ID, "refund_total": money(tax) }]);
        let row = json!({ "id": line["id"], "quantity": quantity, "refund_total": money(net), "refund_tax": taxes });
        let asked = json!({ "amount": money(net + tax), "reason": "", "api_refund": false, "line_items": [row] });
        self.refund(id, &fields(asked)).map_err(words)
    }

    /// What is kept of a refund is below zero, but for its amount.
    fn refund(&mut self, id: u64, asked: &Fields) -> Result<u64, Problem> {
        let order = self.orders.get(&id).cloned().ok_or_else(unknown)?;
        let wanted = amount(asked, "amount");
        if wanted <= Decimal::ZERO {
            let message = "Refund amount must be greater than zero.";
            return Err(problem(StatusCode::BAD_REQUEST, "woocommerce_rest_invalid_order_refund", message));
        }
        let failed = |message: &str| problem(StatusCode::INTERNAL_SERVER_ERROR, REFUND_FAILED, message);
        if wanted > amount(&order, "total") - refunded(&order) {
            return Err(failed("Invalid refund amount."));
        }
        let through_gateway = asked.get("api_refund").and_then(Value::as_bool).unwrap_or(true);
        if let Some(words) = self.gateway_refuses.as_ref().filter(|_| through_gateway) {
            return Err(failed(words));
        }
        let refund_id = self.new_id();
        let lines = self.refund_lines(&order, asked)?;
        let restock = asked.get("api_restock").and_then(Value::as_bool).unwrap_or(true);
        for line in lines.iter().filter(|_| restock && self.reduced.contains(&id)).cloned().collect::<Vec<_>>() {
            let item = line["variation_id"].as_u64().filter(|it| *it != 0).or(line["product_id"].as_u64());
            if let Some(item) = item {
                self.move_stock(item, -line["quantity"].as_i64().unwrap_or_default());
            }
        }
        let reason = filled(asked, "reason").unwrap_or_default();
        let mut refund = fields(json!({
            "id": refund_id, "parent_id": id, "amount": money(wanted), "reason": reason, "refunded_by": 1,
            "refunded_payment": through_gateway, "meta_data": [], "line_items": lines, "shipping_lines": [], "tax_lines": [],
            "fee_lines": [],
        }));
        self.stamp(&mut refund, "date_created");
        self.refunds.insert(refund_id, refund);
        let mut refunds = list(&order, "refunds").to_vec();
        refunds.push(json!({ "id": refund_id, "reason": reason, "total": format!("-{}", money(wanted)) }));
        let kept = self.orders.get_mut(&id).ok_or_else(unknown)?;
        kept.insert("refunds".into(), refunds.into());
        if refunded(kept) >= amount(kept, "total") {
            kept.insert("status".into(), "refunded".into());
        }
        self.touch_order(id);
        Ok(refund_id)
    }

    fn refund_lines(&mut self, order: &Fields, asked: &Fields) -> Result<Vec<Value>, Problem> {
        let mut lines = Vec::new();
        for row in list(asked, "line_items").iter().filter_map(Value::as_object) {
            let id = row.get("id").cloned().unwrap_or_default();
            let Some(own) = list(order, "line_items").iter().find(|it| it["id"] == id) else {
                return Err(problem(StatusCode::BAD_REQUEST, "woocommerce_rest_invalid_order_item", "Invalid order item."));
            };
            let tax: Decimal =
                list(row, "refund_tax").iter().filter_map(Value::as_object).map(|it| amount(it, "refund_total")).sum();
            let mut line = own.clone();
            line["meta_data"] = json!([{ "id": self.new_id(), "key": "_refunded_item_id", "value": id.to_string() }]);
            line["id"] = self.new_id().into();
            line["quantity"] = (-row.get("quantity").and_then(Value::as_i64).unwrap_or_default()).into();
            line["total"] = money(-amount(row, "refund_total")).into();
            line["subtotal"] = line["total"].clone();
            line["total_tax"] = money(-tax).into();
            line["subtotal_tax"] = line["total_tax"].clone();
            line["taxes"] = json!([{ "id": RATE_ID, "total": (-tax).normalize().to_string(), "subtotal": "" }]);
            lines.push(line);
        }
        Ok(lines)
    }

    /// The API below `/orders`.
    pub fn orders_api(&mut self, call: &Call, below: &[&str]) -> Result<Answer, Problem> {
        match (&call.method, below) {
            (&Method::GET, []) => self.list_orders(call),
            (&Method::POST, []) => Err(problem(StatusCode::NOT_IMPLEMENTED, "not_simulated", "place orders by hand")),
            (method, [id, rest @ ..]) => {
                let id = id.parse().ok().filter(|id| self.orders.contains_key(id)).ok_or_else(unknown)?;
                match (method, rest) {
                    (&Method::GET, []) => Ok(ok(self.orders[&id].clone())),
                    (&Method::PUT | &Method::POST, []) => self.update_order(id, call),
                    (&Method::GET, ["notes"]) => Ok(ok(self.notes_of(id, call.query("type")))),
                    (&Method::POST, ["notes"]) => self.add_note(id, call),
                    (&Method::GET, ["refunds"]) => {
                        let rows = self.refunds.values().rev().filter(|it| it["parent_id"] == id).cloned().collect();
                        page(call, rows, &[])
                    }
                    (&Method::POST, ["refunds"]) => {
                        let made = self.refund(id, &call.body)?;
                        Ok(created(self.refunds[&made].clone()))
                    }
                    (&Method::GET, ["refunds", refund]) => {
                        let refund =
                            refund.parse().ok().and_then(|it: u64| self.refunds.get(&it)).filter(|it| it["parent_id"] == id);
                        let gone = || {
                            problem(StatusCode::NOT_FOUND, "woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.")
                        };
                        Ok(ok(refund.ok_or_else(gone)?.clone()))
                    }
                    _ => Err(super::api::no_route()),
                }
            }
            _ => Err(super::api::no_route()),
        }
    }

    fn list_orders(&self, call: &Call) -> Result<Answer, Problem> {
        let wanted = call.query("status").unwrap_or("any");
        if let Some(odd) = wanted.split(',').find(|it| *it != "any" && *it != "trash" && !STATUSES.contains(it)) {
            return Err(invalid("status", &format!("status[0] is not one of any, trash, {}: {odd}", STATUSES.join(", "))));
        }
        let after = call.time("modified_after", self.options.utc_offset_hours)?;
        let search = call.query("search").map(str::to_lowercase);
        let fits = |it: &&Fields| {
            let status = it["status"].as_str().unwrap_or_default();
            // What lies in the trash is no part of any.
            let status = if wanted == "any" { status != "trash" } else { wanted.split(',').any(|it| it == status) };
            let modified = it["date_modified_gmt"].as_str().unwrap_or_default();
            let text = || format!("{} {}", it["number"], it["billing"]).to_lowercase();
            status
                && after.as_ref().is_none_or(|after| modified > after.as_str())
                && search.as_ref().is_none_or(|word| text().contains(word.as_str()))
        };
        page(call, self.orders.values().filter(fits).cloned().collect(), &["date", "id", "include", "title", "slug", "modified"])
    }

    fn update_order(&mut self, id: u64, call: &Call) -> Result<Answer, Problem> {
        let status = call.body.get("status").map(|it| it.as_str().unwrap_or_default().to_owned());
        if let Some(status) = status.as_ref().filter(|it| !STATUSES.contains(&it.as_str())) {
            return Err(invalid("status", &format!("status is not one of {}: {status}", STATUSES.join(", "))));
        }
        let mut order = self.orders.get(&id).cloned().ok_or_else(unknown)?;
        if let Some(meta) = call.body.get("meta_data") {
            merge_meta(&mut order, meta, || self.new_id());
        }
        for name in ["transaction_id", "customer_note", "payment_method"] {
            if let Some(text) = call.body.get(name) {
                let text = text.as_str().ok_or_else(|| invalid(name, &format!("{name} is not of type string.")))?;
                order.insert(name.into(), text.into());
            }
        }
        let paid = order["date_paid_gmt"].is_null() && call.body.get("set_paid") == Some(&true.into());
        self.orders.insert(id, order);
        if let Some(status) = status.as_deref().or(paid.then_some("processing")) {
            self.put_status(id, status).map_err(|_| unknown())?;
        }
        self.touch_order(id);
        Ok(ok(self.orders[&id].clone()))
    }

    fn notes_of(&self, id: u64, kind: Option<&str>) -> Value {
        let fits = |note: &Fields| match kind {
            Some("customer") => note["customer_note"] == true,
            Some("internal") => note["customer_note"] == false,
            _ => true,
        };
        self.notes.iter().filter(|(order, note)| *order == id && fits(note)).map(|(_, note)| Value::from(note.clone())).collect()
    }

    fn add_note(&mut self, id: u64, call: &Call) -> Result<Answer, Problem> {
        let Some(text) = filled(&call.body, "note") else { return Err(super::api::missing("note")) };
        let customer = call.body.get("customer_note") == Some(&true.into());
        let mut note = fields(
            json!({ "id": self.new_id(), "author": "spindel", "note": text, "customer_note": customer, "added_by_user": false }),
        );
        self.stamp(&mut note, "date_created");
        self.notes.push((id, note.clone()));
        Ok(created(note))
    }
}

pub(crate) fn refunded(order: &Fields) -> Decimal {
    list(order, "refunds").iter().filter_map(Value::as_object).map(|it| amount(it, "total").abs()).sum()
}

fn unknown() -> Problem {
    problem(StatusCode::NOT_FOUND, UNKNOWN, "Invalid ID.")
}

fn words(problem: Problem) -> Refused {
    Refused(problem.body["message"].as_str().unwrap_or_default().to_owned())
}
