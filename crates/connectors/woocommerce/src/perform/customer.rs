//! `upsert_customer`: people with an account, found by link or by e-mail, which is unique in a shop.

use crate::{
    Woocommerce,
    wire::{Address, Id},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Performed, UpsertCustomer};

const OPERATION: &str = "upsert_customer";

#[derive(Deserialize)]
struct Saved {
    id: Id,
}

impl Perform<UpsertCustomer> for Woocommerce {
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertCustomer>) -> Result<Performed, CallError> {
        let customer = &*ask.verb.customer;
        let email = customer.email.as_deref().filter(|it| !it.is_empty());
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
        put("first_name", customer.first_name.clone().map(Value::from));
        put("last_name", customer.last_name.clone().map(Value::from));
        put("email", email.map(Value::from));
        if let Some(address) = &customer.default_address {
            let mut address = address.clone();
            address.phone = address.phone.or_else(|| customer.phone.clone());
            put("billing", Some(json!(Address::of(&address, email.map(str::to_owned)))));
            put("shipping", Some(json!(Address::of(&address, None))));
        } else if let Some(phone) = &customer.phone {
            put("billing", Some(json!({ "phone": phone })));
        }
        let id = match (ask.known, email) {
            (Some(known), _) => Some(crate::read::checked(OPERATION, known)?.to_owned()),
            (None, Some(email)) => self.customer_with(api, email).await?,
            (None, None) => {
                return Err(CallError::data(OPERATION, "the customer has no e-mail, and there is no account without"));
            }
        };
        let saved: Saved = match id {
            Some(id) => api.put(OPERATION, self.path(&format!("/customers/{id}"), &[])).json(&body).fetch().await?,
            None => api.post(OPERATION, self.path("/customers", &[])).json(&body).fetch().await?,
        };
        Ok(Performed::at(saved.id.0))
    }
}

impl Woocommerce {
    /// Of any role: an administrator who buys something is a customer, too.
    async fn customer_with(&self, api: &Api, email: &str) -> Result<Option<String>, CallError> {
        let query = [("email", email), ("role", "all"), ("_fields", "id")];
        let found: Vec<Saved> = api.get(OPERATION, self.path("/customers", &query)).fetch().await?;
        Ok(found.into_iter().next().map(|it| it.id.0))
    }
}
