//! Subscriptions and their notifications: the handshake, three days of life, retries, and the end of a subscription whose
//! address answers with anything that is neither a success nor worth another try.

use super::{
    Shared,
    api::{Ask, Reply, matched, part},
    schema,
    state::{Notice, Refusal, State, Subscription, text},
};
use crate::shopify::Forged;
use axum::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const LIFE: SignedDuration = SignedDuration::from_hours(72);
const MOST: usize = 200;
const LONGEST_STATE: usize = 2048;

/// A request with notifications, and what came back.
#[derive(Clone, Debug)]
pub struct SentNotifications {
    pub url: String,
    pub body: Value,
    /// `None` without an answer.
    pub status: Option<u16>,
}

/// What a caller wants of a subscription.
struct Wanted {
    url: String,
    resource: String,
    set: &'static str,
    client_state: String,
}

pub(super) async fn answer(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    shared.with(State::forget_expired);
    let (_, id) = part(ask.path.trim_matches('/'));
    let found = |state: &mut State| {
        let known = state.subscriptions.iter().find(|it| Some(it.id.as_str()) == id).cloned();
        known.ok_or_else(|| Refusal::new(404, "Internal_RecordNotFound", "The API Webhook Subscription does not exist."))
    };
    match (&ask.method, id) {
        (&Method::GET, None) => {
            let all = shared.with(|it| it.subscriptions.iter().map(Subscription::shown).collect::<Vec<_>>());
            Ok(Reply { status: 200, body: Some(json!({ "value": all })) })
        }
        (&Method::GET, Some(_)) => Ok(Reply { status: 200, body: Some(shared.with(found)?.shown()) }),
        (&Method::DELETE, Some(_)) => {
            let found = shared.with(found)?;
            matched(&found.etag, ask.if_match.as_deref())?;
            shared.with(|it| it.subscriptions.retain(|it| it.id != found.id));
            Ok(Reply { status: 204, body: None })
        }
        (&Method::POST, None) => {
            let wanted = shared.with(|it| it.wanted(ask))?;
            shared.with(|it| it.has_room_for(&wanted))?;
            shared.handshake(&wanted.url).await?;
            Ok(Reply { status: 201, body: Some(shared.with(|it| it.subscribe(wanted)).shown()) })
        }
        (&Method::PATCH, Some(_)) => {
            let found = shared.with(found)?;
            matched(&found.etag, ask.if_match.as_deref())?;
            let wanted = shared.with(|it| it.wanted(ask))?;
            shared.handshake(&wanted.url).await?;
            let renewed = shared.with(|it| it.renew(&found.id, wanted));
            Ok(Reply { status: 200, body: Some(renewed.unwrap_or(found).shown()) })
        }
        _ => Err(Refusal::new(405, "BadRequest_MethodNotAllowed", "The method is not allowed for 'subscriptions'.")),
    }
}

impl Subscription {
    fn shown(&self) -> Value {
        json!({
            "@odata.etag": self.etag, "subscriptionId": self.id, "notificationUrl": self.url, "resource": self.resource,
            "userId": Uuid::nil(), "lastModifiedDateTime": self.modified, "clientState": self.client_state,
            "expirationDateTime": self.expires,
        })
    }
}

impl State {
    fn wanted(&self, ask: &Ask) -> Result<Wanted, Refusal> {
        let body = ask.body.as_ref().ok_or_else(|| Refusal::new(400, "BadRequest", "Invalid Request Body"))?;
        let (url, resource, client_state) = (text(body, "notificationUrl"), text(body, "resource"), text(body, "clientState"));
        if url.is_empty() || resource.is_empty() {
            let problem = "Field 'notificationUrl' and 'resource' must not be blank or empty.";
            return Err(Refusal::new(400, "BadRequest_RequiredParamNotProvided", problem));
        }
        if client_state.chars().count() > LONGEST_STATE {
            return Err(Refusal::new(400, "Application_StringExceededLength", "The clientState is too long."));
        }
        let unsupported = || Refusal::new(400, "BadRequest", format!("The resource '{resource}' does not support webhooks."));
        let (above, name) = resource.rsplit_once('/').ok_or_else(unsupported)?;
        let (_, company) = part(above.rsplit('/').next().unwrap_or_default());
        if !company.is_some_and(|it| it.eq_ignore_ascii_case(&self.setup.company.to_string())) {
            return Err(unsupported());
        }
        let set = schema::set(name).ok().filter(|it| it.is_told).ok_or_else(unsupported)?;
        Ok(Wanted { url: url.into(), resource: resource.into(), set: set.name, client_state: client_state.into() })
    }

    fn has_room_for(&self, wanted: &Wanted) -> Result<(), Refusal> {
        if self.subscriptions.iter().any(|it| it.url == wanted.url && it.set == wanted.set) {
            let problem =
                "The API Webhook Subscription already exists. Identification fields and values: Notification Url, Resource";
            return Err(Refusal::new(400, "Internal_EntityWithSameKeyExists", problem));
        }
        if self.subscriptions.len() >= MOST {
            return Err(Refusal::dialog(format!("There can be {MOST} subscriptions at most.")));
        }
        Ok(())
    }

    fn subscribe(&mut self, wanted: Wanted) -> Subscription {
        let (now, etag) = (self.now(), self.etag());
        let made = Subscription {
            id: Uuid::new_v4().simple().to_string(),
            url: wanted.url,
            resource: wanted.resource,
            set: wanted.set,
            client_state: wanted.client_state,
            etag,
            modified: now,
            expires: now + LIFE,
        };
        self.subscriptions.push(made.clone());
        made
    }

