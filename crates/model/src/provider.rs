//! The provider, at its worst: it pays again whatever reaches it, loses requests and answers, lets requests take effect
//! late, and says so late. What it never does is written down where it is left out.

use engine::{Answer, Event, Retry, StatusAnswer};

use crate::known::{Facts, Moment};
use crate::scene::{Assumption, Memory, Scene};
use crate::world::Side;

/// More top-ups under way at once than the right system ever has.
const WIRES: usize = 3;

/// What has become of the reference at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Entry {
    /// It knows nothing of it.
    #[default]
    None,
    /// It has it and has not decided.
    Held,
    /// It has credited it.
    Credited,
    /// It has credited another amount.
    Wrong,
    /// It has it as failed.
    Failed,
    /// It has it as cancelled.
    Cancelled,
    /// It has taken the credit back.
    Refunded,
}

/// One of two accounts, at which nothing is known of what the other one was asked to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The first; the only one in most scenes.
    #[default]
    A,
    /// The other.
    B,
}

impl Owner {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A top-up request that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire {
    /// Who still waits for the answer.
    pub caller: Option<Side>,
    /// Ticks in which it may still take effect; `None`: no limit yet.
    pub left: Option<u8>,
    /// The account that it was sent to.
    pub account: Owner,
}

/// The provider.
#[derive(Clone, Debug, Default, Hash)]
pub struct Provider {
    /// Requests that have left and have not arrived.
    pub wires: Vec<Wire>,
    /// Credits of this reference; 2 is too many, and no more are counted.
    pub credits: u8,
    /// What it has of the reference.
    pub entry: Entry,
    /// At which account.
    pub owner: Owner,
    /// Ticks in which it may not show what it has.
    pub hidden: u8,
    /// Ticks for which it is sure to remember the reference.
    pub remembers: u8,
}

/// What a top-up does on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is credited.
    Credit,
    /// It is taken, to be decided later.
    Hold,
    /// Another amount is credited.
    Wrong,
    /// It is kept as failed.
    Fail,
    /// Nothing.
    Nothing,
}

/// What is heard of a top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// Credited.
    Paid,
    /// Taken.
    Accepted,
    /// Refused for this customer or amount.
    Refused,
    /// Refused as a wrong request.
    Malformed,
    /// Refused for now.
    TooMany,
    /// Refused for a fault of ours.
    OurFault,
    /// An answer that tells nothing, or none.
    Nothing,
    /// The reference is known.
    Duplicate,
    /// Another amount or reference came back.
    Inconsistent,
    /// What another request was answered: credited, and it names the other.
    AnothersPaid,
    /// What another request was answered: refused for its customer.
    AnothersRefused,
    /// What another request was answered: refused for now.
    AnothersTooMany,
}

impl Heard {
    /// As the engine is told.
    pub const fn answer(self) -> Answer {
        match self {
            Self::Paid => Answer::Paid,
            Self::Accepted => Answer::Accepted,
            Self::Refused => Answer::Refused,
            Self::Malformed => Answer::Wrong,
            Self::TooMany => Answer::NotExecuted { sent: true, retry: Retry::Counted(None) },
            Self::OurFault => Answer::NotExecuted { sent: true, retry: Retry::Free },
            Self::Nothing => Answer::Unknown,
            Self::Duplicate => Answer::Duplicate,
            Self::Inconsistent | Self::AnothersPaid => Answer::Inconsistent,
            // It names another, or came by a connection that carries nothing more (M15).
            Self::AnothersRefused | Self::AnothersTooMany => Answer::Unknown,
        }
    }

    /// As the engine would be told if an answer were taken for that of the request before it.
    pub const fn believed(self) -> Answer {
        match self {
            Self::AnothersPaid => Answer::Paid,
            Self::AnothersRefused => Answer::Refused,
            Self::AnothersTooMany => Answer::NotExecuted { sent: true, retry: Retry::Counted(None) },
            other => other.answer(),
        }
    }
}

/// What is told in answer to a status inquiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// 00, with our amount.
    Paid,
    /// 00, without an amount.
    PaidUnseen,
    /// 01 to 03.
    Pending,
    /// 04.
    Refunded,
    /// 05.
    Cancelled,
    /// 06.
    Failed,
    /// 07.
    NotFound,
    /// Another amount.
    Inconsistent,
    /// Nothing to go on.
    Nothing,
    /// Nothing, for a fault of ours.
    OurFault,
    /// 202, or its own success without a status that can be read: it knows the top-up.
    Known,
    /// "Not found", and it is said of another top-up.
    Anothers,
}

impl Told {
    /// As the engine is told.
    pub const fn event(self, asked: Moment) -> Event {
        let answer = match self {
            Self::Paid => StatusAnswer::Paid { amount_seen: true },
            Self::PaidUnseen => StatusAnswer::Paid { amount_seen: false },
            Self::Pending | Self::Known => StatusAnswer::Pending,
            Self::Refunded => StatusAnswer::Refunded,
            Self::Cancelled => StatusAnswer::Cancelled,
            Self::Failed => StatusAnswer::Failed,
            Self::NotFound => StatusAnswer::NotFound,
            Self::Inconsistent => StatusAnswer::Inconsistent,
            Self::Nothing | Self::Anothers => StatusAnswer::Nothing(Retry::Counted(None)),
            Self::OurFault => StatusAnswer::Nothing(Retry::Free),
        };
        Event::Checked { asked_at: asked.0, answer }
    }

