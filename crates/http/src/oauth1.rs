//! Requests that sign themselves (RFC 5849): method, address, query and form are covered, a JSON body is not.

use hmac::Hmac;
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use spindel_connect::{Digest, Failure, OAuth1};
use spindel_model::Timestamp;
use url::{Url, form_urlencoded};

/// RFC 5849 section 3.6: everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as far as it is signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a mut Url,
    pub(crate) headers: &'a mut HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Puts the signature into the `Authorization` header, or into the query.
pub(crate) fn sign(credentials: &OAuth1, request: Signed<'_>, now: Timestamp) -> Result<(), Failure> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let timestamp = now.as_second().to_string();
    let mut oauth = vec![
        ("oauth_consumer_key", credentials.consumer_key.expose()),
        ("oauth_nonce", &nonce),
        ("oauth_signature_method", method_name(credentials.digest)?),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ];
    oauth.extend(credentials.token.as_ref().map(|(token, _)| ("oauth_token", token.expose())));
    let signature = signature(credentials, &request, &oauth);
    oauth.push(("oauth_signature", &signature));
    if credentials.in_header {
        let pairs: Vec<String> = oauth.iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value))).collect();
        let mut value = HeaderValue::try_from(format!("OAuth {}", pairs.join(", ")))
            .map_err(|_| Failure::Refused("the signature cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, value);
    } else {
        request.url.query_pairs_mut().extend_pairs(oauth);
    }
    Ok(())
}

fn method_name(digest: Digest) -> Result<&'static str, Failure> {
    match digest {
        Digest::Sha1 => Ok("HMAC-SHA1"),
        Digest::Sha256 => Ok("HMAC-SHA256"),
        Digest::Sha512 => Err(Failure::Refused("requests are signed with SHA-1 or SHA-256 (RFC 5849)".to_owned())),
    }
}

fn signature(credentials: &OAuth1, request: &Signed<'_>, oauth: &[(&str, &str)]) -> String {
    let token_secret = credentials.token.as_ref().map_or("", |(_, secret)| secret.expose());
    let key = format!("{}&{}", encode(credentials.consumer_secret.expose()), encode(token_secret));
    let text = base_string(request, oauth);
    let signed = match credentials.digest {
        Digest::Sha1 => mac::<Hmac<sha1::Sha1>>(&key, &text),
        Digest::Sha256 | Digest::Sha512 => mac::<Hmac<sha2::Sha256>>(&key, &text),
    };
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signed)
}

fn mac<M: hmac::Mac + hmac::KeyInit>(key: &str, text: &str) -> Vec<u8> {
    // HMAC takes keys of any length, so the error cannot occur.
    <M as hmac::KeyInit>::new_from_slice(key.as_bytes())
        .map(|mut mac| {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        })
        .unwrap_or_default()
}

