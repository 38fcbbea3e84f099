//! `[store]` and `[queue]`: where the truth is kept and what carries the work, inside the process or on servers of ours.

use crate::{
    Env, QueueSettings, Remote, StoreLocation, StoreSettings,
    address::{self, Address},
    measure,
    problem::{Findings, Misfit},
    secret,
    section::Section,
};
use base64::Engine as _;
use spindel_connect::Secret;
use std::{fmt, fs::File, io::Read as _, path::PathBuf};

/// A bundle of all public authorities has about a quarter of this.
const MAX_CA_BYTES: u64 = 1024 * 1024;

pub(crate) fn store(section: &Section<'_>, env: Env<'_>, findings: &mut Findings<'_>) -> Option<StoreSettings> {
    let place = url(section, findings, store_place);
    let retention = section.read("retention", findings, measure::duration_within("1d", "3650d"));
    let encryption_key = encryption_key(section, env, findings);
    let location = match place? {
        Place::Here(path) => {
            out_of_place(section, &["password", "ca", "schema"], "a SQLite file", findings);
            StoreLocation::Sqlite { path }
        }
        Place::There(it) => {
            let server = it.complete(section, "`sslmode=verify-full`", env, findings);
            let schema = section.get("schema").is_some().then(|| section.read("schema", findings, name));
            StoreLocation::Postgres { server: server?, schema: schema.map(|it| it.ok_or(())).transpose().ok()? }
        }
    };
    Some(StoreSettings { location, retention: retention?, encryption_key })
}

fn encryption_key(section: &Section<'_>, env: Env<'_>, findings: &mut Findings<'_>) -> Option<Secret> {
    let key = resolved(section, "encryption_key", env, findings)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(key.trim());
    if bytes.is_ok_and(|it| it.len() == 32) {
        return Some(Secret::new(key.trim()));
    }
    let misfit = Misfit::new("invalid_value", "the encryption key is not 32 bytes in base64");
    section.error("encryption_key", misfit.hint("make one with: openssl rand -base64 32"), findings);
    None
}

pub(crate) fn queue(section: &Section<'_>, env: Env<'_>, findings: &mut Findings<'_>) -> Option<QueueSettings> {
    let place = url(section, findings, queue_place);
    let prefix = section.read("prefix", findings, name);
    let Place::There(broker) = place? else {
        out_of_place(section, &["password", "ca", "prefix"], "the embedded queue", findings);
        return Some(QueueSettings::Embedded);
    };
    if section.get("password").is_none() && !broker.is_guest {
        let misfit = Misfit::new("missing_key", "`password` is missing: RabbitMQ lets nobody in without one");
        section.error("password", misfit.hint("add `password = { file = \"path\" }` or `{ env = \"NAME\" }`"), findings);
    }
    let broker = broker.complete(section, "`amqps://`", env, findings)?;
    Some(QueueSettings::Amqp { broker, prefix: prefix? })
}

impl StoreLocation {
    /// An address by itself, in which a password may stand: for trying things out on the command line. Errors do not repeat it.
    pub fn from_url(text: &str) -> Result<Self, String> {
        match store_place(text).map_err(sentence)? {
            Place::Here(path) => Ok(Self::Sqlite { path }),
            Place::There(it) => Ok(Self::Postgres { server: it.remote, schema: None }),
        }
    }
}

impl QueueSettings {
    /// As [`StoreLocation::from_url`].
    pub fn from_url(text: &str) -> Result<Self, String> {
        match queue_place(text).map_err(sentence)? {
            Place::Here(()) => Ok(Self::Embedded),
            Place::There(it) => Ok(Self::Amqp { broker: it.remote, prefix: "spindel".into() }),
        }
    }
}

