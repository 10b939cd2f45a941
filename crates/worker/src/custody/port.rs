//! What a custodian asks of a broker.

use std::future::Future;

use crate::amqp::AmqpError;

/// What stands for the namespace's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// This; a broker may have cut it.
    Is(String),
}

/// Whether this connection alone has the namespace's custody among those of the same store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It has.
    Had,
    /// Another connection has it.
    InUse,
    /// Nobody can have it: the broker's words.
    Unavailable(String),
}

/// What a custodian asks of a broker, over one connection.
pub trait Custodial: Send + 'static {
    /// What the mark is. Where it is `known` already that costs the broker no refusal.
    ///
    /// # Errors
    /// [`AmqpError`]: the broker was lost, or the right to look is missing.
    fn look(&mut self, known: Option<&str>) -> impl Future<Output = Result<Found, AmqpError>> + Send;

    /// Sets the mark where there is none; answers what it is then.
    ///
    /// # Errors
    /// As [`Custodial::look`].
    fn declare(&mut self, mark: &str) -> impl Future<Output = Result<Found, AmqpError>> + Send;

    /// Takes the hold for as long as the connection lives; to be asked again does no harm.
    ///
    /// # Errors
    /// As [`Custodial::look`].
    fn hold(&mut self) -> impl Future<Output = Result<Hold, AmqpError>> + Send;

    /// The newest witness, which stays where it is.
    ///
    /// # Errors
    /// As [`Custodial::look`].
    fn witness(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, AmqpError>> + Send;

    /// Replaces the witness; whether the broker has it.
    ///
    /// # Errors
    /// As [`Custodial::look`].
    fn tell(&mut self, witness: &[u8]) -> impl Future<Output = Result<bool, AmqpError>> + Send;

    /// Ends when the hold is gone.
    fn ended(&mut self) -> impl Future<Output = AmqpError> + Send;
}
