//! What a message says: the version of its form and the id of what is ready, never a payload.

use crate::Work;
use lapin::BasicProperties;
use serde::{Deserialize, Serialize};
use spindel_model::{DeliveryId, EventId};

const VERSION: u32 = 1;
/// No message of ours is longer.
const LONGEST: usize = 256;

#[derive(Serialize, Deserialize)]
struct Body {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryId>,
}

pub(super) fn encode(work: Work) -> Vec<u8> {
    let body = match work {
        Work::Plan(id) => Body { v: VERSION, event: Some(id), delivery: None },
        Work::Deliver(id) => Body { v: VERSION, event: None, delivery: Some(id) },
    };
    // Numbers and ids always have a JSON form.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Nothing for what is no message of ours, or of a version that is not known here.
pub(super) fn decode(bytes: &[u8]) -> Option<Work> {
    if bytes.len() > LONGEST {
        return None;
    }
    match serde_json::from_slice(bytes).ok()? {
        Body { v: VERSION, event: Some(id), delivery: None } => Some(Work::Plan(id)),
        Body { v: VERSION, event: None, delivery: Some(id) } => Some(Work::Deliver(id)),
        _ => None,
    }
}

pub(super) fn properties(work: Work) -> BasicProperties {
    let kind = match work {
        Work::Plan(_) => "spindel.plan",
        Work::Deliver(_) => "spindel.deliver",
    };
    json().with_type(kind.into())
}

/// JSON that outlives a restart of the broker.
pub(crate) fn json() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for work in [Work::Plan(EventId::new()), Work::Deliver(DeliveryId::new())] {
            assert_eq!(decode(&encode(work)), Some(work));
        }
        let id = EventId::new();
        assert_eq!(String::from_utf8(encode(Work::Plan(id))).unwrap(), format!(r#"{{"v":1,"event":"{id}"}}"#));
    }

    #[test]
    fn garbage_and_other_versions_are_told_apart() {
        let (event, delivery) = (EventId::new(), DeliveryId::new());
        for text in [
            String::new(),
            "{}".into(),
            "[1]".into(),
            r#"{"v":1}"#.into(),
            format!(r#"{{"v":2,"event":"{event}"}}"#),
            format!(r#"{{"v":1,"event":"{delivery}"}}"#),
            format!(r#"{{"v":1,"event":"{event}","delivery":"{delivery}"}}"#),
            format!(r#"{{"v":1,"event":"{event}","more":"{}"}}"#, "x".repeat(300)),
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(&[0xff, 0xfe]), None);
        let grown = format!(r#"{{"v":1,"event":"{event}","hint":3}}"#);
        assert_eq!(decode(grown.as_bytes()), Some(Work::Plan(event)), "a field more is no other version");
    }
}
