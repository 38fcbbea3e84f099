//! A consumer: what the broker delivers of both queues of a channel, and what is carried inside the process.

use super::{
    Shared, feed,
    feed::{Inbox, Ticket},
};
use crate::{BoxFuture, Channel, Consumer, Message, Queue as _, QueueError, Work};
use futures::{FutureExt as _, future::join_all};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A broker that works has attached a consumer by then.
const ATTACHED_WITHIN: Duration = Duration::from_secs(3);

pub(super) struct Taker {
    inbox: Arc<Inbox>,
    local: Option<Box<dyn Consumer>>,
    local_is_next: bool,
    /// What the broker is still to be told of. A message that was announced twice is in here twice.
    held: HashMap<Work, VecDeque<Ticket>>,
    _feeds: Vec<super::Background>,
}

impl Taker {
    /// Attaches to the broker at once if it is there, else when it comes.
    pub async fn attach(shared: &Arc<Shared>, channel: &Channel, prefetch: u16) -> Result<Self, QueueError> {
        let local = match &shared.local {
            Some(local) => Some(local.consume(channel, prefetch).await?),
            None => None,
        };
        let inbox = Arc::new(Inbox::default());
        let for_again = (prefetch / 2).max(1);
        let (feeds, settled): (Vec<_>, Vec<_>) = [(true, prefetch.saturating_sub(for_again).max(1)), (false, for_again)]
            .map(|(fresh, prefetch)| feed::start(shared, &inbox, shared.topology.queue(channel, fresh), fresh, prefetch))
            .into_iter()
            .unzip();
        let _ = tokio::time::timeout(ATTACHED_WITHIN, join_all(settled)).await;
        Ok(Self { inbox, local, local_is_next: false, held: HashMap::new(), _feeds: feeds })
    }

    /// What is at hand, from the broker and from inside in turn.
    fn at_hand(&mut self, max: usize, again: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        self.local_is_next = !self.local_is_next;
        for from_broker in [self.local_is_next, !self.local_is_next] {
            let max = max - messages.len();
            let again = again - messages.iter().filter(|message: &&Message| !message.fresh).count();
            if max == 0 {
                break;
            }
            if from_broker {
                let taken = self.inbox.take(max, again);
                messages.extend(taken.into_iter().map(|(work, ticket)| {
                    self.held.entry(work).or_default().push_back(ticket);
                    Message { work, fresh: ticket.fresh }
                }));
            } else if let Some(local) = &mut self.local
                && let Some(Ok(taken)) = local.receive(max, again).now_or_never()
            {
                messages.extend(taken);
            }
        }
        messages
    }

    /// Which of the broker's deliveries this message was.
    fn release(&mut self, message: &Message) -> Option<Ticket> {
        let tickets = self.held.get_mut(&message.work)?;
        let at = tickets.iter().position(|ticket| ticket.fresh == message.fresh)?;
        let ticket = tickets.remove(at);
        if tickets.is_empty() {
            self.held.remove(&message.work);
        }
        ticket
    }
}

impl Consumer for Taker {
    fn receive(&mut self, max: usize, again: usize) -> BoxFuture<'_, Result<Vec<Message>, QueueError>> {
        Box::pin(async move {
            let max = max.max(1);
            loop {
                let inbox = Arc::clone(&self.inbox);
                let arrived = inbox.arrived();
                tokio::pin!(arrived);
                // Listen before looking, so that what arrives between the two is not missed.
                arrived.as_mut().enable();
                let messages = self.at_hand(max, again);
                if !messages.is_empty() {
                    return Ok(messages);
                }
                match &mut self.local {
                    None => arrived.await,
                    Some(local) => tokio::select! {
                        () = arrived => {}
                        messages = local.receive(max, again) => return messages,
                    },
                }
            }
        })
    }

    /// Never waits: a lost acknowledgement only brings the message again.
    fn acknowledge(&mut self, messages: &[Message]) -> BoxFuture<'_, Result<(), QueueError>> {
        let (mut tickets, mut others) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            match self.release(message) {
                Some(ticket) => tickets.push(ticket),
                None => others.push(*message),
            }
        }
        self.inbox.done(&tickets);
        Box::pin(async move {
            match &mut self.local {
                Some(local) if !others.is_empty() => local.acknowledge(&others).await,
                _ => Ok(()),
            }
        })
    }
}
