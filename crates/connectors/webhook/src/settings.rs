//! What a shop writes about a webhook connection, and what is made of it.

use crate::{Sender, Webhook};
use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use spindel_connect::{ConfigError, Digest, Encoding, Hmac, Part, Proof, Secret, Secrets};
use spindel_model::Topic;
use std::{collections::BTreeMap, time::Duration};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where changes are sent: `https://…`. Needed to send.
    url: Option<String>,
    /// Sent with every change, for receivers that want a key of their own.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// Sign what is sent, by Standard Webhooks; with several, there is a signature for each.
    #[serde(default)]
    signing_secrets: Secrets,
    /// How incoming requests prove themselves and what they mean. Needed to receive.
    receive: Option<Receiving>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiving {
    scheme: Scheme,
    /// Accepted secrets; with scheme `standard-webhooks`, `signing_secrets` when left out.
    #[serde(default)]
    secrets: Secrets,
    /// Header with the signature or the token. With `hmac` and `token`.
    header: Option<String>,
    /// `sha256` when left out. With `hmac`.
    digest: Option<Digest>,
    /// `hex` when left out. With `hmac`.
    encoding: Option<Encoding>,
    /// Text before the signature in its header, as in `sha256=`. With `hmac`.
    prefix: Option<String>,
    /// Header with the time in seconds since 1970; what is signed is then time, a dot and the body. With `hmac`.
    timestamp_header: Option<String>,
    /// How far that time may be from now: `"5m"` when left out.
    tolerance: Option<String>,
    /// What every request means: `order.created`. The body is then the bare record.
    topic: Option<String>,
    /// Header that says what a request means. The body is then the bare record.
    topic_header: Option<String>,
    /// Header with the sender's own id of the request, by which a repetition is known.
    delivery_header: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Standard Webhooks 1.0.0, signature version `v1`.
    StandardWebhooks,
    /// HMAC of the body in a header.
    Hmac,
    /// A fixed secret in a header: says nothing about the body.
    Token,
}

/// How requests are believed and understood.
pub(crate) struct Receiver {
    pub(crate) scheme: Verifying,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) meaning: Meaning,
    pub(crate) delivery_header: Option<String>,
}

pub(crate) enum Verifying {
    StandardWebhooks,
    Hmac(Hmac),
    Token { header: String },
}

/// Where a request says what it is about.
pub(crate) enum Meaning {
    /// In its body, which has the form that Spindel sends.
    Envelope,
    /// In the settings: always the same.
    Fixed(Topic),
    Header(String),
}

/// They are set for each request.
const OURS: [&str; 7] =
    ["connection", "content-length", "content-type", "host", "webhook-id", "webhook-signature", "webhook-timestamp"];
const TOLERANCE: Duration = Duration::from_secs(300);

impl Config {
    pub(crate) fn connect(self) -> Result<Webhook, ConfigError> {
        let secrets = self.signing_secrets.all();
        if secrets.iter().any(Secret::is_empty) {
            return Err(ConfigError::new("signing_secrets", "a secret is empty"));
        }
        let receiver = self.receive.map(|it| it.receiver(&secrets)).transpose()?;
        let sender = match self.url {
            Some(url) => Some(sender(url, self.headers, secrets)?),
            None if !self.headers.is_empty() => return Err(ConfigError::new("headers", "nothing is sent without `url`")),
            None => None,
        };
        if sender.is_none() && receiver.is_none() {
            return Err(ConfigError::new("", "set `url` to send, `receive` to receive, or both"));
        }
        Ok(Webhook { sender, receiver })
    }
}

fn sender(url: String, headers: BTreeMap<String, Secret>, secrets: Vec<Secret>) -> Result<Sender, ConfigError> {
    let parsed: Option<Uri> = url.parse().ok();
    let authority = parsed.as_ref().and_then(Uri::authority);
    if !(url.starts_with("https://") || url.starts_with("http://")) || authority.is_none() {
        return Err(ConfigError::new("url", "expected a whole address, as in `https://erp.example.com/hooks`"));
    }
    if authority.is_some_and(|it| it.as_str().contains('@')) {
        return Err(ConfigError::new("url", "must not hold a user name; put credentials into `headers`"));
    }
    if secrets.is_empty() {
        return Err(ConfigError::new("signing_secrets", "needed to sign what is sent to `url`"));
    }
    let headers = headers.into_iter().map(|(name, value)| extra_header(&name, value)).collect::<Result<_, _>>()?;
    Ok(Sender { url, headers, secrets })
}

