//! Texts of products and metafields in the shop's other languages: told with the digest of the shop's own text, and taken
//! only with the digest of the text as it is now.

use crate::shopify::{
    catalog::Translation,
    document::Field,
    graphql::{BY_ARGUMENT, Failure, page, page_size},
    idempotency::user_error,
    mutations::{argument, strings},
    state::{State, gid, parse_gid, utc},
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const MOST: usize = 100;

/// A text of the shop's own language.
struct Content {
    key: &'static str,
    value: String,
    kind: &'static str,
}

impl Content {
    /// Nothing where there is no text.
    fn digest(&self) -> Option<String> {
        (!self.value.is_empty()).then(|| digest(&self.value))
    }
}

/// Hex of SHA-256.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What can be translated of a resource; `None` when there is no such resource.
fn contents(state: &State, resource: &str) -> Option<Vec<Content>> {
    if let Some(product) = parse_gid("Product", resource).and_then(|id| state.catalog.products.get(&id)) {
        let text = |key, value: &str, kind| Content { key, value: value.to_owned(), kind };
        return Some(vec![
            text("title", &product.title, "SINGLE_LINE_TEXT_FIELD"),
            text("body_html", &product.body_html, "HTML"),
            text("handle", &product.handle, "URI"),
            text("product_type", &product.product_type, "SINGLE_LINE_TEXT_FIELD"),
        ]);
    }
    let id = parse_gid("Metafield", resource)?;
    let mut metafields = state.catalog.products.values().flat_map(|product| &product.metafields);
    let found = metafields.find(|it| it.id == id)?;
    let kind = match found.kind.as_str() {
        "single_line_text_field" => "SINGLE_LINE_TEXT_FIELD",
        "multi_line_text_field" => "MULTI_LINE_TEXT_FIELD",
        "list.single_line_text_field" => "LIST_SINGLE_LINE_TEXT_FIELD",
        "json" => "JSON",
        // Numbers and flags are the same in every language.
        _ => return Some(Vec::new()),
    };
    Some(vec![Content { key: "value", value: found.value.clone(), kind }])
}

/// `translatableResource` and `translatableResourcesByIds`.
pub(crate) fn read(state: &State, field: &Field) -> Result<Value, Failure> {
    if field.name == "translatableResource" {
        let id = argument(field, "resourceId")?.as_str().unwrap_or_default();
        return Ok(resource(state, id).unwrap_or_default());
    }
    let ids = strings(argument(field, "resourceIds")?);
    let found: Vec<Value> = ids.iter().filter_map(|id| resource(state, id)).collect();
    let size = page_size(field)?;
    let more = found.len() > size;
    let nodes: Vec<Value> = found.into_iter().take(size).collect();
    let cursors = nodes.iter().enumerate().map(|(position, _)| position.to_string()).collect();
    Ok(page(nodes, cursors, more))
}

pub(crate) fn locales(state: &State) -> Value {
    let locales = state.options.locales.iter().enumerate();
    locales.map(|(at, locale)| json!({ "locale": locale, "name": locale, "primary": at == 0, "published": true })).collect()
}

fn resource(state: &State, id: &str) -> Option<Value> {
    let contents = contents(state, id)?;
    let own = state.options.locales.first();
    let shown: Vec<Value> = contents
        .iter()
        .map(|it| {
            let value = (!it.value.is_empty()).then_some(&it.value);
            json!({ "key": it.key, "value": value, "digest": it.digest(), "locale": own, "type": it.kind })
        })
        .collect();
    let mut translations = Map::from_iter([(BY_ARGUMENT.to_owned(), json!("locale"))]);
    for locale in &state.options.locales {
        let of_it: Vec<Value> = contents.iter().filter_map(|content| translation(state, id, locale, content)).collect();
        translations.insert(locale.clone(), json!(of_it));
    }
    Some(json!({ "resourceId": id, "translatableContent": shown, "translations": translations }))
}

fn translation(state: &State, id: &str, locale: &str, content: &Content) -> Option<Value> {
    let key = (id.to_owned(), locale.to_owned(), content.key.to_owned());
    let found = state.catalog.translations.get(&key)?;
    Some(json!({
        "key": content.key,
        "locale": locale,
        "value": found.value,
        "outdated": content.digest().as_ref() != Some(&found.digest),
        "updatedAt": utc(found.updated_at),
    }))
}

/// All of a call or nothing.
pub(crate) fn register(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let id = argument(field, "resourceId")?.as_str().unwrap_or_default().to_owned();
    let inputs = argument(field, "translations")?.as_array().cloned().unwrap_or_default();
    let refused = |error: Value| Ok(json!({ "translations": null, "userErrors": [error] }));
    let Some(contents) = contents(state, &id) else {
        return refused(user_error(&["resourceId"], "Resource does not exist", "RESOURCE_NOT_FOUND"));
    };
    if inputs.len() > MOST {
        return refused(user_error(
            &["translations"],
            "Too many translation keys for the resource",
            "TOO_MANY_KEYS_FOR_RESOURCE",
        ));
    }
    for (index, input) in inputs.iter().enumerate() {
        if let Err((part, message, code)) = judge(state, &contents, input) {
            return refused(user_error(&["translations", &index.to_string(), part], message, code));
        }
    }
    let now = state.now();
    let text = |input: &Value, name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let mut made = Vec::with_capacity(inputs.len());
    for input in &inputs {
        let (locale, key, value) = (text(input, "locale"), text(input, "key"), text(input, "value"));
        made.push(json!({ "key": key, "locale": locale, "value": value, "outdated": false, "updatedAt": utc(now) }));
        let translation = Translation { value, digest: text(input, "translatableContentDigest"), updated_at: now };
        state.catalog.translations.insert((id.clone(), locale, key), translation);
    }
    Ok(json!({ "translations": made, "userErrors": [] }))
}

/// Which part is wrong, why, and the code of that.
fn judge(state: &State, contents: &[Content], input: &Value) -> Result<(), (&'static str, &'static str, &'static str)> {
    let mut others = state.options.locales.iter().skip(1);
    if !others.any(|locale| input["locale"] == *locale) {
        return Err(("locale", "Locale is invalid for the shop", "INVALID_LOCALE_FOR_SHOP"));
    }
    let Some(content) = contents.iter().find(|it| input["key"] == it.key) else {
        return Err(("key", "Key is not a valid translatable field", "INVALID_KEY_FOR_MODEL"));
    };
    if content.digest().is_none_or(|digest| input["translatableContentDigest"] != digest) {
        return Err(("translatableContentDigest", "Translatable content hash is invalid", "INVALID_TRANSLATABLE_CONTENT"));
    }
    match input["value"].as_str() {
        None | Some("") => Err(("value", "Value can't be blank", "BLANK")),
        Some(_) => Ok(()),
    }
}

/// Language, field (`title`, `pim.material`), text, and whether the shop's own text has changed since.
pub(crate) fn of_product(state: &State, product: &crate::shopify::catalog::Product) -> Vec<(String, String, String, bool)> {
    let metafields = product.metafields.iter().map(|it| (gid("Metafield", it.id), Some(format!("{}.{}", it.namespace, it.key))));
    let resources: Vec<(String, Option<String>)> = [(gid("Product", product.id), None)].into_iter().chain(metafields).collect();
    let mut found = Vec::new();
    for ((id, locale, key), translation) in &state.catalog.translations {
        let Some((_, name)) = resources.iter().find(|(resource, _)| resource == id) else { continue };
        let now = contents(state, id).and_then(|contents| contents.iter().find(|it| it.key == key)?.digest());
        let outdated = now.as_ref() != Some(&translation.digest);
        found.push((locale.clone(), name.clone().unwrap_or_else(|| key.clone()), translation.value.clone(), outdated));
    }
    found.sort();
    found
}
