//! A process that works on a store while its calls are recorded.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use testbed::{
    Dice,
    power::{self, Call, Disk, Names, Recording},
};

use super::{
    super::*,
    facts::{self, Facts, Level},
};

const CHILD: &str = "tests::power_loss::life::this_does_nothing_unless_it_is_to_lose_its_power";
const STORE: &str = "OUTBOX_TEST_POWER_STORE";
const LIFE: &str = "OUTBOX_TEST_POWER_LIFE";
/// Jobs under way at a time, and of each of them one after the other, before the store is closed and after.
const AT_A_TIME: u64 = 6;
const ONE_AFTER_ANOTHER: u64 = 6;

/// Between the arrivals of jobs before the store was closed and after, in milliseconds.
const LONG: i64 = 100_000;

/// Small, so that the WAL is moved into the file, and started over, every few commits.
pub(super) fn options() -> OpenOptions {
    OpenOptions { checkpoint_frames: 48, ..super::super::options() }
}

/// The number of a job's request, from its key `life-part-worker-n`.
pub(super) fn number(key: &str) -> u64 {
    key.split('-').fold(0, |sum, digits| sum * 100 + digits.parse::<u64>().unwrap())
}

/// How a job ends: one in four stands before a person.
pub(super) fn last_record(job: &StoredJob) -> Record {
    let key = job.request.partner_reference_no.as_str();
    let record = if number(key).is_multiple_of(4) { death(job, &format!("dl-{key}")) } else { success(job) };
    Record { ends: vec![end(number(key))], ..record }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_does_nothing_unless_it_is_to_lose_its_power() {
    let (Some(path), Some(life)) = (testbed::setting(STORE), testbed::setting(LIFE)) else { return };
    for part in 0..2 {
        let begun = t(LONG * (2 * life.parse::<i64>().unwrap() + part));
        let opened = Store::open(Path::new(&path), t(0), &options()).unwrap();
        assert!(opened.reconcile.is_none(), "a power loss is no restore");
        opened.store.recover(RecoverScope::InFlight, t(10), restarted).await.unwrap();
        let beside = Store::open(Path::new(&path), t(0), &OpenOptions::default()).unwrap().store;
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..AT_A_TIME {
            let (store, prefix) = (opened.store.clone(), format!("{life}-{part}-{worker}"));
            tasks.spawn(async move { work(&store, &prefix, begun).await });
        }
        if part == 1 {
            let store = opened.store.clone();
            tasks.spawn(async move { shrink(&store, begun).await });
        }
        let (trail, prefix) = (beside.clone(), format!("{life}-{part}"));
        tasks.spawn(async move { audit(&trail, &prefix).await });
        tasks.join_all().await;
        beside.close().await;
        // The last one goes on until the process ends.
        if part == 0 {
            opened.store.close().await;
        }
    }
}

async fn work(store: &Store, prefix: &str, accepted_at: Timestamp) {
    for n in 0..ONE_AFTER_ANOTHER {
        let key = format!("{prefix}-{n}");
        facts::will(Level::Accepted, &key);
        let Accepted::New(job) =
            store.accept(vec![NewJob { at: accepted_at, ..new_job(&key) }]).await.unwrap().remove(0)
        else {
            panic!("{key}")
        };
        facts::done(Level::Accepted, &key);
        facts::will(Level::Sending, &key);
        let sent = store.record(intent(&job, number(&key))).await.unwrap();
        facts::done(Level::Sending, &key);
        facts::will(Level::Ended, &key);
        let ended = store.record(last_record(&StoredJob { version: sent.version, ..*job })).await.unwrap();
        facts::done(Level::Ended, &key);
        facts::will(Level::Marked, &key);
        store.mark_published(ended.outcomes, t(3)).await.unwrap();
        facts::done(Level::Marked, &key);
    }
}

/// Jobs that were accepted before shrink to tombstones, beside those that are driven.
async fn shrink(store: &Store, before: Timestamp) {
    let succeeded = || async {
        let filter = JobFilter { states: vec!["succeeded".to_owned()], until: Some(before), ..JobFilter::default() };
        store.jobs(filter, None, 9999).await.unwrap().items
    };
    for job in succeeded().await {
        facts::will(Level::Shrunk, job.partner_reference_no().as_str());
    }
    let mut after = None;
    loop {
        after = store.shrink_some(before, t(4), after).await.unwrap().next;
        if after.is_none() {
            break;
        }
    }
    for job in succeeded().await {
        // One whose outcome was never marked stays as it is.
        if matches!(job, KnownJob::Tombstone(_)) {
            facts::done(Level::Shrunk, job.partner_reference_no().as_str());
        }
    }
}

/// An operator's handle, beside the worker's.
async fn audit(store: &Store, prefix: &str) {
    for n in 0..ONE_AFTER_ANOTHER {
        let subject = format!("{prefix}-{n}");
        facts::will_audit(&subject);
        let entry = NewAudit { subject: subject.clone(), ..audit_entry("dlq_check") };
        facts::audited(store.audit_append(entry).await.unwrap(), &subject);
    }
}

/// What a start makes of a job that was sending.
pub(super) fn restarted(job: &StoredJob) -> Option<Record> {
    matches!(job.job.state, State::Sending { .. }).then(|| Record {
        due_at: Some(t(20)),
        history: vec![entry("restarted")],
        ..Record::new(job.id, job.version, unconfirmed(t(20)), t(10))
    })
}

/// A life that was recorded: what it found, what it did, and what had been said before it.
pub(super) struct Life {
    pub(super) found: BTreeMap<String, Vec<u8>>,
    pub(super) recording: Recording,
    pub(super) said_before: Facts,
}

impl Life {
    /// Lives once, on these files. Everything that is needed to play it again is left in `dir`.
    pub(super) fn live(dir: &Path, number: u64, found: &BTreeMap<String, Vec<u8>>, said_before: &Facts) -> Self {
        fs::create_dir_all(dir.join("found")).unwrap();
        fs::create_dir_all(dir.join("store")).unwrap();
        for (name, content) in found {
            fs::write(dir.join("found").join(name), content).unwrap();
            fs::write(dir.join("store").join(name), content).unwrap();
        }
        fs::write(dir.join("said"), said_before.lines()).unwrap();
        let store = fs::canonicalize(dir.join("store")).unwrap();
        fs::write(dir.join("where"), store.to_str().unwrap()).unwrap();
        let ran = power::record(&dir.join("trace"))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
            .env(STORE, store.join("s.db"))
            .env(LIFE, number.to_string())
            .stdin(Stdio::null())
            .output()
            .expect("strace starts: `tests/run` installs it");
        assert!(
            ran.status.success(),
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        Self::read(dir)
    }

    /// Reads what [`Life::live`] left.
    pub(super) fn read(dir: &Path) -> Self {
        let text = |name| fs::read_to_string(dir.join(name)).unwrap();
        let mut said_before = Facts::default();
        said_before.hear(&text("said"));
        let files = fs::read_dir(dir.join("found")).unwrap().map(Result::unwrap);
        Self {
            found: files
                .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
                .collect(),
            // The one is mapped and made anew by SQLite; the other holds nothing.
            recording: Recording::read(&text("trace"), Path::new(&text("where")), |name| {
                name.ends_with("-shm") || name.ends_with(".reserve")
            })
            .unwrap(),
            said_before,
        }
    }

    /// Everything that had been said before this moment, later than `facts`, which were the facts at `from`.
    pub(super) fn hear(&self, facts: &mut Facts, from: usize, to: usize) {
        for moment in from..to {
            if let Some(Call::Said { bytes, .. }) = self.recording.begun(moment).map(|op| &op.call) {
                facts.hear(&String::from_utf8_lossy(bytes));
            }
        }
    }

    /// The power goes at some moment of its second part: what is left, and what had been said.
    pub(super) fn cut(&self, dice: &mut Dice) -> (BTreeMap<String, Vec<u8>>, Facts) {
        let half = self.recording.moments.len() / 2;
        let moment = half + dice.below(half);
        let mut disk = Disk::new(&self.recording, &self.found, [].into(), Names::ByDirectory);
        disk.play_to(moment);
        let mut facts = self.said_before.clone();
        self.hear(&mut facts, 0, moment);
        (disk.image(dice).files, facts)
    }
}
