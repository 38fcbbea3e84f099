//! The API: who may ask, keys that are not to be used twice, parameters as they must be, and the way to each thing.

use crate::{
    call::{Answer, Call, Seen},
    stripe::{
        Account,
        answer::Problem,
        events::{API_VERSION, Hook},
        state::{Metadata, RefundSpec, State},
    },
};
use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

type Done = Result<Value, Problem>;
const MOST_IN_A_PAGE: usize = 100;

pub(crate) fn answer(account: &Account, call: &Call) -> Answer {
    let key = call.header("idempotency-key").map(str::to_owned);
    account.with(|state| {
        let request = state.new_id("req");
        state.request = Some((request.clone(), key.clone()));
        let answer = state.admit(call, key.as_deref());
        state.request = None;
        let answer = answer.header("request-id", request).header("stripe-version", API_VERSION);
        match key {
            Some(key) => answer.header("idempotency-key", key),
            None => answer,
        }
    })
}

impl State {
    fn admit(&mut self, call: &Call, key: Option<&str>) -> Answer {
        if let Err(problem) = self.check_credentials(call) {
            return problem.answer();
        }
        let Some(key) = key.filter(|_| call.method == Method::POST) else { return self.carry_out(call).0 };
        if key.len() > 255 {
            return Problem::parameter("parameter_invalid", "Idempotency-Key", "Idempotency keys are 255 characters at most.")
                .answer();
        }
        if self.keys_in_use > 0 {
            self.keys_in_use -= 1;
            let message = "There is currently another in-progress request using this idempotent key.";
            let problem = Problem::new(409, "idempotency_error", message);
            return Problem { code: Some("idempotency_key_in_use"), ..problem }.answer();
        }
        let now = self.options.clock.now();
        match self.replays.seen(key, call, now) {
            Seen::Same(answer) => answer.header("idempotent-replayed", "true"),
            Seen::Other(_) => {
                let message = format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
                     using a key other than '{key}' if you meant to execute a different request."
                );
                Problem::new(400, "idempotency_error", message).answer()
            }
            Seen::Never => {
                let (answer, keep) = self.carry_out(call);
                if keep {
                    self.replays.keep(key, call, &answer, now);
                }
                answer
            }
        }
    }

    fn check_credentials(&self, call: &Call) -> Result<(), Problem> {
        let given = call.header("authorization").unwrap_or_default();
        let basic = |it: &str| String::from_utf8(STANDARD.decode(it).ok()?).ok()?.split(':').next().map(str::to_owned);
        let key = match given.split_once(' ') {
            Some(("Bearer", key)) => Some(key.to_owned()),
            Some(("Basic", pair)) => basic(pair),
            _ => None,
        };
        let refused = |message: String| Problem::new(401, "invalid_request_error", message);
        let key = key.ok_or_else(|| refused("You did not provide an API key.".into()))?;
        if self.options.api_keys.contains(&key) {
            return Ok(());
        }
        let shown: String = key.chars().take(8).collect();
        Err(refused(format!("Invalid API Key provided: {shown}****")))
    }

    /// The answer, and whether it is remembered under its key.
    fn carry_out(&mut self, call: &Call) -> (Answer, bool) {
        *self.calls.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
        let post = call.method == Method::POST;
        let form = Form { pairs: if post { call.form() } else { call.query.clone() } };
        match self.route(call, &form).and_then(|mut value| {
            self.expand(&mut value, &form.list("expand"))?;
            Ok(value)
        }) {
            Ok(value) => (Answer::json(200, value), true),
            Err(problem) => (problem.answer(), !problem.before_the_key),
        }
    }

    fn route(&mut self, call: &Call, form: &Form) -> Done {
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "payment_intents"]) => self.create_payment(form),
            ("GET", ["v1", "payment_intents", "search"]) => self.search_payments(form),
            ("POST", ["v1", "payment_intents", id]) => self.update_payment(id, form),
            ("POST", ["v1", "payment_intents", id, "confirm"]) => self.confirm_payment(id, form),
            ("POST", ["v1", "payment_intents", id, "capture"]) => self.capture_payment(id, form),
            ("POST", ["v1", "payment_intents", id, "cancel"]) => self.cancel_payment(id, form),
            ("POST", ["v1", "refunds"]) => self.create_refund(form),
            ("POST", ["v1", "webhook_endpoints"]) => self.create_hook(form),
            ("POST", ["v1", "webhook_endpoints", id]) => self.update_hook(id, form),
            ("DELETE", ["v1", "webhook_endpoints", id]) => self.delete_hook(id),
            ("GET", ["v1", collection]) => self.list(collection, form),
            ("GET", ["v1", collection, id]) => self.read(collection, id, form),
            (method, _) => {
                let message = format!("Unrecognized request URL ({method}: {}).", call.path);
                Err(Problem::new(404, "invalid_request_error", message))
            }
        }
    }

    fn shown(&self, id: &str) -> Done {
        self.object(id).ok_or_else(|| Problem::missing("object", id, "id"))
    }

    fn payment_exists(&self, id: &str) -> Result<(), Problem> {
        match self.payments.contains_key(id) {
            true => Ok(()),
            false => Err(Problem::missing("payment_intent", id, "intent")),
        }
    }

    fn create_payment(&mut self, form: &Form) -> Done {
        form.only(&[
            "amount",
            "currency",
            "capture_method",
            "payment_method",
            "payment_method_types",
            "automatic_payment_methods",
            "confirm",
            "metadata",
            "description",
        ])?;
        let amount = form.amount("amount")?.ok_or_else(|| form.missing("amount"))?;
        let currency = form.get("currency").ok_or_else(|| form.missing("currency"))?;
        let manual = form.get("capture_method") == Some("manual");
        let id = self.begin(amount, currency, manual, form.metadata(), form.get("description").map(str::to_owned));
        match form.get("confirm") {
            Some("true") => self.confirm(&id, form),
            _ => self.shown(&id),
        }
    }

    fn confirm_payment(&mut self, id: &str, form: &Form) -> Done {
        form.only(&["payment_method", "return_url"])?;
        self.payment_exists(id)?;
        self.confirm(id, form)
    }

    fn confirm(&mut self, id: &str, form: &Form) -> Done {
        let method = form.get("payment_method").ok_or_else(|| form.missing("payment_method"))?;
        if method != "pm_card_visa_chargeDeclined" {
            self.approve(id);
            return self.shown(id);
        }
        self.refuse(id);
        let declined = Problem::new(402, "card_error", "Your card has insufficient funds.");
        Err(Problem {
            code: Some("card_declined"),
            decline_code: Some("insufficient_funds"),
            payment: self.object(id).map(Box::new),
            ..declined
        })
    }

    fn update_payment(&mut self, id: &str, form: &Form) -> Done {
        form.only(&["metadata", "description"])?;
        self.payment_exists(id)?;
        if let Some(payment) = self.payments.get_mut(id) {
            for (key, value) in form.metadata() {
                // An empty value takes the key away.
                match value.is_empty() {
                    true => payment.metadata.remove(&key),
                    false => payment.metadata.insert(key, value),
                };
            }
            payment.description = form.get("description").map(str::to_owned).or(payment.description.take());
        }
        self.shown(id)
    }

    fn capture_payment(&mut self, id: &str, form: &Form) -> Done {
        form.only(&["amount_to_capture", "final_capture", "metadata"])?;
        let amount = form.amount("amount_to_capture")?;
        self.capture(id, amount)?;
        self.shown(id)
    }

    fn cancel_payment(&mut self, id: &str, form: &Form) -> Done {
        form.only(&["cancellation_reason"])?;
        let reason = form.one_of("cancellation_reason", &["duplicate", "fraudulent", "requested_by_customer", "abandoned"])?;
        self.cancel(id, reason)?;
        self.shown(id)
    }

    fn create_refund(&mut self, form: &Form) -> Done {
        form.only(&["payment_intent", "charge", "amount", "reason", "metadata"])?;
        let of = form.get("payment_intent").or(form.get("charge")).ok_or_else(|| form.missing("charge"))?;
        let reason = form.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
        let spec = RefundSpec { amount: form.amount("amount")?, reason, metadata: form.metadata() };
        let id = self.refund_payment(of, spec)?;
        self.shown(&id)
    }

    fn create_hook(&mut self, form: &Form) -> Done {
        form.only(&["url", "enabled_events", "api_version", "description", "metadata", "connect"])?;
        let url = form.get("url").ok_or_else(|| form.missing("url"))?;
        let events = form.list("enabled_events");
        if events.is_empty() {
            return Err(form.missing("enabled_events"));
        }
        if self.options.livemode && !url.starts_with("https://") {
            return Err(Problem::parameter("url_invalid", "url", "Invalid URL: URLs in live mode must use HTTPS."));
        }
        let (id, secret) = (self.new_id("we"), format!("whsec_{}", self.random(32)));
        let hook = Hook {
            url: url.to_owned(),
            events,
            enabled: true,
            api_version: form.get("api_version").map(str::to_owned),
            description: form.get("description").map(str::to_owned),
            secrets: vec![(secret.clone(), None)],
            created: self.now(),
        };
        self.hooks.insert(id.clone(), hook);
        let mut shown = self.shown(&id)?;
        shown["secret"] = secret.into();
        Ok(shown)
    }

    fn update_hook(&mut self, id: &str, form: &Form) -> Done {
        form.only(&["url", "enabled_events", "disabled", "description", "metadata"])?;
        let hook = self.hooks.get_mut(id).ok_or_else(|| Problem::missing("webhook endpoint", id, "webhook_endpoint"))?;
        let events = form.list("enabled_events");
        if !events.is_empty() {
            hook.events = events;
        }
        if let Some(url) = form.get("url") {
            hook.url = url.to_owned();
        }
        if let Some(disabled) = form.get("disabled") {
            hook.enabled = disabled != "true";
        }
        self.shown(id)
    }

    fn delete_hook(&mut self, id: &str) -> Done {
        match self.hooks.remove(id) {
            Some(_) => Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true })),
            None => Err(Problem::missing("webhook endpoint", id, "webhook_endpoint")),
        }
    }

    fn read(&self, collection: &str, id: &str, form: &Form) -> Done {
        form.only(&[])?;
        let (prefix, what, param) = match collection {
            "payment_intents" => ("pi_", "payment_intent", "intent"),
            "charges" => ("ch_", "charge", "id"),
            "refunds" => ("re_", "refund", "id"),
            "disputes" => ("dp_", "dispute", "id"),
            "payouts" => ("po_", "payout", "id"),
            "balance_transactions" => ("txn_", "balance transaction", "id"),
            "events" => ("evt_", "event", "id"),
            "webhook_endpoints" => ("we_", "webhook endpoint", "webhook_endpoint"),
            _ => return Err(Problem::new(404, "invalid_request_error", "Unrecognized request URL.")),
        };
        let found = self.object(id).filter(|_| id.starts_with(prefix));
        found.ok_or_else(|| Problem::missing(what, id, param))
    }

    fn search_payments(&self, form: &Form) -> Done {
        form.only(&["query", "limit", "page"])?;
        let query = form.get("query").ok_or_else(|| form.missing("query"))?;
        let (found, limit) = (self.search(query)?, form.limit()?);
        let from: usize = form.get("page").and_then(|it| it.parse().ok()).unwrap_or_default();
        let until = (from + limit).min(found.len());
        let data: Vec<Value> = found.iter().skip(from).take(limit).filter_map(|id| self.object(id)).collect();
        let more = until < found.len();
        Ok(json!({
            "object": "search_result", "url": "/v1/payment_intents/search", "data": data, "has_more": more,
            "next_page": more.then(|| until.to_string()),
        }))
    }

    /// The newest first.
    fn list(&self, collection: &str, form: &Form) -> Done {
        let fits = |value: &Value, field: &str, name: &str| form.get(name).is_none_or(|it| value[field] == it);
        const PAGES: [&str; 4] = ["limit", "starting_after", "created", "expand"];
        let also: &[&str] = match collection {
            "payment_intents" | "webhook_endpoints" => &[],
            "refunds" => &["payment_intent", "charge"],
            "disputes" => &["payment_intent", "charge"],
            "charges" => &["payment_intent"],
            "payouts" => &["arrival_date", "status"],
            "balance_transactions" => &["payout", "source", "type"],
            "events" => &["type", "types"],
            _ => return Err(Problem::new(404, "invalid_request_error", "Unrecognized request URL.")),
        };
        form.only(&[&PAGES, also].concat())?;
        let ids: Vec<&String> = match collection {
            "payment_intents" => self.payments.keys().collect(),
            "webhook_endpoints" => self.hooks.keys().collect(),
            "refunds" => self.refunds.keys().collect(),
            "disputes" => self.disputes.keys().collect(),
            "charges" => self.charges.keys().collect(),
            "payouts" => self.payouts.keys().collect(),
            "balance_transactions" => {
                let inside = |payout: Option<&str>| form.get("payout").is_none_or(|it| payout == Some(it));
                self.bookings.iter().filter(|(_, it)| inside(it.payout.as_deref())).map(|(id, _)| id).collect()
            }
            _ => {
                let types = form.list("types");
                let wanted = |kind: &String| types.is_empty() || types.contains(kind);
                self.events.iter().filter(|(_, it)| wanted(&it.kind)).map(|(id, _)| id).collect()
            }
        };
        let mut data: Vec<Value> = ids.into_iter().rev().filter_map(|id| self.object(id)).collect();
        data.retain(|it| {
            ["payment_intent", "charge", "status", "source", "type"].iter().all(|field| fits(it, field, field))
                && form.within(it, "created")
                && form.within(it, "arrival_date")
        });
        if let Some(after) = form.get("starting_after") {
            let at = data.iter().position(|it| it["id"] == after);
            let at = at.ok_or_else(|| Problem::missing("object", after, "starting_after"))?;
            data.drain(..=at);
        }
        let limit = form.limit()?;
        let more = data.len() > limit;
        data.truncate(limit);
        Ok(json!({ "object": "list", "url": format!("/v1/{collection}"), "data": data, "has_more": more }))
    }
}

