//! RSA signatures: the vendor signs with a key that only it has, and its public half is in the settings or published.

use super::{
    Proof, Unproven,
    part::{Part, message},
    signature, single,
};
use crate::{Incoming, Secret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use ring::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use std::sync::Arc;

/// RFC 8017 PKCS#1 v1.5 with SHA-256; keys of 2048 bits and more.
pub struct Rsa {
    headers: Vec<String>,
    message: Vec<Part>,
    /// PKCS#1 `RSAPublicKey`, DER.
    keys: Vec<Vec<u8>>,
    published: Option<PublishedKeys>,
    signing: Option<Arc<RsaKeyPair>>,
}

/// Where a vendor publishes the keys that it signs with. A request names its keys by their paths, and a path is
/// nothing but a claim: the host is the connector's, and only these paths on it are ever fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKeys {
    /// `https://keys.example.com`, without a slash at the end.
    pub base: String,
    /// Headers that hold paths below it.
    pub path_headers: &'static [&'static str],
    /// What a path begins with.
    pub path_prefixes: &'static [&'static str],
}

impl Rsa {
    pub(super) fn new(headers: &[&str]) -> Self {
        let headers = headers.iter().map(|name| (*name).to_owned()).collect();
        Self { headers, message: vec![Part::Body], keys: Vec::new(), published: None, signing: None }
    }

    pub fn over(mut self, message: Vec<Part>) -> Self {
        self.message = message;
        self
    }

    /// Public keys (PEM, `BEGIN PUBLIC KEY`): text or secrets. One that is none proves nothing: see [`public_key_problem`].
    pub fn keys<P: Pem>(mut self, pems: &[P]) -> Proof {
        self.keys = pems.iter().filter_map(|pem| public_key(pem.pem())).collect();
        Proof::Rsa(self)
    }

    /// Keys that are fetched from the vendor.
    pub fn published(mut self, keys: PublishedKeys) -> Proof {
        self.published = Some(keys);
        Proof::Rsa(self)
    }

    pub(super) fn headers(&self) -> Vec<&str> {
        self.headers.iter().map(String::as_str).collect()
    }

    pub(super) fn covers_body(&self) -> bool {
        self.message.iter().any(|part| matches!(part, Part::Body | Part::BodyBase64))
    }

    /// Any of the headers may hold the signature of any key: while keys change, vendors sign with two.
    pub(super) fn check(&self, incoming: &Incoming) -> Result<(), Unproven> {
        if incoming.body.is_empty() {
            return Err(Unproven::EmptyBody);
        }
        let message = message(&self.message, incoming, None)?;
        let mut told = Unproven::SignatureMissing;
        for header in &self.headers {
            let text = match signature(&incoming.headers, std::slice::from_ref(header)) {
                Ok(text) => text,
                Err(Unproven::SignatureMissing) => continue,
                Err(why) => return Err(why),
            };
            let Ok(sent) = STANDARD.decode(text) else {
                told = Unproven::SignatureMalformed;
                continue;
            };
            let fits = |key: &Vec<u8>| UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(&message, &sent).is_ok();
            if self.keys.iter().any(fits) {
                return Ok(());
            }
            told = Unproven::NoMatch;
        }
        Err(told)
    }

    pub(super) fn sign(&self, request: &mut Incoming) -> Result<(), Unproven> {
        let key = self.signing.as_ref().ok_or(Unproven::CannotSign)?;
        let message = message(&self.message, request, None)?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).map_err(|_| Unproven::CannotSign)?;
        let header = self.headers.first().ok_or(Unproven::CannotSign)?;
        super::insert(&mut request.headers, header, &STANDARD.encode(signature))
    }

    pub(super) fn set_signing_key(&mut self, pem: &Secret) {
        let key = der(pem.expose(), "PRIVATE KEY").and_then(|der| RsaKeyPair::from_pkcs8(&der).ok());
        if let Some(key) = key {
            self.keys.push(key.public_key().as_ref().to_vec());
            self.signing = Some(Arc::new(key));
        }
    }

    pub(super) fn wanted_keys(&self, headers: &HeaderMap) -> Vec<String> {
        let Some(published) = &self.published else { return Vec::new() };
        let path = |name: &&str| single(headers, name).ok()??.to_str().ok();
        let paths = published.path_headers.iter().filter_map(path).filter(|path| published.allows(path));
        let mut wanted: Vec<String> = paths.map(|path| format!("{}{path}", published.base)).collect();
        wanted.dedup();
        wanted
    }

    pub(super) fn supply(&mut self, keys: &[(String, String)]) {
        let Some(published) = &self.published else { return };
        let ours = |address: &str| address.strip_prefix(published.base.as_str()).is_some_and(|path| published.allows(path));
        self.keys.extend(keys.iter().filter(|(address, _)| ours(address)).filter_map(|(_, pem)| public_key(pem)));
    }
}

impl PublishedKeys {
    /// Plain segments only: nothing that a server or a library could read as another path or another host.
    fn allows(&self, path: &str) -> bool {
        const LONGEST: usize = 200;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        path.len() <= LONGEST
            && path.starts_with('/')
            && path.bytes().all(plain)
            && !path.contains("//")
            && !path.contains("..")
            && self.path_prefixes.iter().any(|prefix| path.len() > prefix.len() && path.starts_with(prefix))
    }
}

/// A public key as text, wherever it is kept.
pub trait Pem {
    fn pem(&self) -> &str;
}

impl Pem for Secret {
    fn pem(&self) -> &str {
        self.expose()
    }
}

impl Pem for String {
    fn pem(&self) -> &str {
        self
    }
}

impl Pem for &str {
    fn pem(&self) -> &str {
        self
    }
}

/// What is wrong with a public key in the settings; `None`: it can be used.
pub fn public_key_problem(pem: &str) -> Option<&'static str> {
    if der(pem, "PUBLIC KEY").is_none() {
        return Some("is no PEM text that begins with `-----BEGIN PUBLIC KEY-----`");
    }
    public_key(pem).is_none().then_some("is no RSA key of 2048 to 8192 bits")
}

/// The PKCS#1 key inside a `SubjectPublicKeyInfo` (RFC 5280) that says it is RSA.
fn public_key(pem: &str) -> Option<Vec<u8>> {
    /// `AlgorithmIdentifier { rsaEncryption, NULL }`
    const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
    let der = der(pem, "PUBLIC KEY")?;
    let (info, rest) = value(&der, 0x30)?;
    let (key, after) = value(info.strip_prefix(RSA)?, 0x03)?;
    // A bit string begins with how many of its last bits do not count.
    let key = key.strip_prefix(&[0])?;
    let (modulus, _) = value(value(key, 0x30)?.0, 0x02)?;
    let bits = modulus.strip_prefix(&[0]).unwrap_or(modulus).len() * 8;
    (rest.is_empty() && after.is_empty() && BITS.contains(&bits)).then(|| key.to_vec())
}

/// The content of the first DER value, which must have this tag, and what comes after it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn der(pem: &str, label: &str) -> Option<Vec<u8>> {
    const LONGEST: usize = 16 * 1024;
    if pem.len() > LONGEST {
        return None;
    }
    let inner = pem.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?.strip_suffix(&format!("-----END {label}-----"))?;
    let text: String = inner.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}
