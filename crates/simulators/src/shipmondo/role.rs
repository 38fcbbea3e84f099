//! Shipmondo as the carrier of a day.

use crate::{
    fault::Faults,
    roles::{Carrier, Joint, Parcel, Vendor, order_of, secret},
    shipmondo::{Scan, ShipmentView, ShipmondoSim},
};
use std::{io, path::Path};

const SERVICES: &str = "[[connections.carrier.services]]\nproduct = \"PDK_MH\"\nwith = [\"EMAIL_NT\"]\n";
const SENDER: &str = r#"name = "Fjord Handel ApS"
address = "Vej 1"
postal_code = "5000"
city = "Odense"
country = "DK"
contact = "Lageret"
email = "lager@example.dk"
phone = "+4570400407"
"#;
const PARCEL: &str = "grams = 1000\nlength_mm = 300\nwidth_mm = 200\nheight_mm = 100\n";

impl Vendor for ShipmondoSim {
    fn connector(&self) -> &'static str {
        "shipmondo"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.account.with(|state| state.options.clone());
        let api_key = secret(folder, "shipmondo_api_key", &options.api_key)?;
        let webhook_key = secret(folder, "shipmondo_webhook_key", &options.webhook_key)?;
        let (api_user, base_url) = (options.api_user, self.base_url());
        let settings = format!(
            r#"api_user = "{api_user}"
api_key = {api_key}
webhook_key = {webhook_key}
service = "PDK_MH"
base_url = "{base_url}"
"#
        );
        let parts = vec![("sender", SENDER.to_owned()), ("parcel", PARCEL.to_owned())];
        Ok(Joint { settings, parts, tables: SERVICES.to_owned() })
    }

    fn faults(&self) -> Faults {
        self.faults().clone()
    }

    fn tell(&self, addresses: &[String]) {
        self.set_target(addresses.first().map(String::as_str));
    }
}

impl Carrier for ShipmondoSim {
    fn parcels(&self) -> Vec<Parcel> {
        let parcel = |it: ShipmentView| Parcel {
            delivered: it.status.as_deref() == Some("DELIVERED"),
            order: order_of(it.reference.as_deref().unwrap_or_default()),
            booking: it.id,
        };
        self.shipments().into_iter().filter(|it| !it.cancelled).map(parcel).collect()
    }

    fn move_on(&self, booking: &str) {
        let Some(shipment) = self.shipments().into_iter().find(|it| it.id == booking) else { return };
        let next = match shipment.status.as_deref() {
            Some("DELIVERED") => return,
            Some(_) => Scan::delivered(),
            None => Scan::en_route(),
        };
        // It is known, and not cancelled.
        let _scanned = self.scan(booking, next);
    }
}
