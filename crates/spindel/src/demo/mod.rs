//! `spindel demo`: simulated vendors, a real Spindel between them, a bad day, and an account drawn up from all ends.
//!
//! Everything is simulated but Spindel itself: real HTTP on loopback, a real store on disk, the same code as `serve`.

mod backends;
pub mod cast;
mod report;
mod rounds;
mod story;

use crate::{
    cli::DemoArgs,
    output::{FAILED, Out},
    roles::Roles,
    server::Server,
};
use anyhow::Context as _;
use cast::Cast;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::Report;
use rounds::Rounds;
use spindel_config::Loaded;
use spindel_simulators::{
    roles::{Forged, Sent},
    trade::Trade,
};
use std::{
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use story::{Story, Told};

pub async fn run(args: DemoArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("spindel-demo-").tempdir().context("cannot make a temporary folder")?;
    let cast = Cast::of(&args);
    let trade = cast.start(args.seed).await?;
    let nodes = start(&trade, folder.path(), &args).await?;
    say(out, &format!("{}, with a real Spindel between them ({})", cast.shown(), shape(&args)));

    let begun = Instant::now();
    trade.tell(&nodes.iter().map(|node| format!("http://{}", node.address)).collect::<Vec<_>>());
    let bar = progress(out, u64::from(args.orders));
    let (told, forged, sent) = day(&trade, &args, &bar).await?;
    bar.finish_and_clear();

    let report = report(&trade, &args, told, forged, sent, begun.elapsed());
    out.show(&report, |out| report.print(out));
    if !args.once {
        stay(folder.path(), &nodes[0], &trade, out).await?;
    }
    futures::future::join_all(nodes.into_iter().map(Server::stop)).await;
    let settings = load(folder.path())?.settings;
    crate::server::remove(&settings).await?;
    Ok(ExitCode::from(if report.clean || !args.once { 0 } else { FAILED }))
}

/// Until all ends agree, or nobody would wait any longer.
async fn day(trade: &Trade, args: &DemoArgs, bar: &ProgressBar) -> anyhow::Result<(Told, Forged, Sent)> {
    let mut rounds = Rounds::default();
    let mut story = Story::new(trade, args.seed);
    story.tell(args, bar, &mut rounds).await?;
    let forged = trade.shop.forge(FORGERIES).await;
    let mut sent = trade.shop.flush().await;
    settle(trade, bar, &mut rounds, settle_within(args.orders)).await;
    if !trade.is_plain() {
        story.days_after();
        settle(trade, bar, &mut rounds, settle_within(args.orders)).await;
        sent = trade.shop.flush().await;
    }
    Ok((story.told, forged, sent))
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
async fn start(trade: &Trade, folder: &Path, args: &DemoArgs) -> anyhow::Result<Vec<Server>> {
    let backends = backends::tables(args, folder)?;
    let mut nodes: Vec<Server> = Vec::new();
    // The first one last: its config is the one that stays.
    for number in (0..args.nodes()).rev() {
        let wanted = if number == 0 { args.listen } else { ANY_PORT };
        trade.write_config(folder, wanted, &backends)?;
        let node = match Server::start(load(folder)?.settings, Roles::ALL).await {
            // Something else listens there: any free port will do for a demo.
            Err(_) if wanted != ANY_PORT => {
                trade.write_config(folder, ANY_PORT, &backends)?;
                Server::start(load(folder)?.settings, Roles::ALL).await?
            }
            started => started?,
        };
        nodes.insert(0, node);
    }
    trade.write_config(folder, nodes[0].address, &backends)?;
    Ok(nodes)
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn load(folder: &Path) -> anyhow::Result<Loaded> {
    spindel_config::load(&folder.join("spindel.toml"), &|_| None).map_err(|problems| anyhow::anyhow!("{problems}"))
}

fn settle_within(orders: u32) -> Duration {
    Duration::from_secs(120) + Duration::from_millis(50) * orders
}

/// Waits until all ends agree, or for as long as a person would.
async fn settle(trade: &Trade, bar: &ProgressBar, rounds: &mut Rounds, within: Duration) {
    let until = Instant::now() + within;
    while Instant::now() < until {
        rounds.walk(trade);
        let accounts = trade.accounts();
        let orders = &accounts.orders;
        bar.set_message(format!("settling: {} of {} orders right", orders.right, orders.in_shop));
        if accounts.is_clean() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn report(trade: &Trade, args: &DemoArgs, told: Told, forged: Forged, sent: Sent, took: Duration) -> Report {
    let accounts = trade.accounts();
    Report {
        seed: args.seed,
        vendors: Cast::of(args),
        told,
        webhooks_sent: sent.sent,
        webhooks_acknowledged: sent.acknowledged,
        duplicates_sent: sent.doubled,
        forgeries_sent: forged.sent,
        forgeries_accepted: forged.accepted,
        erp_faults: trade.erp.faults().counts(),
        payments_faults: trade.provider.as_ref().map(|it| it.faults().counts()),
        carrier_faults: trade.carrier.as_ref().map(|it| it.faults().counts()),
        clean: accounts.is_clean() && forged.accepted == 0,
        account: accounts.orders,
        money: accounts.money,
        parcels: accounts.parcels,
        seconds: took.as_secs_f64(),
    }
}

async fn stay(folder: &Path, server: &Server, trade: &Trade, out: &Out) -> anyhow::Result<()> {
    let me = std::env::args().next().unwrap_or_else(|| "spindel".into());
    let command = format!("{me} -c {}", folder.join("spindel.toml").display());
    say(out, "");
    say(out, &format!("Spindel stays up at http://{}; Ctrl-C ends it. In another terminal, try:", server.address));
    let is_shopify = trade.shop.connector() == "shopify";
    let orders = trade.shop.orders();
    let number = orders.get(orders.len() / 2).map_or("1042", |it| it.number.trim_start_matches('#'));
    let fixture = if is_shopify { "receive_orders_create" } else { "receive_order_created" };
    for hint in [
        &format!("trace order {number}"),
        "deliveries list --limit 10",
        "deliveries list --undelivered",
        "events list --rejected",
        &format!("send shop {fixture}"),
    ] {
        say(out, &format!("  {command} {hint}"));
    }
    if is_shopify {
        webhook_by_hand(server, out);
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn webhook_by_hand(server: &Server, out: &Out) {
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
