//! Communication preferences: who is subscribed to what, since when, and on which legal basis.

use super::{
    api::{Answer, Call, Problem, invalid, problem},
    objects::Kind,
    state::State,
};
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const BASES: [&str; 7] = [
    "LEGITIMATE_INTEREST_PQL",
    "LEGITIMATE_INTEREST_CLIENT",
    "PERFORMANCE_OF_CONTRACT",
    "CONSENT_WITH_NOTICE",
    "NON_GDPR",
    "PROCESS_AND_STORE",
    "LEGITIMATE_INTEREST_OTHER",
];
const CHANNEL: &str = "EMAIL";

/// How somebody stands to one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentView {
    /// `SUBSCRIBED`, `UNSUBSCRIBED` or `NOT_SPECIFIED`.
    pub state: String,
    pub at: Timestamp,
    pub legal_basis: Option<String>,
    pub explanation: Option<String>,
}

impl State {
    pub fn person_says(&mut self, email: &str, subscription: u64, state: &str) {
        self.set_consent(email, subscription, state, None, None);
    }

    fn set_consent(&mut self, email: &str, subscription: u64, state: &str, basis: Option<&str>, explanation: Option<&str>) {
        let view = ConsentView {
            state: state.to_owned(),
            at: self.options.clock.now(),
            legal_basis: basis.map(str::to_owned),
            explanation: explanation.map(str::to_owned),
        };
        self.consent.insert((email.to_lowercase(), subscription), view);
    }

    /// The API below `/communication-preferences/v4`.
    pub fn consent_api(&mut self, method: &Method, below: &[&str], call: &Call) -> Result<Answer, Problem> {
        match (method, below) {
            (&Method::GET, ["definitions"]) => {
                let row = |(id, name): &(u64, String)| json!({ "id": id.to_string(), "name": name, "isActive": true, "isDefault": false });
                let rows: Vec<Value> = self.options.subscriptions.iter().map(row).collect();
                Ok((StatusCode::OK, self.complete(rows)))
            }
            (&Method::GET, ["statuses", email]) => {
                self.check_channel(call.query("channel"))?;
                let rows = self.options.subscriptions.iter().map(|it| self.status(email, it)).collect();
                Ok((StatusCode::OK, self.complete(rows)))
            }
            (&Method::POST, ["statuses", email]) => self.set_status(email, &call.body),
            (&Method::POST, ["statuses", email, "unsubscribe-all"]) => {
                self.check_channel(call.query("channel"))?;
                let all = self.options.subscriptions.clone();
                for (id, _) in &all {
                    self.set_consent(email, *id, "UNSUBSCRIBED", None, None);
                }
                let address = email.to_lowercase();
                let contact = self.contacts().into_iter().find(|it| it.email.as_deref() == Some(&address));
                if let Some(id) = contact.and_then(|it| it.id.parse().ok()) {
                    let out = BTreeMap::from([("hs_email_optout".to_owned(), "true".to_owned())]);
                    self.put(Kind::Contact, id, out, "EMAIL");
                }
                let rows = all.iter().map(|it| self.status(email, it)).collect();
                Ok((StatusCode::OK, self.complete(rows)))
            }
            _ => Err(problem(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found")),
        }
    }

    fn check_channel(&self, channel: Option<&str>) -> Result<(), Problem> {
        if channel == Some(CHANNEL) {
            return Ok(());
        }
        Err(invalid("Invalid value for `channel`: expected one of [EMAIL]"))
    }

    fn set_status(&mut self, email: &str, body: &Value) -> Result<Answer, Problem> {
        self.check_channel(body["channel"].as_str())?;
        if !email.contains('@') {
            return Err(invalid("subscriberIdString is no email address"));
        }
        let known = self.options.subscriptions.iter().find(|(id, _)| body["subscriptionId"] == *id).cloned();
        let Some(subscription) = known else {
            return Err(invalid(format!("Subscription {} does not exist", body["subscriptionId"])));
        };
        let state = body["statusState"].as_str().unwrap_or_default();
        if !matches!(state, "SUBSCRIBED" | "UNSUBSCRIBED" | "NOT_SPECIFIED") {
            return Err(invalid("statusState must be one of [SUBSCRIBED, UNSUBSCRIBED, NOT_SPECIFIED]"));
        }
        let (basis, explanation) = (body["legalBasis"].as_str(), body["legalBasisExplanation"].as_str());
        if basis.is_some_and(|it| !BASES.contains(&it)) {
            return Err(invalid(format!("legalBasis must be one of [{}]", BASES.join(", "))));
        }
        let told = basis.is_some() && explanation.is_some_and(|it| !it.is_empty());
        if state == "SUBSCRIBED" && self.options.legal_basis_required && !told {
            return Err(invalid("legalBasis and legalBasisExplanation are required where data privacy settings are on"));
        }
        self.set_consent(email, subscription.0, state, basis, explanation);
        let row = self.status(email, &subscription);
        Ok((StatusCode::OK, self.complete(vec![row])))
    }

    fn status(&self, email: &str, (id, name): &(u64, String)) -> Value {
        let known = self.consent.get(&(email.to_lowercase(), *id));
        json!({
            "channel": CHANNEL, "status": known.map_or("NOT_SPECIFIED", |it| it.state.as_str()), "subscriptionId": id,
            "subscriptionName": name, "subscriberIdString": email, "source": "API",
            "timestamp": known.map_or(Timestamp::UNIX_EPOCH, |it| it.at).to_string(),
            "legalBasis": known.and_then(|it| it.legal_basis.clone()),
            "legalBasisExplanation": known.and_then(|it| it.explanation.clone()),
        })
    }

    fn complete(&self, results: Vec<Value>) -> Value {
        let now = self.options.clock.now().to_string();
        json!({ "status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now })
    }
}