    fn renew(&mut self, id: &str, wanted: Wanted) -> Option<Subscription> {
        let (now, etag) = (self.now(), self.etag());
        let known = self.subscriptions.iter_mut().find(|it| it.id == id)?;
        (known.url, known.resource, known.set) = (wanted.url, wanted.resource, wanted.set);
        (known.client_state, known.etag, known.modified, known.expires) = (wanted.client_state, etag, now, now + LIFE);
        Some(known.clone())
    }

    /// Requests that are due, by address: one entry for each subscription and record.
    fn letters(&mut self) -> BTreeMap<String, Vec<Value>> {
        self.forget_expired();
        let notices = std::mem::take(&mut self.notices);
        let mut letters: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for subscription in &self.subscriptions {
            let mine: Vec<&Notice> = notices.iter().filter(|it| it.set == subscription.set).collect();
            let letter = letters.entry(subscription.url.clone()).or_default();
            let collection = format!("api/v2.0/companies({})/{}", self.setup.company, subscription.set);
            let (Some(first), Some(last)) = (mine.iter().map(|it| it.at).min(), mine.last()) else { continue };
            let entry = |resource: String, change: &str, at| {
                json!({
                    "subscriptionId": subscription.id, "clientState": subscription.client_state,
                    "expirationDateTime": subscription.expires, "resource": resource, "changeType": change,
                    "lastModifiedDateTime": at,
                })
            };
            if mine.len() > self.setup.collection_above {
                let resource = format!("/{collection}?$filter=lastDateTimeModified%20gt%20{first}");
                letter.push(entry(resource, "collection", last.at));
            } else {
                letter.extend(mine.iter().map(|it| entry(format!("{collection}({})", it.id), it.change, it.at)));
            }
        }
        letters.retain(|_, entries| !entries.is_empty());
        letters
    }

    fn refused(&mut self, body: &Value) {
        let named: Vec<&str> =
            body["value"].as_array().into_iter().flatten().filter_map(|it| it["subscriptionId"].as_str()).collect();
        self.subscriptions.retain(|it| !named.contains(&it.id.as_str()));
    }
}

async fn gives_back(mut answer: reqwest::Response, token: &str) -> bool {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > 2 * token.len() {
            return false;
        }
    }
    body.trim_ascii() == token.as_bytes()
}

impl Shared {
    /// The address must give a token back before anything is made or renewed.
    async fn handshake(&self, url: &str) -> Result<(), Refusal> {
        let token = Uuid::new_v4().to_string();
        let sign = if url.contains('?') { '&' } else { '?' };
        let answer = self.client.post(format!("{url}{sign}validationToken={token}")).send().await;
        let given_back = match answer {
            Ok(answer) if answer.status().as_u16() == 200 => gives_back(answer, &token).await,
            _ => false,
        };
        let problem = "The handshake with the notificationUrl failed: the validationToken did not come back with status 200.";
        if given_back { Ok(()) } else { Err(Refusal::new(400, "BadRequest", problem)) }
    }

    /// Sends what is due, and comes back when all of it was taken, refused or given up.
    pub(super) async fn deliver(&self) {
        let _one_at_a_time = self.sending.lock().await;
        loop {
            let letters = self.with(State::letters);
            if letters.is_empty() {
                return;
            }
            for (url, entries) in letters {
                self.send(&url, json!({ "value": entries })).await;
            }
        }
    }

    async fn send(&self, url: &str, body: Value) {
        let mut waits = self.with(|it| it.setup.retry_waits.clone()).into_iter();
        loop {
            let status = self.post(url, &body).await;
            self.log(SentNotifications { url: url.to_owned(), body: body.clone(), status });
            match status {
                Some(200..=299) => return,
                None | Some(408 | 429 | 500..=599) => {}
                Some(_) => return self.with(|it| it.refused(&body)),
            }
            let Some(wait) = waits.next() else { return };
            tokio::time::sleep(wait).await;
        }
    }

    async fn post(&self, url: &str, body: &Value) -> Option<u16> {
        let request = self.client.post(url).header("content-type", "application/json").body(body.to_string());
        request.send().await.ok().map(|it| it.status().as_u16())
    }

    /// The last request of each address once more, as retries after a lost answer do.
    pub(super) async fn send_again(&self) {
        let newest: BTreeMap<String, Value> = self.sent().into_iter().map(|it| (it.url, it.body)).collect();
        for (url, body) in newest {
            self.send(&url, body).await;
        }
    }

    /// Requests that nobody but a stranger sends; no subscription suffers from their answers.
    pub(super) async fn forge(&self, url: &str, n: usize) -> Forged {
        let mut forged = Forged::default();
        let company = self.with(|it| it.setup.company);
        for kind in 0..n {
            let mut entry = json!({
                "subscriptionId": Uuid::new_v4().simple().to_string(), "clientState": "guessed-by-a-stranger", "changeType": "updated",
                "resource": format!("api/v2.0/companies({company})/items({})", Uuid::new_v4()),
                "lastModifiedDateTime": "2026-11-20T10:00:00Z", "expirationDateTime": "2026-11-23T10:00:00Z",
            });
            match kind % 4 {
                0 => {}
                1 => entry["clientState"] = json!(""),
                2 => entry["clientState"] = json!(["guessed"]),
                _ => drop(entry.as_object_mut().and_then(|it| it.remove("clientState"))),
            }
            let status = self.post(url, &json!({ "value": [entry] })).await;
            forged.sent += 1;
            forged.accepted += u64::from(status.is_some_and(|it| it < 300));
        }
        forged
    }
}
