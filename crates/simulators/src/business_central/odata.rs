//! The query options that are understood: `$filter` with comparisons, `and`, `or` and parentheses; `$orderby`, `$top`, `$skip`,
//! `$select` and `$expand`.

use super::{
    schema::{Kind, Set},
    state::{Record, Refusal},
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use std::cmp::Ordering;

/// What a caller wants to see.
#[derive(Default)]
pub(super) struct Options {
    filter: Option<Expression>,
    order: Vec<(String, bool)>,
    pub top: Option<usize>,
    pub skip: usize,
    select: Vec<String>,
    pub expand: Vec<String>,
}

enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Compare { field: String, kind: Kind, operator: String, value: String },
}

fn bad(problem: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest_NotFound", format!("Bad Request - Error in query syntax: {}", problem.into()))
}

impl Options {
    pub(super) fn read(set: &Set, pairs: &[(String, String)]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in pairs {
            let list = || value.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
            let number = || value.parse().map_err(|_| bad(format!("{name} is no number")));
            match name.as_str() {
                "$filter" => options.filter = Some(Parser { set, tokens: tokens(value)?, at: 0 }.whole()?),
                "$top" => options.top = Some(number()?),
                "$skip" => options.skip = number()?,
                "$expand" => options.expand = list().collect(),
                "$select" => options.select = list().collect(),
                "$orderby" => {
                    options.order = list()
                        .map(|it| match it.strip_suffix(" desc") {
                            Some(name) => (name.to_owned(), true),
                            None => (it.strip_suffix(" asc").unwrap_or(&it).to_owned(), false),
                        })
                        .collect();
                }
                _ => return Err(bad(format!("{name} is not understood"))),
            }
        }
        for name in options.select.iter().chain(options.order.iter().map(|(name, _)| name)) {
            set.field(name)?;
        }
        match options.expand.iter().find(|it| set.lines != Some(it.as_str())) {
            Some(name) => Err(bad(format!("there is no navigation property '{name}' on '{}'", set.single))),
            None => Ok(options),
        }
    }

    pub(super) fn fits(&self, record: &Record) -> bool {
        self.filter.as_ref().is_none_or(|it| it.fits(record))
    }

    pub(super) fn sort(&self, set: &Set, records: &mut [&Record]) {
        records.sort_by(|one, other| {
            let mut result = Ordering::Equal;
            for (name, descending) in &self.order {
                let kind = set.field(name).map_or(Kind::Text(0), |it| it.kind);
                let by = compared(kind, one.get(name), &text(other.get(name))).unwrap_or(Ordering::Equal);
                result = result.then(if *descending { by.reverse() } else { by });
            }
            result
        });
    }

    pub(super) fn selected(&self, record: &Record) -> Record {
        let keep = |name: &str| self.select.is_empty() || name.starts_with("@odata") || self.select.iter().any(|it| it == name);
        let shown = record.iter().filter(|(name, _)| !name.starts_with('_') && keep(name));
        shown.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl Expression {
    fn fits(&self, record: &Record) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|it| it.fits(record)),
            Self::All(parts) => parts.iter().all(|it| it.fits(record)),
            Self::Compare { field, kind, operator, value } => {
                let Some(order) = compared(*kind, record.get(field), value) else { return false };
                match operator.as_str() {
                    "eq" => order.is_eq(),
                    "ne" => order.is_ne(),
                    "gt" => order.is_gt(),
                    "ge" => order.is_ge(),
                    "lt" => order.is_lt(),
                    _ => order.is_le(),
                }
            }
        }
    }

    fn fields(&self) -> Vec<&str> {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Compare { field, .. } => vec![field],
        }
    }
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
}

/// Codes know no small letters; texts do.
fn compared(kind: Kind, value: Option<&Value>, with: &str) -> Option<Ordering> {
    let value = text(value);
    Some(match kind {
        Kind::Code(_) => value.to_uppercase().cmp(&with.to_uppercase()),
        Kind::Guid => value.to_lowercase().cmp(&with.to_lowercase()),
        Kind::Decimal | Kind::Integer => value.parse::<Decimal>().ok()?.cmp(&with.parse().ok()?),
        Kind::Moment => value.parse::<Timestamp>().ok()?.cmp(&with.parse().ok()?),
        Kind::Text(_) | Kind::Boolean | Kind::Day => value.as_str().cmp(with),
    })
}

#[derive(PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

fn tokens(filter: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = filter.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            ' ' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '\'' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        Some('\'') if rest.next_if_eq(&'\'').is_some() => text.push('\''),
                        Some('\'') => break,
                        Some(letter) => text.push(letter),
                        None => return Err(bad("a text has no end")),
                    }
                }
                tokens.push(Token::Text(text));
            }
            _ => {
                let mut word = String::from(letter);
                while let Some(letter) = rest.next_if(|it| !" ()'".contains(*it)) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    set: &'a Set,
    tokens: Vec<Token>,
    at: usize,
}

impl Parser<'_> {
    fn whole(mut self) -> Result<Expression, Refusal> {
        let expression = self.any()?;
        if self.at == self.tokens.len() { Ok(expression) } else { Err(bad("something stands after the end")) }
    }

    fn any(&mut self) -> Result<Expression, Refusal> {
        let mut parts = vec![self.all()?];
        while self.is_word("or") {
            parts.push(self.all()?);
        }
        let any = Expression::Any(parts);
        // What the vendor cannot do.
        if let Expression::Any(parts) = &any
            && parts.len() > 1
            && any.fields().windows(2).any(|it| it[0] != it[1])
        {
            let problem = "An 'or' across distinct fields is not supported.";
            return Err(Refusal::new(400, "BadRequest_MethodNotImplemented", problem));
        }
        Ok(any)
    }

    fn all(&mut self) -> Result<Expression, Refusal> {
        let mut parts = vec![self.one()?];
        while self.is_word("and") {
            parts.push(self.one()?);
        }
        Ok(Expression::All(parts))
    }

    fn one(&mut self) -> Result<Expression, Refusal> {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.any()?;
            if self.tokens.get(self.at) != Some(&Token::Close) {
                return Err(bad("')' expected"));
            }
            self.at += 1;
            return Ok(inner);
        }
        let (Some(Token::Word(field)), Some(Token::Word(operator)), Some(value)) =
            (self.tokens.get(self.at), self.tokens.get(self.at + 1), self.tokens.get(self.at + 2))
        else {
            return Err(bad("a comparison expected"));
        };
        if !["eq", "ne", "gt", "ge", "lt", "le"].contains(&operator.as_str()) {
            return Err(bad(format!("'{operator}' is not understood")));
        }
        let kind = self.set.field(field)?.kind;
        let value = match (value, kind) {
            (Token::Text(text), Kind::Code(_) | Kind::Text(_)) => text,
            (Token::Word(word), Kind::Decimal | Kind::Integer | Kind::Boolean | Kind::Day | Kind::Moment | Kind::Guid) => word,
            _ => return Err(bad(format!("the value is not one for '{field}'"))),
        };
        let expression = Expression::Compare { field: field.clone(), kind, operator: operator.clone(), value: value.clone() };
        self.at += 3;
        Ok(expression)
    }

    fn is_word(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(it)) if it == word);
        self.at += usize::from(is);
        is
    }
}
