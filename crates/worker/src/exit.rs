//! How a command ends: the contract's exit codes, and errors that say what to do next.

use std::process::ExitCode;

use outbox::{OpenError, StoreError};

use crate::amqp::AmqpError;
use crate::app::AppError;
use crate::config::ConfigError;
use crate::custody::CustodyError;
use crate::ops::init::InitError;
use crate::ops::submit::InputError;
use crate::text::chain;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; an empty list too.
    Done,
    /// Something nobody expected.
    Unexpected,
    /// Usage, configuration or input that cannot be used, or nobody to ask.
    Usage,
    /// Some of several failed.
    SomeFailed,
    /// What was named was not found.
    NotFound,
    /// A safety rule forbids it.
    Refused,
    /// A second signal.
    Interrupted,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked. `Display` prints only itself; [`CommandError::report`] all there is to say.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration cannot be used; its text has a hint for every problem.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Arguments, a file or a folder that cannot be used.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No configuration was written; the text ends with what to do.
    #[error(transparent)]
    Init(#[from] InitError),
    /// Jobs that cannot be sent; the text has a line for each.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file that was named cannot be read or written.
    #[error("failed to {what}")]
    File {
        /// What was tried, with the file's name.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What was named is not there.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
        /// Where to look instead.
        hint: String,
    },
    /// A safety rule forbids it.
    #[error("refused: {what}")]
    Refused {
        /// What, and by which rule.
        what: String,
        /// What can be done instead.
        hint: String,
    },
    /// It has changed since the operator was shown it; nothing was changed, and nothing was told.
    #[error("it has moved on since it was shown: {what}; nothing was changed")]
    MovedOn {
        /// What it is now.
        what: String,
    },
    /// The operator was asked and did not say yes.
    #[error("nothing was changed")]
    Declined,
    /// The service did not start, or ended by itself, for no reason that has a name of its own here.
    #[error(transparent)]
    Service(AppError),
    /// The store was not opened.
    #[error("failed to open the store")]
    Open(#[from] OpenError),
    /// The store did not do what was asked.
    #[error("failed to use the store")]
    Store(#[from] StoreError),
    /// The broker did not do what was asked.
    #[error("failed to use the broker")]
    Broker(#[from] AmqpError),
    /// The broker was lost while jobs were sent.
    #[error("the broker was lost after {confirmed} of {of} jobs were confirmed")]
    BrokenOff {
        /// Jobs the broker has.
        confirmed: usize,
        /// Jobs to send.
        of: usize,
        /// What happened.
        #[source]
        source: AmqpError,
    },
    /// Something nobody expected.
    #[error("{0}")]
    Unexpected(anyhow::Error),
}

impl From<AppError> for CommandError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Config(error) => Self::Config(error),
            AppError::Open(error) => Self::Open(error),
            AppError::Store(error) => Self::Store(error),
            error => Self::Service(error),
        }
    }
}

impl From<anyhow::Error> for CommandError {
    /// An error that was expected stays it, however it came here.
    fn from(error: anyhow::Error) -> Self {
        error
            .downcast::<Self>()
            .or_else(|error| error.downcast::<ConfigError>().map(Self::from))
            .or_else(|error| error.downcast::<AppError>().map(Self::from))
            .or_else(|error| error.downcast::<AmqpError>().map(Self::from))
            .unwrap_or_else(Self::Unexpected)
    }
}

impl CommandError {
    /// Arguments, a file or a folder that cannot be used.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }

