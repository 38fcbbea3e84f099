//! Stripe: what its API and its webhooks say, and how to say things to it.
//!
//! Facts are those of API version 2026-10-28.endive, which is asked for with every call and for every webhook.

mod amount;
mod event;
mod perform;
mod poll;
mod read;
mod receive;
mod reply;
mod request;
mod subscribe;
mod wire;

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Secrets,
    Verdict, fixtures, performs, polls, reads, receives, subscribes,
};
use spindel_model::{
    AcknowledgePayment, CancelPayment, CapturePayment, Dispute, OrderRef, Payout, Refund, RefundOrder, Transaction,
};

/// One account.
pub struct Stripe {
    secrets: Vec<Secret>,
    keys: wire::OrderKeys,
    /// Of which mode the API key is, where it says so.
    live: Option<bool>,
    account: Option<String>,
}

/// Settings of a connection to a Stripe account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Secret key (`sk_…`), or better a restricted one (`rk_…`) with the rights that the README lists.
    api_key: Secret,
    /// Signing secret (`whsec_…`) of a webhook endpoint that was made by hand; several while it is being rolled.
    /// Leave it out where Spindel registers the endpoint: it keeps the secret itself.
    #[serde(default)]
    webhook_secret: Secrets,
    /// Key of a payment's metadata that holds the shop's id of the order: `order_id` unless told otherwise.
    order_metadata: Option<String>,
    /// Key of a payment's metadata that holds the number of the order: `order_number` unless told otherwise.
    number_metadata: Option<String>,
    /// Connected account (`acct_…`) that is meant, for a platform's key.
    account: Option<String>,
    /// Where the API is, when not at Stripe itself: a proxy, or a simulated Stripe.
    base_url: Option<String>,
}

const API_VERSION: &str = "2026-10-28.endive";

impl Connector for Stripe {
    const INFO: Info = Info {
        id: "stripe",
        name: "Stripe",
        kind: Kind::Payment,
        about: "Payments, refunds, disputes and payouts of a Stripe account; captures, cancellations and refunds to it",
    };
    type Config = Config;

    const ABILITIES: &'static [Ability<Self>] = &[
        receives(),
        performs::<AcknowledgePayment, Self>(),
        performs::<CapturePayment, Self>(),
        performs::<CancelPayment, Self>(),
        performs::<RefundOrder, Self>(),
        reads::<(OrderRef, Transaction), Self>(),
        reads::<Refund, Self>(),
        reads::<Dispute, Self>(),
        reads::<Payout, Self>(),
        polls::<(OrderRef, Transaction), Self>(),
        polls::<Refund, Self>(),
        polls::<Dispute, Self>(),
        polls::<Payout, Self>(),
        subscribes(),
    ];

    const FIXTURES: &'static [Fixture] = fixtures![
        "acknowledge_payment",
        "acknowledge_payment_ambiguous",
        "acknowledge_payment_found_by_order",
        "acknowledge_payment_not_found",
        "cancel_payment",
        "cancel_payment_again",
        "cancel_payment_captured",
        "cancel_payment_gone",
        "cancel_payment_own_word",
        "capture_payment",
        "capture_payment_again",
        "capture_payment_canceled",
        "capture_payment_declined",
        "capture_payment_fine",
        "capture_payment_locked",
        "capture_payment_meanwhile",
        "capture_payment_of_charge",
        "capture_payment_other_currency",
        "capture_payment_part",
        "capture_payment_rest",
        "capture_payment_too_much",
        "config",
        "poll_disputes",
        "poll_payouts",
        "poll_refunds",
        "poll_transactions_first",
        "poll_transactions_last",
        "read_authorization",
        "read_capture",
        "read_dispute",
        "read_failed_attempt",
        "read_payout",
        "read_payout_gone",
        "read_payout_not_itemised",
        "read_refund",
        "read_refund_transaction",
        "receive_abandoned",
        "receive_authorised",
        "receive_captured_in_part",
        "receive_charge_alone",
        "receive_charge_of_a_payment",
        "receive_customer",
        "receive_declined",
        "receive_dispute_closed",
        "receive_dispute_created",
        "receive_payout_created",
        "receive_payout_failed",
        "receive_payout_paid",
        "receive_processing",
        "receive_refund_annotated",
        "receive_refund_created",
        "receive_refund_failed",
        "receive_refund_made_by_hand",
        "receive_refund_of_held_money",
        "receive_refund_settled",
        "receive_released",
        "receive_sale",
        "receive_thin_event",
        "refund",
        "refund_fails_at_once",
        "refund_in_yen",
        "refund_made_before",
        "refund_nothing_left",
        "refund_other_content",
        "refund_rest",
        "refund_shop_currency",
        "refund_too_much",
        "subscribe_list",
        "subscribe_register",
        "subscribe_register_more",
        "subscribe_register_there",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        let live = mode(config.api_key.expose())?;
        let secrets = config.webhook_secret.all();
        if secrets.iter().any(Secret::is_empty) {
            return Err(ConfigError::new("webhook_secret", "is empty; expected the endpoint's signing secret, `whsec_…`"));
        }
        let keys = wire::OrderKeys {
            id: metadata_key("order_metadata", config.order_metadata, "order_id")?,
            number: metadata_key("number_metadata", config.number_metadata, "order_number")?,
        };
        if keys.id == keys.number {
            return Err(ConfigError::new("number_metadata", "expected another key than `order_metadata`"));
        }
        let base_url = match &config.base_url {
            Some(url) => spindel_connect::base_url("base_url", url, "http://127.0.0.1:9000")?,
            None => "https://api.stripe.com".to_owned(),
        };
        let mut endpoint = Endpoint::new(base_url, Auth::Bearer(config.api_key))
            .header("stripe-version", API_VERSION)
            // Each of Stripe's endpoints takes 25 calls per second, and searches 20.
            .limits(Limits { per_second: Some(20.0), parallel: 8, budget: None });
        if let Some(account) = &config.account {
            if !account.starts_with("acct_") || !request::is_id(account) {
                return Err(ConfigError::new("account", "expected the id of a connected account, as in `acct_1PhubA`"));
            }
            endpoint = endpoint.header("stripe-account", account.clone());
        }
        Ok((Self { secrets, keys, live, account: config.account }, endpoint))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        reply::refine(reply)
    }

    /// A restricted key seldom may read the account, and always must read payments.
    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Payment {
            livemode: bool,
        }
        let found: wire::List<Payment> = api.get("probe", request::path("/v1/payment_intents", [("limit", "1")])).fetch().await?;
        let live = self.live.or(found.data.first().map(|it| it.livemode));
        let mode = match live {
            Some(true) => "live mode",
            Some(false) => "test mode",
            None => "mode unknown",
        };
        let account = self.account.as_deref().unwrap_or("own account");
        Ok(format!("Stripe, {mode}, {account}, API {API_VERSION}; payments can be read"))
    }
}

