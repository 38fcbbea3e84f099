//! Products, their variations, stock and prices: by hand, one at a time, and in batches.

use super::{
    api::{Answer, Call, MOST_IN_BATCH, Problem, created, invalid, no_route, ok, page, problem},
    resource::{Fields, amount, fields, filled, list, merge_meta, money},
    state::{Refused, State, refuse},
};
use axum::http::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

type Fits = fn(&Value) -> bool;

/// What may be written, and of which type it must be.
const WRITABLE: &[(&str, Fits, &str)] = &[
    ("name", Value::is_string, "string"),
    ("slug", Value::is_string, "string"),
    ("type", Value::is_string, "string"),
    ("status", Value::is_string, "string"),
    ("description", Value::is_string, "string"),
    ("sku", Value::is_string, "string"),
    ("global_unique_id", Value::is_string, "string"),
    ("regular_price", Value::is_string, "string"),
    ("sale_price", Value::is_string, "string"),
    ("weight", Value::is_string, "string"),
    ("manage_stock", Value::is_boolean, "boolean"),
    ("stock_quantity", is_whole, "integer"),
    ("categories", Value::is_array, "array"),
    ("images", Value::is_array, "array"),
    ("attributes", Value::is_array, "array"),
];
const CHOICES: &[(&str, &[&str])] = &[
    ("type", &["simple", "grouped", "external", "variable"]),
    ("status", &["draft", "pending", "private", "publish", "future"]),
];
const ORDERS: &[&str] = &["date", "id", "include", "title", "slug", "price", "popularity", "rating", "modified", "menu_order"];

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_null()
}

impl State {
    pub fn product_of(&self, sku: &str) -> Result<&Fields, Refused> {
        let found = self.products.values().find(|it| it["sku"] == sku);
        found.ok_or_else(|| Refused(format!("there is no item with SKU {sku:?}")))
    }

    fn id_of(&self, sku: &str) -> Result<u64, Refused> {
        Ok(self.product_of(sku)?["id"].as_u64().unwrap_or_default())
    }

    pub fn set_stock(&mut self, sku: &str, quantity: i64) -> Result<(), Refused> {
        let id = self.id_of(sku)?;
        self.change_product(id, fields(json!({ "manage_stock": true, "stock_quantity": quantity })));
        Ok(())
    }

    pub fn set_price(&mut self, sku: &str, price: Decimal) -> Result<(), Refused> {
        let id = self.id_of(sku)?;
        self.change_product(id, fields(json!({ "regular_price": money(price) })));
        Ok(())
    }

    /// By what was sold or given back.
    pub fn move_stock(&mut self, id: u64, by: i64) {
        let Some(product) = self.products.get(&id).filter(|it| it["manage_stock"] == true) else { return };
        let left = product["stock_quantity"].as_i64().unwrap_or_default() + by;
        self.change_product(id, fields(json!({ "stock_quantity": left })));
    }

    pub fn add_product(&mut self, parent: Option<u64>, sent: Fields) -> u64 {
        let id = self.new_id();
        let mut product = fields(json!({
            "id": id, "parent_id": parent.unwrap_or_default(), "name": "", "slug": format!("vare-{id}"), "status": "publish",
            "type": if parent.is_some() { "variation" } else { "simple" }, "description": "", "sku": "", "global_unique_id": "",
            "price": "", "regular_price": "", "sale_price": "", "date_on_sale_from_gmt": null, "date_on_sale_to_gmt": null,
            "on_sale": false, "manage_stock": false, "stock_quantity": null, "stock_status": "instock", "backorders": "no",
            "weight": "", "tax_status": "taxable", "tax_class": "", "categories": [], "tags": [], "images": [], "attributes": [],
            "variations": [], "meta_data": [],
        }));
        self.stamp(&mut product, "date_created");
        self.products.insert(id, product);
        let listed = parent.and_then(|parent| self.products.get_mut(&parent));
        if let Some(variations) = listed.and_then(|it| it.get_mut("variations")?.as_array_mut()) {
            variations.push(id.into());
        }
        self.write_product(id, sent);
        self.tell("product.created", id);
        id
    }

