//! A vendor that does as a test says, and remembers all that was asked of it.

use spindel_connect::{
    Answer as Handshake, Api, BoxFuture, CallError, Connection, Cursor, Described, Incoming, Info, Job, Kind, Page, ParseError,
    Proof, Registered, Repeat, Subscription, Verified,
};
use spindel_model::{Action, ActionKind, Change, Clock, EntityKind, Performed, Record, Timestamp};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// What becomes of one action.
#[derive(Clone)]
pub enum Answer {
    Done,
    /// Done, and known there under this id.
    Known(&'static str),
    /// Done, and this came of it.
    Made(Box<Performed>),
    Fail(CallError),
    /// Nothing until it is released; then it is done.
    Hang,
    Panic,
    /// Done once `[maps.NAME]` has the key.
    Needs {
        map: &'static str,
        key: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Perform,
    LookUp,
    Read,
}

/// One thing that was asked.
#[derive(Clone, Debug)]
pub struct Call {
    pub what: What,
    /// The id of the order, the SKU of the stock.
    pub id: String,
    pub note: Option<String>,
    pub at: Timestamp,
    /// The same for all actions of one batch.
    pub number: usize,
    pub key: Option<Uuid>,
    pub attempt: u32,
}

pub struct Vendor {
    clock: Clock,
    repeat: Repeat,
    batch: usize,
    book: Mutex<Book>,
    released: Notify,
}

struct Book {
    usual: Answer,
    next: HashMap<String, VecDeque<Answer>>,
    found: HashMap<String, VecDeque<Result<Option<Performed>, CallError>>>,
    records: HashMap<String, Result<Option<Record>, CallError>>,
    panics: HashSet<String>,
    held: HashSet<String>,
    calls: Vec<Call>,
    numbers: usize,
    running: HashMap<String, usize>,
    most_at_once: usize,
    most_of_one: usize,
}

impl Vendor {
    pub fn new(clock: Clock, repeat: Repeat, batch: usize) -> Self {
        let book = Book {
            usual: Answer::Done,
            next: HashMap::new(),
            found: HashMap::new(),
            records: HashMap::new(),
            panics: HashSet::new(),
            held: HashSet::new(),
            calls: Vec::new(),
            numbers: 0,
            running: HashMap::new(),
            most_at_once: 0,
            most_of_one: 0,
        };
        Self { clock, repeat, batch, book: Mutex::new(book), released: Notify::new() }
    }

    /// The answer to everything that has none of its own.
    pub fn usually(&self, answer: Answer) {
        self.book().usual = answer;
    }

    /// The answers to the next actions for this id, before the usual one.
    pub fn next(&self, id: &str, answers: impl IntoIterator<Item = Answer>) {
        self.book().next.entry(id.to_owned()).or_default().extend(answers);
    }

    /// What the next look-up for this id gives; without it, nothing is found.
    pub fn find(&self, id: &str, found: Result<Option<Performed>, CallError>) {
        self.book().found.entry(id.to_owned()).or_default().push_back(found);
    }

    /// The next look-up for this id panics.
    pub fn panic_over_look_up(&self, id: &str) {
        self.book().panics.insert(id.to_owned());
    }

    /// What reading this id gives from now on; without it, there is no such record.
    pub fn record(&self, id: &str, record: Result<Option<Record>, CallError>) {
        self.book().records.insert(id.to_owned(), record);
    }

    /// Ends the hanging of this id.
    pub fn release(&self, id: &str) {
        self.book().held.remove(id);
        self.released.notify_waiters();
    }

    /// Ends all hanging; from now on everything is done at once.
    pub fn release_all(&self) {
        let mut book = self.book();
        book.usual = Answer::Done;
        book.next.clear();
        book.held.clear();
        drop(book);
        self.released.notify_waiters();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.book().calls.clone()
    }

    /// What was asked about this id, in order.
    pub fn calls_of(&self, id: &str) -> Vec<What> {
        self.book().calls.iter().filter(|call| call.id == id).map(|call| call.what).collect()
    }

    /// Ids of actions that are being performed.
    pub fn running(&self) -> Vec<String> {
        self.book().running.iter().filter(|(_, count)| **count > 0).map(|(id, _)| id.clone()).collect()
    }

    /// Most actions that ran at the same time: in all, and for one id.
    pub fn most(&self) -> (usize, usize) {
        let book = self.book();
        (book.most_at_once, book.most_of_one)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: What, id: &str, number: usize, job: Option<&Job<'_>>) {
        let note = job.and_then(|job| match job.action {
            Action::PushOrder(it) => it.order.note.clone(),
            _ => None,
        });
        let (key, attempt) = job.map_or((None, 0), |job| (Some(job.around.key), job.around.attempt));
        let call = Call { what, id: id.to_owned(), note, at: self.clock.now(), number, key, attempt };
        self.book().calls.push(call);
    }

    fn number(&self) -> usize {
        let mut book = self.book();
        book.numbers += 1;
        book.numbers
    }

    fn answer(&self, id: &str) -> Answer {
        let mut book = self.book();
        let own = book.next.get_mut(id).and_then(VecDeque::pop_front);
        let answer = own.unwrap_or_else(|| book.usual.clone());
        if matches!(answer, Answer::Hang) {
            book.held.insert(id.to_owned());
        }
        answer
    }

    async fn until_released(&self, id: &str) {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            // Listen before looking, so that a release between the two is not missed.
            released.as_mut().enable();
            if !self.book().held.contains(id) {
                return;
            }
            released.await;
        }
    }

    async fn one(&self, job: &Job<'_>, id: &str) -> Result<Performed, CallError> {
        match self.answer(id) {
            Answer::Done => Ok(Performed::done()),
            Answer::Known(there) => Ok(Performed::at(there)),
            Answer::Made(performed) => Ok(*performed),
            Answer::Fail(error) => Err(error),
            Answer::Hang => {
                self.until_released(id).await;
                Ok(Performed::done())
            }
            Answer::Panic => panic!("the test wants a panic over {id}"),
            Answer::Needs { map, key } => job.around.maps.require("push_order", map, key).map(|_| Performed::done()),
        }
    }
}

/// Counts an action as running until it is dropped, also by a panic.
struct Running<'a>(&'a Vendor, String);

