//! The delivery state machine: one pure function decides, everything else carries out.

use crate::{delay, retry::LONGEST_ASKED};
use spindel_connect::{CallError, Effect as CallEffect, Repeat};
use spindel_model::RetryPolicy;
use spindel_model::{DeliveryId, ErrorClass, Lease, State, Timestamp};
use std::time::Duration;

/// How long a delivery waits for something else to arrive first.
const LONGEST_DEFERRAL: Duration = Duration::from_secs(24 * 3600);
/// How long a connection rests after its credentials were refused, before one delivery tries again.
pub const AUTH_REST: Duration = Duration::from_secs(60);
/// Panics after which a delivery is put aside.
const MOST_PANICS: u32 = 2;

/// What happened to a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker took it.
    Leased(Lease),
    /// The destination did it, or already had it so.
    Succeeded {
        unchanged: bool,
    },
    Failed(CallError),
    /// The connector, or Spindel itself, panicked.
    Panicked,
    /// A look-up found that the unanswered attempt had its effect, or had none.
    LookedUp {
        found: bool,
    },
    LookUpFailed(CallError),
    /// The worker is gone.
    LeaseExpired,
    /// Something newer was applied before.
    Outdated,
    /// Its flow or destination is no longer configured, or cannot do it any more.
    Unroutable {
        reason: String,
    },
    /// Reading the record back showed that there is nothing to do, or nothing that can be done.
    Ended(State),
    /// A newer state of the same entity waits.
    Superseded {
        by: DeliveryId,
    },
    Held {
        guard: String,
    },
    Paused {
        reason: String,
    },
    /// Its turn in the lane, a guard approved, a pause ended.
    Released,
    /// A person says: again.
    Retried,
    /// A person says: never.
    Discarded {
        by: String,
        why: String,
    },
}

/// What is known around a delivery when something happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub repeat: Repeat,
    pub policy: RetryPolicy,
    /// Attempts that counted so far.
    pub attempts: u32,
    /// Since when it has been tried.
    pub first_due_at: Timestamp,
}

/// What the rest of the engine must do about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Consequence {
    /// The destination has it: move the version guard, keep the link.
    Applied,
    /// The destination did not answer as it should: one more for the breaker.
    CountFailure,
    CountSuccess,
    /// Nobody calls this connection before.
    Throttle {
        until: Timestamp,
    },
    /// The credentials are refused: rest, and tell a person.
    PauseConnection {
        until: Timestamp,
        reason: String,
    },
}

/// The decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub state: State,
    pub attempts: u32,
    pub consequences: Vec<Consequence>,
}

/// This cannot happen to a delivery in this state; nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state} cannot be {input}")]
pub struct Illegal {
    pub state: &'static str,
    pub input: &'static str,
}

/// Decides what becomes of a delivery.
pub fn step(state: &State, input: Input, case: &Case, now: Timestamp) -> Result<Step, Illegal> {
    let to = |state: State| Ok(Step { state, attempts: case.attempts, consequences: Vec::new() });
    let name = input.name();
    match (state, input) {
        (State::Running { .. }, input) => running(input, case, now).ok_or(Illegal { state: state.name(), input: name }),
        (State::Due { .. } | State::InDoubt { .. }, Input::Leased(lease)) => to(State::Running { lease }),
        (State::Waiting { at }, Input::Released) => to(State::Due { at: *at }),
        (State::Held { .. } | State::Paused { .. }, Input::Released) => to(State::Due { at: now }),
        (State::Waiting { .. } | State::Due { .. }, Input::Superseded { by }) => to(State::Superseded { by }),
        (State::Waiting { .. } | State::Due { .. }, Input::Held { guard }) => to(State::Held { guard }),
        (State::Waiting { .. } | State::Due { .. }, Input::Paused { reason }) => to(State::Paused { reason }),
        (state, Input::Retried) if !state.has_arrived() => {
            Ok(Step { state: State::Due { at: now }, attempts: 0, consequences: Vec::new() })
        }
        (state, Input::Discarded { by, why }) if can_be_discarded(state) => to(State::Discarded { by, why }),
        (state, _) => Err(Illegal { state: state.name(), input: name }),
    }
}

