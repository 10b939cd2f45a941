//! What is broken, and when: a plan by seed.

use std::time::Duration;

use snap_sim::LaneFault;

use super::edges::Swap;
use crate::ops::simulated::random::Random;

/// Something that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// `kill -9`, and a new start.
    Kill,
    /// `kill -9`, a new start, and `kill -9` again after so long, ready or not.
    KillTwice(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Freeze(Duration),
    /// `worker run` once more on the same store.
    SecondWorker,
    /// The store's files are moved away under the running worker, or swapped.
    SwapStore(Swap),
    /// The side file is taken away, and a second worker started.
    RemoveLock,
    /// `worker run` with another store on the same namespace.
    SecondStore,
    /// Every provider's section names another account for so long.
    OtherAccount(Duration),
    /// The worker's wall clock is so many seconds wrong for so long.
    OtherClock(i64, Duration),
    /// An operator pauses a lane, and resumes it after so long.
    Operator(Duration),
    /// A limit on the size of files: every longer write fails.
    WriteLimit,
    /// The file system of the store is full for so long.
    FullDisk(Duration),
    /// The provider's port is closed for so long.
    ProviderAway(Duration),
    /// The provider executes and says nothing for so long.
    ProviderSilent(Duration),
    /// The whole account has this fault for so long.
    ProviderFault(LaneFault, Duration),
    /// Connections to the broker are closed.
    BrokerCut,
    /// Connections to the broker are reset.
    BrokerReset,
    /// Nothing passes between worker and broker for so long.
    BrokerStall(Duration),
    /// The broker cannot be reached for so long.
    BrokerAway(Duration),
}

impl Act {
    /// Its word in the certificate.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillTwice(_) => "killWhileRecovering",
            Self::Freeze(_) => "freeze",
            Self::SecondWorker => "secondWorker",
            Self::SwapStore(Swap::Nothing) => "storeRemoved",
            Self::SwapStore(Swap::OlderCopy) => "storeSwapped",
            Self::RemoveLock => "lockRemoved",
            Self::SecondStore => "secondStore",
            Self::OtherAccount(_) => "otherAccount",
            Self::OtherClock(0.., _) => "clockAhead",
            Self::OtherClock(..0, _) => "clockBehind",
            Self::Operator(_) => "operatorPause",
            Self::WriteLimit => "writeRefused",
            Self::FullDisk(_) => "fullDisk",
            Self::ProviderAway(_) => "providerAway",
            Self::ProviderSilent(_) => "providerSilent",
            Self::ProviderFault(LaneFault::Down, _) => "providerResets",
            Self::ProviderFault(LaneFault::DepositEmpty, _) => "depositEmpty",
            Self::ProviderFault(LaneFault::Unauthorized, _) => "unauthorized",
            Self::ProviderFault(_, _) => "providerUnavailable",
            Self::BrokerCut => "brokerCut",
            Self::BrokerReset => "brokerReset",
            Self::BrokerStall(_) => "brokerStall",
            Self::BrokerAway(_) => "brokerAway",
        }
    }
}

/// What the plan has to work with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) seed: u64,
    pub(super) span: Duration,
    pub(super) kills: u32,
    /// Jobs come through a broker.
    pub(super) amqp: bool,
    /// Connections to the broker can be broken.
    pub(super) broker: bool,
    /// The provider may fail as a whole.
    pub(super) provider: bool,
    /// File sizes can be limited here.
    pub(super) writes: bool,
    /// The file system of the store may be filled.
    pub(super) disk: bool,
    /// The worker can be shown another wall clock.
    pub(super) clock: bool,
}

/// A wall clock that is wrong is so many seconds wrong: longer than any period of the drilled worker, and not so far that the
/// provider refuses its signatures.
const CLOCK_STEP: i64 = 240;
/// Beside the kills something else is broken about this often.
const EVERY: Duration = Duration::from_millis(1500);

/// What is broken when, counted from the start, in order.
pub(super) fn plan(frame: &Frame) -> Vec<(Duration, Act)> {
    // Another sequence than the jobs have.
    let mut random = Random::new(frame.seed ^ 0x6472_696c_6c21_0001);
    let mut acts = Vec::new();
    let mut left = frame.kills;
    while left > 0 {
        let twice = left >= 2 && random.below(4) == 0;
        acts.push(if twice { Act::KillTwice(span(&mut random, 5, 150)) } else { Act::Kill });
        left -= if twice { 2 } else { 1 };
    }
    // However short the drill: each kind comes.
    let mut bag = kinds(frame, &mut random);
    let others = usize::try_from(frame.span.as_millis() / EVERY.as_millis()).unwrap_or(usize::MAX).max(bag.len());
    for _ in 0..others {
        if bag.is_empty() {
            bag = kinds(frame, &mut random);
        }
        let drawn = random.below(bag.len() as u64);
        acts.push(bag.swap_remove(usize::try_from(drawn).unwrap_or(0)));
    }
    let millis = u64::try_from(frame.span.as_millis()).unwrap_or(u64::MAX).max(20);
    let mut timed: Vec<_> = acts.into_iter().map(|act| (span(&mut random, millis / 20, millis), act)).collect();
    timed.sort_by_key(|(at, _)| *at);
    timed
}

