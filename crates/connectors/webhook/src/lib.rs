//! A system without a connector of its own: sends any change to any HTTPS address, receives signed webhooks.

mod perform;
mod receive;
mod settings;
mod wire;

pub use settings::{Config, Receiving, Scheme};

use http::HeaderName;
use settings::Receiver;
use spindel_connect::{
    Ability, Api, Auth, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Limits, Reply, Secret, Verdict,
    fixtures, performs, receives,
};
use spindel_model::{ErrorClass, SendChange};

pub struct Webhook {
    sender: Option<Sender>,
    receiver: Option<Receiver>,
}

/// Where changes go, and what goes with them.
struct Sender {
    url: String,
    headers: Vec<(HeaderName, Secret)>,
    secrets: Vec<Secret>,
}

impl Connector for Webhook {
    const INFO: Info = Info {
        id: "webhook",
        name: "Webhook",
        kind: Kind::Generic,
        about: "Sends changes to any HTTPS address by Standard Webhooks, and receives signed webhooks",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[receives(), performs::<SendChange, Self>()];
    const FIXTURES: &'static [Fixture] = fixtures![
        "config",
        "receive_order_updated",
        "receive_stock_changed",
        "receive_test",
        "send_change",
        "send_change_gone",
        "send_change_redirected",
    ];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        let connector = config.connect()?;
        // Nobody knows what the receiver can bear but who set `concurrency`.
        let limits = Limits { parallel: 1024, ..Limits::default() };
        Ok((connector, Endpoint::new("", Auth::None).limits(limits)))
    }

    fn refine(reply: &Reply) -> Option<Verdict> {
        match reply.status {
            300..=399 => {
                let message = format!("HTTP {}: redirects are not followed; set `url` to the final address", reply.status);
                Some(Verdict::new(ErrorClass::Config, message))
            }
            404 => Some(Verdict::new(ErrorClass::Gone, "HTTP 404: there is nothing at `url`")),
            410 => Some(Verdict::new(ErrorClass::Gone, "HTTP 410: the receiver wants no more webhooks at `url`")),
            _ => None,
        }
    }

    async fn probe(&self, _api: &Api) -> Result<String, CallError> {
        Ok(match (&self.sender, &self.receiver) {
            (Some(_), _) => "not tried: a webhook address can only be asked by sending it something",
            _ => "receives only: there is nothing to ask",
        }
        .to_owned())
    }
}
