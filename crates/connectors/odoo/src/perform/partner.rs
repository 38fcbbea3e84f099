//! Customers, guests and their addresses as partners.

use crate::{Odoo, identity, identity::Names, wire};
use serde_json::json;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Address, Customer, Order, Performed};
use std::collections::{BTreeSet, HashMap};

/// Who an order is for, by external id.
pub(super) struct People<'a> {
    order: &'a Order,
    buyer: String,
    billing: Option<(String, &'a Address)>,
    shipping: Option<(String, &'a Address)>,
}

/// The same as ids of `res.partner`.
pub(super) struct Partners {
    pub buyer: i64,
    pub billing: i64,
    pub shipping: i64,
}

impl<'a> People<'a> {
    pub fn of(order: &'a Order, names: &Names) -> Self {
        let buyer = match &order.customer {
            Some(customer) => names.customer(&customer.id),
            None => format!("{}_buyer", names.order(&order.id)),
        };
        let place = |address: &'a Option<Address>, role| {
            let address = address.as_ref()?;
            Some((identity::address(&buyer, role, address), address))
        };
        Self { order, billing: place(&order.billing_address, "bill"), shipping: place(&order.shipping_address, "ship"), buyer }
    }

    pub fn names(&self) -> Vec<&str> {
        let places = [&self.billing, &self.shipping].into_iter().flatten().map(|(name, _)| name.as_str());
        std::iter::once(self.buyer.as_str()).chain(places).collect()
    }
}

impl Odoo {
    /// Creates who is missing. Whoever is there stays as they are: an order is a snapshot, and older than the customer.
    pub(super) async fn find_or_create_partners(
        &self,
        api: &Api,
        people: &People<'_>,
        mut known: HashMap<String, i64>,
        names: &Names,
    ) -> Result<Partners, CallError> {
        const OPERATION: &str = "create_partners";
        let order = people.order;
        let mut sheet = PartnerSheet::default();
        if !known.contains_key(&people.buyer) {
            let row = sheet.row(&people.buyer);
            match &order.customer {
                Some(customer) => row.customer(customer),
                None => row.guest(order),
            }
            let address = order.customer.as_ref().and_then(|it| it.default_address.as_ref());
            let address = address.or(order.billing_address.as_ref()).or(order.shipping_address.as_ref());
            row.address = address.cloned();
        }
        for (place, kind) in [(&people.billing, "invoice"), (&people.shipping, "delivery")] {
            let Some((name, address)) = place.as_ref().filter(|(name, _)| !known.contains_key(name)) else { continue };
            let row = sheet.row(name);
            row.kind = kind;
            row.parent = Some(names.full(&people.buyer));
            row.title = label(address);
            row.phone = address.phone.clone();
            row.address = Some((*address).clone());
        }
        known.extend(sheet.load(api, OPERATION, names, None).await?);
        let id = |name: &str| {
            let missing = || CallError::unexpected(OPERATION, "Odoo answers no id for a partner");
            known.get(name).copied().ok_or_else(missing)
        };
        let buyer = id(&people.buyer)?;
        let place = |place: &Option<(String, &Address)>| place.as_ref().map_or(Ok(buyer), |(name, _)| id(name));
        Ok(Partners { buyer, billing: place(&people.billing)?, shipping: place(&people.shipping)? })
    }

    pub(super) async fn upsert_customer(
        &self,
        api: &Api,
        customer: &Customer,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        const OPERATION: &str = "upsert_customer";
        let names = self.names(around.from);
        let language = match &customer.locale {
            Some(locale) => language(api, locale).await?,
            None => None,
        };
        let name = names.customer(&customer.id);
        let mut sheet = PartnerSheet::default();
        let row = sheet.row(&name);
        row.customer(customer);
        row.address = customer.default_address.clone();
        let loaded = sheet.load(api, OPERATION, &names, language).await?;
        let id = loaded.get(&name).ok_or_else(|| CallError::unexpected(OPERATION, "Odoo answers no id for the customer"))?;
        Ok(Performed::at(id.to_string()))
    }
}

/// The installed language that is nearest to a locale: `nb-NO` is `nb_NO`, else any `nb_…`.
async fn language(api: &Api, locale: &str) -> Result<Option<String>, CallError> {
    let wanted = locale.replace('-', "_");
    let short = wanted.split('_').next().unwrap_or_default().to_owned();
    // `=like` takes `_` for any letter: the exact comparison is made below.
    let domain = json!([["code", "=like", format!("{short}%")]]);
    let found: Vec<wire::Coded> = wire::search(api, "find_language", "res.lang", domain, &["code"], "id asc", 50).await?;
    let exact = found.iter().find(|it| it.code == wanted);
    let near = || found.iter().find(|it| it.code.split('_').next() == Some(&short));
    Ok(exact.or_else(near).map(|it| it.code.clone()))
}

fn label(address: &Address) -> Option<String> {
    let person = address.name();
    match (&address.company, person) {
        (Some(company), Some(person)) if *company != person => Some(format!("{company}, {person}")),
        (company, person) => person.or_else(|| company.clone()),
    }
}

/// Partners to be loaded in one call.
#[derive(Default)]
struct PartnerSheet(Vec<PartnerRow>);

struct PartnerRow {
    name: String,
    title: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    kind: &'static str,
    parent: Option<String>,
    address: Option<Address>,
}