fn extra_header(name: &str, value: Secret) -> Result<(HeaderName, Secret), ConfigError> {
    let problem = |text: &str| ConfigError::new(format!("headers.{name}"), text);
    let header = header_name(name).ok_or_else(|| problem("is no header name"))?;
    if OURS.contains(&header.as_str()) {
        return Err(problem("is set by Spindel itself"));
    }
    if HeaderValue::from_str(value.expose()).is_err() {
        return Err(problem("its value holds a character that no header can (value withheld)"));
    }
    Ok((header, value))
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::try_from(text).ok()
}

impl Receiving {
    fn receiver(self, signing_secrets: &[Secret]) -> Result<Receiver, ConfigError> {
        self.check_headers()?;
        self.check_what_belongs_to_the_scheme()?;
        let mut secrets = self.secrets.all();
        if secrets.is_empty() && self.scheme == Scheme::StandardWebhooks {
            secrets = signing_secrets.to_vec();
        }
        if secrets.is_empty() || secrets.iter().any(Secret::is_empty) {
            return Err(problem("secrets", "at least one secret is needed, and none may be empty"));
        }
        let meaning = self.meaning()?;
        let delivery_header = match self.scheme {
            Scheme::StandardWebhooks => self.delivery_header.clone().or_else(|| Some("webhook-id".to_owned())),
            _ => self.delivery_header.clone(),
        };
        Ok(Receiver { scheme: self.verifying()?, secrets, meaning, delivery_header })
    }

    fn check_headers(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("header", &self.header),
            ("timestamp_header", &self.timestamp_header),
            ("topic_header", &self.topic_header),
            ("delivery_header", &self.delivery_header),
        ] {
            if value.as_deref().is_some_and(|it| header_name(it).is_none()) {
                return Err(problem(field, "is no header name"));
            }
        }
        Ok(())
    }

    fn check_what_belongs_to_the_scheme(&self) -> Result<(), ConfigError> {
        let scheme = self.scheme;
        for (field, given, belongs) in [
            ("header", self.header.is_some(), scheme != Scheme::StandardWebhooks),
            ("digest", self.digest.is_some(), scheme == Scheme::Hmac),
            ("encoding", self.encoding.is_some(), scheme == Scheme::Hmac),
            ("prefix", self.prefix.is_some(), scheme == Scheme::Hmac),
            ("timestamp_header", self.timestamp_header.is_some(), scheme == Scheme::Hmac),
            ("tolerance", self.tolerance.is_some(), self.timestamp_header.is_some()),
        ] {
            if given && !belongs {
                let of = if field == "tolerance" { "`timestamp_header`" } else { "this `scheme`" };
                return Err(problem(field, &format!("has no meaning without {of}: remove it")));
            }
        }
        Ok(())
    }

    fn verifying(self) -> Result<Verifying, ConfigError> {
        if self.scheme == Scheme::StandardWebhooks {
            return Ok(Verifying::StandardWebhooks);
        }
        let header = self.header.ok_or_else(|| problem("header", "needed: which header holds the signature or the token?"))?;
        if self.scheme == Scheme::Token {
            return Ok(Verifying::Token { header });
        }
        let mut hmac = Proof::hmac(header)
            .digest(self.digest.unwrap_or(Digest::Sha256))
            .encoding(self.encoding.unwrap_or(Encoding::Hex))
            .prefix(self.prefix.unwrap_or_default());
        if let Some(header) = self.timestamp_header {
            let tolerance = self.tolerance.as_deref().map_or(Ok(TOLERANCE), duration)?;
            hmac = hmac.over(vec![Part::Header(header.clone()), Part::Text("."), Part::Body]).fresh_by(header, tolerance);
        }
        Ok(Verifying::Hmac(hmac))
    }

    fn meaning(&self) -> Result<Meaning, ConfigError> {
        match (&self.topic, &self.topic_header) {
            (None, None) => Ok(Meaning::Envelope),
            (None, Some(header)) => Ok(Meaning::Header(header.clone())),
            (Some(topic), None) => {
                let known = || Topic::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
                let topic = topic.parse().map_err(|error| problem("topic", &format!("{error}; there are {}", known())))?;
                Ok(Meaning::Fixed(topic))
            }
            (Some(_), Some(_)) => Err(problem("topic_header", "set this or `topic`, not both")),
        }
    }
}

fn duration(text: &str) -> Result<Duration, ConfigError> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    let positive = parsed.and_then(|it| Duration::try_from(it).ok()).filter(|it| !it.is_zero());
    positive.ok_or_else(|| problem("tolerance", "expected a length of time, as in \"5m\""))
}

fn problem(field: &str, text: &str) -> ConfigError {
    ConfigError::new(format!("receive.{field}"), text)
}
