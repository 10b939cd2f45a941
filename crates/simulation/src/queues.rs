//! The broker's side: what waits, what was delivered, what was published.

use std::collections::VecDeque;
use std::time::Duration;

use lapin::BasicProperties;

use crate::scenario::Scenario;
use crate::world::millis;

/// Between the copies of a message: some come while the first is on its way, some after its end, some after a doubt.
const BETWEEN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(90)];

/// A message from a producer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BasicProperties,
    pub(crate) redelivered: bool,
}

/// An event that a queue has.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// When, in true time.
    pub(crate) at: i64,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// With the time at which a producer sends it, in Unix milliseconds; in that order.
    ready: VecDeque<(i64, Sent)>,
    delivered: VecDeque<(u64, Sent)>,
    /// Whatever producers sent, once each.
    known: Vec<Sent>,
    /// The last delivery's tag on this channel.
    tag: u64,
    /// Connections so far: what is of an older one is nothing to this.
    pub(crate) generation: u64,
    pub(crate) events: Vec<Told>,
}

impl Queues {
    /// Everything that producers send from `now` on, in order; copies come after the first ones.
    pub(crate) fn of(scenario: &Scenario, now: i64) -> Self {
        let mut queues = Self::default();
        let mut at = now;
        let most = scenario.messages.iter().map(|message| message.copies).max().unwrap_or(0);
        for copy in 0..most {
            at += millis(BETWEEN[copy % BETWEEN.len()]);
            for message in scenario.messages.iter().filter(|message| copy < message.copies) {
                let properties = BasicProperties::default()
                    .with_content_type("application/json".into())
                    .with_delivery_mode(2)
                    .with_message_id(format!("m-{}", message.reference).into());
                queues.ready.push_back((at, Sent { body: message.body(), properties, redelivered: false }));
            }
        }
        queues.known = queues.ready.iter().map(|(_, sent)| sent.clone()).collect();
        queues
    }

    /// A producer sends the first message once more.
    pub(crate) fn again(&mut self, now: i64) {
        self.ready.extend(self.known.first().cloned().map(|sent| (now, sent)));
    }

    /// Producers send everything once more.
    pub(crate) fn all_again(&mut self, now: i64) {
        self.ready.extend(self.known.iter().cloned().map(|sent| (now, sent)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delivered.is_empty()
    }

    /// When there is something to deliver, in Unix milliseconds.
    pub(crate) fn next_at(&self) -> Option<i64> {
        self.ready.front().map(|(at, _)| *at)
    }

    /// A new connection; what the old one held comes again.
    pub(crate) fn connected(&mut self) -> u64 {
        self.connection_lost();
        self.tag = 0;
        self.generation += 1;
        self.generation
    }

    pub(crate) fn connection_lost(&mut self) {
        while let Some((_, mut sent)) = self.delivered.pop_back() {
            sent.redelivered = true;
            self.ready.push_front((0, sent));
        }
    }

    /// What was delivered is forgotten: a broker that acknowledges by itself.
    pub(crate) fn forget_delivered(&mut self) {
        self.delivered.clear();
    }

    pub(crate) fn deliver(&mut self, now: i64, limit: usize) -> Vec<(u64, Sent)> {
        let mut batch = Vec::new();
        while batch.len() < limit
            && self.next_at().is_some_and(|at| at <= now)
            && let Some((_, sent)) = self.ready.pop_front()
        {
            self.tag += 1;
            self.delivered.push_back((self.tag, sent.clone()));
            batch.push((self.tag, sent));
        }
        batch
    }

    pub(crate) fn ack_up_to(&mut self, tag: u64) {
        self.delivered.retain(|(delivered, _)| *delivered > tag);
    }
}
