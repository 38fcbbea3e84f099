//! A change as others get it: by webhook or through a broker, always in the same form.

use serde::Serialize;
use spindel_model::{Change, EntityRef, Record, Timestamp, Topic, Version};

/// `{"type": "order.created", "timestamp": "…", "data": {…}}`, as Standard Webhooks recommends.
#[derive(Serialize)]
pub struct Envelope<'a> {
    r#type: Topic,
    /// When the source changed; the same on every try, so that the body is too.
    timestamp: Timestamp,
    data: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    entity: &'a EntityRef,
    version: Version,
    record: &'a Record,
}

impl<'a> Envelope<'a> {
    pub fn of(change: &'a Change) -> Self {
        Self {
            r#type: change.topic,
            timestamp: Timestamp::from_microsecond(change.version.0).unwrap_or(Timestamp::UNIX_EPOCH),
            data: Content { entity: &change.entity, version: change.version, record: &change.record },
        }
    }
}
