//! GraphQL documents (`graphql/*.graphql` of a connector) against the vendor's introspection, in every version at hand.

mod introspection;

use super::Outcome;
use crate::{Finding, SourceFile, Tree};
use anyhow::{Context as _, Result, bail};
use apollo_compiler::{ExecutableDocument, Schema, validation::Valid};
use std::{fs, io::Read as _, path::Path};

/// Largest description that is read, unpacked.
const LARGEST: u64 = 512 << 20;

pub fn check(tree: &Tree, vendor: &str, folder: &Path) -> Result<Outcome> {
    let documents: Vec<&SourceFile> =
        tree.under(&format!("crates/connectors/{vendor}/graphql")).filter(|file| file.path.ends_with(".graphql")).collect();
    let mut outcome = Outcome::default();
    if documents.is_empty() {
        outcome.findings.push(Finding::new(
            format!("crates/connectors/{vendor}/graphql"),
            1,
            "there are no documents to check",
            "keep each GraphQL document in a file of its own here and include it with `include_str!`",
        ));
    }
    let mut versions = 0;
    for path in descriptions(folder)? {
        let version = path.file_name().unwrap_or_default().to_string_lossy().trim_end_matches(".json.gz").to_owned();
        let schema = schema(&path, &version)?;
        versions += 1;
        for document in &documents {
            outcome.findings.extend(problems(&schema, &version, document));
        }
    }
    if versions == 0 {
        outcome.notes.push(format!("{vendor}: not checked, there is no introspection (*.json.gz) in {}", folder.display()));
    } else {
        outcome
            .notes
            .push(format!("{vendor}: {} documents held against {versions} versions of the vendor's schema", documents.len()));
    }
    Ok(outcome)
}

fn descriptions(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = item?.path();
        if path.to_string_lossy().ends_with(".json.gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn schema(path: &Path, version: &str) -> Result<Valid<Schema>> {
    let file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(file)
        .take(LARGEST)
        .read_to_end(&mut json)
        .with_context(|| format!("cannot unpack {}", path.display()))?;
    let sdl = introspection::to_sdl(&json).with_context(|| format!("{} is no introspection", path.display()))?;
    match Schema::parse(sdl, version) {
        // The vendor's own server runs on it; what matters here is what we send.
        Ok(schema) => Ok(Valid::assume_valid(schema)),
        Err(failed) => bail!("{} cannot be read as a schema: {}", path.display(), first_line(&failed.errors.to_string())),
    }
}

fn problems(schema: &Valid<Schema>, version: &str, document: &SourceFile) -> Vec<Finding> {
    let Err(failed) = ExecutableDocument::parse_and_validate(schema, document.text.as_str(), document.path.as_str()) else {
        return Vec::new();
    };
    let finding = |line: usize, problem: String| {
        Finding::new(&document.path, line, format!("{version}: {problem}"), "correct the document by the vendor's schema")
    };
    failed
        .errors
        .iter()
        .map(|one| finding(one.line_column_range().map_or(1, |range| range.start.line), first_line(&one.error.to_string())))
        .collect()
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const INTROSPECTION: &str = r#"{"data":{"__schema":{
        "queryType":{"name":"Query"},"mutationType":null,"subscriptionType":null,
        "directives":[{"name":"once","isRepeatable":false,"locations":["FIELD"],
            "args":[{"name":"key","type":{"kind":"NON_NULL","ofType":{"kind":"SCALAR","name":"String"}}}]}],
        "types":[
            {"kind":"SCALAR","name":"String"},{"kind":"SCALAR","name":"Moment"},
            {"kind":"ENUM","name":"Size","enumValues":[{"name":"SMALL"},{"name":"LARGE"}]},
            {"kind":"INPUT_OBJECT","name":"Search","inputFields":[{"name":"size","type":{"kind":"ENUM","name":"Size"},"defaultValue":"SMALL"}]},
            {"kind":"INTERFACE","name":"Node","fields":[{"name":"id","args":[],"type":{"kind":"SCALAR","name":"String"}}],"possibleTypes":[{"name":"Thing"}]},
            {"kind":"OBJECT","name":"Thing","interfaces":[{"kind":"INTERFACE","name":"Node"}],"fields":[
                {"name":"id","args":[],"type":{"kind":"SCALAR","name":"String"}},
                {"name":"made","args":[],"type":{"kind":"NON_NULL","ofType":{"kind":"SCALAR","name":"Moment"}}}]},
            {"kind":"UNION","name":"Found","possibleTypes":[{"name":"Thing"}]},
            {"kind":"OBJECT","name":"Query","interfaces":[],"fields":[
                {"name":"things","args":[{"name":"by","type":{"kind":"INPUT_OBJECT","name":"Search"}}],
                 "type":{"kind":"LIST","ofType":{"kind":"UNION","name":"Found"}}}]}
        ]}}}"#;

    fn found(document: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("v1.json.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packed.write_all(INTROSPECTION.as_bytes()).unwrap();
        packed.finish().unwrap();
        let tree = Tree::of(&[("crates/connectors/acme/graphql/a.graphql", document)]);
        let outcome = check(&tree, "acme", folder.path()).unwrap();
        outcome.findings.into_iter().map(|it| format!("{}: {}", it.line, it.problem)).collect()
    }

    #[test]
    fn a_document_of_the_vendors_schema_passes() {
        assert_eq!(
            found(
                "query Things($size: Size) {\n  things(by: { size: $size }) @once(key: \"k\") {\n    ... on Thing { id made }\n  }\n}\n"
            ),
            [""; 0]
        );
    }

    #[test]
    fn unknown_fields_arguments_and_types_are_named_with_their_line() {
        let field = found("query {\n  things {\n    ... on Thing { colour }\n  }\n}\n");
        assert!(field.len() == 1 && field[0].starts_with("3: v1: ") && field[0].contains("colour"), "{field:?}");
        let argument = found("query {\n  things(of: 1) { ... on Thing { id } }\n}\n");
        assert!(argument.len() == 1 && argument[0].starts_with("2: v1: ") && argument[0].contains("of"), "{argument:?}");
        let variable = found("query ($size: Size!, $by: Moment) { things(by: { size: $by }) { ... on Thing { id } } }\n");
        assert!(!variable.is_empty());
    }
}
