//! `[payments]`: whose orders, payments and payouts must agree.

use crate::{
    Payments,
    connection::ConnectionDraft,
    document::{Node, Value},
    flow::unknown_connection,
    keys, measure,
    problem::{Findings, Misfit},
    section::Section,
};
use spindel_connect::Entry;
use spindel_model::EntityKind;

pub(crate) fn read(node: &Node, connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) -> Option<Payments> {
    let section = Section::open(node, "payments", keys::PAYMENTS, findings);
    let shop = |entry: &Entry| entry.receives() || entry.polls(EntityKind::Order);
    let orders = able(&section, "orders", connections, findings, shop, "tells of no orders");
    let provider = |entry: &Entry| entry.receives() || entry.polls(EntityKind::Transaction) || entry.polls(EntityKind::Payout);
    let providers = able(&section, "providers", connections, findings, provider, "tells of no payments");
    let mut time = |name: &str, least: &str, most: &str| section.read(name, findings, measure::duration_within(least, most));
    let (every, warn_before) = (time("every", "1s", "7d"), time("warn_before", "1h", "14d"));
    let (payment_after, payout_after) = (time("payment_after", "1s", "30d"), time("payout_after", "1s", "90d"));
    let except = section.texts("except").into_iter().map(|(_, _, text)| text.to_owned()).collect();
    Some(Payments {
        orders,
        providers,
        every: every?,
        payment_after: payment_after?,
        payout_after: payout_after?,
        warn_before: warn_before?,
        except,
    })
}

fn able(
    section: &Section<'_>,
    key: &str,
    connections: &[ConnectionDraft<'_>],
    findings: &mut Findings<'_>,
    can: impl Fn(&Entry) -> bool,
    cannot: &str,
) -> Vec<String> {
    let mut names = Vec::new();
    for (at, node, name) in section.texts(key) {
        match connections.iter().find(|it| it.name() == name) {
            None => findings.error(&at, &node.span, unknown_connection(name, connections)),
            Some(connection) if connection.entry.as_ref().is_some_and(|entry| !can(entry)) => {
                let able = connections.iter().filter(|it| it.entry.as_ref().is_some_and(&can)).map(|it| it.name());
                let misfit = Misfit::new("unsupported_source", format!("connection \"{name}\" {cannot}"));
                findings.error(&at, &node.span, misfit.choices(name, able));
            }
            Some(_) => names.push(name.to_owned()),
        }
    }
    names
}

/// The connections that `[payments]` names.
pub(crate) fn named(node: &Node) -> impl Iterator<Item = &str> {
    let listed = ["orders", "providers"].into_iter().filter_map(|key| match &node.get(key)?.node.value {
        Value::List(items) => Some(items.as_slice()),
        _ => None,
    });
    listed.flatten().filter_map(Node::text)
}
