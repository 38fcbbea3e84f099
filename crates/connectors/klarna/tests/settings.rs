//! Regions, playground, and what is wrong with settings.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use spindel_connect::Connector as _;
use spindel_connector_klarna::Klarna;

fn connect(more: Value) -> Result<String, String> {
    let mut config = json!({ "region": "eu", "username": "K1_2", "password": "p" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = serde_json::from_value(config).map_err(|error| error.to_string())?;
    Klarna::connect(config).map(|(_, endpoint)| endpoint.base_url).map_err(|error| error.to_string())
}

#[test]
fn every_region_has_its_host_and_its_playground() {
    for (region, playground, host) in [
        ("eu", false, "https://api.klarna.com"),
        ("na", false, "https://api-na.klarna.com"),
        ("oc", false, "https://api-oc.klarna.com"),
        ("eu", true, "https://api.playground.klarna.com"),
        ("na", true, "https://api-na.playground.klarna.com"),
        ("oc", true, "https://api-oc.playground.klarna.com"),
    ] {
        assert_eq!(connect(json!({ "region": region, "playground": playground })), Ok(host.to_owned()));
    }
    assert_eq!(connect(json!({ "base_url": "http://127.0.0.1:9000/" })), Ok("http://127.0.0.1:9000".to_owned()));
}

#[test]
fn mistakes_are_named_with_their_field() {
    for (more, field) in [
        (json!({ "region": "us" }), "us"),
        (json!({ "username": "" }), "`username`"),
        (json!({ "username": "K1:p" }), "`username`"),
        (json!({ "password": "" }), "`password`"),
        (json!({ "api_key": "" }), "`api_key`"),
        (json!({ "callback_secret": "short" }), "`callback_secret`"),
        (json!({ "webhooks": "network", "signing_keys": ["k", ""] }), "`signing_keys`"),
        (json!({ "webhooks": "signed" }), "signed"),
        (json!({ "base_url": "api.klarna.com" }), "`base_url`"),
        (json!({ "global_url": "api-global.klarna.com" }), "`global_url`"),
        (json!({ "base_url": "http://127.0.0.1:9000", "api_key": "k" }), "`global_url`"),
        (json!({ "base_url": "http://127.0.0.1:9000", "global_url": "http://127.0.0.1:9000/" }), "`global_url`"),
    ] {
        let error = connect(more.clone()).unwrap_err();
        assert!(error.contains(field), "{more}: {error}");
    }
}
