//! `[flows.NAME]`: reads a flow and checks it against what its two ends can do.

use crate::{
    Flow, RetryPolicy, Trust,
    connection::ConnectionDraft,
    document::{Field, Node, join},
    keys, measure,
    path::kinds_of,
    problem::{Findings, Misfit},
    section::Section,
    when,
};
use spindel_connect::{Described, Entry};
use spindel_model::{ActionKind, AttributeMap, EntityKind, Topic};
use std::time::Duration;

/// The longest jq program that is read.
const MAX_MAP: usize = 64 * 1024;

pub(crate) fn read(field: &Field, connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) -> Option<Flow> {
    let path = join("flows", &field.name);
    if let Err(misfit) = measure::name(&field.name) {
        findings.error(&path, &field.span, misfit);
    }
    if !field.node.is_table() {
        findings.error(&path, &field.span, Misfit::new("wrong_type", format!("a flow is a table: [{path}]")));
        return None;
    }
    let section = Section::open(&field.node, path, keys::FLOW, findings);
    let topics = topics(&section, findings);
    let action = section.read("do", findings, |text| {
        text.parse::<ActionKind>().map_err(|_| {
            Misfit::new("unknown_action", format!("there is no action `{}`", measure::shortened(text)))
                .choices(text, ActionKind::ALL.iter().map(|it| it.as_str()))
        })
    });
    let every = section.get("every").and_then(|_| section.read("every", findings, measure::duration_within("1s", "7d")));
    let trust = section.read("trust", findings, |text| match text {
        "payload" => Ok(Trust::Payload),
        "refetch" => Ok(Trust::Refetch),
        _ => Err(Misfit::new("invalid_value", format!("`{}` is not a kind of trust", measure::shortened(text)))
            .choices(text, ["payload", "refetch"])),
    });
    let lag = section.read("lag", findings, measure::duration_within("0s", "30d"));
    let retry = retry(&section, findings);
    let map = map(&section, findings);
    let attributes = attributes(&section, findings);
    let filter = match section.get("when") {
        Some(field) => when::read(field, &section.at("when"), &topics, findings),
        None => Some(Default::default()),
    };

    let ends = Ends { flow: &field.name, section: &section, connections };
    let from = ends.find("from", findings);
    let to = ends.find("to", findings);
    if let Some(action) = action {
        ends.destination_performs(action, to, findings);
        ends.action_takes(action, findings);
    }
    ends.source_tells(&topics, section.get("every").is_some(), from, findings);
    if trust == Some(Trust::Refetch) {
        ends.source_reads(&topics, from, findings);
    }
    ends.are_two(findings);

    Some(Flow {
        name: field.name.clone(),
        from: section.text("from")?.to_owned(),
        on: topics,
        to: section.text("to")?.to_owned(),
        action: action?,
        when: filter?,
        lag: lag?,
        trust: trust?,
        every,
        attributes,
        map,
        retry: retry?,
    })
}

fn topics(section: &Section<'_>, findings: &mut Findings<'_>) -> Vec<Topic> {
    let mut topics = Vec::new();
    for (at, node, text) in section.texts("on") {
        match text.parse::<Topic>() {
            Ok(topic) if topics.contains(&topic) => {
                findings.error(
                    &at,
                    &node.span,
                    Misfit::new("duplicate", format!("`{topic}` is listed twice")).hint("remove one of them"),
                );
            }
            Ok(topic) => topics.push(topic),
            Err(_) => {
                let misfit = Misfit::new("unknown_topic", format!("there is no topic `{}`", measure::shortened(text)));
                findings.error(&at, &node.span, misfit.choices(text, Topic::ALL.iter().map(|it| it.as_str())));
            }
        }
    }
    if let (true, Some(field)) = (section.texts("on").is_empty(), section.get("on")) {
        let misfit = Misfit::new("missing_value", "no topic is listed: the flow would carry nothing");
        findings.error(&section.at("on"), &field.node.span, misfit.choices("", Topic::ALL.iter().map(|it| it.as_str())));
    }
    topics
}

