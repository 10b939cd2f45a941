//! The power goes, again and again, under a worker under load: its store is what the disk may have kept, the broker and the
//! provider are as they were told.
//!
//! `testbed::power` says what a disk may keep. Hundreds of images of one store are judged by the tests of the outbox; here the
//! whole worker goes on with a few of them, and the oracle judges what came of it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use testbed::power::{self, Disk, Image, Names, Recording};

use crate::harness::{Dice, Stage, WorkerProc, long, store};

const LIMIT: Duration = Duration::from_secs(180);
/// Images in which a sync that is not there is looked for: so many of each of the first cuts.
const CONTROLS: usize = 3;
/// Cuts of a run of all tests.
const CUTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_when_the_power_goes_under_load_nothing_is_lost_or_paid_twice() {
    let mut dice = Dice::new("power");
    let mut stage = Stage::prepare("power").await;
    stage.settings.prefetch = 24;
    stage.settings.log_level = "info";
    stage.sim.behave(|behaviour| behaviour.latency = Duration::from_millis(60));
    stage.reconfigure();
    let dir = fs::canonicalize(stage.worker.dir()).unwrap();
    let (mut torn, mut lost, mut missed) = (0, 0, 0);
    for cut in 0..if long() { 10 * CUTS } else { CUTS } {
        let before = store::files(&dir);
        stage.worker.spawn_under(power::record(&dir.join("trace")));
        let jobs = stage.jobs("power", 150);
        stage.publish(&jobs).await;
        stage.worker.wait_ready();
        // The moment is what is random here; it is not a wait for anything.
        tokio::time::sleep(dice.span(Duration::from_millis(20), Duration::from_millis(700))).await;
        stage.worker.kill();

        let trace = fs::read_to_string(dir.join("trace")).unwrap();
        let recording = Recording::read(&trace, &dir, store::is_not_kept).unwrap();
        let image = |void: BTreeSet<usize>, dice: &mut Dice| {
            let mut disk = Disk::new(&recording, &before, void, Names::ByDirectory);
            disk.play_to(usize::MAX);
            disk.image(dice)
        };
        let left = image(BTreeSet::new(), &mut dice);
        assert_eq!(missing(&stage, &left), Vec::<String>::new(), "told, and not in the store");
        for _ in 0..if cut < CUTS { CONTROLS } else { 0 } {
            let without = image(recording.left_out_by_normal("worker.db"), &mut dice);
            missed += usize::from(!missing(&stage, &without).is_empty());
        }
        torn += usize::from(left.is_torn());
        lost += left.lost;
        store::put_back(&dir, &left);
    }
    stage.worker.start();
    stage.settled(LIMIT).await;

    stage.verdict().assert_all_succeeded();
    let asked = "the store may not know everything that was done";
    assert!(!stage.worker.log().contains(asked), "a power loss is no restore");
    eprintln!(
        "power: {torn} torn images, {lost} sectors lost; with synchronous = NORMAL {missed} would have lost jobs"
    );
    assert!(missed > 0, "without the syncs of its commits the store would have forgotten jobs");
}

/// Jobs of which the broker has a terminal event, and which the image does not know as ended.
fn missing(stage: &Stage, image: &Image) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    image.write_to(dir.path()).unwrap();
    let worker = WorkerProc::configure(dir.path(), &stage.settings);
    let told = stage.outcomes.terminal_by_reference().into_keys();
    if !worker.ask(&["jobs", "list"]).status.success() {
        // Nothing is left, or nothing that could be opened.
        return told.collect();
    }
    let listed = worker.list(&["jobs", "list", "--state", "succeeded"]);
    let known: BTreeSet<&str> = listed.iter().filter_map(|job| job["partnerReferenceNo"].as_str()).collect();
    told.filter(|reference| !known.contains(reference.as_str())).collect()
}
