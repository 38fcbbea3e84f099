//! Reads GraphQL documents: enough of the language to find operations, selections, arguments, variables and directives.
//! Whether a document fits the vendor's schema is not judged here.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Deeper nesting is refused, so that a document cannot exhaust the stack.
const MAX_DEPTH: usize = 40;

#[derive(Debug)]
pub(crate) struct Document {
    pub mutation: bool,
    pub fields: Vec<Selection>,
    pub fragments: BTreeMap<String, Vec<Selection>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Selection {
    Field(Field),
    /// Type condition and selections.
    Inline(Option<String>, Vec<Selection>),
    Spread(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Key in the answer: the alias, or the name.
    pub key: String,
    pub name: String,
    /// With variables filled in.
    pub arguments: Map<String, Value>,
    /// By name, with their arguments.
    pub directives: BTreeMap<String, Map<String, Value>>,
    pub selections: Vec<Selection>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(String),
    Text(String),
    Sign(char),
    Dots,
}

/// Reads the document and binds its variables, defaults included.
pub(crate) fn parse(source: &str, variables: &Map<String, Value>) -> Result<Document, String> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, variables: variables.clone() };
    let mut document = Document { mutation: false, fields: Vec::new(), fragments: BTreeMap::new() };
    while parser.at < parser.tokens.len() {
        if parser.is_name("fragment") {
            parser.at += 2;
            let name = parser.previous_name()?;
            parser.name_is("on")?;
            parser.name()?;
            let selections = parser.selections()?;
            document.fragments.insert(name, selections);
            continue;
        }
        if !document.fields.is_empty() {
            return Err("a document with several operations is not supported here".into());
        }
        document.mutation = parser.operation()?;
        document.fields = parser.selections()?;
    }
    if document.fields.is_empty() {
        return Err("syntax error, unexpected end of file".into());
    }
    Ok(document)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    variables: Map<String, Value>,
}

impl Parser {
    /// The head of an operation: whether it is a mutation. Defaults of variables are kept.
    fn operation(&mut self) -> Result<bool, String> {
        if self.is_sign('{') {
            return Ok(false);
        }
        let kind = self.name()?;
        if let Some(Token::Name(_)) = self.peek() {
            self.at += 1;
        }
        if self.take_sign('(') {
            while !self.take_sign(')') {
                self.variable_definition()?;
            }
        }
        match kind.as_str() {
            "query" => Ok(false),
            "mutation" => Ok(true),
            other => Err(format!("syntax error, unexpected {other:?}, expecting query or mutation")),
        }
    }

    fn variable_definition(&mut self) -> Result<(), String> {
        self.sign('$')?;
        let name = self.name()?;
        self.sign(':')?;
        let required = self.type_reference()?;
        if self.take_sign('=') {
            let default = self.value()?;
            self.variables.entry(name.clone()).or_insert(default);
        }
        if required && self.variables.get(&name).is_none_or(Value::is_null) {
            return Err(format!("Variable ${name} of a non-null type was provided invalid value"));
        }
        Ok(())
    }

    /// Skips a type; whether it ends in `!`.
    fn type_reference(&mut self) -> Result<bool, String> {
        if self.take_sign('[') {
            self.type_reference()?;
            self.sign(']')?;
        } else {
            self.name()?;
        }
        Ok(self.take_sign('!'))
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.enter()?;
        self.sign('{')?;
        let mut selections = Vec::new();
        while !self.take_sign('}') {
            selections.push(self.selection()?);
        }
        self.depth -= 1;
        Ok(selections)
    }

    fn selection(&mut self) -> Result<Selection, String> {
        if self.peek() == Some(&Token::Dots) {
            self.at += 1;
            if self.is_name("on") {
                self.at += 1;
                let condition = self.name()?;
                return Ok(Selection::Inline(Some(condition), self.selections()?));
            }
            if self.is_sign('{') {
                return Ok(Selection::Inline(None, self.selections()?));
            }
            return Ok(Selection::Spread(self.name()?));
        }
        let mut name = self.name()?;
        let key = name.clone();
        if self.take_sign(':') {
            name = self.name()?;
        }
        let arguments = self.arguments()?;
        let mut directives = BTreeMap::new();
        while self.take_sign('@') {
            directives.insert(self.name()?, self.arguments()?);
        }
        let selections = if self.is_sign('{') { self.selections()? } else { Vec::new() };
        Ok(Selection::Field(Field { key, name, arguments, directives, selections }))
    }

    fn arguments(&mut self) -> Result<Map<String, Value>, String> {
        let mut arguments = Map::new();
        if self.take_sign('(') {
            while !self.take_sign(')') {
                self.named_value(&mut arguments)?;
            }
        }
        Ok(arguments)
    }

    /// `name: value`. A variable that was not given leaves the name out, which is not the same as null.
    fn named_value(&mut self, into: &mut Map<String, Value>) -> Result<(), String> {
        let name = self.name()?;
        self.sign(':')?;
        if let (Some(Token::Sign('$')), Some(Token::Name(variable))) = (self.peek(), self.tokens.get(self.at + 1)) {
            if let Some(value) = self.variables.get(variable) {
                into.insert(name, value.clone());
            }
            self.at += 2;
            return Ok(());
        }
        let value = self.value()?;
        into.insert(name, value);
        Ok(())
    }