    /// As the engine is told by an operator.
    pub fn to_operator(self) -> Event {
        match self.event(Moment::PRESENT) {
            Event::Checked { answer, .. } => Event::AskedByOperator { answer },
            other => other,
        }
    }
}

impl Provider {
    /// Whether another request may leave, as far as the model goes.
    pub fn has_room(&self) -> bool {
        self.wires.len() < WIRES
    }

    /// What the request on a wire may do, with what its caller may hear of it.
    ///
    /// Left out: a top-up that is credited and answered with a refusal, and one that is not and answered with "paid".
    /// Nothing protects against a provider that says the contrary of what it did.
    pub fn arrivals(&self, wire: Wire, scene: &Scene) -> Vec<(Effect, Heard)> {
        let mut all = Vec::new();
        let knows = scene.memory == Memory::Remembers
            && matches!(self.entry, Entry::Held | Entry::Credited | Entry::Wrong | Entry::Refunded);
        if knows {
            for heard in [Heard::Duplicate, Heard::Refused, Heard::Nothing] {
                all.push((Effect::Nothing, heard));
            }
        } else {
            for heard in [Heard::Paid, Heard::Accepted, Heard::Nothing, Heard::Duplicate] {
                all.push((Effect::Credit, heard));
            }
            for heard in [Heard::Refused, Heard::Malformed, Heard::TooMany, Heard::OurFault, Heard::Nothing] {
                all.push((Effect::Nothing, heard));
            }
            if scene.odd_answers {
                for heard in [Heard::Accepted, Heard::Nothing, Heard::Duplicate] {
                    all.push((Effect::Hold, heard));
                }
                for heard in [Heard::Inconsistent, Heard::Nothing] {
                    all.push((Effect::Wrong, heard));
                }
                for heard in [Heard::Refused, Heard::Nothing] {
                    all.push((Effect::Fail, heard));
                }
                for heard in [Heard::Accepted, Heard::Duplicate, Heard::Inconsistent] {
                    all.push((Effect::Nothing, heard));
                }
            }
        }
        if scene.astray {
            for effect in if knows { [Effect::Nothing].as_slice() } else { &[Effect::Credit, Effect::Nothing] } {
                for heard in [Heard::AnothersPaid, Heard::AnothersRefused, Heard::AnothersTooMany] {
                    all.push((*effect, heard));
                }
            }
        }
        if wire.caller.is_none() {
            // Nobody hears it: one of each effect, and none where it might as well be lost.
            all.retain(|(effect, heard)| *heard == Heard::Nothing && *effect != Effect::Nothing);
        }
        all
    }

    /// A request arrives, which was on this wire.
    pub fn arrive(&mut self, wire: Wire, effect: Effect, scene: &Scene) {
        let (entry, credits) = match effect {
            Effect::Credit => (Entry::Credited, 1),
            Effect::Hold => (Entry::Held, 0),
            Effect::Wrong => (Entry::Wrong, 1),
            Effect::Fail => (Entry::Failed, 0),
            Effect::Nothing => return,
        };
        self.credits = (self.credits + credits).min(2);
        self.entry = entry;
        self.owner = wire.account;
        // What it shows late it shows by the end of the quiet period of its attempt; what was overdue, of the next one. For
        // how long it remembers counts from here, which is not before the attempt began.
        let shown = scene.quiet_but_for(Assumption::NoLaterShowing);
        self.hidden = wire.left.filter(|left| *left > 0).map_or(shown, |left| left.max(shown - scene.quiet));
        self.remembers = scene.window + 1;
    }

    /// What it may tell of the reference.
    ///
    /// `known` is what is recorded: once it has said that it has the top-up, it may even deny that. Left out: that it
    /// denies it without ever having said so, after the quiet period and within the uniqueness window; and an amount that
    /// is wrong and never told.
    pub fn tellings(&self, known: Facts, scene: &Scene, asked: Owner) -> Vec<Told> {
        let mut all = vec![Told::Nothing, Told::OurFault];
        let entry = if asked == self.owner { self.entry } else { Entry::None };
        match entry {
            Entry::None => {}
            Entry::Held => all.push(Told::Pending),
            Entry::Credited => all.extend([Told::Paid, Told::PaidUnseen]),
            Entry::Wrong => {
                all.push(Told::Inconsistent);
                if known.mismatch {
                    all.push(Told::PaidUnseen);
                }
            }
            Entry::Failed => all.push(Told::Failed),
            Entry::Cancelled => all.push(Told::Cancelled),
            Entry::Refunded => all.push(Told::Refunded),
        }
        if scene.astray {
            all.push(Told::Anothers);
            if matches!(self.entry, Entry::Held | Entry::Credited) {
                all.push(Told::Known);
            }
        }
        let forgot = scene.forgets && self.remembers == 0;
        if entry == Entry::None || self.hidden > 0 || forgot || (scene.denies && known.told) {
            all.push(Told::NotFound);
        }
        all
    }

    /// Forgets what nobody asks for any more.
    pub fn settle(&mut self) {
        self.wires.sort_unstable();
        if self.entry == Entry::None {
            (self.hidden, self.remembers, self.owner) = (0, 0, Owner::A);
        }
    }

    /// One tick passes: what has taken too long never arrives, or is overdue.
    pub fn tick(&mut self, scene: &Scene) {
        self.hidden = self.hidden.saturating_sub(1);
        self.remembers = self.remembers.saturating_sub(1);
        for wire in &mut self.wires {
            if let Some(left) = &mut wire.left {
                *left = left.saturating_sub(1);
            }
        }
        self.wires.retain(|wire| wire.left != Some(0) || scene.memory == Memory::Remembers);
    }
}
