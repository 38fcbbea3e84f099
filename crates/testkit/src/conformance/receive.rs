//! Webhooks: genuine ones mean what the examples say, forged ones are refused, senseless ones do no harm.

use super::{
    NOW, Problem, Subject,
    subject::{Named, altered},
    without_panic,
};
use crate::subset;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use spindel_connect::{Connection, Incoming, Proof, Secret, Unproven, Verified};
use spindel_model::Timestamp;
use std::sync::Arc;
use url::form_urlencoded;

/// Abilities whose examples are requests of the vendor's, and not calls to it.
pub(super) const ABILITIES: [&str; 2] = ["receive", "checkout"];

/// With which the suite signs where only vendors can: see [`Proof::signing_key`].
const SIGNING_KEY: &str = include_str!("signing_key.pem");

/// The genuine examples, and a delivery key that is the same each time.
pub fn as_expected(subject: &Subject) -> Vec<Problem> {
    each(subject, |case| {
        let verified = case.check(case.signed.clone()).map_err(|why| format!("its own signature is refused: {why}"))?;
        if case.is_checkout() {
            return rates_as_expected(case, &verified);
        }
        let topic = case.connection.topic(&verified).ok_or("the connection receives nothing")?;
        topic.map_err(|error| format!("the topic cannot be read: {error}"))?;
        let changes = case.connection.changes(&verified).ok_or("the connection receives nothing")?;
        let changes = changes.map_err(|error| format!("the changes cannot be read: {error}"))?;
        let changes = serde_json::to_value(&changes).map_err(|error| error.to_string())?;
        subset(&case.named.example.expect, &changes).map_err(|difference| format!("changes differ\n{difference}"))?;
        let again = case.check(case.signed.clone()).map_err(|why| why.to_string())?;
        if case.connection.delivery_key(&verified) == case.connection.delivery_key(&again) {
            Ok(())
        } else {
            Err("the same request has another delivery_key the second time".to_owned())
        }
    })
}

fn rates_as_expected(case: &Case, asked: &Verified) -> Result<(), String> {
    let request = case.connection.rate_request(asked).ok_or("the connection has no checkout")?;
    let request = request.map_err(|error| format!("the question cannot be read: {error}"))?;
    let mut outcome = json!({ "request": request });
    if case.named.example.expect.get("answer").is_some() {
        let answer = case.connection.rate_answer(&case.named.example.rates).ok_or("the connection has no checkout")?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        outcome["answer"] = json!({ "status": answer.status.as_u16(), "body": body });
    }
    subset(&case.named.example.expect, &outcome).map_err(|difference| format!("the question or its answer differs\n{difference}"))
}

/// What a stranger, or a mistake on the way, may make of a genuine request.
pub fn forged(subject: &Subject) -> Vec<Problem> {
    let mut problems = each(subject, wrong_secret_is_refused(subject));
    problems.extend(each(subject, altered_signatures_are_refused));
    problems.extend(each(subject, altered_bodies_are_refused));
    problems.extend(each(subject, other_times_are_refused));
    problems.extend(each(subject, header_names_have_no_case));
    problems
}

/// Genuine requests whose body makes no sense.
pub fn malformed(subject: &Subject) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (what, body) in [
        ("no JSON", &b"this is no JSON"[..]),
        ("JSON that ends early", br#"{"id": 1, "#),
        ("no UTF-8", &[0xff, 0xfe, 0x00, 0x80]),
    ] {
        problems.extend(each(subject, |case| {
            let Some(verified) = case.believed_with(Bytes::from_static(body)) else { return Ok(()) };
            if case.is_checkout() {
                let read = case.connection.rate_request(&verified).is_some_and(|it| it.is_ok());
                return if read { Err(format!("a body that is {what} is taken for a question")) } else { Ok(()) };
            }
            let _ = case.connection.topic(&verified);
            let _ = case.connection.delivery_key(&verified);
            match case.connection.changes(&verified) {
                // A hint may be all in the address.
                Some(Ok(_)) if verified.is_nudge() => Ok(()),
                Some(Ok(changes)) => Err(format!("a body that is {what} is taken for {} change(s)", changes.len())),
                _ => Ok(()),
            }
        }));
    }
    for body in ["", "null", "[]", "{}", "0"] {
        problems.extend(each(subject, |case| {
            if let Some(verified) = case.believed_with(Bytes::from_static(body.as_bytes())) {
                let _ = case.connection.rate_request(&verified);
                let _ = case.connection.topic(&verified);
                let _ = case.connection.delivery_key(&verified);
                let _ = case.connection.changes(&verified);
            }
            Ok(())
        }));
    }
    for problem in &mut problems {
        problem.case = "receive malformed".to_owned();
    }
    problems
}

/// One example of a request, signed.
struct Case<'a> {
    named: &'a Named,
    connection: Arc<dyn Connection>,
    proof: Proof,
    signed: Incoming,
    now: Timestamp,
}

