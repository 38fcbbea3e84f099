//! What Spindel writes into the second description of a line, so that it finds its own lines again: which line of which order
//! of the source it is, and a digest of what was booked. Orders, shipments and invoices all carry it on.

use spindel_model::Timestamp;
use std::fmt;
use uuid::Uuid;

/// `sp:L4110 1f0c9a3e 5b7d2c11 90aa41fe`; never longer than the 50 characters of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Kind and id of the line: `L4110`.
    pub key: String,
    /// Digest of the source and its order.
    pub order: String,
    /// Digest of the line as the source has it.
    pub row: String,
    /// Digest of addresses and the like.
    pub head: String,
}

impl Mark {
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.trim().strip_prefix("sp:")?.split(' ').map(str::to_owned);
        let mark = Self { key: words.next()?, order: words.next()?, row: words.next()?, head: words.next()? };
        (words.next().is_none() && !mark.key.is_empty()).then_some(mark)
    }

    /// The source's own id of the order line, where it is short enough to stand here.
    pub fn line_id(&self) -> Option<&str> {
        self.key.strip_prefix('L').filter(|id| !id.starts_with('~'))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sp:{} {} {} {}", self.key, self.order, self.row, self.head)
    }
}

/// Key of the line that makes the totals agree.
pub const ROUNDING: &str = "R";

/// `L` and the id of a line. An id that is long, or holds what a mark cannot, is stood for by its digest.
pub fn key(kind: char, id: &str) -> String {
    const LONGEST: usize = 18;
    let plain = !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|it| it.is_ascii_graphic()) && !id.starts_with('~');
    if plain { format!("{kind}{id}") } else { format!("{kind}~{}", &whole_digest(id.as_bytes())[..16]) }
}

/// Digest of an order of a source.
pub fn order(from: &str, id: &str) -> String {
    digest(format!("{from}/{id}").as_bytes())
}

/// Eight hexadecimal digits that stand for the content.
pub fn digest(content: &[u8]) -> String {
    whole_digest(content)[..8].to_owned()
}

/// Sixteen digits in capitals, for numbers of documents: fields for codes know no small letters.
pub fn code(kind: &str, from: &str, id: &str) -> String {
    format!("{kind}{}", whole_digest(format!("{from}/{id}").as_bytes())[..16].to_uppercase())
}

fn whole_digest(content: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, content).simple().to_string()
}

/// The day, in UTC.
pub fn day(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_fits_the_field_and_is_read_back_whatever_the_id() {
        for id in
            ["4110", "13574089285953", "123456789012345678", "gid://shop/LineItem/13574089285953", "a b", "", "~x", "blåbær"]
        {
            let mark = Mark { key: key('L', id), order: order("my-shop", "7"), row: digest(b"row"), head: digest(b"head") };
            let text = mark.to_string();
            assert!(text.chars().count() <= 50, "{text}");
            assert_eq!(Mark::read(&text), Some(mark));
        }
    }

    #[test]
    fn the_id_of_a_line_is_given_back_only_when_it_stands_there_itself() {
        let mark = |id| Mark { key: key('L', id), order: String::new(), row: String::new(), head: String::new() };
        assert_eq!(mark("4110").line_id(), Some("4110"));
        assert_eq!(mark("gid://shop/LineItem/13574089285953").line_id(), None);
        assert_eq!(Mark { key: key('S', "1"), ..mark("1") }.line_id(), None);
    }

    #[test]
    fn what_people_write_is_no_mark() {
        for text in ["", "sp:", "sp:L1", "sp:L1 a b", "sp:L1 a b c d", "Blå, str. M", "SP:L1 a b c"] {
            assert_eq!(Mark::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_number_in_two_shops_is_two_orders() {
        assert_ne!(order("no", "1001"), order("se", "1001"));
        assert!(code("SP", "no", "1").len() <= 20);
    }
}
