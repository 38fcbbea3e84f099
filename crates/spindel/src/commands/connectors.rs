//! `spindel connectors`

use crate::output::{NOTHING_MATCHED, Out};
use serde_json::{Value, json};
use spindel_catalog::{CATALOG, COLUMNS, table};
use spindel_connect::{Described, Entry};
use std::process::ExitCode;

pub fn run(name: Option<&str>, out: &Out) -> anyhow::Result<ExitCode> {
    let Some(name) = name else {
        out.show(&CATALOG.iter().map(summary).collect::<Vec<_>>(), |out| {
            out.table(&COLUMNS, table(CATALOG).iter().map(|row| row.iter().map(|words| lines(words)).collect()));
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

/// A cell of a table: its words, in lines that leave room for the other columns.
fn lines(words: &[String]) -> String {
    const WIDEST: usize = 40;
    let (mut text, mut width) = (String::new(), 0);
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(',');
            let fits = width + word.len() + 2 < WIDEST;
            text.push(if fits { ' ' } else { '\n' });
            width = if fits { width + 2 } else { 0 };
        }
        text.push_str(word);
        width += word.len();
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_broken_between_words_and_loses_none() {
        let words = ["set_stock", "set_price", "upsert_product", "upsert_customer", "refund"].map(str::to_owned);
        let text = lines(&words);
        assert_eq!(text.replace('\n', " "), words.join(", "));
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.len() <= 40), "{text}");
        assert_eq!((lines(&words[..1]), lines(&[])), ("set_stock".to_owned(), String::new()));
    }
}
