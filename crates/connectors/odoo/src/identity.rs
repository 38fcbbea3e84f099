//! The external ids under which Spindel's records stand in Odoo's `ir.model.data`, where each can exist only once.

use crate::{
    Odoo,
    wire::{self, External},
};
use spindel_connect::{Api, CallError};
use spindel_model::Address;
use std::collections::HashMap;
use uuid::Uuid;

/// Makes the names of one source's records: letters, digits and `_` only, different for different ids.
///
/// An id is escaped so that `_order_`, `_line_` and the like cannot occur in it; [`order_of`] and [`line_of`] find it again.
pub struct Names {
    namespace: String,
    from: String,
}

impl Odoo {
    pub fn names(&self, from: &str) -> Names {
        Names { namespace: self.config.namespace.clone(), from: escaped(from, "_") }
    }
}

impl Names {
    pub fn order(&self, id: &str) -> String {
        format!("{}_order_{}", self.from, escaped(id, ""))
    }

    pub fn customer(&self, id: &str) -> String {
        format!("{}_customer_{}", self.from, escaped(id, ""))
    }

    pub fn refund(&self, id: &str) -> String {
        format!("{}_refund_{}", self.from, escaped(id, ""))
    }

    pub fn payment(&self, id: &str) -> String {
        format!("{}_payment_{}", self.from, escaped(id, ""))
    }

    /// `namespace.name`, as `load` wants it.
    pub fn full(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    /// Which of these exist, with the ids of their records.
    pub async fn find(&self, api: &Api, operation: &'static str, names: &[&str]) -> Result<HashMap<String, i64>, CallError> {
        let domain = serde_json::json!([["module", "=", self.namespace], ["name", "in", names]]);
        let found: Vec<External> =
            wire::search(api, operation, "ir.model.data", domain, &["name", "res_id"], "id asc", names.len()).await?;
        Ok(found.into_iter().map(|it| (it.name, it.res_id)).collect())
    }
}

/// Name of a part of a record: `…_line_7`.
pub fn part(of: &str, kind: &str, id: &str) -> String {
    format!("{of}_{kind}_{}", escaped(id, ""))
}

/// Name of an address of a customer or a guest: the same text is the same record, so that old orders keep theirs.
pub fn address(of: &str, role: &str, address: &Address) -> String {
    let text = serde_json::to_vec(address).unwrap_or_default();
    format!("{of}_{role}_{}", digest(&text))
}

/// Sixteen hexadecimal digits that stand for the content.
pub fn digest(content: &[u8]) -> String {
    let whole = Uuid::new_v5(&Uuid::NAMESPACE_OID, content).simple().to_string();
    whole[..16].to_owned()
}

/// The source's id of the order that stands under this name.
pub fn order_of(name: &str) -> Option<String> {
    let (_, id) = name.rsplit_once("_order_")?;
    unescaped(id)
}

/// The source's id of the order line that stands under this name.
pub fn line_of(name: &str) -> Option<String> {
    let (_, id) = name.rsplit_once("_line_")?;
    unescaped(id)
}

/// Every other byte becomes `_` and two hexadecimal digits.
fn escaped(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || also.contains(letter) {
            out.push(letter);
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match first {
            b'_' => (u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok()?, &tail[2..]),
            other => (*other, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { namespace: "spindel".into(), from: escaped("my-shop", "_") }
    }

    #[test]
    fn plain_ids_stay_readable() {
        assert_eq!(names().full(&names().order("5523987001345")), "spindel.my_2dshop_order_5523987001345");
    }

    #[test]
    fn ids_are_found_again_whatever_they_hold() {
        for id in ["42", "gid://shop/Order/1", "a_order_b", "a_line_b", "blåbær", "_", "__2d"] {
            let name = names().order(id);
            assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'), "{name}");
            assert_eq!(order_of(&name).as_deref(), Some(id));
            assert_eq!(line_of(&part(&name, "line", id)).as_deref(), Some(id));
        }
    }

    #[test]
    fn different_ids_have_different_names() {
        assert_ne!(names().order("a-b"), names().order("a_b"));
        assert_ne!(names().order("a"), names().order("A"));
    }
}
