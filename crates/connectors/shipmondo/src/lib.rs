//! Shipmondo: what its API (v3) and its webhooks say, and how to say things to it.

mod find;
mod perform;
mod pickup;
mod quote;
mod read;
mod receive;
mod reply;
mod settings;
mod subscribe;
mod track;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{LabelFormat, Service};
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Secrets,
    Verdict,
    carrier::{HandIn, ParcelDefaults, Sender},
    finds_pickup_points, fixtures, performs, quotes, reads, receives, subscribes, tracks,
};
use spindel_model::{BookShipment, CancelShipment, Shipment};

/// One account at Shipmondo.
pub struct Shipmondo {
    own_agreement: bool,
    customer_number: Option<String>,
    services: Vec<Service>,
    service: Option<String>,
    sender: Sender,
    parcel: ParcelDefaults,
    label_format: LabelFormat,
    nearest_pickup_point: bool,
    hand_in: HandIn,
    test: bool,
    webhook_keys: Vec<Secret>,
    sent: find::Sent,
}

/// Settings of a connection to Shipmondo.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// API user (Shipmondo, Settings, API, Access).
    api_user: String,
    /// Key of the API user.
    api_key: Secret,
    /// Products that are booked and that a checkout is offered.
    #[serde(default)]
    services: Vec<Service>,
    /// Product of a booking whose order names none that is known: `"GLSDK_SD"`.
    service: Option<String>,
    /// Who sends, and from where.
    sender: Sender,
    /// What a parcel is taken to weigh and measure where the order does not tell.
    #[serde(default)]
    parcel: ParcelDefaults,
    /// Labels: `"a4_pdf"` unless told otherwise.
    #[serde(default)]
    label_format: LabelFormat,
    /// Book on your own agreement with the carrier, instead of Shipmondo's.
    #[serde(default)]
    own_agreement: bool,
    /// Which of your own agreements, where there are several.
    customer_number: Option<String>,
    /// Where the buyer chose no pick-up point, Shipmondo takes the nearest. On unless told otherwise.
    nearest_pickup_point: Option<bool>,
    /// When parcels are handed in on a working day: `"15:00"` unless told otherwise. Delivery dates count from it.
    hand_in: Option<String>,
    /// Time zone of `hand_in`: `"Europe/Copenhagen"` unless told otherwise.
    time_zone: Option<String>,
    /// Bookings are tests: nothing is charged and the labels are not valid. Shipmondo is about to give this up for its sandbox.
    #[serde(default)]
    test: bool,
    /// Signs the webhooks: 32 characters at least, several while it is being changed. The first is given to new webhooks.
    #[serde(default)]
    webhook_key: Secrets,
    /// Where the API is: `"https://sandbox.shipmondo.com/api/public/v3"` for the sandbox, or a simulated vendor.
    base_url: Option<String>,
}

impl Connector for Shipmondo {
    const INFO: Info = Info {
        id: "shipmondo",
        name: "Shipmondo",
        kind: Kind::Shipping,
        about: "Rates, pick-up points, bookings with labels and parcel events of the carriers that Shipmondo speaks to",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs::<BookShipment, Self>(),
        performs::<CancelShipment, Self>(),
        reads::<Shipment, Self>(),
        quotes(),
        finds_pickup_points(),
        tracks(),
        subscribes(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "book_shipment",
        "book_shipment_after_cancelling",
        "book_shipment_again",
        "book_shipment_look_up_found",
        "book_shipment_look_up_none",
        "book_shipment_label_apart",
        "book_shipment_refused",
        "book_shipment_unknown_service",
        "cancel_shipment",
        "cancel_shipment_found_by_reference",
        "cancel_shipment_never_booked",
        "cancel_shipment_not_any_more",
        "config",
        "pickup_points",
        "quote",
        "read_shipment",
        "read_shipment_gone",
        "read_shipment_not_monitored",
        "read_shipment_not_moved",
        "receive_monitor_danger",
        "receive_monitor_delivered",
        "receive_monitor_double_encoded",
        "receive_monitor_without_status",
        "receive_order",
        "receive_shipment_booked_from_here",
        "receive_shipment_cancelled",
        "receive_shipment_created",
        "subscribe_list",
        "subscribe_register",
        "subscribe_repair",
        "subscribe_unknown_topic",
        "track",
        "track_not_answered",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        if config.api_user.trim().is_empty() {
            return Err(ConfigError::new("api_user", "is empty; Shipmondo shows it under Settings, API, Access"));
        }
        config.sender.check(None)?;
        for (index, service) in config.services.iter().enumerate() {
            service.check(index)?;
        }
        let webhook_keys = config.webhook_key.all();
        if webhook_keys.iter().any(|it| it.expose().len() < 32) {
            return Err(ConfigError::new("webhook_key", "is too short; HS256 needs 32 characters at least"));
        }
        let base_url = config.base_url.as_deref().unwrap_or("https://app.shipmondo.com/api/public/v3");
        let base_url = spindel_connect::base_url("base_url", base_url, "https://sandbox.shipmondo.com/api/public/v3")?;
        // Shipmondo says nothing about its limits but that there are some.
        let endpoint = Endpoint::new(base_url, Auth::Basic(config.api_user, config.api_key)).limits(Limits {
            per_second: Some(5.0),
            parallel: 4,
            budget: None,
        });
        let connector = Self {
            own_agreement: config.own_agreement,
            customer_number: config.customer_number,
            services: config.services,
            service: config.service,
            sender: config.sender,
            parcel: config.parcel,
            label_format: config.label_format,
            nearest_pickup_point: config.nearest_pickup_point.unwrap_or(true),
            hand_in: HandIn::new(config.hand_in.as_deref(), config.time_zone.as_deref().unwrap_or("Europe/Copenhagen"))?,
            test: config.test,
            webhook_keys,
            sent: find::Sent::default(),
        };
        Ok((connector, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let account: wire::Account = api.get("probe", "/account/").fetch().await?;
        Ok(account.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn connect(extra: Value) -> Result<(Shipmondo, Endpoint), ConfigError> {
        let mut settings: Value = serde_json::from_str(include_str!("../fixtures/config.json")).unwrap();
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Shipmondo::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (field, key, value) in [
            ("api_user", "api_user", json!("")),
            ("webhook_key", "webhook_key", json!("too short")),
            ("webhook_key", "webhook_key", json!(["0123456789abcdef0123456789abcdef", ""])),
            ("base_url", "base_url", json!("shipmondo.com")),
            ("hand_in", "hand_in", json!("25:00")),
            ("time_zone", "time_zone", json!("Nowhere")),
            ("services[0].product", "services", json!([{ "product": "" }])),
            ("services[0].days", "services", json!([{ "product": "GLSDK_SD", "days": [3, 1] }])),
        ] {
            assert_eq!(connect(json!({ key: value })).err().unwrap().field, field);
        }
    }

    #[test]
    fn production_is_called_unless_another_address_is_given() {
        assert_eq!(connect(json!({})).unwrap().1.base_url, "https://app.shipmondo.com/api/public/v3");
        let sandbox = connect(json!({ "base_url": "https://sandbox.shipmondo.com/api/public/v3/" })).unwrap().1;
        assert_eq!(sandbox.base_url, "https://sandbox.shipmondo.com/api/public/v3");
    }
}
