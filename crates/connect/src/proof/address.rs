//! Secrets in the query of the address that is called, and what else the query says.

use super::{Unproven, is_one_of};
use crate::{Incoming, Secret};
use std::borrow::Cow;
use url::form_urlencoded;

/// Longer than any query a vendor makes; it is kept with the event.
const LONGEST_QUERY: usize = 4 * 1024;

/// A fixed secret in one parameter of the address.
pub struct InUrl {
    parameter: String,
    secrets: Vec<Secret>,
    only_nudges: bool,
}

impl InUrl {
    pub(super) fn new(parameter: String, secrets: &[Secret], only_nudges: bool) -> Self {
        Self { parameter, secrets: secrets.to_vec(), only_nudges }
    }

    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// Whether the request is a hint and no more.
    pub fn only_nudges(&self) -> bool {
        self.only_nudges
    }

    pub(super) fn check(&self, incoming: &Incoming) -> Result<(), Unproven> {
        if incoming.body.is_empty() && !self.only_nudges {
            return Err(Unproven::EmptyBody);
        }
        let query = query(&incoming.uri)?;
        let mut sent = pieces(query).filter(|piece| name(piece) == self.parameter);
        let first = sent.next().ok_or(Unproven::TokenMissing)?;
        if sent.next().is_some() {
            return Err(Unproven::TokenDoubled);
        }
        let value = form_urlencoded::parse(first.as_bytes()).next().map_or(Cow::Borrowed(""), |(_, value)| value);
        if is_one_of(&self.secrets, value.as_bytes()) { Ok(()) } else { Err(Unproven::NoMatch) }
    }

    pub(super) fn sign(&self, request: &mut Incoming) -> Result<(), Unproven> {
        let secret = self.secrets.first().ok_or(Unproven::NoMatch)?;
        let pair = form_urlencoded::Serializer::new(String::new()).append_pair(&self.parameter, secret.expose()).finish();
        let path = request.uri.split_once('?').map_or(request.uri.as_str(), |(path, _)| path);
        let others = without(&request.uri, &[&self.parameter])?;
        let between = if others.is_empty() { "" } else { "&" };
        request.uri = format!("{path}?{others}{between}{pair}");
        Ok(())
    }
}

/// The query of an address without these parameters, as it was written.
pub(super) fn without(uri: &str, parameters: &[&str]) -> Result<String, Unproven> {
    let kept = pieces(query(uri)?).filter(|piece| !parameters.contains(&name(piece).as_ref()));
    Ok(kept.collect::<Vec<_>>().join("&"))
}

fn query(uri: &str) -> Result<&str, Unproven> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    if query.len() > LONGEST_QUERY { Err(Unproven::AddressTooLong) } else { Ok(query) }
}

fn pieces(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|piece| !piece.is_empty())
}

fn name(piece: &str) -> Cow<'_, str> {
    form_urlencoded::parse(piece.as_bytes()).next().map_or(Cow::Borrowed(""), |(name, _)| name)
}
