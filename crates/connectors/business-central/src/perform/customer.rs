//! Customers: found by e-mail address, for that is all Business Central and a shop have in common.

use crate::{
    BusinessCentral, Customers,
    wire::{self, Id, List, get_unseen, quoted, with_query},
};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Address, Customer, Order, Performed};
use std::collections::BTreeMap;

/// Texts of a record, by field.
pub type Fields = BTreeMap<&'static str, String>;

impl BusinessCentral {
    /// Id of the customer of an order; created when it is new.
    pub(super) async fn customer_of(&self, api: &Api, order: &Order) -> Result<String, CallError> {
        const OPERATION: &str = "find_customer";
        let buyer = order.customer.as_ref();
        let email =
            order.email.as_deref().or(buyer.and_then(|it| it.email.as_deref())).map(str::trim).filter(|it| !it.is_empty());
        let Some(email) = email.filter(|_| self.config.customers == Customers::Each) else {
            return self.customer_by_number(api).await;
        };
        if let Some(found) = self.customer_by_email(api, OPERATION, email).await? {
            return Ok(found.id);
        }
        let address = order.billing_address.as_ref().or(order.shipping_address.as_ref());
        let address = address.or(buyer.and_then(|it| it.default_address.as_ref()));
        let person = buyer.and_then(name_of);
        let phone = order.phone.as_deref().or(buyer.and_then(|it| it.phone.as_deref()));
        let fields = new_customer(address, person.as_deref(), email, phone);
        let made: Id = api.post("create_customer", self.path("customers")).json(&fields).fetch().await?;
        Ok(made.id)
    }

    async fn customer_by_number(&self, api: &Api) -> Result<String, CallError> {
        const OPERATION: &str = "find_customer";
        let number = self.config.customer.as_deref().ok_or_else(|| {
            let problem = "the order has no e-mail address: set `customer` of this connection to the customer for such orders";
            CallError::config(OPERATION, problem)
        })?;
        let filter = format!("number eq {}", quoted(number));
        let options = [("$filter", filter.as_str()), ("$top", "1"), ("$select", "id")];
        let found: List<Id> = api.get(OPERATION, with_query(self.path("customers"), &options)).fetch().await?;
        let missing = || CallError::config(OPERATION, format!("`customer`: there is no customer {number} in Business Central"));
        found.value.into_iter().next().map(|it| it.id).ok_or_else(missing)
    }

    /// Of several with the same address the one with the lowest number, so that it is always the same.
    async fn customer_by_email(
        &self,
        api: &Api,
        operation: &'static str,
        email: &str,
    ) -> Result<Option<wire::Customer>, CallError> {
        let lower = email.to_lowercase();
        let mut filter = format!("email eq {}", quoted(email));
        if lower != email {
            filter.push_str(&format!(" or email eq {}", quoted(&lower)));
        }
        let options = [("$filter", filter.as_str()), ("$orderby", "number"), ("$top", "1")];
        let path = with_query(self.path("customers"), &options);
        let found: List<wire::Customer> = get_unseen(api, operation, &path).await?;
        Ok(found.value.into_iter().next())
    }

    pub(super) async fn upsert_customer(
        &self,
        api: &Api,
        customer: &Customer,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        const OPERATION: &str = "upsert_customer";
        let fields = fields_of(customer);
        let Some(found) = self.find_customer(api, customer, around).await? else {
            let made: wire::Customer = api.post(OPERATION, self.path("customers")).json(&named(fields)).fetch().await?;
            return Ok(Performed::at(made.id).numbered(made.number));
        };
        let performed = Performed::at(&found.id).numbered(&found.number);
        if has(&found, &fields) {
            return Ok(Performed { unchanged: true, ..performed });
        }
        let path = self.path(&format!("customers({})", found.id));
        api.patch(OPERATION, path).header("if-match", &found.etag).json(&fields).send().await?;
        Ok(performed)
    }

