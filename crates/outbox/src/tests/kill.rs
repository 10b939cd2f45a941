//! kill -9 in the middle of commits: everything acknowledged is there.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use super::*;

const CHILD: &str = "tests::kill::this_does_nothing_unless_it_is_to_be_killed";
const STORE: &str = "OUTBOX_TEST_KILLED_STORE";

/// Works until it is killed, and says what was acknowledged: `accepted`, `sending` or `succeeded`, and the key.
#[tokio::test(flavor = "multi_thread")]
async fn this_does_nothing_unless_it_is_to_be_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    let opened = Store::open(&path, t(0), &options()).unwrap();
    assert!(opened.reconcile.is_none(), "a crash is no restore");
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let store = opened.store.clone();
        tasks.spawn(async move {
            for n in 0_u64.. {
                let key = format!("{}-{worker}-{n}", std::process::id());
                let Accepted::New(job) = store.accept(vec![new_job(&key)]).await.unwrap().remove(0) else { panic!() };
                say("accepted", &key);
                let sent = store.record(intent(&job, n)).await.unwrap();
                say("sending", &key);
                let done = success(&StoredJob { version: sent.version, ..*job });
                store.record(Record { ends: vec![end(n)], ..done }).await.unwrap();
                say("succeeded", &key);
            }
        });
    }
    tasks.join_all().await;
}

fn say(what: &str, key: &str) {
    let line = format!("ack {what} {key}\n");
    // One write a line, past the test harness.
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

#[tokio::test]
async fn after_kill_9_everything_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let mut acknowledged = BTreeMap::new();
    for lines in [1, 60, 333, 1000, 2500] {
        acknowledged.extend(work_and_be_killed_after(lines, &path));
        let opened = Store::open(&path, t(1), &options()).unwrap();
        assert!(opened.reconcile.is_none());
        for (key, what) in &acknowledged {
            check(&opened.store, key, what).await;
        }
        // What was under way and not acknowledged is one thing or the other, and recovery goes through it.
        let settle = |job: &StoredJob| {
            let sending = matches!(job.job.state, State::Sending { .. });
            sending.then(|| Record { due_at: Some(t(9)), ..Record::new(job.id, job.version, unconfirmed(t(9)), t(1)) })
        };
        let report = opened.store.recover(RecoverScope::InFlight, t(1), settle).await.unwrap();
        assert!(report.found <= 16 && report.unreadable == 0, "{report:?}");
        opened.store.close().await;
    }
    assert!(acknowledged.len() > 1000, "{}", acknowledged.len());
    assert_eq!(count(&path, "SELECT count(*) FROM pragma_quick_check() WHERE quick_check <> 'ok'"), 0);
    let halves = "SELECT count(*) FROM jobs WHERE (state = 'succeeded') <> (outcome_id IS NOT NULL)
                  OR requests <> (SELECT count(*) FROM job_records, json_each(job_records.happened, '$.requests') WHERE job_id = jobs.id)
                  OR (state = 'ready') <> (engine IS NULL)";
    assert_eq!(count(&path, halves), 0);
}

/// What the child acknowledged last of each key.
fn work_and_be_killed_after(lines: usize, store: &Path) -> BTreeMap<String, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness may have begun the line.
        let Some((_, ack)) = line.split_once("ack ") else { continue };
        let (what, key) = ack.split_once(' ').unwrap();
        acknowledged.insert(key.to_owned(), what.to_owned());
        seen += 1;
        if seen == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the child ended by itself");
    acknowledged
}

async fn check(store: &Store, key: &str, what: &str) {
    let timeline = store.timeline(&reference(key)).await.unwrap();
    let timeline = timeline.unwrap_or_else(|| panic!("{key} was {what} and is not there"));
    let state = timeline.job.state();
    match what {
        "accepted" => {}
        "sending" => assert!(timeline.attempts.len() == 1 && state != "ready", "{key}: {state}"),
        _ => {
            assert_eq!(state, "succeeded", "{key}");
            assert_eq!((timeline.outcomes.len(), timeline.attempts[0].end.is_some()), (1, true), "{key}");
        }
    }
}
