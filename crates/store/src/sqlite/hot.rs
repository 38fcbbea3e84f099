//! No statement on the way of an event may read a whole table, whatever is in it.

use super::{deliver, intake, lanes, notes, plan, read, schema, upkeep};

#[test]
fn no_hot_statement_scans_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join("spindel.db")).unwrap();
    let hot = [deliver::HOT, intake::HOT, lanes::HOT, notes::HOT, plan::HOT, read::HOT, upkeep::HOT];
    for sql in hot.into_iter().flatten() {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = statement.parameter_count();
        let nulls = vec![rusqlite::types::Null; parameters];
        let steps: Vec<String> =
            statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
        for step in &steps {
            assert!(!step.starts_with("SCAN") || step == "SCAN CONSTANT ROW", "{sql}\n{steps:#?}");
            assert!(!step.contains("TEMP B-TREE"), "{sql}\n{steps:#?}");
        }
    }
}
