//! Lists: which things a search finds, which values of them are shown, and how they are divided into pages.

use super::{
    api::Problem,
    state::{Model, Product, State, Val, Values},
};
use jiff::{Timestamp, civil::DateTime};
use serde_json::{Map, Value, json};

/// Which values are shown, and what with them. Without a channel or locales: all.
#[derive(Default)]
pub(crate) struct Shown {
    pub scope: Option<String>,
    pub locales: Option<Vec<String>>,
    pub labels: bool,
    pub completenesses: bool,
}

impl Shown {
    fn sees(&self, val: &Val) -> bool {
        let scope = self.scope.as_ref().zip(val.scope.as_ref()).is_none_or(|(asked, own)| asked == own);
        let locale = self.locales.as_ref().zip(val.locale.as_ref()).is_none_or(|(asked, own)| asked.contains(own));
        scope && locale
    }
}

impl State {
    pub(super) fn product_json(&self, product: &Product, shown: &Shown) -> Value {
        let values = self.all_values(&product.values, product.parent.as_deref());
        let mut categories = product.categories.clone();
        for model in self.lineage(product.parent.as_deref()) {
            categories.extend(model.categories.iter().filter(|it| !product.categories.contains(it)).cloned());
        }
        let mut item = json!({
            "uuid": product.uuid,
            "enabled": product.enabled,
            "family": product.family,
            "categories": categories,
            "groups": [],
            "parent": product.parent,
            "values": self.values_json(&values, shown),
            "created": written(product.created),
            "updated": written(product.updated),
            "associations": {},
            "quantified_associations": {},
            "metadata": { "workflow_status": "working_copy" },
        });
        if shown.completenesses {
            item["completenesses"] = self.completenesses(product).into();
        }
        item
    }

    pub(super) fn model_json(&self, model: &Model, shown: &Shown) -> Value {
        let values = self.all_values(&model.values, model.parent.as_deref());
        json!({
            "code": model.code,
            "family": model.family,
            "family_variant": model.family_variant,
            "parent": model.parent,
            "categories": model.categories,
            "values": self.values_json(&values, shown),
            "created": written(model.created),
            "updated": written(model.updated),
            "associations": {},
            "quantified_associations": {},
            "metadata": { "workflow_status": "working_copy" },
        })
    }

    fn values_json(&self, values: &Values, shown: &Shown) -> Value {
        let mut all = Map::new();
        for (code, of_code) in values {
            let list: Vec<Value> =
                of_code.iter().filter(|it| shown.sees(it)).map(|it| self.value_json(code, it, shown)).collect();
            // What is empty is not there.
            if !list.is_empty() {
                all.insert(code.clone(), list.into());
            }
        }
        all.into()
    }

    fn value_json(&self, code: &str, val: &Val, shown: &Shown) -> Value {
        let mut value = json!({ "locale": val.locale, "scope": val.scope, "data": val.data });
        let Some(attribute) = self.attributes.get(code) else { return value };
        value["attribute_type"] = attribute.kind.as_str().into();
        let option = |option: &str| json!({ "attribute": code, "code": option, "labels": attribute.options.get(option) });
        match (attribute.kind.as_str(), &val.data) {
            ("pim_catalog_simpleselect", Value::String(chosen)) if shown.labels => value["linked_data"] = option(chosen),
            ("pim_catalog_multiselect", Value::Array(chosen)) if shown.labels => {
                let linked = chosen.iter().filter_map(Value::as_str).map(|it| (it.to_owned(), option(it)));
                value["linked_data"] = Value::Object(linked.collect());
            }
            ("pim_catalog_image", Value::String(file)) => {
                let href = format!("{}/api/rest/v1/media-files/{file}/download", self.base);
                value["_links"] = json!({ "download": { "href": href } });
            }
            _ => {}
        }
        value
    }

