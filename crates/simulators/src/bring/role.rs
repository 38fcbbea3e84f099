//! Bring as the carrier of a day.

use crate::{
    bring::{BringSim, Consignment},
    fault::Faults,
    roles::{Carrier, Joint, Parcel, Vendor, order_of, secret},
};
use std::{io, path::Path};

const SENDER: &str = r#"name = "Fjell Handel AS"
address = "Kaiveien 12"
postal_code = "0263"
city = "Oslo"
country = "NO"
contact = "Lageret"
email = "lager@example.no"
phone = "+4799012345"
"#;
const PARCEL: &str = "grams = 1000\nlength_mm = 300\nwidth_mm = 200\nheight_mm = 100\n";

impl Vendor for BringSim {
    fn connector(&self) -> &'static str {
        "bring"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.shared.with(|state| state.options.clone());
        let api_key = secret(folder, "bring_api_key", &options.api_key)?;
        let webhook_secret = secret(folder, "bring_webhook_secret", &options.webhook_secret)?;
        let (api_uid, customer_number, header, base_url) =
            (options.api_uid, options.customer_number, options.webhook_header, self.base_url());
        let settings = format!(
            r#"api_uid = "{api_uid}"
api_key = {api_key}
client_url = "https://shop.example.no"
customer_number = "{customer_number}"
services = ["5800", "5600"]
service = "5600"
webhook_header = "{header}"
webhook_secret = {webhook_secret}
base_url = "{base_url}"
"#
        );
        let parts = vec![("sender", SENDER.to_owned()), ("parcel", PARCEL.to_owned())];
        Ok(Joint { settings, parts, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults()
    }

    fn tell(&self, addresses: &[String]) {
        self.set_target(addresses.first().map(String::as_str));
    }
}

impl Carrier for BringSim {
    fn parcels(&self) -> Vec<Parcel> {
        let parcel = |it: Consignment| Parcel {
            delivered: last_word(&it).as_deref() == Some("DELIVERED"),
            order: order_of(&it.reference),
            booking: it.number,
        };
        self.consignments().into_iter().map(parcel).collect()
    }

    fn move_on(&self, booking: &str) {
        let Some(consignment) = self.consignment(booking) else { return };
        let next = match last_word(&consignment).as_deref() {
            Some("DELIVERED") => return,
            Some("IN_TRANSIT") => "DELIVERED",
            _ => "IN_TRANSIT",
        };
        // It is known, and no test.
        let _scanned = self.scan(booking, next);
    }
}

fn last_word(consignment: &Consignment) -> Option<String> {
    consignment.packages.first()?.events.last().map(|it| it.status.clone())
}
