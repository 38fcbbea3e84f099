//! The suite that every connector must pass: `spindel_testkit::conformance!(Type);` in its `tests/conformance.rs`.
//!
//! Its cases come from the connector's abilities and fixtures. A case that a vendor cannot pass is waived with a reason:
//! `conformance!(Type, waive: [("set_stock not json", "the vendor answers with a page")])`. A waiver names one case
//! (`set_stock not json`), all cases of an ability (`set_stock`) or one case of all abilities (`not json`); the text of
//! a failure names its case. A waiver that hides nothing fails.
//!
//! Examples run at [`NOW`], with changes from the connection [`FROM`] and the idempotency key [`KEY`].

mod calls;
mod coverage;
mod receive;
mod settings;
mod subject;

pub use calls::{as_expected as calls_as_expected, failing_vendor, no_secret_in_messages, requests};
pub use coverage::{every_file_is_listed, examples_of_every_ability};
pub use receive::{as_expected as webhooks_as_expected, forged as forged_webhooks, malformed as malformed_webhooks};
pub use settings::settings;
pub use subject::Subject;

use spindel_connect::{Connector, entry};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// When examples happen.
pub const NOW: &str = "2026-11-20T10:00:00Z";
/// The connection that the changes of action examples come from.
pub const FROM: &str = "shop";
/// The idempotency key of action examples; the second job of a batch has the next one, and so on.
pub const KEY: uuid::Uuid = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
/// The address that `register` examples of `subscribe` register.
pub const ADDRESS: &str = "https://hooks.example.com/in/shop";

/// Something that is not as the contract says.
pub struct Problem {
    /// What a waiver may name.
    pub case: String,
    pub text: String,
}

/// A case (see the module), and why it does not hold for this vendor.
pub type Waiver = (&'static str, &'static str);

/// One concern of the suite.
pub type Check = fn(&Subject) -> Vec<Problem>;

const CHECKS: [Check; 8] = [
    settings,
    examples_of_every_ability,
    webhooks_as_expected,
    forged_webhooks,
    malformed_webhooks,
    calls_as_expected,
    failing_vendor,
    no_secret_in_messages,
];

impl Problem {
    fn new(case: impl Into<String>, text: impl Into<String>) -> Self {
        Self { case: case.into(), text: text.into() }
    }

    fn is_waived_by(&self, (waived, _): &Waiver) -> bool {
        let rest = |it: Option<&str>, edge: fn(&str) -> bool| it.is_some_and(edge);
        self.case == *waived
            || rest(self.case.strip_prefix(waived), |rest| rest.starts_with(' '))
            || rest(self.case.strip_suffix(waived), |rest| rest.ends_with(' '))
    }
}

/// Runs one concern; panics with every problem that no waiver covers.
pub fn run<C: Connector>(check: Check, waivers: &[Waiver]) {
    let problems = check(&Subject::new(entry::<C>()));
    report(problems.into_iter().filter(|problem| !waivers.iter().any(|it| problem.is_waived_by(it))));
}

/// Fails for a waiver without a reason, and for one that hides nothing.
pub fn waivers_are_needed<C: Connector>(waivers: &[Waiver]) {
    if waivers.is_empty() {
        return;
    }
    let subject = Subject::new(entry::<C>());
    let problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&subject)).collect();
    let unneeded = waivers.iter().filter_map(|waiver| {
        let (case, reason) = waiver;
        if reason.trim().is_empty() {
            return Some(Problem::new(*case, "the waiver gives no reason"));
        }
        let needed = problems.iter().any(|problem| problem.is_waived_by(waiver));
        (!needed).then(|| Problem::new(*case, "the waiver hides nothing: remove it"))
    });
    report(unneeded);
}

#[track_caller]
fn report(problems: impl Iterator<Item = Problem>) {
    let texts: Vec<String> = problems.map(|it| format!("[{}] {}", it.case, it.text)).collect();
    assert!(texts.is_empty(), "{} problem(s)\n\n{}\n", texts.len(), texts.join("\n\n"));
}

/// The value, or what was said by the panic.
fn without_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })
}

/// `conformance!(Type)`: the suite as tests of the calling crate, which must be the connector's own.
#[macro_export]
macro_rules! conformance {
    ($Connector:ty) => { $crate::conformance!($Connector, waive: []); };
    ($Connector:ty, waive: [$($waiver:expr),* $(,)?]) => {
        const WAIVERS: &[$crate::conformance::Waiver] = &[$($waiver),*];

        #[test]
        fn every_fixture_file_is_listed() {
            $crate::conformance::every_file_is_listed::<$Connector>(env!("CARGO_MANIFEST_DIR"));
        }

        $crate::conformance!(@tests $Connector;
            the_settings_are_accepted_and_mistakes_in_them_are_named: settings,
            every_ability_has_its_examples: examples_of_every_ability,
            webhooks_mean_what_the_examples_say: webhooks_as_expected,
            forged_webhooks_are_refused: forged_webhooks,
            webhooks_without_sense_are_refused_without_a_panic: malformed_webhooks,
            calls_are_made_and_answers_read_as_the_examples_say: calls_as_expected,
            a_failing_vendor_is_never_taken_for_a_success: failing_vendor,
            no_error_message_contains_a_secret: no_secret_in_messages,
        );

        #[test]
        fn every_waiver_has_a_reason_and_is_needed() {
            $crate::conformance::waivers_are_needed::<$Connector>(WAIVERS);
        }
    };
    (@tests $Connector:ty; $($name:ident: $check:ident,)*) => {$(
        #[test]
        fn $name() {
            $crate::conformance::run::<$Connector>($crate::conformance::$check, WAIVERS);
        }
    )*};
}
