//! Records of Business Central as canonical ones, and reading them back one by one.

use crate::{BusinessCentral, wire};
use serde::de::DeserializeOwned;
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Address, Consent, Currency, Customer, Money, Price, Timestamp};
use uuid::Uuid;

impl Read<Price> for BusinessCentral {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Price>, CallError> {
        let item: Option<wire::Item> = self.one(api, "read_item", "items", id).await?;
        Ok(item.and_then(|it| price(&it, self.currency)))
    }
}

impl Read<Customer> for BusinessCentral {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Customer>, CallError> {
        let found: Option<wire::Customer> = self.one(api, "read_customer", "customers", id).await?;
        Ok(found.map(customer))
    }
}

impl BusinessCentral {
    /// A record by its id; `None` when there is no such record.
    pub(crate) async fn one<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        set: &str,
        id: &str,
    ) -> Result<Option<T>, CallError> {
        let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
        api.get(operation, self.path(&format!("{set}({id})"))).find().await
    }
}

/// `None` for a price of zero: nobody has set one yet.
pub fn price(item: &wire::Item, currency: Currency) -> Option<Price> {
    let amount = Money::new(item.unit_price.0, currency).rounded();
    (!amount.is_zero()).then(|| Price {
        sku: item.number.clone(),
        amount,
        compare_at: None,
        includes_tax: item.price_includes_tax,
        sale_from: None,
        sale_until: None,
        as_of: item.last_modified_date_time,
    })
}

pub fn customer(it: wire::Customer) -> Customer {
    let is_company = it.kind == "Company";
    // One field holds the whole name; the last word is the family's.
    let (first, last) = match it.display_name.trim().rsplit_once(' ') {
        Some((first, last)) => (first.trim().to_owned(), last.to_owned()),
        None => (it.display_name.trim().to_owned(), String::new()),
    };
    let (first_name, last_name) = if is_company { (None, None) } else { (text(first), text(last)) };
    let address = Address {
        first_name: first_name.clone(),
        last_name: last_name.clone(),
        company: text(it.display_name).filter(|_| is_company),
        line1: text(it.address_line1),
        line2: text(it.address_line2),
        postal_code: text(it.postal_code),
        city: text(it.city),
        region: text(it.state),
        country: text(it.country),
        phone: None,
    };
    Customer {
        id: it.id,
        email: text(it.email),
        phone: text(it.phone_number),
        first_name,
        last_name,
        default_address: Some(address),
        locale: None,
        tags: Vec::new(),
        tax_exempt: false,
        email_consent: Consent::default(),
        sms_consent: Consent::default(),
        updated_at: it.last_modified_date_time.filter(|at| *at > Timestamp::UNIX_EPOCH),
        attributes: [("number".to_owned(), it.number.into())].into_iter().collect(),
    }
}

/// An empty text says nothing.
fn text(text: String) -> Option<String> {
    Some(text).filter(|it| !it.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(price: &str, includes_tax: bool) -> wire::Item {
        let json = format!(
            r#"{{"id":"i","number":"ULL-M","type":"Inventory","unitPrice":{price},"priceIncludesTax":{includes_tax},
                "lastModifiedDateTime":"2026-11-20T09:00:00.123Z"}}"#
        );
        spindel_connect::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_price_is_exact_to_the_smallest_unit_of_its_currency() {
        for (code, given, want) in [
            ("NOK", "799.2", "799.20 NOK"),
            ("SEK", "0.005", "0.01 SEK"),
            ("DKK", "1234567.89", "1234567.89 DKK"),
            ("EUR", "19.99", "19.99 EUR"),
            ("JPY", "1280", "1280 JPY"),
            ("KWD", "4.125", "4.125 KWD"),
        ] {
            let price = price(&item(given, true), code.parse().unwrap()).unwrap();
            assert_eq!(price.amount.to_string(), want);
            assert!(price.includes_tax);
        }
    }

    #[test]
    fn a_price_that_nobody_set_is_none() {
        assert_eq!(price(&item("0", false), Currency::NOK), None);
    }

    #[test]
    fn a_company_has_no_first_name_and_a_person_no_company() {
        let read = |kind: &str, name: &str| {
            let json = json!({ "id": "c", "number": "10000", "type": kind, "displayName": name, "email": "" });
            customer(serde_json::from_value(json).unwrap())
        };
        let company = read("Company", "Fjord Ull AS");
        let address = company.default_address.unwrap();
        assert_eq!((company.first_name, address.company.as_deref()), (None, Some("Fjord Ull AS")));
        let person = read("Person", "Kari Anne Nordmann");
        assert_eq!((person.first_name.as_deref(), person.last_name.as_deref()), (Some("Kari Anne"), Some("Nordmann")));
        assert_eq!(person.email, None);
    }
}
