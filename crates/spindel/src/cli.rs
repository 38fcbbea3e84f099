//! The command line: names, options and their help.

use crate::{
    demo::cast::{ErpKind, PaymentsKind, ShippingKind, ShopKind},
    roles::Roles,
};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The hidden command that makes this binary a jq child.
pub const WORKER_JQ: &str = "worker-jq";

/// Self-hosted integration hub for shops.
#[derive(Parser)]
#[command(name = "spindel", version, about, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
pub struct Global {
    /// Config file
    #[arg(long, short, global = true, env = "SPINDEL_CONFIG", default_value = "spindel.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour in the output
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as `info,spindel_engine=debug`
    #[arg(long, global = true, env = "SPINDEL_LOG", value_name = "FILTER", value_parser = log_filter)]
    pub log: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the output is a terminal and NO_COLOR is not set
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
pub enum Command {
    /// Simulated vendors with a real Spindel between them: nothing needed, nothing kept
    Demo(DemoArgs),
    /// Run Spindel: receive, plan, deliver, poll. SIGHUP reloads the config, SIGTERM finishes what runs
    Serve(ServeArgs),
    /// Check the config file and run its own tests; exit code 3 when something is wrong
    Check(CheckArgs),
    /// List the connectors, or show one with its settings and abilities
    Connectors {
        /// As in `connector = "…"`
        name: Option<String>,
    },
    /// What came in
    #[command(subcommand)]
    Events(EventsCommand),
    /// What is carried on, and what has not arrived
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// The whole journey of one thing across all systems
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Whether what was sold, what was paid and what was paid out agree
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Which webhooks a vendor sends here
    #[command(subcommand)]
    Subscriptions(SubscriptionsCommand),
    /// Send a signed test webhook to a running Spindel
    Send(SendArgs),
    /// Ask a running Spindel whether it is ready: exit code 0, or 1 with the reason
    #[command(hide = true)]
    Health {
        #[arg(long, default_value = "http://127.0.0.1:8401/readyz")]
        url: reqwest::Url,
    },
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
}

#[derive(Args, Clone)]
pub struct DemoArgs {
    /// How many orders are placed
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub orders: u32,
    /// The same seed tells the same story
    #[arg(long, default_value_t = 1042, value_name = "SEED")]
    pub seed: u64,
    /// The simulated shop
    #[arg(long, value_enum, default_value_t, value_name = "VENDOR")]
    pub shop: ShopKind,
    /// The simulated ERP that gets the orders
    #[arg(long, value_enum, default_value_t, value_name = "VENDOR")]
    pub erp: ErpKind,
    /// The simulated payment provider: captures what is sent, lets go of what is cancelled, gives back what comes back
    #[arg(long, value_enum, default_value_t, value_name = "VENDOR")]
    pub payments: PaymentsKind,
    /// The simulated carrier: booked for every paid order, and followed until the parcel has arrived
    #[arg(long, value_enum, default_value_t, value_name = "VENDOR")]
    pub shipping: ShippingKind,
    /// Leave after the account; exit code 1 when an order, a payment or a parcel is lost, doubled or wrong
    #[arg(long)]
    pub once: bool,
    /// Where the demo's Spindel listens, so that a `curl` of your own reaches it
    #[arg(long, default_value = "127.0.0.1:8400", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// PostgreSQL database to use instead of a file, `postgres://user:password@host/database`
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// RabbitMQ to use instead of the queue inside the process, `amqp://user:password@host/vhost`
    #[arg(long, value_name = "URL")]
    pub queue: Option<String>,
    /// How many nodes share the work [default: 1, or 2 with --store]
    #[arg(long, value_name = "N", requires = "store", value_parser = clap::value_parser!(u8).range(1..=8))]
    nodes: Option<u8>,
}

impl DemoArgs {
    /// Several nodes need a store that they share.
    pub fn nodes(&self) -> usize {
        self.nodes.map_or(if self.store.is_some() { 2 } else { 1 }, usize::from)
    }
}

#[derive(Args)]
pub struct ServeArgs {
    /// What this node does, of `ingest,worker,sync,console`; nodes that share a store may divide it
    #[arg(long, env = "SPINDEL_ROLES", default_value_t = Roles::ALL, value_name = "ROLES")]
    pub roles: Roles,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Also log in at every connection
    #[arg(long)]
    pub live: bool,
}

#[derive(Subcommand)]
pub enum PaymentsCommand {
    /// Orders and payments whose sides do not agree, and had the time that `[payments]` gives them
    Unmatched {
        /// Only what happened within so long: `90d`
        #[arg(long, default_value = "90d", value_name = "TIME", value_parser = spindel_config::duration)]
        since: std::time::Duration,
    },
}

#[derive(Subcommand)]
pub enum EventsCommand {
    /// Newest first
    List(EventFilterArgs),
    /// One event with its body and its deliveries
    Show { id: spindel_model::EventId },
    /// Plan again from the raw body, with today's config; what arrived is left alone
    Reprocess {
        /// Ids; or choose by state
        #[arg(required_unless_present = "state")]
        ids: Vec<spindel_model::EventId>,
        /// All events in this state, a thousand at a time
        #[arg(long, conflicts_with = "ids", value_parser = ["quarantined", "unrouted", "planned"])]
        state: Option<String>,
        #[arg(long, requires = "state")]
        connection: Option<String>,
    },
    /// Follow what comes in, until stopped
    Tail {
        #[arg(long)]
        connection: Option<String>,
    },
}

#[derive(Args)]
pub struct EventFilterArgs {
    #[arg(long)]
    pub connection: Option<String>,
    /// The vendor's own word, such as `orders/create`
    #[arg(long)]
    pub topic: Option<String>,
    #[arg(long, value_parser = spindel_model::EventState::NAMES)]
    pub state: Option<String>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only those before this one: the next page
    #[arg(long, value_name = "ID")]
    pub before: Option<spindel_model::EventId>,
    /// Requests that were refused, with the reason
    #[arg(long, conflicts_with_all = ["topic", "state", "before"])]
    pub rejected: bool,
}

#[derive(Subcommand)]
pub enum DeliveriesCommand {
    /// Newest first
    List(DeliveryFilterArgs),
    /// One delivery with its action and all its attempts
    Show { id: spindel_model::DeliveryId },
    /// The papers that came of a delivery, such as labels
    Documents {
        id: spindel_model::DeliveryId,
        /// Write them into this folder
        #[arg(long, value_name = "FOLDER")]
        save: Option<std::path::PathBuf>,
    },
    /// Try again now; what arrived is left alone
    Retry {
        #[command(flatten)]
        choose: ChooseArgs,
        /// Deliveries a second at most, so that live traffic does not feel it
        #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: u32,
    },
    /// Give up for good, with a reason that is kept
    Discard {
        #[command(flatten)]
        choose: ChooseArgs,
        /// Why it need not arrive
        #[arg(long)]
        why: String,
    },
}

#[derive(Args)]
pub struct DeliveryFilterArgs {
    #[arg(long)]
    pub flow: Option<String>,
    /// Destination connection
    #[arg(long)]
    pub to: Option<String>,
    /// One or several, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = spindel_model::State::NAMES)]
    pub state: Vec<String>,
    /// Only what has not arrived
    #[arg(long, conflicts_with = "state")]
    pub undelivered: bool,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only those before this one: the next page
    #[arg(long, value_name = "ID")]
    pub before: Option<spindel_model::DeliveryId>,
}

#[derive(Args)]
pub struct ChooseArgs {
    /// Ids; or choose by state, flow and destination
    #[arg(required_unless_present = "state")]
    pub ids: Vec<spindel_model::DeliveryId>,
    #[arg(long, conflicts_with = "ids", value_delimiter = ',', value_parser = spindel_model::State::NAMES)]
    pub state: Vec<String>,
    #[arg(long, requires = "state")]
    pub flow: Option<String>,
    #[arg(long, requires = "state")]
    pub to: Option<String>,
    /// Do not do it, say how many it would be
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Subcommand)]
pub enum TraceCommand {
    /// One order, by its number in the shop or in the ERP
    Order { number: String },
}

