//! The TOML file as a tree in which every key and value knows its place.

use crate::problem::{Level, Misfit, Problem};
use serde_json::Value as Json;
use std::{cell::RefCell, collections::BTreeMap, ops::Range};
use toml::de::{DeTable, DeValue};

pub(crate) type Span = Range<usize>;

/// A config file is small; a larger one is the wrong file.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The text of the file, what stands where, and what must not be shown of it.
pub(crate) struct Document {
    pub file_name: String,
    text: String,
    line_starts: Vec<usize>,
    places: BTreeMap<String, Span>,
    hidden: RefCell<Vec<Span>>,
}

/// A value of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    /// As it is written: money is never read through a float.
    Number(String),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Field>),
}

/// A key with its value, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub name: String,
    pub span: Span,
    pub node: Node,
}

impl Document {
    /// Reads the text; what TOML itself objects to comes back beside what could be read all the same.
    pub fn read(text: &str, file_name: &str) -> (Self, Node, Vec<Problem>) {
        let mut document = Self {
            file_name: file_name.to_owned(),
            text: text.to_owned(),
            line_starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
            places: BTreeMap::new(),
            hidden: RefCell::default(),
        };
        let empty = Node { span: 0..0, value: Value::Table(Vec::new()) };
        if text.len() > MAX_BYTES {
            document.text.clear();
            let misfit =
                Misfit::new("too_large", format!("the file is larger than {MAX_BYTES} bytes; a config file is expected"));
            let problem = document.problem(Level::Error, "", &(0..0), misfit);
            return (document, empty, vec![problem]);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<Problem> = errors
            .iter()
            .map(|error| {
                let misfit = Misfit::new("syntax", format!("no valid TOML: {}", error.message()));
                document.problem(Level::Error, "", &error.span().unwrap_or(0..0), misfit)
            })
            .collect();
        let root = Node { span: table.span(), value: Value::Table(fields(table.get_ref(), &document, &mut problems)) };
        place(&root, "", &mut document.places);
        (document, root, problems)
    }

    pub fn problem(&self, level: Level, path: &str, span: &Span, misfit: Misfit) -> Problem {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end).max(start);
        let line = self.line_starts.partition_point(|it| *it <= start).max(1);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(line_start..start).unwrap_or_default();
        Problem {
            level,
            code: misfit.code,
            path: path.to_owned(),
            line,
            column: before.chars().count() + 1,
            span: start..end,
            message: misfit.message,
            choices: misfit.choices,
            nearest: misfit.nearest,
            hint: misfit.hint,
        }
    }

    /// Where a path stands, or the nearest part of it that does.
    pub fn place(&self, path: &str) -> Span {
        let mut path = path;
        loop {
            if let Some(span) = self.places.get(path) {
                return span.clone();
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return 0..0,
            }
        }
    }

    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|it| *it <= offset).max(1)
    }

    /// Keeps this part out of every report.
    pub fn hide(&self, span: &Span) {
        self.hidden.borrow_mut().push(span.clone());
    }

    /// The text for reports: same length, secrets as stars.
    pub fn shown_text(&self) -> String {
        let mut bytes = self.text.clone().into_bytes();
        let hidden = self.hidden.borrow();
        for span in hidden.iter().cloned().chain(guessed_secrets(&self.text)) {
            let end = span.end.min(bytes.len());
            for byte in bytes.get_mut(span.start.min(end)..end).unwrap_or_default() {
                if *byte != b'\n' && *byte != b'\r' {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn boundary(&self, mut at: usize) -> usize {
        at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Text behind a key that sounds like a secret, and passwords in addresses: hidden even where the file cannot be read as TOML.
fn guessed_secrets(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        if let Some(at) = line.find("://")
            // To the last one within the quotes: a password may hold others.
            && let Some(length) = line[at + 3..].split(['"', '\'']).next().and_then(|it| it.rfind('@'))
        {
            found.push(start + at + 3..start + at + 3 + length);
        }
        for (at, _) in line.match_indices('=') {
            let key: String = line[..at].trim_end().rsplit([' ', '\t', '{', ',', '[']).next().unwrap_or_default().to_lowercase();
            let sounds_secret = ["secret", "password", "passwd", "token", "credential"].iter().any(|it| key.contains(it))
                || key.trim_matches(['"', '\'']).ends_with("key");
            let value = line[at + 1..].trim_start();
            let value_start = start + line.len() - value.len();
            let refers = value.starts_with('{') || value.starts_with('[') && value.contains('{');
            if sounds_secret && !refers {
                found.push(value_start.min(end)..end);
                break;
            }
        }
        start += line.len();
    }
    found
}

fn fields(table: &DeTable<'_>, document: &Document, problems: &mut Vec<Problem>) -> Vec<Field> {
    let mut fields: Vec<Field> = table
        .iter()
        .map(|(key, value)| Field {
            name: key.get_ref().to_string(),
            span: key.span(),
            node: node(value.get_ref(), value.span(), document, problems),
        })
        .collect();
    fields.sort_by_key(|it| it.span.start);
    fields
}

fn node(value: &DeValue<'_>, span: Span, document: &Document, problems: &mut Vec<Problem>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Whole(number),
            Err(_) => {
                let misfit = Misfit::new("wrong_type", "the number is too large; at most 64 bits are read")
                    .hint("write it as text, in quotes");
                problems.push(document.problem(Level::Error, "", &span, misfit));
                Value::Whole(0)
            }
        },
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(item.get_ref(), item.span(), document, problems)).collect())
        }
        DeValue::Table(table) => Value::Table(fields(table, document, problems)),
    };
    Node { span, value }
}

fn place(node: &Node, path: &str, places: &mut BTreeMap<String, Span>) {
    match &node.value {
        Value::Table(fields) => {
            for field in fields {
                let path = join(path, &field.name);
                let span = if field.node.is_table() { &field.span } else { &field.node.span };
                places.insert(path.clone(), span.clone());
                place(&field.node, &path, places);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                places.insert(path.clone(), item.span.clone());
                place(item, &path, places);
            }
        }
        _ => {}
    }
}

/// `flows.orders` and `to` make `flows.orders.to`; a name that TOML would quote is quoted.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let dot = if path.is_empty() { "" } else { "." };
    if bare { format!("{path}{dot}{name}") } else { format!("{path}{dot}{name:?}") }
}

impl Node {
    pub fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(_))
    }

    pub fn fields(&self) -> &[Field] {
        match &self.value {
            Value::Table(fields) => fields,
            _ => &[],
        }
    }

    pub fn get(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for people.
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub fn json(&self) -> Json {
        match &self.value {
            Value::Text(text) | Value::Date(text) => Json::String(text.clone()),
            Value::Whole(number) => Json::from(*number),
            Value::Number(number) => number.parse::<f64>().map_or_else(|_| Json::String(number.clone()), Json::from),
            Value::Flag(flag) => Json::Bool(*flag),
            Value::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Value::Table(fields) => Json::Object(fields.iter().map(|it| (it.name.clone(), it.node.json())).collect()),
        }
    }
}
