//! What a request is taken for, and with what it is proved.

use crate::{
    Ingest, Inlet,
    refuse::{Kind, Refusal},
    trust::{Doubt, Found},
};
use bytes::Bytes;
use http::header;
use spindel_connect::{Incoming, Proof, Secret, Unproven, Verified};

impl Ingest {
    pub(crate) async fn kept(&self, name: &str, doubt: Doubt) -> Result<Vec<Secret>, Refusal> {
        self.trust.secrets(name, doubt).await.map_err(|why| Refusal::new(Kind::Unavailable, why))
    }

    pub(crate) async fn prove(
        &self,
        name: &str,
        inlet: &Inlet,
        (kept, mut proof): (Vec<Secret>, Proof),
        incoming: Incoming,
    ) -> Result<(Verified, Proof), Refusal> {
        let bad = |unproven: Unproven| Refusal::new(Kind::BadProof, unproven.to_string());
        if inlet.insecure_accept_unsigned {
            return Ok((proof.accept_unproven(incoming).map_err(bad)?, proof));
        }
        let wanted = proof.wanted_keys(&incoming);
        let found = if wanted.is_empty() { Found::default() } else { self.trust.keys(name, &wanted).await };
        proof.supply(&found.keys);
        let now = self.wall.now();
        let why = match proof.check(incoming.clone(), now) {
            Ok(verified) => return Ok((verified, proof)),
            Err(why) => why,
        };
        // The vendor may sign with a secret that another node was given a moment ago.
        let newer = self.kept(name, Doubt::Some).await?;
        if !newer.iter().map(Secret::expose).eq(kept.iter().map(Secret::expose)) {
            let mut proof = self::proof(inlet, &newer)?;
            proof.supply(&found.keys);
            if let Ok(verified) = proof.check(incoming, now) {
                return Ok((verified, proof));
            }
        }
        match found.unreachable {
            true => Err(Refusal::new(Kind::Unavailable, "the vendor's published keys cannot be had just now")),
            false => Err(bad(why)),
        }
    }

    pub(crate) fn incoming(&self, parts: http::request::Parts, body: Bytes) -> Incoming {
        let uri = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let (origin, prefix) = match &self.public_url {
            Some(public_url) => origin_and_path(public_url),
            None => (called(&parts), ""),
        };
        Incoming { method: parts.method, uri: format!("{prefix}{uri}"), origin, headers: parts.headers, body }
    }
}

pub(crate) fn proof(inlet: &Inlet, kept: &[Secret]) -> Result<Proof, Refusal> {
    inlet.connection.proof(kept).ok_or_else(|| Refusal::new(Kind::ReceivesNothing, "this connection receives nothing"))
}

/// A path of the public address is taken off by whatever stands before this server, and was signed all the same.
fn origin_and_path(public_url: &str) -> (String, &str) {
    let url = public_url.trim_end_matches('/');
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find('/') {
        Some(at) => (url[..authority + at].to_owned(), &url[authority + at..]),
        None => (url.to_owned(), ""),
    }
}

fn called(parts: &http::request::Parts) -> String {
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    format!("http://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_knows_this_server_by_its_public_address() {
        for (public_url, origin, path) in [
            ("https://hooks.example.no/", "https://hooks.example.no", ""),
            ("https://hooks.example.no:8443", "https://hooks.example.no:8443", ""),
            ("https://example.no/spindel/", "https://example.no", "/spindel"),
        ] {
            assert_eq!(origin_and_path(public_url), (origin.to_owned(), path), "{public_url}");
        }
    }
}
