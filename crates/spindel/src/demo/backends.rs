//! Where the demo's nodes keep and queue things: in the demo's folder, or at the servers that the command line names, in a schema
//! and under a prefix of its own.

use crate::cli::DemoArgs;
use spindel_config::{QueueSettings, Remote, StoreLocation};
use std::{fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

/// The tables `[store]` and `[queue]` of the demo's config.
pub fn tables(args: &DemoArgs, folder: &Path) -> anyhow::Result<String> {
    let own = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("spindel_demo_{}", &own[..8]);
    let store = match args.store.as_deref().map(StoreLocation::from_url).transpose().map_err(at("--store"))? {
        Some(StoreLocation::Postgres { server, .. }) => {
            format!("[store]\n{}\nschema = \"{name}\"", remote(server, &folder.join("store_password"))?)
        }
        _ => format!("[store]\nurl = \"sqlite://{}/spindel.db\"", folder.display()),
    };
    let queue = match args.queue.as_deref().map(QueueSettings::from_url).transpose().map_err(at("--queue"))? {
        Some(QueueSettings::Amqp { broker, .. }) => {
            format!("\n\n[queue]\n{}\nprefix = \"{name}\"", remote(broker, &folder.join("queue_password"))?)
        }
        _ => String::new(),
    };
    Ok(store + &queue)
}

fn at(option: &'static str) -> impl Fn(String) -> anyhow::Error {
    move |why| anyhow::anyhow!("{option}: {why}")
}

/// An address as the config takes it: the password moves into a file of its own.
fn remote(remote: Remote, file: &Path) -> anyhow::Result<String> {
    let Some(password) = remote.password else { return Ok(format!("url = \"{}\"", remote.url)) };
    let mut kept = File::options().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    kept.write_all(password.expose().as_bytes())?;
    Ok(format!("url = \"{}\"\npassword = {{ file = \"{}\" }}", remote.url, file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_goes_into_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let url = "postgres://kari:p%40ss@db:5432/shop";
        let StoreLocation::Postgres { server, .. } = StoreLocation::from_url(url).unwrap() else { panic!("it is a server") };
        let table = remote(server, &file).unwrap();
        assert!(table.starts_with("url = \"postgres://kari@db:5432/shop\"") && !table.contains("p@ss"), "{table}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "p@ss");
    }
}
