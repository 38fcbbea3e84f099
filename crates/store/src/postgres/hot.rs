//! No statement on the way of an event may read a whole table, whatever is in it. Needs `./scripts/services up`.

use super::{address::Address, claim, finish, intake, lanes, notes, people, plan, read, schema, session, upkeep, write};
use session::{Joins, Session};
use tokio_postgres::{Client, NoTls};

const TABLES: [&str; 7] = ["events", "deliveries", "contents", "payloads", "attempts", "links", "mentions"];

const ROWS: &str = "
    INSERT INTO events (id, connection, topic, cause, dedupe, received_at, state, mentions)
        SELECT gen_random_uuid(), 'shop', 'orders/updated', 'webhook', gen_random_uuid(), n,
            CASE WHEN n % 50 = 0 THEN 'accepted' ELSE 'planned' END, '[]' FROM generate_series(1, 20000) n;
    INSERT INTO contents SELECT seq, repeat('x', 800)::bytea FROM events;
    INSERT INTO mentions SELECT 'order_number', seq::text, seq FROM events;
    INSERT INTO deliveries (id, event, change, flow, from_connection, to_connection, action, entity_kind, entity, lane_kind,
            lane, version, cause, state, at, place, wake_at, created_at, updated_at)
        SELECT gen_random_uuid(), seq, 0, 'orders', 'shop', 'erp', 'push_order', 'order', (seq / 2)::text, 'order',
            (seq / 2)::text, seq, 'webhook', CASE seq % 20 WHEN 0 THEN 'due' WHEN 1 THEN 'waiting' ELSE 'delivered' END, 5,
            CASE seq % 20 WHEN 0 THEN 1 WHEN 1 THEN 2 END, CASE WHEN seq % 20 = 0 THEN 5 END, 1, 1 FROM events;
    INSERT INTO payloads SELECT seq, repeat('x', 800)::bytea FROM deliveries;
    INSERT INTO attempts SELECT seq, 1, 'perform', 1, 2, NULL, '', NULL FROM deliveries;
    INSERT INTO links SELECT 'order', 'shop', seq::text, 'erp', 'S' || seq, NULL, NULL FROM deliveries;
    ANALYZE";

#[tokio::test]
async fn no_hot_statement_reads_a_whole_table() {
    let Ok(server) = std::env::var("SPINDEL_TEST_POSTGRES") else {
        assert!(std::env::var_os("SPINDEL_TEST_SKIP_SERVICES").is_some(), "run `./scripts/services up` and read its `env`");
        eprintln!("left out: SPINDEL_TEST_POSTGRES names no PostgreSQL");
        return;
    };
    let schema = format!("hot_{}", uuid::Uuid::new_v4().simple());
    let url = format!("{server}?options=-c%20search_path%3D{schema}");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let (session, _) = Session::open(&Address::parse(&url, None, None).unwrap(), Joins::Lookups).await.unwrap();
    schema::migrate(&session).await.unwrap();

    let work = [claim::HOT, finish::HOT, intake::HOT, lanes::HOT, people::HOT, plan::HOT, read::HOT, write::HOT];
    let upkeep = [upkeep::HOT, notes::HOT];
    // Held to the indexes, whether the tables are empty or full.
    client.batch_execute(session::SETTINGS).await.unwrap();
    client.batch_execute(session::LOOKUPS).await.unwrap();
    let mut bad = whole_tables(&client, &work).await;
    bad.extend(whole_tables(&client, &upkeep).await);
    client.batch_execute(ROWS).await.unwrap();
    bad.extend(whole_tables(&client, &work).await);
    bad.extend(whole_tables(&client, &upkeep).await);
    // And with a lot in the tables, what happens for each event finds them by itself.
    client.batch_execute("RESET ALL; SET plan_cache_mode = force_generic_plan; SET jit = off").await.unwrap();
    bad.extend(whole_tables(&client, &work).await);
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}

/// The plans that read a whole table.
async fn whole_tables(client: &Client, statements: &[&[&str]]) -> Vec<String> {
    let mut bad = Vec::new();
    for sql in statements.iter().copied().flatten() {
        let parameters = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).params().to_vec();
        // The driver names an array of `int8` `_int8`.
        let declared = |name: &str| name.strip_prefix('_').map_or(name.to_owned(), |of| format!("{of}[]"));
        let types: Vec<String> = parameters.iter().map(|it| declared(it.name())).collect();
        let (declared, nulls) = match types.len() {
            0 => (String::new(), String::new()),
            count => (format!("({})", types.join(", ")), format!("({})", vec!["NULL"; count].join(", "))),
        };
        client.batch_execute(&format!("PREPARE tried{declared} AS {sql}")).await.unwrap();
        let steps = client.query(&format!("EXPLAIN EXECUTE tried{nulls}"), &[]).await.unwrap();
        client.batch_execute("DEALLOCATE tried").await.unwrap();
        let steps: Vec<String> = steps.iter().map(|row| row.get(0)).collect();
        if steps.iter().zip(steps.iter().skip(1).map(String::as_str).chain([""])).any(|(step, next)| is_whole(step, next)) {
            bad.push(format!("{sql}\n{}", steps.join("\n")));
        }
    }
    bad
}

/// A scan of one of our tables that is not by key: the key stands in the line after it.
fn is_whole(step: &str, next: &str) -> bool {
    let ours = |before: &str| TABLES.iter().any(|table| step.contains(&format!("{before} on {table} ")));
    let by_index = step.contains("Index Scan using") || step.contains("Index Only Scan using");
    ours("Seq Scan") || (by_index && ours("") && !next.contains("Index Cond"))
}
