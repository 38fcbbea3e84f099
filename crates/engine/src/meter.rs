//! What the engine counts for those who watch it. Labels are names out of the config and of states, so that there are few.

use spindel_model::{Attempt, Event, EventId, State, Timestamp};
use spindel_store::EventPlan;
use std::time::Duration;

/// An event was planned, and this is what came of it.
pub(crate) fn planned(state: &'static str) {
    metrics::counter!("spindel_events_planned_total", "state" => state).increment(1);
}

/// What cannot be carried out was found out when the event was planned: it is logged here, once.
pub(crate) fn log_plan(event: &Event, plan: &EventPlan) {
    if let spindel_model::EventState::Quarantined { reason } = &plan.state {
        tracing::warn!(event = %event.id, connection = event.connection, topic = event.topic, reason, "event quarantined");
    }
    for delivery in &plan.deliveries {
        if let State::Dead { class, reason } = &delivery.state {
            tracing::warn!(
                delivery = %delivery.id, event = %event.id, connection = delivery.from, flow = delivery.flow, to = delivery.to,
                label = delivery.label, %class, reason, "delivery failed before it began"
            );
        }
    }
}

/// An attempt ended: by its error class, or by the state that it led to.
pub(crate) fn attempted(to: &str, event: EventId, attempt: &Attempt, next: &State, wall: Timestamp) {
    let outcome = attempt.class.map_or(next.name(), |class| class.as_str());
    metrics::counter!("spindel_attempts_total", "to" => to.to_owned(), "outcome" => outcome).increment(1);
    if matches!(next, State::Delivered | State::Unchanged) {
        let histogram = metrics::histogram!("spindel_delivery_latency_seconds", "to" => to.to_owned());
        histogram.record(age(event, wall));
    }
}

/// How long ago an event was accepted, by its id.
pub fn age(event: EventId, wall: Timestamp) -> Duration {
    let (seconds, nanos) = event.0.get_timestamp().map_or((0, 0), |it| it.to_unix());
    let accepted = i64::try_from(seconds).ok().and_then(|it| Timestamp::new(it, nanos.cast_signed()).ok()).unwrap_or(wall);
    Duration::try_from(wall.duration_since(accepted)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_an_event_is_read_off_its_id_and_never_negative() {
        let event = EventId::new();
        let now = spindel_model::Clock::system().now();
        assert!(age(event, now) < Duration::from_secs(5));
        let later = age(event, now + jiff::SignedDuration::from_secs(60));
        assert!(later >= Duration::from_secs(59) && later < Duration::from_secs(65), "{later:?}");
        assert_eq!(age(event, now - jiff::SignedDuration::from_secs(60)), Duration::ZERO);
    }
}
