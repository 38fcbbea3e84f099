//! `spindel connectors`

use crate::output::{NOTHING_MATCHED, Out};
use serde_json::{Value, json};
use spindel_catalog::CATALOG;
use spindel_connect::{Described, Entry};
use std::process::ExitCode;

pub fn run(name: Option<&str>, out: &Out) -> anyhow::Result<ExitCode> {
    let Some(name) = name else {
        out.show(&CATALOG.iter().map(summary).collect::<Vec<_>>(), |out| {
            let row =
                |entry: &Entry| vec![entry.info.id.to_owned(), entry.info.kind.as_str().to_owned(), abilities(entry).join(", ")];
            out.table(&["connector", "kind", "abilities"], CATALOG.iter().map(row));
        });
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = CATALOG.iter().find(|entry| entry.info.id == name) else {
        let known: Vec<&str> = CATALOG.iter().map(|entry| entry.info.id).collect();
        out.refuse(&format!("there is no connector `{name}`"), &format!("the connectors are {}", known.join(", ")));
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    out.show(&summary(entry), |out| show(entry, out));
    Ok(ExitCode::SUCCESS)
}

fn abilities(entry: &Entry) -> Vec<String> {
    (entry.abilities)().iter().map(ToString::to_string).collect()
}

fn summary(entry: &Entry) -> Value {
    json!({
        "id": entry.info.id,
        "name": entry.info.name,
        "kind": entry.info.kind.as_str(),
        "about": entry.info.about,
        "abilities": abilities(entry),
        "settings": (entry.schema)().as_value(),
        "fixtures": webhooks(entry),
    })
}

/// Examples that `spindel send` can post.
fn webhooks(entry: &Entry) -> Vec<&'static str> {
    let is_webhook = |fixture: &&spindel_connect::Fixture| fixture.example().is_ok_and(|example| example.ability == "receive");
    entry.fixtures.iter().filter(is_webhook).map(|fixture| fixture.name).collect()
}

fn show(entry: &Entry, out: &Out) {
    out.line(&out.bold(&format!("{} ({})", entry.info.name, entry.info.id)));
    out.line(entry.info.about);
    out.line("");
    let rows = (entry.abilities)().into_iter().map(|ability| match ability {
        Described::Performs { repeat, batch, .. } => vec![ability.to_string(), repeat.as_str().into(), batch.to_string()],
        _ => vec![ability.to_string(), String::new(), String::new()],
    });
    out.table(&["ability", "repeat", "batch"], rows);
    out.line("");
    out.table(&["setting", "", "meaning"], settings((entry.schema)().as_value()));
    let webhooks = webhooks(entry);
    if !webhooks.is_empty() {
        out.line("");
        out.line(&format!("webhooks for `spindel send`: {}", webhooks.join(", ")));
    }
}

fn settings(schema: &Value) -> Vec<Vec<String>> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, about)| {
            let needed = if required.contains(&name.as_str()) { "required" } else { "" };
            let meaning = about["description"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
            vec![name.clone(), needed.into(), meaning.into()]
        })
        .collect()
}