fn map(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let field = section.get("map")?;
    let program = field.node.text()?;
    if program.trim().is_empty() {
        findings.error(
            &section.at("map"),
            &field.node.span,
            Misfit::new("missing_value", "the program is empty").hint("remove `map`"),
        );
    } else if program.len() > MAX_MAP {
        findings.error(
            &section.at("map"),
            &field.node.span,
            Misfit::new("too_large", format!("the program is longer than {MAX_MAP} bytes")),
        );
    }
    Some(program.to_owned())
}

/// Field at the destination = attribute of the source.
fn attributes(section: &Section<'_>, findings: &mut Findings<'_>) -> AttributeMap {
    let Some(field) = section.get("attributes") else { return AttributeMap::new() };
    if section.text("do").is_some_and(|action| action != ActionKind::UpsertProduct.as_str()) {
        let misfit = Misfit::new("unused", "only upsert_product has attributes");
        findings.warning(&section.at("attributes"), &field.node.span, misfit.hint("remove `attributes`, or use `map`"));
    }
    let mut map = AttributeMap::new();
    for entry in field.node.fields() {
        match entry.node.text() {
            Some(attribute) => drop(map.insert(entry.name.clone(), attribute.to_owned())),
            None => {
                let misfit = Misfit::new("wrong_type", format!("`{}` must be the name of an attribute, as text", entry.name));
                findings.error(&join(&section.at("attributes"), &entry.name), &entry.node.span, misfit);
            }
        }
    }
    map
}

fn retry(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<RetryPolicy> {
    let Some(retry) = section.table("retry", keys::RETRY, findings) else { return Some(RetryPolicy::default()) };
    let first = retry.read("first", findings, measure::duration_within("100ms", "1d"));
    let max = retry.read("max", findings, measure::duration_within("1s", "7d"));
    let give_up_after = retry.read("give_up_after", findings, measure::duration_within("1s", "30d"));
    let factor = retry.read("factor", findings, |text| {
        let factor = text.parse::<f64>().ok().filter(|it| (1.0..=100.0).contains(it));
        factor.ok_or_else(|| {
            Misfit::new("out_of_range", format!("`{}` is out of range; expected 1 to 100", measure::shortened(text)))
        })
    });
    let policy = RetryPolicy { first: first?, factor: factor?, max: max?, give_up_after: give_up_after? };
    let too_short = |name: &str, value: Duration| {
        let misfit = Misfit::new("out_of_range", format!("`{name}` is shorter than `first`: nothing would be tried again"));
        (value < policy.first).then_some(misfit)
    };
    for (name, value) in [("max", policy.max), ("give_up_after", policy.give_up_after)] {
        if let Some(misfit) = too_short(name, value) {
            retry.error(name, misfit, findings);
        }
    }
    Some(policy)
}

/// The two connections of a flow, and what they must be able to do for it.
struct Ends<'a> {
    flow: &'a str,
    section: &'a Section<'a>,
    connections: &'a [ConnectionDraft<'a>],
}

impl<'a> Ends<'a> {
    /// The connection's name and connector. An unknown connector is reported where the connection stands.
    fn find(&self, key: &str, findings: &mut Findings<'_>) -> Option<(&'a str, Entry)> {
        let field = self.section.get(key)?;
        let name = field.node.text()?;
        match self.connections.iter().find(|it| it.name() == name) {
            Some(connection) => Some((connection.name(), connection.entry?)),
            None => {
                findings.error(&self.section.at(key), &field.node.span, unknown_connection(name, self.connections));
                None
            }
        }
    }

    fn destination_performs(&self, action: ActionKind, to: Option<(&str, Entry)>, findings: &mut Findings<'_>) {
        let Some((name, entry)) = to.filter(|(_, entry)| !entry.performs(action)) else { return };
        let actions: Vec<&str> = entry.actions().iter().map(|it| it.as_str()).collect();
        let can = if actions.is_empty() { "it takes no actions".into() } else { format!("it can do {}", actions.join(", ")) };
        let message = format!("flow \"{}\": connection \"{name}\" ({}) cannot do {action}; {can}", self.flow, entry.info.id);
        self.section.error("do", Misfit::new("unsupported_action", message).choices(action.as_str(), actions), findings);
    }