impl PartnerRow {
    fn customer(&mut self, customer: &Customer) {
        let names = [customer.first_name.as_deref(), customer.last_name.as_deref()];
        let full = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let by_address = || customer.default_address.as_ref().and_then(label);
        let title = Some(full).filter(|it| !it.trim().is_empty()).or_else(by_address).or_else(|| customer.email.clone());
        self.title = Some(title.unwrap_or_else(|| format!("Customer {}", customer.id)));
        self.email = customer.email.clone();
        self.phone = customer.phone.clone();
    }

    fn guest(&mut self, order: &Order) {
        let addresses = [&order.billing_address, &order.shipping_address];
        self.title = addresses.into_iter().flatten().find_map(label).or_else(|| order.email.clone());
        self.title.get_or_insert_with(|| format!("Guest {}", order.number));
        self.email = order.email.clone();
        self.phone = order.phone.clone();
    }
}

impl PartnerSheet {
    fn row(&mut self, name: &str) -> &mut PartnerRow {
        let row = PartnerRow {
            name: name.to_owned(),
            title: None,
            email: None,
            phone: None,
            kind: "contact",
            parent: None,
            address: None,
        };
        self.0.push(row);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Loads only the columns that hold something: what the source does not say stays as it is in Odoo.
    async fn load(
        self,
        api: &Api,
        operation: &'static str,
        names: &Names,
        language: Option<String>,
    ) -> Result<HashMap<String, i64>, CallError> {
        if self.0.is_empty() {
            return Ok(HashMap::new());
        }
        let places = Places::of(api, self.0.iter().filter_map(|it| it.address.as_ref())).await?;
        let mut columns = Columns::new(self.0.len());
        for (at, row) in self.0.iter().enumerate() {
            columns.set(at, "id", Some(&names.full(&row.name)));
            columns.set(at, "name", row.title.as_ref());
            columns.set(at, "type", Some(&row.kind.to_owned()));
            columns.set(at, "parent_id/id", row.parent.as_ref());
            columns.set(at, "email", row.email.as_ref());
            columns.set(at, "phone", row.phone.as_ref());
            columns.set(at, "lang", language.as_ref());
            if let Some(address) = &row.address {
                columns.set(at, "street", address.line1.as_ref());
                columns.set(at, "street2", address.line2.as_ref());
                columns.set(at, "zip", address.postal_code.as_ref());
                columns.set(at, "city", address.city.as_ref());
                columns.set(at, "state_id/.id", places.region(address).as_ref());
                columns.set(at, "country_id/.id", places.country(address).as_ref());
            }
        }
        let (fields, data) = columns.table();
        let ids = wire::load(api, operation, "res.partner", &fields, &data).await?;
        Ok(self.0.into_iter().map(|it| it.name).zip(ids).collect())
    }
}

/// A table that has a column only when a row has a value for it.
struct Columns {
    rows: usize,
    columns: Vec<(&'static str, Vec<String>)>,
}

impl Columns {
    fn new(rows: usize) -> Self {
        Self { rows, columns: Vec::new() }
    }

    fn set(&mut self, row: usize, field: &'static str, value: Option<&String>) {
        let Some(value) = value.filter(|it| !it.is_empty()) else { return };
        let at = self.columns.iter().position(|(name, _)| *name == field).unwrap_or_else(|| {
            self.columns.push((field, vec![String::new(); self.rows]));
            self.columns.len() - 1
        });
        self.columns[at].1[row].clone_from(value);
    }

    fn table(self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let fields = self.columns.iter().map(|(name, _)| *name).collect();
        let row = |at: usize| self.columns.iter().map(|(_, cells)| cells[at].clone()).collect();
        (fields, (0..self.rows).map(row).collect())
    }
}

/// Countries and regions as Odoo's ids. A region that Odoo does not know is left out.
#[derive(Default)]
struct Places {
    countries: HashMap<String, i64>,
    regions: HashMap<(i64, String), i64>,
}

impl Places {
    async fn of(api: &Api, addresses: impl Iterator<Item = &Address>) -> Result<Self, CallError> {
        #[derive(serde::Deserialize)]
        struct State {
            id: i64,
            code: String,
            country_id: wire::Ref,
        }
        let addresses: Vec<&Address> = addresses.collect();
        let codes: BTreeSet<&str> = addresses.iter().filter_map(|it| it.country.as_deref()).collect();
        if codes.is_empty() {
            return Ok(Self::default());
        }
        let domain = json!([["code", "in", codes]]);
        let found: Vec<wire::Coded> =
            wire::search(api, "find_countries", "res.country", domain, &["code"], "id asc", codes.len()).await?;
        let countries = found.into_iter().map(|it| (it.code, it.id)).collect();
        let regions: BTreeSet<&str> =
            addresses.iter().filter_map(|it| it.region.as_deref()).filter(|it| !it.is_empty()).collect();
        if regions.is_empty() {
            return Ok(Self { countries, regions: HashMap::new() });
        }
        let domain = json!([["country_id.code", "in", codes], ["code", "in", regions]]);
        let fields = ["code", "country_id"];
        let found: Vec<State> = wire::search(api, "find_regions", "res.country.state", domain, &fields, "id asc", 100).await?;
        Ok(Self { countries, regions: found.into_iter().map(|it| ((it.country_id.0, it.code), it.id)).collect() })
    }

    fn country(&self, address: &Address) -> Option<String> {
        self.countries.get(address.country.as_deref()?).map(ToString::to_string)
    }

    fn region(&self, address: &Address) -> Option<String> {
        let country = *self.countries.get(address.country.as_deref()?)?;
        self.regions.get(&(country, address.region.clone()?)).map(ToString::to_string)
    }
}
