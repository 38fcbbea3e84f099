//! Ledgers of funds and of fees, one pair for each currency, by days that are complete once they are over.

use crate::{
    shopify::Refused,
    vipps::{State, api::Problem},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

/// Funds and fees of one currency.
pub(crate) struct Ledger {
    pub id: String,
    opened: Date,
    funds: Vec<Entry>,
    fees: Vec<Entry>,
}

struct Entry {
    psp_reference: String,
    kind: &'static str,
    reference: Option<String>,
    amount: i64,
    before: i64,
    at: Timestamp,
}

/// A payout and the sums of what is in it, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutView {
    pub reference: String,
    pub ledger: String,
    /// What reaches the bank.
    pub amount: i64,
    pub currency: String,
    pub captured: i64,
    pub refunded: i64,
    pub fees: i64,
}

/// A ledger's day runs from midnight to midnight, here in UTC.
pub(crate) fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

impl Ledger {
    fn balance(entries: &[Entry]) -> i64 {
        entries.last().map_or(0, |it| it.before + it.amount)
    }
}

impl State {
    fn ledger(&mut self, currency: &str) -> &mut Ledger {
        let (number, opened) = (302_321 + self.ledgers.len(), self.today().saturating_sub(self.options.opened_days.days()));
        let new = || Ledger { id: number.to_string(), opened, funds: Vec::new(), fees: Vec::new() };
        self.ledgers.entry(currency.to_owned()).or_insert_with(new)
    }

    /// Enters a movement of funds.
    pub(crate) fn enter(&mut self, currency: &str, kind: &'static str, reference: Option<&str>, psp: &str, amount: i64) {
        let at = self.now();
        let ledger = self.ledger(currency);
        let before = Ledger::balance(&ledger.funds);
        let (psp_reference, reference) = (psp.to_owned(), reference.map(str::to_owned));
        ledger.funds.push(Entry { psp_reference, kind, reference, amount, before, at });
    }

    fn enter_fee(&mut self, currency: &str, kind: &'static str, reference: Option<&str>, psp: &str, amount: i64) {
        let at = self.now();
        let ledger = self.ledger(currency);
        let before = Ledger::balance(&ledger.fees);
        let (psp_reference, reference) = (psp.to_owned(), reference.map(str::to_owned));
        ledger.fees.push(Entry { psp_reference, kind, reference, amount, before, at });
    }

    pub(crate) fn enter_capture(&mut self, currency: &str, reference: &str, psp: &str, amount: i64) {
        let (share, fixed) = self.options.fee;
        // Half up, in whole units.
        let fee = (amount * share + 5_000) / 10_000 + fixed;
        self.enter(currency, "capture", Some(reference), psp, amount);
        self.enter_fee(currency, "capture-fee", Some(reference), psp, -fee);
    }

    pub(crate) fn retain_disputed(&mut self, reference: &str) -> Result<(), Problem> {
        let payment = self.find(reference)?;
        let (currency, amount) = (payment.currency.clone(), payment.captured);
        let psp = self.new_psp_reference();
        self.enter(&currency, "retained-disputed-capture", Some(reference), &psp, -amount);
        Ok(())
    }

    pub(crate) fn pay_out(&mut self, currency: &str) -> Option<String> {
        let (taken, paid) = (self.new_psp_reference(), self.new_psp_reference());
        let ledger = self.ledgers.get(currency)?;
        let (owed, balance) = (-Ledger::balance(&ledger.fees), Ledger::balance(&ledger.funds));
        if balance - owed <= 0 {
            return None;
        }
        if owed > 0 {
            self.enter(currency, "fees-retained", None, &taken, -owed);
            self.enter_fee(currency, "fees-retained", None, &taken, owed);
        }
        self.enter(currency, "payout-scheduled", Some(&paid), &paid, owed - balance);
        Some(paid)
    }

    pub(crate) fn abort_payout(&mut self, payout: &str) -> Result<(), Refused> {
        let view = self.payout_view(payout).ok_or_else(|| Refused(format!("{payout} is no payout")))?;
        self.enter(&view.currency, "payout-aborted", Some(payout), payout, view.amount);
        Ok(())
    }

