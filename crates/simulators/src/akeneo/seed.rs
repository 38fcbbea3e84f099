//! What is in the PIM from the start: two channels, the attributes and the two families of a small shop.

use super::{
    Options,
    state::{Attribute, Channel, Family, FamilyVariant, Level, State},
};
use std::collections::BTreeMap;

/// Code, type, label, whether it differs by locale, whether by channel.
const ATTRIBUTES: [(&str, &str, &str, bool, bool); 11] = [
    ("sku", "pim_catalog_identifier", "Varenummer", false, false),
    ("name", "pim_catalog_text", "Navn", true, false),
    ("description", "pim_catalog_textarea", "Beskrivelse", true, true),
    ("price", "pim_catalog_price_collection", "Pris", false, true),
    ("weight", "pim_catalog_metric", "Vekt", false, false),
    ("ean", "pim_catalog_text", "EAN", false, false),
    ("material", "pim_catalog_text", "Materiale", true, false),
    ("color", "pim_catalog_simpleselect", "Farge", false, false),
    ("size", "pim_catalog_simpleselect", "Størrelse", false, false),
    ("collection", "pim_catalog_multiselect", "Kolleksjon", false, false),
    ("picture", "pim_catalog_image", "Bilde", false, false),
];

/// Attribute, option, and its labels in Norwegian and Swedish.
const OPTIONS: [(&str, &str, &str, &str); 6] = [
    ("color", "black", "Sort", "Svart"),
    ("color", "red", "Rød", "Röd"),
    ("size", "m", "M", "M"),
    ("size", "l", "L", "L"),
    ("collection", "autumn", "Høst", "Höst"),
    ("collection", "new", "Nyhet", "Nyhet"),
];

pub(super) fn pim(options: Options) -> State {
    let mut state = State::new(options);
    let texts = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    for (code, locales, currencies) in
        [("ecommerce", &["nb_NO", "sv_SE"][..], &["NOK", "SEK", "DKK", "EUR"][..]), ("print", &["nb_NO", "en_US"], &["NOK"])]
    {
        let channel = Channel { locales: texts(locales), currencies: texts(currencies) };
        state.channels.insert(code.to_owned(), channel);
    }
    for (code, kind, label, localizable, scopable) in ATTRIBUTES {
        let labels = BTreeMap::from([("nb_NO".to_owned(), label.to_owned())]);
        let attribute = Attribute { kind: kind.to_owned(), labels, localizable, scopable, options: BTreeMap::new() };
        state.attributes.insert(code.to_owned(), attribute);
    }
    for (attribute, code, norwegian, swedish) in OPTIONS {
        let labels = BTreeMap::from([("nb_NO".into(), norwegian.into()), ("sv_SE".into(), swedish.into())]);
        if let Some(it) = state.attributes.get_mut(attribute) {
            it.options.insert(code.to_owned(), labels);
        }
    }
    let all: Vec<String> = ATTRIBUTES.iter().map(|it| it.0.to_owned()).collect();
    let kitchen = Family { attributes: all.clone(), required: texts(&["sku", "name", "price"]), variants: BTreeMap::new() };
    let level = |axes: &[&str], attributes: &[&str]| Level { axes: texts(axes), attributes: texts(attributes) };
    let variants = BTreeMap::from([
        ("knit_size".to_owned(), FamilyVariant(vec![level(&["size"], &["size", "sku", "ean", "price"])])),
        (
            "knit_color_size".to_owned(),
            FamilyVariant(vec![level(&["color"], &["color", "picture"]), level(&["size"], &["size", "sku", "ean", "price"])]),
        ),
    ]);
    let knit = Family { attributes: all, required: texts(&["sku", "name", "price"]), variants };
    state.families = BTreeMap::from([("kitchen".to_owned(), kitchen), ("knit".to_owned(), knit)]);
    state
}
