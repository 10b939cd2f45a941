//! What every command does that changes something: say what it will touch, ask, and leave a trace of who and why.

use outbox::NewAudit;
use serde_json::{Value, json};
use snap_core::Timestamp;

use crate::cli::ActArgs;
use crate::config::Environment;
use crate::exit::CommandError;
use crate::output::{Answered, Output};

/// Who acts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    /// As given, or the login name.
    pub(super) by: String,
    /// In their words; empty for a dry run that gave none.
    pub(super) reason: String,
    host: String,
    uid: u32,
}

impl Actor {
    /// Who runs this process.
    pub(super) fn of(args: &ActArgs, environment: &Environment) -> Self {
        let uid = rustix::process::getuid().as_raw();
        // Behind sudo the person is the one who called it.
        let login = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| environment.get(name));
        let login = login.map(str::trim).find(|name| !name.is_empty()).map(str::to_owned);
        Self {
            by: args.by.clone().or(login).unwrap_or_else(|| format!("uid {uid}")),
            reason: args.reason.clone().unwrap_or_default(),
            host: host(environment),
            uid,
        }
    }

    /// The trail's row about doing `action` to `subject`; `more` is an object with what else there is to say.
    pub(super) fn audit(&self, at: Timestamp, action: &str, subject: &str, more: Value) -> NewAudit {
        let mut detail = json!({ "host": self.host, "uid": self.uid });
        if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
            detail.extend(more);
        }
        NewAudit {
            at,
            by: self.by.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: self.reason.clone(),
            detail,
        }
    }
}

pub(crate) fn host(environment: &Environment) -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter();
    let named = files
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .chain(environment.get("HOSTNAME").map(str::to_owned));
    let named = named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    named.unwrap_or_else(|| "unknown".to_owned())
}

/// Asks whether to go on, default no; `--yes` answers it.
///
/// # Errors
/// [`CommandError::Declined`], or [`CommandError::Usage`] where there is nobody to ask.
pub(super) fn ask(args: &ActArgs, output: &Output, question: &str) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    match output.ask(question) {
        Answered::Yes => Ok(()),
        Answered::No => Err(CommandError::Declined),
        Answered::NobodyThere => {
            let hint = "look at it with --dry-run first, then say --yes";
            Err(CommandError::usage("there is no terminal to ask on; nothing was changed", hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Format;
    use crate::exit::Exit;

    #[test]
    fn the_operator_is_who_says_so_else_who_logged_in() {
        let environment = Environment::from_iter([("USER", "root"), ("SUDO_USER", "sari")]);
        assert_eq!(Actor::of(&ActArgs::default(), &environment).by, "sari");
        let named = ActArgs { by: Some("budi".to_owned()), ..ActArgs::default() };
        assert_eq!(Actor::of(&named, &environment).by, "budi");
        assert!(Actor::of(&ActArgs::default(), &Environment::default()).by.starts_with("uid "));
    }

    #[test]
    fn the_trail_names_host_and_user_beside_what_was_done() {
        let args = ActArgs { reason: Some("why".to_owned()), by: Some("sari".to_owned()), ..ActArgs::default() };
        let entry = Actor::of(&args, &Environment::default()).audit(
            Timestamp::from_millis(7),
            "provider_pause",
            "finpay",
            json!({ "jobs": 2 }),
        );
        assert_eq!((entry.by.as_str(), entry.reason.as_str(), &entry.detail["jobs"]), ("sari", "why", &json!(2)));
        assert!(entry.detail["host"].is_string() && entry.detail["uid"].is_u64(), "{:?}", entry.detail);
    }

    #[test]
    fn without_a_terminal_and_without_yes_nothing_is_done() {
        let output = Output::captured(Format::Table);
        let error = ask(&ActArgs::default(), &output, "really?").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        ask(&ActArgs { yes: true, ..ActArgs::default() }, &output, "really?").unwrap();
    }
}
