//! One request on the wire: sent once, its answer read up to a cap, and told apart when there is none.

use crate::guard::{Blocked, shown};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use spindel_connect::{Failure, Reply};
use std::{error::Error, time::Duration};
use url::Url;

/// A request that is complete but for the connection it travels on.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How long an answer may take and how large it may be, unpacked.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) cap: usize,
}

pub(crate) async fn exchange(client: &reqwest::Client, outgoing: Outgoing, bounds: Bounds) -> Result<Reply, Failure> {
    let host = shown(&outgoing.url);
    let request =
        client.request(outgoing.method, outgoing.url).timeout(bounds.timeout).headers(outgoing.headers).body(outgoing.body);
    let response = request.send().await.map_err(|error| failure(&host, &error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = read(response, &host, bounds.cap).await?;
    Ok(Reply { status, headers, body })
}

/// Counts what comes out of decompression, so that a small answer cannot become a large one.
async fn read(mut response: reqwest::Response, host: &str, cap: usize) -> Result<Bytes, Failure> {
    let announced = response.content_length().unwrap_or_default();
    if announced > cap as u64 {
        return Err(Failure::TooLarge { cap });
    }
    let mut body = BytesMut::with_capacity(announced.min(64 * 1024) as usize);
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(host, &error))? {
        if body.len() + chunk.len() > cap {
            return Err(Failure::TooLarge { cap });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failure(host: &str, error: &reqwest::Error) -> Failure {
    if let Some(blocked) = causes(error).find_map(|it| it.downcast_ref::<Blocked>()) {
        return Failure::Refused(blocked.to_string());
    }
    // The outer texts repeat the whole address with its query; the innermost one says what happened.
    let cause = causes(error).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string);
    if error.is_builder() {
        return Failure::Refused(format!("{host}: the request cannot be built: {cause}"));
    }
    if error.is_connect() {
        return Failure::NoConnection(format!("{host}: {cause}"));
    }
    if error.is_timeout() {
        return Failure::NoAnswer(format!("{host}: no whole answer in time"));
    }
    Failure::NoAnswer(format!("{host}: {cause}"))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&it| it.source())
}
