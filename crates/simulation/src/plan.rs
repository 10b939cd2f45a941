//! What is played: a scenario, and the faults that meet it, each at one call of a port.

use std::fmt;
use std::time::Duration;

use testbed::Dice;

use crate::scenario::Scenario;

/// One run, whole: the same plan is the same run, to the last call.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What arrives.
    pub scenario: Scenario,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Where randomness comes from: jitter, ids, how late a late request is.
    pub seed: u64,
}

/// One fault: at the `at`th call of any port, counted from 1 over all lives of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call.
    pub at: u64,
    /// Before its effect, or after it.
    pub when: When,
    /// What happens.
    pub what: What,
}

/// On which side of a call's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Nothing has happened yet.
    Before,
    /// A request has left, and has not arrived; at other calls nothing happens.
    Within,
    /// It has happened, and nobody has been told.
    After,
}

/// What can go wrong at any call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The process is gone, with everything that was not on disk.
    Crash,
    /// The process is gone, and a request it had handed to the network arrives after its death. Elsewhere: as `Crash`.
    CrashInFlight,
    /// The call fails in one of the ways its port knows (`Error::of`).
    Error(u8),
    /// The call takes so much longer; a request of a provider arrives so much later, or its answer.
    Delay(Duration),
    /// The whole process stands for so long and then goes on, as by SIGSTOP and SIGCONT.
    Freeze(Duration),
    /// An orderly stop begins, as by SIGTERM.
    Stop,
    /// The wall clock is set by so many milliseconds.
    ClockSet(i64),
    /// The process is gone, and the machine boots anew before the next one.
    Boot,
    /// The machine sleeps for so long: what counts monotonically stands, and everybody else's time goes on.
    Sleep(Duration),
    /// From here on there is no room on the disk, for a while.
    DiskFull,
    /// The next command of the store fails, here before it is done, after a call's effect once it is.
    DiskFails,
    /// The first message is sent once more.
    Again,
    /// The broker goes down, for a while.
    BrokerDown,
    /// The process is gone, and the next one's configuration names the provider's other account.
    Account,
    /// Somebody else records on the job whose request is under way: its driver is fenced off. Elsewhere: nothing.
    Fence,
    /// The store's file is removed under the process. What it held then is put back before the next one.
    FileGone,
    /// An operator asks the provider about every dead letter. What was answered they hold against what they were shown later
    /// ([`What::CheckTold`]).
    CheckAsked,
    /// The operator's command goes on.
    CheckTold,
    /// Somebody copies the store, as it is on the disk.
    Copy,
    /// An operator gives the namespace to another store, while this one is cut off from the broker for so long, and lives. The other
    /// one begins when this one has ended, and producers send once more whatever they ever sent.
    Adopt(Duration),
    /// The process is gone, and so is the disk: the copy is put back, where there is one, and producers send once more
    /// whatever they ever sent.
    Restore,
}

impl Plan {
    /// The plan of a seed: a scenario, one to seven faults of any kind at random calls.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::seeded(seed);
        let scenario = Scenario::random(&mut dice);
        let calls = 14 * scenario.messages.len() + 8;
        let mut faults: Vec<_> = (0..=dice.below(5)).map(|_| Fault::random(&mut dice, calls)).collect();
        if dice.below(6) == 0 {
            let at = 3 + dice.below(calls) as u64;
            let restored = at + 1 + dice.below(calls) as u64;
            faults.push(Fault { at, when: When::Before, what: What::Copy });
            faults.push(Fault { at: restored, when: When::After, what: What::Restore });
        }
        if dice.below(8) == 0 {
            let at = 1 + dice.below(calls) as u64;
            let cut_off = dice.span(Duration::from_secs(1), Duration::from_secs(300));
            faults.push(Fault { at, when: When::Before, what: What::Adopt(cut_off) });
        }
        match dice.below(12) {
            0 => {
                // There, and perhaps back again.
                let mut at = 0;
                for _ in 0..=dice.below(2) {
                    at += 1 + dice.below(calls) as u64;
                    faults.push(Fault { at, when: When::Before, what: What::Account });
                }
            }
            1 => {
                let at = 1 + dice.below(calls) as u64;
                faults.push(Fault { at, when: When::Within, what: What::Fence });
            }
            2 => {
                let at = 1 + dice.below(calls) as u64;
                faults.push(Fault { at, when: [When::Before, When::After][dice.below(2)], what: What::FileGone });
            }
            3 => {
                let asked = 1 + dice.below(4 * calls) as u64;
                let told = asked + 1 + dice.below(calls) as u64;
                faults.push(Fault { at: asked, when: When::Within, what: What::CheckAsked });
                faults.push(Fault { at: told, when: When::Within, what: What::CheckTold });
            }
            _ => {}
        }
        let mut plan = Self { scenario, faults, seed };
        // Behind a clock that is wrong nobody can tell how long ago a boot was, or what came before it (docs/safety.md, what
        // is assumed); within one boot the clock that counts sleep tells.
        if plan.sets_the_clock() && plan.boots() {
            plan.faults.retain(|fault| !matches!(fault.what, What::Sleep(_)));
        }
        plan
    }

    /// Whether a healthy world afterwards must bring each job to the end its customer has in store: with more, budgets may be
    /// used up, and a clock that was set, or a restore, may end a window.
    #[must_use]
    pub fn ends_well(&self) -> bool {
        let is_no_excuse = |fault: &Fault| {
            !matches!(
                fault.what,
                What::ClockSet(_)
                    | What::Sleep(_)
                    | What::Restore
                    | What::Adopt(_)
                    | What::Account
                    | What::Fence
                    | What::FileGone
            )
        };
        self.faults.len() <= 2 && self.faults.iter().all(is_no_excuse)
    }

    /// Whether the machine boots anew.
    #[must_use]
    pub fn boots(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.what, What::Boot))
    }

    /// Whether the clock is set.
    #[must_use]
    pub fn sets_the_clock(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.what, What::ClockSet(_)))
    }
}

impl Fault {
    fn random(dice: &mut Dice, calls: usize) -> Self {
        let at = 1 + dice.below(calls) as u64;
        let when = [When::Before, When::Before, When::After, When::After, When::Within][dice.below(5)];
        let what = match dice.below(20) {
            0..=4 => What::Crash,
            5 => What::CrashInFlight,
            6..=10 => What::Error(u8::try_from(dice.below(16)).unwrap_or(0)),
            11 | 12 => What::Delay(dice.span(Duration::from_millis(10), Duration::from_secs(30))),
            13 => What::Freeze(dice.span(Duration::from_millis(100), Duration::from_secs(900))),
            14 => What::Stop,
            15 => What::DiskFull,
            16 => What::DiskFails,
            17 => What::Again,
            18 => What::BrokerDown,
            _ => {
                const HOUR: usize = 3_600_000;
                let by = i64::try_from(dice.below(48 * HOUR)).unwrap_or(0);
                match dice.below(4) {
                    0 => What::Sleep(crate::world::span(by)),
                    1 => What::Boot,
                    2 => What::ClockSet(by),
                    _ => What::ClockSet(-by),
                }
            }
        };
        Self { at, when, what }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (seed {})", self.scenario.name, self.seed)?;
        for fault in &self.faults {
            write!(f, "; {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Before => "before",
            When::Within => "within",
            When::After => "after",
        };
        write!(f, "{:?} {when} call {}", self.what, self.at)
    }
}
