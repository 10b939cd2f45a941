//! What a process said that it would do, and that it has done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
};

/// Marks the lines among what else a test process writes.
const MARK: &str = "power> ";

/// How far a job has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Nothing,
    Accepted,
    /// Its intent.
    Sending,
    /// Its end, with outcome.
    Ended,
    /// Its outcome is marked as confirmed.
    Marked,
    /// A tombstone is left of it.
    Shrunk,
}

const LEVELS: [(&str, Level); 5] = [
    ("accepted", Level::Accepted),
    ("sending", Level::Sending),
    ("ended", Level::Ended),
    ("marked", Level::Marked),
    ("shrunk", Level::Shrunk),
];

/// How far it has come at least, for that was acknowledged, and at most, for nothing more was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) acknowledged: Level,
    pub(super) tried: Level,
}

/// Everything that was said up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// By key.
    pub(super) jobs: BTreeMap<String, Reach>,
    /// By number: the subjects of acknowledged rows of the audit trail.
    pub(super) audit: BTreeMap<u64, String>,
    /// Subjects of rows that may be there.
    pub(super) audit_tried: BTreeSet<String>,
}

/// The process is about to bring a job to a level.
pub(super) fn will(level: Level, key: &str) {
    say("try", level, key);
}

/// The store has acknowledged it.
pub(super) fn done(level: Level, key: &str) {
    say("ack", level, key);
}

pub(super) fn will_audit(subject: &str) {
    line(&format!("try audit 0 {subject}"));
}

pub(super) fn audited(seq: u64, subject: &str) {
    line(&format!("ack audit {seq} {subject}"));
}

fn say(what: &str, level: Level, key: &str) {
    let name = LEVELS.iter().find(|(_, known)| *known == level).unwrap().0;
    line(&format!("{what} {name} {key}"));
}

/// One write a line, past the test harness.
fn line(text: &str) {
    std::io::stdout().lock().write_all(format!("{MARK}{text}\n").as_bytes()).unwrap();
}

impl Facts {
    /// Hears some lines.
    pub(super) fn hear(&mut self, text: &str) {
        for line in text.lines() {
            let Some((_, said)) = line.split_once(MARK) else { continue };
            match said.split(' ').collect::<Vec<_>>()[..] {
                ["try", "audit", _, subject] => drop(self.audit_tried.insert(subject.to_owned())),
                ["ack", "audit", seq, subject] => drop(self.audit.insert(seq.parse().unwrap(), subject.to_owned())),
                [what, name, key] => {
                    let level = LEVELS.iter().find(|(known, _)| *known == name).unwrap().1;
                    let reach = self.jobs.entry(key.to_owned()).or_default();
                    let of = if what == "ack" { &mut reach.acknowledged } else { &mut reach.tried };
                    *of = level.max(*of);
                }
                _ => panic!("{line}"),
            }
        }
    }

    /// The lines that say the same.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        for (key, reach) in &self.jobs {
            for (what, of) in [("try", reach.tried), ("ack", reach.acknowledged)] {
                for (name, _) in LEVELS.iter().filter(|(_, level)| *level == of) {
                    writeln!(text, "{MARK}{what} {name} {key}").unwrap();
                }
            }
        }
        for subject in &self.audit_tried {
            writeln!(text, "{MARK}try audit 0 {subject}").unwrap();
        }
        for (seq, subject) in &self.audit {
            writeln!(text, "{MARK}ack audit {seq} {subject}").unwrap();
        }
        text
    }
}
