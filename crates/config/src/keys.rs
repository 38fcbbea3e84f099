//! Every key of the config file but those of the connectors, with its default and what it is for.

use crate::section::{Key, Shape};
use spindel_model::{ActionKind, Topic};

pub(crate) const ROOT: &[Key] = &[
    Key::optional("server", Shape::Table(SERVER), "how Spindel is reached"),
    Key::optional("store", Shape::Table(STORE), "where everything is kept"),
    Key::optional("queue", Shape::Table(QUEUE), "what carries work between the parts of Spindel"),
    Key::optional("outbound", Shape::Table(OUTBOUND), "where Spindel may call"),
    Key::optional("connections", Shape::Connections, "the accounts at vendors, by name"),
    Key::optional("flows", Shape::Named(FLOW), "which changes become which actions, by name"),
    Key::optional(
        "rates",
        Shape::Named(RATES),
        "what a shop's checkout is told about carriers, by the name of the shop's connection",
    ),
    Key::optional("payments", Shape::Table(PAYMENTS), "whose orders, payments and payouts must agree"),
    Key::optional("maps", Shape::Maps, "how codes of one system are called in the other: tables of text, by name"),
    Key::optional("tests", Shape::Tables(TEST), "what is expected of the flows; `spindel check` runs them"),
];

pub(crate) const SERVER: &[Key] = &[
    Key::default("listen", Shape::Text, "127.0.0.1:8400", "address and port that Spindel listens on for webhooks"),
    Key::default(
        "admin",
        Shape::Text,
        "127.0.0.1:8401",
        "address and port of /healthz, /readyz and /metrics, never to be reached from the internet; \"off\" for none",
    ),
    Key::optional("node", Shape::Text, "what this node is called among several, with a random end; by default as its host"),
    Key::optional("public_url", Shape::Text, "how vendors reach this Spindel; webhooks are registered with it"),
    Key::default("drain", Shape::Duration, "20s", "how long a stop may take: what runs is finished, the rest is released"),
];

pub(crate) const STORE: &[Key] = &[
    Key::default(
        "url",
        Shape::Text,
        "sqlite://data/spindel.db",
        "the database: sqlite://path, from the working folder, for one node; or postgres://user@host:5432/database, for \
         any number",
    ),
    Key::optional("password", Shape::Secret, "the password of the user in a postgres url"),
    Key::optional(
        "ca",
        Shape::Text,
        "PEM file of the authority that signed the database's certificate; else those that the system trusts",
    ),
    Key::optional("schema", Shape::Text, "the schema of the database in which the tables stand, made when it is missing"),
    Key::default("retention", Shape::Duration, "30d", "how long events that ended are kept"),
    Key::optional("encryption_key", Shape::Secret, "32 bytes in base64; payloads and kept credentials are encrypted with it"),
];

pub(crate) const QUEUE: &[Key] = &[
    Key::default(
        "url",
        Shape::Text,
        "embedded",
        "`embedded`, inside the process; or RabbitMQ: amqp://user@host:5672/vhost, amqps:// with TLS",
    ),
    Key::optional("password", Shape::Secret, "the password of the user in an amqp url"),
    Key::optional(
        "ca",
        Shape::Text,
        "PEM file of the authority that signed the broker's certificate; else those that the system trusts",
    ),
    Key::default("prefix", Shape::Text, "spindel", "what the names of exchanges and queues at the broker begin with"),
];

pub(crate) const OUTBOUND: &[Key] =
    &[Key::optional("allow", Shape::Texts, "private networks that may be called, as in \"10.0.0.0/8\"; none are by default")];

/// Keys that every connection has, whatever its connector.
pub(crate) const CONNECTION: &[Key] = &[
    Key::needed("connector", Shape::Text, "the vendor this is an account at"),
    Key::default("body_limit", Shape::Size, "2MiB", "the largest webhook that is accepted"),
    Key::default(
        "insecure_accept_unsigned",
        Shape::Flag,
        "false",
        "believe requests without a proof; for tests behind a wall only",
    ),
    Key::default("concurrency", Shape::Whole, "4", "deliveries to this connection at the same time"),
    Key::default("timeout", Shape::Duration, "30s", "for one call to the vendor"),
];