    fn value(&mut self) -> Result<Value, String> {
        self.enter()?;
        let value = match self.next()? {
            Token::Text(text) => Value::String(text),
            Token::Number(number) => serde_json::from_str(&number).map_err(|_| format!("{number:?} is no number"))?,
            Token::Name(name) => match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => Value::String(name),
            },
            Token::Sign('$') => {
                let name = self.name()?;
                self.variables.get(&name).cloned().unwrap_or(Value::Null)
            }
            Token::Sign('[') => {
                let mut items = Vec::new();
                while !self.take_sign(']') {
                    items.push(self.value()?);
                }
                Value::Array(items)
            }
            Token::Sign('{') => {
                let mut object = Map::new();
                while !self.take_sign('}') {
                    self.named_value(&mut object)?;
                }
                Value::Object(object)
            }
            other => return Err(format!("syntax error, unexpected {other:?}, expecting a value")),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err("the document is nested too deeply".into()) } else { Ok(()) }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("syntax error, unexpected end of file")?;
        self.at += 1;
        Ok(token)
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Name(name) => Ok(name),
            other => Err(format!("syntax error, unexpected {other:?}, expecting a name")),
        }
    }

    fn previous_name(&mut self) -> Result<String, String> {
        self.at -= 1;
        self.name()
    }

    fn name_is(&mut self, wanted: &str) -> Result<(), String> {
        let name = self.name()?;
        if name == wanted { Ok(()) } else { Err(format!("syntax error, unexpected {name:?}, expecting {wanted:?}")) }
    }

    fn is_name(&self, wanted: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(name)) if name == wanted)
    }

    fn is_sign(&self, wanted: char) -> bool {
        self.peek() == Some(&Token::Sign(wanted))
    }

    fn take_sign(&mut self, wanted: char) -> bool {
        let found = self.is_sign(wanted);
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, wanted: char) -> Result<(), String> {
        if self.take_sign(wanted) {
            return Ok(());
        }
        match self.peek() {
            Some(other) => Err(format!("syntax error, unexpected {other:?}, expecting {wanted:?}")),
            None => Err("syntax error, unexpected end of file".into()),
        }
    }
}

fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            ',' => 1,
            blank if blank.is_whitespace() => blank.len_utf8(),
            '.' if rest.starts_with("...") => {
                tokens.push(Token::Dots);
                3
            }
            '"' => {
                let (text, length) = text(rest)?;
                tokens.push(Token::Text(text));
                length
            }
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                tokens.push(Token::Name(rest[..length].into()));
                length
            }
            digit if digit.is_ascii_digit() || digit == '-' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
                tokens.push(Token::Number(rest[..length].into()));
                length
            }
            sign if "{}()[]:$!=@|&".contains(sign) => {
                tokens.push(Token::Sign(sign));
                1
            }
            other => return Err(format!("syntax error, unexpected character {other:?}")),
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// A string in quotes and its length in the source. Escapes are those of JSON.
fn text(source: &str) -> Result<(String, usize), String> {
    if let Some(block) = source.strip_prefix("\"\"\"") {
        let end = block.find("\"\"\"").ok_or("syntax error, string is not closed")?;
        return Ok((block[..end].trim().into(), end + 6));
    }
    let mut escaped = false;
    for (index, c) in source.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let text = serde_json::from_str(&source[..=index]).map_err(|_| "syntax error in a string")?;
                return Ok((text, index + 1));
            }
            _ => {}
        }
    }
    Err("syntax error, string is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(selection: &Selection) -> &Field {
        match selection {
            Selection::Field(field) => field,
            _ => panic!("not a field"),
        }
    }

    #[test]
    fn arguments_are_bound_from_variables_defaults_and_literals() {
        let variables = json!({ "input": { "a": [1, null] }, "key": "k" });
        let source = r#"mutation M($input: I!, $key: String!, $n: Int = 5, $gone: ID) {
            it: setThing(input: $input, list: [{ n: $n, word: RED }], text: "a \"b\"", gone: $gone) @idempotent(key: $key) { id }
        }"#;
        let document = parse(source, variables.as_object().unwrap()).unwrap();
        assert!(document.mutation);
        let set = field(&document.fields[0]);
        assert_eq!((set.key.as_str(), set.name.as_str()), ("it", "setThing"));
        let want = json!({ "input": { "a": [1, null] }, "list": [{ "n": 5, "word": "RED" }], "text": "a \"b\"" });
        assert_eq!(Value::Object(set.arguments.clone()), want);
        assert_eq!(set.directives["idempotent"]["key"], "k");
    }

    #[test]
    fn a_missing_required_variable_and_broken_syntax_are_errors() {
        let none = Map::new();
        assert!(parse("query($id: ID!) { order(id: $id) { id } }", &none).is_err());
        for broken in ["", "{", "{ a(", "query { a } }", "{ a: }", "{ \"a\" }", "subscription { a }"] {
            assert!(parse(broken, &none).is_err(), "{broken}");
        }
        let deep = "{ a ".repeat(10_000);
        assert!(parse(&deep, &none).unwrap_err().contains("deeply"));
    }
}
