//! Customers, guests and their addresses as parties.

use super::mark;
use crate::{
    Tryton,
    records::{Coded, Party, PartyAddress},
    rpc::Rpc,
};
use serde_json::{Value, json};
use spindel_connect::{Around, CallError};
use spindel_model::{Address, Customer, Order, Performed};
use std::collections::{BTreeSet, HashMap};

/// Who an order is for, as ids.
pub(super) struct Places {
    pub party: i64,
    pub billing: i64,
    pub shipping: i64,
}

impl Tryton {
    /// Makes who and what is missing. A party that is there stays as it is: an order is a snapshot, and older than the customer.
    pub(super) async fn places(&self, rpc: &Rpc<'_>, order: &Order, from: &str) -> Result<Places, CallError> {
        const OPERATION: &str = "create_party";
        let code = match &order.customer {
            Some(customer) => mark::customer_code(from, &customer.id),
            None => mark::guest_code(from, &order.id),
        };
        let (party, known) = match find(rpc, &code).await? {
            Some(party) => (party.id, party.addresses),
            None => {
                let person = order.customer.as_ref().map_or_else(|| Person::guest(order), Person::customer);
                let values = json!({
                    "name": person.name, "code": code,
                    "contact_mechanisms": [["create", person.contacts(from)]],
                });
                (rpc.create_one(OPERATION, "party.party", values).await?, Vec::new())
            }
        };
        let nowhere = Address::default();
        let billing = order.billing_address.as_ref().or(order.shipping_address.as_ref()).unwrap_or(&nowhere);
        let shipping = order.shipping_address.as_ref().unwrap_or(billing);
        let ids = addresses(rpc, party, &known, &[billing, shipping]).await?;
        Ok(Places { party, billing: ids[0], shipping: ids[1] })
    }

    pub(super) async fn upsert_customer(
        &self,
        rpc: &Rpc<'_>,
        customer: &Customer,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        const OPERATION: &str = "upsert_customer";
        let code = mark::customer_code(around.from, &customer.id);
        let person = Person::customer(customer);
        let known = find(rpc, &code).await?;
        let mut values = json!({ "name": person.name });
        if let Some(locale) = &customer.locale
            && let Some(language) = language(rpc, locale).await?
        {
            values["lang"] = json!(language);
        }
        let (id, addresses_known) = match known {
            None => {
                values["code"] = json!(code);
                values["contact_mechanisms"] = json!([["create", person.contacts(around.from)]]);
                (rpc.create_one(OPERATION, "party.party", values).await?, Vec::new())
            }
            Some(party) => {
                let changes = person.changed_contacts(&party, around.from);
                if !changes.is_empty() {
                    values["contact_mechanisms"] = json!(changes);
                }
                rpc.write(OPERATION, "party.party", party.id, values).await?;
                (party.id, party.addresses)
            }
        };
        if let Some(address) = &customer.default_address {
            addresses(rpc, id, &addresses_known, &[address]).await?;
        }
        Ok(Performed::at(id.to_string()))
    }
}

async fn find(rpc: &Rpc<'_>, code: &str) -> Result<Option<Party>, CallError> {
    let domain = json!([["code", "=", code]]);
    Ok(rpc.search("find_party", "party.party", domain, Party::FIELDS, 1).await?.pop())
}

/// The language that is nearest to a locale: `nb-NO` is `nb_NO`, else `nb`, else `no` for both kinds of Norwegian.
async fn language(rpc: &Rpc<'_>, locale: &str) -> Result<Option<i64>, CallError> {
    let whole = locale.replace('-', "_");
    let short = whole.split('_').next().unwrap_or_default().to_owned();
    let mut wanted = vec![whole, short.clone()];
    if short == "nb" || short == "nn" {
        wanted.push("no".to_owned());
    }
    let domain = json!([["code", "in", wanted]]);
    let found: Vec<Coded> = rpc.search("find_language", "ir.lang", domain, &["code"], wanted.len()).await?;
    Ok(wanted.iter().find_map(|code| found.iter().find(|it| it.code == *code)).map(|it| it.id))
}

/// A party as it is written.
struct Person {
    name: String,
    email: Option<String>,
    phone: Option<String>,
}

impl Person {
    fn customer(customer: &Customer) -> Self {
        let names = [customer.first_name.as_deref(), customer.last_name.as_deref()];
        let full = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let address = || customer.default_address.as_ref().and_then(Address::name);
        let name = Some(full).filter(|it| !it.trim().is_empty()).or_else(address).or_else(|| customer.email.clone());
        Self {
            name: name.unwrap_or_else(|| format!("Customer {}", customer.id)),
            email: customer.email.clone(),
            phone: customer.phone.clone(),
        }
    }

    fn guest(order: &Order) -> Self {
        let addresses = [&order.billing_address, &order.shipping_address];
        let name = addresses.into_iter().flatten().find_map(Address::name).or_else(|| order.email.clone());
        Self {
            name: name.unwrap_or_else(|| format!("Guest {}", order.number)),
            email: order.email.clone(),
            phone: order.phone.clone(),
        }
    }

