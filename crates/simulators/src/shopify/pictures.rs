//! Pictures of products, as `productSet` sets them: the whole list, each by its id or by where it can be fetched.

use crate::shopify::{
    catalog::Picture,
    product_writes::refusal,
    state::{State, parse_gid},
};
use serde_json::Value;

/// Why `productSet` would refuse these.
pub(crate) fn misfit(inputs: &Value) -> Option<Value> {
    for (index, input) in inputs.as_array()?.iter().enumerate() {
        let refused =
            |part: &str, message: &str| Some(refusal(&["input", "files", &index.to_string(), part], message, "INVALID_INPUT"));
        let source = input["originalSource"].as_str().unwrap_or_default();
        if input["id"].is_null() && !source.starts_with("https://") && !source.starts_with("http://") {
            return refused("originalSource", "Image URL is invalid");
        }
        let Some(filename) = input["filename"].as_str() else {
            if input["duplicateResolutionMode"] == "REPLACE" {
                return refused("filename", "Missing filename argument when attempting to use REPLACE duplicate mode.");
            }
            continue;
        };
        let extension = |name: &str| name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        if !source.is_empty() && extension(filename) != extension(file_of(source)) {
            return refused("filename", "Provided filename extension must match original source.");
        }
    }
    None
}

pub(crate) fn replace(state: &mut State, id: u64, inputs: &Value) {
    let Some(inputs) = inputs.as_array() else { return };
    let old = state.catalog.products.get(&id).map(|product| product.pictures.clone()).unwrap_or_default();
    let mut pictures = Vec::with_capacity(inputs.len());
    for input in inputs {
        let asked = input["id"].as_str().and_then(|id| parse_gid("MediaImage", id));
        let source = input["originalSource"].as_str().unwrap_or_default();
        let filename = input["filename"].as_str().unwrap_or_else(|| file_of(source));
        let replaces = input["duplicateResolutionMode"] == "REPLACE";
        let same = |it: &&Picture| Some(it.id) == asked || (replaces && it.filename == filename);
        let mut picture = match old.iter().find(same) {
            Some(known) => known.clone(),
            None => Picture { id: state.new_id(), filename: filename.to_owned(), source: String::new(), alt: None },
        };
        if !source.is_empty() {
            picture.source = source.to_owned();
        }
        if let Some(alt) = input["alt"].as_str() {
            picture.alt = Some(alt.to_owned());
        }
        pictures.push(picture);
    }
    if let Some(product) = state.catalog.products.get_mut(&id) {
        product.pictures = pictures;
    }
}

/// The last part of an address.
fn file_of(source: &str) -> &str {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
