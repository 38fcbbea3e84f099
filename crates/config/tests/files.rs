//! The files in `config/`: the commented default and the examples load, and say what is true.
#![allow(clippy::unwrap_used)]

use spindel_config::{Given, Loaded, QueueSettings, StoreLocation, load, parse, schema};
use spindel_model::Change;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn config(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config")).join(name)
}

/// Every variable is set. 32 bytes in base64, so that it will do as any secret that has no shape of its own.
fn env(name: &str) -> Option<String> {
    let shape = match name {
        "WOOCOMMERCE_KEY" => "ck_",
        "WOOCOMMERCE_SECRET" => "cs_",
        "STRIPE_API_KEY" => "sk_test_",
        "STRIPE_WEBHOOK_SECRET" => "whsec_",
        _ => return Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into()),
    };
    Some(format!("{shape}0123456789abcdef0123456789abcdef"))
}

fn read(name: &str) -> Loaded {
    let loaded = load(&config(name), &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.problems(loaded.warnings.clone()));
    loaded
}

/// The default file with everything in it switched on; a key that stands twice is taken the first time.
fn switched_on(text: &str) -> String {
    let mut table_keys: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let setting = line.strip_prefix('#').filter(|it| it.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line);
        if setting.starts_with('[') {
            table_keys.clear();
        }
        let key = setting.split(" = ").next().unwrap();
        // A test starts from one thing only.
        let key = if ["fixture", "webhook"].contains(&key) { "change" } else { key };
        if setting.contains(" = ") && !setting.starts_with('#') {
            if table_keys.contains(&key) {
                continue;
            }
            table_keys.push(key);
        }
        lines.push(setting);
    }
    lines.join("\n")
}

#[test]
fn the_examples_load_without_a_warning() {
    let names: Vec<String> =
        fs::read_dir(config("examples")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        let loaded = read(&format!("examples/{name}"));
        assert!(!loaded.settings.flows.is_empty() && !loaded.settings.tests.is_empty(), "{name}");
        let tested = |flow: &String| loaded.settings.tests.iter().flat_map(|it| &it.expect).any(|it| it.flow == *flow);
        assert!(loaded.settings.flows.iter().any(|flow| tested(&flow.name)), "{name} has a test of a flow");
        for test in &loaded.settings.tests {
            if let Given::Change(json) = &test.given {
                serde_json::from_value::<Change>(json.clone()).unwrap();
            }
        }
    }
}

/// The file with its secrets and certificates in a folder of the test.
fn with_files_in(folder: &Path, text: &str) -> String {
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    for (at, content) in [("/run/secrets/", format!("{}\n", env("").unwrap())), ("/etc/spindel/", certificate.to_owned())] {
        for (start, _) in text.match_indices(at) {
            let name = text[start + at.len()..].split('"').next().unwrap();
            fs::write(folder.join(name), &content).unwrap();
        }
    }
    let folder = format!("{}/", folder.display());
    text.replace("/run/secrets/", &folder).replace("/etc/spindel/", &folder)
}

#[test]
fn the_default_file_loads_as_it_is_and_with_everything_switched_on() {
    let text = fs::read_to_string(config("spindel.toml")).unwrap();
    let plain = read("spindel.toml").settings;
    let of_servers = ["#password", "#ca", "#schema", "#prefix"];
    let here: Vec<&str> = text.lines().filter(|line| !of_servers.iter().any(|it| line.starts_with(it))).collect();
    let here = switched_on(&here.join("\n"));
    let full = parse(&here, "spindel.toml", &env).unwrap_or_else(|problems| panic!("{problems}")).settings;

    assert_eq!((full.server.listen, full.server.admin), (plain.server.listen, plain.server.admin));
    assert_eq!((full.server.drain, full.server.node.is_some()), (plain.server.drain, plain.server.node.is_none()));
    assert_eq!(full.store.location, plain.store.location);
    assert_eq!(full.store.retention, plain.store.retention);
    assert_eq!(full.queue, plain.queue);
    assert!(full.store.encryption_key.is_some() && full.server.public_url.is_some() && !full.outbound.allow.is_empty());
    let (a, b) = (&full.flows[0], &plain.flows[0]);
    assert_eq!((a.lag, a.trust, a.retry), (b.lag, b.trust, b.retry));
    assert_eq!(b.retry, spindel_model::RetryPolicy::default());
    assert!(!a.when.0.is_empty() && a.map.is_some());
    let (a, b) = (&full.connections["shop"], &plain.connections["shop"]);
    assert_eq!((a.body_limit, a.concurrency, a.timeout), (b.body_limit, b.concurrency, b.timeout));
    assert_eq!((a.body_limit, a.concurrency, a.timeout), (2 << 20, 4, Duration::from_secs(30)));
    assert!(!a.insecure_accept_unsigned);
}