/// Parameters: of a form, or of the query.
struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `name[]=a&name[]=b`, and `name[0]=a` as well.
    fn list(&self, name: &str) -> Vec<String> {
        let of = |known: &str| known.strip_prefix(name).is_some_and(|it| it.starts_with('[') && it.ends_with(']'));
        self.pairs.iter().filter(|(known, _)| of(known)).map(|(_, value)| value.clone()).collect()
    }

    fn metadata(&self) -> Metadata {
        let key = |name: &str| name.strip_prefix("metadata[")?.strip_suffix(']').map(str::to_owned);
        self.pairs.iter().filter_map(|(name, value)| Some((key(name)?, value.clone()))).collect()
    }

    /// Stripe takes no parameter that it does not know.
    fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let base = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        match self.pairs.iter().map(|(name, _)| base(name)).find(|name| name != "expand" && !known.contains(&name.as_str())) {
            Some(name) => Err(Problem::parameter("parameter_unknown", &name, format!("Received unknown parameter: {name}"))),
            None => Ok(()),
        }
    }

    fn missing(&self, name: &str) -> Problem {
        Problem::parameter("parameter_missing", name, format!("Missing required param: {name}."))
    }

    fn amount(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refused = |message: String| Problem::parameter("parameter_invalid_integer", name, message);
        match text.parse::<i64>() {
            Ok(amount) if amount >= 1 => Ok(Some(amount)),
            Ok(_) => Err(refused("This value must be greater than or equal to 1.".into())),
            Err(_) => Err(refused(format!("Invalid integer: {text}"))),
        }
    }

    fn one_of(&self, name: &str, choices: &[&str]) -> Result<Option<String>, Problem> {
        match self.get(name) {
            Some(it) if !choices.contains(&it) => {
                let message = format!("Invalid {name}: must be one of {}", choices.join(", "));
                Err(Problem::parameter("parameter_invalid", name, message))
            }
            other => Ok(other.map(str::to_owned)),
        }
    }

    fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(10) };
        match text.parse() {
            Ok(limit) if (1..=MOST_IN_A_PAGE).contains(&limit) => Ok(limit),
            _ => Err(Problem::parameter("parameter_invalid_integer", "limit", format!("{text} is not from 1 to 100"))),
        }
    }

    /// `created[gte]=…&created[lte]=…`
    fn within(&self, value: &Value, field: &str) -> bool {
        let Some(at) = value[field].as_i64() else { return true };
        let bound = |name: &str| self.get(&format!("{field}[{name}]")).and_then(|it| it.parse::<i64>().ok());
        bound("gte").is_none_or(|it| at >= it)
            && bound("gt").is_none_or(|it| at > it)
            && bound("lte").is_none_or(|it| at <= it)
            && bound("lt").is_none_or(|it| at < it)
    }
}
