//! Customers: accounts. Guests are none.

use super::{Id, Utc, address::Address, filled};
use serde::Deserialize;
use spindel_model::{Attributes, Consent, ConsentState};

#[derive(Deserialize)]
pub(crate) struct Customer {
    id: Id,
    group_id: Option<Id>,
    #[serde(default)]
    pub created_at: Utc,
    #[serde(default)]
    pub updated_at: Utc,
    email: Option<String>,
    firstname: Option<String>,
    lastname: Option<String>,
    taxvat: Option<String>,
    store_id: Option<Id>,
    #[serde(default)]
    addresses: Vec<Address>,
    extension_attributes: Option<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    is_subscribed: Option<bool>,
}

impl From<Customer> for spindel_model::Customer {
    fn from(it: Customer) -> Self {
        let address = it.addresses.iter().find(|it| it.default_billing.0).or_else(|| it.addresses.first());
        let subscribed = it.extension_attributes.as_ref().and_then(|it| it.is_subscribed) == Some(true);
        let mut attributes = Attributes::new();
        let group = it.group_id.as_ref().map(|it| it.0.clone());
        let store = it.store_id.as_ref().map(|it| it.0.clone());
        for (name, value) in [("group_id", group), ("store_id", store), ("taxvat", filled(it.taxvat))] {
            attributes.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        Self {
            id: it.id.0,
            email: filled(it.email),
            phone: address.and_then(Address::phone),
            first_name: filled(it.firstname),
            last_name: filled(it.lastname),
            default_address: address.and_then(Address::canonical),
            locale: None,
            tags: Vec::new(),
            tax_exempt: false,
            // Not subscribed is no word against it: most never were asked.
            email_consent: if subscribed { Consent { state: ConsentState::Given, at: None } } else { Consent::default() },
            sms_consent: Consent::default(),
            updated_at: it.updated_at.0,
            attributes,
        }
    }
}
