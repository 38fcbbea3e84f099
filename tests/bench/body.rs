//! Orders of an exact size, each with an id of its own, and the signed requests that carry them.

use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::Sha256;
use spindel_model::{Clock, EntityKind, Order, OrderLine, Record, specimen};
use std::io::Write as _;

/// Signs requests in every run; nothing else is behind it.
pub const SECRET: &str = "bench-secret-of-no-worth";
/// Where events are sent, at Spindel and at the bare programs.
pub const INTAKE: &str = "/in/shop";
pub const SIGNATURE: &str = "x-signature";
pub const TIMESTAMP: &str = "x-timestamp";
pub const DELIVERY: &str = "x-delivery";

/// Orders that differ in more than their id, so that one is not every other one over again.
const TEMPLATES: usize = 64;
/// Stands where the id goes; as wide as every id.
const ID: &str = "0000000000000000";
/// A body below this has no room for all that the specimen says.
const SMALL: usize = 4096;
const WORDS: [&str; 16] = [
    "wool", "linen", "sweater", "scarf", "red", "navy", "moss", "large", "small", "gift", "please", "ring", "door", "left",
    "after", "five",
];

pub type Key = Hmac<Sha256>;

pub fn key() -> Key {
    // An HMAC takes keys of any length.
    Key::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| unreachable!())
}

/// Makes bodies of one size, and requests.
#[derive(Clone)]
pub struct Orders {
    templates: Vec<Vec<u8>>,
    key: Key,
    clock: Clock,
}

impl Orders {
    pub fn new(size: usize) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(size as u64);
        let templates = (0..TEMPLATES).map(|_| template(size, &mut random)).collect::<Result<_, _>>()?;
        Ok(Self { templates, key: key(), clock: Clock::system() })
    }

    /// The same id gives the same body.
    pub fn body(&self, id: u64) -> Vec<u8> {
        let mut body = self.templates[id as usize % TEMPLATES].clone();
        let id = format!("{id:016}");
        // The id, and the number that people would call it by.
        for at in places(&body) {
            body[at..at + ID.len()].copy_from_slice(id.as_bytes());
        }
        body
    }

    /// The whole request with a signature of this second, in place of what is in `request`.
    pub fn write(&self, id: u64, request: &mut Vec<u8>) {
        let body = self.body(id);
        let time = self.clock.now().as_second().to_string();
        let signed = self.key.clone().chain_update(&time).chain_update(".").chain_update(&body);
        let signature = STANDARD.encode(signed.finalize().into_bytes());
        let length = body.len();
        request.clear();
        let _ = write!(
            request,
            "POST {INTAKE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             {DELIVERY}: {id}\r\n{TIMESTAMP}: {time}\r\n{SIGNATURE}: {signature}\r\n\r\n"
        );
        request.extend_from_slice(&body);
    }
}

/// The id in a body that was made here, or in what Spindel made of it: both have it near their beginning.
pub fn id_of(body: &[u8]) -> Option<u64> {
    const BEFORE: &[u8] = b"\"id\":\"";
    let mut rest = body;
    loop {
        let at = rest.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
        rest = &rest[at..];
        let digits = rest.get(..ID.len()).filter(|id| id.iter().all(u8::is_ascii_digit));
        if let Some(digits) = digits.filter(|_| rest.get(ID.len()) == Some(&b'"')) {
            return std::str::from_utf8(digits).ok()?.parse().ok();
        }
    }
}

fn places(body: &[u8]) -> Vec<usize> {
    body.windows(ID.len()).enumerate().filter(|(_, window)| *window == ID.as_bytes()).map(|(at, _)| at).collect()
}

/// An order of exactly `size` bytes: as many lines as fit, the rest a note. A small one says less about everything.
fn template(size: usize, random: &mut StdRng) -> anyhow::Result<Vec<u8>> {
    let Record::Order(mut order) = specimen(EntityKind::Order) else { anyhow::bail!("the model has no specimen of an order") };
    let mut line = order.lines[0].clone();
    open(&mut order);
    if size < SMALL {
        strip(&mut order);
        line.discounts.clear();
        line.taxes.clear();
    }
    let mut longer = order.clone();
    while serde_json::to_vec(&longer)?.len() <= size {
        order.lines.clone_from(&longer.lines);
        longer.lines.push(sold(&line, random));
    }
    ensure!(!order.lines.is_empty(), "an order with a line is larger than {size} bytes");
    let missing = size - serde_json::to_vec(&order)?.len();
    let mut note = String::new();
    while note.len() < missing {
        note.push_str(WORDS[random.random_range(0..WORDS.len())]);
        note.push(' ');
    }
    note.truncate(missing);
    order.note = Some(note);
    let body = serde_json::to_vec(&order)?;
    ensure!(body.len() == size && places(&body).len() == 2, "an order of {} bytes instead of {size}", body.len());
    Ok(body)
}

/// Paid, and nothing has happened to it since.
fn open(order: &mut Order) {
    (order.id, order.number) = (ID.into(), format!("#{ID}"));
    (order.cancelled_at, order.cancel_reason, order.closed_at) = (None, None, None);
    order.lines.clear();
    order.refunds.clear();
    order.note = Some(String::new());
}

fn strip(order: &mut Order) {
    order.discounts.clear();
    order.charges.clear();
    order.shipping_lines.clear();
    order.transactions.clear();
    order.customer = None;
    order.billing_address = None;
    order.attributes = Default::default();
}

fn sold(line: &OrderLine, random: &mut StdRng) -> OrderLine {
    let mut line = line.clone();
    let number: u32 = random.random_range(10_000_000..99_999_999);
    line.id = number.to_string();
    line.sku = Some(format!("SKU-{number:x}"));
    line.title = (0..3).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect::<Vec<_>>().join(" ");
    line
}
