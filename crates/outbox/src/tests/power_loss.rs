//! Power losses: what may be left of a store at any moment of a recorded process, opened and judged.
//!
//! `testbed::power` says what a disk may leave. A process works on a store under strace, and says what it tries and what was
//! acknowledged; its power is cut at every so many moments, and each image is judged. Then another one begins on one of them.
//!
//! Longer: `POWER_LOSS_IMAGES=20000`, as `tests/run --long` has it. `E2E_SEED` chooses moments and images, but every recording
//! is another, for its threads are not ours to order: so a failing image is left behind with its recording, and
//! `POWER_LOSS_REPLAY="…"`, as it is printed, judges it again.

use std::{collections::BTreeMap, collections::BTreeSet, path::Path, process::Command};

use testbed::{
    Dice,
    power::{Call, Disk, Names},
};

use cuts::{Tally, cut, fast_dir, must_show_everything, one};
use facts::Facts;
use judge::Fault;
use life::Life;

mod cuts;
mod facts;
mod judge;
mod life;

/// Images of a run of all tests.
const IMAGES: usize = 400;
/// Processes, one after the other, each on what the power left of the one before.
const LIVES: u64 = 3;
/// Images of such a chain of lives at the most; then another one begins on an empty directory, judged by another process:
/// each store that was opened leaves a descriptor behind, until its process ends.
const OF_A_CHAIN: usize = 300;
/// What makes names durable: both have to do.
const LAWS: [(&str, Names); 2] = [("directory", Names::ByDirectory), ("file", Names::ByFile)];
/// Images of each control.
const OF_CONTROLS: usize = 120;

const PART: &str = "OUTBOX_TEST_POWER_PART";
const CHILD: &str = "tests::power_loss::this_does_nothing_unless_it_is_to_judge_a_part";
/// Marks the line with what a part has found.
const FOUND: &str = "found> ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_after_a_power_loss_everything_acknowledged_is_there_and_nothing_else() {
    if let Some(wanted) = testbed::setting("POWER_LOSS_REPLAY") {
        return replay(&wanted).await;
    }
    let images = testbed::setting("POWER_LOSS_IMAGES").map_or(IMAGES, |text| text.parse().unwrap());
    let mut dice = Dice::new("power loss");
    let mut tally = Tally::default();
    while tally.images < images {
        tally.add_all(part(&format!("chain {} {}", dice.roll(), OF_A_CHAIN.min(images - tally.images))));
    }
    eprintln!("power loss: {tally:?}");
    assert!(tally.torn > tally.images / 20 && tally.unfinished > tally.images / 4, "{tally:?}");
}

/// Without each of the syncs the store rests on, its images are not sound: the judge would see it.
#[test]
fn m1_without_any_one_kind_of_sync_a_power_loss_is_found_to_do_harm() {
    let mut dice = Dice::new("power loss, controls");
    for (without, expected) in [
        ("commits", [Fault::Lost].as_slice()),
        ("file", &[Fault::Refused, Fault::Damaged]),
        ("directory", &[Fault::Lost]),
    ] {
        let tally = part(&format!("{without} {} {OF_CONTROLS}", dice.roll()));
        eprintln!("without the syncs of {without}: {tally:?}");
        assert!(expected.iter().any(|fault| tally.faults.contains_key(fault)), "{without}: {tally:?}");
    }
}

/// What another process finds.
fn part(which: &str) -> Tally {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let ran = child.args(["--exact", CHILD, "--nocapture"]).env(PART, which).output().unwrap();
    let [out, err] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(ran.status.success(), "{which}: {out}{err}");
    let found = out.lines().find_map(|line| line.split_once(FOUND)).expect("it tells what it has found").1;
    serde_json::from_str(found).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_does_nothing_unless_it_is_to_judge_a_part() {
    let Some(part) = testbed::setting(PART) else { return };
    let [which, seed, images] = part.split(' ').collect::<Vec<_>>()[..] else { panic!("three words: {part}") };
    let (mut dice, images) = (Dice::seeded(seed.parse().unwrap()), images.parse().unwrap());
    let tally = if which == "chain" { chain(images, &mut dice).await } else { control(which, images, &mut dice).await };
    println!("{FOUND}{}", serde_json::to_string(&tally).unwrap());
}

/// Some lives, the first on nothing, each other on what a power loss left of the one before.
async fn chain(images: usize, dice: &mut Dice) -> Tally {
    let mut tally = Tally::default();
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
    tally
}

/// A life on a disk that does nothing when these are synced.
async fn control(without: &str, images: usize, dice: &mut Dice) -> Tally {
    let dir = fast_dir();
    let life = Life::live(dir.path(), 0, &BTreeMap::new(), &Facts::default());
    let void = match without {
        // As with `synchronous = NORMAL`.
        "commits" => life.recording.left_out_by_normal("s.db"),
        // Before the WAL starts over.
        "file" => life.recording.syncs(|call| matches!(call, Call::Sync { file } if file == "s.db")),
        _ => life.recording.syncs(|call| *call == Call::SyncNames),
    };
    assert!(!void.is_empty(), "{without}");
    let mut tally = Tally::default();
    let disk = Disk::new(&life.recording, &life.found, void, Names::ByDirectory);
    cut(&life, disk, images, dice, |_, _, image, finding| tally.add(&image, &finding)).await;
    tally
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
