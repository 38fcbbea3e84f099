//! The same walk of a shop's orders through the real connector: into the simulated Tryton, and into a real one where
//! `SPINDEL_TRYTON_URL` names one. What the simulator gets wrong shows as a difference between the two.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../hub/mod.rs"]
mod hub;
mod orders;
mod peer;
mod quirks;
mod shapes;
mod simulated;
mod walk;

use peer::Peer;
use simulated::Simulated;

#[tokio::test]
async fn a_shops_orders_are_booked_paid_credited_and_shipped_in_the_simulated_tryton() {
    walk::walk(&Simulated::start().await).await;
}

#[tokio::test]
#[allow(clippy::print_stderr)]
async fn a_shops_orders_are_booked_paid_credited_and_shipped_in_real_tryton() {
    let Some(peer) = Peer::from_environment().await else {
        eprintln!("skipped: SPINDEL_TRYTON_URL names no Tryton (`scripts/test --peers` installs one)");
        return;
    };
    walk::walk(&peer).await;
}
