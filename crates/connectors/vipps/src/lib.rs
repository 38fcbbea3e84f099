//! Vipps MobilePay: payments of the ePayment API, its webhooks, and payouts of the Report API.
//!
//! A connection is one sales unit, by its merchant serial number. `aggregate` says how a payment stands: `state` stays
//! `AUTHORIZED` whatever is captured and given back afterwards.

mod payment;
mod payout;
mod perform;
mod poll;
mod read;
mod receive;
mod reply;
mod subscribe;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, BodyEncoding, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Reply, Secret, Secrets,
    TokenGrant, Verdict, fixtures, performs, polls, reads, receives, subscribes,
};
use spindel_model::{CancelPayment, CapturePayment, OrderRef, Payout, RefundOrder, Transaction};

/// One sales unit.
pub struct Vipps {
    msn: String,
    secrets: Vec<Secret>,
    test: bool,
    naming: Naming,
    capture_within: jiff::SignedDuration,
}

/// How a payment names its order.
pub(crate) struct Naming {
    /// What stands before the order in the payment's reference.
    prefix: String,
    /// Key of the payment's `metadata` that holds the order, instead of the reference.
    metadata: Option<String>,
    by: OrderKey,
}

/// Settings of a connection to one sales unit.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `production`, or `test` for the test environment, which has keys of its own.
    #[serde(default)]
    environment: Environment,
    /// Merchant serial number (MSN) of the sales unit.
    merchant_serial_number: String,
    /// `client_id` of the sales unit's API keys.
    client_id: String,
    /// `client_secret` of the sales unit's API keys.
    client_secret: Secret,
    /// `Ocp-Apim-Subscription-Key` of the sales unit's API keys.
    subscription_key: Secret,
    /// Secrets of webhooks that were registered by hand. Spindel keeps those of the webhooks that it registers itself.
    #[serde(default)]
    webhook_secrets: Secrets,
    /// What stands before the order's number in the reference of a payment: `acme-` for `acme-100042`. Vipps takes no
    /// reference shorter than eight characters.
    #[serde(default)]
    reference_prefix: String,
    /// Key of the payment's metadata that holds the order's number, where the reference is not made from it.
    order_metadata: Option<String>,
    /// Whether payments name their order by its number or by the shop's id.
    #[serde(default)]
    order_key: OrderKey,
    /// Days until an uncaptured authorisation counts as lapsed: 180 unless told otherwise, which is also the most.
    /// The buyer's card may let go earlier.
    capture_within_days: Option<u8>,
    /// Where the API is, when not at Vipps itself: a proxy, or a simulation.
    base_url: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Environment {
    #[default]
    Production,
    Test,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderKey {
    #[default]
    Number,
    Id,
}

/// Beyond that Vipps captures nothing.
const MOST_CAPTURE_DAYS: u8 = 180;
const WEBHOOKS: &str = "/webhooks/v1/webhooks";

impl Connector for Vipps {
    const INFO: Info = Info {
        id: "vipps",
        name: "Vipps MobilePay",
        kind: Kind::Payment,
        about: "Payments and payouts of a Vipps MobilePay sales unit; captures, refunds and cancellations to it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs::<CapturePayment, Self>(),
        performs::<CancelPayment, Self>(),
        performs::<RefundOrder, Self>(),
        reads::<(OrderRef, Transaction), Self>(),
        polls::<Payout, Self>(),
        subscribes(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "cancel_payment",
        "cancel_payment_again",
        "cancel_payment_before_approval",
        "cancel_payment_captured",
        "cancel_payment_rest",
        "capture_payment",
        "capture_payment_after_a_failed_try",
        "capture_payment_before_approval",
        "capture_payment_by_hand_before",
        "capture_payment_made_before",
        "capture_payment_other_currency",
        "capture_payment_part",
        "capture_payment_refused",
        "capture_payment_too_much",
        "capture_payment_unconfirmed",
        "capture_payment_unknown",
        "config",
        "poll_payouts",
        "poll_payouts_first",
        "poll_payouts_fees_in_sum",
        "poll_payouts_not_closed",
        "read_movement",
        "read_movement_without_effect",
        "read_payment",
        "read_payment_gone",
        "receive_aborted",
        "receive_authorized",
        "receive_captured",
        "receive_captured_without_success",
        "receive_created",
        "receive_other_product",
        "receive_refunded",
        "refund",
        "refund_before_capture",
        "refund_made_before",
        "refund_nothing_outstanding",
        "refund_too_much",
        "subscribe_list",
        "subscribe_refused",
        "subscribe_register",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        check(&config)?;
        let base_url = match (&config.base_url, config.environment) {
            (Some(url), _) => spindel_connect::base_url("base_url", url, "http://127.0.0.1:9000")?,
            (None, Environment::Production) => "https://api.vipps.no".to_owned(),
            (None, Environment::Test) => "https://apitest.vipps.no".to_owned(),
        };
        let days = config.capture_within_days.unwrap_or(MOST_CAPTURE_DAYS);
        let vipps = Self {
            msn: config.merchant_serial_number.clone(),
            secrets: config.webhook_secrets.all(),
            test: config.environment == Environment::Test,
            naming: Naming { prefix: config.reference_prefix, metadata: config.order_metadata, by: config.order_key },
            capture_within: jiff::SignedDuration::from_hours(24 * i64::from(days)),
        };
        let mut grant = TokenGrant::new("/accesstoken/get", BodyEncoding::Json, Vec::new());
        grant.headers = vec![("client_id", Secret::new(config.client_id)), ("client_secret", config.client_secret)];
        // The call has no body.
        grant.body = Some(Secret::new(""));
        let version = env!("CARGO_PKG_VERSION");
        let endpoint = Endpoint::new(base_url, Auth::Token(grant))
            .header("merchant-serial-number", config.merchant_serial_number)
            .header("vipps-system-name", "spindel")
            .header("vipps-system-version", version)
            .header("vipps-system-plugin-name", "spindel-connector-vipps")
            .header("vipps-system-plugin-version", version)
            .secret_header("ocp-apim-subscription-key", config.subscription_key);
        Ok((vipps, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        let listed: wire::Webhooks = api.get("probe", WEBHOOKS).fetch().await?;
        let environment = if self.test { "test" } else { "production" };
        Ok(format!("sales unit {} ({environment}), {} webhook(s)", self.msn, listed.webhooks.len()))
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let msn = &config.merchant_serial_number;
    if !(4..=10).contains(&msn.len()) || !msn.bytes().all(|it| it.is_ascii_digit()) {
        return Err(ConfigError::new("merchant_serial_number", "expected 4 to 10 digits, in quotes, as in `\"123456\"`"));
    }
    for (field, secret) in [("client_secret", &config.client_secret), ("subscription_key", &config.subscription_key)] {
        if secret.is_empty() {
            return Err(ConfigError::new(field, "is empty; every call would be refused"));
        }
    }
    if config.client_id.is_empty() {
        return Err(ConfigError::new("client_id", "is empty; every call would be refused"));
    }
    if !config.reference_prefix.bytes().all(payment::is_in_reference) {
        return Err(ConfigError::new("reference_prefix", "a reference has letters of a to z, digits and `-` only"));
    }
    if config.order_metadata.is_some() && !config.reference_prefix.is_empty() {
        return Err(ConfigError::new(
            "reference_prefix",
            "leave it out: with `order_metadata` the reference does not name the order",
        ));
    }
    if config.order_metadata.as_ref().is_some_and(String::is_empty) {
        return Err(ConfigError::new("order_metadata", "is empty; leave it out if the reference names the order"));
    }
    match config.capture_within_days {
        Some(days) if days == 0 || days > MOST_CAPTURE_DAYS => {
            Err(ConfigError::new("capture_within_days", format!("expected 1 to {MOST_CAPTURE_DAYS}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn connect(extra: Value) -> Result<(Vipps, Endpoint), ConfigError> {
        let mut settings = json!({
            "merchant_serial_number": "123456", "client_id": "id", "client_secret": "s", "subscription_key": "k",
        });
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Vipps::connect(serde_json::from_value(settings).unwrap())
    }

    fn refused(extra: Value) -> String {
        connect(extra).err().unwrap().field
    }

    #[test]
    fn the_environment_decides_where_the_api_is() {
        let at = |extra| connect(extra).unwrap().1.base_url;
        assert_eq!(at(json!({})), "https://api.vipps.no");
        assert_eq!(at(json!({ "environment": "test" })), "https://apitest.vipps.no");
        assert_eq!(at(json!({ "environment": "test", "base_url": "http://127.0.0.1:9000/" })), "http://127.0.0.1:9000");
    }

    #[test]
    fn a_token_is_fetched_with_the_sales_units_keys_as_headers() {
        let endpoint = connect(json!({})).unwrap().1;
        let Auth::Token(grant) = endpoint.auth else { panic!("no token is fetched") };
        assert_eq!(grant.url, "/accesstoken/get");
        let sent: Vec<_> = grant.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
        assert_eq!(sent, [("client_id", "id"), ("client_secret", "s")]);
        assert!(
            endpoint.secret_headers.iter().any(|(name, value)| (*name, value.expose()) == ("ocp-apim-subscription-key", "k"))
        );
    }

    #[test]
    fn every_call_names_the_sales_unit_and_the_system_in_at_most_thirty_characters() {
        let headers = connect(json!({})).unwrap().1.headers;
        assert!(headers.contains(&("merchant-serial-number", "123456".to_owned())));
        let system: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("vipps-system-")).collect();
        assert_eq!(system.len(), 4);
        assert!(system.iter().all(|(_, value)| !value.is_empty() && value.len() <= 30), "{system:?}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (field, value) in [
            ("merchant_serial_number", json!("12 34")),
            ("merchant_serial_number", json!("123")),
            ("client_secret", json!("")),
            ("subscription_key", json!("")),
            ("client_id", json!("")),
            ("reference_prefix", json!("a_b")),
            ("order_metadata", json!("")),
            ("capture_within_days", json!(0)),
            ("capture_within_days", json!(181)),
            ("base_url", json!("apitest")),
        ] {
            assert_eq!(refused(json!({ field: value })), field);
        }
        assert_eq!(refused(json!({ "reference_prefix": "a-", "order_metadata": "order" })), "reference_prefix");
    }
}
