//! Rates on Shipmondo's own agreement, for the products of the settings in one call; delivery dates are of the settings.

use crate::{Shipmondo, settings::Service, wire};
use jiff::civil::Date;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Quote, carrier::working_days_after};
use spindel_model::{Address, Currency, Money, Parcel, Rate, RateRequest};
use std::str::FromStr;

const QUOTE: &str = "quote";

impl Quote for Shipmondo {
    async fn quote(&self, api: &Api, request: &RateRequest) -> Result<Vec<Rate>, CallError> {
        let asked = self.quote_request(request)?;
        let quoted: Vec<wire::Quoted> = api.post(QUOTE, "/quotes/list").json(&asked).fetch().await?;
        let handed_in = self.hand_in.next(api.now()).date();
        Ok(self.services.iter().filter_map(|it| rate(it, &quoted, handed_in)).collect())
    }
}

impl Shipmondo {
    fn quote_request(&self, request: &RateRequest) -> Result<Value, CallError> {
        if self.own_agreement {
            return Err(CallError::config(
                QUOTE,
                "Shipmondo lists prices of its own agreement only; with `own_agreement` there are none",
            ));
        }
        if self.services.is_empty() {
            return Err(CallError::config(QUOTE, "no `services` are set; name the products that a checkout is offered"));
        }
        let grams = self.parcel.whole_grams(Some(request.grams())).ok_or_else(|| {
            CallError::config(QUOTE, "the weight of the goods is not known; set `parcel.grams`, or weights in the shop")
        })?;
        let mut parcel = json!({ "quantity": 1, "weight": grams });
        if let Some((length, width, height)) = self.parcel.centimetres(&Parcel::default()) {
            parcel["length"] = json!(length);
            parcel["width"] = json!(width);
            parcel["height"] = json!(height);
        }
        let sender = match &request.origin {
            Some(origin) => place(origin)?,
            None => json!({
                "address1": self.sender.address,
                "zipcode": self.sender.postal_code,
                "city": self.sender.city,
                "country_code": self.sender.country.to_ascii_uppercase(),
            }),
        };
        Ok(json!({ "sender": sender, "receiver": place(&request.destination)?, "parcels": [parcel] }))
    }
}

/// Here a postal code is a `zipcode`, where shipments have `postal_code`. A checkout may not know the street yet.
fn place(address: &Address) -> Result<Value, CallError> {
    let (Some(country), Some(postal_code)) = (&address.country, &address.postal_code) else {
        return Err(CallError::data(QUOTE, "the address has no country or no postal code"));
    };
    let or_dash = |text: &Option<String>| text.clone().filter(|it| !it.trim().is_empty()).unwrap_or_else(|| "-".to_owned());
    Ok(json!({
        "address1": or_dash(&address.line1),
        "zipcode": postal_code,
        "city": or_dash(&address.city),
        "country_code": country.to_ascii_uppercase(),
    }))
}

/// The cheapest quote of a product; `None` where Shipmondo has none.
fn rate(service: &Service, quoted: &[wire::Quoted], handed_in: Date) -> Option<Rate> {
    let quote = quoted.iter().filter(|it| it.product_code == service.product).min_by_key(|it| it.price)?;
    let currency = Currency::from_str(&quote.currency_code).ok()?;
    let days = service.days.map(|(least, most)| (working_days_after(handed_in, least), working_days_after(handed_in, most)));
    let named = service.title.clone().or_else(|| quote.description.clone());
    Some(Rate {
        service: service.product.clone(),
        title: named.unwrap_or_else(|| service.product.clone()),
        description: quote.description.clone(),
        price: Money::new(quote.price.0, currency),
        earliest: days.map(|it| it.0),
        latest: days.map(|it| it.1),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn service(days: Option<(u8, u8)>) -> Service {
        Service { product: "GLSDK_SD".into(), with: Vec::new(), title: None, days }
    }

    fn quoted(prices: &[(&str, &str)]) -> Vec<wire::Quoted> {
        let one = |(price, currency): &(&str, &str)| {
            format!(
                r#"{{"carrier_code":"gls","product_code":"GLSDK_SD","price":{price},"price_before_vat":1,"currency_code":"{currency}"}}"#
            )
        };
        let json = format!("[{}]", prices.iter().map(one).collect::<Vec<_>>().join(","));
        serde_json::from_str(&json).unwrap()
    }

    fn today() -> Date {
        "2026-11-20".parse().unwrap()
    }

    #[test]
    fn prices_are_exact_in_every_currency() {
        for (text, currency, minor) in [
            ("42.5", "DKK", 4_250),
            ("61.10", "NOK", 6_110),
            ("0.1", "SEK", 10),
            ("\"12.35\"", "EUR", 1_235),
            ("1200", "JPY", 1_200),
            ("3.125", "KWD", 3_125),
        ] {
            let rate = rate(&service(None), &quoted(&[(text, currency)]), today()).unwrap();
            assert_eq!(rate.price.to_minor(), Some(minor), "{text} {currency}");
            assert_eq!(rate.price.currency.code(), currency);
            assert_eq!((rate.earliest, rate.latest), (None, None));
        }
    }

    #[test]
    fn the_cheapest_way_of_a_product_is_told_with_its_days() {
        let rate = rate(&service(Some((1, 2))), &quoted(&[("50", "DKK"), ("42.5", "DKK")]), today()).unwrap();
        assert_eq!(rate.price.to_string(), "42.5 DKK");
        assert_eq!(rate.earliest.unwrap().to_string(), "2026-11-23");
        assert_eq!(rate.latest.unwrap().to_string(), "2026-11-24");
    }

    #[test]
    fn a_product_without_a_price_is_left_out() {
        assert_eq!(rate(&service(None), &[], today()), None);
        assert_eq!(rate(&service(None), &quoted(&[("1", "XXZ")]), today()), None);
    }
}
