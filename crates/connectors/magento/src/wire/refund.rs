//! Credit memos. Number, payment and lines of the order come from the order itself.

use super::{
    Amount, Comment, Id, Utc, filled,
    order::Order,
    sum::{Both, Currencies},
};
use crate::Shop;
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Currency, Money, RefundAdjustment, RefundLine, Restock, Timestamp, Transaction, TransactionKind, TransactionStatus,
};

/// As Magento numbers the states of a credit memo.
const CANCELLED: u64 = 3;

#[derive(Deserialize)]
pub(crate) struct CreditMemo {
    pub entity_id: Id,
    pub order_id: Id,
    state: Option<u64>,
    #[serde(default)]
    created_at: Utc,
    transaction_id: Option<String>,
    base_currency_code: Currency,
    order_currency_code: Currency,
    #[serde(default)]
    grand_total: Amount,
    #[serde(default)]
    base_grand_total: Amount,
    #[serde(default)]
    shipping_amount: Amount,
    #[serde(default)]
    base_shipping_amount: Amount,
    #[serde(default)]
    shipping_tax_amount: Amount,
    #[serde(default)]
    base_shipping_tax_amount: Amount,
    #[serde(default)]
    adjustment_positive: Amount,
    #[serde(default)]
    base_adjustment_positive: Amount,
    #[serde(default)]
    adjustment_negative: Amount,
    #[serde(default)]
    base_adjustment_negative: Amount,
    #[serde(default)]
    items: Vec<Row>,
    pub comments: Option<Vec<Comment>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    order_item_id: Id,
    sku: Option<String>,
    qty: Amount,
    row_total: Amount,
    base_row_total: Amount,
    tax_amount: Amount,
    base_tax_amount: Amount,
    discount_amount: Amount,
    base_discount_amount: Amount,
    discount_tax_compensation_amount: Amount,
    base_discount_tax_compensation_amount: Amount,
    weee_tax_applied_row_amount: Amount,
    base_weee_tax_applied_row_amnt: Amount,
}

impl Row {
    fn tax(&self) -> Both {
        Both::of(self.base_tax_amount, self.tax_amount)
    }

    fn payable(&self) -> Both {
        Both::of(self.base_row_total, self.row_total)
            + self.tax()
            + Both::of(self.base_discount_tax_compensation_amount, self.discount_tax_compensation_amount)
            + Both::of(self.base_weee_tax_applied_row_amnt, self.weee_tax_applied_row_amount)
            - Both::of(self.base_discount_amount, self.discount_amount).abs()
    }
}

impl CreditMemo {
    pub fn is_cancelled(&self) -> bool {
        self.state == Some(CANCELLED)
    }

    pub fn created(&self) -> Result<Timestamp, ParseError> {
        let missing = || ParseError::Content(format!("credit memo {} has no time: expected `created_at`", self.entity_id.0));
        self.created_at.0.ok_or_else(missing)
    }

    pub fn canonical(&self, shop: &Shop, order: &Order) -> Result<spindel_model::Refund, ParseError> {
        let created_at = self.created()?;
        let currencies = Currencies { shop: self.base_currency_code, seen: self.order_currency_code };
        let counted = |row: &&Row| order.rows().counted().any(|it| it.item_id == row.order_item_id);
        let rows: Vec<&Row> = self.items.iter().filter(|it| !it.qty.or_zero().is_zero()).filter(counted).collect();
        let shipping = Both::of(self.base_shipping_amount, self.shipping_amount)
            + Both::of(self.base_shipping_tax_amount, self.shipping_tax_amount);
        let total = Both::of(self.base_grand_total, self.grand_total);
        let given = Both::of(self.base_adjustment_positive, self.adjustment_positive).abs();
        let kept = Both::default() - Both::of(self.base_adjustment_negative, self.adjustment_negative).abs();
        let rest = total - rows.iter().map(|it| it.payable()).sum() - shipping - given - kept;
        let adjustments = [("adjustment", given), ("fee", kept), ("difference", rest)].into_iter();
        let adjustment =
            |(reason, amount): (&str, Both)| RefundAdjustment { reason: reason.to_owned(), amount: currencies.bag(amount) };
        let line = |row: &&Row| RefundLine {
            line_id: row.order_item_id.0.clone(),
            sku: filled(row.sku.clone()),
            quantity: row.qty.or_zero(),
            subtotal: currencies.bag(if shop.prices_include_tax { row.payable() } else { row.payable() - row.tax() }),
            tax: currencies.bag(row.tax()),
            // Whether goods go back is not kept with the credit memo.
            restock: Restock::No,
            location_id: None,
        };
        Ok(spindel_model::Refund {
            id: self.entity_id.0.clone(),
            order: order.reference(),
            payment: order.payment(),
            created_at,
            note: self.comments.iter().flatten().find_map(|it| filled(it.comment.clone())),
            lines: rows.iter().map(line).collect(),
            shipping: (!shipping.is_zero()).then(|| currencies.bag(shipping)),
            adjustments: adjustments.filter(|(_, amount)| !amount.is_zero()).map(adjustment).collect(),
            transactions: self.paid_out(order, total, created_at).into_iter().collect(),
            total: currencies.bag(total),
        })
    }

    /// Money that the payment method gave back; what was refunded offline, somebody gives back by hand.
    fn paid_out(&self, order: &Order, total: Both, processed_at: Timestamp) -> Option<Transaction> {
        Some(Transaction {
            id: filled(self.transaction_id.clone())?,
            parent_id: order.payment(),
            gateway: order.gateway(),
            kind: TransactionKind::Refund,
            status: TransactionStatus::Success,
            amount: Money::new(total.seen, self.order_currency_code).scaled(),
            processed_at,
            reference: order.payment(),
            expires_at: None,
            test: false,
        })
    }
}
