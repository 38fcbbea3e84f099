//! Acme's checkout asks what it costs to send a cart.

use crate::{account::Acme, wire};
use http::StatusCode;
use serde_json::json;
use spindel_connect::{Answer, Checkout, ParseError, Proof, Receive as _, Verified};
use spindel_model::{Address, Money, Rate, RateItem, RateRequest};

impl Checkout for Acme {
    fn rate_proof(&self) -> Proof {
        self.proof(&[])
    }

    fn rate_request(&self, asked: &Verified) -> Result<RateRequest, ParseError> {
        let cart: wire::Cart = asked.json()?;
        let item = |it: wire::CartLine| RateItem {
            sku: Some(it.sku),
            quantity: it.quantity.0,
            grams: it.grams.0,
            price: Money::from_minor(it.cents, cart.currency),
        };
        let destination = Address { country: Some(cart.country), postal_code: Some(cart.postal_code), ..Address::default() };
        let items = cart.lines.into_iter().map(item).collect();
        Ok(RateRequest { currency: cart.currency, locale: None, origin: None, destination, items })
    }

    fn rate_answer(&self, rates: &[Rate]) -> Answer {
        let rate = |it: &Rate| json!({ "code": it.service, "name": it.title, "price": it.price.amount.to_string() });
        let body = json!({ "offers": rates.iter().map(rate).collect::<Vec<_>>() });
        Answer { status: StatusCode::OK, content_type: "application/json", body: body.to_string().into() }
    }
}