pub(crate) const FLOW: &[Key] = &[
    Key::needed("from", Shape::Text, "the connection that changes come from"),
    Key::needed("on", Shape::Choices(topics), "the topics that are carried"),
    Key::needed("to", Shape::Text, "the connection that is asked to act"),
    Key::needed("do", Shape::Choice(actions), "the action that is asked of it"),
    Key::optional("when", Shape::Filter, "conditions on the record; all must hold"),
    Key::default("lag", Shape::Duration, "0s", "how long to wait after arrival, for edits to settle"),
    Key::default(
        "trust",
        Shape::Choice(trust),
        "payload",
        "`payload` applies the webhook's content, `refetch` reads the record back first",
    ),
    Key::optional("every", Shape::Duration, "poll the source this often"),
    Key::optional(
        "attributes",
        Shape::TextMap,
        "for upsert_product: field at the destination = attribute of the source; fields are title, description, brand, category, \
         handle, tags, and names of the shop's own",
    ),
    Key::optional("map", Shape::Text, "a jq program over the action"),
    Key::optional("retry", Shape::Table(RETRY), "when an action is tried again"),
];

pub(crate) const RATES: &[Key] = &[
    Key::needed("carriers", Shape::Texts, "the connections that are asked, all at once"),
    Key::default("deadline", Shape::Duration, "2s", "the checkout is answered within this time, whoever is late"),
    Key::default("keep", Shape::Duration, "10m", "how long an answer is good for the same question"),
    Key::optional("token", Shape::Secret, "`Authorization: Bearer …` of questions in plain JSON"),
    Key::optional("fallback", Shape::Tables(FALLBACK), "what is offered when no carrier answers"),
];

pub(crate) const FALLBACK: &[Key] = &[
    Key::needed("service", Shape::Text, "code of the service, as a booking asks for it"),
    Key::needed("title", Shape::Text, "what the buyer reads"),
    Key::needed("price", Shape::Text, "with tax, as in \"99.00 NOK\""),
    Key::optional("countries", Shape::Texts, "two letters each; without it, all"),
    Key::optional("up_to_grams", Shape::Whole, "for goods of this weight at most"),
    Key::optional("days", Shape::Whole, "until it is there at the latest"),
];

pub(crate) const PAYMENTS: &[Key] = &[
    Key::needed("orders", Shape::Texts, "the connections whose orders are what was sold"),
    Key::needed("providers", Shape::Texts, "the connections whose transactions and payouts are what was paid"),
    Key::default("every", Shape::Duration, "1h", "ask the providers for transactions and payouts this often"),
    Key::default("payment_after", Shape::Duration, "1d", "how long a payment may take before `spindel payments` misses it"),
    Key::default("payout_after", Shape::Duration, "14d", "how long a payout may take before it is missed"),
    Key::default("warn_before", Shape::Duration, "2d", "tell of an authorisation that lapses uncaptured this long before"),
    Key::optional(
        "except",
        Shape::Texts,
        "gateways of orders, in the shop's word, that are paid elsewhere: \"manual\", \"gift_card\"",
    ),
];

pub(crate) const RETRY: &[Key] = &[
    Key::default("first", Shape::Duration, "5s", "pause before the second try"),
    Key::default("factor", Shape::Number, "4", "each pause is longer by this factor"),
    Key::default("max", Shape::Duration, "12h", "the longest pause"),
    Key::default("give_up_after", Shape::Duration, "72h", "after this long a delivery ends as dead"),
];

pub(crate) const TEST: &[Key] = &[
    Key::needed("name", Shape::Text, "what is tested, as a sentence"),
    Key::needed("connection", Shape::Text, "the connection that it comes from"),
    Key::optional("fixture", Shape::Text, "one of the connector's own worked examples"),
    Key::optional("webhook", Shape::Table(WEBHOOK), "a webhook as the vendor sends it; no signature is needed"),
    Key::optional("change", Shape::Table(CHANGE), "a change: what is not given is filled with invented data"),
    Key::needed("expect", Shape::Tables(EXPECT), "one entry for each delivery that must come of it; an empty list for none"),
];

pub(crate) const WEBHOOK: &[Key] = &[
    Key::optional("headers", Shape::TextMap, "request headers"),
    Key::needed("body", Shape::TextOrFree, "the body, as text or as a table that is sent as JSON"),
];

pub(crate) const CHANGE: &[Key] = &[
    Key::needed("topic", Shape::Choice(topics), "what happened"),
    Key::optional("record", Shape::Free, "the fields that matter to the test"),
];

pub(crate) const EXPECT: &[Key] = &[
    Key::needed("flow", Shape::Text, "the flow that carries it"),
    Key::optional("action", Shape::Free, "what the action must hold; what is not mentioned may be anything"),
    Key::optional("skipped", Shape::Text, "part of the reason why nothing is sent"),
];

fn topics() -> Vec<&'static str> {
    Topic::ALL.iter().map(|it| it.as_str()).collect()
}

fn actions() -> Vec<&'static str> {
    ActionKind::ALL.iter().map(|it| it.as_str()).collect()
}

fn trust() -> Vec<&'static str> {
    vec!["payload", "refetch"]
}
