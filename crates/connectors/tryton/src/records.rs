//! Records of Tryton as far as they are used, each with the fields that it is read with. A name such as `lines.note` is
//! read with the record, and stands below `lines.` in the answer.

use crate::wire::{Amount, Moment, flag};
use serde::Deserialize;
use spindel_model::{Exact, Timestamp};

#[derive(Deserialize)]
pub(crate) struct Preferences {
    #[serde(default)]
    pub companies: Vec<i64>,
}

#[derive(Deserialize)]
pub(crate) struct WebShop {
    pub name: String,
}

impl WebShop {
    pub const FIELDS: &'static [&'static str] = &["name"];
}

#[derive(Deserialize)]
pub(crate) struct Id {
    pub id: i64,
}

#[derive(Deserialize)]
pub(crate) struct Coded {
    pub id: i64,
    pub code: String,
}

#[derive(Deserialize)]
pub(crate) struct Code {
    pub code: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct InState {
    pub id: i64,
    pub state: String,
}

#[derive(Deserialize)]
pub(crate) struct Sale {
    pub id: i64,
    pub number: Option<String>,
    pub web_id: Option<String>,
    pub state: String,
    pub shipment_state: String,
    pub invoice_state: String,
    pub total_amount: Amount,
    #[serde(rename = "currency.")]
    pub currency: Coded,
    #[serde(rename = "lines.")]
    pub lines: Vec<SaleLine>,
    #[serde(rename = "invoices.")]
    pub invoices: Vec<InState>,
    #[serde(rename = "shipments.")]
    pub shipments: Vec<InState>,
}

impl Sale {
    pub const FIELDS: &'static [&'static str] = &[
        "number",
        "web_id",
        "state",
        "shipment_state",
        "invoice_state",
        "total_amount",
        "currency.code",
        "lines.note",
        "invoices.state",
        "shipments.state",
    ];

    pub fn is_cancelled(&self) -> bool {
        self.state == "cancelled"
    }

    /// Nobody can change its lines any more.
    pub fn is_processed(&self) -> bool {
        matches!(self.state.as_str(), "processing" | "done")
    }

    /// As people call it.
    pub fn name(&self) -> String {
        self.number.as_ref().map_or_else(|| format!("sale {}", self.id), |it| format!("sale {it}"))
    }
}

#[derive(Deserialize)]
pub(crate) struct SaleLine {
    pub id: i64,
    pub note: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Product {
    pub id: i64,
    pub code: Option<String>,
    pub default_uom: i64,
    pub sale_uom: Option<i64>,
    #[serde(rename = "account_category.")]
    pub category: Option<Category>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Category {
    pub account_revenue: Option<i64>,
}

impl Product {
    pub const FIELDS: &'static [&'static str] = &["code", "default_uom", "sale_uom", "account_category.account_revenue"];
}

#[derive(Deserialize)]
pub(crate) struct Party {
    pub id: i64,
    #[serde(rename = "addresses.")]
    pub addresses: Vec<PartyAddress>,
    #[serde(rename = "contact_mechanisms.")]
    pub contacts: Vec<Contact>,
}

impl Party {
    pub const FIELDS: &'static [&'static str] = &[
        "addresses.party_name",
        "addresses.attn",
        "addresses.street_unstructured",
        "addresses.postal_code",
        "addresses.city",
        "addresses.country",
        "addresses.subdivision",
        "contact_mechanisms.type",
        "contact_mechanisms.value",
        "contact_mechanisms.name",
    ];
}

#[derive(Deserialize)]
pub(crate) struct PartyAddress {
    pub id: i64,
    pub party_name: Option<String>,
    pub attn: Option<String>,
    pub street_unstructured: Option<String>,
    pub postal_code: Option<String>,
    pub city: Option<String>,
    pub country: Option<i64>,
    pub subdivision: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct Contact {
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub value: Option<String>,
    pub name: Option<String>,
}

/// An invoice or a credit note.
#[derive(Deserialize)]
pub(crate) struct Invoice {
    pub id: i64,
    pub number: Option<String>,
    pub state: String,
    pub party: i64,
    pub invoice_address: i64,
    pub account: i64,
    pub journal: Option<i64>,
    #[serde(rename = "currency.")]
    pub currency: Coded,
    pub total_amount: Amount,
    pub amount_to_pay: Amount,
    #[serde(rename = "lines.")]
    pub lines: Vec<InvoiceLine>,
}

#[derive(Deserialize)]
pub(crate) struct InvoiceLine {
    pub id: i64,
    pub note: Option<String>,
    pub description: Option<String>,
    pub product: Option<i64>,
    pub account: Option<i64>,
    pub unit: Option<i64>,
    pub taxes: Vec<i64>,
    pub amount: Option<Amount>,
}

impl Invoice {
    pub const FIELDS: &'static [&'static str] = &[
        "number",
        "state",
        "party",
        "invoice_address",
        "account",
        "journal",
        "currency.code",
        "total_amount",
        "amount_to_pay",
        "lines.note",
        "lines.description",
        "lines.product",
        "lines.account",
        "lines.unit",
        "lines.taxes",
        "lines.amount",
    ];