    fn action_takes(&self, action: ActionKind, findings: &mut Findings<'_>) {
        for (at, node, text) in self.section.texts("on") {
            let Ok(topic) = text.parse::<Topic>() else { continue };
            if !action.accepts().contains(&topic.entity()) {
                let kinds = action.accepts();
                let message =
                    format!("flow \"{}\": {action} cannot be made from {topic}; it is made from: {}", self.flow, list(kinds));
                let fitting = Topic::ALL.iter().filter(|it| kinds.contains(&it.entity())).map(|it| it.as_str());
                findings.error(&at, &node.span, Misfit::new("unsuitable_topic", message).choices(text, fitting));
            }
        }
    }

    /// The source sends webhooks, or can be polled for all that the flow carries.
    fn source_tells(&self, topics: &[Topic], every: bool, from: Option<(&str, Entry)>, findings: &mut Findings<'_>) {
        let Some((name, entry)) = from else { return };
        let connection = format!("flow \"{}\": connection \"{name}\" ({})", self.flow, entry.info.id);
        let polled = described(&entry, |it| match it {
            Described::Polls(kind) => Some(kind),
            _ => None,
        });
        if every {
            let asked = |kind: EntityKind| entry.polls(kind) || (kind == EntityKind::Shipment && tracks(&entry));
            for kind in kinds_of(topics).into_iter().filter(|kind| !asked(*kind)) {
                let can = if polled.is_empty() {
                    "it cannot be polled at all".into()
                } else {
                    format!("it can be polled for: {}", list(&polled))
                };
                self.section.error(
                    "every",
                    Misfit::new("unsupported_poll", format!("{connection} cannot be polled for {kind}; {can}")),
                    findings,
                );
            }
        } else if !entry.receives() && !books(&entry, topics) {
            let misfit = Misfit::new("unsupported_source", format!("{connection} sends no webhooks, and the flow does not poll"));
            let misfit = if polled.is_empty() {
                misfit
            } else {
                misfit.hint(format!("add `every = \"1m\"`; it can be polled for: {}", list(&polled)))
            };
            self.section.error("from", misfit, findings);
        }
    }

    fn source_reads(&self, topics: &[Topic], from: Option<(&str, Entry)>, findings: &mut Findings<'_>) {
        let Some((name, entry)) = from else { return };
        let read = described(&entry, |it| match it {
            Described::Reads(kind) => Some(kind),
            _ => None,
        });
        for kind in kinds_of(topics).into_iter().filter(|kind| !entry.reads(*kind)) {
            let can =
                if read.is_empty() { "nothing can be read back there".into() } else { format!("it can read: {}", list(&read)) };
            let message =
                format!("flow \"{}\": connection \"{name}\" ({}) cannot read {kind} back; {can}", self.flow, entry.info.id);
            self.section.error("trust", Misfit::new("unsupported_read", message), findings);
        }
    }

    fn are_two(&self, findings: &mut Findings<'_>) {
        if let (Some(from), Some(to)) = (self.section.text("from"), self.section.text("to"))
            && from == to
        {
            let misfit = Misfit::new("flow_to_itself", format!("flow \"{}\" leads from \"{from}\" to itself", self.flow));
            self.section.error("to", misfit.hint("name two connections"), findings);
        }
    }
}

/// What is booked with a carrier is told as soon as it is.
fn books(entry: &Entry, topics: &[Topic]) -> bool {
    entry.performs(ActionKind::BookShipment) && kinds_of(topics).iter().all(|kind| *kind == EntityKind::Shipment)
}

/// A carrier is asked about the parcels that were booked with it.
fn tracks(entry: &Entry) -> bool {
    (entry.abilities)().contains(&Described::Tracks)
}

pub(crate) fn unknown_connection(name: &str, connections: &[ConnectionDraft<'_>]) -> Misfit {
    Misfit::new("unknown_connection", format!("there is no connection `{}`", measure::shortened(name)))
        .choices(name, connections.iter().map(|it| it.name()))
}

fn described(entry: &Entry, pick: impl Fn(Described) -> Option<EntityKind>) -> Vec<EntityKind> {
    (entry.abilities)().into_iter().filter_map(pick).collect()
}

fn list(kinds: &[EntityKind]) -> String {
    kinds.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ")
}

/// The connections that a flow names.
pub(crate) fn named_ends(node: &Node) -> impl Iterator<Item = &str> {
    ["from", "to"].into_iter().filter_map(|key| node.get(key)?.node.text())
}