    /// The system did not do what was asked.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::File { what: what.into(), source }
    }

    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage { .. } | Self::Init(_) | Self::Input(_) | Self::File { .. } => Exit::Usage,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Refused { .. } | Self::MovedOn { .. } => Exit::Refused,
            Self::Service(AppError::Listen { .. }) => Exit::Usage,
            Self::Service(AppError::Custody(
                CustodyError::Foreign { .. } | CustodyError::Unknown { .. } | CustodyError::Elsewhere { .. },
            )) => Exit::Refused,
            Self::Open(error) => exit_of_open(error),
            Self::Store(StoreError::PastRetention(_)) => Exit::Refused,
            // Started again by itself, it would take what is there now for the store.
            Self::Service(AppError::Lost { .. }) => Exit::Refused,
            Self::BrokenOff { confirmed: 1.., .. } => Exit::SomeFailed,
            Self::Service(_)
            | Self::Store(_)
            | Self::Broker(_)
            | Self::BrokenOff { .. }
            | Self::Declined
            | Self::Unexpected(_) => Exit::Unexpected,
        }
    }

    /// What to do, where there is something to say that the text does not say itself.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::NotFound { hint, .. } | Self::Refused { hint, .. } => Some(hint.clone()),
            Self::Config(_) | Self::Init(_) | Self::Declined => None,
            Self::MovedOn { .. } => Some("look at it as it is now, and decide again".to_owned()),
            Self::Input(_) => Some("nothing was sent; `worker schema job` describes every field".to_owned()),
            Self::File { .. } => Some("look at the name and at who may read and write there".to_owned()),
            Self::Open(error) => Some(hint_of_open(error)),
            Self::Service(AppError::Listen { address, .. }) => {
                Some(format!("see who listens there with `ss -ltnp 'sport = :{}'`, or set http.listen", address.port()))
            }
            Self::Store(error) => hint_of_store(error),
            Self::Service(AppError::Custody(error)) => Some(hint_of_custody(error)),
            Self::Service(AppError::Lost { .. }) => Some(LOST.to_owned()),
            Self::Service(_) => {
                Some("start it again: what is on disk decides; `worker check` reads the whole store".to_owned())
            }
            Self::Broker(_) => Some("`worker check` looks at the broker step by step".to_owned()),
            Self::BrokenOff { .. } => {
                Some("send the same file again: what is known already is not topped up twice".to_owned())
            }
            Self::Unexpected(_) => None,
        }
    }

    /// `error:`, what happened with its causes, and a line `hint:`.
    #[must_use]
    pub fn report(&self, color: bool) -> String {
        let text = match self {
            // These have lines of their own.
            Self::Config(error) => error.to_string(),
            Self::Init(error) => error.to_string(),
            Self::Input(error) => error.to_string(),
            Self::Unexpected(error) => format!("{error:#}"),
            other => chain(other),
        };
        let mut report = String::new();
        for (index, line) in text.lines().enumerate() {
            let head = if index == 0 { "error: " } else { "" };
            push_line(&mut report, head, line, color);
        }
        if let Some(hint) = self.hint() {
            push_line(&mut report, "", &format!("hint: {hint}"), color);
        }
        report
    }
}

fn push_line(report: &mut String, head: &str, line: &str, color: bool) {
    let (hint, line) = line.strip_prefix("hint:").map_or(("", line), |rest| ("hint:", rest));
    for (word, code) in [(head, "1;31"), (hint, "1;36")] {
        match (word, color) {
            ("", _) => {}
            (word, true) => report.push_str(&format!("\u{1b}[{code}m{word}\u{1b}[0m")),
            (word, false) => report.push_str(word),
        }
    }
    report.push_str(line);
    report.push('\n');
}

const fn exit_of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::Locked { .. }
        | OpenError::Missing(_)
        | OpenError::NoSchema(_)
        | OpenError::Orphan { .. }
        | OpenError::Network { .. }
        | OpenError::InTheWay(_)
        | OpenError::Foreign(_)
        | OpenError::TooOld { .. }
        | OpenError::Unreleased { .. } => Exit::Usage,
        _ => Exit::Unexpected,
    }
}

