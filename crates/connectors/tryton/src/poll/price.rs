//! Prices of products that are for sale: list prices, or those of a price list.

use super::{PAGE, Position};
use crate::{
    Tryton,
    records::{Company, PriceList, Priced},
    rpc::Rpc,
};
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, Currency, EntityKind, EntityRef, Money, Price, Record, Timestamp, Topic, Version};

const OPERATION: &str = "poll_prices";

impl Poll<Price> for Tryton {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let rpc = self.rpc(api);
        let mut position = Position::read(cursor, now)?;
        let currency = self.company_currency(&rpc).await?;
        let list = match self.config.price_list {
            Some(id) => Some(price_list(&rpc, id).await?),
            None => None,
        };
        let changed = list.as_ref().map(PriceList::changed_at);
        if position.id == 0 && changed != position.list {
            position.listing = changed;
        }
        let products = self.priced(&rpc, &position).await?;
        let as_of = |it: &Priced| list.as_ref().map_or(it.changed_at(), |list| it.changed_at().max(list.changed_at()));
        let includes_tax = list.as_ref().is_some_and(|it| it.tax_included);
        let mut changes = Vec::new();
        for product in &products {
            let (Some(sku), Some(amount)) = (product.code.clone().filter(|it| !it.is_empty()), product.sale_price_uom) else {
                continue;
            };
            changes.push(Change {
                topic: Topic::PriceChanged,
                entity: EntityRef::new(EntityKind::Price, product.id.to_string()),
                version: Version::from(as_of(product)),
                record: Record::Price(Price {
                    sku,
                    amount: Money::new(amount.0, currency).rounded(),
                    compare_at: None,
                    includes_tax,
                    sale_from: None,
                    sale_until: None,
                    as_of: as_of(product),
                }),
            });
        }
        let rows: Vec<_> = products.iter().map(|it| (it.id, as_of(it))).collect();
        let (cursor, more) = position.after(&rows);
        Ok(Page { changes, cursor, more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Position::at(at)
    }
}

impl Tryton {
    async fn company_currency(&self, rpc: &Rpc<'_>) -> Result<Currency, CallError> {
        let id = self.config.company;
        let found: Vec<Company> = rpc.read(OPERATION, "company.company", &[id], &["currency.code"]).await?;
        let company = found.first().ok_or_else(|| CallError::config(OPERATION, format!("`company`: none has the id {id}")))?;
        let code = &company.currency.code;
        code.parse().map_err(|_| CallError::config(OPERATION, format!("the company's currency {code} is none of ISO 4217")))
    }

    /// A page of what changed; of everything when the price list itself did.
    async fn priced(&self, rpc: &Rpc<'_>, position: &Position) -> Result<Vec<Priced>, CallError> {
        let mut domain = vec![json!(["salable", "=", true]), json!(["id", ">", position.id])];
        if position.listing.is_none() && position.since.is_some() {
            let from = position.from();
            domain.push(json!([
                "OR",
                ["last_modified_at", ">=", from],
                ["template.last_modified_at", ">=", from],
                ["template.list_prices.last_modified_at", ">=", from],
                ["list_prices.last_modified_at", ">=", from]
            ]));
        }
        let parameters = vec![Value::from(domain), json!(0), json!(PAGE), json!([["id", "ASC"]]), json!(Priced::FIELDS)];
        let context = self.config.price_list.map_or(Value::Null, |id| json!({ "price_list": id }));
        rpc.within(OPERATION, "model.product.product.search_read", parameters, context).await
    }
}

async fn price_list(rpc: &Rpc<'_>, id: i64) -> Result<PriceList, CallError> {
    let fields = ["tax_included", "last_modified_at", "lines.last_modified_at"];
    let found: Vec<PriceList> = rpc.read(OPERATION, "product.price_list", &[id], &fields).await?;
    let none = || CallError::config(OPERATION, format!("`price_list`: Tryton has no active price list with the id {id}"));
    found.into_iter().next().ok_or_else(none)
}

impl PriceList {
    fn changed_at(&self) -> Timestamp {
        self.lines.iter().map(|it| it.last_modified_at.0).fold(self.last_modified_at.0, Timestamp::max)
    }
}
