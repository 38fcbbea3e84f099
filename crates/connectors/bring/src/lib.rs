//! Bring (Posten): what its APIs for rates, pick-up points, booking, tracking and events say, and how to say things to it.

mod label;
mod perform;
mod pickup;
mod quote;
mod receive;
mod reply;
mod track;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Secrets,
    Verdict,
    carrier::{HandIn, ParcelDefaults, Sender},
    finds_pickup_points, fixtures, performs, quotes, reads, receives, tracks,
};
use spindel_model::{BookShipment, Shipment};

/// Which price a checkout is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Prices {
    /// That of the customer's agreement.
    #[default]
    Agreed,
    List,
}

/// One customer of Bring.
pub struct Bring {
    customer_number: String,
    services: Vec<String>,
    service: Option<String>,
    sender: Sender,
    parcel: ParcelDefaults,
    hand_in: HandIn,
    prices: Prices,
    language: String,
    notify: bool,
    test: bool,
    /// Plain HTTP is for simulated vendors only.
    plain_http: bool,
    webhook_header: String,
    webhook_secrets: Vec<Secret>,
}

/// Settings of a connection to Bring.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The Mybring user: an e-mail address.
    api_uid: String,
    /// The user's API key (Mybring, the user's settings, API).
    api_key: Secret,
    /// Address of the shop, which Bring wants to be told: `https://shop.example.no`.
    client_url: String,
    /// The customer number that pays and that the user may book for.
    customer_number: String,
    /// Services that a checkout is offered, by Bring's codes: `["5800", "5600", "3584"]`.
    #[serde(default)]
    services: Vec<String>,
    /// Service of a booking whose order names none that is known: `"5800"`.
    service: Option<String>,
    /// Who sends, and from where.
    sender: Sender,
    /// What a parcel is taken to weigh and measure where the order does not tell.
    #[serde(default)]
    parcel: ParcelDefaults,
    /// When parcels are handed in on a working day: `"15:00"` unless told otherwise. Delivery dates count from it.
    hand_in: Option<String>,
    /// Time zone of `hand_in`: `"Europe/Oslo"` unless told otherwise.
    time_zone: Option<String>,
    /// Which price a checkout is told: `"agreed"` (the default; the list price where there is no agreement) or `"list"`.
    #[serde(default)]
    prices: Prices,
    /// Language of names and descriptions where the checkout names none that Bring has: `"no"` (the default), `"se"`,
    /// `"dk"` or `"en"`.
    language: Option<String>,
    /// Bring tells the recipient by SMS and e-mail (additional service `EVARSLING`). On unless told otherwise.
    notify: Option<bool>,
    /// Bookings are tests: labels that are not valid, and nothing is charged.
    #[serde(default)]
    test: bool,
    /// Header in which Bring sends the webhook secret: `x-spindel-secret` unless told otherwise.
    webhook_header: Option<String>,
    /// The value of that header, as the webhooks were registered with it; several while it is being changed.
    #[serde(default)]
    webhook_secret: Secrets,
    /// Where the API is, when not at Bring itself: a proxy, or a simulated vendor.
    base_url: Option<String>,
}

impl Connector for Bring {
    const INFO: Info = Info {
        id: "bring",
        name: "Bring",
        kind: Kind::Shipping,
        about: "Rates, delivery dates, pick-up points, bookings with labels and tracking of Bring and Posten",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] =
        &[receives(), performs::<BookShipment, Self>(), reads::<Shipment, Self>(), tracks(), quotes(), finds_pickup_points()];

