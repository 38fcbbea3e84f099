//! What people read when a config file is wrong: all of it at once, with line, expectation, choices and the nearest match.
#![allow(clippy::unwrap_used)]

mod connectors;

use connectors::CATALOG;
use spindel_config::{Level, Loaded, Problems, QueueSettings, StoreLocation, parse_with};

fn env(name: &str) -> Option<String> {
    match name {
        "STALL_KEY" | "LEDGER_PASSWORD" => Some("correct-horse".into()),
        "SHORT" => Some("short".into()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Loaded, Problems> {
    parse_with(CATALOG, text, "spindel.toml", &env)
}

/// `code path` of every problem.
fn codes(text: &str) -> Vec<String> {
    let list = match parse(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.list,
    };
    list.iter().map(|it| format!("{} {}", it.code, it.path)).collect()
}

const ENDS: &str = r#"
[connections.shop]
connector = "stall"
url = "https://stall.example.no"
api_key = { env = "STALL_KEY" }

[connections.erp]
connector = "ledger"
url = "https://ledger.example.no"
password = { env = "LEDGER_PASSWORD" }
"#;

fn with_flow(flow: &str) -> String {
    format!("{ENDS}\n[flows.orders]\nfrom = \"shop\"\non = [\"order.created\"]\nto = \"erp\"\ndo = \"push_order\"\n{flow}")
}

#[test]
fn a_file_full_of_mistakes_is_reported_whole_and_reads_well() {
    let text = r#"
[server]
listen = "localhost"
drian = "20s"

[store]
url = "postgres://spindel:hunter2@db/spindel"

[connections.shop]
connector = "stall"
url = "http://stall.example.no"
api_key = { env = "NOT_SET" }
rounding = "upp"

[connections.erp]
connector = "ledgr"
password = "do-not-show-me"

[connections.books]
connector = "ledger"
url = "https://ledger.example.no"
password = "nor-me"

[flows.orders]
from = "shop"
on = ["order.created", "order.craeted"]
to = "bookz"
do = "push_order"
when = { "total.amout" = { gt = "0.00" }, payment_state = "payed" }

[flows.stock]
from = "books"
on = ["stock.changed"]
to = "shop"
do = "push_order"
"#;
    let report = parse(text).unwrap_err().to_string();
    insta::assert_snapshot!(report, @r#"
      error[invalid_value]: `localhost` is not an address with a port
       ,-[spindel.toml:3:10]
     3 | listen = "localhost"
       :          ^^^^^^^^^^^
       `----
      hint: write an IP address and a port, as in "127.0.0.1:8400" or "0.0.0.0:8400"

      error[unknown_key]: `drian` is not a key here
       ,-[spindel.toml:4:1]
     4 | drian = "20s"
       : ^^^^^
       `----
      hint: did you mean `drain`? valid here: listen, admin, node, public_url, drain

      error[literal_secret]: a password is written into the address; the password must be kept outside
       ,-[spindel.toml:7:7]
     7 | url = ***************************************
       :       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       `----
      hint: leave it out of `url`, write `password = { file = "path" }` or `{ env = "NAME" }`, and change it if the file was shared

      error[missing_secret]: environment variable `NOT_SET` is not set
        ,-[spindel.toml:12:19]
     12 | api_key = { env = "NOT_SET" }
        :                   ^^^^^^^^^
        `----
      hint: set NOT_SET

      error[invalid_value]: `upp` is not one of the values that are possible here
        ,-[spindel.toml:13:12]
     13 | rounding = "upp"
        :            ^^^^^
        `----
      hint: did you mean `up`? valid here: up, down

      warning[unused]: no flow uses connection "erp"
        ,-[spindel.toml:15:14]
     15 | [connections.erp]
        :              ^^^
        `----
      hint: add a flow, or remove the connection

      error[unknown_connector]: there is no connector `ledgr`
        ,-[spindel.toml:16:13]
     16 | connector = "ledgr"
        :             ^^^^^^^
        `----
      hint: did you mean `ledger`? valid here: ledger, parcels, stall

      error[literal_secret]: a secret is written into the file; it must be kept outside
        ,-[spindel.toml:22:12]
     22 | password = ********
        :            ^^^^^^^^
        `----
      hint: write { env = "NAME" } or { file = "path" }, and change the secret if the file was shared

      error[unknown_topic]: there is no topic `order.craeted`
        ,-[spindel.toml:26:24]
     26 | on = ["order.created", "order.craeted"]
        :                        ^^^^^^^^^^^^^^^
        `----
      hint: did you mean `order.created`? valid here: order.created, order.updated, order.paid, order.fulfilled, order.cancelled, order.deleted, refund.created, transaction.created, transaction.expiring, dispute.created, dispute.updated, payout.created, payout.updated, shipment.created, shipment.updated, product.created, …

      error[unknown_connection]: there is no connection `bookz`
        ,-[spindel.toml:27:6]
     27 | to = "bookz"
        :      ^^^^^^^
        `----
      hint: did you mean `books`? valid here: shop, erp, books

      error[unknown_path]: `total.amout` is not a field of: order
        ,-[spindel.toml:29:10]
     29 | when = { "total.amout" = { gt = "0.00" }, payment_state = "payed" }
        :          ^^^^^^^^^^^^^
        `----
      hint: did you mean `total.amount`? valid here: total.amount, total.currency

      error[invalid_value]: `payment_state` is never `payed`
        ,-[spindel.toml:29:59]
     29 | when = { "total.amout" = { gt = "0.00" }, payment_state = "payed" }
        :                                                           ^^^^^^^
        `----
      hint: did you mean `paid`? valid here: pending, authorized, partially_paid, paid, partially_refunded, refunded, voided, expired

      error[unsupported_source]: flow "stock": connection "books" (ledger) sends no webhooks, and the flow does not poll
        ,-[spindel.toml:32:8]
     32 | from = "books"
        :        ^^^^^^^
        `----
      hint: add `every = "1m"`; it can be polled for: stock

      error[unsuitable_topic]: flow "stock": push_order cannot be made from stock.changed; it is made from: order
        ,-[spindel.toml:33:7]
     33 | on = ["stock.changed"]
        :       ^^^^^^^^^^^^^^^
        `----
      hint: valid here: order.created, order.updated, order.paid, order.fulfilled, order.cancelled, order.deleted

      error[unsupported_action]: flow "stock": connection "shop" (stall) cannot do push_order; it can do set_stock
        ,-[spindel.toml:35:6]
     35 | do = "push_order"
        :      ^^^^^^^^^^^^
        `----
      hint: valid here: set_stock

    spindel.toml: 14 errors, 1 warning
    "#);
}

#[test]
fn each_mistake_is_named_at_its_place() {
    for (text, wanted) in [
        // The file as a whole.
        ("server = ", vec!["syntax "]),
        ("[server]\nlisten = \"127.0.0.1:80\"\n[server]\n", vec!["syntax "]),
        ("[sever]\n", vec!["unknown_key sever"]),
        ("server = 5\n", vec!["wrong_type server"]),
        ("[server]\npublic_url = \"http://hooks.example.no\"\n", vec!["invalid_value server.public_url"]),
        ("[server]\npublic_url = \"https://hooks.example.no/?a=b\"\n", vec!["invalid_value server.public_url"]),
        ("[server]\npublic_url = \"http://127.0.0.1:8400\"\n", vec![]),
        ("[server]\ndrain = \"1h\"\n", vec!["out_of_range server.drain"]),
        ("[store]\nretention = 30\n", vec!["wrong_type store.retention"]),
        ("[store]\nencryption_key = { env = \"STALL_KEY\" }\n", vec!["invalid_value store.encryption_key"]),
        ("[store]\nurl = \"mysql://x\"\n", vec!["invalid_value store.url"]),
        ("[server]\nadmin = \"off\"\n", vec![]),
        ("[server]\nadmin = \"none\"\n", vec!["invalid_value server.admin"]),
        ("[server]\nadmin = \"127.0.0.1:8400\"\n", vec!["conflict server.admin"]),
        ("[server]\nlisten = \"0.0.0.0:8401\"\n", vec!["conflict server.admin"]),
        ("[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n", vec![]),
        ("[server]\nnode = \"oslo 1\"\n", vec!["invalid_name server.node"]),
        ("[outbound]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/99\"]\n", vec!["invalid_value outbound.allow[1]"]),
        ("[maps]\ntax = \"x\"\n", vec!["wrong_type maps.tax"]),
    ] {
        assert_eq!(codes(text), wanted, "{text}");
    }
}

#[test]
fn mistakes_about_the_database_and_the_broker_are_named_at_their_place() {
    let store = |url: &str, more: &str| format!("[store]\nurl = \"{url}\"\n{more}");
    let queue = |url: &str, more: &str| format!("[queue]\nurl = \"{url}\"\n{more}");
    let password = "password = { env = \"STALL_KEY\" }\n";
    let verified = "postgres://spindel@db/spindel?sslmode=verify-full";
    for (text, wanted) in [
        (store(verified, password), vec![]),
        (store(verified, ""), vec![]),
        (store(verified, "password = { env = \"NOT_SET\" }"), vec!["missing_secret store.password.env"]),
        (store(verified, "password = \"hunter2\""), vec!["literal_secret store.password"]),
        (store(verified, "ca = \"/nowhere.pem\""), vec!["invalid_value store.ca"]),
        (store(verified, "ca = \"Cargo.toml\""), vec!["invalid_value store.ca"]),
        (store("postgres://spindel@db/spindel", ""), vec![]),
        (
            store("postgres://spindel@localhost/spindel", "ca = \"/nowhere.pem\""),
            vec!["invalid_value store.ca", "conflict store.ca"],
        ),
        (store("postgres://spindel@db", ""), vec!["invalid_value store.url"]),
        (store("postgres://spindel@db/spindel?sslmode=allow", ""), vec!["invalid_value store.url"]),
        (store("postgres://spindel@db/spindel?sslmod=require", ""), vec!["unknown_key store.url"]),
        (store("postgres://spindel:hunter2@localhost/spindel", password), vec!["literal_secret store.url"]),
        (store("sqlite://x.db", password), vec!["conflict store.password"]),
        (queue("amqp://localhost", ""), vec![]),
        (queue("amqp://spindel@broker/shop", password), vec![]),
        (queue("amqp://spindel@broker/shop", ""), vec!["missing_key queue.password"]),
        (queue("amqp://guest@broker/shop", password), vec!["invalid_value queue.url"]),
        (queue("amqp://localhost", "prefix = \"Spindel\""), vec!["invalid_name queue.prefix"]),
        (queue("kafka://localhost", ""), vec!["invalid_value queue.url"]),
        (queue("embedded", "prefix = \"shop\""), vec!["conflict queue.prefix"]),
        (queue("embedded://x", ""), vec!["invalid_value queue.url"]),
        (queue("amqp://localhost", "ca = \"/nowhere.pem\""), vec!["invalid_value queue.ca", "conflict queue.ca"]),
    ] {
        let mut codes = codes(&text);
        codes.sort();
        let mut wanted = wanted;
        wanted.sort();
        assert_eq!(codes, wanted, "{text}");
    }
}

#[test]
fn mistakes_about_the_database_and_the_broker_say_what_to_do() {
    let text = r#"
[server]
admin = "0.0.0.0:8400"

[store]
url = "postgres://spindel@db.example.no/spindel?sslmode=prefer"
ca = "/nowhere/ca.pem"

[queue]
url = "amqp://spindel:hunter2@broker.example.no/"
"#;
    insta::assert_snapshot!(parse(text).unwrap_err().to_string(), @r#"
      error[conflict]: port 8400 is that of `listen` already
       ,-[spindel.toml:3:9]
     3 | admin = "0.0.0.0:8400"
       :         ^^^^^^^^^^^^^^
       `----
      hint: give `admin` a port of its own that the internet does not reach

      error[invalid_value]: `sslmode` cannot be `prefer`
       ,-[spindel.toml:6:7]
     6 | url = "postgres://*******@db.example.no/spindel?sslmode=prefer"
       :       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       `----
      hint: `verify-full` encrypts and checks the server's certificate and name, and so does `require`; `disable` sends all of it readable; valid here: disable, require, verify-full

      error[literal_secret]: a password is written into the address; the password must be kept outside
        ,-[spindel.toml:10:7]
     10 | url = *******************************************
        :       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        `----
      hint: leave it out of `url`, write `password = { file = "path" }` or `{ env = "NAME" }`, and change it if the file was shared

    spindel.toml: 3 errors
    "#);
    let text = r#"
[store]
url = "postgres://spindel@a,b/spindel?sslmod=require"
password = { env = "NOT_SET" }

[queue]
url = "amqp://spindel@broker.example.no"
ca = "Cargo.toml"
"#;
    insta::assert_snapshot!(parse(text).unwrap_err().to_string(), @r#"
      error[unknown_key]: `sslmod` is not a parameter of a PostgreSQL address here
       ,-[spindel.toml:3:7]
     3 | url = "postgres://*******@a,b/spindel?sslmod=require"
       :       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       `----
      hint: did you mean `sslmode`? valid here: sslmode, target_session_attrs, load_balance_hosts, application_name, options

      error[missing_key]: `password` is missing: RabbitMQ lets nobody in without one
       ,-[spindel.toml:6:2]
     6 | [queue]
       :  ^^^^^
       `----
      hint: add `password = { file = "path" }` or `{ env = "NAME" }`

      error[conflict]: `ca` means nothing without TLS
       ,-[spindel.toml:8:6]
     8 | ca = "Cargo.toml"
       :      ^^^^^^^^^^^^
       `----
      hint: use `amqps://` in the url, or leave `ca` out

      error[invalid_value]: authority file `Cargo.toml` holds no certificate, or is larger than 1048576 bytes
       ,-[spindel.toml:8:6]
     8 | ca = "Cargo.toml"
       :      ^^^^^^^^^^^^
       `----
      hint: name the PEM file of the authority's certificate; a relative path starts at the working folder

    spindel.toml: 4 errors
    "#);
}

#[test]
fn an_address_by_itself_may_hold_a_password_and_shows_it_nowhere() {
    let url = "postgres://spindel:hun%40ter2@db/spindel?sslmode=disable";
    let StoreLocation::Postgres { server: database, .. } = StoreLocation::from_url(url).unwrap() else {
        panic!("it is a server")
    };
    assert_eq!(database.url, "postgres://spindel@db/spindel?sslmode=disable");
    assert_eq!(database.password.as_ref().unwrap().expose(), "hun@ter2");
    assert!(!format!("{database:?}").contains("ter2"), "{database:?}");
    assert_eq!(StoreLocation::from_url("sqlite://x.db"), Ok(StoreLocation::Sqlite { path: "x.db".into() }));

    let broker = QueueSettings::from_url("amqp://guest:guest@localhost:5672/%2F").unwrap();
    let QueueSettings::Amqp { broker, prefix } = broker else { panic!("it is a server") };
    assert_eq!((broker.url.as_str(), prefix.as_str()), ("amqp://guest@localhost:5672/%2F", "spindel"));
    assert_eq!(QueueSettings::from_url("embedded"), Ok(QueueSettings::Embedded));

    let error = StoreLocation::from_url("postgres://spindel:hunter2@db/spindel?sslmode=prefer").unwrap_err();
    assert!(error.contains("`verify-full` encrypts") && !error.contains("hunter2"), "{error}");
    let error = QueueSettings::from_url("amqp://spindel:hun/ter2@broker/shop").unwrap_err();
    assert!(error.contains("unencoded") && !error.contains("ter2"), "{error}");
}

#[test]
fn mistakes_in_a_connection_are_named_at_their_place() {
    let stall = |more: &str| {
        let flow = "[flows.stock]\nfrom = \"erp\"\non = [\"stock.changed\"]\nto = \"shop\"\ndo = \"set_stock\"\nevery = \"1m\"\n";
        format!("{flow}{ENDS}").replacen(
            "url = \"https://stall.example.no\"\n",
            &format!("url = \"https://stall.example.no\"\n{more}\n"),
            1,
        )
    };
    for (more, wanted) in [
        ("", vec![]),
        ("webhook_secrets = { env = \"STALL_KEY\" }", vec![]),
        ("webhook_secrets = [{ env = \"STALL_KEY\" }, { env = \"LEDGER_PASSWORD\" }]", vec![]),
        ("webhook_secrets = [\"plain\"]", vec!["literal_secret connections.shop.webhook_secrets[0]"]),
        ("webhook_secrets = { env = \"STALL_KEY\", file = \"x\" }", vec!["wrong_type connections.shop.webhook_secrets"]),
        ("webhook_secrets = { evn = \"STALL_KEY\" }", vec!["unknown_key connections.shop.webhook_secrets.evn"]),
        ("webhook_secrets = { file = \"/nowhere\" }", vec!["missing_secret connections.shop.webhook_secrets.file"]),
        ("headers = { x-key = { env = \"STALL_KEY\" } }", vec![]),
        ("headers = { x-key = \"plain\" }", vec!["literal_secret connections.shop.headers.x-key"]),
        ("rounding = true", vec!["wrong_type connections.shop.rounding"]),
        ("rounding = \"up\"", vec![]),
        ("warehouse = { name = \"Oslo\", days = -1 }", vec!["invalid_value connections.shop.warehouse.days"]),
        ("warehouse = { nmae = \"Oslo\" }", vec!["unknown_key connections.shop.warehouse.nmae"]),
        ("warehouse = {}", vec!["missing_key connections.shop.warehouse"]),
        ("body_limit = \"2MB\"", vec!["invalid_value connections.shop.body_limit"]),
        ("body_limit = 10", vec!["out_of_range connections.shop.body_limit"]),
        ("concurrency = 0", vec!["out_of_range connections.shop.concurrency"]),
        ("timeout = \"1h\"", vec!["out_of_range connections.shop.timeout"]),
        ("insecure_accept_unsigned = true", vec!["unsigned_accepted connections.shop.insecure_accept_unsigned"]),
    ] {
        assert_eq!(codes(&stall(more)), wanted, "{more}");
    }
    assert_eq!(codes(&ENDS.replace("STALL_KEY", "SHORT"))[1], "invalid_value connections.shop.api_key");
}

#[test]
fn mistakes_in_a_flow_are_named_at_their_place() {
    for (more, wanted) in [
        ("", vec![]),
        ("every = \"100ms\"", vec!["out_of_range flows.orders.every", "unsupported_poll flows.orders.every"]),
        ("lag = \"5\"", vec!["invalid_value flows.orders.lag"]),
        ("trust = \"blind\"", vec!["invalid_value flows.orders.trust"]),
        ("trust = \"refetch\"", vec![]),
        ("map = \" \"", vec!["missing_value flows.orders.map"]),
        ("retry = { first = \"1h\", max = \"1m\" }", vec!["out_of_range flows.orders.retry.max"]),
        ("retry = { factor = 0.5 }", vec!["out_of_range flows.orders.retry.factor"]),
        ("retry = { frist = \"5s\" }", vec!["unknown_key flows.orders.retry.frist"]),
        ("when = { topic = \"order.created\" }", vec![]),
        ("when = { topic = \"order.paid\" }", vec!["never_holds flows.orders.when.topic"]),
        ("when = { total.amount = { gt = 5 } }", vec![]),
        ("when = { \"total.amount\" = { gt = 5.5, lte = \"100\" }, test = false }", vec![]),
        ("when = { \"total.amount\" = { gt = \"much\" } }", vec!["wrong_type flows.orders.when.\"total.amount\".gt"]),
        ("when = { \"total.currency\" = \"KRONER\" }", vec!["invalid_value flows.orders.when.\"total.currency\""]),
        ("when = { \"lines.sku\" = { matches = \"SWEATER*\" }, tags = { has = \"vip\" } }", vec![]),
        ("when = { \"lines.skuu\" = \"x\" }", vec!["unknown_path flows.orders.when.\"lines.skuu\""]),
        ("when = { tags = \"vip\" }", vec!["wrong_type flows.orders.when.tags"]),
        ("when = { totals = \"5\" }", vec!["wrong_type flows.orders.when.totals"]),
        ("when = { cancelled_at = { exists = false } }", vec![]),
        ("when = { cancelled_at = { exists = \"no\" } }", vec!["wrong_type flows.orders.when.cancelled_at.exists"]),
        ("when = { placed_at = { gt = \"yesterday\" } }", vec!["wrong_type flows.orders.when.placed_at.gt"]),
        ("when = { placed_at = { gt = 2026-11-01T00:00:00Z } }", vec![]),
        ("when = { payment_state = { in = [\"paid\", \"payed\"] } }", vec!["invalid_value flows.orders.when.payment_state.in"]),
        ("when = { payment_state = { eqq = \"paid\" } }", vec!["unknown_key flows.orders.when.payment_state.eqq"]),
        ("when = { payment_state = [\"paid\"] }", vec!["wrong_type flows.orders.when.payment_state"]),
        ("when = { \"attributes.gift\" = { exists = true } }", vec![]),
    ] {
        assert_eq!(codes(&with_flow(more)), wanted, "{more}");
    }
}

#[test]
fn a_flow_is_checked_against_what_its_two_ends_can_do() {
    let message = |text: String| parse(&text).unwrap_err().list.remove(0).message;
    let flow = |from: &str, topic: &str, to: &str, action: &str| {
        format!("{ENDS}\n[flows.it]\nfrom = \"{from}\"\non = [\"{topic}\"]\nto = \"{to}\"\ndo = \"{action}\"\n")
    };
    assert_eq!(
        message(flow("shop", "order.created", "erp", "cancel_order")),
        "flow \"it\": connection \"erp\" (ledger) cannot do cancel_order; it can do push_order"
    );
    assert_eq!(
        message(flow("shop", "stock.changed", "erp", "push_order")),
        "flow \"it\": push_order cannot be made from stock.changed; it is made from: order"
    );
    assert_eq!(
        message(flow("erp", "stock.changed", "shop", "set_stock")),
        "flow \"it\": connection \"erp\" (ledger) sends no webhooks, and the flow does not poll"
    );
    let refetch = flow("erp", "stock.changed", "shop", "set_stock") + "every = \"1m\"\ntrust = \"refetch\"\n";
    assert_eq!(
        message(refetch),
        "flow \"it\": connection \"erp\" (ledger) cannot read stock back; nothing can be read back there"
    );
    assert_eq!(
        codes(&with_flow("").replace("to = \"erp\"", "to = \"shop\"")),
        ["unused connections.erp", "flow_to_itself flows.orders.to", "unsupported_action flows.orders.do"]
    );
}

#[test]
fn mistakes_in_tests_of_flows_are_named_at_their_place() {
    let given = |given: &str, expect: &str| {
        with_flow(&format!("[[tests]]\nname = \"a test\"\nconnection = \"shop\"\n{given}\nexpect = {expect}\n"))
    };
    let created = "change = { topic = \"order.created\" }";
    for (text, wanted) in [
        (given(created, "[{ flow = \"orders\" }]"), vec![]),
        (given("fixture = \"receive_order\"", "[]"), vec![]),
        (given("webhook = { body = { id = 1 } }", "[]"), vec![]),
        (given("fixture = \"recieve_order\"", "[]"), vec!["unknown_fixture tests[0].fixture"]),
        (given("", "[]"), vec!["missing_key tests[0]"]),
        (given(created, "[{ flow = \"order\" }]"), vec!["unknown_flow tests[0].expect[0].flow"]),
        (given(created, "[{ flow = \"orders\", skiped = \"x\" }]"), vec!["unknown_key tests[0].expect[0].skiped"]),
        (given(created, "[{ flow = \"orders\", skipped = \"x\", action = {} }]"), vec!["conflict tests[0].expect[0].skipped"]),
        (given("change = { topic = \"order.made\" }", "[]"), vec!["unknown_topic tests[0].change.topic"]),
        (
            given("change = { topic = \"order.created\", record = { nubmer = \"1\" } }", "[]"),
            vec!["unknown_key tests[0].change.record.nubmer"],
        ),
        (
            given("change = { topic = \"order.created\", record = { lines = [{ kind = \"gift\" }] } }", "[]"),
            vec!["invalid_value tests[0].change.record"],
        ),
        (
            given(created, "[{ flow = \"orders\" }]").replace("connection = \"shop\"", "connection = \"erp\""),
            vec!["never_holds tests[0].expect[0].flow"],
        ),
    ] {
        assert_eq!(codes(&text), wanted, "{text}");
    }
}

#[test]
fn a_secret_is_never_shown_not_even_where_the_file_is_broken() {
    for broken in [
        "[connections.shop]\nconnector = \"stall\"\napi_key = \"hunter2\"\n",
        "[connections.shop]\nconnector = \"stall\"\napi_kye = \"hunter2\"\n",
        "[connections.shop]\nconnector = \"unheard-of\"\nwhatever = \"hunter2\"\n",
        "[connections.shop]\nconnector = \"stall\"\napi_key = \"hunter2\n",
        "[connections.shop]\nconnector = \"stall\"\napi_key = { value = \"hunter2\" }\n",
        "[connections.shop]\nconnector = \"stall\"\nwebhook_secrets = [\"\"\"\nhunter2\n\"\"\"]\n",
        "[connections]\nshop = \"hunter2\"\n",
        "[store]\nurl = \"postgres://spindel:hunter2@db\"\n",
        "[store]\nurl = \"postgres://spindel:a@hunter2@db/spindel\"\n",
        "[store]\nurl = \"postgres://spindel:a@b/hunter2@db/spindel\"\n",
        "[store]\nurl = \"postgres://spindel:a@hunter2@db/spindel\n",
        "[store]\nurl = \"postgres://spindel@localhost/spindel?password=hunter2\"\n",
        "[store]\nurl = \"postgres://spindel:hunter2@db/spindel?sslmode=prefer\"\n",
        "[store]\nurl = 'sqllite://spindel:hunter2@db/spindel'\n",
        "[queue]\nurl = \"amqp://spindel:hunter2@broker/shop\"\n",
        "[queue]\nurl = \"\"\"\namqp://spindel:hunter2@broker/shop\"\"\"\n",
        "[store]\nencryption_key = \"hunter2\"\n",
    ] {
        let problems = parse(broken).unwrap_err();
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
        assert!(!problems.report(true).contains("hunter2"));
        assert!(!serde_json::to_string(&problems).unwrap().contains("hunter2"));
    }
}

#[test]
fn a_secret_file_may_end_in_one_newline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let text = with_flow("").replace("{ env = \"STALL_KEY\" }", &format!("{{ file = '{}' }}", file.display()));
    for (content, wanted) in [("correct-horse\n", true), ("correct-horse\r\n", true), ("short\n\n\n", false), ("", false)] {
        std::fs::write(&file, content).unwrap();
        assert_eq!(parse(&text).is_ok(), wanted, "{content:?}");
    }
    std::fs::write(&file, "x".repeat(64 * 1024 + 1)).unwrap();
    assert!(parse(&text).unwrap_err().list[0].message.contains("larger than 65536 bytes"));
}

#[test]
fn a_missing_secret_does_not_hide_what_else_the_connector_says() {
    let text = with_flow("").replace("STALL_KEY", "NOT_SET").replace("https://stall", "stall");
    assert_eq!(codes(&text), ["invalid_value connections.shop.url", "missing_secret connections.shop.api_key.env"]);
}

#[test]
fn later_checks_can_report_at_a_place_of_the_file() {
    let loaded = parse(&with_flow("map = \".order.note |= 5\"")).unwrap();
    let problem = loaded.problem_at("flows.orders.map", "the program does not compile");
    assert_eq!((problem.level, problem.line), (Level::Error, loaded.line("flows.orders.map")));
    assert!(loaded.problems(vec![problem]).to_string().contains("map = \".order.note |= 5\""));
    assert_eq!(loaded.line("flows.orders.not.there"), loaded.line("flows.orders"));
}

#[test]
fn attributes_are_those_of_products_and_named_by_text() {
    assert!(codes(&with_flow("attributes = { title = \"name\" }")).iter().any(|it| it == "unused flows.orders.attributes"));
    let upsert = with_flow("").replace("push_order", "upsert_product");
    let with = |attributes: &str| codes(&format!("{upsert}attributes = {{ {attributes} }}"));
    assert!(with("title = 5").iter().any(|it| it == "wrong_type flows.orders.attributes.title"));
    assert!(!with("title = \"name\"").iter().any(|it| it.contains("attributes")));
}

#[test]
fn settings_are_what_the_file_says() {
    let text = with_flow(
        "when = { \"total.amount\" = { gt = \"0.00\" } }\nlag = \"1h30m\"\nretry = { first = \"1s\" }\n[maps.location]\nMAIN = \"1\"\n",
    );
    let settings = parse(&format!("[server]\nlisten = \"0.0.0.0:1\"\n{text}")).unwrap().settings;
    assert_eq!(settings.server.listen.port(), 1);
    assert_eq!(settings.store.location, StoreLocation::Sqlite { path: "data/spindel.db".into() });
    let flow = &settings.flows[0];
    assert_eq!((flow.lag.as_secs(), flow.retry.first.as_secs(), flow.retry.factor), (5400, 1, 4.0));
    assert_eq!(settings.maps.find("location", "MAIN"), Some("1"));
    assert_eq!(settings.connections["shop"].endpoint.base_url, "https://stall.example.no");
    let mut order = spindel_model::specimen_change(spindel_model::Topic::OrderCreated);
    assert_eq!(flow.when.matches(&order), Ok(()));
    if let spindel_model::Record::Order(order) = &mut order.record {
        order.totals.grand.shop.amount = spindel_model::Decimal::ZERO;
    }
    assert!(flow.when.matches(&order).unwrap_err().contains("wanted > 0.00"));
}

#[test]
fn what_a_test_of_a_flow_does_not_give_is_invented() {
    let text = with_flow(
        "[[tests]]\nname = \"two lines\"\nconnection = \"shop\"\nexpect = []\n\
         change = { topic = \"order.created\", record = { id = \"7\", lines = [{ sku = \"A\", quantity = 3 }, { sku = \"B\" }] } }\n",
    );
    let settings = parse(&text).unwrap().settings;
    let spindel_config::Given::Change(json) = &settings.tests[0].given else { panic!("a change is given") };
    let change: spindel_model::Change = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(change.entity.id, "7");
    let spindel_model::Record::Order(order) = change.record else { panic!("an order is given") };
    let lines: Vec<(&str, String)> = order.lines.iter().map(|it| (it.sku.as_deref().unwrap(), it.quantity.to_string())).collect();
    assert_eq!(lines, [("A", "3".into()), ("B", "2".into())]);
}
