//! Vipps MobilePay as the payment provider of a day.

use crate::{
    fault::Faults,
    roles::{Held, Joint, Placed, Provider, Vendor, major, minor, secret},
    vipps::VippsSim,
};
use rust_decimal::Decimal;
use std::{io, path::Path};

/// A payment is called by the number of its order.
const PREFIX: &str = "demo-order-";

impl Vendor for VippsSim {
    fn connector(&self) -> &'static str {
        "vipps"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.unit.with(|state| state.options.clone());
        let client_secret = secret(folder, "vipps_client_secret", &options.client_secret)?;
        let subscription_key = secret(folder, "vipps_subscription_key", &options.subscription_key)?;
        let webhook_secret = secret(folder, "vipps_webhook_secret", &options.webhook_secret)?;
        let (msn, client_id, base_url) = (options.merchant_serial_number, options.client_id, self.base_url());
        let settings = format!(
            r#"merchant_serial_number = "{msn}"
client_id = "{client_id}"
client_secret = {client_secret}
subscription_key = {subscription_key}
webhook_secrets = {webhook_secret}
reference_prefix = "{PREFIX}"
base_url = "{base_url}"
"#
        );
        Ok(Joint { settings, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults()
    }

    fn tell(&self, addresses: &[String]) {
        self.set_target(addresses.first().map(String::as_str));
    }
}

impl Provider for VippsSim {
    fn hold(&self, order: &Placed, amount: Decimal, currency: &str) -> Result<String, String> {
        let reference = format!("{PREFIX}{}", order.number.trim_start_matches('#'));
        self.authorize(&reference, minor(amount)?, currency).map_err(|refused| refused.0)?;
        Ok(reference)
    }

    fn payment(&self, reference: &str) -> Option<Held> {
        self.payment(reference).map(held)
    }

    fn payments(&self) -> Vec<Held> {
        self.payments().into_iter().map(held).collect()
    }
}

fn held(it: super::PaymentView) -> Held {
    Held {
        held: major(it.authorized - it.captured - it.cancelled),
        reference: it.reference,
        captured: major(it.captured),
        refunded: major(it.refunded),
    }
}
