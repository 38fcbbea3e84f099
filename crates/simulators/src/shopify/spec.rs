//! What a test asks the shop to do: orders to place, edits and refunds to make; and orders made up at random.

use crate::shopify::{pricing::Reduction, state::State};
use rand::{RngExt as _, seq::IndexedRandom as _};
use rust_decimal::Decimal;

/// An order to place. Amounts are in the shop's currency.
#[derive(Clone, Debug)]
pub struct OrderSpec {
    /// SKU and quantity.
    pub lines: Vec<(String, u32)>,
    pub taxes_included: bool,
    /// Spread across the lines, one after the other.
    pub discounts: Vec<Reduction>,
    pub shipping: Option<Decimal>,
    pub shipping_discount: Option<Reduction>,
    pub tip: Decimal,
    /// Paid at once; else authorised only.
    pub paid: bool,
    /// Neither: the buyer promised to pay in a way that the shop does not see, as by invoice.
    pub pending: bool,
    /// Name of the payment's gateway; `bogus` when not told.
    pub gateway: Option<String>,
    /// How the payment is called towards its provider; made up when not told.
    pub payment_reference: Option<String>,
    /// Bought in the presentment currency, when the shop has one.
    pub presentment: bool,
}

impl OrderSpec {
    /// Lines only: taxes included, no discount, no shipping, paid, in the shop's currency.
    pub fn of(lines: impl IntoIterator<Item = (impl Into<String>, u32)>) -> Self {
        Self {
            lines: lines.into_iter().map(|(sku, quantity)| (sku.into(), quantity)).collect(),
            taxes_included: true,
            discounts: Vec::new(),
            shipping: None,
            shipping_discount: None,
            tip: Decimal::ZERO,
            paid: true,
            pending: false,
            gateway: None,
            payment_reference: None,
            presentment: false,
        }
    }
}

/// One step of an order edit.
#[derive(Clone, Debug)]
pub enum Edit {
    AddLine {
        sku: String,
        quantity: u32,
    },
    /// Sets what is left of the line with this index; more than is left becomes a new line with the same SKU.
    SetQuantity {
        line: usize,
        quantity: u32,
    },
}

/// Where refunded goods go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restock {
    No,
    Cancel,
    Return,
}

impl Restock {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::No => "no_restock",
            Self::Cancel => "cancel",
            Self::Return => "return",
        }
    }
}

/// A refund to make. Every refunded line loses its quantity, whatever becomes of the goods.
#[derive(Clone, Debug)]
pub struct RefundSpec {
    /// Index of the line and quantity.
    pub lines: Vec<(usize, u32)>,
    /// All that is left of the shipping.
    pub shipping: bool,
    pub restock: Restock,
    pub note: Option<String>,
}

/// A new fulfilment's tracking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracking {
    pub company: Option<String>,
    pub numbers: Vec<String>,
    pub urls: Vec<String>,
}

pub(crate) fn random_order(state: &mut State) -> OrderSpec {
    let skus: Vec<String> = state.catalog.variants().map(|(_, variant)| variant.sku.clone()).collect();
    let mixed = state.options.taxes_included;
    let rng = &mut state.rng;
    let lines = (0..rng.random_range(1..=4)).filter_map(|_| Some((skus.choose(rng)?.clone(), rng.random_range(1..=5)))).collect();
    let mut discounts = Vec::new();
    if rng.random_bool(0.35) {
        discounts.push(Reduction::Percentage(Decimal::from(rng.random_range(1..=40))));
    }
    if rng.random_bool(0.2) {
        discounts.push(Reduction::Fixed(Decimal::new(rng.random_range(100..20_000), 2)));
    }
    let shipping = rng.random_bool(0.85).then(|| Decimal::new(rng.random_range(1_900..19_900), 2));
    let shipping_discount = rng.random_bool(0.15).then(|| {
        if rng.random_bool(0.5) { Reduction::Percentage(Decimal::ONE_HUNDRED) } else { Reduction::Fixed(Decimal::new(1_550, 2)) }
    });
    OrderSpec {
        lines,
        taxes_included: mixed.unwrap_or_else(|| rng.random_bool(0.6)),
        discounts,
        shipping,
        shipping_discount,
        tip: if rng.random_bool(0.1) { Decimal::new(rng.random_range(500..5_000), 2) } else { Decimal::ZERO },
        paid: rng.random_bool(0.7),
        pending: false,
        gateway: None,
        payment_reference: None,
        presentment: rng.random_bool(0.3),
    }
}

/// Adds a line, or takes something from one. Nothing when the order has nothing to change.
pub(crate) fn random_edit(state: &mut State, order: u64) -> Vec<Edit> {
    let skus: Vec<String> = state.catalog.variants().map(|(_, variant)| variant.sku.clone()).collect();
    let open = open_lines(state, order);
    let rng = &mut state.rng;
    if rng.random_bool(0.5)
        && let Some(&(line, left)) = open.choose(rng)
    {
        let quantity = rng.random_range(0..=left - 1);
        return vec![Edit::SetQuantity { line, quantity }];
    }
    let quantity = rng.random_range(1..=3);
    skus.choose(rng).map(|sku| Edit::AddLine { sku: sku.clone(), quantity }).into_iter().collect()
}

/// Some of one or more lines, now and then with the shipping.
pub(crate) fn random_refund(state: &mut State, order: u64) -> RefundSpec {
    let open = open_lines(state, order);
    let rng = &mut state.rng;
    let mut lines: Vec<(usize, u32)> = Vec::new();
    for (line, left) in &open {
        if lines.is_empty() || rng.random_bool(0.3) {
            lines.push((*line, rng.random_range(1..=*left)));
        }
    }
    RefundSpec {
        lines,
        shipping: rng.random_bool(0.2),
        restock: if rng.random_bool(0.7) { Restock::Return } else { Restock::Cancel },
        note: Some("passer ikke".into()),
    }
}

fn open_lines(state: &State, order: u64) -> Vec<(usize, u32)> {
    let Some(order) = state.orders.get(&order) else { return Vec::new() };
    let lines = order.lines.iter().enumerate().map(|(index, line)| (index, line.current));
    lines.filter(|(_, left)| *left > 0).collect()
}
