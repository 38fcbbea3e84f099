//! Secrets that a request simply carries.

use super::{Unproven, is_one_of, single};
use crate::Secret;
use http::HeaderMap;

pub(super) fn check_header(headers: &HeaderMap, header: &str, tokens: &[Secret]) -> Result<(), Unproven> {
    let sent = single(headers, header)?.ok_or(Unproven::SignatureMissing)?;
    if is_one_of(tokens, sent.as_bytes()) { Ok(()) } else { Err(Unproven::NoMatch) }
}
