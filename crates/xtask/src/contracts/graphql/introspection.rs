//! From a GraphQL introspection result to schema text: names, types and defaults; descriptions are left out.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::fmt::Write as _;

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "__schema")]
    schema: Described,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    query_type: Named,
    mutation_type: Option<Named>,
    subscription_type: Option<Named>,
    types: Vec<Type>,
    #[serde(default)]
    directives: Vec<Directive>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    kind: Kind,
    name: String,
    fields: Option<Vec<Field>>,
    input_fields: Option<Vec<Input>>,
    interfaces: Option<Vec<Named>>,
    enum_values: Option<Vec<Named>>,
    possible_types: Option<Vec<Named>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    InputObject,
    List,
    NonNull,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    args: Vec<Input>,
    #[serde(rename = "type")]
    of: Reference,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: String,
    #[serde(rename = "type")]
    of: Reference,
    default_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    kind: Kind,
    name: Option<String>,
    of_type: Option<Box<Reference>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directive {
    name: String,
    #[serde(default)]
    is_repeatable: bool,
    locations: Vec<String>,
    #[serde(default)]
    args: Vec<Input>,
}

/// Known to every GraphQL schema.
const BUILT_IN_TYPES: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];
const BUILT_IN_DIRECTIVES: [&str; 5] = ["deprecated", "include", "oneOf", "skip", "specifiedBy"];

pub fn to_sdl(introspection: &[u8]) -> Result<String> {
    let answer: Answer = serde_json::from_slice(introspection)?;
    let schema = answer.data.schema;
    let mut out = format!("schema {{ query: {}", schema.query_type.name);
    for (verb, it) in [("mutation", schema.mutation_type), ("subscription", schema.subscription_type)] {
        if let Some(it) = it {
            write!(out, " {verb}: {}", it.name)?;
        }
    }
    out.push_str(" }\n");
    for it in schema.directives.iter().filter(|it| !BUILT_IN_DIRECTIVES.contains(&it.name.as_str())) {
        let repeatable = if it.is_repeatable { " repeatable" } else { "" };
        writeln!(out, "directive @{}{}{repeatable} on {}", it.name, arguments(&it.args)?, it.locations.join(" | "))?;
    }
    for it in schema.types.iter().filter(|it| !it.name.starts_with("__") && !BUILT_IN_TYPES.contains(&it.name.as_str())) {
        definition(&mut out, it).with_context(|| format!("type {}", it.name))?;
    }
    Ok(out)
}

fn definition(out: &mut String, it: &Type) -> Result<()> {
    match it.kind {
        Kind::Scalar => writeln!(out, "scalar {}", it.name)?,
        Kind::Object | Kind::Interface => {
            let word = if it.kind == Kind::Object { "type" } else { "interface" };
            write!(out, "{word} {}", it.name)?;
            let interfaces = names(it.interfaces.as_deref());
            if !interfaces.is_empty() {
                write!(out, " implements {}", interfaces.join(" & "))?;
            }
            out.push_str(" {\n");
            for field in it.fields.as_deref().unwrap_or_default() {
                writeln!(out, "  {}{}: {}", field.name, arguments(&field.args)?, reference(&field.of)?)?;
            }
            out.push_str("}\n");
        }
        Kind::Union => writeln!(out, "union {} = {}", it.name, names(it.possible_types.as_deref()).join(" | "))?,
        Kind::Enum => writeln!(out, "enum {} {{ {} }}", it.name, names(it.enum_values.as_deref()).join(" "))?,
        Kind::InputObject => {
            writeln!(out, "input {} {{", it.name)?;
            for field in it.input_fields.as_deref().unwrap_or_default() {
                writeln!(out, "  {}", input(field)?)?;
            }
            out.push_str("}\n");
        }
        Kind::List | Kind::NonNull => bail!("a list or non-null type has no definition of its own"),
    }
    Ok(())
}

fn names(list: Option<&[Named]>) -> Vec<&str> {
    list.unwrap_or_default().iter().map(|it| it.name.as_str()).collect()
}

fn arguments(args: &[Input]) -> Result<String> {
    if args.is_empty() {
        return Ok(String::new());
    }
    let list: Vec<String> = args.iter().map(input).collect::<Result<_>>()?;
    Ok(format!("({})", list.join(", ")))
}

fn input(it: &Input) -> Result<String> {
    let default = it.default_value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
    Ok(format!("{}: {}{default}", it.name, reference(&it.of)?))
}

fn reference(it: &Reference) -> Result<String> {
    let inner = || it.of_type.as_deref().context("a list or non-null type says not of what").and_then(reference);
    Ok(match it.kind {
        Kind::List => format!("[{}]", inner()?),
        Kind::NonNull => format!("{}!", inner()?),
        _ => it.name.clone().context("a type reference has no name")?,
    })
}
