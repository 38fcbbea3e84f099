//! Plans and outcomes made ready to be written: what is costly about them is done before a transaction begins.

use crate::{
    EventPlan, Finish, NewDelivery, StoreError,
    failure::{Failure, Tried},
    notes::{self, SealedNote},
    rules::payload_id,
    seal::{Part, Sealer},
};
use spindel_model::{EventState, State};

/// A plan whose actions are sealed.
pub(crate) struct SealedPlan {
    /// Without its deliveries and notes.
    pub plan: EventPlan,
    /// The column `mentions` of the event.
    pub mentions: String,
    pub deliveries: Vec<(NewDelivery, Option<Vec<u8>>)>,
    pub notes: Vec<SealedNote>,
}

impl SealedPlan {
    pub fn new(sealer: &Sealer, mut plan: EventPlan) -> Result<Self, StoreError> {
        let mut deliveries = Vec::with_capacity(plan.deliveries.len());
        for mut delivery in std::mem::take(&mut plan.deliveries) {
            let sealed = match delivery.action_json.take() {
                Some(action) => {
                    let id = payload_id(plan.event, delivery.change, &delivery.flow);
                    Some(sealer.seal(Part::Action, id, &action).map_err(|failure| failure.error)?)
                }
                None => None,
            };
            deliveries.push((delivery, sealed));
        }
        let mut mentions = Vec::new();
        for mention in plan.indexed.iter().flat_map(|indexed| &indexed.mentions) {
            let pair = (mention.kind.as_str(), mention.value.as_str());
            if !mentions.contains(&pair) {
                mentions.push(pair);
            }
        }
        let mentions = serde_json::to_string(&mentions).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let notes = notes::seal(sealer, std::mem::take(&mut plan.notes))?;
        Ok(Self { plan, mentions, deliveries, notes })
    }

    pub fn bytes(&self) -> usize {
        let payloads: usize = self.deliveries.iter().map(|(_, sealed)| 512 + sealed.as_ref().map_or(0, Vec::len)).sum();
        payloads + self.mentions.len() + notes::bytes(&self.notes)
    }

    /// The column `reason` of the event.
    pub fn reason(&self) -> Option<&str> {
        match &self.plan.state {
            EventState::Quarantined { reason } => Some(reason),
            _ => None,
        }
    }

    /// Kind and value of all that the event mentions; one may come twice.
    pub fn mentioned(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let mentions = self.plan.indexed.iter().flat_map(|indexed| &indexed.mentions);
        mentions.map(|mention| (mention.kind.as_str(), mention.value.as_str()))
    }
}

/// An outcome whose exchanges are sealed.
pub(crate) struct SealedFinish {
    pub finish: Finish,
    pub exchanges: Option<Vec<u8>>,
}

impl SealedFinish {
    pub fn new(sealer: &Sealer, mut finish: Finish) -> Result<Self, StoreError> {
        if matches!(finish.state, State::Running { .. } | State::Waiting { .. }) {
            return Err(StoreError::Corrupt(format!("a delivery cannot be finished as {}", finish.state.name())));
        }
        let exchanges = match &mut finish.attempt {
            Some(attempt) if !attempt.exchanges.is_empty() => {
                let json = serde_json::to_vec(&std::mem::take(&mut attempt.exchanges))
                    .map_err(|error| StoreError::Corrupt(error.to_string()))?;
                Some(sealer.seal(Part::Exchanges, finish.id.0, &json).map_err(|failure| failure.error)?)
            }
            _ => None,
        };
        Ok(Self { finish, exchanges })
    }

    pub fn bytes(&self) -> usize {
        512 + self.exchanges.as_ref().map_or(0, Vec::len)
    }
}

/// Reads the column `mentions` of an event: kinds and values.
pub(crate) fn mentions(column: &str) -> Tried<Vec<(String, String)>> {
    serde_json::from_str(column).map_err(|_| Failure::corrupt("the search keys of an event"))
}
