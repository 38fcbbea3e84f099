//! Reads one table of the file against the list of its keys: unknown, missing and ill-typed keys are reported in one place.

use crate::{
    document::{Field, Node, Value, join},
    problem::{Findings, Misfit},
};

/// A key as documented: checked here, written into the JSON schema, named in the commented default file.
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub needed: bool,
    /// As it would be written in the file.
    pub default: Option<&'static str>,
    pub about: &'static str,
}

/// What may stand behind a key.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Flag,
    Whole,
    Number,
    /// `"1h30m"`
    Duration,
    /// `"2MiB"` or bytes
    Size,
    Secret,
    Texts,
    /// One of these.
    Choice(fn() -> Vec<&'static str>),
    /// Several of these.
    Choices(fn() -> Vec<&'static str>),
    Table(&'static [Key]),
    Tables(&'static [Key]),
    /// Tables by name.
    Named(&'static [Key]),
    /// `[connections.NAME]`: the keys depend on the connector.
    Connections,
    /// Tables of text by name.
    Maps,
    /// Text by name.
    TextMap,
    Filter,
    /// A table of anything.
    Free,
    TextOrFree,
}

impl Key {
    pub const fn needed(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, needed: true, default: None, about }
    }

    pub const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, needed: false, default: None, about }
    }

    pub const fn default(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Self {
        Self { name, shape, needed: false, default: Some(default), about }
    }
}

impl Shape {
    fn fits(self, node: &Node) -> bool {
        let all_text = |items: &[Node]| items.iter().all(|it| it.text().is_some());
        match (self, &node.value) {
            (Self::Text | Self::Duration | Self::Choice(_), Value::Text(_))
            | (Self::Flag, Value::Flag(_))
            | (Self::Whole, Value::Whole(_))
            | (Self::Number, Value::Whole(_) | Value::Number(_))
            | (Self::Size, Value::Whole(_) | Value::Text(_))
            | (
                Self::Table(_) | Self::Named(_) | Self::Connections | Self::Maps | Self::TextMap | Self::Filter | Self::Free,
                Value::Table(_),
            )
            | (Self::TextOrFree, Value::Text(_) | Value::Table(_))
            // Judged where secrets are resolved.
            | (Self::Secret, _) => true,
            (Self::Texts | Self::Choices(_), Value::List(items)) => all_text(items),
            (Self::Tables(_), Value::List(items)) => items.iter().all(Node::is_table),
            _ => false,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Choice(_) => "a name, as text",
            Self::Flag => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Duration => "a duration such as \"5m\"",
            Self::Size => "a size such as \"2MiB\"",
            Self::Secret => "{ env = \"NAME\" } or { file = \"path\" }",
            Self::Texts => "a list of texts",
            Self::Choices(_) => "a list of names",
            Self::Tables(_) => "a list of tables",
            Self::TextOrFree => "text or a table",
            _ => "a table",
        }
    }
}

/// One table, once its keys are checked. What does not fit is as if it were not there.
pub(crate) struct Section<'a> {
    node: &'a Node,
    pub path: String,
    keys: &'static [Key],
}

impl<'a> Section<'a> {
    pub fn open(node: &'a Node, path: impl Into<String>, keys: &'static [Key], findings: &mut Findings<'_>) -> Self {
        let section = Self { node, path: path.into(), keys };
        let mut meant = Vec::new();
        for field in node.fields() {
            let at = join(&section.path, &field.name);
            match keys.iter().find(|key| key.name == field.name) {
                None => {
                    let names = keys.iter().map(|key| key.name);
                    let misfit = unknown_key(&field.name).choices(&field.name, names);
                    meant.extend(misfit.nearest.clone());
                    findings.error(&at, &field.span, misfit);
                }
                Some(key) if !key.shape.fits(&field.node) => {
                    let message = format!("`{}` must be {}, not {}", field.name, key.shape.expected(), field.node.what());
                    findings.error(&at, &field.node.span, Misfit::new("wrong_type", message));
                }
                Some(_) => {}
            }
        }
        let missing = |key: &&Key| key.needed && node.get(key.name).is_none() && !meant.iter().any(|it| it == key.name);
        for key in keys.iter().filter(missing) {
            let misfit = Misfit::new("missing_key", format!("`{}` is missing: {}", key.name, key.about)).hint(format!(
                "add `{} = …`, {}",
                key.name,
                key.shape.expected()
            ));
            findings.error(&section.path, &findings.document.place(&section.path), misfit);
        }
        section
    }

    /// The sub-table of this name; nothing when it is not there.
    pub fn table(&self, name: &str, keys: &'static [Key], findings: &mut Findings<'_>) -> Option<Section<'a>> {
        let field = self.get(name)?;
        Some(Section::open(&field.node, join(&self.path, name), keys, findings))
    }

    pub fn get(&self, name: &str) -> Option<&'a Field> {
        let key = self.key(name)?;
        self.node.get(name).filter(|field| key.shape.fits(&field.node))
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.node.text()
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).map(|it| &it.node.value), Some(Value::Flag(true)))
    }

    /// The items of a list of texts, each with its path and node.
    pub fn texts(&self, name: &str) -> Vec<(String, &'a Node, &'a str)> {
        let Some(Field { node: Node { value: Value::List(items), .. }, .. }) = self.get(name) else { return Vec::new() };
        let path = self.at(name);
        items.iter().enumerate().filter_map(|(i, it)| Some((format!("{path}[{i}]"), it, it.text()?))).collect()
    }

    /// The text behind a key, or else its documented default, read by `read`; what `read` objects to is reported.
    pub fn read<T>(&self, name: &str, findings: &mut Findings<'_>, read: impl FnOnce(&str) -> Result<T, Misfit>) -> Option<T> {
        match self.node.get(name) {
            // Ill-typed: reported when the section was opened.
            Some(_) => {
                let field = self.get(name)?;
                let text = match &field.node.value {
                    Value::Text(text) | Value::Number(text) => text.clone(),
                    Value::Whole(number) => number.to_string(),
                    _ => return None,
                };
                read(&text).map_err(|misfit| findings.error(&self.at(name), &field.node.span, misfit)).ok()
            }
            None => read(self.key(name)?.default?).ok(),
        }
    }

    pub fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Reports at the value of a key, or where the section begins.
    pub fn error(&self, name: &str, misfit: Misfit, findings: &mut Findings<'_>) {
        let at = self.at(name);
        findings.error(&at, &findings.document.place(&at), misfit);
    }

    pub fn warning(&self, name: &str, misfit: Misfit, findings: &mut Findings<'_>) {
        let at = self.at(name);
        findings.warning(&at, &findings.document.place(&at), misfit);
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "`{name}` is read but not on the list of keys of `{}`", self.path);
        key
    }
}

pub(crate) fn unknown_key(name: &str) -> Misfit {
    Misfit::new("unknown_key", format!("`{name}` is not a key here"))
}
