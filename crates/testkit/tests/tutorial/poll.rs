//! What moved in the warehouse, asked for page by page.

use crate::{account::Acme, wire};
use jiff::SignedDuration;
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Round};
use spindel_model::{Change, Record, StockLevel, Timestamp, Topic};

/// Acme shows a change up to so much later than it is dated.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

impl Poll<StockLevel> for Acme {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let round = Round::<String>::read(cursor, now, None)?;
        let path = match (round.place(), round.looks_back(OVERLAP)) {
            (Some(page), _) => format!("/stock?page={page}"),
            (None, Some(since)) => format!("/stock?since={since}"),
            (None, None) => "/stock".to_owned(),
        };
        let page: wire::StockPage = api.get("poll_stock", path).fetch().await?;
        let seen = page.items.iter().map(|it| it.changed_at).max();
        Ok(round.page(page.items.into_iter().map(change).collect(), page.next, seen))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<String>::since(at))
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
    let id = format!("{}@{}", stock.sku.as_deref().unwrap_or_default(), stock.location);
    Change::new(Topic::StockChanged, id, stock.as_of, Record::Stock(stock))
}
