//! Signed requests with orders of an exact size, each with an id of its own.

use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::Sha256;
use spindel_model::{EntityKind, Order, OrderLine, Record, specimen};
use std::{io::Write as _, net::SocketAddr};

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

/// Makes requests of one size for one connection.
#[derive(Clone)]
pub struct Orders {
    templates: Vec<Vec<u8>>,
    key: Hmac<Sha256>,
    address: SocketAddr,
}

impl Orders {
    pub fn new(size: usize, address: SocketAddr, secret: &str) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(size as u64);
        let templates = (0..TEMPLATES).map(|_| template(size, &mut random)).collect::<Result<_, _>>()?;
        Ok(Self { templates, key: Hmac::new_from_slice(secret.as_bytes())?, address })
    }

    /// The whole request, in place of what is in `request`.
    pub fn write(&self, id: u64, request: &mut Vec<u8>) {
        let mut body = self.templates[id as usize % TEMPLATES].clone();
        let id = format!("{id:016}");
        // The id, and the number that people would call it by.
        for at in places(&body) {
            body[at..at + ID.len()].copy_from_slice(id.as_bytes());
        }
        let signature = STANDARD.encode(self.key.clone().chain_update(&body).finalize().into_bytes());
        let (host, length) = (self.address, body.len());
        request.clear();
        let _ = write!(
            request,
            "POST /in/shop HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             x-delivery: {id}\r\nx-signature: {signature}\r\n\r\n"
        );
        request.extend_from_slice(&body);
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