    const FIXTURES: &'static [Fixture] = fixtures![
        "book_shipment",
        "book_shipment_again",
        "book_shipment_label_lost",
        "book_shipment_look_up_found",
        "book_shipment_look_up_none",
        "book_shipment_no_weight",
        "book_shipment_refused",
        "book_shipment_service_without_map",
        "config",
        "pickup_points",
        "pickup_points_elsewhere",
        "quote",
        "quote_nothing",
        "read_shipment",
        "read_shipment_gone",
        "receive_delivered",
        "receive_in_transit",
        "track_busy",
        "track_delivered",
        "track_ready_for_pickup",
        "track_unknown_code",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        for (field, value) in [("api_uid", &config.api_uid), ("customer_number", &config.customer_number)] {
            if value.trim().is_empty() {
                return Err(ConfigError::new(field, "is empty; Mybring shows it under the user's settings"));
            }
        }
        // Bring takes no more in any line of an address.
        config.sender.check(Some(35))?;
        let language = config.language.unwrap_or_else(|| "no".to_owned()).to_ascii_lowercase();
        if !["no", "se", "dk", "en"].contains(&language.as_str()) {
            return Err(ConfigError::new("language", "expected `no`, `se`, `dk` or `en`"));
        }
        let base_url = config.base_url.as_deref().unwrap_or("https://api.bring.com");
        let base_url = spindel_connect::base_url("base_url", base_url, "https://api.bring.com")?;
        let client_url = spindel_connect::base_url("client_url", &config.client_url, "https://shop.example.no")?;
        let endpoint = Endpoint::new(base_url.clone(), Auth::Header("x-mybring-api-key", config.api_key))
            .header("x-mybring-api-uid", config.api_uid)
            .header("x-bring-client-url", client_url)
            // Booking allows 18 calls in a second, everything else more.
            .limits(Limits { per_second: Some(15.0), parallel: 8, budget: None });
        let connector = Self {
            customer_number: config.customer_number,
            services: config.services,
            service: config.service,
            sender: config.sender,
            parcel: config.parcel,
            hand_in: HandIn::new(config.hand_in.as_deref(), config.time_zone.as_deref().unwrap_or("Europe/Oslo"))?,
            prices: config.prices,
            language,
            notify: config.notify.unwrap_or(true),
            test: config.test,
            plain_http: base_url.starts_with("http://"),
            webhook_header: config.webhook_header.unwrap_or_else(|| "x-spindel-secret".to_owned()).to_ascii_lowercase(),
            webhook_secrets: config.webhook_secret.all(),
        };
        Ok((connector, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let found: wire::Customers = api.get("probe", "/booking/api/customers").fetch().await?;
        let mine = found.customers.iter().filter(|it| it.customer_number == self.customer_number);
        let services: usize = mine.map(|it| it.products.len()).sum();
        if services == 0 {
            let problem = "`customer_number` is not among those that this user may book for; add the right in Mybring";
            return Err(CallError::config("probe", problem));
        }
        Ok(format!("customer number {}: {services} services can be booked", self.customer_number))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connect(extra: Value) -> Result<(Bring, Endpoint), ConfigError> {
        let mut settings: Value = serde_json::from_str(include_str!("../fixtures/config.json")).unwrap();
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Bring::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (field, value) in [
            ("api_uid", json!("")),
            ("customer_number", json!(" ")),
            ("client_url", json!("shop.example.no")),
            ("base_url", json!("ftp://api.example.no")),
            ("hand_in", json!("three")),
            ("language", json!("sv")),
            ("time_zone", json!("Europe/Atlantis")),
        ] {
            assert_eq!(connect(json!({ field: value })).err().unwrap().field, field);
        }
        let sender = json!({ "name": "Fjell", "address": "Kaia 1", "postal_code": "0150", "city": "Oslo", "country": "Norway" });
        assert_eq!(connect(json!({ "sender": sender })).err().unwrap().field, "sender.country");
    }

    #[test]
    fn the_api_of_bring_is_called_with_user_and_key() {
        let (_, endpoint) = connect(json!({})).unwrap();
        assert_eq!(endpoint.base_url, "https://api.bring.com");
        assert!(matches!(endpoint.auth, Auth::Header("x-mybring-api-key", _)));
        assert!(endpoint.headers.contains(&("x-mybring-api-uid", "api@fjell.example".to_owned())));
    }
}
