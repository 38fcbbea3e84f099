//! Webhooks: genuine ones mean what the examples say, forged ones are refused, senseless ones do no harm.

use super::{NOW, Problem, Subject, subject::Named, without_panic};
use crate::subset;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use spindel_connect::{Connection, Incoming, Proof, Unproven, Verified};
use spindel_model::Timestamp;
use std::sync::Arc;

/// The genuine examples, and a delivery key that is the same each time.
pub fn as_expected(subject: &Subject) -> Vec<Problem> {
    each(subject, |case| {
        let verified = case.check(case.signed.clone()).map_err(|why| format!("its own signature is refused: {why}"))?;
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
            let signed = case.sign_again(Bytes::copy_from_slice(body));
            let Ok(verified) = case.check(signed) else { return Ok(()) };
            let _ = case.connection.topic(&verified);
            let _ = case.connection.delivery_key(&verified);
            match case.connection.changes(&verified) {
                Some(Ok(changes)) => Err(format!("a body that is {what} is taken for {} change(s)", changes.len())),
                _ => Ok(()),
            }
        }));
    }
    for body in ["", "null", "[]", "{}", "0"] {
        problems.extend(each(subject, |case| {
            let signed = case.sign_again(Bytes::from_static(body.as_bytes()));
            if let Ok(verified) = case.check(signed) {
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

/// One `receive` example, signed.
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

    /// Whether the signature covers the body (a token does not).
    fn covers_body(&self) -> bool {
        matches!(self.proof, Proof::Hmac(_))
    }

    fn sign_again(&self, body: Bytes) -> Incoming {
        let mut incoming = Incoming { body, ..unsigned(self.named) };
        sign(&self.proof, &mut incoming, self.now);
        incoming
    }

    /// Names of the headers that carry the proof and are there.
    fn proof_headers(&self) -> Vec<HeaderName> {
        let names = self.proof.headers().into_iter().filter_map(|name| HeaderName::try_from(name).ok());
        names.filter(|name| self.signed.headers.contains_key(name)).collect()
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
    for named in subject.examples_of("receive") {
        let run = without_panic(|| check(&case(subject, named)?));
        if let Err(problem) = run.and_then(|it| it) {
            problems.push(Problem::new("receive", format!("{}: {problem}", named.file)));
        }
    }
    problems
}

fn case<'a>(subject: &Subject, named: &'a Named) -> Result<Case<'a>, String> {
    let connection = subject.connection();
    let proof = connection.proof().ok_or("the connection receives nothing")?;
    let now: Timestamp = NOW.parse().map_err(|error: jiff::Error| error.to_string())?;
    let mut signed = unsigned(named);
    sign(&proof, &mut signed, now);
    Ok(Case { named, connection, proof, signed, now })
}

fn unsigned(named: &Named) -> Incoming {
    let mut headers = HeaderMap::new();
    for (name, value) in &named.example.headers {
        let name = HeaderName::try_from(name).unwrap_or_else(|_| panic!("header `{name}` is no header name"));
        let value = HeaderValue::try_from(value).unwrap_or_else(|_| panic!("header `{name}` cannot hold its value"));
        headers.insert(name, value);
    }
    Incoming { method: http::Method::POST, uri: "/in/fixture".into(), headers, body: named.example.body_bytes() }
}

fn sign(proof: &Proof, incoming: &mut Incoming, now: Timestamp) {
    if let Err(problem) = proof.sign(incoming, now) {
        panic!("the request cannot be signed: {problem}; does fixtures/config.json have its secret?");
    }
}

fn wrong_secret_is_refused(subject: &Subject) -> impl Fn(&Case) -> Result<(), String> {
    let other = subject.connection_with(&subject.config_with_other_secrets());
    move |case| {
        let proof = other.proof().ok_or("the connection receives nothing")?;
        let mut forged = unsigned(case.named);
        sign(&proof, &mut forged, case.now);
        case.refuses("a request signed with another secret", forged)
    }
}

fn altered_signatures_are_refused(case: &Case) -> Result<(), String> {
    let names = case.proof_headers();
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
    if !case.covers_body() {
        return Ok(());
    }
    let body = &case.signed.body;
    for at in [0, body.len().saturating_sub(1)] {
        let mut altered = body.to_vec();
        *altered.get_mut(at).ok_or("the body of the example is empty")? ^= 1;
        case.refuses(&format!("a body with byte {at} changed"), Incoming { body: altered.into(), ..case.signed.clone() })?;
    }
    let longer = [&body[..], b" "].concat();
    case.refuses("a body with a blank added", Incoming { body: longer.into(), ..case.signed.clone() })?;
    case.refuses("an empty body with the signature of another", Incoming { body: Bytes::new(), ..case.signed.clone() })
}

/// A scheme that signs the time refuses requests that are a day off.
fn other_times_are_refused(case: &Case) -> Result<(), String> {
    let day = jiff::SignedDuration::from_hours(24);
    if !signs_the_time(case) {
        return Ok(());
    }
    for (what, now) in [("a day old", case.now + day), ("a day early", case.now - day)] {
        if case.proof.check(case.signed.clone(), now).is_ok() {
            return Err(format!("believed: a request that is {what}"));
        }
    }
    Ok(())
}

fn signs_the_time(case: &Case) -> bool {
    let mut later = unsigned(case.named);
    sign(&case.proof, &mut later, case.now + jiff::SignedDuration::from_secs(1));
    let signature = case.proof_headers();
    let differs =
        |(name, value): (&HeaderName, &HeaderValue)| !signature.contains(name) && case.signed.headers.get(name) != Some(value);
    later.headers.iter().any(differs)
}

fn header_names_have_no_case(case: &Case) -> Result<(), String> {
    let mut shouted = HeaderMap::new();
    for (name, value) in &case.signed.headers {
        let upper = name.as_str().to_uppercase();
        shouted.append(HeaderName::from_bytes(upper.as_bytes()).map_err(|error| error.to_string())?, value.clone());
    }
    let verified = case.check(Incoming { headers: shouted, ..case.signed.clone() });
    let verified = verified.map_err(|why| format!("refused with its header names in upper case: {why}"))?;
    match case.connection.topic(&verified) {
        Some(Ok(_)) => Ok(()),
        _ => Err("the topic is not found when header names are in upper case".to_owned()),
    }
}
