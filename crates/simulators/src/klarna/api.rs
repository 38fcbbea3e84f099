//! Order Management, Settlements and Disputes over HTTP.

use crate::{
    call::{Answer, Call, Seen},
    klarna::{Account, State, orders::Taking, orders::refund_json},
    shopify::Refused,
};
use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

type Done = Result<Answer, Problem>;

/// A refusal with its code.
#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn refused(self) -> Refused {
        Refused(self.message)
    }

    fn answer(&self, correlation: &str) -> Answer {
        let body = json!({ "correlation_id": correlation, "error_code": self.code, "error_messages": [self.message] });
        Answer::json(self.status, body)
    }
}

/// Order Management and Settlements.
pub(crate) fn classic(account: &Account, call: &Call) -> Answer {
    account.with(|state| {
        let correlation = state.new_uuid();
        state.classic(call, &correlation).header("klarna-correlation-id", correlation)
    })
}

/// The Klarna Network.
pub(crate) fn network(account: &Account, call: &Call) -> Answer {
    account.with(|state| {
        let correlation = state.new_uuid();
        state.network(call, &correlation).header("klarna-correlation-id", correlation)
    })
}

impl State {
    /// With its own key, and its own shape of errors.
    fn network(&self, call: &Call, id: &str) -> Answer {
        let refuse = |status, kind: &str, code: &str, message: &str| {
            let body = json!({ "error_id": id, "error_type": kind, "error_code": code, "error_message": message });
            Answer::json(status, body)
        };
        if call.header("authorization") != Some(&format!("Basic {}", self.options.api_key)) {
            return refuse(401, "ACCESS_ERROR", "UNAUTHORIZED", "The presented credentials failed authentication.");
        }
        let segments = call.segments();
        let found = match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["v4", "payment", "disputes", dispute]) => self.disputes.get(*dispute),
            _ => None,
        };
        match found {
            Some(dispute) => Answer::json(200, dispute.json()),
            None => refuse(404, "RESOURCE_ERROR", "RESOURCE_NOT_FOUND", "The requested resource was not found."),
        }
    }

    fn classic(&mut self, call: &Call, correlation: &str) -> Answer {
        let pair = format!("{}:{}", self.options.username, self.options.password);
        if call.header("authorization") != Some(&format!("Basic {}", STANDARD.encode(pair))) {
            // No body, and no way to tell why.
            return Answer::empty(401);
        }
        let writes = matches!(call.method, Method::POST | Method::PATCH);
        let key = call.header("klarna-idempotency-key").filter(|_| writes).map(str::to_owned);
        if let Some(key) = &key {
            if Uuid::parse_str(key).is_err() {
                return Problem::new(400, "BAD_VALUE", "Bad value: Klarna-Idempotency-Key").answer(correlation);
            }
            // Only the key matters, whatever is asked with it.
            if let Seen::Same(kept) | Seen::Other(kept) = self.replays.seen(key, call, self.now()) {
                return kept;
            }
        }
        *self.calls.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
        let answer = self.route(call).unwrap_or_else(|problem| problem.answer(correlation));
        if let Some(key) = key.filter(|_| answer.status < 300) {
            let now = self.now();
            self.replays.keep(&key, call, &answer, now);
        }
        answer
    }

    fn route(&mut self, call: &Call) -> Done {
        let segments = call.segments();
        let (method, order) = (call.method.as_str(), ["ordermanagement", "v1", "orders"]);
        if let Some([id, rest @ ..]) = segments.strip_prefix(&order) {
            return self.manage(method, id, rest, call);
        }
        match (method, segments.as_slice()) {
            ("GET", ["settlements", "v1", "payouts"]) => self.list_payouts(call),
            ("GET", ["settlements", "v1", "payouts", reference]) => {
                let found = self.payout_json(reference).map(|it| Answer::json(200, it));
                found.ok_or_else(|| Problem::new(404, "NOT_FOUND", "No such payout"))
            }
            ("GET", ["settlements", "v1", "transactions"]) => {
                page(call, "transactions", self.rows_json(call.query("payment_reference"), call.query("order_id")))
            }
            // As for credentials that hold elsewhere.
            _ => Ok(Answer::empty(403)),
        }
    }

    fn manage(&mut self, method: &str, id: &str, rest: &[&str], call: &Call) -> Done {
        let done = Ok(Answer::empty(204));
        let no_capture = || Problem::new(404, "NO_SUCH_CAPTURE", "No such capture");
        match (method, rest) {
            ("GET", []) => Ok(Answer::json(200, self.find(id)?.json())),
            ("POST", ["acknowledge"]) => {
                self.find(id)?.acknowledged = true;
                done
            }
            ("PATCH", ["merchant-references"]) => self.refer(id, &body(call)?),
            ("POST", ["extend-authorization-time"]) => self.extend(id).and(done),
            ("POST", ["cancel"]) => self.cancel(id).and(done),
            ("POST", ["release-remaining-authorization"]) => self.release(id).and(done),
            ("POST", ["captures"]) => {
                let capture = self.capture(id, Taking::read(&body(call)?, "captured_amount")?)?;
                let location = format!("https://api.klarna.com{}/{capture}", call.path);
                Ok(Answer::empty(201).header("capture-id", capture).header("location", location))
            }
            ("POST", ["refunds"]) => {
                let refund = self.refund(id, Taking::read(&body(call)?, "refunded_amount")?)?;
                let location = format!("https://api.klarna.com{}/{refund}", call.path);
                Ok(Answer::empty(201).header("refund-id", refund).header("location", location))
            }
            ("GET", ["captures"]) => Ok(Answer::json(200, self.find(id)?.json()["captures"].take())),
            ("GET", ["captures", capture]) => {
                let order = self.find(id)?;
                let found = (1..).zip(&order.captures).find(|(_, it)| it.id == *capture);
                let (number, it) = found.ok_or_else(no_capture)?;
                Ok(Answer::json(200, order.capture_json(number, it)))
            }
            ("POST", ["captures", capture, "shipping-info"]) => {
                let more = body(call)?["shipping_info"].as_array().cloned().unwrap_or_default();
                let found = self.find(id)?.captures.iter_mut().find(|it| it.id == *capture);
                found.ok_or_else(no_capture)?.asked.shipping_info.extend(more);
                done
            }
            ("GET", ["refunds", refund]) => {
                let found = self.find(id)?.refunds.iter().find(|it| it.id == *refund).map(refund_json);
                Ok(Answer::json(200, found.ok_or_else(|| Problem::new(404, "NOT_FOUND", "No such refund"))?))
            }
            _ => Ok(Answer::empty(403)),
        }
    }

    fn refer(&mut self, id: &str, body: &Value) -> Done {
        let order = self.find(id)?;
        for (field, kept) in [("merchant_reference1", &mut order.number), ("merchant_reference2", &mut order.second_reference)] {
            match &body[field] {
                Value::Null => {}
                Value::String(text) if text.chars().count() <= 255 => *kept = Some(text.clone()),
                _ => return Err(Problem::new(400, "BAD_VALUE", format!("Bad value: {field}"))),
            }
        }
        Ok(Answer::empty(204))
    }

    fn list_payouts(&self, call: &Call) -> Done {
        let date = |name: &str| match call.query(name).map(str::parse::<Timestamp>) {
            None => Ok(None),
            Some(Ok(at)) => Ok(Some(at)),
            Some(Err(_)) => Err(Problem::new(400, "BAD_VALUE", format!("Bad value: {name}"))),
        };
        let found = self.payouts_json(date("start_date")?, date("end_date")?, call.query("currency_code"));
        page(call, "payouts", found)
    }
}

fn body(call: &Call) -> Result<Value, Problem> {
    call.json().ok_or_else(|| Problem::new(400, "BAD_VALUE", "The body is no JSON"))
}

/// `size` (20 unless told otherwise, 500 at most) from `offset` on.
fn page(call: &Call, name: &str, all: Vec<Value>) -> Done {
    let number = |name: &str, default: usize, most: usize| match call.query(name).map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(number)) if number <= most => Ok(number),
        Some(_) => Err(Problem::new(400, "BAD_VALUE", format!("Bad value: {name}"))),
    };
    let (size, offset, total) = (number("size", 20, 500)?, number("offset", 0, usize::MAX)?, all.len());
    let some: Vec<Value> = all.into_iter().skip(offset).take(size).collect();
    let mut pagination = json!({ "count": some.len(), "total": total, "offset": offset });
    if offset + some.len() < total {
        pagination["next"] = format!("https://api.klarna.com{}?size={size}&offset={}", call.path, offset + size).into();
    }
    Ok(Answer::json(200, json!({ name: some, "pagination": pagination })))
}