impl Case<'_> {
    fn check(&self, incoming: Incoming) -> Result<Verified, Unproven> {
        self.proof.check(incoming, self.now)
    }

    fn is_checkout(&self) -> bool {
        self.named.example.ability == "checkout"
    }

    /// Which of the connector's proofs this example satisfies.
    fn holding(&self) -> Result<&Proof, String> {
        self.proof.holding(&self.signed, self.now).ok_or_else(|| "its own signature is refused".to_owned())
    }

    /// The example with another body, proved in the same way, if that proof can be given for such a body at all.
    fn believed_with(&self, body: Bytes) -> Option<Verified> {
        let mut incoming = Incoming { body, ..unsigned(self.named) };
        self.holding().ok()?.sign(&mut incoming, self.now).ok()?;
        self.check(incoming).ok()
    }

    fn refuses(&self, what: &str, incoming: Incoming) -> Result<(), String> {
        match self.check(incoming) {
            Ok(_) => Err(format!("believed: {what}")),
            Err(_) => Ok(()),
        }
    }
}

fn each(subject: &Subject, check: impl Fn(&Case) -> Result<(), String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for named in ABILITIES.iter().flat_map(|ability| subject.examples_of(ability)) {
        let run = without_panic(|| check(&case(subject, named)?));
        if let Err(problem) = run.and_then(|it| it) {
            problems.push(Problem::new(&named.example.ability, format!("{}: {problem}", named.file)));
        }
    }
    problems
}

fn case<'a>(subject: &Subject, named: &'a Named) -> Result<Case<'a>, String> {
    let connection = subject.connection();
    let proof = proof(&*connection, named, &named.example.kept)?.signing_key(&Secret::new(SIGNING_KEY));
    let now: Timestamp = NOW.parse().map_err(|error: jiff::Error| error.to_string())?;
    let mut signed = unsigned(named);
    if let Err(problem) = proof.sign(&mut signed, now) {
        return Err(format!("the request cannot be signed: {problem}; does fixtures/config.json have its secret?"));
    }
    Ok(Case { named, connection, proof, signed, now })
}

/// As the connector gives it.
fn proof(connection: &dyn Connection, named: &Named, kept: &[String]) -> Result<Proof, String> {
    let kept: Vec<Secret> = kept.iter().map(Secret::new).collect();
    match named.example.ability.as_str() {
        "checkout" => connection.rate_proof().ok_or_else(|| "the connection has no checkout".to_owned()),
        _ => connection.proof(&kept).ok_or_else(|| "the connection receives nothing".to_owned()),
    }
}

fn unsigned(named: &Named) -> Incoming {
    let mut headers = HeaderMap::new();
    for (name, value) in &named.example.headers {
        let name = HeaderName::try_from(name).unwrap_or_else(|_| panic!("header `{name}` is no header name"));
        let value = HeaderValue::try_from(value).unwrap_or_else(|_| panic!("header `{name}` cannot hold its value"));
        headers.insert(name, value);
    }
    let query = named.example.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    Incoming {
        method: http::Method::POST,
        uri: format!("/in/fixture{query}"),
        origin: "https://hooks.example.no".into(),
        headers,
        body: named.example.body_bytes(),
    }
}

fn wrong_secret_is_refused(subject: &Subject) -> impl Fn(&Case) -> Result<(), String> {
    const WHAT: &str = "a request signed with another secret";
    let own = subject.connection();
    let other = subject.connection_with(&subject.config_with_other_secrets());
    move |case| {
        if matches!(case.holding()?, Proof::Rsa(_)) {
            // The suite's own key is no key of the vendor's.
            return match proof(&*own, case.named, &case.named.example.kept)?.check(case.signed.clone(), case.now) {
                Ok(_) => Err(format!("believed: {WHAT}")),
                Err(_) => Ok(()),
            };
        }
        let kept: Vec<String> = case.named.example.kept.iter().map(|text| altered(text)).collect();
        let other = proof(&*other, case.named, &kept)?;
        if other.check(case.signed.clone(), case.now).is_ok() {
            return Err(format!("believed: {WHAT}"));
        }
        let (mut forged, before) = (unsigned(case.named), unsigned(case.named));
        match other.sign(&mut forged, case.now) {
            // A body that brings its own token stays as it is.
            Ok(()) if forged.body == before.body && matches!(case.holding()?, Proof::Jws(_)) => Ok(()),
            Ok(()) => case.refuses(WHAT, forged),
            Err(_) => Ok(()),
        }
    }
}

