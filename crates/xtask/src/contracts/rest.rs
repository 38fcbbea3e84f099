//! Every request that a connector's examples make, as it really goes out, against the vendor's own description: path and
//! method are there, what is required is sent, values are of the type that is asked for, and nothing is sent that nobody reads.

mod description;
mod files;
mod form;
mod models;
mod odata;
mod openapi;
mod schema;
mod settings;
mod tables;
mod wordpress;

use super::Outcome;
use crate::{Finding, Tree};
use anyhow::{Context as _, Result};
use description::{Description, Operation, Template};
use files::Document;
use http::Uri;
use models::Models;
use serde_json::Value;
use settings::Vendor;
use spindel_connect::{Auth, Endpoint, Entry, Request};
use spindel_testkit::conformance::{Subject, requests};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The deviations that are known, and why they are.
pub const SETTINGS: &str = "crates/xtask/contracts.toml";

/// One problem of one call, however many examples show it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// As the description writes it where it does, else as it was sent.
    call: String,
    text: String,
}

/// Checks these connectors, as far as their vendors have a folder in `specs` with a description that can be read.
pub fn check(tree: &Tree, entries: &[Entry], specs: &Path) -> Result<Outcome> {
    let settings = settings::read(tree)?;
    let mut outcome = Outcome::default();
    let unknown = settings.keys().filter(|it| !tree.has_folder(&format!("crates/connectors/{it}")));
    outcome.findings.extend(unknown.map(|it| {
        let line = tree.file(SETTINGS).map_or(1, |file| file.line_where(|line| line.contains(&format!("[{it}"))));
        Finding::new(SETTINGS, line, format!("there is no connector `{it}`"), "correct its name, or remove what stands for it")
    }));
    let mut unchecked = Vec::new();
    for entry in entries {
        let vendor = settings.get(entry.info.id).cloned().unwrap_or_default();
        let Some(described) = described(&specs.join(entry.info.id), &vendor)? else {
            unchecked.push(entry.info.id);
            continue;
        };
        let found = one(tree, entry, &described, &vendor).with_context(|| format!("connector `{}`", entry.info.id))?;
        outcome.notes.extend(found.notes);
        outcome.findings.extend(found.findings);
    }
    if !unchecked.is_empty() {
        let unchecked = unchecked.join(", ");
        outcome.notes.push(format!("requests not checked, for want of a description that can be read: {unchecked}"));
    }
    Ok(outcome)
}

/// What a vendor says about itself.
enum Described {
    /// Addresses, with what they take.
    Operations(Vec<Description>),
    Models(Models),
}

fn described(folder: &Path, vendor: &Vendor) -> Result<Option<Described>> {
    let documents = files::read(folder, &vendor.skip)?;
    let base = vendor.base.as_deref();
    let of = |it: &Document| {
        let data = openapi::read(it, base).or_else(|| wordpress::read(it, base)).or_else(|| odata::read(it, base));
        data.or_else(|| tables::read(it, vendor))
    };
    let operations: Vec<Description> = documents.iter().filter_map(of).collect();
    Ok(match operations.is_empty() {
        false => Some(Described::Operations(operations)),
        true => models::read(&documents).map(Described::Models),
    })
}

fn one(tree: &Tree, entry: &Entry, described: &Described, vendor: &Vendor) -> Result<Outcome> {
    let subject = Subject::new(*entry);
    let (_, endpoint) = (entry.connect)(subject.config.clone()).context("fixtures/config.json is refused")?;
    let always = always(&endpoint);
    let mut problems: BTreeMap<Problem, Vec<(String, Request)>> = BTreeMap::new();
    let mut count = 0;
    let sent = requests(&subject).into_iter();
    let sent = sent.flat_map(|(file, request)| parts(request).into_iter().map(move |it| (file.clone(), it)));
    for (file, request) in sent {
        count += 1;
        let found = match described {
            Described::Operations(descriptions) => of_request(&endpoint.base_url, &always, &request, descriptions),
            Described::Models(models) => models.problems(&request),
        };
        for problem in found {
            problems.entry(problem).or_default().push((file.clone(), request.clone()));
        }
    }
    let mut waived = vec![false; vendor.waive.len()];
    let mut outcome = Outcome::default();
    for (problem, shown) in problems {
        let Some((file, request)) = shown.first() else { continue };
        let known = vendor.waive.iter().position(|it| it.covers(&problem.call, &problem.text));
        match known {
            Some(index) => waived[index] = true,
            None => outcome.findings.push(finding(tree, entry.info.id, &problem, file, request, shown.len())),
        }
    }
    for (waiver, _) in vendor.waive.iter().zip(&waived).filter(|(_, waived)| !**waived) {
        let line = tree.file(SETTINGS).map_or(1, |it| it.line_where(|line| line.contains(&waiver.reason)));
        let problem = format!("{}: the waiver for `{}` hides nothing", entry.info.id, waiver.name());
        outcome.findings.push(Finding::new(SETTINGS, line, problem, "remove it"));
    }
    let names = match described {
        Described::Operations(descriptions) => descriptions.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "),
        Described::Models(_) => "the description of its models".to_owned(),
    };
    let hidden = waived.iter().filter(|it| **it).count();
    outcome.notes.push(format!("{}: {count} requests held against {names}; {hidden} known deviations", entry.info.id));
    Ok(outcome)
}

