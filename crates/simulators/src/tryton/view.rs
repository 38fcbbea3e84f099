//! How things stand in the simulated books.

use super::{
    TrytonSim, amount,
    books::{self, INVOICE, SALE},
};
use rust_decimal::Decimal;
use serde_json::json;

#[derive(Clone, Debug, PartialEq)]
pub struct SaleView {
    pub id: i64,
    pub state: String,
    pub reference: String,
    pub invoice_state: String,
    pub shipment_state: String,
    pub total: Decimal,
    /// Booked invoices.
    pub invoiced: Decimal,
    /// Quantity, price of one, description and note of each line.
    pub lines: Vec<(Decimal, Decimal, String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyView {
    pub id: i64,
    pub name: String,
    /// Kind and value.
    pub contacts: Vec<(String, String)>,
    /// City and street of each address.
    pub addresses: Vec<(String, String)>,
}

impl TrytonSim {
    pub fn sales(&self, web_id: &str) -> Vec<SaleView> {
        self.change(|db| {
            let view = |id| {
                let booked = books::invoices(db, id).into_iter();
                let booked = booked.filter(|it| matches!(db.text(INVOICE, *it, "state"), "posted" | "paid"));
                let lines = db.by("sale.line", "sale", &json!(id)).into_iter().map(|line| {
                    let number = |field| amount(db.stored("sale.line", line, field));
                    let text = |field| db.text("sale.line", line, field).to_owned();
                    (number("quantity"), number("unit_price"), text("description"), text("note"))
                });
                SaleView {
                    id,
                    state: db.text(SALE, id, "state").to_owned(),
                    reference: db.text(SALE, id, "reference").to_owned(),
                    invoice_state: books::invoice_state(db, id).to_owned(),
                    shipment_state: books::shipment_state(db, id).to_owned(),
                    total: amount(&books::computed(db, SALE, id, "total_amount")),
                    invoiced: booked.map(|it| books::invoice_total(db, it)).sum(),
                    lines: lines.collect(),
                }
            };
            db.by(SALE, "web_id", &json!(web_id)).into_iter().map(view).collect()
        })
    }

    /// Totals of the booked invoices with this reference.
    pub fn booked(&self, reference: &str) -> Vec<Decimal> {
        self.change(|db| {
            let found = db.by(INVOICE, "reference", &json!(reference)).into_iter();
            let booked = found.filter(|it| matches!(db.text(INVOICE, *it, "state"), "posted" | "paid"));
            booked.map(|it| books::invoice_total(db, it)).collect()
        })
    }

    /// Entries with this description.
    pub fn entries(&self, description: &str) -> usize {
        self.change(|db| db.by("account.move", "description", &json!(description)).len())
    }

    pub fn party(&self, code: &str) -> Option<PartyView> {
        self.change(|db| {
            let id = db.by("party.party", "code", &json!(code)).first().copied()?;
            let all = |model: &str, a: &str, b: &str| {
                let rows = db.by(model, "party", &json!(id)).into_iter();
                rows.map(|it| (db.text(model, it, a).to_owned(), db.text(model, it, b).to_owned())).collect()
            };
            Some(PartyView {
                id,
                name: db.text("party.party", id, "name").to_owned(),
                contacts: all("party.contact_mechanism", "type", "value"),
                addresses: all("party.address", "city", "street_unstructured"),
            })
        })
    }
}
