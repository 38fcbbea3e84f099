//! A webhook as it arrives, for tests of what is believed.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spindel_connect::Incoming;

/// A POST to this address of `https://hooks.example.no`, with headers in any case and of any bytes, even several of one name.
#[must_use]
pub fn post<V: AsRef<[u8]>>(uri: &str, headers: &[(&str, V)], body: impl Into<Bytes>) -> Incoming {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap_or_else(|error| panic!("the value of `{name}`: {error}"));
        map.append(HeaderName::try_from(*name).unwrap_or_else(|error| panic!("the header `{name}`: {error}")), value);
    }
    let origin = "https://hooks.example.no".to_owned();
    Incoming { method: Method::POST, uri: uri.to_owned(), origin, headers: map, body: body.into() }
}
