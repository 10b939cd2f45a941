//! Cutting the power of a life, and counting what is found.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use testbed::{
    Dice,
    power::{Call, Disk, Image, Op},
};

use super::{
    facts::{Facts, Level},
    judge::{Fault, Finding, judge},
    life::Life,
};

/// Where images are opened: in memory where that can be had, for each is synced many times.
pub(super) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What came of many images.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) images: usize,
    pub(super) torn: usize,
    pub(super) lost_sectors: usize,
    pub(super) kept_sectors: usize,
    pub(super) names_lost: usize,
    /// Images in which something is missing that was begun and not acknowledged.
    pub(super) unfinished: usize,
    pub(super) faults: BTreeMap<Fault, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, image: &Image, finding: &Finding) {
        self.images += 1;
        self.torn += usize::from(image.is_torn());
        self.lost_sectors += image.lost;
        self.kept_sectors += image.kept;
        self.names_lost += image.names_lost;
        self.unfinished += usize::from(finding.unfinished);
        for fault in finding.faults.iter().map(|(fault, _)| *fault).collect::<BTreeSet<_>>() {
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    pub(super) fn add_all(&mut self, other: Self) {
        self.images += other.images;
        self.torn += other.torn;
        self.lost_sectors += other.lost_sectors;
        self.kept_sectors += other.kept_sectors;
        self.names_lost += other.names_lost;
        self.unfinished += other.unfinished;
        for (fault, images) in other.faults {
            *self.faults.entry(fault).or_default() += images;
        }
    }
}

/// One image of this life, at this moment, as this seed has it.
pub(super) async fn one(disk: &Disk<'_>, facts: &Facts, seed: u64) -> (Image, Finding) {
    let mut dice = Dice::seeded(seed);
    let image = disk.image(&mut dice);
    let dir = fast_dir();
    image.write_to(dir.path()).unwrap();
    // The -shm is mapped: anything may be left of it, or nothing.
    if dice.below(2) == 0 {
        let rubbish: Vec<u8> = (0..32 << 10).map(|_| dice.roll().to_le_bytes()[0]).collect();
        std::fs::write(dir.path().join("s.db-shm"), rubbish).unwrap();
    }
    let finding = judge(&dir.path().join("s.db"), facts).await;
    (image, finding)
}

/// Cuts the power so many times, at moments all over the life, while this disk plays it; hands each image with its moment
/// and seed to `see`.
pub(super) async fn cut(
    life: &Life,
    mut disk: Disk<'_>,
    images: usize,
    dice: &mut Dice,
    mut see: impl FnMut(usize, u64, Image, Finding),
) {
    let mut cuts: Vec<(usize, u64)> = (0..images).map(|_| (moment(life, dice), dice.roll())).collect();
    cuts.sort_unstable();
    let (mut facts, mut heard) = (life.said_before.clone(), 0);
    for (moment, seed) in cuts {
        disk.play_to(moment);
        life.hear(&mut facts, heard, moment);
        heard = moment;
        let (image, finding) = one(&disk, &facts, seed).await;
        see(moment, seed, image, finding);
    }
}

/// Any moment; or, as often, one near something that does not happen at every commit.
fn moment(life: &Life, dice: &mut Dice) -> usize {
    let end = life.recording.moments.len() + 1;
    let rare: Vec<usize> = (0..end).filter(|moment| life.recording.begun(*moment).is_some_and(is_rare)).collect();
    if rare.is_empty() || dice.below(2) == 0 {
        return dice.below(end);
    }
    (rare[dice.below(rare.len())] + dice.below(16)).saturating_sub(4).min(end - 1)
}

fn is_rare(op: &Op) -> bool {
    match &op.call {
        Call::Open { .. } | Call::Remove { .. } | Call::Resize { .. } | Call::SyncNames => true,
        Call::Sync { file } => file != "s.db-wal",
        Call::Write { file, offset, .. } => file == "s.db-wal" && *offset == 0,
        Call::Extend { .. } | Call::Said { .. } | Call::Heard { .. } => false,
    }
}

/// How much of what has to be in a recording is in it, so that an image of nothing much does not pass for evidence.
pub(super) fn must_show_everything(life: &Life) {
    let count = |wanted: &dyn Fn(&Call) -> bool| life.recording.ops.iter().filter(|op| wanted(&op.call)).count();
    let starts = count(&|call| matches!(call, Call::Write { file, offset: 0, .. } if file == "s.db-wal"));
    let moved = count(&|call| matches!(call, Call::Write { file, .. } if file == "s.db"));
    let synced = count(&|call| matches!(call, Call::Sync { file } if file == "s.db"));
    let notes = count(&|call| matches!(call, Call::Write { file, .. } if file == "s.db.lock"));
    let removed = count(&|call| matches!(call, Call::Remove { file } if file == "s.db-wal"));
    let mut said = life.said_before.clone();
    life.hear(&mut said, 0, life.recording.moments.len());
    assert!(said.jobs.values().any(|reach| reach.acknowledged == Level::Shrunk), "jobs shrink");
    assert!(
        starts > 4 && moved > 20 && synced > 4 && notes > 20 && removed > 0,
        "{starts} {moved} {synced} {notes} {removed}"
    );
}
