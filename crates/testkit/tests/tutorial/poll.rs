//! What moved in the warehouse, asked for page by page.

use crate::{account::Acme, wire};
use jiff::SignedDuration;
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, EntityKind, EntityRef, Record, StockLevel, Timestamp, Topic};

/// Acme shows a change this much later than it is dated.
const LATE: SignedDuration = SignedDuration::from_mins(5);

impl Poll<StockLevel> for Acme {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        // `since 2026-11-20T09:00:00Z`, or `page …` in the middle of a walk.
        let path = match cursor.map(|it| it.0.as_str()) {
            None => "/stock".to_owned(),
            Some(text) => match text.strip_prefix("page ") {
                Some(page) => format!("/stock?page={page}"),
                None => format!("/stock?since={}", text.trim_start_matches("since ")),
            },
        };
        let page: wire::StockPage = api.get("poll_stock", path).fetch().await?;
        let more = page.next.is_some();
        let next = match page.next {
            Some(page) => Some(Cursor(format!("page {page}"))),
            None => <Self as Poll<StockLevel>>::since(self, now),
        };
        let cursor = next.ok_or_else(|| CallError::unexpected("poll_stock", "this time cannot be asked for"))?;
        Ok(Page { changes: page.items.into_iter().map(change).collect(), cursor, more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Cursor(format!("since {}", at.checked_sub(LATE).ok()?)))
    }
}

fn change(it: wire::StockItem) -> Change {
    let stock = StockLevel {
        sku: Some(it.sku),
        item_id: None,
        location: it.location,
        available: Some(it.quantity.0),
        on_hand: None,
        as_of: it.changed_at,
    };
    Change {
        topic: Topic::StockChanged,
        entity: EntityRef::new(EntityKind::Stock, format!("{}@{}", stock.sku.as_deref().unwrap_or_default(), stock.location)),
        version: stock.as_of.into(),
        record: Record::Stock(stock),
    }
}