fn can_be_discarded(state: &State) -> bool {
    !state.is_end() || matches!(state, State::Dead { .. } | State::Conflict { .. })
}

fn running(input: Input, case: &Case, now: Timestamp) -> Option<Step> {
    let same = |state, consequences| Some(Step { state, attempts: case.attempts, consequences });
    match input {
        Input::Succeeded { unchanged } => Some(Step {
            state: if unchanged { State::Unchanged } else { State::Delivered },
            attempts: case.attempts + 1,
            consequences: vec![Consequence::Applied, Consequence::CountSuccess],
        }),
        Input::Failed(error) => Some(failed(error, case, now)),
        Input::Panicked => Some(panicked(case, now)),
        Input::LookedUp { found: true } => same(State::Delivered, vec![Consequence::Applied, Consequence::CountSuccess]),
        Input::LookedUp { found: false } => same(State::Due { at: now }, vec![Consequence::CountSuccess]),
        Input::LookUpFailed(error) => Some(look_up_failed(error, case, now)),
        Input::LeaseExpired => Some(unanswered(case, now, case.attempts + 1, Duration::ZERO, Vec::new())),
        Input::Outdated => same(State::Stale, Vec::new()),
        Input::Unroutable { reason } => same(State::Dead { class: ErrorClass::Config, reason }, Vec::new()),
        Input::Ended(state @ (State::Skipped { .. } | State::Dead { .. })) => same(state, Vec::new()),
        Input::Held { guard } => same(State::Held { guard }, Vec::new()),
        _ => None,
    }
}

fn failed(error: CallError, case: &Case, now: Timestamp) -> Step {
    let attempts = case.attempts + 1;
    let wait = delay(&case.policy, attempts, error.retry_after);
    let asked = error.retry_after.map(|asked| asked.min(LONGEST_ASKED));
    let reason = error.to_string();
    let dead = |class| Step {
        state: State::Dead { class, reason: reason.clone() },
        attempts,
        consequences: vec![Consequence::CountSuccess],
    };
    match error.class {
        ErrorClass::Transient if error.effect == CallEffect::Unknown => {
            unanswered(case, now, attempts, wait, vec![Consequence::CountFailure])
        }
        ErrorClass::Transient => again_or_give_up(case, now, attempts, wait, &reason),
        ErrorClass::RateLimited => {
            let until = after(now, asked.unwrap_or(case.policy.first));
            Step { state: State::Due { at: until }, attempts: case.attempts, consequences: vec![Consequence::Throttle { until }] }
        }
        ErrorClass::Auth => {
            let until = after(now, AUTH_REST.max(asked.unwrap_or_default()));
            Step {
                state: State::Due { at: until },
                attempts: case.attempts,
                consequences: vec![Consequence::PauseConnection { until, reason }],
            }
        }
        ErrorClass::MissingDependency if now.duration_since(case.first_due_at) < signed(LONGEST_DEFERRAL) => {
            Step { state: State::Due { at: after(now, wait) }, attempts, consequences: vec![Consequence::CountSuccess] }
        }
        ErrorClass::Bug if error.effect == CallEffect::Unknown => unanswered(case, now, attempts, wait, Vec::new()),
        ErrorClass::Bug if attempts < MOST_PANICS => again_or_give_up(case, now, attempts, wait, &reason),
        class @ (ErrorClass::Config | ErrorClass::Data | ErrorClass::MissingDependency | ErrorClass::Gone | ErrorClass::Bug) => {
            dead(class)
        }
    }
}

fn again_or_give_up(case: &Case, now: Timestamp, attempts: u32, wait: Duration, reason: &str) -> Step {
    let tried_for = now.duration_since(case.first_due_at);
    let state = if tried_for >= signed(case.policy.give_up_after) {
        State::Dead {
            class: ErrorClass::Transient,
            reason: format!("given up after {attempts} attempts in {tried_for:#}: {reason}"),
        }
    } else {
        State::Due { at: after(now, wait) }
    };
    Step { state, attempts, consequences: vec![Consequence::CountFailure] }
}

