//! `[[tests]]`: what is given and what is expected of the flows. Running them is the engine's.

use crate::{
    ExpectedAction, FlowTest, Given,
    connection::ConnectionDraft,
    document::{Node, Value, join},
    flow::unknown_connection,
    keys,
    problem::{Findings, Misfit},
    section::{Section, unknown_key},
};
use serde_json::Value as Json;
use spindel_connect::Entry;
use spindel_model::{Change, EntityKind, Topic, specimen, specimen_change};

/// What tests may refer to.
pub(crate) struct Known<'a> {
    pub connections: &'a [ConnectionDraft<'a>],
    pub flows: &'a Node,
}

pub(crate) fn read(node: &Node, index: usize, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<FlowTest> {
    let section = Section::open(node, format!("tests[{index}]"), keys::TEST, findings);
    let connection = section.text("connection");
    let mut entry = None;
    if let Some(name) = connection {
        match known.connections.iter().find(|it| it.name() == name) {
            Some(connection) => entry = connection.entry,
            None => section.error("connection", unknown_connection(name, known.connections), findings),
        }
    }
    let given = given(&section, entry, findings);
    let expect = expected(&section, known, findings);
    Some(FlowTest {
        name: section.text("name")?.to_owned(),
        connection: connection?.to_owned(),
        given: given?,
        expect,
        line: findings.document.line(node.span.start),
    })
}

fn given(section: &Section<'_>, entry: Option<Entry>, findings: &mut Findings<'_>) -> Option<Given> {
    let ways: Vec<&str> = ["fixture", "webhook", "change"].into_iter().filter(|it| section.get(it).is_some()).collect();
    if ways.len() != 1 {
        let misfit = Misfit::new("missing_key", format!("a test starts from one thing, and {} are given", ways.len()));
        findings.error(
            &section.path,
            &findings.document.place(&section.path),
            misfit.choices("", ["fixture", "webhook", "change"]),
        );
        return None;
    }
    if let Some(name) = section.text("fixture") {
        if let Some(entry) = entry.filter(|it| !it.fixtures.iter().any(|fixture| fixture.name == name)) {
            let brings_changes = |ability: &str| ability == "receive" || ability.starts_with("poll ");
            let names =
                entry.fixtures.iter().filter(|it| it.example().is_ok_and(|it| brings_changes(&it.ability))).map(|it| it.name);
            let misfit =
                Misfit::new("unknown_fixture", format!("{} has no fixture `{}`", entry.info.id, crate::measure::shortened(name)));
            section.error("fixture", misfit.choices(name, names), findings);
        }
        return Some(Given::Fixture(name.to_owned()));
    }
    if let Some(webhook) = section.table("webhook", keys::WEBHOOK, findings) {
        return webhook_of(&webhook, findings);
    }
    change(&section.table("change", keys::CHANGE, findings)?, findings).map(Given::Change)
}

fn webhook_of(webhook: &Section<'_>, findings: &mut Findings<'_>) -> Option<Given> {
    let headers = webhook.get("headers").map(|it| text_map(&it.node, &webhook.at("headers"), findings)).unwrap_or_default();
    let body = match &webhook.get("body")?.node {
        node if node.is_table() => node.json().to_string(),
        node => node.text()?.to_owned(),
    };
    Some(Given::Webhook { headers, body })
}

/// A whole change: what the test gives is laid over invented data, so that it need not give what does not matter.
fn change(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<Json> {
    let topic = section.read("topic", findings, |text| {
        text.parse::<Topic>().map_err(|_| {
            Misfit::new("unknown_topic", format!("there is no topic `{}`", crate::measure::shortened(text)))
                .choices(text, Topic::ALL.iter().map(|it| it.as_str()))
        })
    })?;
    let mut change = serde_json::to_value(specimen_change(topic)).ok()?;
    if let Some(given) = section.get("record") {
        let record = &mut change["record"];
        if record.get("data").is_none() {
            *record = serde_json::to_value(specimen(topic.entity())).ok()?;
        }
        if topic.entity() == EntityKind::Shop {
            // Vendor fields, whatever they are.
            record["data"] = given.node.json();
        }
        lay_over(&mut record["data"], &given.node, &section.at("record"), findings);
        if let Some(Json::String(id)) = record["data"].get("id").cloned() {
            change["entity"]["id"] = Json::String(id);
        }
    }
    if let Err(problem) = serde_path_to_error::deserialize::<_, Change>(change.clone()) {
        let field = problem.path().to_string();
        let at = format!(
            "{}{}",
            section.at("record"),
            field.strip_prefix("record.data").or(field.strip_prefix("record")).unwrap_or_default()
        );
        let misfit = Misfit::new("invalid_value", format!("not a valid change: {}", problem.inner()));
        findings.error(&at, &findings.document.place(&at), misfit);
        return None;
    }
    Some(change)
}

fn lay_over(base: &mut Json, node: &Node, at: &str, findings: &mut Findings<'_>) {
    match (&node.value, base) {
        (Value::Table(fields), Json::Object(known)) => {
            let names: Vec<String> = known.keys().cloned().collect();
            for field in fields {
                let at = join(at, &field.name);
                match known.get_mut(&field.name) {
                    Some(base) => lay_over(base, &field.node, &at, findings),
                    None if is_open(&at) => {
                        known.insert(field.name.clone(), field.node.json());
                    }
                    None => findings.error(&at, &field.span, unknown_key(&field.name).choices(&field.name, names.clone())),
                }
            }
        }
        (Value::List(items), Json::Array(known)) => {
            let pattern = known.first().cloned().unwrap_or(Json::Null);
            *known = vec![pattern; items.len()];
            for (index, (item, base)) in items.iter().zip(known).enumerate() {
                lay_over(base, item, &format!("{at}[{index}]"), findings);
            }
        }
        // Money and quantities are text on the wire.
        (Value::Whole(_) | Value::Number(_), Json::String(base)) => {
            *base = match &node.value {
                Value::Number(number) => number.clone(),
                _ => node.json().to_string(),
            }
        }
        (_, base) => *base = node.json(),
    }
}

/// Below these, names are the vendor's own.
fn is_open(at: &str) -> bool {
    at.contains(".attributes.")
}

fn expected(section: &Section<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<ExpectedAction> {
    let Some(field) = section.get("expect") else { return Vec::new() };
    let Value::List(items) = &field.node.value else { return Vec::new() };
    let path = section.at("expect");
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let expect = Section::open(item, format!("{path}[{index}]"), keys::EXPECT, findings);
        let Some(flow) = expect.text("flow") else { continue };
        check_flow(flow, section.text("connection"), &expect, known, findings);
        if expect.get("action").is_some() && expect.get("skipped").is_some() {
            let misfit =
                Misfit::new("conflict", "a delivery is either sent or skipped").hint("keep one of `action` and `skipped`");
            expect.error("skipped", misfit, findings);
        }
        all.push(ExpectedAction {
            flow: flow.to_owned(),
            action: expect.get("action").map(|it| it.node.json()),
            skipped: expect.text("skipped").map(str::to_owned),
        });
    }
    all
}

fn check_flow(flow: &str, connection: Option<&str>, expect: &Section<'_>, known: &Known<'_>, findings: &mut Findings<'_>) {
    let Some(found) = known.flows.get(flow) else {
        let misfit = Misfit::new("unknown_flow", format!("there is no flow `{}`", crate::measure::shortened(flow)));
        expect.error("flow", misfit.choices(flow, known.flows.fields().iter().map(|it| it.name.as_str())), findings);
        return;
    };
    if let (Some(from), Some(connection)) = (found.node.get("from").and_then(|it| it.node.text()), connection)
        && from != connection
    {
        let misfit =
            Misfit::new("never_holds", format!("flow \"{flow}\" carries changes from \"{from}\", not from \"{connection}\""));
        expect.error("flow", misfit, findings);
    }
}

/// A table of texts.
pub(crate) fn text_map(node: &Node, path: &str, findings: &mut Findings<'_>) -> std::collections::BTreeMap<String, String> {
    let mut map = std::collections::BTreeMap::new();
    for field in node.fields() {
        match field.node.text() {
            Some(text) => {
                map.insert(field.name.clone(), text.to_owned());
            }
            None => {
                let message = format!("`{}` must be text, not {}", field.name, field.node.what());
                findings.error(
                    &join(path, &field.name),
                    &field.node.span,
                    Misfit::new("wrong_type", message).hint("put it in quotes"),
                );
            }
        }
    }
    map
}
