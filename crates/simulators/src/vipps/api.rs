//! Tokens, the gateway in front of all APIs, and the way to each thing.

use crate::{
    call::{Answer, Call, Seen},
    shopify::Refused,
    vipps::{State, Unit},
};
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Done = Result<Answer, Problem>;

/// A problem document (RFC 7807).
#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    title: &'static str,
    detail: Option<String>,
    extra: Vec<(String, String)>,
}

impl Problem {
    pub(crate) fn new(status: u16, title: &'static str) -> Self {
        Self { status, title, detail: None, extra: Vec::new() }
    }

    pub(crate) fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// About one field of what was sent.
    pub(crate) fn about(mut self, field: &str, reason: &str) -> Self {
        self.extra.push((field.to_owned(), reason.to_owned()));
        self
    }

    pub(crate) fn coded(self, code: &str) -> Self {
        self.about("ErrorCode", code)
    }

    pub(crate) fn refused(self) -> Refused {
        Refused(self.detail.unwrap_or_else(|| self.title.to_owned()))
    }

    fn answer(&self, call: &Call, trace: &str) -> Answer {
        let extra: Vec<Value> = self.extra.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
        let body = json!({
            "type": format!("https://developer.vippsmobilepay.com/docs/problems/{}", self.title.to_lowercase().replace(' ', "-")),
            "title": self.title, "detail": self.detail.as_deref().unwrap_or(self.title), "status": self.status,
            "instance": call.path, "traceId": trace, "extraDetails": extra,
        });
        Answer::json(self.status, body).header("content-type", "application/problem+json")
    }
}

/// The gateway has a shape of its own.
fn gateway(status: u16, message: &str) -> Answer {
    Answer::json(status, json!({ "statusCode": status, "message": message }))
}

pub(crate) fn answer(unit: &Unit, call: &Call) -> Answer {
    unit.with(|state| {
        let trace = state.new_uuid();
        if call.path == "/accesstoken/get" {
            return state.token(call);
        }
        if let Some(refusal) = state.turn_away(call) {
            return refusal;
        }
        state.once(call).unwrap_or_else(|problem| problem.answer(call, &trace))
    })
}

impl State {
    fn token(&mut self, call: &Call) -> Answer {
        if call.header("ocp-apim-subscription-key") != Some(self.options.subscription_key.as_str()) {
            return gateway(401, "Access denied due to invalid subscription key.");
        }
        let (id, secret) = (call.header("client_id"), call.header("client_secret"));
        if id != Some(self.options.client_id.as_str()) || secret != Some(self.options.client_secret.as_str()) {
            return Answer::json(
                401,
                json!({ "error": "unauthorized_client", "error_description": "The credentials are wrong." }),
            );
        }
        if call.method != Method::POST {
            return Answer::empty(405);
        }
        let (token, lifetime) = (format!("eyJ0eXAi.{}", self.new_uuid()), self.options.token_lifetime);
        let ends = self.now().checked_add(lifetime).unwrap_or(self.now());
        self.tokens.insert(token.clone(), ends);
        self.tokens_issued += 1;
        // Numbers as text, as Vipps has them.
        let seconds = lifetime.as_secs().to_string();
        Answer::json(
            200,
            json!({
                "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
                "expires_on": ends.as_second().to_string(), "not_before": self.now().as_second().to_string(),
                "resource": "00000002-0000-0000-c000-000000000000", "access_token": token,
            }),
        )
    }

    /// What the gateway refuses before any API sees it.
    fn turn_away(&self, call: &Call) -> Option<Answer> {
        if call.header("ocp-apim-subscription-key") != Some(self.options.subscription_key.as_str()) {
            return Some(gateway(401, "Access denied due to missing or invalid subscription key."));
        }
        let token = call.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        if token.and_then(|it| self.tokens.get(it)).is_none_or(|ends| *ends <= self.now()) {
            return Some(gateway(401, "Unauthorized. Access token is missing or invalid."));
        }
        let unit = call.header("merchant-serial-number");
        (unit != Some(self.options.merchant_serial_number.as_str())).then(|| gateway(403, "The sales unit is not allowed."))
    }

