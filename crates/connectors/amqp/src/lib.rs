//! A message broker of the shop's own: changes go to a topic exchange, for services that Spindel need not know.

mod perform;
mod settings;

pub use settings::Config;

use spindel_connect::{
    Ability, Api, CallError, ConfigError, Connector, Endpoint, Fixture, Info, Kind, Reply, Verdict, fixtures, performs,
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
    const FIXTURES: &'static [Fixture] = fixtures!["config", "send_change", "send_change_refused"];

    fn connect(config: Config) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, config.endpoint()?))
    }

    /// The broker gives a reason in words; the transport hands it over as a 404.
    fn refine(reply: &Reply) -> Option<Verdict> {
        (reply.status == 404).then(|| {
            let why: String = String::from_utf8_lossy(&reply.body).chars().take(300).collect();
            Verdict::new(ErrorClass::Config, format!("the broker refuses it: {why}; mend `exchange` or the user's permissions"))
        })
    }

    /// A message would be seen by everybody who listens, so nothing is published: the transport only connects.
    async fn probe(&self, api: &Api) -> Result<String, CallError> {
        api.get("probe", "/").send().await?;
        Ok("connected to the broker".to_owned())
    }
}
