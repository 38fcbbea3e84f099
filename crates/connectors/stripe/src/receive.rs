//! Webhooks: how they prove themselves, and which event they are; what that means stands in `event`.

use crate::{Stripe, event::Head};
use spindel_connect::{ParseError, Part, Proof, Receive, Secret, Verified};
use spindel_model::Change;
use std::time::Duration;

/// In both directions; Stripe's own libraries refuse only what is too old.
const TOLERANCE: Duration = Duration::from_secs(300);

impl Receive for Stripe {
    /// `t=…,v1=…`, one `v1` for every secret that is in force; `v0` is made for tests by Stripe and proves nothing.
    /// The key is the whole secret, `whsec_` included.
    fn proof(&self, kept: &[Secret]) -> Proof {
        let secrets: Vec<Secret> = self.secrets.iter().chain(kept).cloned().collect();
        Proof::hmac("stripe-signature")
            .labelled("t", "v1", TOLERANCE)
            .over(vec![Part::Timestamp, Part::Text("."), Part::Body])
            .secrets(&secrets)
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        delivery.json::<Head>().map(|it| it.kind)
    }

    /// Stays the same when Stripe sends the event again.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        delivery.json::<Head>().ok().map(|it| it.id)
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        self.changes_of(delivery.body())
    }
}
