//! What HubSpot can be asked to do: contacts in batches, and an order as a deal of its contact.

use crate::{ASSOCIATIONS, Hubspot, contact::Person};
use serde::de::IgnoredAny;
use spindel_connect::{Api, Ask, CallError, Perform, PerformBatch, Repeat};
use spindel_model::{ConsentState, Performed, PushOrder, UpsertCustomer};
use std::collections::BTreeMap;

const UPSERT: &str = "upsert_customer";
const PUSH: &str = "push_order";
const ASSOCIATE: &str = "associate_deal";

/// What became of a person.
#[derive(Clone)]
pub(crate) enum Settled {
    /// A contact with this id.
    Kept(String),
    /// Unsubscribed; the contact is left as it is.
    Withdrawn(String),
    /// HubSpot was told nothing.
    Untold,
}

impl PerformBatch<UpsertCustomer> for Hubspot {
    /// Values are set, and consent is compared before it is set.
    const REPEAT: Repeat = Repeat::Harmless;
    /// HubSpot takes a hundred; but consent takes calls of its own for each person.
    const MAX: usize = 50;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, UpsertCustomer>]) -> Vec<Result<Performed, CallError>> {
        let people: Vec<_> = asks.iter().map(|ask| (ask.from, self.person(UPSERT, &ask.verb.customer))).collect();
        let settled = self.settle(api, &people).await;
        settled.into_iter().map(|it| it.map(performed)).collect()
    }
}

fn performed(settled: Settled) -> Performed {
    match settled {
        Settled::Kept(id) | Settled::Withdrawn(id) => Performed::at(id),
        Settled::Untold => Performed::unchanged(),
    }
}

impl Perform<PushOrder> for Hubspot {
    /// The deal is found by a property with unique values.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, PushOrder>) -> Result<Performed, CallError> {
        let order = &ask.verb.order;
        let buyer = Self::buyer(order);
        // Nobody to be told about, and so nothing.
        if buyer.email.is_none() && !self.without_consent {
            return Ok(Performed::unchanged());
        }
        let person = self.person(PUSH, &buyer);
        let settled = self.settle(api, &[(ask.from, person)]).await.pop();
        let contact = match settled.unwrap_or_else(|| Err(CallError::unexpected(PUSH, "the buyer has no outcome")))? {
            Settled::Kept(id) => id,
            Settled::Withdrawn(_) | Settled::Untold => return Ok(Performed::unchanged()),
        };
        let deal = self.upsert_deal(api, order, &ask.around).await?;
        let path = format!("{ASSOCIATIONS}/deal/{}/associations/default/contact/{}", id(&deal)?, id(&contact)?);
        api.put(ASSOCIATE, path).fetch::<IgnoredAny>().await?;
        Ok(Performed::at(deal).numbered(&order.number))
    }
}

/// Ids are numbers; anything else would lead the call elsewhere.
fn id(text: &str) -> Result<&str, CallError> {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    is_number.then_some(text).ok_or_else(|| CallError::unexpected(ASSOCIATE, "an id of HubSpot is not a number"))
}

impl Hubspot {
    /// Does for every person what their consent allows; one outcome for each, in the same order.
    async fn settle(&self, api: &Api, people: &[(&str, Result<Person, CallError>)]) -> Vec<Result<Settled, CallError>> {
        // HubSpot refuses an address that stands twice: the last one counts, and speaks for all.
        let mut by_email: BTreeMap<&str, (&str, &Person)> = BTreeMap::new();
        for (from, person) in people {
            if let Ok(person) = person {
                by_email.insert(&person.email, (from, person));
            }
        }
        let kept: Vec<&Person> = by_email.values().map(|(_, person)| *person).filter(|it| self.may_keep(it)).collect();
        let mut contacts = self.upsert_contacts(api, &kept).await;
        let mut settled = BTreeMap::new();
        for (email, (from, person)) in by_email {
            let outcome = match contacts.remove(email) {
                Some(Ok(id)) => self.tell_consent(api, from, person).await.map(|()| Settled::Kept(id)),
                Some(Err(error)) => Err(error),
                None if person.consent == ConsentState::Withdrawn => self.withdraw(api, from, person).await,
                None => Ok(Settled::Untold),
            };
            settled.insert(email, outcome);
        }
        let outcome = |(_, person): &(&str, Result<Person, CallError>)| match person {
            Ok(person) => settled.get(person.email.as_str()).cloned().unwrap_or(Ok(Settled::Untold)),
            Err(error) => Err(error.clone()),
        };
        people.iter().map(outcome).collect()
    }

    /// Who is no contact has nothing to withdraw, and does not become known by it.
    async fn withdraw(&self, api: &Api, from: &str, person: &Person) -> Result<Settled, CallError> {
        let Some(id) = self.find_contact(api, &person.email).await? else { return Ok(Settled::Untold) };
        self.tell_consent(api, from, person).await?;
        Ok(Settled::Withdrawn(id))
    }
}
