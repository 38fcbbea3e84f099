//! `set_price`: base price, special price and its days, a hundred at a time.

use super::{
    bulk,
    catalogue::{MAX, ROWS},
};
use crate::{
    Magento,
    reply::Problem,
    settings::Writing,
    wire::{self, Amount, Number, product::Product},
};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Decimal, Money, Performed, Price, SetPrice, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const OPERATION: &str = "set_price";
const BASE: &str = "products/base-prices";
const SPECIAL: &str = "products/special-price";
const SPECIAL_DELETE: &str = "products/special-price-delete";
/// The scope of all store views.
const EVERYWHERE: u64 = 0;

type Outcome = Result<Performed, CallError>;

#[derive(Clone, Serialize)]
struct BasePrice {
    price: Number,
    store_id: u64,
    sku: String,
}

#[derive(Clone, Serialize)]
struct SpecialPrice {
    price: Number,
    store_id: u64,
    sku: String,
    price_from: String,
    price_to: String,
}

#[derive(Serialize)]
struct Body<'a, T> {
    prices: &'a [T],
}

/// A special price as the shop has it.
#[derive(Clone, Deserialize)]
struct Special {
    #[serde(default)]
    price: Amount,
    #[serde(default)]
    store_id: u64,
    sku: String,
    price_from: Option<String>,
    price_to: Option<String>,
}

/// What is to become of one product.
struct Plan {
    base: Option<BasePrice>,
    /// Takes the special price away, or its days, which would stay otherwise.
    remove: Option<SpecialPrice>,
    special: Option<SpecialPrice>,
}

impl PerformBatch<SetPrice> for Magento {
    /// Prices are set.
    const REPEAT: Repeat = Repeat::Harmless;
    const MAX: usize = MAX;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetPrice>]) -> Vec<Outcome> {
        let skus: BTreeSet<&str> = asks.iter().map(|it| it.verb.price.sku.as_str()).filter(|it| !it.is_empty()).collect();
        let (products, specials) = match self.priced(api, &skus).await {
            Ok(found) => found,
            Err(error) => return asks.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut seen = BTreeSet::new();
        let plans: Vec<Result<(&str, Plan), CallError>> = asks
            .iter()
            .map(|ask| {
                let price = &ask.verb.price;
                let product = products.get(&price.sku).ok_or_else(|| unknown(&price.sku))?;
                if !seen.insert(price.sku.as_str()) {
                    return Err(CallError::transient(OPERATION, "the same item stands twice in one batch"));
                }
                Ok((price.sku.as_str(), self.plan(price, product, specials.get(&price.sku))?))
            })
            .collect();
        let planned = || plans.iter().filter_map(|it| it.as_ref().ok());
        let mut failed = BTreeMap::new();
        self.write_prices(api, BASE, planned().filter_map(|(sku, it)| Some((*sku, it.base.clone()?))), &mut failed).await;
        // A price that could not be set gets no sale either.
        let removed = planned().filter_map(|(sku, it)| Some((*sku, it.remove.clone()?)));
        self.write_prices(api, SPECIAL_DELETE, removed, &mut failed).await;
        let special = planned().filter_map(|(sku, it)| Some((*sku, it.special.clone()?)));
        self.write_prices(api, SPECIAL, special, &mut failed).await;
        let outcome = |plan: Result<(&str, Plan), CallError>| {
            let (sku, plan) = plan?;
            match failed.remove(sku) {
                Some(error) => Err(error),
                None => Ok(Performed { unchanged: plan.is_nothing(), ..Performed::at(sku) }),
            }
        };
        plans.into_iter().map(outcome).collect()
    }
}

fn unknown(sku: &str) -> CallError {
    if sku.is_empty() {
        return CallError::data(OPERATION, "the item has no SKU");
    }
    CallError::data(OPERATION, format!("the shop has no product with SKU `{sku}`"))
}

impl Plan {
    fn is_nothing(&self) -> bool {
        self.base.is_none() && self.remove.is_none() && self.special.is_none()
    }
}

