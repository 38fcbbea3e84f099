//! Contacts and deals: properties that are all text, found by id or by a property with unique values.

use super::{
    api::{Answer, Call, Problem, invalid, problem, unknown},
    state::State,
};
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CONTACT_PROPERTIES: &[&str] = &[
    "email",
    "firstname",
    "lastname",
    "phone",
    "mobilephone",
    "company",
    "address",
    "zip",
    "city",
    "state",
    "country",
    "lifecyclestage",
    "hs_email_optout",
    "hs_language",
    "lastmodifieddate",
    "createdate",
    "hs_object_id",
];
const DEAL_PROPERTIES: &[&str] = &[
    "dealname",
    "amount",
    "deal_currency_code",
    "pipeline",
    "dealstage",
    "closedate",
    "description",
    "hs_lastmodifieddate",
    "createdate",
    "hs_object_id",
];
const FIRST_PIPELINE: (&str, &[&str]) = (
    "default",
    &[
        "appointmentscheduled",
        "qualifiedtobuy",
        "presentationscheduled",
        "decisionmakerboughtin",
        "contractsent",
        "closedwon",
        "closedlost",
    ],
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Contact,
    Deal,
}

impl Kind {
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "contacts" | "contact" | "0-1" => Some(Self::Contact),
            "deals" | "deal" | "0-3" => Some(Self::Deal),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Deal => "deal",
        }
    }

    pub fn modified(self) -> &'static str {
        match self {
            Self::Contact => "lastmodifieddate",
            Self::Deal => "hs_lastmodifieddate",
        }
    }
}

pub(crate) type Properties = BTreeMap<String, String>;

/// One contact or deal.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub properties: Properties,
    created: Timestamp,
    pub updated: Timestamp,
    pub archived: bool,
}

impl State {
    fn knows(&self, kind: Kind, property: &str) -> bool {
        let (own, made) = match kind {
            Kind::Contact => (CONTACT_PROPERTIES, &self.options.contact_properties),
            Kind::Deal => (DEAL_PROPERTIES, &self.options.deal_keys),
        };
        own.contains(&property) || made.iter().any(|it| it == property)
    }

