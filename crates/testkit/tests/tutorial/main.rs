//! Acme, the invented vendor of the tutorial in crates/connectors/README.md: every snippet of the page stands here, compiles, and
//! passes the suite.
#![allow(clippy::unwrap_used)]

mod account;
mod checkout;
mod money;
mod page;
mod parcels;
mod poll;
mod proofs;
mod receive;
mod stock;
mod subscribe;
mod wire;

use account::Acme;
use spindel_testkit::conformance::{self, Check};

fn pass(check: Check) {
    conformance::run::<Acme>(check, &[]);
}

#[test]
fn its_settings_and_webhooks_are_as_the_suite_wants_them() {
    pass(conformance::settings);
    pass(conformance::webhooks_as_expected);
    pass(conformance::forged_webhooks);
    pass(conformance::malformed_webhooks);
}

#[test]
fn its_calls_are_as_the_suite_wants_them() {
    pass(conformance::examples_of_every_ability);
    pass(conformance::calls_as_expected);
    pass(conformance::failing_vendor);
    pass(conformance::no_secret_in_messages);
}
