//! Reading a contact back.

use crate::{CRM, Hubspot, wire::Object};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Address, Consent, ConsentState, Customer};

const OPERATION: &str = "read_contact";
const PROPERTIES: &str = "email,firstname,lastname,phone,company,address,zip,city,state,country,hs_email_optout";

impl Read<Customer> for Hubspot {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Customer>, CallError> {
        if id.is_empty() || !id.bytes().all(|it| it.is_ascii_digit()) {
            return Ok(None);
        }
        let read = api.get(OPERATION, format!("{CRM}/contacts/{id}?properties={PROPERTIES}")).find::<Object>().await?;
        Ok(read.filter(|it| !it.archived).map(|it| customer(&it)))
    }
}

fn customer(contact: &Object) -> Customer {
    let address = Address {
        company: contact.text("company"),
        line1: contact.text("address"),
        postal_code: contact.text("zip"),
        city: contact.text("city"),
        region: contact.text("state"),
        country: contact.text("country"),
        ..Address::default()
    };
    // That somebody did not opt out is no consent.
    let state = match contact.text("hs_email_optout").as_deref() {
        Some("true") => ConsentState::Withdrawn,
        _ => ConsentState::Unknown,
    };
    Customer {
        id: contact.id.clone(),
        email: contact.text("email"),
        phone: contact.text("phone"),
        first_name: contact.text("firstname"),
        last_name: contact.text("lastname"),
        default_address: (address != Address::default()).then_some(address),
        locale: None,
        tags: Vec::new(),
        tax_exempt: false,
        email_consent: Consent { state, at: None },
        sms_consent: Consent::default(),
        updated_at: contact.updated_at,
        attributes: Default::default(),
    }
}
