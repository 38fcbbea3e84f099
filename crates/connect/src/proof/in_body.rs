//! A secret inside the JSON body, as some vendors repeat it with every notification.

use super::{Unproven, is_one_of};
use crate::{Incoming, Secret};
use bytes::Bytes;
use serde_json::Value;

/// More notifications than any vendor puts into one request.
const MOST_PLACES: usize = 10_000;

/// A fixed secret at places of the JSON body.
pub struct InBody {
    pointers: Vec<String>,
    secrets: Vec<Secret>,
}

impl InBody {
    pub(super) fn new(pointers: &[&str], secrets: &[Secret]) -> Self {
        Self { pointers: pointers.iter().map(|pointer| (*pointer).to_owned()).collect(), secrets: secrets.to_vec() }
    }

    /// The body without the secret.
    pub(super) fn check(&self, body: &Bytes) -> Result<Bytes, Unproven> {
        if body.is_empty() {
            return Err(Unproven::EmptyBody);
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| Unproven::BodyMalformed)?;
        let mut sent = Vec::new();
        for pointer in &self.pointers {
            collect(&json, &steps(pointer), &mut sent)?;
        }
        if sent.is_empty() {
            return Err(Unproven::TokenMissing);
        }
        let fits = sent.iter().fold(true, |fits, text| fits & is_one_of(&self.secrets, text.as_bytes()));
        if fits { Ok(self.withheld(body)) } else { Err(Unproven::NoMatch) }
    }

    fn withheld(&self, body: &Bytes) -> Bytes {
        let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        let withheld = secrets.fold(text.to_owned(), |text, secret| {
            text.replace(&Value::String(secret.expose().to_owned()).to_string(), "\"withheld\"")
        });
        withheld.into()
    }

    /// Writes the secret to every place that is there; lists are not made longer.
    pub(super) fn sign(&self, request: &mut Incoming) -> Result<(), Unproven> {
        let secret = self.secrets.first().ok_or(Unproven::NoMatch)?;
        if self.check(&request.body).is_ok() {
            return Ok(());
        }
        let mut json: Value = serde_json::from_slice(&request.body).map_err(|_| Unproven::BodyMalformed)?;
        for pointer in &self.pointers {
            write(&mut json, &steps(pointer), secret.expose());
        }
        request.body = json.to_string().into();
        Ok(())
    }
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// Every place must be there, be text, and be in a list where the pointer says so.
fn collect<'a>(value: &'a Value, steps: &[String], found: &mut Vec<&'a str>) -> Result<(), Unproven> {
    match steps.split_first() {
        None if found.len() >= MOST_PLACES => Err(Unproven::BodyMalformed),
        None => {
            found.push(value.as_str().ok_or(Unproven::TokenMissing)?);
            Ok(())
        }
        Some((step, rest)) if step == "*" => {
            let items = value.as_array().ok_or(Unproven::BodyMalformed)?;
            items.iter().try_for_each(|item| collect(item, rest, found))
        }
        Some((step, rest)) => collect(value.get(step).ok_or(Unproven::TokenMissing)?, rest, found),
    }
}

fn write(value: &mut Value, steps: &[String], secret: &str) {
    match (steps.split_first(), value) {
        (None, value) => *value = Value::String(secret.to_owned()),
        (Some((step, rest)), Value::Array(items)) if step == "*" => {
            items.iter_mut().for_each(|item| write(item, rest, secret));
        }
        (Some((step, rest)), Value::Object(fields)) => {
            write(fields.entry(step.clone()).or_insert(Value::Null), rest, secret);
        }
        _ => {}
    }
}
