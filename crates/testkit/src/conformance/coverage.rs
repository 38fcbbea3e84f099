//! Examples: one for every ability, success and failure for every action, none for what is not declared.

use super::{Problem, Subject, subject::Named};
use serde_json::Value;
use spindel_connect::{Connector, Described, Example, Repeat};
use std::path::Path;

/// Fails for a file in `fixtures/` that FIXTURES forgot: it would never run.
pub fn every_file_is_listed<C: Connector>(crate_folder: &str) {
    let folder = Path::new(crate_folder).join("fixtures");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names = files.filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
    let listed = |name: &String| C::FIXTURES.iter().any(|it| it.name == name);
    let mut forgotten: Vec<String> = names.filter(|name| !listed(name)).collect();
    forgotten.sort();
    assert!(forgotten.is_empty(), "not in FIXTURES: {}", forgotten.join(", "));
}

pub fn examples_of_every_ability(subject: &Subject) -> Vec<Problem> {
    let abilities = (subject.entry.abilities)();
    let mut problems = undeclared(subject, &abilities);
    for ability in &abilities {
        let key = ability.to_string();
        let examples: Vec<&Example> = subject.examples_of(&key).map(|it| &it.example).collect();
        let mut needs = |what: &str, there: bool| {
            if !there {
                problems.push(Problem::new(format!("{key} {what}"), format!("there is no {what} of `{key}` in fixtures/")));
            }
        };
        match ability {
            Described::Performs { repeat, .. } => {
                needs("example of success", examples.iter().any(|it| is_success(it)));
                needs("example of failure", examples.iter().any(|it| is_failure(it)));
                if *repeat == Repeat::LookUpFirst {
                    needs("example of look_up that finds", examples.iter().any(|it| is_look_up(it, true)));
                    needs("example of look_up that finds nothing", examples.iter().any(|it| is_look_up(it, false)));
                }
            }
            _ => needs("example", !examples.is_empty()),
        }
    }
    problems
}

fn undeclared(subject: &Subject, abilities: &[Described]) -> Vec<Problem> {
    let known: Vec<String> = abilities.iter().map(ToString::to_string).collect();
    let stray = subject.examples.iter().filter(|it| !known.contains(&it.example.ability));
    let problem = |it: &Named| {
        let ability = &it.example.ability;
        let text = format!("{}: `{ability}` is not in ABILITIES, which are {}", it.file, known.join(", "));
        Problem::new(ability.clone(), text)
    };
    stray.map(problem).collect()
}

impl Subject {
    pub(super) fn examples_of(&self, ability: &str) -> impl Iterator<Item = &Named> {
        self.examples.iter().filter(move |it| it.example.ability == ability)
    }
}

pub(super) fn is_success(example: &Example) -> bool {
    let outcomes = outcomes(example);
    !is_step(example, "look_up") && !outcomes.is_empty() && outcomes.iter().all(|it| it.get("performed").is_some())
}

fn is_failure(example: &Example) -> bool {
    let names_its_class = |it: &Value| it.pointer("/error/class").is_some();
    !is_step(example, "look_up") && outcomes(example).iter().any(names_its_class)
}

fn is_look_up(example: &Example, finds: bool) -> bool {
    let fits = |it: &Value| if finds { it.get("performed").is_some() } else { it.is_null() };
    is_step(example, "look_up") && outcomes(example).iter().any(fits)
}

pub(super) fn is_step(example: &Example, step: &str) -> bool {
    example.step.as_deref() == Some(step)
}

fn outcomes(example: &Example) -> &[Value] {
    example.expect.as_array().map_or(&[], Vec::as_slice)
}
