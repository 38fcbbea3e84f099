//! Values of attributes: which of them a channel and a locale see, and what they are.

use crate::wire::{Value, Values};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value as Json, value::RawValue};
use spindel_connect::ParseError;
use spindel_model::{Currency, Decimal, Exact, Money};
use std::collections::BTreeMap;

/// Values by the code of their attribute; borrowed, so that those of a model and of its products can be put together.
pub(crate) type Seen<'a> = BTreeMap<&'a str, &'a [Value]>;

pub(crate) fn seen(values: &Values) -> Seen<'_> {
    values.iter().map(|(code, values)| (code.as_str(), values.as_slice())).collect()
}

/// What is the same in all of them.
pub(crate) fn common<'a>(all: &[&'a Values]) -> Seen<'a> {
    let Some((first, others)) = all.split_first() else { return Seen::new() };
    let same = |one: &[Value], other: Option<&Vec<Value>>| {
        other.is_some_and(|other| one.len() == other.len() && one.iter().all(|it| other.iter().any(|that| it.is_same(that))))
    };
    let mut found = seen(first);
    found.retain(|code, values| others.iter().all(|other| same(values, other.get(*code))));
    found
}

/// Through whose eyes values are seen.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub channel: &'a str,
    /// The first is the shop's own; a label that is missing in another is taken from it.
    pub locales: &'a [String],
}

#[derive(Deserialize)]
struct Amount {
    amount: Option<Exact>,
    currency: String,
}

#[derive(Deserialize)]
struct Measurement {
    amount: Option<Exact>,
    unit: String,
}

