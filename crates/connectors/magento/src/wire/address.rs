//! Addresses of orders and of customers.

use super::{Flag, filled};
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    firstname: Option<String>,
    lastname: Option<String>,
    company: Option<String>,
    street: Option<Vec<String>>,
    city: Option<String>,
    /// Text on an order, an object on a customer.
    region: Value,
    postcode: Option<String>,
    country_id: Option<String>,
    telephone: Option<String>,
    pub default_billing: Flag,
}

impl Address {
    pub fn phone(&self) -> Option<String> {
        filled(self.telephone.clone())
    }

    /// `None` when nothing stands in it.
    pub fn canonical(&self) -> Option<spindel_model::Address> {
        let mut street = self.street.clone().unwrap_or_default().into_iter();
        let line1 = filled(street.next());
        let rest: Vec<String> = street.filter_map(|it| filled(Some(it))).collect();
        let region = match &self.region {
            Value::String(text) => Some(text.clone()),
            Value::Object(fields) => fields.get("region").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        let it = spindel_model::Address {
            first_name: filled(self.firstname.clone()),
            last_name: filled(self.lastname.clone()),
            company: filled(self.company.clone()),
            line1,
            line2: filled(Some(rest.join(", "))),
            postal_code: filled(self.postcode.clone()),
            city: filled(self.city.clone()),
            region: filled(region),
            country: filled(self.country_id.clone()),
            phone: self.phone(),
        };
        (it != spindel_model::Address::default()).then_some(it)
    }
}
