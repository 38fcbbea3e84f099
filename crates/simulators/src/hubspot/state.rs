//! All that the simulated account remembers, behind one lock, and the events it has to tell.

use super::{
    Options,
    api::Problem,
    consent::ConsentView,
    limits::Limits,
    objects::{Kind, Object},
    webhooks::{Batch, Event, Sent, client},
};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};
use tokio::sync::{mpsc, watch};

/// What the account refuses, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem.message)
    }
}

/// A contact as the account has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactView {
    pub id: String,
    pub email: Option<String>,
    pub properties: BTreeMap<String, String>,
}

/// A deal as the account has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealView {
    pub id: String,
    pub properties: BTreeMap<String, String>,
    /// Ids of the contacts it is associated with.
    pub contacts: Vec<String>,
}

/// The account behind its lock, and the way out for its events.
pub(crate) struct Account {
    state: Mutex<State>,
    events: mpsc::UnboundedSender<Event>,
    /// Events that are neither acknowledged nor given up.
    open: watch::Sender<usize>,
    pub client: Client,
}

impl Account {
    pub fn new(state: State) -> Result<(Self, mpsc::UnboundedReceiver<Event>), reqwest::Error> {
        let (events, queue) = mpsc::unbounded_channel();
        Ok((Self { state: Mutex::new(state), events, open: watch::Sender::new(0), client: client()? }, queue))
    }

    /// Runs under the lock; then what happened goes to the sender.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        for event in state.outbox.drain(..) {
            self.open.send_modify(|open| *open += 1);
            if self.events.send(event).is_err() {
                self.done(1);
            }
        }
        result
    }

    pub fn done(&self, events: usize) {
        self.open.send_modify(|open| *open = open.saturating_sub(events));
    }

    pub async fn settled(&self) {
        let mut open = self.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
    }
}

pub(crate) struct State {
    pub options: Options,
    pub objects: BTreeMap<Kind, BTreeMap<u64, Object>>,
    /// Deal and contact.
    pub associations: BTreeSet<(u64, u64)>,
    /// By address in small letters and subscription.
    pub consent: BTreeMap<(String, u64), ConsentView>,
    pub tokens: BTreeSet<String>,
    pub tokens_issued: u64,
    pub limits: Limits,
    pub calls: BTreeMap<String, u64>,
    pub target: Option<String>,
    pub outbox: Vec<Event>,
    pub last: Option<Batch>,
    pub sent: Sent,
    last_id: u64,
}

impl State {
    pub fn new(options: Options) -> Self {
        Self {
            tokens: BTreeSet::from([options.access_token.clone()]),
            options,
            objects: BTreeMap::new(),
            associations: BTreeSet::new(),
            consent: BTreeMap::new(),
            tokens_issued: 0,
            limits: Limits::default(),
            calls: BTreeMap::new(),
            target: None,
            outbox: Vec::new(),
            last: None,
            sent: Sent::default(),
            last_id: 100,
        }
    }

    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Something happened to an object. The kinds of the vendor name the object: `contact.creation`.
    pub fn tell(&mut self, kind: Kind, what: &str, id: u64, more: Value) {
        if self.target.is_none() {
            return;
        }
        let mut event = json!({
            "eventId": self.new_id(), "subscriptionId": 2_000_000 + what.len(), "portalId": self.options.portal_id, "appId": 3_141_592,
            "occurredAt": self.options.clock.now().as_millisecond(), "subscriptionType": format!("{}.{what}", kind.name()),
            "attemptNumber": 0, "objectId": id,
        });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        self.outbox.push(Event(event));
    }

    pub fn contacts(&self) -> Vec<ContactView> {
        let view = |(id, it): (&u64, &Object)| ContactView {
            id: id.to_string(),
            email: it.properties.get("email").cloned(),
            properties: it.properties.clone(),
        };
        self.objects.get(&Kind::Contact).into_iter().flatten().filter(|(_, it)| !it.archived).map(view).collect()
    }

    pub fn deals(&self) -> Vec<DealView> {
        let contacts = |id: u64| self.associations.iter().filter(|it| it.0 == id).map(|it| it.1.to_string()).collect();
        let view = |(id, it): (&u64, &Object)| DealView {
            id: id.to_string(),
            properties: it.properties.clone(),
            contacts: contacts(*id),
        };
        self.objects.get(&Kind::Deal).into_iter().flatten().filter(|(_, it)| !it.archived).map(view).collect()
    }
}