/// RFC 5849 section 3.4.1.
fn base_string(request: &Signed<'_>, oauth: &[(&str, &str)]) -> String {
    let mut parameters: Vec<(String, String)> = oauth.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    let pair = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| (encode(&name), encode(&value));
    parameters.extend(request.url.query_pairs().map(pair));
    if is_form(request.headers) {
        parameters.extend(form_urlencoded::parse(request.body).map(pair));
    }
    parameters.sort();
    let parameters: Vec<String> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut address = request.url.clone();
    address.set_query(None);
    address.set_fragment(None);
    format!("{}&{}&{}", request.method, encode(address.as_str()), encode(&parameters.join("&")))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spindel_connect::Secret;

    fn credentials(consumer: (&str, &str), token: Option<(&str, &str)>, digest: Digest) -> OAuth1 {
        OAuth1 {
            consumer_key: Secret::new(consumer.0),
            consumer_secret: Secret::new(consumer.1),
            token: token.map(|(token, secret)| (Secret::new(token), Secret::new(secret))),
            digest,
            in_header: true,
        }
    }

    fn signature_of(credentials: &OAuth1, address: &str, body: Option<&str>, oauth: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        }
        let mut url = Url::parse(address).unwrap();
        let body = body.unwrap_or_default().as_bytes();
        let request = Signed { method: &Method::GET, url: &mut url, headers: &mut headers, body };
        encode(&signature(credentials, &request, oauth))
    }

    #[test]
    fn published_vectors_hold() {
        // RFC 5849 section 1.2.
        let photos =
            credentials(("dpf43f3p2l4k3l03", "kd94hf93k423kf44"), Some(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")), Digest::Sha1);
        let oauth = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ];
        let address = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        assert_eq!(signature_of(&photos, address, None, &oauth), "MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D");

        // The next two were made with oauthlib.
        let integration = credentials(("ck1", "cs1"), Some(("at1", "ats1")), Digest::Sha256);
        let oauth = [
            ("oauth_consumer_key", "ck1"),
            ("oauth_token", "at1"),
            ("oauth_nonce", "abc123"),
            ("oauth_timestamp", "1795000000"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_version", "1.0"),
        ];
        let filter = "searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5B";
        let address = format!(
            "https://shop.example.test/rest/default/V1/orders?{filter}field%5D=updated_at&{filter}value%5D=2026-11-20%2000%3A00%3A00\
             &{filter}condition_type%5D=gteq"
        );
        assert_eq!(signature_of(&integration, &address, None, &oauth), "hGI8MtHILebFPBrKG00Orw7YtU2T7Tf8NfKo23rWI6I%3D");

        let keys = credentials(("ck_x", "cs_y"), None, Digest::Sha256);
        let oauth = [
            ("oauth_consumer_key", "ck_x"),
            ("oauth_nonce", "n1"),
            ("oauth_timestamp", "1795000000"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_version", "1.0"),
        ];
        let address = "http://shop.example.test/wp-json/wc/v3/orders?per_page=1";
        assert_eq!(signature_of(&keys, address, None, &oauth), "IOvYrSTOewcH57KT2WsTBbfLBKq4WxdII4gLkF8u%2Bss%3D");
    }

    #[test]
    fn parameters_of_a_form_are_signed_like_those_of_the_query() {
        let keys = credentials(("ck_x", "cs_y"), None, Digest::Sha256);
        let in_query = signature_of(&keys, "https://shop.example.test/a?b=1&c=d%20e", None, &[]);
        assert_eq!(signature_of(&keys, "https://shop.example.test/a?b=1", Some("c=d+e"), &[]), in_query);
        assert_eq!(signature_of(&keys, "https://SHOP.example.test:443/a", Some("c=d+e&b=1"), &[]), in_query);
        assert_ne!(signature_of(&keys, "https://shop.example.test/a?b=1", None, &[]), in_query);
    }

    #[test]
    fn a_signature_stands_in_the_header_or_in_the_query_and_no_secret_does() {
        for in_header in [true, false] {
            let credentials = OAuth1 { in_header, ..credentials(("ck", "s3cret"), Some(("at", "s3cret2")), Digest::Sha256) };
            let (mut url, mut headers) = (Url::parse("https://shop.example.test/a?b=1").unwrap(), HeaderMap::new());
            let request = Signed { method: &Method::GET, url: &mut url, headers: &mut headers, body: b"" };
            sign(&credentials, request, Timestamp::from_second(1_795_000_000).unwrap()).unwrap();
            let header = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
            let (there, elsewhere) = if in_header { (header.as_str(), url.as_str()) } else { (url.as_str(), header.as_str()) };
            for name in ["oauth_signature=", "oauth_token=", "oauth_nonce=", "oauth_timestamp=", "oauth_version="] {
                assert!(there.contains(name) && !elsewhere.contains(name), "{name}: {there}");
            }
            assert!(!there.contains("s3cret"), "{there}");
            assert_eq!(header.starts_with("OAuth "), in_header);
        }
    }

    #[test]
    fn no_two_signatures_are_the_same() {
        let credentials = credentials(("ck", "cs"), None, Digest::Sha1);
        let once = || {
            let (mut url, mut headers) = (Url::parse("https://shop.example.test/a").unwrap(), HeaderMap::new());
            let request = Signed { method: &Method::GET, url: &mut url, headers: &mut headers, body: b"" };
            sign(&credentials, request, Timestamp::from_second(0).unwrap()).unwrap();
            headers["authorization"].clone()
        };
        assert_ne!(once(), once());
    }
}
