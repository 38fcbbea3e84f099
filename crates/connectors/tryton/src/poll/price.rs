//! Prices of products that are for sale: list prices, or those of a price list.

use super::{OVERLAP, PAGE, from};
use crate::{
    Tryton,
    records::{Company, PriceList, Priced},
    rpc::Rpc,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Round};
use spindel_model::{Change, Currency, EntityKind, EntityRef, Money, Price, Record, Timestamp, Topic, Version};

const OPERATION: &str = "poll_prices";

/// Of a price list, beside where a round stands.
#[derive(Default, Serialize, Deserialize)]
struct GoneThrough {
    /// When it was changed that all its prices were last gone through …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<Timestamp>,
    /// … or are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing: Option<Timestamp>,
}

impl GoneThrough {
    fn read(cursor: Option<&Cursor>) -> Self {
        cursor.and_then(|it| serde_json::from_str(&it.0).ok()).unwrap_or_default()
    }

    /// After a page; `more` while the round goes on.
    fn beside(self, round: &Round<i64>, more: bool) -> Cursor {
        #[derive(Serialize)]
        struct Both<'a> {
            #[serde(flatten)]
            round: &'a Round<i64>,
            #[serde(flatten)]
            prices: GoneThrough,
        }
        let prices = if more { self } else { Self { list: self.listing.or(self.list), listing: None } };
        Cursor(serde_json::to_string(&Both { round, prices }).unwrap_or_default())
    }
}

impl Poll<Price> for Tryton {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let rpc = self.rpc(api);
        let round = Round::read(cursor, now, None)?;
        let mut gone_through = GoneThrough::read(cursor);
        let currency = self.company_currency(&rpc).await?;
        let list = match self.config.price_list {
            Some(id) => Some(price_list(&rpc, id).await?),
            None => None,
        };
        let changed = list.as_ref().map(PriceList::changed_at);
        if round.place().is_none() && changed != gone_through.list {
            gone_through.listing = changed;
        }
        let products = self.priced(&rpc, &round, gone_through.listing.is_some()).await?;
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
        let (round, more) = round.after_rows(&rows, PAGE);
        Ok(Page { changes, cursor: gone_through.beside(&round, more), more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
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
    async fn priced(&self, rpc: &Rpc<'_>, round: &Round<i64>, all: bool) -> Result<Vec<Priced>, CallError> {
        let mut domain = vec![json!(["salable", "=", true]), json!(["id", ">", round.id()])];
        if !all && round.looks_back(OVERLAP).is_some() {
            let from = from(round);
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