#[test]
fn the_default_file_shows_how_servers_are_named() {
    let text = fs::read_to_string(config("spindel.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let there: Vec<&str> =
        text.lines().filter(|line| !["#url = \"sqlite", "#url = \"embedded"].iter().any(|it| line.starts_with(it))).collect();
    let there = switched_on(&with_files_in(folder.path(), &there.join("\n")));
    let settings = parse(&there, "spindel.toml", &env).unwrap_or_else(|problems| panic!("{problems}")).settings;
    let StoreLocation::Postgres { server: database, .. } = settings.store.location else {
        panic!("{:?}", settings.store.location)
    };
    let QueueSettings::Amqp { broker, prefix } = settings.queue else { panic!("{:?}", settings.queue) };
    for remote in [database, broker] {
        assert!(remote.password.is_some() && remote.ca.is_some_and(|it| it.starts_with(&folder)), "{}", remote.url);
    }
    assert_eq!(prefix, "spindel");
}

#[test]
fn the_production_file_loads_without_a_warning() {
    let text = fs::read_to_string(config("production.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let no_variable = |name: &str| panic!("{name} is asked of the environment; secrets are files here");
    let loaded = parse(&with_files_in(folder.path(), &text), "production.toml", &no_variable);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.problems(loaded.warnings.clone()));
    let settings = loaded.settings;
    let StoreLocation::Postgres { server: database, .. } = settings.store.location else {
        panic!("{:?}", settings.store.location)
    };
    let QueueSettings::Amqp { broker, .. } = settings.queue else { panic!("{:?}", settings.queue) };
    assert!(database.password.is_some() && broker.password.is_some() && settings.store.encryption_key.is_some());
    assert!(settings.server.node.is_none(), "several nodes share the file");
    assert!(settings.flows.len() >= 7 && settings.tests.len() >= 5);
}

#[test]
fn every_key_stands_in_the_default_file_and_says_what_it_is_for() {
    let text = fs::read_to_string(config("spindel.toml")).unwrap();
    let schema = schema();
    let mut tables = vec![&schema];
    let mut keys = 0;
    let connection = &schema["$defs"]["connection"]["oneOf"][0];
    let shared = ["connector", "body_limit", "insecure_accept_unsigned", "concurrency", "timeout"];
    for name in shared {
        assert!(connection["properties"][name]["description"].is_string(), "{name}");
        assert!(text.contains(&format!("{name} = ")), "{name} is not in the default file");
    }
    while let Some(table) = tables.pop() {
        for (name, property) in table["properties"].as_object().into_iter().flatten() {
            keys += 1;
            assert!(property["description"].as_str().is_some_and(|it| it.len() > 10), "{name}");
            let there =
                [format!("{name} = "), format!("[{name}"), format!(".{name}]")].iter().any(|it| text.contains(it.as_str()));
            assert!(there, "{name} is not in the default file");
            if property.get("x-secret").is_some() {
                continue;
            }
            tables.extend([property, &property["items"], &property["additionalProperties"]]);
        }
    }
    assert!(keys > 35, "{keys}");
}

#[test]
fn every_key_of_a_connector_says_what_it_is_for() {
    let schema = schema();
    let connections = schema["$defs"]["connection"]["oneOf"].as_array().unwrap();
    assert_eq!(connections.len(), spindel_catalog::CATALOG.len());
    for connection in connections {
        for (name, property) in connection["properties"].as_object().unwrap() {
            let secret = property.to_string().contains("x-secret");
            assert!(secret || property["description"].is_string(), "{}: {name}", connection["title"]);
        }
    }
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn check(schema: &serde_json::Value, root: &serde_json::Value) {
        match schema {
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(target)) => assert!(root.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}"),
                _ => check(value, root),
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|it| check(it, root)),
            _ => {}
        }
    }
    let schema = schema();
    check(&schema, &schema);
    assert_eq!(schema, spindel_config::schema(), "it is the same each time");
}

#[test]
fn a_mangled_file_is_refused_and_never_a_panic() {
    let files: Vec<String> = ["spindel.toml", "production.toml", "examples/shop-to-erp.toml", "examples/any-system.toml"]
        .map(|it| fs::read_to_string(config(it)).unwrap())
        .to_vec();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let pieces = [
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "=",
        ".",
        "\n",
        "#",
        "-1",
        "9999999999999999999",
        "[[",
        "\u{e9}",
        "\0",
        "nan",
        "{}",
        "[]",
        "\"\"",
        "2026-11-20",
    ];
    for round in 0..200 {
        let mut text = files[round % files.len()].clone();
        for _ in 0..=random(4) {
            let mut at = random(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + random(30)).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            match random(3) {
                0 => text.replace_range(at..end.max(at), ""),
                1 => text.insert_str(at, pieces[random(pieces.len())]),
                _ => text.replace_range(at..end.max(at), pieces[random(pieces.len())]),
            }
        }
        if let Err(problems) = parse(&text, "spindel.toml", &env) {
            assert!(problems.errors() > 0, "{text}");
            assert!(problems.to_string().contains("error"), "{text}");
        }
    }
}
