//! What all descriptions have in common, whatever their form: operations with an address, parameters and a body.

use super::{form, schema};
use http::{Method, Uri};
use serde_json::{Map, Value};
use spindel_connect::Request;
use std::{collections::BTreeSet, fmt};

/// One file of a vendor's.
pub struct Description {
    pub name: String,
    pub operations: Vec<Operation>,
    /// What `$ref`s point into: `components` or `definitions`, ready for validation.
    pub shared: Map<String, Value>,
}

pub struct Operation {
    pub method: Method,
    pub template: Template,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
}

pub struct Parameter {
    pub name: String,
    pub place: Place,
    pub required: bool,
    pub schema: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
}

pub struct Body {
    pub required: bool,
    /// By media type; one of `*/*` is for any.
    pub schemas: Vec<(String, Value)>,
}

/// An address with places for values: `/orders/{id}/notes`, `/companies({id})`.
pub struct Template {
    text: String,
    /// What stands between the places.
    pieces: Vec<String>,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Template {
    pub fn of(text: &str) -> Self {
        let trimmed = text.trim_end_matches('/');
        let mut pieces = Vec::new();
        let mut rest = trimmed;
        while let Some((before, (_, after))) = rest.split_once('{').and_then(|(before, it)| Some((before, it.split_once('}')?))) {
            pieces.push(before.to_owned());
            rest = after;
        }
        pieces.push(rest.to_owned());
        Self { text: if trimmed.is_empty() { "/".into() } else { trimmed.into() }, pieces }
    }

    /// How many letters of an address are the template's own; `None` where it is not of this form.
    pub fn fit(&self, path: &str) -> Option<usize> {
        self.values(path).map(|_| self.pieces.iter().map(String::len).sum())
    }

    /// What stands in its places: something each, and within one segment.
    fn values<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let (first, others) = self.pieces.split_first()?;
        let mut rest = path.trim_end_matches('/').strip_prefix(first.as_str())?;
        let mut values = Vec::new();
        for (index, piece) in others.iter().enumerate() {
            let end = match piece.as_str() {
                "" => rest.find('/').unwrap_or(rest.len()),
                // The last piece must be the end of it.
                _ if index + 1 == others.len() => {
                    rest.len().checked_sub(piece.len()).filter(|_| rest.ends_with(piece.as_str()))?
                }
                piece => rest.find(piece)?,
            };
            let value = rest.get(..end)?;
            if value.is_empty() || value.contains('/') {
                return None;
            }
            values.push(value);
            rest = rest.get(end + piece.len()..)?;
        }
        rest.is_empty().then_some(values)
    }

    /// Names of its places.
    fn names(&self) -> Vec<&str> {
        self.text.split('{').skip(1).filter_map(|it| Some(it.split_once('}')?.0)).collect()
    }
}

impl Operation {
    /// All in which the request is not as the description says.
    pub fn problems(&self, description: &Description, request: &Request, uri: &Uri, always: &BTreeSet<String>) -> Vec<String> {
        let mut found = self.path_problems(description, uri);
        found.extend(self.query_problems(description, uri.query().unwrap_or_default()));
        found.extend(self.header_problems(request, always));
        found.extend(self.body_problems(description, request));
        found.dedup();
        found
    }

