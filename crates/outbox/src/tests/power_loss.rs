//! Power losses: what may be left of a store at any moment of a recorded process, opened and judged.
//!
//! `testbed::power` says what a disk may leave. A process works on a store under strace, and says what it tries and what was
//! acknowledged; its power is cut at every so many moments, and each image is judged. Then another one begins on one of them.
//!
//! Longer: `POWER_LOSS_IMAGES=20000`, as `tests/run --long` has it. `E2E_SEED` chooses moments and images, but every recording
//! is another, for its threads are not ours to order: so a failing image is left behind with its recording, and
//! `POWER_LOSS_REPLAY="…"`, as it is printed, judges it again.

use std::{collections::BTreeMap, collections::BTreeSet, path::Path};

use testbed::{
    Dice,
    power::{Call, Disk, Image, Names, Op},
};

use facts::Facts;
use judge::{Fault, Finding, judge};
use life::Life;

mod facts;
mod judge;
mod life;

/// Images of a run of all tests.
const IMAGES: usize = 400;
/// Processes, one after the other, each on what the power left of the one before.
const LIVES: u64 = 3;
/// Images of such a chain of lives at the most; then another one begins on an empty directory.
const OF_A_CHAIN: usize = 900;
/// What makes names durable: both have to do.
const LAWS: [(&str, Names); 2] = [("directory", Names::ByDirectory), ("file", Names::ByFile)];
/// Images of each control.
const OF_CONTROLS: usize = 40;

/// Where images are opened: in memory where that can be had, for each is synced many times.
fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What came of many images.
#[derive(Debug, Default)]
struct Tally {
    images: usize,
    torn: usize,
    lost_sectors: usize,
    kept_sectors: usize,
    names_lost: usize,
    /// Images in which something is missing that was begun and not acknowledged.
    unfinished: usize,
    faults: BTreeMap<Fault, usize>,
}

impl Tally {
    fn add(&mut self, image: &Image, finding: &Finding) {
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
}

/// One image of this life, at this moment, as this seed has it.
async fn one(disk: &Disk<'_>, facts: &Facts, seed: u64) -> (Image, Finding) {
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
async fn cut(
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
        Call::Extend { .. } | Call::Said { .. } => false,
    }
}

/// How much of what has to be in a recording is in it, so that an image of nothing much does not pass for evidence.
fn must_show_everything(life: &Life) {
    let count = |wanted: &dyn Fn(&Call) -> bool| life.recording.ops.iter().filter(|op| wanted(&op.call)).count();
    let starts = count(&|call| matches!(call, Call::Write { file, offset: 0, .. } if file == "s.db-wal"));
    let moved = count(&|call| matches!(call, Call::Write { file, .. } if file == "s.db"));
    let synced = count(&|call| matches!(call, Call::Sync { file } if file == "s.db"));
    let notes = count(&|call| matches!(call, Call::Write { file, .. } if file == "s.db.lock"));
    let removed = count(&|call| matches!(call, Call::Remove { file } if file == "s.db-wal"));
    assert!(
        starts > 4 && moved > 20 && synced > 4 && notes > 20 && removed > 0,
        "{starts} {moved} {synced} {notes} {removed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_after_a_power_loss_everything_acknowledged_is_there_and_nothing_else() {
    if let Some(wanted) = testbed::setting("POWER_LOSS_REPLAY") {
        return replay(&wanted).await;
    }
    let images = testbed::setting("POWER_LOSS_IMAGES").map_or(IMAGES, |text| text.parse().unwrap());
    let mut dice = Dice::new("power loss");
    let mut tally = Tally::default();
    let mut left = images;
    while left > 0 {
        let share = left.min(OF_A_CHAIN);
        chain(share, &mut dice, &mut tally).await;
        left -= share;
    }
    eprintln!("power loss: {tally:?}");
    assert!(tally.torn > tally.images / 20 && tally.unfinished > tally.images / 4, "{tally:?}");
}

/// Some lives, the first on nothing, each other on what a power loss left of the one before.
async fn chain(images: usize, dice: &mut Dice, tally: &mut Tally) {
    let (mut found, mut said) = (BTreeMap::new(), Facts::default());
    for number in 0..LIVES {
        let dir = fast_dir();
        let life = Life::live(dir.path(), number, &found, &said);
        must_show_everything(&life);
        let share = images.div_ceil(usize::try_from(LIVES).unwrap() * LAWS.len());
        let mut wrong = None;
        for (name, law) in LAWS {
            let disk = Disk::new(&life.recording, &life.found, BTreeSet::new(), law);
            cut(&life, disk, share, dice, |moment, seed, image, finding| {
                tally.add(&image, &finding);
                if !finding.faults.is_empty() {
                    wrong.get_or_insert((name, moment, seed, finding));
                }
            })
            .await;
        }
        if let Some((name, moment, seed, finding)) = wrong {
            let dir = dir.keep();
            panic!("{:?}\nagain: POWER_LOSS_REPLAY='{} {name} {moment} {seed}'", finding.faults, dir.display());
        }
        (found, said) = life.cut(dice);
    }
}

async fn replay(wanted: &str) {
    let [dir, name, moment, seed] = wanted.split(' ').collect::<Vec<_>>()[..] else { panic!("four words: {wanted}") };
    let life = Life::read(Path::new(dir));
    let moment = moment.parse().unwrap();
    let law = LAWS.iter().find(|(known, _)| *known == name).unwrap().1;
    let mut disk = Disk::new(&life.recording, &life.found, BTreeSet::new(), law);
    disk.play_to(moment);
    let mut facts = life.said_before.clone();
    life.hear(&mut facts, 0, moment);
    let (image, finding) = one(&disk, &facts, seed.parse().unwrap()).await;
    eprintln!("{} sectors lost, {} kept, {} names lost", image.lost, image.kept, image.names_lost);
    assert!(finding.faults.is_empty(), "{:?}", finding.faults);
}

/// Without each of the syncs the store rests on, its images are not sound: the judge would see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_without_any_one_kind_of_sync_a_power_loss_is_found_to_do_harm() {
    let mut dice = Dice::new("power loss, controls");
    let dir = fast_dir();
    let life = Life::live(dir.path(), 0, &BTreeMap::new(), &Facts::default());
    let recording = &life.recording;
    for (without, void, expected) in [
        ("synchronous = NORMAL", recording.left_out_by_normal("s.db"), [Fault::Lost].as_slice()),
        (
            "no sync of the file before the WAL starts over",
            recording.syncs(|call| matches!(call, Call::Sync { file } if file == "s.db")),
            &[Fault::Refused, Fault::Damaged],
        ),
        ("no sync of the directory", recording.syncs(|call| *call == Call::SyncNames), &[Fault::Lost]),
    ] {
        assert!(!void.is_empty(), "{without}");
        let mut tally = Tally::default();
        let disk = Disk::new(recording, &life.found, void, Names::ByDirectory);
        cut(&life, disk, OF_CONTROLS, &mut dice, |_, _, image, finding| tally.add(&image, &finding)).await;
        eprintln!("{without}: {tally:?}");
        assert!(expected.iter().any(|fault| tally.faults.contains_key(fault)), "{without}: {tally:?}");
    }
}
