//! The two ways in which such systems are called: with named parameters in the body (`/json/2/{model}/{method}`), and with a
//! list of them (JSON-RPC, `model.{model}.{method}`).

use super::{Dialect, Models};
use serde_json::{Map, Value};

/// Parameters that every method takes.
const ANYWHERE: [&str; 2] = ["ids", "context"];

impl Models {
    pub(super) fn named_parameters(&self, model: &str, method: &str, body: &Value) -> Vec<String> {
        let Some(known) = self.models.get(model) else { return vec![format!("there is no model `{model}`")] };
        let Some(parameters) = known.methods.get(method) else { return vec![format!("`{model}` has no method `{method}`")] };
        let mut found = Vec::new();
        if let Some(parameters) = parameters {
            let sent = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            let unread = sent.filter(|it| !ANYWHERE.contains(it) && !parameters.contains(*it));
            found.extend(unread.map(|it| format!("nothing reads the parameter `{it}`")));
        }
        let edge = if method == "load" { '/' } else { '.' };
        found.extend(self.check_fields(model, texts(&body["fields"]), edge));
        self.check_domain(model, &body["domain"], &mut found);
        found.extend(self.check_order(model, &body["order"]));
        let dialect = Dialect { nothing: false.into(), fits: fits_named, rows: numbered_rows };
        let rows = body["vals_list"].as_array().into_iter().flatten().chain(std::iter::once(&body["vals"]));
        for row in rows.filter_map(Value::as_object) {
            self.check_values(model, row, &dialect, &mut found);
        }
        if method == "load" {
            self.check_table(model, body, &mut found);
        }
        found
    }

    /// Rows of text below a row of names.
    fn check_table(&self, model: &str, body: &Value, found: &mut Vec<String>) {
        let names: Vec<&str> = texts(&body["fields"]).collect();
        for row in body["data"].as_array().into_iter().flatten().filter_map(Value::as_array) {
            if row.len() != names.len() {
                found.push(format!("a row has {} cells below {} names", row.len(), names.len()));
            }
            for (name, cell) in names.iter().zip(row) {
                let Ok(Some(field)) = self.field(model, name, '/') else { continue };
                if !field.choices.is_empty() && cell != "" && !field.choices.contains(cell) {
                    found.push(format!("`{name}` cannot be {cell}"));
                }
            }
        }
    }

    pub(super) fn listed_parameters(&self, call: &str, body: &Value) -> Vec<String> {
        if !self.methods.is_empty() && !self.methods.contains(call) {
            return vec![format!("there is no method `{call}`")];
        }
        let Some((model, method)) = call.strip_prefix("model.").and_then(|it| it.rsplit_once('.')) else { return Vec::new() };
        let at = |place: usize| body["params"].get(place).unwrap_or(&Value::Null);
        let mut found = Vec::new();
        let (domain, order, names) = match method {
            "search" => (at(0), at(3), &Value::Null),
            "search_read" => (at(0), at(3), at(4)),
            "search_count" => (at(0), &Value::Null, &Value::Null),
            "read" => (&Value::Null, &Value::Null, at(1)),
            _ => (&Value::Null, &Value::Null, &Value::Null),
        };
        self.check_domain(model, domain, &mut found);
        found.extend(self.check_order(model, order));
        // `party.:timestamp` asks for something else of the same field.
        let names = texts(names).filter_map(|it| it.split(':').next()).map(|it| it.trim_end_matches('.'));
        found.extend(self.check_fields(model, names.filter(|it| !it.is_empty() && *it != "_timestamp"), '.'));
        let dialect = Dialect { nothing: Value::Null, fits: fits_listed, rows: worded_rows };
        let rows: Vec<&Value> = match method {
            "create" => at(0).as_array().into_iter().flatten().collect(),
            "write" => body["params"].as_array().into_iter().flatten().skip(1).step_by(2).collect(),
            _ => Vec::new(),
        };
        // The last one is the context.
        let rows = rows.into_iter().filter_map(Value::as_object).filter(|it| !it.contains_key("company") || it.len() > 2);
        for row in rows {
            self.check_values(model, row, &dialect, &mut found);
        }
        found
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn fits_named(kind: &str, value: &Value) -> bool {
    match kind {
        "char" | "text" | "html" | "date" | "datetime" | "binary" => value.is_string(),
        "integer" | "many2one" => value.is_i64(),
        "float" | "monetary" => value.is_number(),
        "boolean" => value.is_boolean(),
        "one2many" | "many2many" => value.is_array(),
        _ => true,
    }
}

fn fits_listed(kind: &str, value: &Value) -> bool {
    let is_class = |class: &str| value["__class__"] == class;
    match kind {
        "char" | "text" | "fullscreen" => value.is_string(),
        "integer" | "many2one" | "one2one" => value.is_i64(),
        "numeric" => is_class("Decimal") || value.is_i64(),
        "float" => value.is_number(),
        "boolean" => value.is_boolean(),
        "date" => is_class("date"),
        "datetime" | "timestamp" => is_class("datetime"),
        "one2many" | "many2many" => value.is_array(),
        _ => true,
    }
}

/// `[0, 0, {…}]` makes one, `[1, id, {…}]` changes one.
fn numbered_rows(command: &Value) -> Vec<&Map<String, Value>> {
    command.get(2).and_then(Value::as_object).into_iter().collect()
}

/// `["create", [{…}]]`, `["write", [id], {…}]`.
fn worded_rows(command: &Value) -> Vec<&Map<String, Value>> {
    let parts = command.as_array().into_iter().flatten();
    parts
        .flat_map(|it| it.as_array().map_or_else(|| vec![it], |list| list.iter().collect()))
        .filter_map(Value::as_object)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{Content, Document},
        read,
    };
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};
    use spindel_connect::Request;

