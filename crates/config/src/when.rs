//! Reads `when` and tries it on the records of the flow's topics: a condition that can never hold is a mistake.

use crate::{
    Condition, Filter, Test,
    document::{Field, Node, Value, join},
    path::{self, Leads, kinds_of},
    problem::{Findings, Misfit},
};
use serde_json::Value as Json;
use spindel_model::{EntityKind, Topic};

const OPERATORS: &[&str] = &["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "has", "exists", "matches"];

/// Longer patterns and lists are no filter any more.
const MAX_TEXT: usize = 1_000;

pub(crate) fn read(field: &Field, at: &str, topics: &[Topic], findings: &mut Findings<'_>) -> Option<Filter> {
    let before = findings.errors();
    let mut conditions = Vec::new();
    flatten(&field.node, at, "", &kinds_of(topics), &mut |at, path, field| {
        let known = check_path(path, at, field, topics, findings);
        for (test, at, node) in read_tests(&field.node, at, findings) {
            if known {
                check_test(path, &test, &at, node, topics, findings);
            }
            conditions.push(Condition { path: path.to_owned(), test });
        }
    });
    (findings.errors() == before).then_some(Filter(conditions))
}

type Visit<'v, 'n> = dyn FnMut(&str, &str, &'n Field) + 'v;

/// `total.amount = …` without quotes makes nested tables: they mean the same as `"total.amount" = …`.
fn flatten<'n>(node: &'n Node, at: &str, prefix: &str, kinds: &[EntityKind], visit: &mut Visit<'_, 'n>) {
    for field in node.fields() {
        let at = join(at, &field.name);
        let name = if prefix.is_empty() { field.name.clone() } else { format!("{prefix}.{}", field.name) };
        let fields = field.node.fields();
        let condition = fields.iter().any(|it| OPERATORS.contains(&it.name.as_str()))
            || kinds.iter().any(|kind| matches!(path::leads(&name, *kind), Leads::Value | Leads::List));
        if fields.is_empty() || condition { visit(&at, &name, field) } else { flatten(&field.node, &at, &name, kinds, visit) }
    }
}

fn check_path(path: &str, at: &str, field: &Field, topics: &[Topic], findings: &mut Findings<'_>) -> bool {
    let kinds = kinds_of(topics);
    let (unknown, known): (Vec<EntityKind>, Vec<EntityKind>) =
        kinds.iter().partition(|kind| path::leads(path, **kind) == Leads::Nowhere);
    if known.is_empty() && !kinds.is_empty() {
        findings.error(at, &field.span, path::unknown(path, &kinds));
        return false;
    }
    if !unknown.is_empty() {
        let names = unknown.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        let misfit = Misfit::new("never_holds", format!("`{path}` is not a field of: {names}; this flow skips all of these"));
        findings.warning(at, &field.span, misfit.hint("use a flow of its own for them"));
    }
    true
}

/// Each test with its place.
fn read_tests<'n>(node: &'n Node, at: &str, findings: &mut Findings<'_>) -> Vec<(Test, String, &'n Node)> {
    let mut tests = Vec::new();
    let Value::Table(fields) = &node.value else {
        let value = wanted(node).map(Test::Eq).map_err(|misfit| findings.error(at, &node.span, misfit));
        return value.into_iter().map(|test| (test, at.to_owned(), node)).collect();
    };
    if fields.is_empty() {
        findings.error(
            at,
            &node.span,
            Misfit::new("missing_key", "no condition is given").choices("", OPERATORS.iter().copied()),
        );
    }
    for field in fields {
        let at = join(at, &field.name);
        if !OPERATORS.contains(&field.name.as_str()) {
            let misfit = Misfit::new("unknown_key", format!("`{}` is not a condition", field.name));
            findings.error(&at, &field.span, misfit.choices(&field.name, OPERATORS.iter().copied()));
            continue;
        }
        match read_test(&field.name, &field.node) {
            Ok(test) => tests.push((test, at, &field.node)),
            Err(misfit) => findings.error(&at, &field.node.span, misfit),
        }
    }
    tests
}