/// It may have had its effect, or not.
fn unanswered(case: &Case, now: Timestamp, attempts: u32, wait: Duration, consequences: Vec<Consequence>) -> Step {
    let state = match case.repeat {
        Repeat::Harmless | Repeat::VendorKey => {
            let mut step = again_or_give_up(case, now, attempts, wait, "the outcome is unknown");
            step.consequences = consequences;
            return step;
        }
        Repeat::LookUpFirst => State::InDoubt { look_up_at: Some(after(now, wait)) },
        Repeat::Unsafe => State::InDoubt { look_up_at: None },
    };
    Step { state, attempts, consequences }
}

fn panicked(case: &Case, now: Timestamp) -> Step {
    let attempts = case.attempts + 1;
    if attempts >= MOST_PANICS && matches!(case.repeat, Repeat::LookUpFirst | Repeat::Unsafe) {
        // It may have had its effect before it panicked, and looking it up may panic as well: a person must tell.
        return Step { state: State::InDoubt { look_up_at: None }, attempts, consequences: Vec::new() };
    }
    if attempts >= MOST_PANICS {
        let reason = format!(
            "a panic at attempt {attempts}: a bug in the connector or in Spindel; please report it with this delivery's attempts"
        );
        return Step { state: State::Dead { class: ErrorClass::Bug, reason }, attempts, consequences: Vec::new() };
    }
    unanswered(case, now, attempts, delay(&case.policy, attempts, None), Vec::new())
}