#[derive(Subcommand)]
pub enum SubscriptionsCommand {
    /// The topics that Spindel wants, and where the vendor sends them
    List {
        /// As in `[connections.NAME]`
        connection: String,
    },
    /// Register those that are missing, at `server.public_url`
    Repair {
        /// As in `[connections.NAME]`
        connection: String,
    },
}

#[derive(Args)]
pub struct SendArgs {
    /// As in `[connections.NAME]`
    pub connection: String,
    /// One of the connector's examples; `spindel connectors NAME` lists them
    pub fixture: String,
    /// Base address of the running Spindel, instead of the config's `server.listen`
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub fn print_completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "spindel", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_makes_sense() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }

    #[test]
    fn roles_that_make_no_sense_are_refused() {
        use clap::Parser as _;
        assert!(super::Cli::try_parse_from(["spindel", "serve", "--roles", "worker,ingest"]).is_ok());
        assert!(super::Cli::try_parse_from(["spindel", "serve", "--roles", "worker,chef"]).is_err());
    }

    #[test]
    fn a_demo_has_several_nodes_only_where_they_share_a_store() {
        use clap::Parser as _;
        let nodes = |more: &[&str]| match super::Cli::try_parse_from(["spindel", "demo"].iter().chain(more)) {
            Ok(super::Cli { command: super::Command::Demo(args), .. }) => Some(args.nodes()),
            _ => None,
        };
        let store = ["--store", "postgres://spindel@127.0.0.1/demo"];
        assert_eq!((nodes(&[]), nodes(&store), nodes(&[&store[..], &["--nodes", "3"]].concat())), (Some(1), Some(2), Some(3)));
        assert_eq!(nodes(&["--nodes", "3"]), None);
    }

    #[test]
    fn a_log_filter_that_makes_no_sense_is_refused() {
        use clap::Parser as _;
        assert!(super::Cli::try_parse_from(["spindel", "--log", "info,spindel_engine=debug", "serve"]).is_ok());
        assert!(super::Cli::try_parse_from(["spindel", "--log", "spindel_engine=loud", "serve"]).is_err());
    }
}
