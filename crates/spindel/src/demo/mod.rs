//! `spindel demo`: a simulated shop and ERP, a real Spindel between them, a bad day, and an account drawn up from both ends.
//!
//! Everything is simulated but Spindel itself: real HTTP on loopback, a real store on disk, the same code as `serve`.

mod backends;
mod story;

use crate::{
    cli::DemoArgs,
    output::{FAILED, Out},
    roles::Roles,
    server::Server,
};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use spindel_config::Loaded;
use spindel_simulators::{
    pair::{Account, FLOWS, Pair},
    shopify::{Delivery, Forged, Options, Sent},
};
use std::{
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use story::Told;

/// All that the demo found out, as `--json` prints it.
#[derive(Serialize)]
struct Report {
    seed: u64,
    told: Told,
    webhooks_sent: u64,
    webhooks_acknowledged: u64,
    duplicates_sent: u64,
    forgeries_sent: u64,
    forgeries_accepted: u64,
    erp_faults: std::collections::BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    account: Account,
    seconds: f64,
    clean: bool,
}

pub async fn run(args: DemoArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("spindel-demo-").tempdir().context("cannot make a temporary folder")?;
    let pair = Pair::start(Options { seed: args.seed, concurrency: 16, ..Options::plus() }).await?;
    let nodes = start(&pair, folder.path(), &args).await?;
    say(out, &format!("a simulated shop and a simulated ERP, with a real Spindel between them ({})", shape(&args)));

    let begun = Instant::now();
    pair.shop.set_targets(nodes.iter().map(|node| format!("http://{}/in/shop", node.address)).collect());
    pair.shop.set_delivery(Delivery { duplicates: 0.1, reorder_window: 8, drop: 0.0 });
    let bar = progress(out, u64::from(args.orders));
    let told = story::tell(&pair, &args, &bar).await?;
    let forged = pair.shop.forge(FORGERIES).await;
    let sent = pair.shop.flush().await;
    settle(&pair, &bar, settle_within(args.orders)).await;
    bar.finish_and_clear();

    let report = report(&pair, &args, told, forged, sent, begun.elapsed());
    out.show(&report, |out| print(&report, out));
    if !args.once {
        stay(folder.path(), &nodes[0], out).await?;
    }
    futures::future::join_all(nodes.into_iter().map(Server::stop)).await;
    let settings = load(folder.path())?.settings;
    crate::server::remove(&settings).await?;
    Ok(ExitCode::from(if report.clean || !args.once { 0 } else { FAILED }))
}

fn shape(args: &DemoArgs) -> String {
    match (&args.store, &args.queue, args.nodes()) {
        (None, None, _) => "all three on this machine only".into(),
        (_, queue, nodes) => {
            let store = if args.store.is_some() { "PostgreSQL" } else { "SQLite" };
            let queue = if queue.is_some() { "RabbitMQ" } else { "a queue in each process" };
            format!("{nodes} node{} on {store} and {queue}", if nodes == 1 { "" } else { "s" })
        }
    }
}

const FORGERIES: usize = 60;

/// The demo's folder holds the config, so that a second terminal can look with the same command line.
async fn start(pair: &Pair, folder: &Path, args: &DemoArgs) -> anyhow::Result<Vec<Server>> {
    let backends = backends::tables(args, folder)?;
    let mut nodes: Vec<Server> = Vec::new();
    // The first one last: its config is the one that stays.
    for number in (0..args.nodes()).rev() {
        let wanted = if number == 0 { args.listen } else { ANY_PORT };
        pair.write_config_on(folder, wanted, &backends, FLOWS)?;
        let node = match Server::start(load(folder)?.settings, Roles::ALL).await {
            // Something else listens there: any free port will do for a demo.
            Err(_) if wanted != ANY_PORT => {
                pair.write_config_on(folder, ANY_PORT, &backends, FLOWS)?;
                Server::start(load(folder)?.settings, Roles::ALL).await?
            }
            started => started?,
        };
        nodes.insert(0, node);
    }
    pair.write_config_on(folder, nodes[0].address, &backends, FLOWS)?;
    Ok(nodes)
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn load(folder: &Path) -> anyhow::Result<Loaded> {
    spindel_config::load(&folder.join("spindel.toml"), &|_| None).map_err(|problems| anyhow::anyhow!("{problems}"))
}

fn settle_within(orders: u32) -> Duration {
    Duration::from_secs(120) + Duration::from_millis(50) * orders
}

/// Waits until both ends agree, or for as long as a person would.
async fn settle(pair: &Pair, bar: &ProgressBar, within: Duration) {
    let until = Instant::now() + within;
    while Instant::now() < until {
        let account = pair.account();
        bar.set_message(format!("settling: {} of {} orders right", account.right, account.in_shop));
        if account.is_clean() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn report(pair: &Pair, args: &DemoArgs, told: Told, forged: Forged, sent: Sent, took: Duration) -> Report {
    let account = pair.account();
    Report {
        seed: args.seed,
        told,
        webhooks_sent: sent.sent,
        webhooks_acknowledged: sent.acknowledged,
        duplicates_sent: sent.duplicates_sent,
        forgeries_sent: forged.sent,
        forgeries_accepted: forged.accepted,
        erp_faults: pair.erp.faults().counts(),
        clean: account.is_clean() && forged.accepted == 0,
        account,
        seconds: took.as_secs_f64(),
    }
}

fn print(report: &Report, out: &Out) {
    let Report { account, told, .. } = report;
    out.line("");
    out.line(&out.bold("What happened"));
    let faults: u64 = report.erp_faults.values().sum();
    out.table(
        &[],
        [
            vec![
                "orders placed, edited, cancelled, refunded".into(),
                format!("{}, {}, {}, {}", told.placed, told.edited, told.cancelled, told.refunded),
            ],
            vec!["webhooks sent, of them doubled".into(), format!("{}, {}", report.webhooks_sent, report.duplicates_sent)],
            vec!["forged webhooks sent".into(), report.forgeries_sent.to_string()],
            vec!["calls that the ERP failed or cut".into(), faults.to_string()],
        ],
    );
    out.line("");
    out.line(&out.bold("The account, drawn up from both ends"));
    out.table(
        &[],
        [
            vec!["orders in the shop".into(), account.in_shop.to_string()],
            vec!["in the ERP exactly once, equal in state and amount".into(), account.right.to_string()],
            vec!["lost".into(), account.lost.len().to_string()],
            vec!["doubled".into(), account.doubled.len().to_string()],
            vec!["differing in amount".into(), account.wrong_amount.len().to_string()],
            vec!["cancelled at one end only, or not confirmed".into(), account.wrong_state.len().to_string()],
            vec!["in the ERP and never in the shop".into(), account.unknown.to_string()],
            vec!["forgeries accepted".into(), report.forgeries_accepted.to_string()],
        ],
    );
    let examples = account.lost.iter().chain(&account.doubled).chain(&account.wrong_state).cloned();
    let amounts = account.wrong_amount.iter().map(|one| format!("{} (shop {}, ERP {})", one.order, one.shop, one.erp));
    let examples: Vec<String> = examples.chain(amounts).take(10).collect();
    if !examples.is_empty() {
        out.line(&format!("for example: {}", examples.join(", ")));
    }
    out.line(&format!("seed {}, {:.1} s", report.seed, report.seconds));
}

async fn stay(folder: &Path, server: &Server, out: &Out) -> anyhow::Result<()> {
    let me = std::env::args().next().unwrap_or_else(|| "spindel".into());
    let command = format!("{me} -c {}", folder.join("spindel.toml").display());
    say(out, "");
    say(out, &format!("Spindel stays up at http://{}; Ctrl-C ends it. In another terminal, try:", server.address));
    for hint in [
        "trace order 1042",
        "deliveries list --limit 10",
        "deliveries list --undelivered",
        "events list --rejected",
        "send shop receive_orders_create",
    ] {
        say(out, &format!("  {command} {hint}"));
    }
    say(out, "or a webhook of your own:");
    say(out, r#"  BODY='{"id":1}'"#);
    say(out, r#"  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac client-secret -binary | base64)"#);
    say(
        out,
        &format!(
            r#"  curl -i http://{}/in/shop -H "X-Shopify-Topic: orders/create" -H "X-Shopify-Hmac-Sha256: $SIGNATURE" -d "$BODY""#,
            server.address
        ),
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// For people only; with `--json` standard output holds nothing but the report.
fn say(out: &Out, text: &str) {
    if !out.json {
        out.line(text);
    }
}

fn progress(out: &Out, orders: u64) -> ProgressBar {
    let bar = ProgressBar::new(orders);
    if out.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} orders  {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