/// The doubt stays. What the vendor says decides only how long until it is asked again.
fn look_up_failed(error: CallError, case: &Case, now: Timestamp) -> Step {
    let attempts = case.attempts + 1;
    let tried_for = now.duration_since(case.first_due_at);
    let look_up_at =
        (tried_for < signed(case.policy.give_up_after)).then(|| after(now, delay(&case.policy, attempts, error.retry_after)));
    let consequences = match error.class {
        ErrorClass::RateLimited => look_up_at.map(|until| Consequence::Throttle { until }).into_iter().collect(),
        ErrorClass::Auth => vec![Consequence::PauseConnection { until: after(now, AUTH_REST), reason: error.to_string() }],
        ErrorClass::Transient => vec![Consequence::CountFailure],
        ErrorClass::Bug => Vec::new(),
        // It answered, if not what was hoped for.
        ErrorClass::Config | ErrorClass::Data | ErrorClass::MissingDependency | ErrorClass::Gone => {
            vec![Consequence::CountSuccess]
        }
    };
    Step { state: State::InDoubt { look_up_at }, attempts, consequences }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

impl Input {
    /// As in "cannot be …".
    pub fn name(&self) -> &'static str {
        match self {
            Self::Leased(_) => "leased",
            Self::Succeeded { .. } => "finished with success",
            Self::Failed(_) => "finished with a failure",
            Self::Panicked => "ended by a panic",
            Self::LookedUp { .. } => "looked up",
            Self::LookUpFailed(_) => "looked up in vain",
            Self::LeaseExpired => "given up by its worker",
            Self::Outdated => "found outdated",
            Self::Unroutable { .. } => "found without a way",
            Self::Ended(_) => "ended before it began",
            Self::Superseded { .. } => "superseded",
            Self::Held { .. } => "held",
            Self::Paused { .. } => "paused",
            Self::Released => "released",
            Self::Retried => "retried",
            Self::Discarded { .. } => "discarded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-20T10:00:00Z".parse().unwrap()
    }

    fn case(repeat: Repeat) -> Case {
        Case { repeat, policy: RetryPolicy::default(), attempts: 0, first_due_at: now() }
    }

    fn running() -> State {
        State::Running { lease: Lease { node: "a".into(), until: now() } }
    }

    fn error(class: ErrorClass, effect: CallEffect) -> CallError {
        CallError { operation: "push_order", class, message: "no".into(), retry_after: None, effect }
    }

    #[test]
    fn an_unknown_outcome_is_looked_up_before_anything_is_sent_again() {
        let unknown = Input::Failed(error(ErrorClass::Transient, CallEffect::Unknown));
        for (repeat, want) in [
            (Repeat::Harmless, "due"),
            (Repeat::VendorKey, "due"),
            (Repeat::LookUpFirst, "in_doubt"),
            (Repeat::Unsafe, "in_doubt"),
        ] {
            for input in [unknown.clone(), Input::LeaseExpired, Input::Panicked] {
                let got = step(&running(), input.clone(), &case(repeat), now()).unwrap();
                assert_eq!(got.state.name(), want, "{repeat:?} {}", input.name());
            }
        }
        let unsafe_one = step(&running(), unknown, &case(Repeat::Unsafe), now()).unwrap();
        assert_eq!(unsafe_one.state, State::InDoubt { look_up_at: None });
    }

    #[test]
    fn throttling_and_refused_credentials_spend_no_attempt() {
        for class in [ErrorClass::RateLimited, ErrorClass::Auth] {
            let got = step(&running(), Input::Failed(error(class, CallEffect::None)), &case(Repeat::Harmless), now()).unwrap();
            assert_eq!((got.attempts, got.state.name()), (0, "due"), "{class}");
        }
    }

    #[test]
    fn each_error_class_has_its_consequence() {
        for (class, want) in [
            (ErrorClass::Transient, "due"),
            (ErrorClass::RateLimited, "due"),
            (ErrorClass::Auth, "due"),
            (ErrorClass::Config, "dead"),
            (ErrorClass::Data, "dead"),
            (ErrorClass::MissingDependency, "due"),
            (ErrorClass::Gone, "dead"),
            (ErrorClass::Bug, "due"),
        ] {
            let got = step(&running(), Input::Failed(error(class, CallEffect::None)), &case(Repeat::Harmless), now()).unwrap();
            assert_eq!(got.state.name(), want, "{class}");
        }
    }

    #[test]
    fn retries_end_after_the_time_given() {
        let late = Case { first_due_at: now() - Duration::from_secs(73 * 3600), attempts: 12, ..case(Repeat::Harmless) };
        let got = step(&running(), Input::Failed(error(ErrorClass::Transient, CallEffect::None)), &late, now()).unwrap();
        let State::Dead { class: ErrorClass::Transient, reason } = got.state else { panic!("{:?}", got.state) };
        assert!(reason.contains("13 attempts"), "{reason}");
    }

    #[test]
    fn what_a_vendor_asks_for_is_never_undercut() {
        let asked = CallError { retry_after: Some(Duration::from_secs(900)), ..error(ErrorClass::RateLimited, CallEffect::None) };
        let got = step(&running(), Input::Failed(asked), &case(Repeat::Harmless), now()).unwrap();
        assert_eq!(got.state, State::Due { at: now() + Duration::from_secs(900) });
    }

    #[test]
    fn nobody_waits_for_years_because_a_vendor_says_so() {
        for class in [ErrorClass::RateLimited, ErrorClass::Auth] {
            let asked = CallError { retry_after: Some(Duration::from_secs(1_000_000_000)), ..error(class, CallEffect::None) };
            let got = step(&running(), Input::Failed(asked), &case(Repeat::Harmless), now()).unwrap();
            assert_eq!(got.state, State::Due { at: now() + LONGEST_ASKED }, "{class}");
        }
    }

    #[test]
    fn a_look_up_that_is_refused_is_no_sign_of_a_failing_destination() {
        for (class, counted) in [
            (ErrorClass::Transient, vec![Consequence::CountFailure]),
            (ErrorClass::Data, vec![Consequence::CountSuccess]),
            (ErrorClass::Gone, vec![Consequence::CountSuccess]),
            (ErrorClass::Bug, Vec::new()),
        ] {
            let input = Input::LookUpFailed(error(class, CallEffect::None));
            let got = step(&running(), input, &case(Repeat::LookUpFirst), now()).unwrap();
            assert_eq!((got.state.name(), got.consequences), ("in_doubt", counted), "{class}");
        }
    }

    fn states() -> impl Strategy<Value = State> {
        let text = || Just("x".to_owned());
        prop_oneof![
            Just(State::Waiting { at: now() }),
            Just(State::Due { at: now() }),
            Just(running()),
            Just(State::InDoubt { look_up_at: Some(now()) }),
            Just(State::InDoubt { look_up_at: None }),
            text().prop_map(|guard| State::Held { guard }),
            text().prop_map(|reason| State::Paused { reason }),
            Just(State::Delivered),
            Just(State::Unchanged),
            Just(State::Superseded { by: DeliveryId::new() }),
            Just(State::Duplicate),
            Just(State::Echo),
            Just(State::Stale),
            text().prop_map(|reason| State::Skipped { reason }),
            text().prop_map(|reason| State::Conflict { reason }),
            text().prop_map(|reason| State::Dead { class: ErrorClass::Data, reason }),
            Just(State::Discarded { by: "a".into(), why: "b".into() }),
        ]
    }

    fn inputs() -> impl Strategy<Value = Input> {
        let classes = prop::sample::select(ErrorClass::ALL.to_vec());
        let errors = (classes, any::<bool>(), proptest::option::of(0u64..100_000)).prop_map(|(class, unknown, wait)| CallError {
            operation: "op",
            class,
            message: "m".into(),
            retry_after: wait.map(Duration::from_secs),
            effect: if unknown { CallEffect::Unknown } else { CallEffect::None },
        });
        let text = || Just("x".to_owned());
        prop_oneof![
            Just(Input::Leased(Lease { node: "a".into(), until: now() })),
            any::<bool>().prop_map(|unchanged| Input::Succeeded { unchanged }),
            errors.clone().prop_map(Input::Failed),
            errors.prop_map(Input::LookUpFailed),
            Just(Input::Panicked),
            any::<bool>().prop_map(|found| Input::LookedUp { found }),
            Just(Input::LeaseExpired),
            Just(Input::Outdated),
            text().prop_map(|reason| Input::Unroutable { reason }),
            states().prop_map(Input::Ended),
            Just(Input::Superseded { by: DeliveryId::new() }),
            text().prop_map(|guard| Input::Held { guard }),
            text().prop_map(|reason| Input::Paused { reason }),
            Just(Input::Released),
            Just(Input::Retried),
            Just(Input::Discarded { by: "a".into(), why: "b".into() }),
        ]
    }

    fn repeats() -> impl Strategy<Value = Repeat> {
        prop::sample::select(vec![Repeat::Harmless, Repeat::VendorKey, Repeat::LookUpFirst, Repeat::Unsafe])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn every_input_in_every_state_keeps_the_promises(state in states(), input in inputs(), repeat in repeats(), attempts in 0u32..50, hours in 0i64..200) {
            let case = Case {
                repeat,
                policy: RetryPolicy::default(),
                attempts,
                first_due_at: now() - jiff::SignedDuration::from_hours(hours),
            };
            let Ok(next) = step(&state, input.clone(), &case, now()) else { return Ok(()) };
            // What arrived stays arrived.
            prop_assert!(!state.has_arrived());
            // An end is left only because a person says so.
            if state.is_end() {
                let by_person = matches!(input, Input::Retried | Input::Discarded { .. });
                prop_assert!(by_person);
            }
            // Never sent again blindly when that could be twice.
            let unknown = match &input {
                Input::Failed(error) => error.effect == CallEffect::Unknown && matches!(error.class, ErrorClass::Transient | ErrorClass::Bug),
                Input::LeaseExpired | Input::Panicked => true,
                _ => false,
            };
            if unknown && matches!(repeat, Repeat::LookUpFirst | Repeat::Unsafe) {
                prop_assert_eq!(next.state.name(), "in_doubt");
            }
            // Nothing becomes due in the past.
            if let State::Due { at } = next.state {
                prop_assert!(at >= now());
            }
            // Only these two moments mean that the destination has it.
            let applied = next.consequences.contains(&Consequence::Applied);
            prop_assert_eq!(applied, matches!(next.state, State::Delivered | State::Unchanged));
            // Attempts are forgotten only when a person retries.
            prop_assert!(next.attempts >= attempts || matches!(input, Input::Retried));
        }
    }
}
