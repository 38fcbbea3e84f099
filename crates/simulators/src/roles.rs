//! What simulated vendors are in a shop's day: a shop, an ERP, a payment provider, a carrier. Each role is one small trait,
//! so that any of them can be put together, told what to do, and asked afterwards how things stand.

use crate::fault::Faults;
use rand::rngs::StdRng;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use std::{future::Future, io, path::Path, pin::Pin};

/// What every vendor has.
pub trait Vendor: Send + Sync {
    /// The id of its connector.
    fn connector(&self) -> &'static str;

    /// How a connection to it is written down, with its secrets in files of this folder.
    fn join(&self, folder: &Path) -> io::Result<Joint>;

    fn faults(&self) -> Faults;

    /// Where its webhooks go; a vendor that knows one address takes the first.
    fn tell(&self, addresses: &[String]);
}

/// The parts of a config that join a vendor.
#[derive(Default)]
pub struct Joint {
    /// Keys of its connection, but for `connector`.
    pub settings: String,
    /// Tables of its connection, named by what comes after the connection's name: `sender`, and keys.
    pub parts: Vec<(&'static str, String)>,
    /// Tables that belong to it, whole.
    pub tables: String,
}

/// Writes a secret into a file and answers how a config names it.
pub fn secret(folder: &Path, name: &str, value: &str) -> io::Result<String> {
    let file = folder.join(name);
    std::fs::write(&file, value)?;
    Ok(format!("{{ file = \"{}\" }}", file.display()))
}

pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who takes the buyers' money.
#[derive(Clone, Copy)]
pub enum Till<'a> {
    /// The shop, so that it pays back by itself, too.
    Shop,
    /// A provider, which only holds it until the goods are sent.
    Provider(&'a dyn Provider),
}

impl Till<'_> {
    pub fn is_provider(&self) -> bool {
        matches!(self, Self::Provider(_))
    }
}

pub trait Shop: Vendor {
    fn manners(&self) -> Manners;

    fn goods(&self) -> Vec<Goods>;

    /// Somebody buys something.
    fn place(&self, rng: &mut StdRng, till: Till<'_>) -> Result<Placed, String>;

    /// Adds something to an order or takes something off; false where the shop cannot.
    fn edit(&self, order: &str) -> bool;

    /// Takes something off an order, and leaves something.
    fn trim(&self, order: &str) -> bool;

    fn cancel(&self, order: &str) -> bool;

    /// Some of the goods come back, and their worth is given back: by the till.
    fn take_back(&self, rng: &mut StdRng, order: &str, till: Till<'_>) -> bool;

    /// Somebody packs it and marks it as sent.
    fn fulfil(&self, order: &str) -> bool;

    fn order(&self, order: &str) -> Option<Sold>;

    /// Oldest first.
    fn orders(&self) -> Vec<Sold>;

    /// From now on webhooks are doubled and come out of order, as far as this vendor's do.
    fn trouble(&self);

    /// Waits until every webhook was acknowledged or given up.
    fn flush(&self) -> Later<'_, Sent>;

    /// Sends so many webhooks that must be turned away.
    fn forge(&self, n: usize) -> Later<'_, Forged>;
}

/// How a shop tells things, which decides how flows that listen to it are written.
#[derive(Clone, Copy, Default)]
pub struct Manners {
    /// Refunds come only when asked for.
    pub refunds_are_polled: bool,
    /// Its webhooks do not name the payment: the order is to be read back where that counts.
    pub payment_is_read_back: bool,
    /// It has one word for every change of an order, so that what it was is guessed: flows listen to all of them, and look at
    /// how the order stands.
    pub one_word_for_all: bool,
    /// Tells goods that came back from goods that were never sent: a condition on the refund.
    pub came_back: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Goods {
    pub sku: String,
    pub title: String,
    pub price: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: String,
    /// As people know it: `#1042`.
    pub number: String,
}

/// What a shop says of an order. Amounts are in the shop's currency.
#[derive(Clone, Debug)]
pub struct Sold {
    pub id: String,
    pub number: String,
    pub cancelled: bool,
    /// All that is not taken off, before anything was given back.
    pub worth: Decimal,
    pub given_back: Decimal,
    /// What the order still costs the buyer.
    pub owed: Decimal,
    /// ISO 4217.
    pub currency: String,
    pub paid: bool,
    /// What the provider calls the payment, where one holds it.
    pub payment: Option<String>,
    pub sent: bool,
    /// The buyer was told that it has arrived.
    pub delivered: bool,
}

/// What became of a shop's webhooks until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Handed to the sender, doubles included.
    pub sent: u64,
    pub acknowledged: u64,
    pub doubled: u64,
}

/// What came of webhooks that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    pub accepted: u64,
}

pub trait Erp: Vendor {
    fn orders(&self) -> Vec<Booked>;
}

/// An order as the ERP has it.
#[derive(Clone, Debug)]
pub struct Booked {
    /// The shop's number.
    pub number: String,
    pub state: BookedState,
    pub total: Decimal,
    /// Of it, in credit notes that hold.
    pub credited: Decimal,
    /// ISO 4217.
    pub currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookedState {
    /// It would never leave the warehouse.
    Draft,
    Confirmed,
    Cancelled,
}

pub trait Provider: Vendor {
    /// The buyer agrees to pay this much; answers what the provider calls the payment.
    fn hold(&self, order: &Placed, amount: Decimal, currency: &str) -> Result<String, String>;

    fn payment(&self, reference: &str) -> Option<Held>;

    fn payments(&self) -> Vec<Held>;
}

/// A payment as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub reference: String,
    /// What can still be captured.
    pub held: Decimal,
    pub captured: Decimal,
    pub refunded: Decimal,
}

pub trait Carrier: Vendor {
    fn parcels(&self) -> Vec<Parcel>;

    /// The parcel of this booking gets one step further on its way.
    fn move_on(&self, booking: &str);
}

/// A booking as the carrier has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub booking: String,
    /// The number of the order that it was booked for, without the sign that people know it by.
    pub order: String,
    pub delivered: bool,
}

impl Sold {
    /// The number as a carrier writes it: `1042` of `#1042`.
    pub fn bare_number(&self) -> &str {
        self.number.trim_start_matches('#')
    }
}

/// `1042` of `1042@shop`, as a booking is called.
pub(crate) fn order_of(reference: &str) -> String {
    reference.rsplit_once('@').map_or(reference, |(number, _)| number).trim_start_matches('#').to_owned()
}

/// All money of the day has two decimals.
pub(crate) fn minor(amount: Decimal) -> Result<i64, String> {
    (amount * Decimal::ONE_HUNDRED).to_i64().ok_or_else(|| format!("{amount} is too much"))
}

pub(crate) fn major(minor: i64) -> Decimal {
    Decimal::new(minor, 2)
}
