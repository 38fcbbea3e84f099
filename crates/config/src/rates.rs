//! `[rates.NAME]`: which carriers answer a shop's checkout, how soon, and what is said when none does.

use crate::{
    Env, RateTable, Rates,
    connection::ConnectionDraft,
    document::{Field, Node, Value, join},
    flow::unknown_connection,
    keys, measure,
    problem::{Findings, Misfit},
    secret,
    section::Section,
};
use spindel_connect::{Described, Secret};
use spindel_model::{Currency, Decimal, Money};

pub(crate) fn read(
    field: &Field,
    connections: &[ConnectionDraft<'_>],
    env: Env<'_>,
    findings: &mut Findings<'_>,
) -> Option<Rates> {
    let path = join("rates", &field.name);
    if !field.node.is_table() {
        findings.error(&path, &field.span, Misfit::new("wrong_type", format!("rates are a table: [{path}]")));
        return None;
    }
    let section = Section::open(&field.node, path.clone(), keys::RATES, findings);
    let deadline = section.read("deadline", findings, measure::duration_within("100ms", "10s"));
    let keep = section.read("keep", findings, measure::duration_within("0s", "1d"));
    let token =
        section.get("token").and_then(|field| secret::resolve(&field.node, &section.at("token"), env, findings)).map(Secret::new);
    let carriers = carriers(&section, connections, findings);
    let asks = connections.iter().any(|it| it.name() == field.name && can(it, Described::ChecksOut));
    if !asks && section.get("token").is_none() {
        let misfit = Misfit::new("missing_key", format!("nothing says how a question to /rates/{} proves itself", field.name))
            .hint("add `token = { env = \"…\" }`, or give it the name of a connection whose checkout signs its questions");
        findings.error(&path, &field.span, misfit);
    }
    let fallback = table(&section, findings);
    if fallback.is_empty() {
        let misfit = Misfit::new("unused", "there is no table for when no carrier answers: the checkout would be empty");
        findings.warning(&path, &field.span, misfit.hint(format!("add [[{path}.fallback]]")));
    }
    Some(Rates { name: field.name.clone(), carriers, deadline: deadline?, keep: keep?, token, fallback })
}

fn can(connection: &ConnectionDraft<'_>, ability: Described) -> bool {
    connection.entry.is_some_and(|entry| (entry.abilities)().contains(&ability))
}

fn carriers(section: &Section<'_>, connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) -> Vec<String> {
    let mut carriers = Vec::new();
    for (at, node, name) in section.texts("carriers") {
        let Some(connection) = connections.iter().find(|it| it.name() == name) else {
            findings.error(&at, &node.span, unknown_connection(name, connections));
            continue;
        };
        if connection.entry.is_some() && !can(connection, Described::Quotes) {
            let able = connections.iter().filter(|it| can(it, Described::Quotes)).map(|it| it.name());
            let misfit =
                Misfit::new("unsupported_action", format!("connection \"{name}\" cannot say what it costs to send something"));
            findings.error(&at, &node.span, misfit.choices(name, able));
        }
        carriers.push(name.to_owned());
    }
    carriers
}

fn table(section: &Section<'_>, findings: &mut Findings<'_>) -> Vec<RateTable> {
    let Some(Field { node: Node { value: Value::List(rows), .. }, .. }) = section.get("fallback") else { return Vec::new() };
    let at = section.at("fallback");
    rows.iter().enumerate().filter_map(|(index, node)| row(node, format!("{at}[{index}]"), findings)).collect()
}

fn row(node: &Node, path: String, findings: &mut Findings<'_>) -> Option<RateTable> {
    let section = Section::open(node, path, keys::FALLBACK, findings);
    let price = section.read("price", findings, money);
    let number = |name: &str, most: usize, findings: &mut Findings<'_>| {
        section.get(name).and_then(|_| section.read(name, findings, measure::whole_within(1, most)))
    };
    let up_to_grams = number("up_to_grams", 10_000_000, findings);
    let days = number("days", 365, findings);
    let mut countries = Vec::new();
    for (at, node, code) in section.texts("countries") {
        if code.len() == 2 && code.bytes().all(|it| it.is_ascii_uppercase()) {
            countries.push(code.to_owned());
        } else {
            let misfit = Misfit::new("invalid_value", format!("`{}` is no country", measure::shortened(code)));
            findings.error(&at, &node.span, misfit.hint("write two capital letters, as in \"NO\""));
        }
    }
    Some(RateTable {
        service: section.text("service")?.to_owned(),
        title: section.text("title")?.to_owned(),
        price: price?,
        countries,
        up_to_grams: up_to_grams.map(|it| it as u64),
        days: days.map(|it| it as i64),
    })
}

/// `99.00 NOK`
fn money(text: &str) -> Result<Money, Misfit> {
    let wrong = || {
        Misfit::new("invalid_value", format!("`{}` is not an amount of money", measure::shortened(text)))
            .hint("write the amount and its currency, as in \"99.00 NOK\"")
    };
    let (amount, currency) = text.split_once(' ').ok_or_else(wrong)?;
    let amount: Decimal = amount.parse().map_err(|_| wrong())?;
    let currency: Currency = currency.parse().map_err(|_| wrong())?;
    let money = Money::new(amount, currency);
    if amount < Decimal::ZERO || money.to_minor().is_none() { Err(wrong()) } else { Ok(money) }
}

/// The connections that `[rates.*]` names.
pub(crate) fn named(node: &Node) -> impl Iterator<Item = &str> {
    let listed = match node.get("carriers").map(|field| &field.node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    listed.iter().filter_map(Node::text)
}