    pub fn is_booked(&self) -> bool {
        matches!(self.state.as_str(), "posted" | "paid")
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "draft" | "validated")
    }
}

#[derive(Deserialize)]
pub(crate) struct Tax {
    pub rate: Option<Amount>,
}

// --- stock, prices, shipments

#[derive(Deserialize)]
pub(crate) struct Warehouse {
    pub id: i64,
    pub code: Option<String>,
    pub name: String,
}

impl Warehouse {
    pub const FIELDS: &'static [&'static str] = &["code", "name"];

    /// Its code, or its name where it has none.
    pub fn label(&self) -> &str {
        self.code.as_deref().filter(|it| !it.is_empty()).unwrap_or(&self.name)
    }
}

#[derive(Deserialize)]
pub(crate) struct Changed {
    pub last_modified_at: Moment,
}

#[derive(Deserialize)]
pub(crate) struct Moved {
    pub id: i64,
    pub product: i64,
    pub last_modified_at: Moment,
}

#[derive(Deserialize)]
pub(crate) struct OpenMove {
    pub id: i64,
    pub product: i64,
    pub internal_quantity: Exact,
}

#[derive(Deserialize)]
pub(crate) struct Stocked {
    pub id: i64,
    pub code: Option<String>,
    pub quantity: Option<Exact>,
}

#[derive(Deserialize)]
pub(crate) struct PriceList {
    #[serde(deserialize_with = "flag")]
    pub tax_included: bool,
    pub last_modified_at: Moment,
    #[serde(rename = "lines.")]
    pub lines: Vec<Changed>,
}

#[derive(Deserialize)]
pub(crate) struct Priced {
    pub id: i64,
    pub code: Option<String>,
    pub sale_price_uom: Option<Amount>,
    pub last_modified_at: Moment,
    #[serde(rename = "template.")]
    pub template: Template,
    #[serde(rename = "list_prices.")]
    pub list_prices: Vec<Changed>,
}

#[derive(Deserialize)]
pub(crate) struct Template {
    pub last_modified_at: Moment,
    #[serde(rename = "list_prices.")]
    pub list_prices: Vec<Changed>,
}

impl Priced {
    pub const FIELDS: &'static [&'static str] = &[
        "code",
        "sale_price_uom",
        "last_modified_at",
        "template.last_modified_at",
        "template.list_prices.last_modified_at",
        "list_prices.last_modified_at",
    ];

    pub fn changed_at(&self) -> Timestamp {
        let parts = self.list_prices.iter().chain(&self.template.list_prices).map(|it| it.last_modified_at.0);
        parts.fold(self.last_modified_at.0.max(self.template.last_modified_at.0), Timestamp::max)
    }
}

#[derive(Deserialize)]
pub(crate) struct Company {
    #[serde(rename = "currency.")]
    pub currency: Coded,
}

#[derive(Deserialize)]
pub(crate) struct ShipmentOut {
    pub id: i64,
    pub state: String,
    pub effective_date: Option<Moment>,
    pub last_modified_at: Moment,
    #[serde(rename = "warehouse.")]
    pub warehouse: Warehouse,
    #[serde(rename = "outgoing_moves.")]
    pub moves: Vec<OutgoingMove>,
    /// With the modules for carriers and packages only.
    #[serde(rename = "carrier.", default)]
    pub carrier: Option<Named>,
    #[serde(rename = "packages.", default)]
    pub packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Named {
    pub rec_name: String,
}

#[derive(Deserialize)]
pub(crate) struct OutgoingMove {
    pub state: String,
    pub origin: Option<String>,
    pub quantity: Option<Exact>,
    #[serde(rename = "product.")]
    pub product: Option<Code>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub shipping_reference: Option<String>,
    #[serde(default)]
    pub shipping_tracking_url: Option<String>,
}

/// A line of a sale, with what its sale is known by.
#[derive(Deserialize)]
pub(crate) struct SoldLine {
    pub id: i64,
    pub note: Option<String>,
    #[serde(rename = "sale.")]
    pub sale: SoldBy,
}

#[derive(Deserialize)]
pub(crate) struct SoldBy {
    pub id: i64,
    pub web_shop: Option<i64>,
    pub web_id: Option<String>,
    pub reference: Option<String>,
    pub shipment_state: String,
    #[serde(rename = "shipments.")]
    pub shipments: Vec<InState>,
}

impl SoldLine {
    pub const FIELDS: &'static [&'static str] =
        &["note", "sale.web_shop", "sale.web_id", "sale.reference", "sale.shipment_state", "sale.shipments.state"];
}