    fn at(&self, place: Place) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |it| it.place == place)
    }

    fn path_problems(&self, description: &Description, uri: &Uri) -> Vec<String> {
        let values = self.template.values(uri.path()).unwrap_or_default();
        let mut found = Vec::new();
        for (name, value) in self.template.names().into_iter().zip(values) {
            let Some(parameter) = self.at(Place::Path).find(|it| it.name == name) else { continue };
            let value = form::typed(form::decoded(value).into(), &parameter.schema, &description.shared);
            let problems = schema::problems(&parameter.schema, &description.shared, &value);
            found.extend(problems.into_iter().map(|it| format!("`{name}` of the path: {it}")));
        }
        found
    }

    fn query_problems(&self, description: &Description, query: &str) -> Vec<String> {
        let mut found = Vec::new();
        let Value::Object(sent) = form::nested(query) else { return found };
        for (name, value) in &sent {
            let known = self.at(Place::Query).find(|it| it.name.trim_end_matches("[]") == name || it.name == *name);
            // Described piece by piece: `search[filters][0][field]`, whose places may be any.
            if known.is_none() && self.at(Place::Query).any(|it| it.name.split_once('[').is_some_and(|it| it.0 == name)) {
                continue;
            }
            let Some(parameter) = known else {
                found.push(format!("nothing reads the query parameter `{name}`{}", nearest(name, self.at(Place::Query))));
                continue;
            };
            let value = form::typed(value.clone(), &parameter.schema, &description.shared);
            let problems = schema::problems(&parameter.schema, &description.shared, &value);
            found.extend(problems.into_iter().map(|it| format!("query parameter `{name}`: {it}")));
        }
        let missing = self.at(Place::Query).filter(|it| it.required && !sent.contains_key(it.name.trim_end_matches("[]")));
        found.extend(missing.map(|it| format!("the query parameter `{}` is required", it.name)));
        found
    }

    /// Credentials and what every call carries are no part of the examples.
    fn header_problems(&self, request: &Request, always: &BTreeSet<String>) -> Vec<String> {
        let implied = |name: &str| matches!(name, "authorization" | "accept" | "content-type" | "content-length");
        let missing = self.at(Place::Header).filter(|it| it.required).filter(|it| {
            let name = it.name.to_ascii_lowercase();
            !implied(&name) && !always.contains(&name) && !request.headers.contains_key(&name)
        });
        missing.map(|it| format!("the header `{}` is required", it.name)).collect()
    }

    fn body_problems(&self, description: &Description, request: &Request) -> Vec<String> {
        let Some(body) = &self.body else {
            return if request.body.is_empty() { Vec::new() } else { vec!["nothing reads a body here".to_owned()] };
        };
        if request.body.is_empty() {
            return if body.required { vec!["a body is required".to_owned()] } else { Vec::new() };
        }
        let kind = request.headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let known = body.schemas.iter().find(|(it, _)| it.split(';').next() == Some(kind) || it == "*/*");
        let Some((_, schema)) = known else {
            let kinds: Vec<&str> = body.schemas.iter().map(|(it, _)| it.as_str()).collect();
            return vec![format!("a body of `{kind}` is not read, but {}", kinds.join(", "))];
        };
        let value = match kind {
            "application/x-www-form-urlencoded" => {
                let text = String::from_utf8_lossy(&request.body);
                form::typed(form::nested(&text), schema, &description.shared)
            }
            // Lines of JSON, or no JSON at all: not described by a schema.
            _ => match serde_json::from_slice(&request.body) {
                Ok(value) => value,
                Err(_) => return Vec::new(),
            },
        };
        schema::problems(schema, &description.shared, &value)
    }
}

/// A name that was perhaps meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a Parameter>) -> String {
    let bare = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    let meant = known.map(|it| it.name.as_str()).find(|it| bare(it) == bare(name) || bare(it).contains(&bare(name)));
    meant.map_or_else(String::new, |it| format!(" (there is `{it}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_fits_a_template_place_by_place() {
        let fit = |template: &str, path: &str| Template::of(template).fit(path);
        assert!(fit("/orders/{id}/notes", "/orders/7/notes").is_some());
        assert_eq!(fit("/orders/{id}", "/orders/7/notes"), None);
        assert_eq!(fit("/orders/{id}", "/orders/"), None);
        assert!(fit("/companies({id})/items({item})", "/companies(a-1)/items(b-2)").is_some());
        assert_eq!(fit("/companies({id})/items", "/companies(a-1)/items(b-2)"), None);
        assert!(fit("/orders/{id}", "/orders/search") < fit("/orders/search", "/orders/search"));
        assert!(fit("/rest/{store}/V1/products/{sku}", "/rest/all/V1/products/A%2FB").is_some());
        assert!(fit("/label.{kind}", "/label.pdf").is_some() && fit("/", "/").is_some());
    }
}