fn sentence(misfit: Misfit) -> String {
    let choices = (!misfit.choices.is_empty()).then(|| format!("valid here: {}", misfit.choices.join(", ")));
    [Some(misfit.message), misfit.hint, choices].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What an address leads to.
enum Place<T> {
    Here(T),
    There(There),
}

/// A server, as far as its address tells.
struct There {
    remote: Remote,
    is_encrypted: bool,
    is_guest: bool,
}

impl There {
    fn of(address: &Address<'_>) -> Self {
        Self {
            remote: Remote { url: address.without_password(), password: address.password().map(Secret::new), ca: None },
            is_encrypted: address.is_encrypted(),
            is_guest: address.is_guest(),
        }
    }

    /// With its password and its authority, which stand under keys of their own.
    fn complete(self, section: &Section<'_>, tls: &str, env: Env<'_>, findings: &mut Findings<'_>) -> Option<Remote> {
        if section.get("ca").is_some() && !self.is_encrypted {
            let misfit = Misfit::new("conflict", "`ca` means nothing without TLS");
            section.error("ca", misfit.hint(format!("use {tls} in the url, or leave `ca` out")), findings);
        }
        // A key that stands there and cannot be had is an error, and never the same as none.
        let (mut password, mut ca) = (None, None);
        if section.get("password").is_some() {
            password = Some(Secret::new(resolved(section, "password", env, findings)?));
        }
        if section.get("ca").is_some() {
            ca = Some(section.read("ca", findings, authority)?);
        }
        Some(Remote { password, ca, ..self.remote })
    }
}

fn store_place(text: &str) -> Result<Place<PathBuf>, Misfit> {
    match text.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::Here(path.into())),
        Some(("postgres" | "postgresql", _)) => Ok(Place::There(There::of(&address::postgres(text)?))),
        _ => Err(Misfit::new("invalid_value", "not the address of a store")
            .hint("write it as in \"sqlite://data/spindel.db\" or \"postgres://user@host:5432/database?sslmode=verify-full\"")),
    }
}

fn queue_place(text: &str) -> Result<Place<()>, Misfit> {
    match text.split_once("://") {
        None if text == "embedded" => Ok(Place::Here(())),
        Some(("amqp" | "amqps", _)) => Ok(Place::There(There::of(&address::amqp(text)?))),
        _ => Err(Misfit::new("invalid_value", "not the address of a queue")
            .hint("write \"embedded\", or an address as in \"amqps://user@host:5671/vhost\"")),
    }
}

/// The `url` of a section. In the file a password has a key of its own, so that it can be kept elsewhere.
fn url<T>(section: &Section<'_>, findings: &mut Findings<'_>, read: fn(&str) -> Result<Place<T>, Misfit>) -> Option<Place<T>> {
    let document = findings.document;
    section.read("url", findings, |text| {
        let place = match address::holds_password(text) {
            true => Err(address::literal_secret("a password is written into the address")),
            false => read(text),
        };
        if let (Err(misfit), Some(field)) = (&place, section.get("url"))
            && misfit.code == address::LITERAL_SECRET
        {
            document.hide(&field.node.span);
        }
        place
    })
}

fn name(text: &str) -> Result<String, Misfit> {
    measure::name(text).map(|()| text.to_owned())
}

fn resolved(section: &Section<'_>, name: &str, env: Env<'_>, findings: &mut Findings<'_>) -> Option<String> {
    secret::resolve(&section.get(name)?.node, &section.at(name), env, findings)
}

fn out_of_place(section: &Section<'_>, names: &[&str], with: &str, findings: &mut Findings<'_>) {
    for name in names.iter().filter(|it| section.get(it).is_some()) {
        let misfit = Misfit::new("conflict", format!("`{name}` means nothing to {with}"));
        section.error(name, misfit.hint(format!("leave it out, or name a server in `{}`", section.at("url"))), findings);
    }
}

/// Read here to be sure that it is one: a wrong path would show only when the server is next connected to.
fn authority(path: &str) -> Result<PathBuf, Misfit> {
    let wrong = |reason: String| {
        Misfit::new("invalid_value", format!("authority file `{path}` {reason}"))
            .hint("name the PEM file of the authority's certificate; a relative path starts at the working folder")
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CA_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    match text.contains("-----BEGIN CERTIFICATE-----") && text.len() as u64 <= MAX_CA_BYTES {
        true => Ok(path.into()),
        false => Err(wrong(format!("holds no certificate, or is larger than {MAX_CA_BYTES} bytes"))),
    }
}

impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        let password = |it: &Self| it.password.as_ref().map(|it| it.expose().to_owned());
        (&self.url, &self.ca) == (&other.url, &other.ca) && password(self) == password(other)
    }
}

/// Says whether there is a password, not which.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("Remote").field("url", &self.url).field("password", &password).field("ca", &self.ca).finish()
    }
}
