//! The system under exploration: a scene, the real engine, and at most one planted mistake.

use engine::{Account, Event, IllegalEvent, Jitter, Noticed, Policy, apply};

use crate::known::{Facts, Known};
use crate::mistake::Mistake;
use crate::moves::Act;
use crate::provider::{Heard, Owner};
use crate::scene::Scene;
use crate::time::NOW;
use crate::world::{Drive, World};

/// What is explored.
#[derive(Clone, Debug)]
pub struct System {
    /// What takes part.
    pub scene: Scene,
    /// The engine's numbers, by the account that is configured.
    pub policies: [Policy; 2],
    /// What is done wrong, if anything.
    pub mistake: Option<Mistake>,
}

impl System {
    /// The system as it is, or with one mistake.
    pub fn new(scene: Scene, mistake: Option<Mistake>) -> Self {
        let policy = mistake.map_or_else(|| scene.policy(), |mistake| mistake.policy(scene.policy()));
        let of = |account: Owner| Policy { account: account_of(account, &scene, mistake), ..policy.clone() };
        Self { policies: [of(Owner::A), of(Owner::B)], scene, mistake }
    }

    /// What is known after `event`, now: by the real engine, and noted by the onlooker.
    ///
    /// # Errors
    /// [`IllegalEvent`] where the engine refuses it.
    pub fn apply(&self, known: &Known, event: &Event, at: Owner) -> Result<Known, IllegalEvent> {
        let policy = self.policy(at);
        let wrong = self.mistake.and_then(|mistake| mistake.apply(&known.job, policy, event));
        // In what is forgotten both accounts may have been in use.
        let others_were_used = self.scene.accounts && !self.makes(Mistake::TakesOneForAll);
        let noticed = Noticed { others_were_used, ..NOW.into() };
        let mut job = wrong.unwrap_or_else(|| apply(&known.job, policy, event, noticed, Jitter::NONE))?;
        // Without accounts nothing follows from it, and there are fewer states.
        job.evidence.forgotten &= self.scene.accounts;
        let mut facts = known.facts;
        facts.note(event, self.scene.quiet);
        Ok(Known { job, facts })
    }

    /// The engine's numbers where this account is configured.
    pub const fn policy(&self, account: Owner) -> &Policy {
        &self.policies[account as usize]
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// A planted mistake: the request leaves before its intent is on disk.
    pub fn sends_early(&self) -> bool {
        self.makes(Mistake::SendsBeforeTheIntent)
    }

    /// A planted mistake: deliveries are acknowledged before they are on disk.
    pub fn acks_early(&self) -> bool {
        self.makes(Mistake::AcksBeforeCommit)
    }

    /// A planted mistake: outcomes are marked before their confirm.
    pub fn marks_early(&self) -> bool {
        self.makes(Mistake::MarksBeforeConfirm)
    }

    /// A planted mistake: versions are not compared.
    pub fn writes_stale(&self) -> bool {
        self.makes(Mistake::StaleCopyWrites)
    }

    /// A planted mistake: a job's end and its event are two transactions.
    pub fn events_apart(&self) -> bool {
        self.makes(Mistake::EventApart)
    }

    /// A planted mistake: a start leaves what was being driven as it is.
    pub fn start_forgets(&self) -> bool {
        self.makes(Mistake::StartForgetsTheDriven)
    }

    /// A planted mistake: a store that was put back counts as whole.
    pub fn trusts_old_copies(&self) -> bool {
        self.makes(Mistake::TrustsOldCopies)
    }

    /// A planted mistake: the mark of a restore keeps the time of an earlier one.
    pub fn keeps_first_restore(&self) -> bool {
        self.makes(Mistake::KeepsTheFirstRestore)
    }

    /// A planted mistake: a key that a copy does not know counts as a new one from its arrival on.
    pub fn takes_unknown_for_new(&self) -> bool {
        self.makes(Mistake::TakesUnknownForNew)
    }

    /// A planted mistake: an answer counts for whatever request it is heard by.
    pub fn believes_anothers(&self) -> bool {
        self.makes(Mistake::BelievesAnothersAnswer)
    }

    /// What an answer to a top-up is taken for.
    pub fn reads(&self, heard: Heard) -> engine::Answer {
        if self.believes_anothers() { heard.believed() } else { heard.answer() }
    }

    /// A planted mistake: nobody looks at the age of an intent before it leaves.
    pub fn has_no_fuse(&self) -> bool {
        self.makes(Mistake::IntentWithoutFuse)
    }

    /// A planted mistake: what comes back to a fenced drive is dropped.
    pub fn drops_what_comes_late(&self) -> bool {
        self.makes(Mistake::DropsWhatComesLate)
    }

    /// What is recorded of what the provider has said.
    pub fn recorded(&self, world: &World, drive: &Drive) -> Facts {
        world.store.row.as_ref().map_or(drive.known.facts, |row| row.known.facts)
    }
}

/// Where the configuration stays, accounts are not recorded, and there are fewer states.
fn account_of(owner: Owner, scene: &Scene, mistake: Option<Mistake>) -> Option<Account> {
    let of = Account::from_bytes([owner as u8; 8]);
    (scene.accounts && mistake != Some(Mistake::AsksTheWrongAccount)).then_some(of)
}

impl Act {
    /// The engine's event of it.
    pub const fn event(self) -> Event {
        match self {
            Self::Replay => Event::Replayed,
            Self::Discard => Event::Discarded,
            Self::Restore => Event::Restored,
        }
    }
}
