//! Klarna as the payment provider of a day. Its classic calls are left out: what was captured and given back is told by the
//! answers.

use crate::{
    fault::Faults,
    klarna::KlarnaSim,
    roles::{Held, Joint, Placed, Provider, Vendor, major, minor, secret},
};
use rust_decimal::Decimal;
use std::{io, path::Path};

impl Vendor for KlarnaSim {
    fn connector(&self) -> &'static str {
        "klarna"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.account.with(|state| state.options.clone());
        let password = secret(folder, "klarna_password", &options.password)?;
        let signing_key = secret(folder, "klarna_signing_key", &options.signing_key)?;
        let (username, base_url) = (options.username, self.base_url());
        let settings = format!(
            r#"region = "eu"
username = "{username}"
password = {password}
webhooks = "network"
signing_keys = [{signing_key}]
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

impl Provider for KlarnaSim {
    fn hold(&self, order: &Placed, amount: Decimal, currency: &str) -> Result<String, String> {
        Ok(self.authorize(minor(amount)?, currency, Some(&order.number)))
    }

    fn payment(&self, reference: &str) -> Option<Held> {
        self.order(reference).map(held)
    }

    fn payments(&self) -> Vec<Held> {
        self.orders().into_iter().map(held).collect()
    }
}

fn held(it: super::OrderView) -> Held {
    Held { reference: it.id, held: major(it.remaining), captured: major(it.captured), refunded: major(it.refunded) }
}