fn hint_of_open(error: &OpenError) -> String {
    match error {
        OpenError::Locked { pid: Some(pid), .. } => {
            format!("one worker a store: stop process {pid}, or give this one its own store.url")
        }
        OpenError::Locked { pid: None, .. } => "one worker a store: stop the other one, or set store.url".to_owned(),
        OpenError::Missing(_) => "`worker run` and `worker submit` make it; look at store.url and at -c".to_owned(),
        OpenError::NoSchema(_) => {
            "it is not used as a new store: put the whole store here, its -wal too; `worker store restore \
                                   FILE` puts a backup back. Where there never was one, remove the empty file"
                .to_owned()
        }
        OpenError::Orphan { log, .. } => format!(
            "put the file back beside its {}; where it is lost, move that away and say `worker store restore FILE`",
            log.display()
        ),
        OpenError::InTheWay(_) => "name another file: nothing is written over".to_owned(),
        OpenError::InUse(_) => "let the other command end, and say it again".to_owned(),
        OpenError::Moved { .. } => {
            "look at what moves or replaces the store; `worker store info` says what is there now".to_owned()
        }
        OpenError::Network { .. } => {
            "put the store on a local disk of this machine, and set store.url to it".to_owned()
        }
        OpenError::Foreign(_) => "store.url names another file than it should".to_owned(),
        OpenError::TooNew { .. } => "use the version of this program that wrote it, or a newer one".to_owned(),
        OpenError::Unreleased { .. } => {
            "keep the file, let the version that made it work off its jobs, and set store.url to a new one".to_owned()
        }
        OpenError::TooOld { .. } => "start `worker run` once: it brings the file to this version".to_owned(),
        OpenError::Setting { .. } => {
            "put the store on a local disk; network file systems cannot keep its promises".to_owned()
        }
        OpenError::Damaged { .. } => {
            "stop everything that uses it and keep a copy of the file before anything else".to_owned()
        }
        OpenError::Io { .. } | OpenError::Sqlite { .. } => {
            "look at who may read and write the store and its folder, and at the room on the disk".to_owned()
        }
    }
}

fn hint_of_custody(error: &CustodyError) -> String {
    match error {
        CustodyError::Foreign { .. } => "set store.url to the store that it belongs to; where that store is gone for good, \
            `worker store adopt --reason TEXT` takes the namespace over, and this store then asks about everything first. A \
            store that holds no jobs may have another amqp.namespace"
            .to_owned(),
        CustodyError::Elsewhere { namespace, .. } => format!(
            "set amqp.namespace to {namespace} again; where nothing else will send what this store holds (no copy of it, and not \
             the store that has {namespace} now), `worker store adopt --reason TEXT` under this configuration lets it go on: \
             it then asks about everything first"
        ),
        CustodyError::Unknown { namespace, .. } => format!(
            "a newer version may have made it, or somebody else: look at `rabbitmqctl list_exchanges name type arguments`; \
             `worker store adopt --reason TEXT` replaces the exchange {namespace}.custodian"
        ),
        CustodyError::Beside { .. } | CustodyError::Behind { .. } => {
            "start it again: it asks about everything first then, until `worker store reconciled`".to_owned()
        }
    }
}
/// What to do where the file is not the store any more.
const LOST: &str = "nothing was acknowledged or sent since then; keep what is there, put the store's own files back, or say \
                    `worker store restore FILE` with the last backup (docs/runbook.md)";

