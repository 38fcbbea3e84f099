//! Product writes through the API: prices and variants in bulk, a product's own fields, and the upsert of a whole product.

use crate::shopify::{
    catalog::{Product, Variant, insert_product},
    catalog_nodes,
    document::Field,
    graphql::Failure,
    idempotency::user_error,
    metafields,
    mutations::{argument, decimal, strings},
    pictures,
    state::{State, parse_gid},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(crate) fn update_variants(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let product_id = argument(field, "productId")?.as_str().and_then(|id| parse_gid("Product", id));
    let inputs = argument(field, "variants")?.as_array().cloned().unwrap_or_default();
    let partial = field.arguments.get("allowPartialUpdates").and_then(Value::as_bool).unwrap_or(false);
    let now = state.now();
    let Some(product) = product_id.and_then(|id| state.catalog.products.get_mut(&id)) else {
        let error = user_error(&["productId"], "Product does not exist", "PRODUCT_DOES_NOT_EXIST");
        return Ok(json!({ "product": null, "productVariants": null, "userErrors": [error] }));
    };
    let mut errors = Vec::new();
    let mut accepted: Vec<(usize, Value)> = Vec::new();
    for (index, input) in inputs.into_iter().enumerate() {
        match judge(product, &input, index) {
            Ok(position) => accepted.push((position, input)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() && !partial {
        return Ok(json!({ "product": null, "productVariants": null, "userErrors": errors }));
    }
    let id = product.id;
    for (position, input) in &accepted {
        apply(&mut product.variants[*position], input);
        product.variants[*position].updated_at = now;
        product.updated_at = now;
    }
    if !accepted.is_empty() {
        state.announce_product(id);
    }
    let product = &state.catalog.products[&id];
    let shown = accepted.iter().map(|(position, _)| catalog_nodes::variant(state, product, &product.variants[*position]));
    Ok(json!({
        "product": catalog_nodes::product(state, product),
        "productVariants": shown.collect::<Vec<_>>(),
        "userErrors": errors,
    }))
}

fn judge(product: &Product, input: &Value, index: usize) -> Result<usize, Value> {
    let at = index.to_string();
    let Some(id) = input["id"].as_str() else {
        return Err(user_error(
            &["variants", &at, "id"],
            "Product variant is missing ID attribute",
            "PRODUCT_VARIANT_ID_MISSING",
        ));
    };
    let id = parse_gid("ProductVariant", id);
    let Some(position) = product.variants.iter().position(|variant| Some(variant.id) == id) else {
        return Err(user_error(&["variants", &at, "id"], "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST"));
    };
    match decimal(&input["price"]) {
        None if !input["price"].is_null() => {
            Err(user_error(&["variants", &at, "price"], "Price is not a number", "INVALID_VALUE"))
        }
        Some(price) if price.is_sign_negative() => {
            Err(user_error(&["variants", &at, "price"], "Price must be greater than or equal to 0", "NEGATIVE_PRICE_VALUE"))
        }
        _ => Ok(position),
    }
}

/// Takes over what the input names; an explicit null empties what may be empty.
fn apply(variant: &mut Variant, input: &Value) {
    if let Some(price) = decimal(&input["price"]) {
        variant.price = price;
    }
    if let Some(compare_at) = input.get("compareAtPrice") {
        variant.compare_at_price = decimal(compare_at);
    }
    if let Some(barcode) = input.get("barcode") {
        variant.barcode = barcode.as_str().map(str::to_owned);
    }
    let item = &input["inventoryItem"];
    if let Some(sku) = input["sku"].as_str().or(item["sku"].as_str()) {
        variant.sku = sku.to_owned();
    }
    if let Some(cost) = decimal(&item["cost"]) {
        variant.cost = Some(cost);
    }
    if let Some(tracked) = item["tracked"].as_bool() {
        variant.tracked = tracked;
    }
    let values = option_values(input);
    if !values.is_empty() {
        variant.title = values.join(" / ");
        variant.values = values;
    }
}

fn option_values(input: &Value) -> Vec<String> {
    let values = input["optionValues"].as_array().into_iter().flatten();
    values.filter_map(|value| value["name"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn update(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = match field.arguments.get("product") {
        Some(input) => input,
        None => argument(field, "input")?,
    };
    let id = input["id"].as_str().and_then(|id| parse_gid("Product", id));
    let Some(id) = id.filter(|id| state.catalog.products.contains_key(id)) else {
        let error = user_error(&["id"], "Product does not exist", "NOT_FOUND");
        return Ok(json!({ "product": null, "userErrors": [error] }));
    };
    write_head(state, id, input);
    state.announce_product(id);
    Ok(json!({ "product": catalog_nodes::product(state, &state.catalog.products[&id]), "userErrors": [] }))
}

fn write_head(state: &mut State, id: u64, input: &Value) {
    let now = state.now();
    let Some(product) = state.catalog.products.get_mut(&id) else { return };
    let texts = [
        ("title", &mut product.title),
        ("descriptionHtml", &mut product.body_html),
        ("vendor", &mut product.vendor),
        ("productType", &mut product.product_type),
        ("handle", &mut product.handle),
        ("status", &mut product.status),
    ];
    for (name, text) in texts {
        if let Some(new) = input[name].as_str() {
            *text = new.to_owned();
        }
    }
    if input["tags"].is_array() {
        product.tags = strings(&input["tags"]);
    }
    product.updated_at = now;
}

/// Creates, or replaces what the input names; variants that the input does not name are removed, as at the vendor.
pub(crate) fn set(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "input")?;
    let identifier = field.arguments.get("identifier").cloned().unwrap_or_default();
    let asked = identifier["id"].as_str().or(input["id"].as_str()).map(|id| parse_gid("Product", id).unwrap_or(0));
    let by_handle = identifier["handle"].as_str();
    // The vendor wants a metafield definition of the type `id` for this; here every metafield has one.
    let custom = &identifier["customId"];
    let custom = custom.is_object().then(|| format!("{}.{}={}", custom["namespace"], custom["key"], custom["value"]));
    let found = match (asked, by_handle) {
        (Some(id), _) if !state.catalog.products.contains_key(&id) => {
            return Ok(refusal(&["identifier"], "Product does not exist", "PRODUCT_DOES_NOT_EXIST"));
        }
        (Some(id), _) => Some(id),
        (None, None) if custom.is_some() => custom.as_ref().and_then(|custom| state.catalog.custom_ids.get(custom).copied()),
        (None, Some(handle)) => {
            state.catalog.products.values().find(|product| product.handle == handle).map(|product| product.id)
        }
        (None, None) => None,
    };
    if found.is_none() && input["title"].as_str().is_none_or(str::is_empty) {
        return Ok(refusal(&["input", "title"], "Title can't be blank", "INVALID_PRODUCT"));
    }
    if input["variants"].is_array() && !input["productOptions"].is_array() {
        return Ok(refusal(
            &["input", "productOptions"],
            "Product options are required when updating variants",
            "PRODUCT_OPTIONS_INPUT_MISSING",
        ));
    }
    if let Some(refused) =
        metafields::misfit(&input["metafields"], &identifier["customId"]).or_else(|| pictures::misfit(&input["files"]))
    {
        return Ok(refused);
    }
    let id = match found {
        Some(id) => id,
        None => create(state, by_handle),
    };
    state.catalog.custom_ids.extend(custom.map(|custom| (custom, id)));
    write_head(state, id, input);
    if let Some(variants) = input["variants"].as_array() {
        set_variants(state, id, variants);
    }
    let names = input["productOptions"].as_array().into_iter().flatten();
    let names: Vec<String> = names.filter_map(|it| it["name"].as_str().map(str::to_owned)).collect();
    if let Some(product) = state.catalog.products.get_mut(&id).filter(|_| !names.is_empty()) {
        product.option_names = names;
    }
    metafields::replace(state, id, &input["metafields"]);
    pictures::replace(state, id, &input["files"]);
    if found.is_some() {
        state.announce_product(id);
    } else {
        let body = crate::shopify::catalog_rest::product(state, &state.catalog.products[&id]);
        state.event(None, vec![("products/create", body)]);
    }
    let shown = catalog_nodes::product(state, &state.catalog.products[&id]);
    Ok(json!({ "product": shown, "productSetOperation": null, "userErrors": [] }))
}

pub(crate) fn refusal(field: &[&str], message: &str, code: &str) -> Value {
    json!({ "product": null, "productSetOperation": null, "userErrors": [user_error(field, message, code)] })
}

fn create(state: &mut State, handle: Option<&str>) -> u64 {
    let (id, now) = (state.new_id(), state.now());
    let variant = new_variant(state);
    let product = Product {
        id,
        title: String::new(),
        body_html: String::new(),
        vendor: String::new(),
        product_type: String::new(),
        handle: handle.map_or_else(|| format!("produkt-{id}"), str::to_owned),
        status: "ACTIVE".into(),
        tags: Vec::new(),
        option_names: vec!["Title".into()],
        metafields: Vec::new(),
        pictures: Vec::new(),
        created_at: now,
        updated_at: now,
        variants: vec![variant],
    };
    insert_product(state, product);
    id
}

fn new_variant(state: &mut State) -> Variant {
    Variant {
        id: state.new_id(),
        inventory_item_id: state.new_id(),
        sku: String::new(),
        title: "Default Title".into(),
        values: vec!["Default Title".into()],
        price: Decimal::ZERO,
        compare_at_price: None,
        barcode: None,
        cost: None,
        tax_rate: Decimal::new(25, 2),
        grams: 0,
        tracked: true,
        updated_at: state.now(),
    }
}

fn set_variants(state: &mut State, id: u64, inputs: &[Value]) {
    let now = state.now();
    let mut old = state.catalog.products.get_mut(&id).map(|product| std::mem::take(&mut product.variants)).unwrap_or_default();
    let mut variants = Vec::new();
    for input in inputs {
        let wanted = input["id"].as_str().and_then(|id| parse_gid("ProductVariant", id));
        let values = option_values(input);
        // Without an id, the vendor takes the variant with the same option values.
        let matches = |variant: &Variant| match wanted {
            Some(id) => variant.id == id,
            None => values == variant.values,
        };
        let mut variant = match old.iter().position(matches) {
            Some(position) => old.swap_remove(position),
            None => new_variant(state),
        };
        apply(&mut variant, input);
        variant.updated_at = now;
        variants.push(variant);
    }
    for gone in old {
        state.catalog.items.remove(&gone.inventory_item_id);
    }
    let location = state.main_location();
    let items: Vec<u64> = variants.iter().map(|variant| variant.inventory_item_id).collect();
    for item in &items {
        state.catalog.items.insert(*item, id);
    }
    if let Some(product) = state.catalog.products.get_mut(&id) {
        product.variants = variants;
    }
    for item in items {
        if state.catalog.levels.range((item, 0)..=(item, u64::MAX)).next().is_none() {
            state.stock_at(item, location, 0);
        }
    }
}
