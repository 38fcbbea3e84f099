//! The same walk of a shop's orders through the real connector: into the simulated Tryton, and into a real one where
//! `SPINDEL_TRYTON_URL` names one. What the simulator gets wrong shows as a difference between the two.
#![cfg(feature = "tryton")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../hub/mod.rs"]
mod hub;
mod orders;
mod peer;
mod quirks;
mod shapes;
mod simulated;
mod walk;

use peer::Peer;
use simulated::Simulated;

#[tokio::test]
async fn a_shops_orders_are_booked_paid_credited_and_shipped_in_the_simulated_tryton() {
    walk::walk(&Simulated::start().await).await;
}

#[tokio::test]
#[allow(clippy::print_stderr)]
async fn a_shops_orders_are_booked_paid_credited_and_shipped_in_real_tryton() {
    let Some(peer) = Peer::from_environment().await else {
        eprintln!("skipped: SPINDEL_TRYTON_URL names no Tryton (`scripts/test --peers` installs one)");
        return;
    };
    walk::walk(&peer).await;
}

// TEMPORARY
#[tokio::test]
async fn zz_play() {
    let Ok(path) = std::env::var("FIX") else { return };
    let spec: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut hub = hub::Hub::of::<spindel_connector_tryton::Tryton>(spec["settings"].clone(), &spindel_model::Clock::manual("2026-11-20T10:00:00Z".parse().unwrap()));
    hub.maps = serde_json::from_value(spec["maps"].clone()).unwrap_or_default();
    let ability = spec["ability"].as_str().unwrap().to_owned();
    let show = |it: Result<serde_json::Value, spindel_connect::CallError>| match it { Ok(v) => v, Err(e) => serde_json::json!({"error":{"class":e.class,"operation":e.operation,"message":e.message}}) };
    let now = hub.clock.now();
    let cursor = spec["cursor"].as_str().map(|it| spindel_connect::Cursor(it.to_owned()));
    let kind = |text: &str| text.parse::<spindel_model::EntityKind>().unwrap();
    let out = if let Some(k) = ability.strip_prefix("poll ") {
        show(hub.connection.poll(&hub.api, kind(k), cursor.as_ref(), now).unwrap().await.map(|it| serde_json::json!({"changes": it.changes, "cursor": it.cursor, "more": it.more})))
    } else if let Some(k) = ability.strip_prefix("read ") {
        show(hub.connection.read(&hub.api, kind(k), spec["id"].as_str().unwrap()).unwrap().await.map(|it| serde_json::to_value(it).unwrap()))
    } else {
        let mut action = spec["actions"][0].clone();
        action["do"] = serde_json::json!(ability);
        if spec["step"] == "look_up" { show(hub.look_up(None, action).await.map(|it| serde_json::json!({"performed": it}))) }
        else { show(hub.perform(None, action).await.map(|it| serde_json::json!({"performed": it}))) }
    };
    println!("OUT {out}");
}
