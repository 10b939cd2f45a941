//! A command on its way to the writer thread: work to do inside a transaction, and whom to tell.

use tokio::sync::oneshot;

use crate::{StoreError, error::Rejected, transaction::Transaction};

/// What a command needs of a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It begins something, and is refused while there is no room.
    Ordinary,
    /// It ends something, and may use the reserve.
    Reserved,
}

/// Work on the writer thread. It may run more than once, each time on a transaction in which it has not run yet.
pub(crate) trait Task: Send {
    /// What it needs of a full disk.
    fn room(&self) -> Room;
    /// Does it; the caller's refusals come before the first change.
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), Rejected>;
    /// Tells the caller: `None` after the commit.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

/// What a command does with its input inside a transaction.
pub(crate) type Work<I, T> = fn(&Transaction<'_>, &mut I) -> Result<T, Rejected>;
/// The input, handed back, and what the work gave.
pub(crate) type Answer<I, T> = Result<(I, T), StoreError>;

pub(crate) struct Command<I, T> {
    room: Room,
    input: I,
    work: Work<I, T>,
    value: Option<T>,
    reply: oneshot::Sender<Answer<I, T>>,
}

impl<I, T> Command<I, T> {
    pub(crate) fn new(room: Room, input: I, work: Work<I, T>) -> (Self, oneshot::Receiver<Answer<I, T>>) {
        let (reply, answer) = oneshot::channel();
        (Self { room, input, work, value: None, reply }, answer)
    }
}

impl<I: Send, T: Send> Task for Command<I, T> {
    fn room(&self) -> Room {
        self.room
    }

    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), Rejected> {
        self.value = Some((self.work)(transaction, &mut self.input)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let this = *self;
        let answer = match (failure, this.value) {
            (Some(error), _) => Err(error),
            (None, Some(value)) => Ok((this.input, value)),
            (None, None) => Err(StoreError::Closed),
        };
        // A caller that has gone away has chosen not to know.
        drop(this.reply.send(answer));
    }
}