    /// A change of a payment is made once for its key, whatever came of it.
    fn once(&mut self, call: &Call) -> Done {
        let now = self.now();
        if call.method != Method::POST || !call.path.starts_with("/epayment/v1/payments") {
            return self.carry_out(call);
        }
        let Some(key) = call.header("idempotency-key").filter(|it| !it.is_empty() && it.len() <= 50).map(str::to_owned) else {
            return Err(Problem::new(400, "Bad Request").about("Idempotency-Key", "The header is required."));
        };
        match self.replays.seen(&key, call, now) {
            Seen::Same(kept) => return Ok(kept),
            Seen::Other(_) => {
                let detail = "The specified idempotency-key has previously been used in a different request.";
                return Err(Problem::new(409, "Idempotency conflict").saying(detail));
            }
            Seen::Never => {}
        }
        if let ["epayment", "v1", "payments", reference, _] = call.segments().as_slice()
            && self.is_too_often(reference)
        {
            return Ok(gateway(429, "Rate limit is exceeded. Try again in 60 seconds."));
        }
        let trace = self.new_uuid();
        let answer = self.carry_out(call).unwrap_or_else(|problem| problem.answer(call, &trace));
        if answer.status < 500 {
            self.replays.keep(&key, call, &answer, now);
        }
        Ok(answer)
    }

    fn carry_out(&mut self, call: &Call) -> Done {
        *self.calls.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
        let key = call.header("idempotency-key").map(str::to_owned);
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["epayment", "v1", "payments"]) => self.create_payment(call, key),
            ("GET", ["epayment", "v1", "payments", reference]) => Ok(Answer::json(200, self.find(reference)?.json())),
            ("GET", ["epayment", "v1", "payments", reference, "events"]) => {
                Ok(Answer::json(200, self.find(reference)?.log_json()))
            }
            ("POST", ["epayment", "v1", "payments", reference, what]) => self.change(call, reference, what, key),
            ("POST", ["epayment", "v1", "test", "payments", reference, "approve"]) => {
                self.approve(reference).map(|()| Answer::empty(200))
            }
            ("POST", ["webhooks", "v1", "webhooks"]) => Ok(Answer::json(201, self.register(&body(call)?)?)),
            ("GET", ["webhooks", "v1", "webhooks"]) => Ok(Answer::json(200, self.registered())),
            ("DELETE", ["webhooks", "v1", "webhooks", id]) => match self.registrations.remove(*id) {
                Some(_) => Ok(Answer::empty(204)),
                None => Err(Problem::new(404, "Not Found")),
            },
            ("GET", ["settlement", "v1", "ledgers"]) => {
                Ok(Answer::json(200, self.ledgers_json(call.query("settlesForRecipientHandles"))))
            }
            ("GET", ["report", "v2", "ledgers", id, topic, "dates", day]) => {
                self.report(id, topic, day, call.query("cursor")).map(|it| Answer::json(200, it))
            }
            _ => Ok(gateway(404, "Resource not found")),
        }
    }

    fn create_payment(&mut self, call: &Call, key: Option<String>) -> Done {
        let body = body(call)?;
        let missing = ["amount", "paymentMethod", "reference", "userFlow"].into_iter().find(|it| body[*it].is_null());
        if let Some(field) = missing {
            return Err(Problem::new(400, "Bad Request").about(field, "The property is required and cannot be null or empty."));
        }
        let metadata: BTreeMap<String, String> = serde_json::from_value(body["metadata"].clone()).unwrap_or_default();
        let reference = body["reference"].as_str().unwrap_or_default();
        let (amount, currency) = money(&body["amount"])?;
        self.create(reference, amount, &currency, metadata, key)?;
        let redirect = format!("https://landing.example.com/?token={reference}");
        Ok(Answer::json(201, json!({ "redirectUrl": redirect, "reference": reference })))
    }

    fn change(&mut self, call: &Call, reference: &str, what: &str, key: Option<String>) -> Done {
        let payment = self.find(reference)?;
        let paid_in = payment.currency.clone();
        let amount = || {
            let (amount, currency) = money(&body(call)?["modificationAmount"])?;
            match currency == paid_in && amount > 0 {
                true => Ok(amount),
                false => Err(Problem::new(400, "Bad Request").about("modificationAmount", "The value is not valid.")),
            }
        };
        let psp_reference = match what {
            "capture" => self.capture(reference, amount()?, key)?,
            "refund" => self.refund(reference, amount()?, key)?,
            "cancel" => {
                let only_unapproved = call.json().is_some_and(|it| it["cancelTransactionOnly"] == true);
                self.cancel(reference, only_unapproved, key)?
            }
            _ => return Ok(gateway(404, "Resource not found")),
        };
        Ok(Answer::json(200, self.find(reference)?.modified(&psp_reference)))
    }
}

fn body(call: &Call) -> Result<Value, Problem> {
    call.json().ok_or_else(|| Problem::new(400, "Bad Request").saying("The body is no JSON."))
}

fn money(amount: &Value) -> Result<(i64, String), Problem> {
    let parts = amount["value"].as_i64().zip(amount["currency"].as_str().map(str::to_owned));
    parts.ok_or_else(|| Problem::new(400, "Bad Request").about("amount", "The value is not valid."))
}
