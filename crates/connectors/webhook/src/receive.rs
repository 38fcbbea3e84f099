//! Incoming webhooks: proof by the settings, meaning from the envelope or from a topic and a bare record.

use crate::{
    Webhook,
    settings::{Meaning, Verifying},
    wire::{Envelope, bare_change},
};
use serde::Deserialize;
use spindel_connect::{ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, Topic};

impl Receive for Webhook {
    fn proof(&self, _kept: &[Secret]) -> Proof {
        let Some(receiver) = &self.receiver else {
            // Without secrets nothing is believed.
            return Proof::standard_webhooks(&[]);
        };
        let secrets = &receiver.secrets;
        match &receiver.scheme {
            Verifying::StandardWebhooks => Proof::standard_webhooks(secrets),
            Verifying::Hmac(hmac) => hmac.clone().secrets(secrets),
            Verifying::Token { header } => Proof::SharedToken { header: header.clone(), tokens: secrets.clone() },
        }
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        #[derive(Deserialize)]
        struct Type {
            r#type: String,
        }
        match self.meaning() {
            Meaning::Envelope => Ok(delivery.json::<Type>()?.r#type),
            Meaning::Fixed(topic) => Ok(topic.to_string()),
            Meaning::Header(name) => match delivery.optional_header(name) {
                Some(topic) => Ok(topic.to_owned()),
                None => Err(ParseError::Content(format!("no `{name}` header, which should say the topic"))),
            },
        }
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let header = self.receiver.as_ref()?.delivery_header.as_deref()?;
        delivery.optional_header(header).map(str::to_owned)
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let name = self.topic(delivery)?;
        let known = name.parse::<Topic>();
        let change = match (self.meaning(), known) {
            // A sender may say more than Spindel understands; that it is genuine is enough.
            (Meaning::Envelope, Err(_)) => return Ok(Vec::new()),
            (_, Err(_)) => return Err(ParseError::Topic(name)),
            (Meaning::Envelope, Ok(topic)) => delivery.json::<Envelope>()?.into_change(topic)?,
            (_, Ok(topic)) => bare_change(topic, delivery.body())?,
        };
        Ok(vec![change])
    }
}

impl Webhook {
    fn meaning(&self) -> &Meaning {
        self.receiver.as_ref().map_or(&Meaning::Envelope, |it| &it.meaning)
    }
}