    pub(crate) fn payout_view(&self, reference: &str) -> Option<PayoutView> {
        self.ledgers.iter().find_map(|(currency, ledger)| {
            let is_it = |it: &Entry| it.kind == "payout-scheduled" && it.psp_reference == reference;
            let end = ledger.funds.iter().position(is_it)?;
            let start = ledger.funds[..end].iter().rposition(|it| it.kind == "payout-scheduled").map_or(0, |at| at + 1);
            let sum = |kind: &str| ledger.funds[start..end].iter().filter(|it| it.kind == kind).map(|it| it.amount).sum();
            let (captured, refunded, fees): (i64, i64, i64) = (sum("capture"), sum("refund"), sum("fees-retained"));
            Some(PayoutView {
                reference: reference.to_owned(),
                ledger: ledger.id.clone(),
                amount: -ledger.funds[end].amount,
                currency: currency.clone(),
                captured,
                refunded: -refunded,
                fees: -fees,
            })
        })
    }

    /// Those that settle for this sales unit.
    pub(crate) fn ledgers_json(&self, handle: Option<&str>) -> Value {
        let own = format!("api:{}", self.options.merchant_serial_number);
        let wanted = self.ledgers.iter().filter(|_| handle.is_none_or(|it| it == own));
        let items: Vec<Value> = wanted
            .map(|(currency, ledger)| {
                json!({
                    "ledgerId": ledger.id, "currency": currency,
                    "payoutBankAccount": { "scheme": "BBAN:NO", "id": "00000000000" },
                    "owner": { "scheme": "business:NO:ORG", "id": "000000000" }, "settlesForRecipientHandles": [own],
                })
            })
            .collect();
        json!({ "items": items, "cursor": "" })
    }

    /// One page of one day; a cursor says how many were told before.
    pub(crate) fn report(&self, id: &str, topic: &str, day: &str, cursor: Option<&str>) -> Result<Value, Problem> {
        let not_yet = || Problem::new(404, "Not Found").saying("The report for this date is not available yet.");
        let found = self.ledgers.iter().find(|(_, ledger)| ledger.id == id);
        let (currency, ledger) = found.ok_or_else(|| Problem::new(404, "Not Found"))?;
        let day: Date = day.parse().map_err(|_| Problem::new(400, "Bad Request").about("ledgerDate", "It is no date."))?;
        let entries = match topic {
            "funds" => &ledger.funds,
            "fees" => &ledger.fees,
            _ => return Err(Problem::new(404, "Not Found")),
        };
        if day < ledger.opened || day > self.today() {
            return Err(not_yet());
        }
        if day == self.today() {
            return Ok(json!({ "items": [], "hasMore": false, "tryLater": true }));
        }
        let told = match cursor {
            None => 0,
            Some(text) => decoded(text).ok_or_else(|| Problem::new(400, "Bad Request").about("cursor", "It is not known."))?,
        };
        let of_day: Vec<&Entry> = entries.iter().filter(|it| date(it.at) == day).collect();
        let page = of_day.iter().skip(told).take(self.options.report_page);
        let items: Vec<Value> = page.map(|it| self.entry_json(it, currency)).collect();
        let until = told + items.len();
        let mut answer = json!({ "items": items, "hasMore": until < of_day.len(), "tryLater": false });
        if until < of_day.len() {
            answer["cursor"] = STANDARD.encode(format!("after={until}")).into();
        }
        Ok(answer)
    }

    fn entry_json(&self, it: &Entry, currency: &str) -> Value {
        json!({
            "pspReference": it.psp_reference, "time": it.at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            "ledgerDate": date(it.at).to_string(), "entryType": it.kind, "reference": it.reference, "currency": currency,
            "amount": it.amount, "balanceBefore": it.before, "balanceAfter": it.before + it.amount,
            "recipientHandle": format!("api:{}", self.options.merchant_serial_number),
        })
    }
}

fn decoded(cursor: &str) -> Option<usize> {
    String::from_utf8(STANDARD.decode(cursor).ok()?).ok()?.strip_prefix("after=")?.parse().ok()
}
