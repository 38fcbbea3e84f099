//! Customers: people with an account.

use super::{Address, Id, Utc, filled};
use serde::Deserialize;
use spindel_model::{Attributes, Consent, Timestamp};

#[derive(Clone, Deserialize)]
pub(crate) struct Customer {
    pub id: Id,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    role: Option<String>,
    #[serde(default)]
    billing: Address,
    #[serde(default)]
    date_created_gmt: Utc,
    #[serde(default)]
    date_modified_gmt: Utc,
}

impl Customer {
    /// One that never changed has no time of change.
    pub fn modified(&self) -> Option<Timestamp> {
        self.date_modified_gmt.0.or(self.date_created_gmt.0)
    }
}

impl From<Customer> for spindel_model::Customer {
    fn from(it: Customer) -> Self {
        let role = filled(it.role.clone());
        Self {
            updated_at: it.modified(),
            id: it.id.0,
            email: filled(it.email).or_else(|| it.billing.email()),
            phone: it.billing.phone(),
            first_name: filled(it.first_name),
            last_name: filled(it.last_name),
            default_address: it.billing.canonical(),
            locale: None,
            tags: Vec::new(),
            tax_exempt: false,
            email_consent: Consent::default(),
            sms_consent: Consent::default(),
            attributes: role.map(|role| Attributes::from([("role".to_owned(), role.into())])).unwrap_or_default(),
        }
    }
}