impl Magento {
    async fn priced(
        &self,
        api: &Api,
        skus: &BTreeSet<&str>,
    ) -> Result<(BTreeMap<String, Product>, BTreeMap<String, Special>), CallError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            skus: &'a [&'a str],
        }
        let products = self.by_sku(api, OPERATION, skus).await?;
        // It refuses a list in which one is unknown.
        let known: Vec<&str> = products.keys().map(String::as_str).collect();
        let mut specials = BTreeMap::new();
        for skus in known.chunks(ROWS) {
            let path = "/all/V1/products/special-price-information";
            let found: Vec<Special> = api.post(OPERATION, path).json(&Asked { skus }).fetch().await?;
            let everywhere = found.into_iter().filter(|it| it.store_id == EVERYWHERE);
            specials.extend(everywhere.map(|it| (it.sku.clone(), it)));
        }
        Ok((products, specials))
    }

    fn plan(&self, price: &Price, product: &Product, special: Option<&Special>) -> Result<Plan, CallError> {
        self.check_currency(OPERATION, price.amount)?;
        self.check_tax(price)?;
        if !product.is_whole() {
            let kind = product.type_id.as_deref().unwrap_or("-");
            return Err(CallError::data(OPERATION, format!("`{}` is a {kind} product: its parts have the prices", price.sku)));
        }
        // A price before that is no higher is no sale.
        let before = price.compare_at.filter(|it| it.currency == price.amount.currency && it.amount > price.amount.amount);
        let base = before.unwrap_or(price.amount).rounded().amount;
        let sku = price.sku.clone();
        let asked = before.map(|_| SpecialPrice {
            price: Number(price.amount.rounded().amount),
            store_id: EVERYWHERE,
            sku: sku.clone(),
            price_from: self.day(price.sale_from),
            price_to: self.day(price.sale_until),
        });
        let is_so = match (&asked, special) {
            (None, None) => true,
            (Some(asked), Some(there)) => asked.is(there),
            _ => false,
        };
        // Days that are left out stay as they are.
        let stale = |asked: &SpecialPrice, there: &Special| {
            let gone = |new: &str, old: Option<&String>| new.is_empty() && old.is_some_and(|it| !it.is_empty());
            gone(&asked.price_from, there.price_from.as_ref()) || gone(&asked.price_to, there.price_to.as_ref())
        };
        let remove = special.filter(|there| !is_so && asked.as_ref().is_none_or(|asked| stale(asked, there)));
        Ok(Plan {
            base: Some(BasePrice { price: Number(base), store_id: EVERYWHERE, sku })
                .filter(|it| product.price.0 != Some(it.price.0.normalize())),
            remove: remove.map(SpecialPrice::of),
            special: asked.filter(|_| !is_so),
        })
    }

    /// In the shop's own time.
    fn day(&self, at: Option<Timestamp>) -> String {
        at.map(|at| wire::text_in(at, self.time_zone.clone())).unwrap_or_default()
    }

    pub(super) fn check_currency(&self, operation: &'static str, amount: Money) -> Result<(), CallError> {
        let own = self.shop.currency;
        if own == amount.currency {
            return Ok(());
        }
        let (theirs, ours) = (amount.currency.code(), own.code());
        Err(CallError::data(operation, format!("the price is in {theirs} and the shop keeps its prices in {ours}")))
    }

    fn check_tax(&self, price: &Price) -> Result<(), CallError> {
        let with = |included: bool| if included { "include tax" } else { "exclude tax" };
        if price.includes_tax == self.shop.prices_include_tax {
            return Ok(());
        }
        let (theirs, ours) = (with(price.includes_tax), with(self.shop.prices_include_tax));
        Err(CallError::data(
            OPERATION,
            format!("the source's prices {theirs} and the shop's {ours}: choose a price list that fits"),
        ))
    }

    async fn write_prices<'a, T: Serialize>(
        &self,
        api: &Api,
        resource: &str,
        rows: impl Iterator<Item = (&'a str, T)>,
        failed: &mut BTreeMap<String, CallError>,
    ) {
        let (skus, rows): (Vec<&str>, Vec<T>) = rows.filter(|(sku, _)| !failed.contains_key(*sku)).unzip();
        let outcomes: Vec<Result<(), CallError>> = match self.prices {
            Writing::Bulk => {
                let bodies: Vec<Body<'_, T>> = rows.chunks(1).map(|prices| Body { prices }).collect();
                bulk::write(api, OPERATION, resource, &bodies).await
            }
            Writing::Direct => {
                let mut outcomes = Vec::with_capacity(rows.len());
                for (skus, prices) in skus.chunks(ROWS).zip(rows.chunks(ROWS)) {
                    let path = format!("/all/V1/{resource}");
                    let refused: Result<Vec<Problem>, CallError> = api.post(OPERATION, path).json(&Body { prices }).fetch().await;
                    outcomes.extend(skus.iter().map(|sku| told(sku, &refused)));
                }
                outcomes
            }
        };
        for (sku, outcome) in skus.into_iter().zip(outcomes) {
            if let Err(error) = outcome {
                failed.insert(sku.to_owned(), error);
            }
        }
    }
}

/// What is refused is told without its place in the list: by its SKU, or, where that is not told either, it may be any.
fn told(sku: &str, refused: &Result<Vec<Problem>, CallError>) -> Result<(), CallError> {
    let problems = refused.as_ref().map_err(Clone::clone)?;
    let own = problems.iter().find(|it| it.names(sku));
    let any = || problems.iter().find(|it| !it.names_a_sku());
    match own.or_else(any) {
        Some(problem) => Err(CallError::data(OPERATION, format!("`{sku}`: {}", problem.text()))),
        None => Ok(()),
    }
}

impl SpecialPrice {
    fn of(there: &Special) -> Self {
        Self {
            price: Number(there.price.or_zero()),
            store_id: there.store_id,
            sku: there.sku.clone(),
            price_from: there.price_from.clone().unwrap_or_default(),
            price_to: there.price_to.clone().unwrap_or_default(),
        }
    }

    fn is(&self, there: &Special) -> bool {
        let same = |new: &str, old: Option<&String>| new == old.map_or("", String::as_str);
        Decimal::normalize(&self.price.0) == there.price.or_zero()
            && same(&self.price_from, there.price_from.as_ref())
            && same(&self.price_to, there.price_to.as_ref())
    }
}