impl<'a> View<'a> {
    /// In the shop's own locale.
    fn first(&self) -> &'a str {
        self.locales.first().map_or("", String::as_str)
    }

    fn pick<'v>(&self, values: &Seen<'v>, code: &str, locale: &str) -> Option<&'v Value> {
        let fits = |own: &Option<String>, asked: &str| own.as_deref().is_none_or(|own| own == asked);
        let mut there = values.get(code)?.iter().filter(|it| it.data.is_some());
        there.find(|it| fits(&it.scope, self.channel) && fits(&it.locale, locale))
    }

    /// What people read there: labels instead of codes of options.
    pub fn shown(&self, values: &Seen, code: &str, locale: &str) -> Option<Json> {
        let value = self.pick(values, code, locale)?;
        let data = exact(value.data.as_deref()?);
        let Some(linked) = value.linked_data.as_ref() else { return Some(data) };
        Some(match data {
            Json::String(option) => self.label(linked, locale).unwrap_or(option).into(),
            Json::Array(options) => options.into_iter().map(|it| self.labelled(linked, it, locale)).collect(),
            other => other,
        })
    }

    fn labelled(&self, linked: &Json, option: Json, locale: &str) -> Json {
        let label = option.as_str().and_then(|code| self.label(linked.get(code)?, locale));
        label.map_or(option, Json::from)
    }

    fn label(&self, linked: &Json, locale: &str) -> Option<String> {
        let labels = linked.get("labels")?;
        let find = |locale: &str| labels.get(locale)?.as_str().filter(|it| !it.is_empty());
        find(locale).or_else(|| find(self.first())).map(str::to_owned)
    }

    /// Everything in one locale.
    pub fn all(&self, values: &Seen, locale: &str) -> BTreeMap<String, Json> {
        values.keys().filter_map(|code| Some(((*code).to_owned(), self.shown(values, code, locale)?))).collect()
    }

    pub fn text(&self, values: &Seen, code: &str, locale: &str) -> Option<String> {
        match self.shown(values, code, locale)? {
            Json::String(text) => Some(text).filter(|it| !it.trim().is_empty()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub fn own_text(&self, values: &Seen, code: Option<&String>) -> Option<String> {
        self.text(values, code?, self.first())
    }

    /// One text, or several.
    pub fn texts(&self, values: &Seen, code: &str) -> Vec<String> {
        match self.shown(values, code, self.first()) {
            Some(Json::String(text)) => vec![text],
            Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// The same as it is kept: codes, and no labels.
    pub fn codes(&self, values: &Seen, code: &str) -> Vec<String> {
        let data = self.pick(values, code, self.first()).and_then(|it| it.data.as_deref()).map(exact);
        match data {
            Some(Json::String(text)) => vec![text],
            Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// As a buyer chooses by it: `M`, `Sort`, `250 GRAM`.
    pub fn choice(&self, values: &Seen, code: &str) -> Option<String> {
        Some(match self.shown(values, code, self.first())? {
            Json::String(text) => text,
            Json::Array(all) => all.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
            Json::Object(measured) => {
                let part = |name: &str| measured.get(name).map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
                let amount = part("amount")?.parse::<Decimal>().ok()?.normalize();
                format!("{amount} {}", part("unit")?)
            }
            Json::Null => return None,
            other => other.to_string(),
        })
    }

    pub fn money(&self, values: &Seen, code: Option<&String>, currency: Currency) -> Result<Option<Money>, ParseError> {
        let Some(amounts) = code.map(|code| self.read::<Vec<Amount>>(values, code)).transpose()?.flatten() else {
            return Ok(None);
        };
        let own = amounts.into_iter().find(|it| it.currency == currency.code());
        Ok(own.and_then(|it| it.amount).map(|amount| Money::new(amount.0, currency)))
    }

    pub fn grams(&self, values: &Seen, code: Option<&String>) -> Result<Option<Decimal>, ParseError> {
        let Some(code) = code else { return Ok(None) };
        let Some(weight) = self.read::<Measurement>(values, code)? else { return Ok(None) };
        let Some(amount) = weight.amount else { return Ok(None) };
        let unknown = || ParseError::Content(format!("attribute `{code}`: its unit is no known one of weight"));
        let grams = amount.0.checked_mul(grams_in(&weight.unit).ok_or_else(unknown)?).ok_or_else(unknown)?;
        Ok(Some(grams.normalize()))
    }

    fn read<T: DeserializeOwned>(&self, values: &Seen, code: &str) -> Result<Option<T>, ParseError> {
        let Some(data) = self.pick(values, code, self.first()).and_then(|it| it.text()) else { return Ok(None) };
        let misfit = |error: ParseError| ParseError::Content(format!("attribute `{code}` is of another type: {error}"));
        spindel_connect::parse(data.as_bytes()).map(Some).map_err(misfit)
    }
}

/// The units of the PIM's own family of weights.
fn grams_in(unit: &str) -> Option<Decimal> {
    Some(match unit {
        "MICROGRAM" => Decimal::new(1, 6),
        "MILLIGRAM" => Decimal::new(1, 3),
        "GRAM" => Decimal::ONE,
        "KILOGRAM" => Decimal::ONE_THOUSAND,
        "TON" => Decimal::from(1_000_000),
        "GRAIN" => Decimal::new(6_479_891, 8),
        "OUNCE" => Decimal::new(28_349_523_125, 9),
        "POUND" => Decimal::new(45_359_237, 5),
        _ => return None,
    })
}

/// The JSON as it is, with fractions as text: they must not pass through a float.
fn exact(raw: &RawValue) -> Json {
    let text = raw.get();
    let read = match text.bytes().next() {
        Some(b'{') => serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text)
            .map(|all| all.into_iter().map(|(name, it)| (name, exact(&it))).collect()),
        Some(b'[') => serde_json::from_str::<Vec<Box<RawValue>>>(text).map(|all| all.iter().map(|it| exact(it)).collect()),
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => Ok(Json::from(text)),
        _ => serde_json::from_str(text),
    };
    read.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(json: &str) -> Values {
        serde_json::from_str(json).unwrap()
    }

    fn locales() -> Vec<String> {
        vec!["nb_NO".to_owned(), "sv_SE".to_owned()]
    }

    const VALUES: &str = r#"{
        "name": [{"locale":"en_US","scope":null,"data":"Jumper"},{"locale":"nb_NO","scope":null,"data":"Genser"}],
        "text": [{"locale":"nb_NO","scope":"print","data":"Trykk"},{"locale":"nb_NO","scope":"ecommerce","data":"Nett"}],
        "color": [{"locale":null,"scope":null,"data":"black",
            "linked_data":{"attribute":"color","code":"black","labels":{"nb_NO":"Sort","sv_SE":"Svart"}}}],
        "care": [{"locale":null,"scope":null,"data":["hand","cold"],
            "linked_data":{"hand":{"labels":{"nb_NO":"For hånd"}},"cold":{"labels":[]}}}],
        "volume": [{"locale":null,"scope":null,"data":{"amount":"0.2500","unit":"LITER"}}],
        "waist": [{"locale":null,"scope":null,"data":92.50}],
        "vegan": [{"locale":null,"scope":null,"data":true}],
        "empty": [{"locale":null,"scope":null,"data":null}]
    }"#;

    #[test]
    fn a_channel_sees_its_own_values_and_those_of_all_in_the_locale_asked_for() {
        let (values, locales) = (values(VALUES), locales());
        let view = View { channel: "ecommerce", locales: &locales };
        let seen = seen(&values);
        assert_eq!(view.text(&seen, "name", "nb_NO").as_deref(), Some("Genser"));
        assert_eq!(view.text(&seen, "name", "sv_SE"), None);
        assert_eq!(view.text(&seen, "text", "nb_NO").as_deref(), Some("Nett"));
        assert_eq!(view.shown(&seen, "empty", "nb_NO"), None);
        assert_eq!(view.shown(&seen, "none", "nb_NO"), None);
    }

    #[test]
    fn options_have_labels_and_those_without_one_show_that_of_the_first_locale_or_their_code() {
        let (values, locales) = (values(VALUES), locales());
        let view = View { channel: "ecommerce", locales: &locales };
        let seen = seen(&values);
        assert_eq!(view.shown(&seen, "color", "sv_SE"), Some(json!("Svart")));
        assert_eq!(view.shown(&seen, "care", "sv_SE"), Some(json!(["For hånd", "cold"])));
        assert_eq!(view.codes(&seen, "care"), ["hand", "cold"]);
        assert_eq!(view.choice(&seen, "volume").as_deref(), Some("0.25 LITER"));
        assert_eq!(view.choice(&seen, "vegan").as_deref(), Some("true"));
    }

    #[test]
    fn a_fraction_stays_the_text_that_it_was() {
        let (values, locales) = (values(VALUES), locales());
        let view = View { channel: "ecommerce", locales: &locales };
        assert_eq!(view.shown(&seen(&values), "waist", "nb_NO"), Some(json!("92.50")));
        assert_eq!(exact(&serde_json::from_str::<Box<RawValue>>(r#"{"a":[1,0.10]}"#).unwrap()), json!({ "a": [1, "0.10"] }));
    }

    #[test]
    fn prices_are_exact_in_every_currency_whether_they_are_text_or_a_number() {
        let values = values(
            r#"{"price":[{"locale":null,"scope":"ecommerce","data":[
                {"amount":"799.00","currency":"NOK"},{"amount":"849.90","currency":"SEK"},{"amount":"599.95","currency":"DKK"},
                {"amount":"69.10","currency":"EUR"},{"amount":11900,"currency":"JPY"},{"amount":"22.125","currency":"KWD"},
                {"amount":null,"currency":"USD"}]}]}"#,
        );
        let (locales, code) = (locales(), "price".to_owned());
        let view = View { channel: "ecommerce", locales: &locales };
        let money = |currency| view.money(&seen(&values), Some(&code), currency).unwrap();
        for (currency, minor) in [
            (Currency::NOK, 79_900),
            (Currency::SEK, 84_990),
            (Currency::DKK, 59_995),
            (Currency::EUR, 6_910),
            (Currency::JPY, 11_900),
            (Currency::KWD, 22_125),
        ] {
            assert_eq!(money(currency).unwrap().to_minor(), Some(minor), "{currency:?}");
        }
        assert_eq!((money(Currency::USD), money(Currency::GBP)), (None, None));
        assert_eq!(View { channel: "print", ..view }.money(&seen(&values), Some(&code), Currency::NOK).unwrap(), None);
        assert_eq!(view.money(&seen(&values), None, Currency::NOK).unwrap(), None);
    }

    #[test]
    fn a_weight_is_told_in_grams_and_a_unit_that_is_none_of_weight_is_an_error() {
        let (locales, code) = (locales(), "weight".to_owned());
        let view = View { channel: "ecommerce", locales: &locales };
        let grams = |data: &str| {
            let values = values(&format!(r#"{{"weight":[{{"locale":null,"scope":null,"data":{data}}}]}}"#));
            view.grams(&seen(&values), Some(&code)).map(|it| it.map(|grams| grams.to_string()))
        };
        for (data, want) in [
            (r#"{"amount":"0.4500","unit":"KILOGRAM"}"#, "450"),
            (r#"{"amount":12,"unit":"GRAM"}"#, "12"),
            (r#"{"amount":"1","unit":"POUND"}"#, "453.59237"),
            (r#"{"amount":"2","unit":"OUNCE"}"#, "56.69904625"),
        ] {
            assert_eq!(grams(data).unwrap().as_deref(), Some(want), "{data}");
        }
        assert_eq!(grams(r#"{"amount":null,"unit":"GRAM"}"#).unwrap(), None);
        assert!(grams(r#"{"amount":"1","unit":"LITER"}"#).unwrap_err().to_string().contains("`weight`"));
        assert!(grams(r#""heavy""#).is_err());
    }

    #[test]
    fn common_is_what_is_the_same_in_all() {
        let one = values(r#"{"a":[{"locale":null,"scope":null,"data":"1"}],"b":[{"locale":null,"scope":null,"data":"1"}]}"#);
        let other = values(r#"{"a":[{"locale":null,"scope":null,"data":"1"}],"b":[{"locale":null,"scope":null,"data":"2"}]}"#);
        assert_eq!(common(&[&one, &other]).into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(common(&[&one]).len(), 2);
        assert!(common(&[]).is_empty());
    }
}