fn read_test(operator: &str, node: &Node) -> Result<Test, Misfit> {
    Ok(match operator {
        "eq" => Test::Eq(wanted(node)?),
        "ne" => Test::Ne(wanted(node)?),
        "gt" => Test::Gt(wanted(node)?),
        "gte" => Test::Gte(wanted(node)?),
        "lt" => Test::Lt(wanted(node)?),
        "lte" => Test::Lte(wanted(node)?),
        "in" => Test::In(several(node)?),
        "not_in" => Test::NotIn(several(node)?),
        "has" => Test::Has(wanted(node)?),
        "exists" => match node.value {
            Value::Flag(flag) => Test::Exists(flag),
            _ => return Err(Misfit::new("wrong_type", format!("`exists` must be true or false, not {}", node.what()))),
        },
        _ => match node.text() {
            Some(pattern) if pattern.len() <= MAX_TEXT => Test::Matches(pattern.to_owned()),
            Some(_) => return Err(Misfit::new("too_large", format!("the pattern is longer than {MAX_TEXT} bytes"))),
            None => {
                let message = format!("`matches` must be text with `*` for any part, not {}", node.what());
                return Err(Misfit::new("wrong_type", message));
            }
        },
    })
}

/// Numbers stay as they are written: text is compared exactly.
fn wanted(node: &Node) -> Result<Json, Misfit> {
    match &node.value {
        Value::Text(text) | Value::Number(text) | Value::Date(text) if text.len() <= MAX_TEXT => Ok(Json::from(text.as_str())),
        Value::Whole(_) | Value::Flag(_) => Ok(node.json()),
        Value::List(_) => Err(Misfit::new("wrong_type", "expected one value, not a list").hint("use `in` for several values")),
        Value::Table(_) => Err(Misfit::new("wrong_type", "expected one value, not a table")),
        _ => Err(Misfit::new("too_large", format!("the value is longer than {MAX_TEXT} bytes"))),
    }
}

fn several(node: &Node) -> Result<Vec<Json>, Misfit> {
    match &node.value {
        Value::List(items) if items.len() <= MAX_TEXT => items.iter().map(wanted).collect(),
        Value::List(_) => Err(Misfit::new("too_large", format!("the list has more than {MAX_TEXT} values")).hint("use a map")),
        _ => Err(Misfit::new("wrong_type", format!("expected a list of values, not {}", node.what()))),
    }
}

/// A test that no record can pass, or every one, is a mistake.
fn check_test(path: &str, test: &Test, at: &str, node: &Node, topics: &[Topic], findings: &mut Findings<'_>) {
    let wanted: Vec<String> = match test {
        Test::Exists(_) => return,
        Test::In(several) | Test::NotIn(several) => several.iter().map(text_of).collect(),
        Test::Eq(one) | Test::Ne(one) | Test::Gt(one) | Test::Gte(one) | Test::Lt(one) | Test::Lte(one) | Test::Has(one) => {
            vec![text_of(one)]
        }
        Test::Matches(_) => Vec::new(),
    };
    let leads: Vec<(EntityKind, Leads)> = kinds_of(topics).into_iter().map(|kind| (kind, path::leads(path, kind))).collect();
    if leads.iter().any(|(_, it)| *it == Leads::Group) {
        let misfit = Misfit::new("wrong_type", format!("`{path}` is a group of fields; a condition is on one of them"));
        findings.error(at, &node.span, misfit.hint("only `exists` can be asked of a group"));
        return;
    }
    let has = matches!(test, Test::Has(_));
    if leads.iter().any(|(_, it)| *it == Leads::List) && !has {
        let misfit = Misfit::new("wrong_type", format!("`{path}` is a list; it is asked whether it has something"));
        findings.error(at, &node.span, misfit.hint("write { has = \"…\" }"));
        return;
    }
    if path == "topic" {
        for value in wanted.iter().filter(|it| !has && !topics.iter().any(|topic| topic.as_str() == it.as_str())) {
            let misfit = Misfit::new("never_holds", format!("this flow does not carry `{}`", crate::measure::shortened(value)));
            findings.error(at, &node.span, misfit.choices(value, topics.iter().map(|it| it.as_str())));
        }
        return;
    }
    // Part of a text need not be a whole value.
    if has {
        return;
    }
    for value in &wanted {
        let tried = leads.iter().filter(|(_, it)| *it == Leads::Value).map(|(kind, _)| path::can_be(path, *kind, value));
        let tried: Vec<Result<(), Misfit>> = tried.collect();
        if tried.iter().all(Result::is_err)
            && let Some(Err(misfit)) = tried.into_iter().next()
        {
            findings.error(at, &node.span, misfit);
        }
    }
}

fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