/// Each kind once: none comes again before every other has come.
fn kinds(frame: &Frame, random: &mut Random) -> Vec<Act> {
    let mut kinds =
        vec![Act::Freeze(span(random, 100, 2500)), Act::SecondWorker, Act::Operator(span(random, 100, 600))];
    kinds.extend([Act::SwapStore(Swap::Nothing), Act::SwapStore(Swap::OlderCopy), Act::RemoveLock]);
    kinds.push(Act::OtherAccount(span(random, 500, 2500)));
    if frame.amqp {
        kinds.push(Act::SecondStore);
    }
    if frame.clock {
        kinds.push(Act::OtherClock(CLOCK_STEP, span(random, 500, 2000)));
        kinds.push(Act::OtherClock(-CLOCK_STEP, span(random, 500, 2000)));
    }
    if frame.writes {
        kinds.push(Act::WriteLimit);
    }
    if frame.disk {
        kinds.push(Act::FullDisk(span(random, 300, 1500)));
    }
    if frame.provider {
        kinds.push(Act::ProviderAway(span(random, 200, 1500)));
        kinds.push(Act::ProviderSilent(span(random, 200, 1500)));
        let faults = [LaneFault::Down, LaneFault::Unavailable, LaneFault::DepositEmpty, LaneFault::Unauthorized];
        kinds.extend(faults.map(|fault| Act::ProviderFault(fault, span(random, 200, 1200))));
    }
    if frame.broker {
        kinds.extend([Act::BrokerCut, Act::BrokerReset]);
        kinds.push(Act::BrokerStall(span(random, 200, 1500)));
        kinds.push(Act::BrokerAway(span(random, 200, 1200)));
    }
    kinds
}

fn span(random: &mut Random, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(from_ms + random.below((to_ms - from_ms).max(1)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FRAME: Frame = Frame {
        seed: 7,
        span: Duration::from_secs(40),
        kills: 12,
        amqp: true,
        broker: true,
        provider: true,
        writes: true,
        disk: true,
        clock: true,
    };

    fn kills(acts: &[(Duration, Act)]) -> u32 {
        acts.iter()
            .map(|(_, act)| match act {
                Act::Kill => 1,
                Act::KillTwice(_) => 2,
                _ => 0,
            })
            .sum()
    }

    #[test]
    fn the_same_seed_breaks_the_same_and_another_seed_something_else() {
        assert_eq!(plan(&FRAME), plan(&FRAME));
        assert_ne!(plan(&FRAME), plan(&Frame { seed: 8, ..FRAME }));
    }

    #[test]
    fn it_kills_as_often_as_it_was_told_and_within_its_time() {
        for seed in 0..50 {
            for kills_asked in [0, 1, 2, 13] {
                let acts = plan(&Frame { seed, kills: kills_asked, ..FRAME });
                assert_eq!(kills(&acts), kills_asked, "seed {seed}");
                assert!(acts.iter().all(|(at, _)| *at < FRAME.span) && acts.is_sorted_by_key(|(at, _)| *at));
            }
        }
    }

    #[test]
    fn however_short_it_is_every_kind_comes_and_only_what_can() {
        let names = |frame: &Frame| plan(frame).into_iter().map(|(_, act)| act.name()).collect::<BTreeSet<_>>();
        for seed in 0..20 {
            assert_eq!(
                names(&Frame { seed, kills: 40, span: Duration::from_secs(1), ..FRAME }).len(),
                24,
                "seed {seed}"
            );
        }
        let none =
            Frame { amqp: false, broker: false, provider: false, writes: false, disk: false, clock: false, ..FRAME };
        let little = Frame { kills: 40, ..none };
        let always = ["freeze", "kill", "killWhileRecovering", "lockRemoved", "operatorPause", "otherAccount"];
        let expected = always.into_iter().chain(["secondWorker", "storeRemoved", "storeSwapped"]);
        assert_eq!(names(&little), expected.collect::<BTreeSet<_>>());
    }
}
