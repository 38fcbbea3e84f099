//! What each connector can do, as one table: the command line and the front page show the same.

use spindel_connect::{Described, Entry};

/// What stands above the cells of a [`Row`].
pub const COLUMNS: [&str; 7] = ["connector", "kind", "webhooks", "does", "reads", "polls", "also"];

const WEBHOOKS: usize = 2;
const DOES: usize = 3;
const READS: usize = 4;
const POLLS: usize = 5;
const ALSO: usize = 6;

/// One connector; the words of each cell.
pub type Row = [Vec<String>; COLUMNS.len()];

/// A row for each of these connectors.
pub fn table(catalog: &[Entry]) -> Vec<Row> {
    catalog.iter().map(row).collect()
}

fn row(entry: &Entry) -> Row {
    let mut row = Row::default();
    row[0].push(entry.info.id.to_owned());
    row[1].push(entry.info.kind.as_str().to_owned());
    for ability in (entry.abilities)() {
        let (column, word) = place(ability);
        row[column].push(word);
    }
    row
}

fn place(ability: Described) -> (usize, String) {
    match ability {
        Described::Receives => (WEBHOOKS, "received".to_owned()),
        Described::Subscribes => (WEBHOOKS, "registered".to_owned()),
        Described::Performs { action, .. } => (DOES, action.to_string()),
        Described::Reads(kind) => (READS, kind.to_string()),
        Described::Polls(kind) => (POLLS, kind.to_string()),
        Described::Tracks | Described::Quotes | Described::FindsPickupPoints | Described::ChecksOut => {
            (ALSO, ability.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CATALOG;

    #[test]
    fn every_ability_of_every_connector_stands_in_the_table_once() {
        let table = table(CATALOG);
        assert_eq!(table.len(), CATALOG.len());
        for (row, entry) in table.iter().zip(CATALOG) {
            assert_eq!(row[0], [entry.info.id]);
            let words: usize = row[WEBHOOKS..].iter().map(Vec::len).sum();
            assert_eq!(words, (entry.abilities)().len(), "{}", entry.info.id);
        }
    }

    #[test]
    fn what_is_done_read_and_polled_stands_in_columns_of_its_own() {
        let shop = CATALOG.iter().find(|entry| entry.info.id == "shopify").map(row).unwrap();
        let has = |column: usize, word: &str| shop[column].iter().any(|it| it == word);
        assert!(has(WEBHOOKS, "received") && has(DOES, "set_stock") && has(READS, "order") && has(POLLS, "order"));
        assert!(!has(DOES, "order") && !has(READS, "set_stock"));
    }
}
