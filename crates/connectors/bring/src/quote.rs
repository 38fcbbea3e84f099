//! Rates with delivery dates from the Shipping Guide, for the services of the settings in one call.

use crate::{Bring, Prices, wire};
use jiff::civil::Date;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Quote};
use spindel_model::{Currency, Decimal, Exact, Money, Parcel, Rate, RateRequest, Timestamp};
use std::str::FromStr;

const QUOTE: &str = "quote";

impl Quote for Bring {
    async fn quote(&self, api: &Api, request: &RateRequest) -> Result<Vec<Rate>, CallError> {
        let asked = self.guide_request(request, api.now())?;
        let guide: wire::Guide = api.post(QUOTE, "/shippingguide/api/v2/products").json(&asked).fetch().await?;
        let products = guide.consignments.into_iter().flat_map(|it| it.products);
        Ok(products.filter_map(|it| self.rate(it)).collect())
    }
}

impl Bring {
    fn guide_request(&self, request: &RateRequest, now: Timestamp) -> Result<Value, CallError> {
        if self.services.is_empty() {
            return Err(CallError::config(
                QUOTE,
                "no `services` are set; name those that a checkout is offered, as in `[\"5800\"]`",
            ));
        }
        let to = &request.destination;
        let (Some(country), Some(postal_code)) = (&to.country, &to.postal_code) else {
            return Err(CallError::data(QUOTE, "the destination has no country or no postal code"));
        };
        let origin = request.origin.as_ref();
        let from_country = origin.and_then(|it| it.country.as_ref()).unwrap_or(&self.sender.country);
        let from_postal_code = origin.and_then(|it| it.postal_code.as_ref()).unwrap_or(&self.sender.postal_code);
        let at = self.hand_in.next(now);
        let products: Vec<Value> =
            self.services.iter().map(|id| json!({ "id": id, "customerNumber": self.customer_number })).collect();
        Ok(json!({
            "language": self.language_of(request.locale.as_deref()),
            "withPrice": true,
            "withExpectedDelivery": true,
            "withGuiInformation": true,
            "numberOfAlternativeDeliveryDates": 0,
            "edi": true,
            "postingAtPostOffice": false,
            "trace": false,
            "consignments": [{
                "id": "1",
                "products": products,
                "fromCountryCode": from_country.to_ascii_uppercase(),
                "fromPostalCode": from_postal_code,
                "toCountryCode": country.to_ascii_uppercase(),
                "toPostalCode": postal_code,
                "addressLine": to.line1,
                "shippingDate": {
                    "year": at.year().to_string(),
                    "month": at.month().to_string(),
                    "day": at.day().to_string(),
                    "hour": at.hour().to_string(),
                    "minute": at.minute().to_string(),
                },
                "packages": [self.guide_package(request)?],
                "additionalServices": if self.notify { json!([{ "id": "EVARSLING" }]) } else { json!([]) },
            }],
        }))
    }

    fn guide_package(&self, request: &RateRequest) -> Result<Value, CallError> {
        let grams = self.parcel.grams(Some(request.grams())).ok_or_else(|| {
            CallError::config(QUOTE, "the weight of the goods is not known; set `parcel.grams`, or weights in the shop")
        })?;
        // Whole grams here, where bookings are in kilograms.
        let grams = u64::try_from(grams.ceil()).map_err(|_| CallError::data(QUOTE, "the weight of the goods is out of range"))?;
        let mut package = json!({ "id": "1", "grossWeight": grams });
        if let Some((length, width, height)) = self.parcel.centimetres(&Parcel::default()) {
            package["length"] = json!(length);
            package["width"] = json!(width);
            package["height"] = json!(height);
        }
        Ok(package)
    }

    fn language_of(&self, locale: Option<&str>) -> &str {
        match locale.and_then(|it| it.split(['-', '_']).next()) {
            Some("nb" | "nn" | "no") => "no",
            // By country, as Bring has them.
            Some("sv") => "se",
            Some("da") => "dk",
            Some("en") => "en",
            _ => &self.language,
        }
    }