/// The request, and those that it carries where it is a batch of them.
fn parts(request: Request) -> Vec<Request> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let rows = body["requests"].as_array().filter(|_| request.path.ends_with("/$batch"));
    let part = |row: &Value| {
        let headers = row["headers"].as_object().into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str()?.parse().ok()?)));
        Some(Request {
            operation: request.operation,
            method: row["method"].as_str()?.parse().ok()?,
            path: format!("/{}", row["url"].as_str()?.trim_start_matches('/')),
            headers: headers.collect(),
            body: row.get("body").map_or_else(Default::default, |it| it.to_string().into()),
            cost: 0.0,
        })
    };
    let inner: Vec<Request> = rows.into_iter().flatten().filter_map(part).collect();
    std::iter::once(request).chain(inner).collect()
}

/// Headers that go with every call, credentials included.
fn always(endpoint: &Endpoint) -> BTreeSet<String> {
    let auth = match &endpoint.auth {
        Auth::Header(name, _) => Some(*name),
        _ => None,
    };
    let (plain, secret) = (endpoint.headers.iter().map(|it| it.0), endpoint.secret_headers.iter().map(|it| it.0));
    plain.chain(secret).chain(auth).map(str::to_ascii_lowercase).collect()
}

fn finding(tree: &Tree, vendor: &str, problem: &Problem, file: &str, request: &Request, times: usize) -> Finding {
    let path = format!("crates/connectors/{vendor}/{file}");
    let sent = format!("\"path\": {}", Value::from(request.path.as_str()));
    let line = tree.file(&path).map_or(1, |it| it.line_where(|line| line.contains(&sent)));
    let more = if times > 1 { format!(" ({times} requests)") } else { String::new() };
    let remedy =
        format!("mend the call `{}`; where the description is wrong, waive it in {SETTINGS} with the reason", request.operation);
    Finding::new(path, line, format!("{}: {}{more}", problem.call, problem.text), remedy)
}

/// Of the operations that fit the address, the one with the most letters of its own is meant.
fn of_request(base_url: &str, always: &BTreeSet<String>, request: &Request, descriptions: &[Description]) -> Vec<Problem> {
    let address = if request.path.contains("://") { request.path.clone() } else { format!("{base_url}{}", request.path) };
    let Ok(uri) = address.parse::<Uri>() else {
        return vec![Problem { call: format!("{} {}", request.method, request.path), text: "the address cannot be read".into() }];
    };
    let fits = descriptions.iter().flat_map(|it| it.operations.iter().map(move |operation| (it, operation)));
    let fits: Vec<(&Description, &Operation, usize)> =
        fits.filter_map(|(it, operation)| Some((it, operation, operation.template.fit(uri.path())?))).collect();
    let same_method = fits.iter().filter(|(_, it, _)| it.method == request.method).max_by_key(|(_, _, fit)| *fit);
    match same_method {
        Some((description, operation, _)) => {
            let call = format!("{} {}", operation.method, operation.template);
            let texts = operation.problems(description, request, &uri, always);
            texts.into_iter().map(|text| Problem { call: call.clone(), text }).collect()
        }
        None => {
            let call = format!("{} {}", request.method, uri.path());
            let text = match fits.first() {
                None => "the description has no such path".to_owned(),
                Some(_) => {
                    let methods: BTreeSet<&str> = fits.iter().map(|(_, it, _)| it.method.as_str()).collect();
                    format!("the description has this path for {} only", methods.into_iter().collect::<Vec<_>>().join(", "))
                }
            };
            vec![Problem { call, text }]
        }
    }
}

/// Whether a call (`POST /v1/refunds/re_1`) is one of this form (`POST /v1/refunds/{id}`).
fn is_call(form: &str, call: &str) -> bool {
    let (Some((method, path)), Some((called, address))) = (form.split_once(' '), call.split_once(' ')) else { return false };
    method == called && (path == address || Template::of(path).fit(address).is_some())
}

#[cfg(test)]
#[path = "rest/tests.rs"]
mod tests;
