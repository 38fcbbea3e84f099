//! Webhooks: one for one action of one resource, told by a token that is signed with the key it was made with.

use crate::shipmondo::{
    Account, Options,
    api::Refused,
    state::{State, utc},
};
use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

const SHIPMENTS: [(&str, &str); 4] =
    [("Shipments", "create"), ("Shipments", "cancel"), ("Shipment Monitor", "latest"), ("Shipment Monitor", "delivered")];
const ORDERS: [&str; 8] = [
    "create",
    "status_update",
    "create_fulfillment",
    "create_shipment",
    "payment_captured",
    "payment_refunded",
    "payment_voided",
    "delete",
];

#[derive(Clone)]
pub(crate) struct Webhook {
    pub id: u64,
    pub name: String,
    pub endpoint: String,
    pub key: String,
    pub resource: String,
    pub action: String,
    pub active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One message as it goes over the wire.
#[derive(Clone)]
pub(crate) struct Message {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub token: String,
}

impl Message {
    pub(crate) fn body(&self) -> String {
        json!({ "data": self.token }).to_string()
    }
}

impl Webhook {
    /// Without the key, which is never told.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "endpoint": self.endpoint,
            "active": self.active,
            "created_at": utc(self.created_at),
            "updated_at": utc(self.updated_at),
            "name": self.name,
            "action": self.action,
            "resource_name": self.resource,
        })
    }

    fn read(state: &mut State, body: &Value) -> Result<Self, Refused> {
        let text = |name: &str| {
            let text = body[name].as_str().map(str::trim).filter(|it| !it.is_empty());
            text.map(str::to_owned).ok_or_else(|| Refused::invalid(name))
        };
        let (resource, action) = (text("resource_name")?, text("action")?);
        let about_orders = resource == "Orders" && ORDERS.contains(&action.as_str());
        if !about_orders && !SHIPMENTS.contains(&(resource.as_str(), action.as_str())) {
            return Err(Refused::invalid("action"));
        }
        let (name, endpoint, key) = (text("name")?, text("endpoint")?, text("key")?);
        let now = state.now();
        Ok(Self { id: state.new_id(), name, endpoint, key, resource, action, active: true, created_at: now, updated_at: now })
    }
}

/// The endpoint must answer before there is a webhook.
pub(crate) async fn register(account: &Account, body: &Value) -> Result<Value, Refused> {
    let (webhook, ping) = account.with(|state| {
        let webhook = Webhook::read(state, body)?;
        let ping = message(&webhook, 0, &json!({}), &state.options);
        Ok::<_, Refused>((webhook, ping))
    })?;
    if !account.sender.try_once(&ping).await {
        return Err(Refused::said("Endpoint did not respond with status code 200 within 3 seconds"));
    }
    let answer = json!([webhook.json()]);
    account.with(|state| state.webhooks.insert(webhook.id, webhook));
    Ok(answer)
}

/// Name and activity are all that can be changed.
pub(crate) fn one(state: &mut State, method: &Method, id: u64, body: &Value) -> Result<Value, Refused> {
    let now = state.now();
    let webhook = state.webhooks.get_mut(&id).ok_or_else(Refused::missing)?;
    match method.as_str() {
        "GET" => {}
        "PUT" => {
            webhook.name = body["name"].as_str().map_or(webhook.name.clone(), str::to_owned);
            webhook.active = body["active"].as_bool().unwrap_or(webhook.active);
            webhook.updated_at = now;
        }
        "DELETE" => {
            let answer = webhook.json();
            state.webhooks.remove(&id);
            return Ok(answer);
        }
        _ => return Err(Refused::missing()),
    }
    Ok(webhook.json())
}

pub(crate) fn set_target(state: &mut State, url: Option<&str>) {
    let (key, now) = (state.options.webhook_key.clone(), state.now());
    let made = |url: &str| {
        let webhook = |(index, (resource, action)): (usize, (&str, &str))| Webhook {
            id: 456 + index as u64,
            name: format!("Lager {resource}/{action}"),
            endpoint: url.to_owned(),
            key: key.clone(),
            resource: resource.to_owned(),
            action: action.to_owned(),
            active: true,
            created_at: now,
            updated_at: now,
        };
        SHIPMENTS.into_iter().enumerate().map(webhook).collect()
    };
    state.by_hand = url.map(made).unwrap_or_default();
}

pub(crate) fn message(webhook: &Webhook, resource_id: u64, data: &Value, options: &Options) -> Message {
    let claims = json!({ "webhook": webhook.name, "data": data, "url": webhook.endpoint }).to_string();
    let claims = if options.double_encoded { json!(claims).to_string() } else { claims };
    Message {
        url: webhook.endpoint.clone(),
        headers: vec![
            ("Content-Type", "application/json".to_owned()),
            ("SMD-Resource-Type", webhook.resource.clone()),
            ("SMD-Action", webhook.action.clone()),
            ("SMD-Resource-Id", resource_id.to_string()),
            ("SMD-Webhook-Id", webhook.id.to_string()),
            ("SMD-User", options.api_user.clone()),
        ],
        token: sign(&webhook.key, r#"{"alg":"HS256"}"#, &claims),
    }
}

/// `header.claims.signature`, by HMAC-SHA256 whatever the header says.
pub fn sign(key: &str, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let Ok(mut mac) = mac else { unreachable!("HMAC takes a key of any length") };
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A message that must not be accepted; `kind` picks the way in which it is false.
pub(crate) fn forged(genuine: &Message, kind: usize) -> Message {
    let parts: Vec<&str> = genuine.token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return genuine.clone() };
    let plain = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let token = match kind % 5 {
        0 => sign("another-key-of-32-characters-or-more", r#"{"alg":"HS256"}"#, &String::from_utf8_lossy(&plain)),
        1 => format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode([plain.as_slice(), b" "].concat())),
        2 => format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)),
        3 => format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512"}"#)),
        _ => String::new(),
    };
    Message { token, ..genuine.clone() }
}
