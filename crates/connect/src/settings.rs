//! Settings that many connectors have, and how they are checked.

use crate::ConfigError;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// The address of a setting, without the slashes at its end.
///
/// Paths are put behind it, so it may have neither query nor fragment.
pub fn base_url(field: &str, text: &str, example: &str) -> Result<String, ConfigError> {
    let text = text.trim().trim_end_matches('/');
    let fits = |it: &Url| matches!(it.scheme(), "http" | "https") && it.has_host() && it.query().or(it.fragment()).is_none();
    match Url::parse(text) {
        Ok(url) if fits(&url) => Ok(text.to_owned()),
        _ => Err(ConfigError::new(field, format!("expected an address, as in `{example}`"))),
    }
}

/// The schema of [`spindel_model::BookIn`]: the shop's own currency, or the one that the buyer saw. The model leaves it to
/// those who offer it as a setting.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Books {
    Shop,
    Presentment,
}

/// A product of an ERP, by its code (text) or its id (number).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ProductKey {
    Id(i64),
    Sku(String),
}

impl ProductKey {
    pub fn id(&self) -> Option<i64> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Sku(_) => None,
        }
    }

    pub fn sku(&self) -> Option<&str> {
        match self {
            Self::Sku(sku) => Some(sku),
            Self::Id(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_without_a_slash() {
        for (text, address) in [
            ("https://shop.example.no", "https://shop.example.no"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            (" https://shop.example.no/rest/v1// ", "https://shop.example.no/rest/v1"),
        ] {
            assert_eq!(base_url("url", text, "https://shop.example.no").unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_to_put_a_path_behind_is_refused_by_name() {
        for text in
            ["", "shop.example.no", "127.0.0.1:9000", "https://", "ftp://a.example", "https://a.example/?b=c", "https://a/#b"]
        {
            let error = base_url("base_url", text, "https://shop.example.no").unwrap_err();
            assert!(error.field == "base_url" && error.problem.contains("https://shop.example.no"), "{text}");
        }
    }
}
