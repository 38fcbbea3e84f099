//! People as contacts. They are known by their email address.

use crate::{
    CRM, Hubspot,
    reply::refusal,
    wire::{Batch, Inputs, Properties, Upsert},
};
use serde_json::json;
use spindel_connect::{Api, CallError};
use spindel_model::{ConsentState, Customer, ErrorClass, Order, Timestamp};
use std::collections::BTreeMap;

const UPSERT: &str = "upsert_contacts";
const FIND: &str = "find_contact";

/// What HubSpot may be told about a person.
pub(crate) struct Person {
    /// Trimmed and in small letters, as HubSpot keeps it.
    pub email: String,
    pub properties: Properties,
    pub consent: ConsentState,
    pub consent_at: Option<Timestamp>,
}

impl Hubspot {
    pub(crate) fn person(&self, operation: &'static str, customer: &Customer) -> Result<Person, CallError> {
        let email = customer.email.as_deref().unwrap_or_default().trim().to_lowercase();
        if !email.contains('@') {
            let message = format!("customer {} has no email address, and HubSpot knows contacts by it", customer.id);
            return Err(CallError::data(operation, message));
        }
        let mut properties = Properties::new();
        let mut set = |name: &str, value: Option<&str>| {
            if let Some(value) = value.map(str::trim).filter(|it| !it.is_empty()) {
                properties.insert(name.to_owned(), json!(value));
            }
        };
        let address = customer.default_address.clone().unwrap_or_default();
        set("email", Some(&email));
        set("firstname", customer.first_name.as_deref().or(address.first_name.as_deref()));
        set("lastname", customer.last_name.as_deref().or(address.last_name.as_deref()));
        set("phone", customer.phone.as_deref().or(address.phone.as_deref()));
        set("company", address.company.as_deref());
        let street = [address.line1.as_deref(), address.line2.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
        set("address", Some(&street));
        set("zip", address.postal_code.as_deref());
        set("city", address.city.as_deref());
        set("state", address.region.as_deref());
        set("country", address.country.as_deref());
        if let Some(name) = &self.customer_id_property {
            set(name, Some(&customer.id));
        }
        let (consent, consent_at) = (customer.email_consent.state, customer.email_consent.at);
        Ok(Person { email, properties, consent, consent_at })
    }

    /// The buyer of an order; a guest as far as the order says who it is.
    pub(crate) fn buyer(order: &Order) -> Customer {
        let mut customer = order.customer.clone().unwrap_or_else(|| Customer {
            id: order.id.clone(),
            email: None,
            phone: None,
            first_name: None,
            last_name: None,
            default_address: None,
            locale: None,
            tags: Vec::new(),
            tax_exempt: false,
            email_consent: Default::default(),
            sms_consent: Default::default(),
            updated_at: None,
            attributes: Default::default(),
        });
        customer.email = customer.email.or_else(|| order.email.clone());
        customer.phone = customer.phone.or_else(|| order.phone.clone());
        customer.default_address = customer.default_address.or_else(|| order.billing_address.clone());
        customer
    }

    /// Whether this person may be in the CRM at all.
    pub(crate) fn may_keep(&self, person: &Person) -> bool {
        self.without_consent || person.consent == ConsentState::Given
    }

    /// Writes them in one call, and one by one those that the one call did not. An address appears once.
    pub(crate) async fn upsert_contacts(&self, api: &Api, people: &[&Person]) -> BTreeMap<String, Result<String, CallError>> {
        let mut done = BTreeMap::new();
        if people.len() > 1 {
            match upsert(api, people).await {
                Ok(batch) => {
                    for contact in batch.results {
                        if let Some(email) = contact.text("email") {
                            done.insert(email.to_lowercase(), Ok(contact.id));
                        }
                    }
                }
                // One that does not fit makes HubSpot refuse all of them.
                Err(error) if error.class == ErrorClass::Data => {}
                Err(error) => return people.iter().map(|it| (it.email.clone(), Err(error.clone()))).collect(),
            }
        }
        for person in people {
            if !done.contains_key(&person.email) {
                let outcome = upsert(api, &[person]).await.and_then(|it| only(UPSERT, it));
                done.insert(person.email.clone(), outcome);
            }
        }
        done
    }

    /// The contact with this address, if there is one. The address stands in the body: addresses of calls are kept.
    pub(crate) async fn find_contact(&self, api: &Api, email: &str) -> Result<Option<String>, CallError> {
        let body = json!({ "idProperty": "email", "properties": ["email"], "inputs": [{ "id": email }] });
        let found: Batch = api.post(FIND, format!("{CRM}/contacts/batch/read")).json(&body).fetch().await?;
        Ok(found.results.into_iter().next().map(|it| it.id))
    }
}

async fn upsert(api: &Api, people: &[&Person]) -> Result<Batch, CallError> {
    let input = |it: &&Person| -> (String, Properties) { (it.email.clone(), it.properties.clone()) };
    let values: Vec<_> = people.iter().map(input).collect();
    let inputs = values.iter().map(|(id, properties)| Upsert { id, id_property: "email", properties }).collect();
    api.post(UPSERT, format!("{CRM}/contacts/batch/upsert")).json(&Inputs { inputs }).fetch().await
}

/// The id of the one object of a batch of one.
pub(crate) fn only(operation: &'static str, batch: Batch) -> Result<String, CallError> {
    match (batch.results.into_iter().next(), batch.errors.first()) {
        (Some(object), _) => Ok(object.id),
        (None, Some(problem)) => Err(CallError::data(operation, refusal(problem))),
        (None, None) => Err(CallError::unexpected(operation, "neither a record nor an error came back")),
    }
}
