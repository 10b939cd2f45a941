//! C12 in other ways: a trail that is sound by itself, and not the one that was witnessed.

use std::fs;

use super::{LIMIT, stop};
use crate::harness::{Stage, eventually};

const ACT: [&str; 3] = ["--reason", "held, INC-140", "--yes"];

/// The last rows go, and `meta` is made to match.
fn cut_to(stage: &Stage, rows: u32) {
    let file = rusqlite::Connection::open(stage.worker.dir().join("worker.db")).unwrap();
    let hash = "coalesce((SELECT hash FROM audit WHERE seq = ?1), zeroblob(32))";
    file.execute("DELETE FROM audit WHERE seq > ?1", [rows]).unwrap();
    file.execute(&format!("UPDATE meta SET audit_rows = ?1, audit_hash = {hash}"), [rows]).unwrap();
}

/// Whatever an operator does next without a worker.
fn act(stage: &Stage, verb: &str) {
    stage.worker.ask_json(&[&["provider", verb, "midtrans"][..], &ACT].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c12_a_trail_that_was_cut_and_went_on_is_not_what_was_witnessed() {
    let mut stage = Stage::prepare("trail-went-on").await;
    let store = |stage: &Stage, name: &str| stage.worker.dir().join(name);
    stage.start();
    act(&stage, "pause");
    stop(&mut stage.worker);
    fs::copy(store(&stage, "worker.db"), store(&stage, "one-row.db")).unwrap();
    stage.start();
    act(&stage, "resume");
    act(&stage, "pause");
    eventually(LIMIT, "the broker has heard of it", async || {
        let verdict = stage.worker.ask_json(&["audit", "verify"]);
        verdict["witness"].as_str().is_some_and(|witness| witness.starts_with("row 3 ")).then_some(())
    })
    .await;
    stop(&mut stage.worker);
    fs::copy(store(&stage, "worker.db"), store(&stage, "whole.db")).unwrap();

    let harms: [(&str, &dyn Fn(), &str); 5] = [
        ("all of it is gone", &|| cut_to(&stage, 0), "it has 0 rows, and 3 were witnessed"),
        ("the last row is gone", &|| cut_to(&stage, 2), "it has 2 rows, and 3 were witnessed"),
        (
            "another row stands in its place",
            &|| {
                cut_to(&stage, 2);
                act(&stage, "resume");
            },
            "audit row 3 is not what was witnessed",
        ),
        (
            "it is longer than it was",
            &|| {
                cut_to(&stage, 1);
                for verb in ["resume", "pause", "resume", "pause"] {
                    act(&stage, verb);
                }
            },
            "audit row 3 is not what was witnessed",
        ),
        (
            "an older file came back",
            &|| {
                fs::copy(store(&stage, "one-row.db"), store(&stage, "worker.db")).unwrap();
            },
            "it has 1 rows, and 3 were witnessed",
        ),
    ];
    for (name, harm, says) in harms {
        fs::copy(store(&stage, "whole.db"), store(&stage, "worker.db")).unwrap();
        assert_eq!(stage.worker.ask(&["audit", "verify"]).status.code(), Some(0), "before {name}");
        harm();
        let told = stage.worker.ask(&["audit", "verify"]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert_eq!(told.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
    }
}