    fn found(path: &str, body: Value) -> Vec<String> {
        let document = |name: &str, data: Value| Document { name: name.into(), content: Content::Data(data) };
        let documents = [
            document(
                "index.json",
                json!({ "modules": [], "models": [
                { "model": "shop.order", "fields": { "name": { "string": "Name" }, "party_id": { "string": "Party" } }, "methods": ["read"] },
                { "model": "shop.party", "fields": { "email": { "string": "Mail" } }, "methods": ["read"] },
            ] }),
            ),
            document(
                "shop.order.json",
                json!({ "model": "shop.order", "name": "Order", "fields": {
                "name": { "type": "char", "searchable": true }, "total": { "type": "monetary", "searchable": false },
                "party_id": { "type": "many2one", "relation": "shop.party" },
                "state": { "type": "selection", "selection": [["draft", "Draft"], ["done", "Done"]] },
                "lines": { "type": "one2many", "relation": "shop.line" },
            }, "methods": { "read": { "parameters": { "fields": {} } }, "write": { "parameters": { "vals": {} } },
                "search_read": { "parameters": { "domain": {}, "fields": {}, "order": {} } }, "load": { "parameters": { "fields": {}, "data": {} } } } }),
            ),
            document(
                "shop.line.json",
                json!({ "quantity": { "name": "quantity", "type": "numeric" }, "order": { "name": "order", "type": "many2one", "relation": "shop.order" } }),
            ),
            document("_methods.json", json!(["model.shop.line.create", "model.shop.line.search_read"])),
        ];
        let body = Bytes::from(body.to_string());
        let request =
            Request { operation: "test", method: Method::POST, path: path.into(), headers: HeaderMap::new(), body, cost: 1.0 };
        read(&documents).unwrap().problems(&request).into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn calls_that_name_what_is_there_pass() {
        let domain = json!([["party_id.email", "=", "a"], "|", ["state", "in", ["done"]], ["id", ">", 1]]);
        for (method, body) in [
            ("search_read", json!({ "domain": domain, "fields": ["name", "total"], "order": "name asc, id", "context": {} })),
            ("write", json!({ "ids": [1], "vals": { "state": "done", "party_id": false, "lines": [[0, 0, { "order": 1 }]] } })),
            (
                "load",
                json!({ "fields": ["id", "party_id/.id", "state", "lines/quantity"], "data": [["x", "1", "draft", "2"], ["", "", "", "3"]] }),
            ),
        ] {
            assert_eq!(found(&format!("/json/2/shop.order/{method}"), body), [""; 0], "{method}");
        }
        let rpc = json!({ "method": "model.shop.line.create", "params": [[{ "quantity": { "__class__": "Decimal", "decimal": "2" } }], {}] });
        assert_eq!(found("/shop/", rpc), [""; 0]);
    }

    #[test]
    fn names_values_and_conditions_that_do_not_fit_are_told() {
        let one = |method: &str, body: Value, words: &str| {
            let problems = found(&format!("/json/2/shop.order/{method}"), body);
            assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?}");
        };
        one("read", json!({ "fields": ["nam"] }), "`shop.order` has no field `nam`");
        one("read", json!({ "names": ["name"] }), "nothing reads the parameter `names`");
        one("reed", json!({}), "`shop.order` has no method `reed`");
        one("search_read", json!({ "domain": [["party_id.phone", "=", 1]] }), "`shop.party` has no field `phone`");
        one("search_read", json!({ "domain": [["total", "=", 1]] }), "nobody can search by `total`");
        one("search_read", json!({ "domain": [["name", "is", 1]] }), "`is` is no operator");
        one("search_read", json!({ "order": "created desc" }), "no field `created`");
        one("write", json!({ "vals": { "state": "paid" } }), "`state` of `shop.order` cannot be \"paid\"");
        one("write", json!({ "vals": { "total": "1" } }), "`total` of `shop.order` is a monetary");
        one("write", json!({ "vals": { "lines": [[1, 7, { "qty": 1 }]] } }), "`shop.line` has no field `qty`");
        one("load", json!({ "fields": ["name", "state"], "data": [["a", "paid"]] }), "`state` cannot be \"paid\"");
        one("load", json!({ "fields": ["name"], "data": [["a", "b"]] }), "a row has 2 cells below 1 names");
        assert_eq!(found("/json/2/shop.cart/read", json!({})), ["there is no model `shop.cart`"]);
        let rpc = |method: &str, params: Value| found("/shop/", json!({ "method": method, "params": params }));
        assert_eq!(rpc("model.shop.line.creat", json!([])), ["there is no method `model.shop.line.creat`"]);
        assert!(rpc("model.shop.line.create", json!([[{ "quantity": 1.5 }], {}]))[0].contains("is a numeric"));
        assert_eq!(
            rpc("model.shop.line.search_read", json!([[["order.nr", "=", 1]], 0, 1, [["id", "ASC"]], ["quantity"]])),
            ["`shop.order` has no field `nr`"]
        );
    }
}
