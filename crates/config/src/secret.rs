//! Where secrets come from: the environment or a file, never the config file itself.

use crate::{
    document::{Node, Value, join},
    problem::{Findings, Misfit},
};
use std::io::Read;

/// Looks up a variable of the environment; tests pass their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

const MAX_BYTES: u64 = 64 * 1024;

/// The value that `{ env = … }` or `{ file = … }` points at. What is wrong is reported, and never the value.
pub(crate) fn resolve(node: &Node, path: &str, env: Env<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let wanted = "{ env = \"NAME\" } or { file = \"path\" }";
    let Value::Table(fields) = &node.value else {
        findings.document.hide(&node.span);
        let misfit = match node.value {
            Value::Text(_) => Misfit::new("literal_secret", "a secret is written into the file; it must be kept outside")
                .hint(format!("write {wanted}, and change the secret if the file was shared")),
            _ => Misfit::new("wrong_type", format!("a secret must be {wanted}, not {}", node.what())),
        };
        findings.error(path, &node.span, misfit);
        return None;
    };
    let [field] = fields.as_slice() else {
        findings.error(path, &node.span, Misfit::new("wrong_type", format!("a secret must be {wanted}, exactly one of the two")));
        return None;
    };
    let at = join(path, &field.name);
    if !["env", "file"].contains(&field.name.as_str()) {
        findings.document.hide(&field.node.span);
        findings.error(&at, &field.span, crate::section::unknown_key(&field.name).choices(&field.name, ["env", "file"]));
        return None;
    }
    let Some(source) = field.node.text() else {
        let message = format!("`{}` must be text, not {}", field.name, field.node.what());
        findings.error(&at, &field.node.span, Misfit::new("wrong_type", message));
        return None;
    };
    let found = if field.name == "env" { from_env(source, env) } else { from_file(source) };
    found.map_err(|misfit| findings.error(&at, &field.node.span, misfit)).ok()
}

fn from_env(name: &str, env: Env<'_>) -> Result<String, Misfit> {
    match env(name) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => {
            Err(Misfit::new("missing_secret", format!("environment variable `{name}` is empty")).hint(format!("set {name}")))
        }
        None => {
            Err(Misfit::new("missing_secret", format!("environment variable `{name}` is not set")).hint(format!("set {name}")))
        }
    }
}

fn from_file(path: &str) -> Result<String, Misfit> {
    let unreadable = |reason: String| {
        Misfit::new("missing_secret", format!("secret file `{path}` {reason}"))
            .hint("a relative path starts at the working folder; the file holds the secret and nothing else")
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(format!("cannot be opened: {}", error.kind())))?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(format!("cannot be read as text: {}", error.kind())))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("is larger than {MAX_BYTES} bytes")));
    }
    if let Some(line) = text.strip_suffix('\n') {
        text.truncate(line.strip_suffix('\r').unwrap_or(line).len());
    }
    if text.is_empty() { Err(unreadable("is empty".into())) } else { Ok(text) }
}
