//! What is broken on purpose, so that the judge can be seen to find it. Each breaks a promise that the worker builds on, or that
//! it gives. None is in the worker, but that `NoFreshness` is its terms, and `AdoptWithoutAsking` its operator.

/// One thing that does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mistake {
    /// Everything holds.
    #[default]
    None,
    /// The wire says "not sent" of a request that arrived (M8).
    NotSentIsALie,
    /// A request arrives after the quiet period (M4).
    LaterThanQuiet,
    /// The broker forgets what was delivered and not acknowledged.
    BrokerForgets,
    /// The broker confirms what it did not take.
    ConfirmIsALie,
    /// The disk says "synced", and a crash takes the last commit back (M1).
    SyncIsALie,
    /// What counts the time since boot runs a hundred times too fast (M17).
    BoottimeRuns,
    /// Another number leaves than was recorded (M1).
    AnotherNumber,
    /// Another body leaves than was recorded.
    AnotherBody,
    /// Whoever looks at the namespace's mark is told that it is its own (M13).
    NoMark,
    /// A worker begins top-ups however long ago it has seen its mark (M13).
    NoFreshness,
    /// Whoever takes a namespace over does not ask first (M13).
    AdoptWithoutAsking,
    /// Whoever takes a namespace over counts the quiet period from then, and not from when the other one can have nothing under way
    /// any more (M13).
    QuietFromAdoption,
    /// The wire does not look whether a request may still leave (M16).
    NoFuse,
    /// The wire does not say what its connections have carried before (M15).
    NoHistory,
    /// Another account is behind a configuration that names the same one (M14).
    OneAccount,
    /// No provider tells its time (M17).
    NoDate,
    /// The wall clock is never behind the newest time that was ever noted, and no provider tells its own (M17).
    NewestTime,
    /// Nobody can see that the store's file is gone (M13).
    FileUnseen,
    /// An operator whose answer comes too late tells what it would have made of the job (C13).
    ToldByGuess,
}
