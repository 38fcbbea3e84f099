//! Worked examples of a connector's abilities, kept as JSON files in its `fixtures/` folder.

use serde::Deserialize;
use serde_json::Value;

/// One file of `fixtures/`.
#[derive(Clone, Copy)]
pub struct Fixture {
    /// File name without `.json`.
    pub name: &'static str,
    pub json: &'static str,
}

/// `fixtures!["receive_orders_create", …]`: the named files of the connector's `fixtures/` folder.
#[macro_export]
macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        &[$($crate::Fixture {
            name: $name,
            json: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/", $name, ".json")),
        }),*]
    };
}

/// What a fixture file holds. `expect` values are subsets: what they do not mention may be anything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// `receive`, an action such as `set_stock`, `read order`, `poll stock`, `subscribe`, `track`, `quote`, `pickup_points`
    /// or `checkout`.
    pub ability: String,
    /// What this example shows, as a sentence.
    pub shows: String,
    /// For `receive` and `checkout`: headers of the request, without the signature.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// For `receive` and `checkout`: the query of the address, without what proves it: `order=7`.
    #[serde(default)]
    pub query: Option<String>,
    /// For `receive`: secrets that the vendor gave when it was subscribed to.
    #[serde(default)]
    pub kept: Vec<String>,
    /// For `receive` and `checkout`: the body as JSON; it is sent as compact JSON. Where a token carries it, what is in the token.
    /// For `quote`: the [`spindel_model::RateRequest`]. For `pickup_points`: the [`spindel_model::PickupQuery`].
    #[serde(default)]
    pub body: Option<Value>,
    /// For `receive`: the body as exact text, instead of `body` (numbers stay as they are written).
    #[serde(default)]
    pub body_text: Option<String>,
    /// For actions: one, or several for a batch.
    #[serde(default)]
    pub actions: Vec<Value>,
    /// For `track`: what is asked about.
    #[serde(default)]
    pub parcels: Vec<crate::Parcel>,
    /// For `checkout`: what is answered.
    #[serde(default)]
    pub rates: Vec<spindel_model::Rate>,
    /// For actions: `perform` (the default) or `look_up`. For `subscribe`: `list`, `register` or `repair`.
    #[serde(default)]
    pub step: Option<String>,
    /// For actions: the link that is known, if any. For `subscribe` with step `repair`: the id of the subscription.
    #[serde(default)]
    pub known: Option<String>,
    #[serde(default)]
    pub maps: crate::Maps,
    /// For `read`: the id. For `subscribe` with step `register` or `repair`: the topic.
    #[serde(default)]
    pub id: Option<String>,
    /// For `poll`: where to go on.
    #[serde(default)]
    pub cursor: Option<String>,
    /// The calls that must be made, in this order, and the vendor's replies.
    #[serde(default)]
    pub exchanges: Vec<Expected>,
    /// For `receive` and `poll`: list of changes. For actions: list of `{"performed": …}` or `{"error": {"class": …}}`,
    /// for `look_up` also `null`. For `read`: the record or `null`. For `subscribe`: the subscription(s); with `"secret": "given"`
    /// where the vendor gives one. For `track`: list of changes. For `quote` and `pickup_points`: the list, or `{"error": …}`.
    /// For `checkout`: `{"request": …}`, and with `rates` also `"answer": {"status", "body"}`.
    pub expect: Value,
}

/// One call a connector must make, and the reply it gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub method: String,
    /// Path and query below the base URL; an absolute address where the connector uses one.
    pub path: String,
    /// Subset of the JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Subset of the headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    pub reply: ExpectedReply,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedReply {
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    pub body: Value,
}

fn ok() -> u16 {
    200
}

impl Fixture {
    pub fn example(&self) -> Result<Example, serde_json::Error> {
        serde_json::from_str(self.json)
    }
}

impl Example {
    /// The bytes of a `receive` or `checkout` example's body.
    pub fn body_bytes(&self) -> bytes::Bytes {
        match (&self.body_text, &self.body) {
            (Some(text), _) => bytes::Bytes::from(text.clone().into_bytes()),
            (None, Some(json)) => bytes::Bytes::from(json.to_string().into_bytes()),
            (None, None) => bytes::Bytes::new(),
        }
    }
}
