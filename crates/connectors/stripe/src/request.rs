//! Addresses of Stripe's API, and reading one object or a whole list from them.

use crate::wire::List;
use serde::de::DeserializeOwned;
use spindel_connect::{Api, CallError};
use url::form_urlencoded::Serializer;

/// The most that Stripe lists at once.
pub(crate) const PAGE: &str = "100";

/// `/v1/refunds?limit=100`, percent-encoded.
pub(crate) fn path<'a>(base: &str, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{base}?{query}")
}

/// An id as it may stand in an address: it may come from a shop, or from a person.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 255 && id.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

/// One object; `None` when there is no such one.
pub(crate) async fn read<T: DeserializeOwned>(
    api: &Api,
    operation: &'static str,
    collection: &str,
    id: &str,
    expand: &[&str],
) -> Result<Option<T>, CallError> {
    if !is_id(id) {
        return Ok(None);
    }
    let base = format!("{collection}/{id}");
    let address = match expand {
        [] => base,
        _ => path(&base, expand.iter().map(|it| ("expand[]", *it))),
    };
    api.get(operation, address).find().await
}

/// A list from its newest to its oldest. More than `most_pages` is an error: half a list would be taken for the whole.
pub(crate) async fn list<T: DeserializeOwned>(
    api: &Api,
    operation: &'static str,
    collection: &str,
    query: &[(&str, &str)],
    most_pages: usize,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>, CallError> {
    let mut all: Vec<T> = Vec::new();
    for _ in 0..most_pages {
        let mut asked = query.to_vec();
        asked.push(("limit", PAGE));
        if let Some(last) = all.last() {
            asked.push(("starting_after", id(last)));
        }
        let page: List<T> = api.get(operation, path(collection, asked)).fetch().await?;
        let ended = !page.has_more || page.data.is_empty();
        all.extend(page.data);
        if ended {
            return Ok(all);
        }
    }
    Err(CallError::data(operation, format!("the list has more than {} entries: too many to be read", all.len())))
}
