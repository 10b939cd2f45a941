//! The broker's port: a generation of deliveries and confirmed windows.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use tokio_util::sync::CancellationToken;
use worker::amqp::{AmqpError, Broker, Connection, Deliveries, Generation, Outgoing, Publisher, Source};
use worker::custody::{Custodial, Custodian, Found, Hold};

use crate::mistake::Mistake;
use crate::op::Op;
use crate::plan::When;
use crate::queues::Told;
use crate::world::{World, span};

/// A broker of one process.
#[derive(Clone, Debug)]
pub(crate) struct Brokerage {
    pub(crate) world: World,
}

/// The deliveries of one generation.
#[derive(Debug)]
pub(crate) struct Consumed {
    world: World,
    generation: u64,
}

/// The publishing channel of one generation.
#[derive(Debug)]
pub(crate) struct Published {
    world: World,
    generation: u64,
}

/// The namespace's custody, as one generation sees it.
#[derive(Debug)]
pub(crate) struct Custodies {
    world: World,
    generation: u64,
}

/// What carries all of it.
#[derive(Debug)]
pub(crate) struct Line {
    world: World,
    generation: u64,
}

const LOST: AmqpError = AmqpError::Unusable("the connection was lost");

impl Broker for Brokerage {
    type Deliveries = Consumed;
    type Publisher = Published;
    type Custody = Custodies;
    type Connection = Line;

    async fn connect(&self, custodian: &Custodian, _over: &CancellationToken) -> Result<Generation<Self>, AmqpError> {
        let world = self.world.clone();
        let call = world.call(Op::Connect).await;
        if world.strike(call, When::Before).await.error.is_some() || world.state().broker_is_down() {
            return Err(LOST);
        }
        let generation = world.state().queues.connected();
        let mut custody = Custodies { world: world.clone(), generation };
        custodian.claim(&mut custody).await?;
        if world.strike(call, When::After).await.error.is_some() {
            return Err(LOST);
        }
        Ok(Generation {
            incoming: vec![Consumed { world: world.clone(), generation }],
            publisher: Published { world: world.clone(), generation },
            custody,
            connection: Line { world, generation },
        })
    }
}

impl Custodies {
    /// The broker's side of it, while the connection lives.
    async fn there(&self) -> Result<std::sync::MutexGuard<'_, crate::world::State>, AmqpError> {
        self.world.alive().await;
        let state = self.world.state();
        if state.queues.generation == self.generation && !state.broker_is_down() { Ok(state) } else { Err(LOST) }
    }
}

impl Custodial for Custodies {
    async fn look(&mut self, known: Option<&str>) -> Result<Found, AmqpError> {
        let state = self.there().await?;
        Ok(state.namespace.look(known, state.mistake))
    }

    async fn declare(&mut self, mark: &str) -> Result<Found, AmqpError> {
        let mut state = self.there().await?;
        Ok(state.namespace.declare(mark))
    }

    async fn hold(&mut self) -> Result<Hold, AmqpError> {
        let mut state = self.there().await?;
        Ok(state.namespace.hold(self.generation))
    }

    async fn witness(&mut self) -> Result<Option<Vec<u8>>, AmqpError> {
        Ok(self.there().await?.namespace.witness.clone())
    }

    async fn tell(&mut self, witness: &[u8]) -> Result<bool, AmqpError> {
        self.there().await?.namespace.witness = Some(witness.to_owned());
        Ok(true)
    }

    async fn ended(&mut self) -> AmqpError {
        loop {
            let change = self.world.at_broker();
            if self.there().await.is_err() {
                return LOST;
            }
            change.await;
        }
    }
}

impl Connection for Line {
    async fn close(self) {
        let mut state = self.world.state();
        if state.queues.generation == self.generation {
            state.queues.connection_lost();
        }
    }
}

impl Deliveries for Consumed {
    fn source(&self) -> Source {
        Source::Jobs
    }

    async fn batch(&mut self, limit: usize) -> Result<Vec<Arc<Delivery>>, AmqpError> {
        loop {
            self.world.alive().await;
            let change = self.world.at_broker();
            let wait = {
                let state = self.world.state();
                if state.queues.generation != self.generation {
                    return Err(LOST);
                }
                state.queues.next_at().map_or(Duration::MAX, |at| span(at - state.now()))
            };
            if wait.is_zero() {
                break;
            }
            // Whether it came, or something changed, is looked at again.
            drop(tokio::time::timeout(wait, change).await);
        }
        let call = self.world.call(Op::Deliver).await;
        if self.world.strike(call, When::Before).await.error.is_some() {
            return Err(AmqpError::Cancelled { queue: "topup.jobs".to_owned() });
        }
        let sent = {
            let mut state = self.world.state();
            if state.queues.generation != self.generation {
                return Err(LOST);
            }
            let now = state.now();
            let sent = state.queues.deliver(now, limit);
            if state.mistake == Mistake::BrokerForgets {
                state.queues.forget_delivered();
            }
            sent
        };
        if self.world.strike(call, When::After).await.error.is_some() {
            return Err(AmqpError::Cancelled { queue: "topup.jobs".to_owned() });
        }
        let deliveries = sent.into_iter().map(|(tag, sent)| {
            let mut delivery = Delivery::mock(tag, "topup".into(), "jobs".into(), sent.redelivered, sent.body);
            delivery.properties = sent.properties;
            Arc::new(delivery)
        });
        Ok(deliveries.collect())
    }

    async fn ack_up_to(&self, tag: u64) -> Result<(), AmqpError> {
        let call = self.world.call(Op::Ack).await;
        if self.world.strike(call, When::Before).await.error.is_some() {
            return Err(LOST);
        }
        {
            let mut state = self.world.state();
            if state.queues.generation != self.generation {
                return Err(LOST);
            }
            state.queues.ack_up_to(tag);
        }
        match self.world.strike(call, When::After).await.error {
            Some(_) => Err(LOST),
            None => Ok(()),
        }
    }
}

impl Publisher for Published {
    async fn publish(&self, window: Vec<Outgoing<'_>>, over: &CancellationToken) -> Result<Vec<bool>, AmqpError> {
        let call = self.world.call(Op::Publish).await;
        let taken = match self.world.strike(call, When::Before).await.error {
            None => window.len(),
            // Nobody is bound, or the queue says no.
            Some(kind) if kind % 4 == 1 => return Ok(vec![false; window.len()]),
            // The connection goes in the middle of it.
            Some(kind) if kind % 4 == 2 => window.len() / 2,
            Some(_) => 0,
        };
        {
            let mut state = self.world.state();
            if state.queues.generation != self.generation {
                return Err(LOST);
            }
            let lie = state.mistake == Mistake::ConfirmIsALie;
            for outgoing in window.iter().take(taken).filter(|_| !lie) {
                let Outgoing { message_id, routing_key, body, .. } = outgoing;
                let (id, kind) = ((*message_id).to_owned(), (*routing_key).to_owned());
                let told = Told { id, kind, at: state.now(), body: body.to_vec() };
                state.queues.events.push(told);
            }
        }
        if self.world.strike(call, When::After).await.error.is_some() || taken < window.len() || over.is_cancelled() {
            return Err(LOST);
        }
        Ok(vec![true; window.len()])
    }
}
