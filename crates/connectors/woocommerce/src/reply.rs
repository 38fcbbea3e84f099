//! WooCommerce's failures, where they mean something else than their status says.

use serde::Deserialize;
use serde_json::{Map, Value};
use spindel_connect::{Effect, Reply, Verdict};
use spindel_model::ErrorClass;

/// What every failure of the API itself looks like.
#[derive(Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    data: Value,
}

impl Problem {
    /// The vendor's word for it. The message beside it may repeat what was sent, so it is not shown.
    pub fn word(&self) -> String {
        let plain: String = self.code.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-')).collect();
        let params = self.data.get("params").and_then(Value::as_object).map(names).unwrap_or_default();
        let code: String = plain.chars().take(80).collect();
        if params.is_empty() { code } else { format!("{code}: {params}") }
    }
}

fn names(params: &Map<String, Value>) -> String {
    let plain = |name: &&String| name.len() < 40 && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    params.keys().filter(plain).take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    if reply.status < 400 {
        return None;
    }
    let problem = reply.json::<Problem>().ok().filter(|it| !it.code.is_empty());
    match (reply.status, problem) {
        (404, None) => Some(Verdict::new(
            ErrorClass::Config,
            "HTTP 404 from something that is not WooCommerce's API: check `url`, and set `plain_permalinks` where the site has them",
        )),
        (404, Some(it)) if it.code == "rest_no_route" => Some(Verdict::new(
            ErrorClass::Config,
            "HTTP 404: the site has no such route; is WooCommerce active, and its version recent?",
        )),
        // WooCommerce says no in JSON; this comes from what stands before it.
        (403, None) => Some(Verdict::new(ErrorClass::Transient, "HTTP 403 from a firewall or host before the shop")),
        (500, Some(it)) if it.code == "woocommerce_rest_cannot_create_order_refund" => Some(Verdict {
            // A gateway that did not answer looks the same as one that refused.
            effect: Effect::Unknown,
            ..Verdict::new(ErrorClass::Data, "the payment gateway did not carry out the refund: look it up there")
        }),
        (400 | 402 | 405..=407 | 411..=422, Some(it)) => {
            Some(Verdict::new(ErrorClass::Data, format!("HTTP {}: {}", reply.status, it.word())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &'static str) -> Option<(ErrorClass, String)> {
        let reply = Reply { status, headers: http::HeaderMap::new(), body: bytes::Bytes::from_static(body.as_bytes()) };
        refine(&reply).map(|it| (it.class, it.message))
    }

    #[test]
    fn a_missing_record_is_told_from_a_missing_api() {
        assert_eq!(verdict(404, r#"{"code":"woocommerce_rest_shop_order_invalid_id","data":{"status":404}}"#), None);
        assert_eq!(verdict(404, "<html>").unwrap().0, ErrorClass::Config);
        assert_eq!(verdict(404, r#"{"code":"rest_no_route"}"#).unwrap().0, ErrorClass::Config);
    }

    #[test]
    fn a_refusal_names_the_parameters_and_repeats_no_values() {
        let body = r#"{"code":"rest_invalid_param","message":"kari@example.no","data":{"params":{"email":"kari@example.no"}}}"#;
        assert_eq!(verdict(400, body), Some((ErrorClass::Data, "HTTP 400: rest_invalid_param: `email`".into())));
    }

    #[test]
    fn a_refund_that_the_gateway_did_not_make_is_for_a_person() {
        let body = r#"{"code":"woocommerce_rest_cannot_create_order_refund","message":"card 4242","data":{"status":500}}"#;
        let (class, message) = verdict(500, body).unwrap();
        assert_eq!(class, ErrorClass::Data);
        assert!(!message.contains("4242"));
        assert_eq!(verdict(500, r#"{"code":"internal_server_error"}"#), None);
    }

    #[test]
    fn a_firewall_before_the_shop_is_no_lack_of_rights() {
        assert_eq!(verdict(403, "<html>").unwrap().0, ErrorClass::Transient);
        assert_eq!(verdict(403, r#"{"code":"woocommerce_rest_cannot_view"}"#), None);
    }
}