    pub fn unique(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Contact => vec!["email".into()],
            Kind::Deal => self.options.deal_keys.clone(),
        }
    }

    pub fn find(&self, kind: Kind, property: &str, value: &str) -> Option<u64> {
        let value = if property == "email" { value.to_lowercase() } else { value.to_owned() };
        let objects = self.objects.get(&kind)?;
        objects.iter().find(|(_, it)| !it.archived && it.properties.get(property) == Some(&value)).map(|(id, _)| *id)
    }

    /// All that is wrong with them, in the vendor's words.
    pub fn check(&self, kind: Kind, id: Option<u64>, properties: &Properties) -> Result<(), Problem> {
        let own = id.and_then(|id| self.objects.get(&kind)?.get(&id));
        let value = |name: &str| properties.get(name).or_else(|| own?.properties.get(name)).map(String::as_str);
        let mut wrong = Vec::new();
        let mut say = |name: &str, error: &str, message: String| {
            wrong.push(
                json!({ "isValid": false, "message": message, "error": error, "name": name, "portalId": self.options.portal_id }),
            );
        };
        for (name, text) in properties {
            let pipeline = value("pipeline").unwrap_or(FIRST_PIPELINE.0);
            match name.as_str() {
                _ if !self.knows(kind, name) => {
                    say(name, "PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist"));
                }
                _ if text.is_empty() => {}
                "email" if !is_address(text) => say(name, "INVALID_EMAIL", format!("Email address {text} is invalid")),
                "amount" if text.parse::<rust_decimal::Decimal>().is_err() => {
                    say(name, "INVALID_NUMBER", format!("{text} was not a valid number."));
                }
                "closedate" if text.parse::<i64>().is_err() && text.parse::<Timestamp>().is_err() => {
                    say(name, "INVALID_DATE", format!("{text} was not a valid long."));
                }
                "deal_currency_code" if !self.options.currencies.contains(text) => {
                    say(name, "INVALID_OPTION", format!("{text} was not one of the allowed options"));
                }
                "pipeline" if self.stages(text).is_none() => say(name, "INVALID_OPTION", format!("{text} is no pipeline")),
                "dealstage" if !self.stages(pipeline).is_some_and(|it| it.contains(&text.as_str())) => {
                    say(name, "INVALID_OPTION", format!("{text} is no stage of the pipeline"));
                }
                _ => {}
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(invalid(format!("Property values were not valid: {}", Value::from(wrong))))
    }

    fn stages(&self, pipeline: &str) -> Option<Vec<&str>> {
        if pipeline == FIRST_PIPELINE.0 {
            return Some(FIRST_PIPELINE.1.to_vec());
        }
        let found = self.options.pipelines.iter().find(|(name, _)| name == pipeline)?;
        Some(found.1.iter().map(String::as_str).collect())
    }

    pub fn make(&mut self, kind: Kind, properties: Properties, source: &str) -> Result<u64, Problem> {
        self.check(kind, None, &properties)?;
        for property in self.unique(kind) {
            if let Some(existing) = properties.get(&property).and_then(|value| self.find(kind, &property, value)) {
                let name = if kind == Kind::Contact { "Contact" } else { "Deal" };
                let message = format!("{name} already exists. Existing ID: {existing}");
                return Err(problem(StatusCode::CONFLICT, "CONFLICT", message));
            }
        }
        let (id, now) = (self.new_id(), self.options.clock.now());
        let object = Object { properties: Properties::new(), created: now, updated: now, archived: false };
        self.objects.entry(kind).or_default().insert(id, object);
        self.tell(kind, "creation", id, json!({ "changeFlag": "CREATED", "changeSource": source }));
        self.put(kind, id, properties, source);
        Ok(id)
    }

    pub fn write(&mut self, kind: Kind, id: u64, properties: Properties, source: &str) -> Result<(), Problem> {
        self.known(kind, id)?;
        self.check(kind, Some(id), &properties)?;
        self.put(kind, id, properties, source);
        Ok(())
    }

    pub fn known(&self, kind: Kind, id: u64) -> Result<&Object, Problem> {
        self.objects.get(&kind).and_then(|it| it.get(&id)).filter(|it| !it.archived).ok_or_else(unknown)
    }

    /// What is as it was is not told.
    pub fn put(&mut self, kind: Kind, id: u64, properties: Properties, source: &str) {
        let now = self.options.clock.now();
        let Some(object) = self.objects.get_mut(&kind).and_then(|it| it.get_mut(&id)) else { return };
        let mut changed = Vec::new();
        for (name, value) in properties {
            let value = if name == "email" { value.to_lowercase() } else { value };
            if object.properties.get(&name) == Some(&value) {
                continue;
            }
            object.properties.insert(name.clone(), value.clone());
            changed.push((name, value));
        }
        object.updated = now;
        for (name, value) in changed {
            let more = json!({ "propertyName": name, "propertyValue": value, "changeSource": source, "sourceId": "app:3141592" });
            self.tell(kind, "propertyChange", id, more);
        }
    }

    pub fn archive(&mut self, kind: Kind, id: u64) -> Result<(), Problem> {
        self.known(kind, id)?;
        if let Some(object) = self.objects.get_mut(&kind).and_then(|it| it.get_mut(&id)) {
            object.archived = true;
        }
        self.tell(kind, "deletion", id, json!({ "changeFlag": "DELETED" }));
        Ok(())
    }

    /// Nothing is left of it.
    pub fn forget(&mut self, id: u64) -> Result<(), Problem> {
        let email = self.known(Kind::Contact, id)?.properties.get("email").cloned();
        if let Some(contacts) = self.objects.get_mut(&Kind::Contact) {
            contacts.remove(&id);
        }
        self.consent.retain(|(address, _), _| Some(address) != email.as_ref());
        self.associations.retain(|(_, contact)| *contact != id);
        self.tell(Kind::Contact, "privacyDeletion", id, Value::Null);
        Ok(())
    }

    pub fn merge(&mut self, stays: u64, goes: u64) -> Result<(), Problem> {
        self.known(Kind::Contact, stays)?;
        let gone = self.known(Kind::Contact, goes)?.properties.clone();
        if let Some(contacts) = self.objects.get_mut(&Kind::Contact) {
            contacts.remove(&goes);
            if let Some(kept) = contacts.get_mut(&stays) {
                for (name, value) in gone {
                    kept.properties.entry(name).or_insert(value);
                }
            }
        }
        let more =
            json!({ "primaryObjectId": stays, "mergedObjectIds": [goes], "newObjectId": stays, "numberOfPropertiesMoved": 0 });
        self.tell(Kind::Contact, "merge", stays, more);
        Ok(())
    }

    pub fn associate(&mut self, deal: &str, contact: &str) -> Result<Answer, Problem> {
        let id = |text: &str| text.parse::<u64>().map_err(|_| unknown());
        let (deal, contact) = (id(deal)?, id(contact)?);
        self.known(Kind::Deal, deal)?;
        self.known(Kind::Contact, contact)?;
        self.associations.insert((deal, contact));
        let kind = json!({ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3 });
        let row = json!({ "from": { "id": deal.to_string() }, "to": { "id": contact.to_string() }, "associationSpec": kind });
        Ok((StatusCode::OK, self.batch(vec![row], Vec::new()).1))
    }

    pub fn json(&self, kind: Kind, id: u64, wanted: &BTreeSet<&str>) -> Value {
        let Some(object) = self.objects.get(&kind).and_then(|it| it.get(&id)) else { return Value::Null };
        let mut properties = json!({
            "hs_object_id": id.to_string(), "createdate": object.created.to_string(), kind.modified(): object.updated.to_string(),
        });
        for name in wanted.iter().filter(|it| !matches!(**it, "hs_object_id" | "createdate") && **it != kind.modified()) {
            properties[*name] = object.properties.get(*name).map_or(Value::Null, |it| json!(it));
        }
        let (created, updated) = (object.created.to_string(), object.updated.to_string());
        json!({ "id": id.to_string(), "properties": properties, "createdAt": created, "updatedAt": updated, "archived": object.archived })
    }

    /// With 207 where a part of it failed.
    pub fn batch(&self, results: Vec<Value>, errors: Vec<Value>) -> Answer {
        let now = self.options.clock.now().to_string();
        let mut body = json!({ "status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now });
        if errors.is_empty() {
            return (StatusCode::OK, body);
        }
        body["numErrors"] = errors.len().into();
        body["errors"] = errors.into();
        (StatusCode::MULTI_STATUS, body)
    }

    /// The API below `/crm/v3/objects/{kind}`.
    pub fn objects_api(&mut self, kind: Kind, method: &Method, below: &[&str], call: &Call) -> Result<Answer, Problem> {
        match (method, below) {
            (&Method::POST, ["batch", "upsert"]) => self.upsert(kind, call),
            (&Method::POST, ["batch", "read"]) => self.read_batch(kind, call),
            (&Method::POST, ["search"]) => self.search(kind, call),
            (&Method::POST, ["gdpr-delete"]) if kind == Kind::Contact => {
                let wanted = call.body["objectId"].as_str().unwrap_or_default();
                let id = self.id_of(kind, wanted, call.body["idProperty"].as_str())?;
                self.forget(id).map(|()| (StatusCode::NO_CONTENT, Value::Null))
            }
            (&Method::POST, []) => {
                let properties = properties(&call.body)?;
                let wanted: BTreeSet<String> = properties.keys().cloned().collect();
                let id = self.make(kind, properties, "INTEGRATION")?;
                Ok((StatusCode::CREATED, self.json(kind, id, &wanted.iter().map(String::as_str).collect())))
            }
            (method, [id]) => {
                let id = self.id_of(kind, id, call.query("idProperty"))?;
                match *method {
                    Method::GET => {
                        self.known(kind, id)?;
                        let wanted =
                            call.query("properties").unwrap_or_default().split(',').filter(|it| self.knows(kind, it)).collect();
                        Ok((StatusCode::OK, self.json(kind, id, &wanted)))
                    }
                    Method::PATCH => {
                        let properties = properties(&call.body)?;
                        let wanted: BTreeSet<String> = properties.keys().cloned().collect();
                        self.write(kind, id, properties, "INTEGRATION")?;
                        Ok((StatusCode::OK, self.json(kind, id, &wanted.iter().map(String::as_str).collect())))
                    }
                    Method::DELETE => self.archive(kind, id).map(|()| (StatusCode::NO_CONTENT, Value::Null)),
                    _ => Err(problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "HTTP 405 Method Not Allowed")),
                }
            }
            _ => Err(unknown()),
        }
    }

    pub fn id_of(&self, kind: Kind, text: &str, property: Option<&str>) -> Result<u64, Problem> {
        let found = match property {
            Some(property) => self.find(kind, property, text),
            None => text.parse().ok(),
        };
        found.ok_or_else(unknown)
    }
}

/// Values are text; a number is taken for its text.
pub(crate) fn properties(input: &Value) -> Result<Properties, Problem> {
    let mut properties = Properties::new();
    for (name, value) in input["properties"].as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => String::new(),
            _ => return Err(invalid(format!("Invalid input JSON: cannot deserialize value of `{name}`"))),
        };
        properties.insert(name.clone(), text);
    }
    Ok(properties)
}

fn is_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.ends_with('.') && !text.contains(' '))
}
