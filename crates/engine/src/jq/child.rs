//! The child's side: reads asks from stdin, runs them, answers on stdout, until stdin ends.

use super::{Answer, Ask, FRAME_LIMIT, MEMORY_LIMIT};
use jaq_core::{Compiler, Ctx, Vars, data, load, unwrap_valr};
use jaq_json::Val;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;
use std::io::{Read, Write};

/// A program that leaves its input as it is; to see whether a child has started.
pub(super) const TRIAL: &str = ".";

/// Functions that look outside the program.
const DENIED: [&str; 16] = [
    "env",
    "input",
    "inputs",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "halt",
    "halt_error",
    "now",
    "localtime",
    "strflocaltime",
    "input_filename",
    "input_line_number",
    "$__prog_args",
    "get_search_list",
];

/// Limits this process and serves until its parent closes the pipe.
pub fn child_main() -> std::process::ExitCode {
    limit();
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    while let Some(frame) = read_frame(&mut stdin) {
        let answer = match serde_json::from_slice::<Ask>(&frame) {
            Ok(ask) => run(&ask.program, &ask.input).map_or_else(Answer::Error, Answer::Ok),
            Err(error) => Answer::Error(error.to_string()),
        };
        if write_frame(&mut stdout, &answer).is_err() {
            break;
        }
    }
    std::process::ExitCode::SUCCESS
}

fn limit() {
    let at_most = |bytes: u64| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // A limit that cannot be set leaves the parent's time limit.
    let _ = setrlimit(Resource::As, at_most(MEMORY_LIMIT));
    let _ = setrlimit(Resource::Nofile, at_most(16));
    let _ = setrlimit(Resource::Fsize, at_most(0));
    let _ = setrlimit(Resource::Core, at_most(0));
}

fn read_frame(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).ok()?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_LIMIT {
        return None;
    }
    let mut frame = vec![0; length];
    input.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn write_frame(output: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let mut frame = serde_json::to_vec(answer)?;
    if frame.len() > FRAME_LIMIT {
        frame = serde_json::to_vec(&Answer::Error("its value is too large".into()))?;
    }
    output.write_all(&u32::try_from(frame.len()).map_err(std::io::Error::other)?.to_le_bytes())?;
    output.write_all(&frame)?;
    output.flush()
}

/// Compiles and runs `program`; it must give exactly one value.
fn run(program: &str, input: &Value) -> Result<Value, String> {
    let allowed = |name: &str| !DENIED.contains(&name);
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(|def| allowed(def.name));
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs()).filter(|fun| allowed(fun.0));
    let arena = load::Arena::default();
    let modules = load::Loader::new(defs)
        .load(&arena, load::File { code: program, path: () })
        .map_err(|errors| format!("no valid jq: {}", load_problem(&errors)))?;
    let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let unknown: Vec<String> =
            errors.iter().flat_map(|(_, errors)| errors).map(|(name, what)| format!("`{name}` ({what:?})")).collect();
        format!("not defined here: {}", unknown.join(", "))
    })?;
    let text = serde_json::to_vec(input).map_err(|error| error.to_string())?;
    let input = jaq_json::read::parse_single(&text).map_err(|error| error.to_string())?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut values = filter.id.run((context, input)).map(unwrap_valr);
    let value = values.next().ok_or("it gave no value, one is expected")?.map_err(|error| without_values(&error.to_string()))?;
    if values.next().is_some() {
        return Err("it gave more than one value, one is expected".into());
    }
    serde_json::from_str(&value.to_string()).map_err(|error| format!("its value is no JSON: {error}"))
}

/// What went wrong, without the values that it went wrong with: they are somebody's order.
fn without_values(error: &str) -> String {
    let words = error.split(' ').take_while(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()));
    let words: Vec<&str> = words.collect();
    if words.is_empty() { "a step of it fails on this record".into() } else { format!("{} … on this record", words.join(" ")) }
}

fn load_problem(errors: &load::Errors<&str, ()>) -> String {
    let mut text = Vec::new();
    for (_, error) in errors {
        match error {
            load::Error::Io(files) => text.extend(files.iter().map(|(path, problem)| format!("{path}: {problem}"))),
            load::Error::Lex(found) => text.extend(found.iter().map(|(want, at)| format!("{} at `{}`", want.as_str(), near(at)))),
            load::Error::Parse(found) => {
                text.extend(found.iter().map(|(want, at)| format!("{} at `{}`", want.as_str(), near(at))))
            }
        }
    }
    text.join(", ")
}

fn near(at: &str) -> String {
    at.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mapping_changes_what_it_names_and_leaves_the_rest() {
        let got = run(
            r#".order.note |= "web " + ."#,
            &json!({"order": {"note": "hi", "id": "820982911946154508", "n": 820982911946154508_u64}}),
        );
        assert_eq!(got, Ok(json!({"order": {"note": "web hi", "id": "820982911946154508", "n": 820982911946154508_u64}})));
    }

    #[test]
    fn the_world_outside_is_out_of_reach() {
        for program in ["env", "$ENV", "input", "now", "halt", "debug", "stderr", "localtime", "input_filename"] {
            let got = run(program, &json!(null));
            assert!(got.is_err(), "{program} gave {got:?}");
        }
    }

    #[test]
    fn what_a_program_fails_on_is_not_repeated() {
        let person = json!({"name": "Kari Nordmann", "phone": 4798765432_u64});
        for program in [". + 1", ".name + 1", ".phone.x", ".name | error", "error", ".[\"name\"] | tonumber"] {
            let problem = run(program, &person).expect_err(program);
            assert!(!problem.contains("Kari") && !problem.contains("4798"), "{program}: {problem}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (program, part) in [
            (".a |", "no valid jq"),
            ("nope(.)", "nope"),
            ("empty", "no value"),
            (".[]", "more than one"),
            (".a.b.c + 1 | error", ""),
        ] {
            let problem = run(program, &json!([1, 2])).expect_err(program);
            assert!(problem.contains(part), "{program}: {problem}");
        }
    }
}