    /// `None` for a service that cannot carry it, or whose price is not told.
    fn rate(&self, product: wire::GuideProduct) -> Option<Rate> {
        if product.errors.is_some_and(|it| !it.is_empty()) {
            return None;
        }
        let price = product.price?;
        let priced = match self.prices {
            Prices::Agreed => price.net_price.filter(|it| it.price_with_additional_services.is_some()).or(price.list_price),
            Prices::List => price.list_price,
        }?;
        let currency = Currency::from_str(&priced.currency_code).ok()?;
        let price = Money::new(priced.price_with_additional_services?.with_vat.0, currency);
        let gui = product.gui_information;
        let title = gui.as_ref().and_then(|it| it.display_name.clone().or_else(|| it.product_name.clone()));
        let date = product.expected_delivery.and_then(|it| it.expected_delivery_date).and_then(|it| it.date());
        Some(Rate {
            title: title.unwrap_or_else(|| format!("Bring {}", product.id)),
            service: product.id,
            description: gui.and_then(|it| it.description_text),
            price,
            earliest: date,
            latest: date,
        })
    }
}

impl wire::DateParts {
    fn date(&self) -> Option<Date> {
        fn whole<T: TryFrom<Decimal>>(part: &Exact) -> Option<T> {
            T::try_from(part.0).ok()
        }
        Date::new(whole(&self.year)?, whole(&self.month)?, whole(&self.day)?).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use spindel_connect::Connector as _;

    fn bring(extra: &[(&str, Value)]) -> Bring {
        let mut settings: Value = serde_json::from_str(include_str!("../fixtures/config.json")).unwrap();
        for (key, value) in extra {
            settings[*key] = value.clone();
        }
        Bring::connect(serde_json::from_value(settings).unwrap()).unwrap().0
    }

    fn product(list: &str, net: Option<&str>, currency: &str) -> wire::GuideProduct {
        let priced = |amount: &str| {
            let amounts = json!({ "amountWithoutVAT": "1", "vat": "0", "amountWithVAT": amount });
            json!({ "priceWithAdditionalServices": amounts, "currencyCode": currency })
        };
        let net = net.map(priced);
        let product = json!({ "id": "5800", "price": { "listPrice": priced(list), "netPrice": net } });
        // By way of text: an exact number is read from what was sent.
        serde_json::from_str(&product.to_string()).unwrap()
    }

    #[test]
    fn prices_are_exact_in_every_currency() {
        for (text, currency, minor) in [
            ("182.19", "NOK", 18_219),
            ("99.00", "SEK", 9_900),
            ("45.10", "DKK", 4_510),
            ("12.35", "EUR", 1_235),
            ("1200", "JPY", 1_200),
            ("3.125", "KWD", 3_125),
        ] {
            let rate = bring(&[]).rate(product(text, None, currency)).unwrap();
            let currency = Currency::from_str(currency).unwrap();
            assert_eq!(rate.price.currency, currency);
            assert_eq!(rate.price.to_minor(), Some(minor), "{text} {}", currency.code());
        }
    }

    #[test]
    fn the_agreed_price_is_told_unless_the_list_price_is_wanted() {
        let amount = |bring: Bring, net| bring.rate(product("182.19", net, "NOK")).unwrap().price.amount.to_string();
        assert_eq!(amount(bring(&[]), Some("101.50")), "101.50");
        assert_eq!(amount(bring(&[]), None), "182.19");
        assert_eq!(amount(bring(&[("prices", json!("list"))]), Some("101.50")), "182.19");
    }

    #[test]
    fn a_currency_that_does_not_exist_is_left_out() {
        assert_eq!(bring(&[]).rate(product("1", None, "XXZ")), None);
    }

    #[test]
    fn names_come_in_the_buyers_language_where_bring_has_it() {
        let bring = bring(&[("language", json!("se"))]);
        for (locale, language) in [
            (Some("nb-NO"), "no"),
            (Some("sv"), "se"),
            (Some("da_DK"), "dk"),
            (Some("en-GB"), "en"),
            (Some("de-DE"), "se"),
            (None, "se"),
        ] {
            assert_eq!(bring.language_of(locale), language);
        }
    }
}
