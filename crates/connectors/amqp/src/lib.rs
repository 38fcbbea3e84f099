//! A message broker of the shop's own: changes go to a topic exchange, for services that Spindel need not know.

mod perform;
mod settings;

pub use settings::Config;

use spindel_connect::{
    Ability, Api, CallError, ConfigError, Connector, Effect, Endpoint, Fixture, Info, Kind, Reply, Verdict, fixtures, performs,
};
use spindel_model::{ErrorClass, SendChange};

pub struct Amqp;

impl Connector for Amqp {
    const INFO: Info = Info {
        id: "amqp",
        name: "AMQP",
        kind: Kind::Generic,
        about: "Publishes changes on a topic exchange of a RabbitMQ, for services of your own",
    };
    type Config = Config;
    const ABILITIES: &'static [Ability<Self>] = &[performs::<SendChange, Self>()];
    const FIXTURES: &'static [Fixture] = fixtures!["config", "send_change", "send_change_not_kept", "send_change_refused"];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, config.endpoint()?))
    }

    /// The reason is in words. The transport hands it over as a 404 where no other try helps, and as a 503 where the broker
    /// could not keep the message now; of several queues that are bound for it, some may have it then.
    fn refine(reply: &Reply) -> Option<Verdict> {
        let why: String = String::from_utf8_lossy(&reply.body).chars().take(300).collect();
        match reply.status {
            404 => Some(Verdict::new(ErrorClass::Config, format!("{why}; mend `exchange` or the connection's name"))),
            503 => Some(Verdict { effect: Effect::Unknown, ..Verdict::new(ErrorClass::Transient, why) }),
            _ => None,
        }
    }

    /// A message would be seen by everybody who listens, so nothing is published: the transport only connects.
    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        api.get("probe", "/").send().await?;
        Ok("connected to the broker".to_owned())
    }
}