/// Whether the key is of live mode; `None` when it does not say.
fn mode(key: &str) -> Result<Option<bool>, ConfigError> {
    if !["sk_", "rk_"].iter().any(|prefix| key.starts_with(prefix)) {
        let problem = "expected a secret key (`sk_…`) or a restricted one (`rk_…`); a publishable key cannot be used";
        return Err(ConfigError::new("api_key", problem));
    }
    let rest = &key[3..];
    Ok(if rest.starts_with("live_") {
        Some(true)
    } else if rest.starts_with("test_") {
        Some(false)
    } else {
        None
    })
}

/// Stripe's own limits: 40 characters, no brackets. Quotes would end the key in a search.
fn metadata_key(field: &str, key: Option<String>, default: &str) -> Result<String, ConfigError> {
    let key = key.unwrap_or_else(|| default.to_owned());
    let fits = (1..=40).contains(&key.chars().count()) && !key.contains(['[', ']', '\'', '"', '\\']);
    if fits { Ok(key) } else { Err(ConfigError::new(field, "expected 1 to 40 characters without brackets and quotes")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connect(extra: Value) -> Result<(Stripe, Endpoint), ConfigError> {
        let mut settings = json!({ "api_key": "rk_test_x" });
        for (key, value) in extra.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Stripe::connect(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn the_version_and_the_account_go_with_every_call() {
        let (_, endpoint) = connect(json!({ "account": "acct_1" })).unwrap();
        let headers = [("stripe-version", API_VERSION.to_owned()), ("stripe-account", "acct_1".to_owned())];
        assert_eq!(endpoint.headers, headers);
        assert_eq!(endpoint.base_url, "https://api.stripe.com");
    }

    #[test]
    fn the_key_tells_its_mode() {
        for (key, live) in [("sk_live_x", Some(true)), ("rk_test_x", Some(false)), ("sk_x", None)] {
            assert_eq!(connect(json!({ "api_key": key })).unwrap().0.live, live, "{key}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (extra, field) in [
            (json!({ "api_key": "pk_test_x" }), "api_key"),
            (json!({ "webhook_secret": "" }), "webhook_secret"),
            (json!({ "order_metadata": "a[b]" }), "order_metadata"),
            (json!({ "number_metadata": "" }), "number_metadata"),
            (json!({ "number_metadata": "order_id" }), "number_metadata"),
            (json!({ "account": "cus_1" }), "account"),
            (json!({ "base_url": "127.0.0.1" }), "base_url"),
        ] {
            assert_eq!(connect(extra).err().unwrap().field, field);
        }
    }
}