    /// A variant is found by the change of its models too.
    pub(super) fn finds_product(&self, product: &Product, search: &Search) -> Result<bool, Problem> {
        let lineage = self.lineage(product.parent.as_deref());
        let newest = lineage.iter().map(|it| it.updated).fold(product.updated, Timestamp::max);
        search.all(|property, operator, value| {
            Ok(match (property, operator) {
                ("updated", _) => self.compare(property, operator, value, newest)?,
                ("created", _) => self.compare(property, operator, value, product.created)?,
                ("enabled", "=") => value.as_bool() == Some(product.enabled),
                ("parent", "=") => lineage.iter().any(|it| value == it.code.as_str()),
                ("parent", "IN") => product.parent.as_ref().is_some_and(|it| is_in(value, it)),
                ("parent", "EMPTY") => product.parent.is_none(),
                ("parent", "NOT EMPTY") => product.parent.is_some(),
                ("family", "IN") => product.family.as_ref().is_some_and(|it| is_in(value, it)),
                ("categories", "IN") => product.categories.iter().any(|it| is_in(value, it)),
                ("uuid", "IN") => is_in(value, &product.uuid),
                ("sku", "=") => self.sku(product).as_deref() == value.as_str(),
                _ => return Err(unsupported(property, operator)),
            })
        })
    }

    pub(super) fn finds_model(&self, model: &Model, search: &Search) -> Result<bool, Problem> {
        search.all(|property, operator, value| {
            Ok(match (property, operator) {
                ("updated", _) => self.compare(property, operator, value, model.updated)?,
                ("created", _) => self.compare(property, operator, value, model.created)?,
                ("parent", "IN") => model.parent.as_ref().is_some_and(|it| is_in(value, it)),
                ("parent", "EMPTY") => model.parent.is_none(),
                ("parent", "NOT EMPTY") => model.parent.is_some(),
                ("identifier", "IN") => is_in(value, &model.code),
                _ => return Err(unsupported(property, operator)),
            })
        })
    }

    fn compare(&self, property: &str, operator: &str, value: &Value, own: Timestamp) -> Result<bool, Problem> {
        let asked = value.as_str().and_then(|text| DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok());
        let asked = asked.and_then(|it| self.options.time_zone.to_timestamp(it).ok()).ok_or_else(|| {
            let expected = "expects a string with the format \"yyyy-mm-dd H:i:s\"";
            Problem::new(422, format!("Property \"{property}\" {expected}, {value} given."))
        })?;
        match operator {
            ">" => Ok(own > asked),
            "<" => Ok(own < asked),
            _ => Err(unsupported(property, operator)),
        }
    }
}

fn is_in(list: &Value, own: &str) -> bool {
    list.as_array().is_some_and(|all| all.iter().any(|it| it == own))
}

fn unsupported(property: &str, operator: &str) -> Problem {
    let what = format!("Filter on property \"{property}\" is not supported or does not support operator \"{operator}\".");
    Problem::new(422, what)
}

pub(super) fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// `{"updated":[{"operator":">","value":"2026-11-20 00:00:00"}]}`
#[derive(Default)]
pub(crate) struct Search(Map<String, Value>);

impl Search {
    pub fn read(text: Option<&str>) -> Result<Self, Problem> {
        match text.map(serde_json::from_str::<Value>) {
            None => Ok(Self::default()),
            Some(Ok(Value::Object(all))) => Ok(Self(all)),
            Some(_) => Err(Problem::new(400, "Search query parameter should be valid JSON.")),
        }
    }

    /// Whether every condition holds; each is looked at, so that one that makes no sense is refused whatever the others say.
    pub fn all(&self, holds: impl Fn(&str, &str, &Value) -> Result<bool, Problem>) -> Result<bool, Problem> {
        let mut all = true;
        for (property, conditions) in &self.0 {
            for condition in conditions.as_array().into_iter().flatten() {
                let Some(operator) = condition["operator"].as_str() else {
                    return Err(Problem::new(422, format!("Operator is missing for the property \"{property}\".")));
                };
                all &= holds(property, operator, &condition["value"])?;
            }
        }
        Ok(all)
    }
}
