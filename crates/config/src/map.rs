//! `[maps.NAME]`: tables of text, and whether anybody looks into them.

use crate::{
    connection::ConnectionDraft,
    document::{Node, join},
    flow_test::text_map,
    measure,
    problem::{Findings, Misfit},
};
use spindel_connect::Maps;
use std::collections::BTreeSet;

pub(crate) fn read(node: &Node, findings: &mut Findings<'_>) -> Maps {
    let mut maps = Maps::default();
    for field in node.fields() {
        let path = join("maps", &field.name);
        if let Err(misfit) = measure::name(&field.name) {
            findings.error(&path, &field.span, misfit);
        }
        if !field.node.is_table() {
            let message = format!("a map is a table of texts: [{path}], not {}", field.node.what());
            findings.error(&path, &field.node.span, Misfit::new("wrong_type", message));
            continue;
        }
        maps.0.insert(field.name.clone(), text_map(&field.node, &path, findings));
    }
    maps
}

/// A connector's worked examples tell which maps it looks into; a jq program may use any.
pub(crate) fn warn_of_unused(maps: &Node, flows: &Node, connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) {
    let programs: Vec<&str> = flows.fields().iter().filter_map(|flow| flow.node.get("map")?.node.text()).collect();
    let fixtures = connections.iter().filter_map(|it| it.entry).flat_map(|entry| entry.fixtures);
    let known: BTreeSet<String> = fixtures.filter_map(|it| it.example().ok()).flat_map(|it| it.maps.0.into_keys()).collect();
    for field in maps.fields().iter().filter(|it| it.node.is_table()) {
        let used = known.contains(&field.name) || programs.iter().any(|program| program.contains(field.name.as_str()));
        if !used {
            let misfit = Misfit::new("unused", format!("no connection of this file looks into map `{}`", field.name));
            findings.warning(&join("maps", &field.name), &field.span, misfit.choices(&field.name, known.iter().cloned()));
        }
    }
}
