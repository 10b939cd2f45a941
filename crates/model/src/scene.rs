//! What takes part in an exploration: which faults there are, and the policy.

use engine::{Backoff, Job, Policy};
use snap_core::{Amount, InquiryMode};

use crate::known::{Facts, Known};
use crate::property::Property;
use crate::time::{Horizon, NOW, TICK, ticks};

/// What the provider does with a reference that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It pays again, and a request takes effect within the quiet period or never: only our own care protects.
    PaysAgain,
    /// It pays once. A request may then take effect at any time, until the next attempt is answered.
    Remembers,
}

/// What the proof rests on beyond our own care. Each is shown to be needed: taken away, money is paid twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// A top-up takes effect by the end of the quiet period of its attempt, or never.
    NoLaterArrival,
    /// What took effect is shown by then.
    NoLaterShowing,
    /// A process whose job was taken over sends nothing after the quiet period that begins there.
    NoLaterZombie,
}

/// One exploration. Where nothing else is said, what may happen may happen any number of times.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// What it looks at, in a line.
    pub about: &'static str,
    /// See [`Memory`].
    pub memory: Memory,
    /// The quiet period, in ticks.
    pub quiet: u8,
    /// The uniqueness window, in ticks.
    pub window: u8,
    /// A call's deadline, in ticks.
    pub timeout: u8,
    /// Attempts, and inquiries that may fail.
    pub attempts: u8,
    /// When the asking is given up, in ticks.
    pub give_up: u8,
    /// An account inquiry comes first.
    pub inquiry: bool,
    /// `notAfter`, in ticks after the beginning.
    pub not_after: Option<u8>,
    /// Answers beyond paid, accepted, refused and lost: held, cancelled, failed, another amount, refunds.
    pub odd_answers: bool,
    /// The provider forgets references after the uniqueness window.
    pub forgets: bool,
    /// The provider denies what it has said that it has.
    pub denies: bool,
    /// What does not hold, contrary to what is assumed.
    pub without: Option<Assumption>,
    /// How many faults in one life; `None`: any number.
    pub faults: Option<u8>,
    /// Processes die.
    pub crashes: bool,
    /// A second process on the same store, without a lock between them.
    pub two: bool,
    /// The lane stands at times.
    pub pauses: bool,
    /// Operators replay, check, discard and restore.
    pub operators: bool,
    /// The store is copied, and the copy put back.
    pub restores: bool,
    /// Nobody ends the asking that follows.
    pub asks_on: bool,
    /// It begins with a dead letter that was never sent, and a copy of the store with it.
    pub died: bool,
    /// The job comes through the broker, and its outcome goes there.
    pub edges: bool,
    /// Copies of the job's message that the producer publishes besides.
    pub copies: u8,
    /// Answers go astray: what a request hears is another's; and a status inquiry may show no more than that the top-up is
    /// known.
    pub astray: bool,
    /// The configuration names another account at times.
    pub accounts: bool,
    /// A process may stand still for any length, with an intent on disk and what it has heard in its hands.
    pub waits: bool,
    /// For how many ticks an intent is good; where nothing waits, nobody counts.
    pub send_within: u8,
}

impl Scene {
    /// The plainest: one worker that never dies, a provider that pays again.
    pub const PLAIN: Self = Self {
        name: "plain",
        about: "one worker",
        memory: Memory::PaysAgain,
        quiet: 3,
        window: 12,
        timeout: 1,
        attempts: 2,
        give_up: 4,
        inquiry: false,
        not_after: None,
        odd_answers: false,
        forgets: false,
        denies: false,
        without: None,
        faults: None,
        crashes: false,
        two: false,
        pauses: false,
        operators: false,
        restores: false,
        asks_on: false,
        died: false,
        edges: false,
        copies: 0,
        astray: false,
        accounts: false,
        waits: false,
        send_within: 0,
    };

    /// The copy does not know the key, which was paid and comes again from the broker, which was not told that it had
    /// arrived.
    #[must_use]
    pub fn forgotten_key() -> Self {
        let scene = Self { edges: true, restores: true, crashes: true, attempts: 1, ..Self::PLAIN };
        Self { quiet: 1, window: 2, timeout: 0, give_up: 3, faults: Some(3), ..scene }
    }

    /// The quiet period, or longer where that is what does not hold.
    pub fn quiet_but_for(&self, assumption: Assumption) -> u8 {
        self.quiet + if self.without == Some(assumption) { 3 } else { 0 }
    }

    /// The engine's numbers.
    pub fn policy(&self) -> Policy {
        Policy {
            inquiry: if self.inquiry { InquiryMode::Always } else { InquiryMode::Never },
            inquiry_max_age: TICK,
            retry: Backoff { initial: TICK, max: TICK, multiplier: 2.0, jitter_ppm: 0 },
            attempts: u32::from(self.attempts),
            first_after: TICK,
            interval_max: TICK,
            quiet_period: ticks(self.quiet),
            give_up_after: ticks(self.give_up),
            uniqueness_window: ticks(self.window),
            account: None,
        }
    }

    /// The job as it is accepted.
    pub fn fresh(&self) -> Known {
        let amount = Amount::parse_strict("10000.00").expect("an amount");
        let not_after = self.not_after.map(|after| NOW.plus(ticks(after)));
        Known { job: Job::accepted(amount, not_after, false, &self.policy(), NOW), facts: Facts::default() }
    }

    /// What has to hold here.
    pub fn properties(&self) -> Vec<Property> {
        let mut all = Property::ALL.to_vec();
        if self.memory == Memory::Remembers {
            // What is overdue may arrive after the proof: there the provider is relied on to pay once.
            all.retain(|property| *property != Property::ProvenIsUnpaid);
        }
        all
    }

    /// How far back anything matters.
    pub fn horizon(&self) -> Horizon {
        let window = self.window + self.timeout + 2;
        let quiet = self.quiet + self.timeout + 2;
        // Where nothing is ever forgotten, how long a job was due plays no part, nor for how long an attempt is over.
        if self.restores {
            Horizon { ended: u8::MAX, due: window, long: window }
        } else {
            Horizon { ended: quiet, due: 1, long: if self.forgets { window } else { quiet } }
        }
    }
}
