//! The shop's own table, for when no carrier answers.

use jiff::civil::Date;
use spindel_model::{Decimal, Money, Rate, RateRequest};

/// One row of `[[rates.NAME.fallback]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    pub service: String,
    pub title: String,
    /// Tax included.
    pub price: Money,
    /// Two letters each; empty for all the world.
    pub countries: Vec<String>,
    /// Up to this weight in all; `None`: however heavy.
    pub up_to_grams: Option<u64>,
    /// Days from today until it is there at the latest.
    pub days: Option<i64>,
}

impl Fallback {
    fn covers(&self, request: &RateRequest) -> bool {
        let country = request.destination.country.as_deref().unwrap_or_default();
        let there = self.countries.is_empty() || self.countries.iter().any(|it| it.eq_ignore_ascii_case(country));
        there && self.up_to_grams.is_none_or(|most| request.grams() <= Decimal::from(most))
    }

    fn rate(&self, today: Date) -> Rate {
        Rate {
            service: self.service.clone(),
            title: self.title.clone(),
            description: None,
            price: self.price,
            earliest: None,
            latest: self.days.and_then(|days| today.checked_add(jiff::Span::new().try_days(days).ok()?).ok()),
        }
    }
}

/// The rows that cover the request; where none does, the dearest one, so that a checkout is never empty. Rows in the request's
/// own currency come before all others, as amounts of several cannot be compared.
pub(crate) fn rates(table: &[Fallback], request: &RateRequest, today: Date) -> Vec<Rate> {
    let (own, others): (Vec<&Fallback>, Vec<&Fallback>) = table.iter().partition(|row| row.price.currency == request.currency);
    for rows in [&own, &others] {
        let fitting: Vec<Rate> = rows.iter().filter(|row| row.covers(request)).map(|row| row.rate(today)).collect();
        if !fitting.is_empty() {
            return fitting;
        }
    }
    let dearest = |rows: &[&Fallback]| rows.iter().max_by_key(|row| row.price.amount).map(|row| row.rate(today));
    dearest(&own).or_else(|| dearest(&others)).into_iter().collect()
}