    fn values(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let values = [("email", &self.email), ("phone", &self.phone)];
        values.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref().filter(|it| !it.is_empty())?)))
    }

    /// They carry the name of the connection, by which they are found again when the value changes.
    fn contacts(&self, from: &str) -> Vec<Value> {
        self.values().map(|(kind, value)| json!({ "type": kind, "value": value, "name": from })).collect()
    }

    fn changed_contacts(&self, party: &Party, from: &str) -> Vec<Value> {
        let mut changes = Vec::new();
        for (kind, value) in self.values() {
            let of_kind = || party.contacts.iter().filter(|it| it.kind == kind);
            if of_kind().any(|it| it.value.as_ref() == Some(value)) {
                continue;
            }
            changes.push(match of_kind().find(|it| it.name.as_deref() == Some(from)) {
                Some(ours) => json!(["write", [ours.id], { "value": value }]),
                None => json!(["create", [{ "type": kind, "value": value, "name": from }]]),
            });
        }
        changes
    }
}

/// Ids of these addresses of the party. One that says the same is the same, so that old sales keep theirs.
async fn addresses(rpc: &Rpc<'_>, party: i64, known: &[PartyAddress], wanted: &[&Address]) -> Result<Vec<i64>, CallError> {
    let countries = Countries::of(rpc, wanted).await?;
    let wanted: Vec<Value> = wanted.iter().map(|it| countries.written(it)).collect();
    let known: Vec<(i64, Value)> = known.iter().map(|it| (it.id, as_written(it))).collect();
    let mut missing: Vec<&Value> = Vec::new();
    for address in &wanted {
        if !known.iter().any(|(_, it)| it == address) && !missing.contains(&address) {
            missing.push(address);
        }
    }
    let mut made = Vec::new();
    if !missing.is_empty() {
        let rows = missing.iter().map(|it| {
            let mut row = (*it).clone();
            row["party"] = json!(party);
            row
        });
        made = rpc.create("create_addresses", "party.address", rows.collect()).await?;
    }
    let made: Vec<(i64, &Value)> = made.into_iter().zip(missing).collect();
    let id = |address: &Value| {
        let new = made.iter().find(|(_, it)| *it == address).map(|(id, _)| *id);
        let old = known.iter().find(|(_, it)| it == address).map(|(id, _)| *id);
        new.or(old).ok_or_else(|| CallError::unexpected("create_addresses", "Tryton answers no id for an address"))
    };
    wanted.iter().map(id).collect()
}

/// An address that is there, in the form in which one is written.
fn as_written(it: &PartyAddress) -> Value {
    let text = |it: &Option<String>| it.clone().filter(|it| !it.is_empty());
    json!({
        "party_name": text(&it.party_name), "attn": text(&it.attn), "street_unstructured": text(&it.street_unstructured),
        "postal_code": text(&it.postal_code), "city": text(&it.city), "country": it.country, "subdivision": it.subdivision,
    })
}

/// Countries and their parts as Tryton's ids. What Tryton does not know is left out.
#[derive(Default)]
struct Countries {
    countries: HashMap<String, i64>,
    subdivisions: HashMap<String, i64>,
}

impl Countries {
    async fn of(rpc: &Rpc<'_>, addresses: &[&Address]) -> Result<Self, CallError> {
        let codes: BTreeSet<&str> = addresses.iter().filter_map(|it| it.country.as_deref()).collect();
        if codes.is_empty() {
            return Ok(Self::default());
        }
        let parts: BTreeSet<String> = addresses.iter().filter_map(|it| subdivision(it)).collect();
        let countries = by_code(rpc, "country.country", &codes).await?;
        let subdivisions = if parts.is_empty() { HashMap::new() } else { by_code(rpc, "country.subdivision", &parts).await? };
        Ok(Self { countries, subdivisions })
    }

    fn written(&self, address: &Address) -> Value {
        let text = |it: &Option<String>| it.as_deref().map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned);
        let lines: Vec<String> = [&address.line1, &address.line2].into_iter().filter_map(text).collect();
        let person = Address { company: None, ..address.clone() }.name();
        let company = text(&address.company).filter(|it| Some(it) != person.as_ref());
        json!({
            "party_name": company.as_ref().or(person.as_ref()),
            "attn": company.as_ref().and(person.as_ref()),
            "street_unstructured": Some(lines.join("\n")).filter(|it| !it.is_empty()),
            "postal_code": text(&address.postal_code),
            "city": text(&address.city),
            "country": address.country.as_ref().and_then(|it| self.countries.get(it)),
            "subdivision": subdivision(address).and_then(|it| self.subdivisions.get(&it).copied()),
        })
    }
}

/// By ISO 3166-2, `NO-03`: shops leave the country away.
fn subdivision(address: &Address) -> Option<String> {
    let (country, region) = (address.country.as_deref()?, address.region.as_deref().filter(|it| !it.is_empty())?);
    Some(if region.starts_with(&format!("{country}-")) { region.to_owned() } else { format!("{country}-{region}") })
}

async fn by_code<C: AsRef<str> + serde::Serialize>(
    rpc: &Rpc<'_>,
    model: &str,
    codes: &BTreeSet<C>,
) -> Result<HashMap<String, i64>, CallError> {
    let domain = json!([["code", "in", codes]]);
    let found: Vec<Coded> = rpc.search("find_countries", model, domain, &["code"], codes.len()).await?;
    Ok(found.into_iter().map(|it| (it.code, it.id)).collect())
}
