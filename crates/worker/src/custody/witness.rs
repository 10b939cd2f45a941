//! What is told of a store outside of its machine, beside what the store notes of it: so that a copy that is behind, or that has
//! gone another way, finds out before it sends anything.

use outbox::{AccountName, AuditHead, Standing};
use serde::{Deserialize, Serialize};
use snap_core::Timestamp;

use super::{Note, Process};

/// The newest witness, as it lies in the queue `<namespace>.witness`: JSON. Members that are not known are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// Which store.
    pub store: String,
    /// Which life of a process on it.
    pub instance: String,
    /// How many commits it had.
    pub commits: u64,
    /// Rows of its audit trail.
    pub audit_rows: u64,
    /// The last row's hash.
    pub audit_head: String,
    /// When that row was first witnessed, in Unix milliseconds.
    #[serde(default)]
    pub audit_at: i64,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// It stopped in order: it does not send any more.
    #[serde(default)]
    pub stopped: bool,
    /// The process.
    #[serde(default)]
    pub process: Process,
    /// The accounts that were in use (M14); `None`: an older version told it, and nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountName>>,
}

impl Witness {
    /// What the queue holds; `None`: it cannot be read.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// To be published.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// The end of the trail that it saw.
    pub fn audit(&self) -> AuditHead {
        AuditHead { rows: self.audit_rows, hash: self.audit_head.clone() }
    }

    /// When that was first seen.
    pub fn audit_at(&self) -> Timestamp {
        Timestamp::from_millis(self.audit_at)
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }
}

/// Why the store that the process `now` works with does not know everything that was done under its name, by the newest
/// witness; `None`: it does. What was done in the last moments before a process died is in no witness: so a copy is behind
/// whatever its witness says, unless that was told in order, as the last word.
pub fn behind(witness: &Witness, standing: &Standing, note: Option<&Note>, now: &Process) -> Option<String> {
    if witness.store != standing.store_id {
        return None;
    }
    let (seen, commits) = (witness.commits, standing.commits);
    if seen > commits {
        return Some(format!("it has {commits} commits of {seen} that the broker's witness knows of: an older copy"));
    }
    let is_past = note.is_some_and(|note| note.instances.contains(&witness.instance));
    let (pid, host) = (witness.process.pid, &witness.process.host);
    if !is_past {
        return Some(format!(
            "process {pid} on {host} worked under this store's id, and this store knows nothing of it: one of both is a copy"
        ));
    }
    if witness.stopped {
        return None;
    }
    if witness.process.had_another_file(now) {
        return Some(format!(
            "process {pid} on {host} worked with another file of this id, and did not stop in order: a copy"
        ));
    }
    let was_beside = note.is_some_and(|note| note.beside.as_ref() == Some(&witness.instance));
    was_beside.then(|| {
        format!(
            "process {pid} on {host} had the namespace under this store's id a moment ago, and did not stop in order"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(commits: u64) -> Standing {
        Standing {
            store_id: "0123456789abcdef".to_owned(),
            commits,
            audit: AuditHead { rows: 0, hash: "0".repeat(64) },
            custody: None,
            oldest: None,
        }
    }

    fn witness(instance: &str, commits: u64) -> Witness {
        Witness {
            store: "0123456789abcdef".to_owned(),
            instance: instance.to_owned(),
            commits,
            audit_rows: 0,
            audit_head: "0".repeat(64),
            audit_at: 4,
            at: 5,
            stopped: false,
            process: Process::default(),
            accounts: None,
        }
    }

    fn note(instances: &[&str]) -> Note {
        Note { instances: instances.iter().map(|&name| name.to_owned()).collect(), ..Note::default() }
    }

    #[test]
    fn m13_a_store_with_fewer_commits_than_were_witnessed_is_behind() {
        assert_eq!(behind(&witness("a", 7), &standing(7), Some(&note(&["a"])), &Process::default()), None);
        assert_eq!(behind(&witness("a", 6), &standing(7), Some(&note(&["a"])), &Process::default()), None);
        let why = behind(&witness("a", 8), &standing(7), Some(&note(&["a"])), &Process::default()).unwrap();
        assert!(why.contains("7 commits of 8"), "{why}");
    }

    #[test]
    fn m13_a_store_that_went_another_way_is_behind_however_many_commits_it_has() {
        assert!(behind(&witness("b", 3), &standing(70), Some(&note(&["z", "a"])), &Process::default()).is_some());
        assert!(
            behind(&witness("b", 3), &standing(70), None, &Process::default()).is_some(),
            "it never noted anything"
        );
        assert_eq!(
            behind(&witness("b", 3), &standing(70), Some(&note(&["b", "c"])), &Process::default()),
            None,
            "its own past"
        );
    }

    #[test]
    fn m13_a_witness_of_another_store_says_nothing_of_this_one() {
        let other = Witness { store: "fedcba9876543210".to_owned(), ..witness("b", 99) };
        assert_eq!(behind(&other, &standing(1), None, &Process::default()), None);
    }

    #[test]
    fn m13_a_witness_is_read_as_it_was_told_and_by_an_older_program_too() {
        let told = witness("a", 8);
        assert_eq!(Witness::parse(&told.body()), Some(told.clone()));
        let mut newer: serde_json::Value = serde_json::from_slice(&told.body()).unwrap();
        newer["something"] = serde_json::json!(1);
        assert_eq!(Witness::parse(newer.to_string().as_bytes()), Some(told));
        assert_eq!(Witness::parse(b"{}"), None);
    }
}