    pub(super) async fn upserted_customer(
        &self,
        api: &Api,
        customer: &Customer,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        let found = self.find_customer(api, customer, around).await?;
        let found = found.filter(|it| has(it, &fields_of(customer)));
        Ok(found.map(|it| Performed::at(it.id).numbered(it.number)))
    }

    /// By the link that is known, else by e-mail address.
    async fn find_customer(
        &self,
        api: &Api,
        customer: &Customer,
        around: &Around<'_>,
    ) -> Result<Option<wire::Customer>, CallError> {
        const OPERATION: &str = "find_customer";
        if let Some(id) = around.known
            && let Some(found) = self.one(api, OPERATION, "customers", id).await?
        {
            return Ok(Some(found));
        }
        let email = customer.email.as_deref().map(str::trim).filter(|it| !it.is_empty());
        let email = email.ok_or_else(|| {
            CallError::data(OPERATION, "the customer has no e-mail address, by which it would be found in Business Central again")
        })?;
        self.customer_by_email(api, OPERATION, email).await
    }
}

/// What the source does not say stays as it is.
fn fields_of(customer: &Customer) -> Fields {
    let address = customer.default_address.as_ref();
    let mut fields = address.map(address_fields).unwrap_or_default();
    let company = address.and_then(|it| it.company.clone()).filter(|it| !it.trim().is_empty());
    let name = company.clone().or_else(|| name_of(customer)).or_else(|| address.and_then(Address::name));
    if let Some(name) = name {
        fields.insert("displayName", name);
        fields.insert("type", if company.is_some() { "Company" } else { "Person" }.to_owned());
    }
    put(&mut fields, "email", customer.email.as_deref());
    let phone = customer.phone.as_deref().or(address.and_then(|it| it.phone.as_deref()));
    put(&mut fields, "phoneNumber", phone);
    fields
}

fn new_customer(address: Option<&Address>, person: Option<&str>, email: &str, phone: Option<&str>) -> Fields {
    let mut fields = address.map(address_fields).unwrap_or_default();
    let company = address.and_then(|it| it.company.as_deref()).filter(|it| !it.trim().is_empty());
    let person = address.and_then(Address::name).or_else(|| person.map(str::to_owned));
    put(&mut fields, "displayName", company.or(person.as_deref()));
    fields.insert("type", if company.is_some() { "Company" } else { "Person" }.to_owned());
    put(&mut fields, "email", Some(email));
    put(&mut fields, "phoneNumber", phone.or(address.and_then(|it| it.phone.as_deref())));
    named(fields)
}

/// Business Central takes no customer without a name.
fn named(mut fields: Fields) -> Fields {
    if !fields.contains_key("displayName") {
        let name = fields.get("email").cloned().unwrap_or_default();
        fields.insert("displayName", name);
    }
    fields
}

fn address_fields(address: &Address) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "addressLine1", address.line1.as_deref());
    put(&mut fields, "addressLine2", address.line2.as_deref());
    put(&mut fields, "city", address.city.as_deref());
    put(&mut fields, "state", address.region.as_deref());
    put(&mut fields, "postalCode", address.postal_code.as_deref());
    put(&mut fields, "country", address.country.as_deref());
    fields
}

fn put(fields: &mut Fields, name: &'static str, value: Option<&str>) {
    if let Some(value) = value.map(str::trim).filter(|it| !it.is_empty()) {
        fields.insert(name, value.to_owned());
    }
}

fn name_of(customer: &Customer) -> Option<String> {
    let parts = [customer.first_name.as_deref(), customer.last_name.as_deref()];
    let name = parts.into_iter().flatten().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

fn has(found: &wire::Customer, fields: &Fields) -> bool {
    fields.iter().all(|(name, want)| {
        let there = match *name {
            "displayName" => &found.display_name,
            "type" => &found.kind,
            "addressLine1" => &found.address_line1,
            "addressLine2" => &found.address_line2,
            "city" => &found.city,
            "state" => &found.state,
            "postalCode" => &found.postal_code,
            "country" => &found.country,
            "email" => &found.email,
            "phoneNumber" => &found.phone_number,
            _ => return false,
        };
        there == want
    })
}
