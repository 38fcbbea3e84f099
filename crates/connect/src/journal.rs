//! The record of an attempt's HTTP exchanges: redacted and cut short before anything is kept.

use spindel_model::Exchange;
use std::sync::{Arc, Mutex};

/// Longest part of a body that is kept, in bytes.
pub const KEPT_BODY: usize = 4096;
/// Most exchanges that are kept of one attempt.
const KEPT_EXCHANGES: usize = 32;

/// Collects what was said during one attempt.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Exchange>>>);

impl Journal {
    pub fn add(&self, exchange: Exchange) {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() < KEPT_EXCHANGES {
            kept.push(exchange);
        }
    }

    /// All that was collected; the journal is empty afterwards.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// A body as it may be kept: secrets masked, cut to [`KEPT_BODY`]; `None` when empty.
pub fn redacted(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(body) else { return Some(format!("({} bytes, not text)", body.len())) };
    if may_hold_secrets(text)
        && let Ok(mut json) = serde_json::from_str::<serde_json::Value>(text)
    {
        mask(&mut json);
        return Some(cut(json.to_string()));
    }
    Some(cut(text.to_owned()))
}

/// Whether a key in this may hold credentials, or an escape may hide one: most bodies need not be taken apart.
fn may_hold_secrets(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("\\u") || SECRET_WORDS.iter().any(|word| text.contains(word))
}

fn cut(mut text: String) -> String {
    if text.len() > KEPT_BODY {
        let end = (0..=KEPT_BODY).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Replaces the values of keys that hold credentials.
fn mask(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if is_secret(key) && !value.is_null() {
                    *value = "***".into();
                } else {
                    mask(value);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

const SECRET_WORDS: [&str; 8] = ["secret", "password", "token", "authorization", "api_key", "apikey", "access_key", "signature"];

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_at_any_depth() {
        let kept = redacted(br#"{"a":[{"access_token":"s3cret","n":1}],"client_secret":"x"}"#).unwrap();
        assert_eq!(kept, r#"{"a":[{"access_token":"***","n":1}],"client_secret":"***"}"#);
        let kept = redacted(br#"{"Access\u0054oken":"s3cret"}"#).unwrap();
        assert_eq!(kept, r#"{"AccessToken":"***"}"#);
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let kept = redacted("ø".repeat(KEPT_BODY).as_bytes()).unwrap();
        assert!(kept.len() <= KEPT_BODY + "…".len());
        let odd = redacted(format!("x{}", "ø".repeat(KEPT_BODY)).as_bytes()).unwrap();
        assert!(odd.starts_with("xø") && odd.len() <= KEPT_BODY + "…".len(), "{odd}");
    }

    #[test]
    fn bytes_that_are_no_text_are_counted_only() {
        assert_eq!(redacted(&[0xff, 0xfe]).unwrap(), "(2 bytes, not text)");
    }
}
