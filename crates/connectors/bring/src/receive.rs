//! What Event Cast sends: that something happened to a parcel. Where it is, is read back.

use crate::{Bring, wire};
use spindel_connect::{ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, Record, Topic};

impl Receive for Bring {
    /// Bring signs nothing; it sends the headers that a webhook was registered with.
    fn proof(&self, kept: &[Secret]) -> Proof {
        let tokens = self.webhook_secrets.iter().chain(kept).cloned().collect();
        Proof::SharedToken { header: self.webhook_header.clone(), tokens }
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        Ok(delivery.json::<wire::Cast>()?.status)
    }

    /// Whether `id` is that of the event or of the webhook is not documented; these three are the event.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let it: wire::Cast = delivery.json().ok()?;
        Some(format!("{}/{}/{}", it.package.or(it.shipment)?, it.status, it.created))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let it: wire::Cast = delivery.json()?;
        let named = it.shipment.or(it.package).filter(|it| !it.is_empty());
        let Some(id) = named else {
            return Err(ParseError::Content("the event names neither a shipment nor a package".to_owned()));
        };
        // A fixed secret vouches for the sender and not for the body, which does not name the order either.
        Ok(vec![Change::new(Topic::ShipmentUpdated, id, it.created, Record::Nudge)])
    }
}