fn altered_signatures_are_refused(case: &Case) -> Result<(), String> {
    match case.holding()? {
        Proof::InUrl(proof) => altered_addresses_are_refused(case, proof.parameter()),
        Proof::InBody(_) => {
            case.refuses("a body without the secret", Incoming { body: Bytes::from_static(b"{}"), ..case.signed.clone() })
        }
        Proof::Jws(_) => {
            case.refuses("a body without a token", Incoming { body: Bytes::from_static(b"{}"), ..case.signed.clone() })
        }
        proof => altered_headers_are_refused(case, proof),
    }
}

fn altered_addresses_are_refused(case: &Case, parameter: &str) -> Result<(), String> {
    let bare = unsigned(case.named).uri;
    let signed = &case.signed.uri;
    let mut ends = signed.char_indices().rev();
    let shorter = ends.next().map_or("", |(at, _)| &signed[..at]);
    let and = if bare.contains('?') { '&' } else { '?' };
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair(parameter, "x").finish();
    for (what, uri) in [
        ("a secret in the address that lacks its last letter", shorter.to_owned()),
        ("an address whose secret stands twice", format!("{signed}&{pair}")),
        ("another secret in the address", format!("{bare}{and}{pair}")),
        ("an address without its secret", bare),
    ] {
        case.refuses(what, Incoming { uri, ..case.signed.clone() })?;
    }
    Ok(())
}

fn altered_headers_are_refused(case: &Case, proof: &Proof) -> Result<(), String> {
    let names = proof.headers().into_iter().filter_map(|name| HeaderName::try_from(name).ok());
    let names: Vec<HeaderName> = names.filter(|name| case.signed.headers.contains_key(name)).collect();
    if names.is_empty() {
        return Err("signing adds none of the headers that the proof names".to_owned());
    }
    let mut bare = case.signed.clone();
    for name in names {
        bare.headers.remove(&name);
        let value = case.signed.headers[&name].clone();
        let bytes = value.as_bytes();
        let with = |bytes: &[u8]| {
            let mut altered = case.signed.clone();
            altered.headers.insert(name.clone(), HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("")));
            altered
        };
        case.refuses("a signature that lacks its last byte", with(&bytes[..bytes.len() - 1]))?;
        case.refuses("half a signature", with(&bytes[..bytes.len() / 2]))?;
        case.refuses("an empty signature", with(b""))?;
        case.refuses("a signature of 64 KiB", with(&[b'a'; 64 * 1024]))?;
        case.refuses("a signature that is no text", with(&[0xc3, 0x28, 0xff]))?;
        let mut doubled = case.signed.clone();
        doubled.headers.append(name.clone(), value);
        case.refuses("a signature header that stands twice", doubled)?;
    }
    case.refuses("a request without a signature", bare)
}

fn altered_bodies_are_refused(case: &Case) -> Result<(), String> {
    let proof = case.holding()?;
    if !proof.covers_body() {
        return Ok(());
    }
    let body = &case.signed.body;
    for at in [0, body.len() / 2, body.len().saturating_sub(1)] {
        let mut altered = body.to_vec();
        *altered.get_mut(at).ok_or("the body of the example is empty")? ^= 1;
        case.refuses(&format!("a body with byte {at} changed"), Incoming { body: altered.into(), ..case.signed.clone() })?;
    }
    // Around a token there may be blanks: they are no part of what is signed, nor of what is believed.
    if !matches!(proof, Proof::Jws(_)) {
        let longer = [&body[..], b" "].concat();
        case.refuses("a body with a blank added", Incoming { body: longer.into(), ..case.signed.clone() })?;
    }
    case.refuses("an empty body with the signature of another", Incoming { body: Bytes::new(), ..case.signed.clone() })
}

/// A scheme that signs the time refuses requests that are a day off.
fn other_times_are_refused(case: &Case) -> Result<(), String> {
    let day = jiff::SignedDuration::from_hours(24);
    if !case.holding()?.is_timed() {
        return Ok(());
    }
    for (what, now) in [("a day old", case.now + day), ("a day early", case.now - day)] {
        if case.proof.check(case.signed.clone(), now).is_ok() {
            return Err(format!("believed: a request that is {what}"));
        }
    }
    Ok(())
}

fn header_names_have_no_case(case: &Case) -> Result<(), String> {
    let mut shouted = HeaderMap::new();
    for (name, value) in &case.signed.headers {
        let upper = name.as_str().to_uppercase();
        shouted.append(HeaderName::from_bytes(upper.as_bytes()).map_err(|error| error.to_string())?, value.clone());
    }
    let verified = case.check(Incoming { headers: shouted, ..case.signed.clone() });
    let verified = verified.map_err(|why| format!("refused with its header names in upper case: {why}"))?;
    if case.is_checkout() {
        return match case.connection.rate_request(&verified) {
            Some(Ok(_)) => Ok(()),
            _ => Err("the question cannot be read when header names are in upper case".to_owned()),
        };
    }
    match case.connection.topic(&verified) {
        Some(Ok(_)) => Ok(()),
        _ => Err("the topic is not found when header names are in upper case".to_owned()),
    }
}