impl<'a> Running<'a> {
    fn start(vendor: &'a Vendor, id: &str) -> Self {
        let mut book = vendor.book();
        *book.running.entry(id.to_owned()).or_default() += 1;
        book.most_of_one = book.most_of_one.max(book.running[id]);
        book.most_at_once = book.most_at_once.max(book.running.values().sum());
        Self(vendor, id.to_owned())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0.book().running.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

fn id_of(action: &Action) -> String {
    match action {
        Action::SetStock(it) => it.stock.sku.clone().unwrap(),
        other => other.lane().id,
    }
}

impl Connection for Vendor {
    fn info(&self) -> Info {
        Info { id: "scripted", name: "Scripted", kind: Kind::Generic, about: "does as a test says" }
    }

    fn abilities(&self) -> Vec<Described> {
        vec![Described::Reads(EntityKind::Order)]
    }

    fn performs(&self, _: ActionKind) -> Option<(Repeat, usize)> {
        Some((self.repeat, self.batch))
    }

    fn perform<'a>(&'a self, _: &'a Api, jobs: &'a [Job<'a>]) -> Option<BoxFuture<'a, Vec<Result<Performed, CallError>>>> {
        let number = self.number();
        Some(Box::pin(async move {
            let ids: Vec<String> = jobs.iter().map(|job| id_of(job.action)).collect();
            let _running: Vec<Running<'_>> = ids.iter().map(|id| Running::start(self, id)).collect();
            for (job, id) in jobs.iter().zip(&ids) {
                self.note(What::Perform, id, number, Some(job));
            }
            let mut results = Vec::new();
            for (job, id) in jobs.iter().zip(&ids) {
                results.push(self.one(job, id).await);
            }
            results
        }))
    }

    fn look_up<'a>(&'a self, _: &'a Api, job: Job<'a>) -> Option<BoxFuture<'a, Result<Option<Performed>, CallError>>> {
        let id = id_of(job.action);
        self.note(What::LookUp, &id, self.number(), Some(&job));
        assert!(!self.book().panics.remove(&id), "the test wants a panic over looking up {id}");
        let found = self.book().found.get_mut(&id).and_then(VecDeque::pop_front).unwrap_or(Ok(None));
        Some(Box::pin(async move { found }))
    }

    fn read<'a>(&'a self, _: &'a Api, _: EntityKind, id: &'a str) -> Option<BoxFuture<'a, Result<Option<Record>, CallError>>> {
        self.note(What::Read, id, self.number(), None);
        let record = self.book().records.get(id).cloned().unwrap_or(Ok(None));
        Some(Box::pin(async move { record }))
    }

    fn proof(&self, _kept: &[spindel_connect::Secret]) -> Option<Proof> {
        None
    }

    fn topic(&self, _: &Verified) -> Option<Result<String, ParseError>> {
        None
    }

    fn delivery_key(&self, _: &Verified) -> Option<String> {
        None
    }

    fn changes(&self, _: &Verified) -> Option<Result<Vec<Change>, ParseError>> {
        None
    }

    fn challenge(&self, _: &Incoming) -> Option<Handshake> {
        None
    }

    fn poll<'a>(
        &'a self,
        _: &'a Api,
        _: EntityKind,
        _: Option<&'a Cursor>,
        _: Timestamp,
    ) -> Option<BoxFuture<'a, Result<Page, CallError>>> {
        None
    }

    fn subscription_topics(&self) -> &'static [&'static str] {
        &[]
    }

    fn subscriptions<'a>(&'a self, _: &'a Api) -> Option<BoxFuture<'a, Result<Vec<Subscription>, CallError>>> {
        None
    }

    fn subscribe<'a>(&'a self, _: &'a Api, _: &'a str, _: &'a str) -> Option<BoxFuture<'a, Result<Registered, CallError>>> {
        None
    }

    fn probe<'a>(&'a self, _: &'a Api) -> BoxFuture<'a, Result<String, CallError>> {
        Box::pin(async { Ok("scripted".into()) })
    }
}