    fn change_product(&mut self, id: u64, sent: Fields) {
        self.write_product(id, sent);
        self.tell("product.updated", id);
    }

    fn write_product(&mut self, id: u64, sent: Fields) {
        let Some(mut product) = self.products.get(&id).cloned() else { return };
        for (name, value) in sent {
            match name.as_str() {
                "meta_data" => merge_meta(&mut product, &value, || self.new_id()),
                "date_on_sale_from_gmt" | "date_on_sale_to_gmt" => {
                    let value = Some(value).filter(|it| it.as_str().is_some_and(|it| !it.is_empty()));
                    product.insert(name, value.unwrap_or_default());
                }
                "images" => {
                    let image = |it: &Value| json!({ "id": self.new_id(), "src": it["src"], "name": "", "alt": it["alt"] });
                    let images = value.as_array().into_iter().flatten().map(image).collect();
                    product.insert(name, images);
                }
                name if WRITABLE.iter().any(|(known, ..)| *known == name) => {
                    product.insert(name.to_owned(), value);
                }
                // What nobody knows is passed over.
                _ => {}
            }
        }
        let now = self.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let begun = product["date_on_sale_from_gmt"].as_str().is_none_or(|from| from <= now.as_str());
        let over = product["date_on_sale_to_gmt"].as_str().is_some_and(|to| to < now.as_str());
        let on_sale = filled(&product, "sale_price").is_some() && begun && !over;
        let price = product[if on_sale { "sale_price" } else { "regular_price" }].clone();
        product.insert("price".into(), price);
        product.insert("on_sale".into(), on_sale.into());
        let empty = product["manage_stock"] == true && product["stock_quantity"].as_i64().unwrap_or_default() <= 0;
        product.insert("stock_status".into(), if empty { "outofstock" } else { "instock" }.into());
        self.stamp(&mut product, "date_modified");
        self.products.insert(id, product);
    }

    /// The API below `/products`.
    pub fn products_api(&mut self, call: &Call, below: &[&str]) -> Result<Answer, Problem> {
        match (&call.method, below) {
            (&Method::GET, []) => self.list_products(call),
            (&Method::POST, []) => self.create(None, &call.body).map(created),
            (&Method::POST, ["batch"]) => self.batch(None, call),
            (method, [id, rest @ ..]) => {
                let parent = self.known(None, id)?;
                match (method, rest) {
                    (&Method::GET, []) => Ok(ok(self.products[&parent].clone())),
                    (&Method::PUT | &Method::POST, []) => self.update(parent, &call.body).map(ok),
                    (&Method::GET, ["variations"]) => {
                        let rows = self.products.values().filter(|it| it["parent_id"] == parent && it["type"] == "variation");
                        page(call, rows.cloned().collect(), ORDERS)
                    }
                    (&Method::POST, ["variations"]) => self.create(Some(parent), &call.body).map(created),
                    (&Method::POST, ["variations", "batch"]) => self.batch(Some(parent), call),
                    (&Method::GET, ["variations", id]) => Ok(ok(self.products[&self.known(Some(parent), id)?].clone())),
                    (&Method::PUT | &Method::POST, ["variations", id]) => {
                        let id = self.known(Some(parent), id)?;
                        self.update(id, &call.body).map(ok)
                    }
                    _ => Err(no_route()),
                }
            }
            _ => Err(no_route()),
        }
    }

    /// Variations are known below their product only.
    fn known(&self, parent: Option<u64>, id: &str) -> Result<u64, Problem> {
        let found = id.parse().ok().and_then(|id: u64| self.products.get(&id).map(|it| (id, it)));
        match found {
            Some((id, it)) if it["parent_id"] == parent.unwrap_or_default() => Ok(id),
            Some((_, it)) if parent.is_none() && it["type"] == "variation" => {
                let message = "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint.";
                Err(problem(StatusCode::NOT_FOUND, "woocommerce_rest_invalid_product_id", message))
            }
            _ => Err(problem(StatusCode::NOT_FOUND, "woocommerce_rest_product_invalid_id", "Invalid ID.")),
        }
    }