fn hint_of_store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Full => Some("make room on the disk; nothing was written".to_owned()),
        error if error.is_of_a_lost_file() => Some(LOST.to_owned()),
        StoreError::Busy => Some("try again; nothing was written".to_owned()),
        StoreError::Unreadable { .. } => Some("`worker check` reads the whole store".to_owned()),
        StoreError::PastRetention(key) => Some(format!("`worker jobs show {key}` says what is still known of it")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_codes_are_the_contracts() {
        let all = [
            Exit::Done,
            Exit::Unexpected,
            Exit::Usage,
            Exit::SomeFailed,
            Exit::NotFound,
            Exit::Refused,
            Exit::Interrupted,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 130]);
    }

    #[test]
    fn a_store_that_another_worker_has_names_it_and_ends_with_two() {
        let held = OpenError::Locked { path: "/var/lib/worker.db".into(), pid: Some(4711), since: None };
        let error = CommandError::from(AppError::Open(held));
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(
            error.report(false),
            "error: failed to open the store: /var/lib/worker.db is held by process 4711\n\
             hint: one worker a store: stop process 4711, or give this one its own store.url\n"
        );
    }

    #[test]
    fn a_store_of_before_a_change_of_the_schema_says_what_to_do_with_it() {
        let old = OpenError::Unreleased { path: "worker.db".into(), what: "job_states is another".to_owned() };
        let error = CommandError::from(AppError::Open(old));
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(
            error.report(false),
            "error: failed to open the store: worker.db was made by an unreleased version of this program: job_states is \
             another\nhint: keep the file, let the version that made it work off its jobs, and set store.url to a new one\n"
        );
    }

    #[test]
    fn m13_a_store_that_was_lost_ends_with_five_and_says_what_happened_and_what_to_do() {
        let detail = "the file is not the store any more: /var/lib/worker.db was removed or moved away".to_owned();
        let error = CommandError::from(AppError::Lost { detail: detail.clone() });
        assert_eq!(error.exit(), Exit::Refused);
        let report = error.report(false);
        assert!(report.starts_with(&format!("error: the store was lost while running: {detail}\nhint: ")), "{report}");
        let command = CommandError::Store(StoreError::Failed(detail));
        assert!(command.report(false).contains("worker store restore FILE"), "a command that meets it says the same");
    }

    #[test]
    fn m13_c1_a_store_of_another_namespace_ends_with_five_and_says_which_command_lets_it_go_on() {
        let [ours, namespace] = ["0123456789abcdef", "topup"].map(str::to_owned);
        let (since, refused_at) = (Some(snap_core::Timestamp::from_millis(1_795_316_400_000)), None);
        let configured = Some("other".to_owned());
        let elsewhere = CustodyError::Elsewhere { ours, namespace, since, refused_at, configured };
        let error = CommandError::from(AppError::Custody(elsewhere));
        assert_eq!(error.exit(), Exit::Refused);
        assert_eq!(
            error.report(false),
            "error: store 0123456789abcdef belongs to namespace topup since 2026-11-22 10:00:00, and holds what may be paid \
             there; the configuration names namespace other\n\
             hint: set amqp.namespace to topup again; where nothing else will send what this store holds (no copy of it, and \
             not the store that has topup now), `worker store adopt --reason TEXT` under this configuration lets it go on: it \
             then asks about everything first\n"
        );
    }

    /// The way from one namespace to another is an operator's, where there are jobs.
    #[test]
    fn m13_c1_the_hint_for_a_foreign_namespace_sends_no_store_with_jobs_elsewhere() {
        let [namespace, ours, store] = ["topup", "0123456789abcdef", "fedcba9876543210"].map(str::to_owned);
        let error = AppError::Custody(CustodyError::Foreign { namespace, ours, store, since: None });
        let hint = CommandError::from(error).hint().unwrap();
        assert!(hint.contains("worker store adopt --reason TEXT"), "{hint}");
        assert!(hint.ends_with("A store that holds no jobs may have another amqp.namespace"), "{hint}");
    }

    #[test]
    fn every_hint_stands_on_a_line_of_its_own() {
        let error = CommandError::Open(OpenError::Missing(PathBuf::from("worker.db")));
        let report = error.report(false);
        assert!(report.lines().last().is_some_and(|line| line.starts_with("hint: ")), "{report}");
    }

    #[test]
    fn an_expected_error_stays_expected_inside_anyhow() {
        let wrapped = anyhow::Error::new(CommandError::usage("no such file", "name another"));
        let error = CommandError::from(wrapped);
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(CommandError::from(anyhow::anyhow!("boom")).exit(), Exit::Unexpected);
    }

    #[test]
    fn colour_is_only_added() {
        let error = CommandError::usage("a", "b");
        let plain = error.report(true).replace("\u{1b}[1;31m", "").replace("\u{1b}[1;36m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, error.report(false));
    }
}
