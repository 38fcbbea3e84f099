//! Stripe as the payment provider of a day.

use crate::{
    fault::Faults,
    roles::{Held, Joint, Placed, Provider, Vendor, major, minor, secret},
    stripe::StripeSim,
};
use rust_decimal::Decimal;
use std::{io, path::Path};

impl Vendor for StripeSim {
    fn connector(&self) -> &'static str {
        "stripe"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let (keys, webhook_secret) =
            self.account.with(|state| (state.options.api_keys.clone(), state.options.webhook_secret.clone()));
        let api_key = secret(folder, "stripe_api_key", keys.first().map_or("", String::as_str))?;
        let webhook_secret = secret(folder, "stripe_webhook_secret", &webhook_secret)?;
        let base_url = self.base_url();
        let settings = format!("api_key = {api_key}\nwebhook_secret = {webhook_secret}\nbase_url = \"{base_url}\"\n");
        Ok(Joint { settings, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults()
    }

    fn tell(&self, addresses: &[String]) {
        self.set_target(addresses.first().map(String::as_str));
    }
}

impl Provider for StripeSim {
    fn hold(&self, order: &Placed, amount: Decimal, currency: &str) -> Result<String, String> {
        Ok(self.authorize(minor(amount)?, currency, &[("order_id", &order.id), ("order_number", &order.number)]))
    }

    fn payment(&self, reference: &str) -> Option<Held> {
        self.payment(reference).map(held)
    }

    fn payments(&self) -> Vec<Held> {
        self.payments().into_iter().map(held).collect()
    }
}

fn held(it: super::PaymentView) -> Held {
    Held { reference: it.id, held: major(it.capturable), captured: major(it.captured), refunded: major(it.refunded) }
}
