//! Customers of webhooks and of GraphQL, and what they consented to.

use super::{Address, Id, filled, split_tags};
use serde::Deserialize;
use spindel_model::{Attributes, Consent, ConsentState, Timestamp};

/// A customer as webhooks carry it, alone or within an order.
#[derive(Debug, Deserialize)]
pub(crate) struct Customer {
    pub id: Id,
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    default_address: Option<Address>,
    tags: Option<String>,
    #[serde(default)]
    tax_exempt: bool,
    email_marketing_consent: Option<Marketing>,
    sms_marketing_consent: Option<Marketing>,
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Marketing {
    state: Option<String>,
    consent_updated_at: Option<Timestamp>,
}

impl From<Marketing> for Consent {
    fn from(it: Marketing) -> Self {
        Self { state: consent(it.state.as_deref().unwrap_or_default()), at: it.consent_updated_at }
    }
}

impl From<Customer> for spindel_model::Customer {
    fn from(it: Customer) -> Self {
        Self {
            id: it.id.0,
            email: filled(it.email),
            phone: filled(it.phone),
            first_name: filled(it.first_name),
            last_name: filled(it.last_name),
            default_address: it.default_address.map(Into::into),
            locale: None,
            tags: split_tags(it.tags),
            tax_exempt: it.tax_exempt,
            email_consent: it.email_marketing_consent.map(Into::into).unwrap_or_default(),
            sms_consent: it.sms_marketing_consent.map(Into::into).unwrap_or_default(),
            updated_at: it.updated_at,
            attributes: Attributes::new(),
        }
    }
}

/// A customer as an order in GraphQL carries it. Consent to messages is not asked for there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphCustomer {
    id: Id,
    first_name: Option<String>,
    last_name: Option<String>,
    locale: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    tax_exempt: bool,
    updated_at: Option<Timestamp>,
    default_email_address: Option<GraphEmail>,
    default_phone_number: Option<GraphPhone>,
    default_address: Option<Address>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphEmail {
    email_address: Option<String>,
    marketing_state: Option<String>,
    marketing_updated_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphPhone {
    phone_number: Option<String>,
}

impl From<GraphCustomer> for spindel_model::Customer {
    fn from(it: GraphCustomer) -> Self {
        let (email, email_consent) = match it.default_email_address {
            None => (None, Consent::default()),
            Some(email) => {
                let state = consent(email.marketing_state.as_deref().unwrap_or_default());
                (email.email_address, Consent { state, at: email.marketing_updated_at })
            }
        };
        Self {
            id: it.id.0,
            email: filled(email),
            phone: it.default_phone_number.and_then(|phone| filled(phone.phone_number)),
            first_name: filled(it.first_name),
            last_name: filled(it.last_name),
            default_address: it.default_address.map(Into::into),
            locale: filled(it.locale),
            tags: it.tags,
            tax_exempt: it.tax_exempt,
            email_consent,
            sms_consent: Consent::default(),
            updated_at: it.updated_at,
            attributes: Attributes::new(),
        }
    }
}

/// In either spelling. `not_subscribed` says that nobody was asked.
fn consent(word: &str) -> ConsentState {
    match word.to_ascii_lowercase().as_str() {
        "subscribed" => ConsentState::Given,
        "pending" => ConsentState::Pending,
        "unsubscribed" => ConsentState::Withdrawn,
        _ => ConsentState::Unknown,
    }
}
