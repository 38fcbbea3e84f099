//! `contracts.toml`: what is to be known about the descriptions themselves, and where a vendor does otherwise than it says.

use super::{SETTINGS, is_call};
use crate::Tree;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vendor {
    /// Path before those of the description, where that one is of an example server: `/rest/{store}`.
    pub base: Option<String>,
    /// Files that are no description of what is called.
    pub skip: Vec<String>,
    /// For tables, which name no paths: `POST /orders/{id}/captures` to the heading that describes it.
    pub operations: BTreeMap<String, String>,
    /// For tables made for a program: what it calls a field to what the API calls it.
    pub names: BTreeMap<String, String>,
    pub waive: Vec<Waiver>,
}

/// Something that is as it should be although the description says otherwise.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// `POST /v1/refunds`, with `{}` for parts that differ; left out, any call.
    #[serde(default)]
    pub call: Option<String>,
    /// A part of the problem's text.
    pub says: String,
    pub reason: String,
}

impl Waiver {
    pub fn covers(&self, call: &str, text: &str) -> bool {
        self.call.as_ref().is_none_or(|form| is_call(form, call)) && text.contains(&self.says)
    }

    pub fn name(&self) -> &str {
        self.call.as_deref().unwrap_or(&self.says)
    }
}

pub fn read(tree: &Tree) -> Result<BTreeMap<String, Vendor>> {
    let Some(file) = tree.file(SETTINGS) else { return Ok(BTreeMap::new()) };
    let vendors: BTreeMap<String, Vendor> = toml::from_str(&file.text).with_context(|| format!("{SETTINGS} cannot be read"))?;
    let waivers = vendors.values().flat_map(|it| &it.waive);
    if let Some(empty) = waivers.clone().find(|it| it.reason.trim().is_empty() || it.says.trim().is_empty()) {
        bail!("{SETTINGS}: the waiver for `{}` needs `says` and a `reason`", empty.name());
    }
    Ok(vendors)
}
