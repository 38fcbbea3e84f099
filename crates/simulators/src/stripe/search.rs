//! The search for payments: clauses joined by `AND` or by `OR`, over what is old enough to be found.

use crate::stripe::{
    answer::Problem,
    state::{Payment, State},
};

enum Clause {
    Status(String),
    Currency(String),
    Metadata(String, String),
}

impl Clause {
    /// `status:'x'`, `currency:'nok'` or `metadata['key']:'value'`.
    fn parse(text: &str) -> Option<Self> {
        let (field, value) = text.trim().split_once(':')?;
        let value = unquoted(value)?;
        if let Some(key) = field.strip_prefix("metadata[").and_then(|it| it.strip_suffix(']')) {
            return Some(Self::Metadata(unquoted(key)?, value));
        }
        match field {
            "status" => Some(Self::Status(value)),
            "currency" => Some(Self::Currency(value)),
            _ => None,
        }
    }

    fn holds(&self, payment: &Payment) -> bool {
        match self {
            Self::Status(it) => payment.status == it,
            Self::Currency(it) => payment.currency.eq_ignore_ascii_case(it),
            Self::Metadata(key, value) => payment.metadata.get(key) == Some(value),
        }
    }
}

fn unquoted(text: &str) -> Option<String> {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
    let inner = quoted('\'').or_else(|| quoted('"'))?;
    Some(inner.replace("\\'", "'").replace("\\\\", "\\"))
}

impl State {
    /// Ids, the newest first.
    pub(crate) fn search(&self, query: &str) -> Result<Vec<String>, Problem> {
        let refused = |message: &str| Problem::parameter("parameter_invalid", "query", message);
        let (any, all) = (query.contains(" OR "), query.contains(" AND "));
        if any && all {
            return Err(refused("A query cannot combine AND and OR."));
        }
        let parts = query.split(if any { " OR " } else { " AND " });
        let clauses: Option<Vec<Clause>> = parts.map(Clause::parse).collect();
        let clauses = clauses.ok_or_else(|| refused("We were unable to parse your search query."))?;
        let known_until = self.now() - self.options.search_lag.as_secs();
        let fits = |payment: &Payment| match any {
            true => clauses.iter().any(|it| it.holds(payment)),
            false => clauses.iter().all(|it| it.holds(payment)),
        };
        let found = self.payments.iter().rev().filter(|(_, it)| it.created <= known_until && fits(it));
        Ok(found.map(|(id, _)| id.clone()).collect())
    }
}
