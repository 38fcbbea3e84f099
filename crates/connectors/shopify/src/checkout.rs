//! The carrier service: Shopify's checkout asks what it costs to send a cart, and shows what it is told.

use crate::{Shopify, wire::filled};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Answer, Checkout, ParseError, Proof, Receive as _, Verified};
use spindel_model::{Address, Currency, Decimal, Exact, Money, Rate, RateItem, RateRequest};

#[derive(Deserialize)]
struct Asked {
    rate: Question,
}

#[derive(Deserialize)]
struct Question {
    origin: Option<Place>,
    destination: Place,
    #[serde(default)]
    items: Vec<Item>,
    currency: Currency,
    locale: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    country: Option<String>,
    postal_code: Option<String>,
    province: Option<String>,
    city: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    company_name: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    sku: Option<String>,
    quantity: Exact,
    #[serde(default)]
    grams: Exact,
    price: Exact,
    #[serde(default = "yes")]
    requires_shipping: bool,
}

fn yes() -> bool {
    true
}

/// Amounts are whole hundredths, also where the currency has none (1000 JPY is 100000), and thousandths where it has those.
fn subunits(currency: Currency) -> Decimal {
    Decimal::from(10_i64.pow(u32::from(currency.exponent().unwrap_or(2)).max(2)))
}

impl Checkout for Shopify {
    /// As webhooks are signed.
    fn rate_proof(&self) -> Proof {
        self.proof(&[])
    }

    fn rate_request(&self, asked: &Verified) -> Result<RateRequest, ParseError> {
        let Asked { rate } = asked.json()?;
        let parts = subunits(rate.currency);
        let item = |it: Item| RateItem {
            sku: filled(it.sku),
            quantity: it.quantity.0,
            grams: it.grams.0,
            price: Money::new(it.price.0 / parts, rate.currency),
        };
        Ok(RateRequest {
            currency: rate.currency,
            locale: filled(rate.locale),
            origin: rate.origin.map(Address::from),
            destination: rate.destination.into(),
            items: rate.items.into_iter().filter(|it| it.requires_shipping).map(item).collect(),
        })
    }

    fn rate_answer(&self, rates: &[Rate]) -> Answer {
        // Noon says the day in every time zone of the Nordic countries.
        let noon = |day: jiff::civil::Date| format!("{day} 12:00:00 +0000");
        let rate = |it: &Rate| {
            let amount = (it.price.amount * subunits(it.price.currency)).ceil().normalize();
            let mut rate = json!({
                "service_name": it.title,
                "service_code": it.service,
                "total_price": amount.to_string(),
                "currency": it.price.currency.code(),
                "description": it.description.as_deref().unwrap_or_default(),
            });
            for (name, day) in [("min_delivery_date", it.earliest), ("max_delivery_date", it.latest)] {
                if let Some(day) = day {
                    rate[name] = json!(noon(day));
                }
            }
            rate
        };
        let body = json!({ "rates": rates.iter().map(rate).collect::<Vec<_>>() }).to_string();
        Answer { status: http::StatusCode::OK, content_type: "application/json", body: body.into() }
    }
}

/// Who lives there has no part in the price and is left out.
impl From<Place> for Address {
    fn from(it: Place) -> Self {
        Self {
            company: filled(it.company_name),
            line1: filled(it.address1),
            line2: filled(it.address2),
            postal_code: filled(it.postal_code),
            city: filled(it.city),
            region: filled(it.province),
            country: filled(it.country).map(|it| it.to_uppercase()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use spindel_connect::Connector as _;

    fn shop() -> Shopify {
        let settings = json!({ "shop": "a.myshopify.com", "client_id": "i", "client_secret": "s" });
        Shopify::connect(serde_json::from_value(settings).unwrap()).unwrap().0
    }

    #[test]
    fn prices_go_out_in_hundredths_whatever_the_currency_has() {
        for (minor, currency, text) in [
            (9900, Currency::NOK, "9900"),
            (1000, Currency::JPY, "100000"),
            (1234, Currency::KWD, "1234"),
            (0, Currency::EUR, "0"),
        ] {
            let rate = Rate {
                service: "HOME".into(),
                title: "Home".into(),
                description: None,
                price: Money::from_minor(minor, currency),
                earliest: None,
                latest: "2026-11-26".parse().ok(),
            };
            let answer: serde_json::Value = serde_json::from_slice(&shop().rate_answer(&[rate]).body).unwrap();
            assert_eq!(answer["rates"][0]["total_price"], text, "{currency:?}");
            assert_eq!(answer["rates"][0]["max_delivery_date"], "2026-11-26 12:00:00 +0000");
        }
    }
}
