//! A connector, connected to a simulated vendor over real HTTP, and a receiver that believes webhooks as Spindel does.
#![allow(clippy::unwrap_used, dead_code)]

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use serde_json::Value;
use spindel_connect::{Api, Around, CallError, Connection, Connector, Cursor, Incoming, Job, Journal, Maps, entry};
use spindel_http::{Client, MemoryTokens, Options};
use spindel_model::{Action, Change, Clock, EntityKind, Performed, Record};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering},
};
use uuid::Uuid;

/// A connected connector.
pub struct Hub {
    pub connection: Arc<dyn Connection>,
    pub api: Api,
    pub journal: Journal,
    pub clock: Clock,
    pub maps: Maps,
}

pub fn now() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

impl Hub {
    pub fn of<C: Connector>(settings: Value, clock: &Clock) -> Self {
        let entry = entry::<C>();
        let (connection, endpoint) = (entry.connect)(settings).unwrap();
        let mut options = Options::new("simulated", Clock::system(), Arc::new(MemoryTokens::default()));
        options.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let transport = Client::new().transport(endpoint, entry.budget, options).unwrap();
        let journal = Journal::default();
        let api = Api::new(Arc::new(transport), entry.refine, clock.clone()).with_journal(journal.clone());
        Self { connection, api, journal, clock: clock.clone(), maps: Maps::default() }
    }

    fn around<'a>(&'a self, index: usize, known: Option<&'a str>) -> Around<'a> {
        let key = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001 + index as u128);
        Around { from: "erp", key, known, maps: &self.maps, attempt: 1, now: self.clock.now() }
    }

    pub async fn perform_all(&self, actions: Vec<Value>) -> Vec<Result<Performed, CallError>> {
        let actions: Vec<Action> = actions.into_iter().map(|it| serde_json::from_value(it).unwrap()).collect();
        let job = |(index, action)| Job { action, around: self.around(index, None) };
        let jobs: Vec<Job<'_>> = actions.iter().enumerate().map(job).collect();
        self.connection.perform(&self.api, &jobs).unwrap().await
    }

    pub async fn perform(&self, known: Option<&str>, action: Value) -> Result<Performed, CallError> {
        let action: Action = serde_json::from_value(action).unwrap();
        let jobs = [Job { action: &action, around: self.around(0, known) }];
        self.connection.perform(&self.api, &jobs).unwrap().await.pop().unwrap()
    }

    pub async fn look_up(&self, known: Option<&str>, action: Value) -> Result<Option<Performed>, CallError> {
        let action: Action = serde_json::from_value(action).unwrap();
        self.connection.look_up(&self.api, Job { action: &action, around: self.around(0, known) }).unwrap().await
    }

    pub async fn read(&self, kind: EntityKind, id: &str) -> Option<Record> {
        self.connection.read(&self.api, kind, id).unwrap().await.unwrap()
    }

    /// All pages from the cursor on; the cursor is then where the next walk begins.
    pub async fn poll(&self, kind: EntityKind, cursor: &mut Option<Cursor>) -> Vec<Change> {
        let mut changes = Vec::new();
        for _ in 0..100 {
            let page = self.connection.poll(&self.api, kind, cursor.as_ref(), self.clock.now()).unwrap().await.unwrap();
            changes.extend(page.changes);
            *cursor = Some(page.cursor);
            if !page.more {
                return changes;
            }
        }
        panic!("the pages never end")
    }
}

/// What a Spindel would have taken in.
pub struct Receiver {
    connection: Arc<dyn Connection>,
    clock: Clock,
    origin: String,
    /// Answered instead of believing; 0 believes.
    answers: AtomicU16,
    believed: Mutex<Vec<Believed>>,
}

pub struct Believed {
    pub topic: String,
    pub key: Option<String>,
    pub body: Bytes,
    pub changes: Vec<Change>,
}

impl Receiver {
    pub async fn start(hub: &Hub) -> (Arc<Self>, String) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let url = format!("{origin}/in/here");
        let receiver = Arc::new(Self {
            connection: Arc::clone(&hub.connection),
            clock: hub.clock.clone(),
            origin,
            answers: AtomicU16::new(0),
            believed: Mutex::default(),
        });
        let router = Router::new().route("/in/here", post(take)).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    /// From now on everything is answered so; 0 ends it.
    pub fn answer(&self, status: u16) {
        self.answers.store(status, Ordering::SeqCst);
    }

    /// What was believed since the last time.
    pub fn take(&self) -> Vec<Believed> {
        std::mem::take(&mut *self.believed.lock().unwrap())
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if let Ok(status) = StatusCode::from_u16(receiver.answers.load(Ordering::SeqCst)) {
        return status.into_response();
    }
    let origin = receiver.origin.clone();
    let incoming = Incoming { method: http::Method::POST, uri: uri.to_string(), origin, headers, body: body.clone() };
    let connection = &receiver.connection;
    if let Some(answer) = connection.challenge(&incoming) {
        return answer.status.into_response();
    }
    let proof = connection.proof(&[]).unwrap();
    let Ok(verified) = proof.check(incoming, receiver.clock.now()) else { return StatusCode::UNAUTHORIZED.into_response() };
    let topic = connection.topic(&verified).unwrap().unwrap();
    let changes = connection.changes(&verified).unwrap().unwrap();
    let key = connection.delivery_key(&verified);
    receiver.believed.lock().unwrap().push(Believed { topic, key, body, changes });
    StatusCode::OK.into_response()
}
