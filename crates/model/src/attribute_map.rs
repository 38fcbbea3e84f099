//! Whose attribute is whose field: how a product of a PIM becomes one of a shop.

use crate::{Attributes, Product, Texts};
use serde_json::Value;
use std::collections::BTreeMap;

/// Field at the destination by attribute of the source.
pub type AttributeMap = BTreeMap<String, String>;

impl Product {
    /// This product as the map says: named fields are filled from attributes, where the source has them, and of the attributes
    /// only those that the map names are left, under the destination's names; in every language.
    pub fn mapped(mut self, map: &AttributeMap) -> Self {
        let source = std::mem::take(&mut self.attributes);
        for (field, attribute) in map {
            let Some(value) = source.get(attribute).filter(|value| !value.is_null()) else { continue };
            match field.as_str() {
                "title" => self.title = text(value).unwrap_or(self.title),
                "description" => self.description = text(value).or(self.description),
                "brand" => self.brand = text(value).or(self.brand),
                "category" => self.category = text(value).or(self.category),
                "handle" => self.handle = text(value).or(self.handle),
                "tags" => self.tags = texts(value),
                own => drop(self.attributes.insert(own.to_owned(), value.clone())),
            }
        }
        for texts in self.translations.values_mut() {
            texts.map(map);
        }
        self
    }
}

impl Texts {
    fn map(&mut self, map: &AttributeMap) {
        let source: Attributes = std::mem::take(&mut self.attributes);
        for (field, attribute) in map {
            let Some(value) = source.get(attribute).filter(|value| !value.is_null()) else { continue };
            match field.as_str() {
                "title" => self.title = text(value).or(self.title.take()),
                "description" => self.description = text(value).or(self.description.take()),
                // The same in every language.
                "brand" | "category" | "handle" | "tags" => {}
                own => drop(self.attributes.insert(own.to_owned(), value.clone())),
            }
        }
    }
}

/// A list is read as its parts, one after the other.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(_) => Some(texts(value).join(", ")),
        Value::Object(_) | Value::Null => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntityKind, Record, specimen};
    use serde_json::json;

    fn product() -> Product {
        let Record::Product(mut product) = specimen(EntityKind::Product) else { panic!("a product") };
        let attributes = |name: &str| {
            let json = json!({ "name": name, "material": ["cotton", "wool"], "colour": "blue", "erp": 7 });
            serde_json::from_value::<Attributes>(json).expect("attributes")
        };
        product.attributes = attributes("Shirt");
        let norwegian = Texts { attributes: attributes("Skjorte"), ..Texts::default() };
        product.translations = BTreeMap::from([("nb-NO".to_owned(), norwegian)]);
        *product
    }

    #[test]
    fn named_fields_and_the_shops_own_are_filled_in_every_language() {
        let map = [("title", "name"), ("tags", "material"), ("custom.colour", "colour"), ("brand", "nothing")];
        let map: AttributeMap = map.map(|(field, attribute)| (field.to_owned(), attribute.to_owned())).into();
        let brand = product().brand;
        let mapped = product().mapped(&map);
        assert_eq!(
            (mapped.title.as_str(), mapped.tags.as_slice()),
            ("Shirt", ["cotton".to_owned(), "wool".to_owned()].as_slice())
        );
        assert_eq!(mapped.brand, brand, "what the source does not have stays");
        assert_eq!(mapped.attributes, Attributes::from([("custom.colour".to_owned(), json!("blue"))]));
        let norwegian = &mapped.translations["nb-NO"];
        assert_eq!(norwegian.title.as_deref(), Some("Skjorte"));
        assert_eq!(norwegian.attributes, Attributes::from([("custom.colour".to_owned(), json!("blue"))]));
    }

    #[test]
    fn lists_numbers_and_flags_are_read_as_text() {
        assert_eq!(text(&json!(["a", 1, true, null, {}])).as_deref(), Some("a, 1, true"));
        assert_eq!(text(&json!({ "amount": 1 })), None);
    }
}