    /// By SKU variations are found as well; otherwise they are not listed.
    fn list_products(&self, call: &Call) -> Result<Answer, Problem> {
        let skus: Option<Vec<&str>> = call.query("sku").map(|it| it.split(',').collect());
        let slug = call.query("slug");
        let fits = |it: &&Fields| {
            let sku = it["sku"].as_str().unwrap_or_default();
            skus.as_ref().map_or(it["type"] != "variation", |skus| skus.contains(&sku))
                && slug.is_none_or(|slug| it["slug"] == slug)
        };
        page(call, self.products.values().filter(fits).cloned().collect(), ORDERS)
    }

    fn create(&mut self, parent: Option<u64>, sent: &Fields) -> Result<Fields, Problem> {
        self.check(None, sent)?;
        let id = self.add_product(parent, sent.clone());
        Ok(self.products[&id].clone())
    }

    fn update(&mut self, id: u64, sent: &Fields) -> Result<Fields, Problem> {
        self.check(Some(id), sent)?;
        self.change_product(id, sent.clone());
        Ok(self.products[&id].clone())
    }

    fn check(&self, own: Option<u64>, sent: &Fields) -> Result<(), Problem> {
        for (name, fits, kind) in WRITABLE {
            if sent.get(*name).is_some_and(|value| !fits(value)) {
                return Err(invalid(name, &format!("{name} is not of type {kind}.")));
            }
        }
        for (name, choices) in CHOICES {
            if let Some(odd) = filled(sent, name).filter(|it| !choices.contains(&it.as_str())) {
                return Err(invalid(name, &format!("{name} is not one of {}: {odd}", choices.join(", "))));
            }
        }
        if filled(sent, "sale_price").is_some()
            && amount(sent, "sale_price") >= amount(sent, "regular_price")
            && sent.contains_key("regular_price")
        {
            return Err(problem(
                StatusCode::BAD_REQUEST,
                "product_invalid_sale_price",
                "The sale price must be below the regular price.",
            ));
        }
        let same = |it: &&Fields| filled(sent, "sku").is_some() && it["sku"] == sent["sku"] && it["id"].as_u64() != own;
        match self.products.values().find(same) {
            None => Ok(()),
            Some(other) => {
                let mut taken = problem(StatusCode::BAD_REQUEST, "product_invalid_sku", "Invalid or duplicated SKU.");
                taken.body["data"]["resource_id"] = other["id"].clone();
                taken.body["data"]["unique_sku"] = format!("{}-1", other["sku"].as_str().unwrap_or_default()).into();
                Err(taken)
            }
        }
    }

    /// Each row for itself: one that fails carries its error, and the batch is a success.
    fn batch(&mut self, parent: Option<u64>, call: &Call) -> Result<Answer, Problem> {
        let rows: usize = ["create", "update", "delete"].iter().map(|it| list(&call.body, it).len()).sum();
        if rows > MOST_IN_BATCH {
            let message = format!("Unable to accept more than {MOST_IN_BATCH} items for this request.");
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "woocommerce_rest_request_entity_too_large", &message));
        }
        let failed = |id: &Value, problem: Problem| {
            let (code, message, data) = (&problem.body["code"], &problem.body["message"], &problem.body["data"]);
            json!({ "id": id, "error": { "code": code, "message": message, "data": data } })
        };
        let mut answer = Fields::new();
        for what in ["create", "update"] {
            if !call.body.contains_key(what) {
                continue;
            }
            let mut done = Vec::new();
            for row in list(&call.body, what).iter().cloned().map(fields) {
                let id = row.get("id").cloned().unwrap_or(json!(0));
                let written = match what {
                    "create" => self.create(parent, &row),
                    _ => self.known(parent, &id.to_string()).and_then(|id| self.update(id, &row)),
                };
                done.push(written.map_or_else(|problem| failed(&id, problem), Value::from));
            }
            answer.insert(what.into(), done.into());
        }
        Ok(ok(answer))
    }

    pub fn open_account(&mut self, email: &str, first_name: &str, last_name: &str) -> Result<u64, Refused> {
        let sent = fields(json!({ "email": email, "first_name": first_name, "last_name": last_name }));
        match self.add_customer(&sent) {
            Ok(id) => Ok(id),
            Err(problem) => refuse(problem.body["message"].as_str().unwrap_or_default()),
        }
    }
}
