//! `worker dlq edit`: a refused message, mended, goes through the same intake as any delivery. Of a job only what no attempt
//! has made true yet is amended.

use std::io::Read as _;
use std::path::Path;

use outbox::{Accepted, DeadLetter, DeadLetterId, Delivered, Duplicate, JobRequest, StoreError, StoredJob};
use serde::Serialize;
use serde_json::{Value, json};
use snap_core::{CustomerNumber, PartnerReferenceNo};

use super::amend;
use super::choice::named;
use super::close::must_be_open;
use super::shown::{job_of, moved_on};
use crate::app::config_providers;
use crate::cli::DlqEditArgs;
use crate::exit::{CommandError, Exit};
use crate::intake::{Asked, body_of, new_job};
use crate::message::{self, BODY_MAX};
use crate::ops::act::{Actor, ask};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, stdout};
use crate::output::rupiah;
use crate::replay::carried;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edited {
    id: String,
    partner_reference_no: String,
    provider: String,
    amount: Rupiah,
    /// `accepted`, `duplicate`, `conflict`, `amended`, or `planned` in a dry run.
    result: &'static str,
    /// What an amendment changes of a job.
    fields: Vec<&'static str>,
    /// The dead letter that took this one's place.
    dead_letter_id: Option<String>,
    dry_run: bool,
}

pub(super) async fn edit(args: &DlqEditArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let letter = named(std::slice::from_ref(&args.id), desk).await?.remove(0);
    must_be_open(&letter)?;
    if let Some(job) = job_of(&letter, desk).await? {
        return amend_job(args, &letter, &job, desk).await;
    }
    let Some(delivered) = letter.delivered.clone() else { return Err(locked(&letter)) };
    let text = written(args, &delivered.body, desk)?;
    let request = read(&text, desk)?;
    desk.output.say(&format!(
        "{} takes the place of {}: {} of {} for {}",
        request.partner_reference_no,
        letter.id,
        rupiah(request.amount.minor().into()),
        request.provider,
        request.customer_number.masked()
    ));
    say_what_differs(&letter, &delivered.body, &text, &request, desk).await?;
    if args.act.dry_run {
        return tell(&letter, &request, ("planned", None), &[], true, desk);
    }
    ask(&args.act, desk.output, "take it in?")?;
    let became = take_in(&text, &request, &delivered, &letter, args, desk).await?;
    tell(&letter, &request, became, &[], false, desk)
}

/// What differs from the message that came, and what else is worth a second thought: this is how a wish becomes another.
async fn say_what_differs(
    letter: &DeadLetter,
    before: &[u8],
    after: &[u8],
    request: &JobRequest,
    desk: &Desk<'_>,
) -> Result<(), CommandError> {
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or_default();
    let (before, after) = (read(before), read(after));
    for name in message::FIELDS {
        if before[name] != after[name] {
            desk.output.say(&format!("  {name}: {} -> {}", shown(name, &before[name]), shown(name, &after[name])));
        }
    }
    let claimed = letter.claimed_reference.as_deref();
    if let Some(claimed) = claimed.filter(|claimed| *claimed != request.partner_reference_no.as_str()) {
        desk.output.say(&format!("the message claims to be {claimed}: with another reference it is another wish"));
        let first = PartnerReferenceNo::parse(claimed).ok();
        let first = match &first {
            Some(first) => desk.store.timeline(first).await?,
            None => None,
        };
        if let Some(first) = first {
            let state = first.job.state();
            desk.output.say(&format!("{claimed} is a job, {state}: this is a second top-up beside it"));
        }
    }
    if request.not_after.is_some_and(|at| at < desk.now) {
        desk.output.say("its notAfter has passed: it will end as rejected, and nothing is sent");
    }
    Ok(())
}

/// A member's value for people: of customers only as much as a list shows.
fn shown(name: &str, value: &Value) -> String {
    match (name, value) {
        (_, Value::Null) => "(none)".to_owned(),
        ("customerNumber", Value::String(number)) => {
            CustomerNumber::parse(number).map_or_else(|_form| "(unreadable)".to_owned(), |number| number.masked())
        }
        ("customerName" | "beneficiaryEmail" | "notes" | "metadata", _) => "(not shown)".to_owned(),
        (_, value) => crate::text::printable(&value.to_string()),
    }
}

/// What the operator wrote.
fn written(args: &DlqEditArgs, before: &[u8], desk: &Desk<'_>) -> Result<Vec<u8>, CommandError> {
    match &args.file {
        Some(file) => from_file(file),
        None => in_editor(before, desk),
    }
}

async fn amend_job(
    args: &DlqEditArgs,
    letter: &DeadLetter,
    job: &StoredJob,
    desk: &Desk<'_>,
) -> Result<Exit, CommandError> {
    // Before anybody writes anything.
    amend::amended(job, &job.request, desk).map_err(|_illegal| locked(letter))?;
    let request = read(&written(args, &amend::as_message(&job.request), desk)?, desk)?;
    let fields = amend::changed(&job.request, &request)?;
    if fields.is_empty() {
        return Err(CommandError::Declined);
    }
    desk.output.say(&format!(
        "amend {} of {} ({}); its dead letter stays open until it is replayed",
        fields.join(", "),
        job.request.partner_reference_no,
        rupiah(job.request.amount.minor().into())
    ));
    if args.act.dry_run {
        return tell(letter, &request, ("planned", None), &fields, true, desk);
    }
    ask(&args.act, desk.output, "amend it?")?;
    let actor = Actor::of(&args.act, desk.environment);
    match amend::record(letter, job, &request, &fields, &actor, desk).await {
        Err(CommandError::Store(StoreError::Fenced { .. })) => return Err(moved_on(letter, desk).await),
        recorded => recorded?,
    }
    tell(letter, &request, ("amended", None), &fields, false, desk)
}

/// Identity and amount of what may have been sent are locked, and so is the rest of a job.
fn locked(letter: &DeadLetter) -> CommandError {
    let sent = match letter.money_state {
        engine::MoneyState::NeverSent => "was taken in",
        _ => "may have been sent",
    };
    CommandError::Refused {
        what: format!("{} is a job, which {sent} as it is: all of it is locked", letter.id),
        hint: "`worker dlq show ID` says what may be done".to_owned(),
    }
}

fn from_file(file: &Path) -> Result<Vec<u8>, CommandError> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(BODY_MAX as u64 + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(BODY_MAX as u64 + 1).read_to_end(&mut text))
    };
    read.map_err(|source| CommandError::io(format!("read {}", file.display()), source))?;
    Ok(text)
}

/// The body as it came, in the operator's editor; what they wrote stays behind where it cannot be used.
fn in_editor(before: &[u8], desk: &Desk<'_>) -> Result<Vec<u8>, CommandError> {
    let editor = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| desk.environment.get(name));
    let Some(editor) = editor.map(str::trim).find(|editor| !editor.is_empty()) else {
        return Err(CommandError::usage("no editor is set", "set EDITOR, or give the mended message with --file"));
    };
    let name = std::env::temp_dir().join(format!("dead-letter-{}.json", desk.clock.ulid()));
    write_private(&name, before).map_err(|source| CommandError::io(format!("write {}", name.display()), source))?;
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(editor);
    let ended = std::process::Command::new(program).args(words).arg(&name).status();
    let ended = ended.map_err(|source| CommandError::io(format!("start {program}"), source))?;
    let text = std::fs::read(&name).map_err(|source| CommandError::io(format!("read {}", name.display()), source))?;
    if !ended.success() || text == before {
        drop(std::fs::remove_file(&name));
        return Err(CommandError::Declined);
    }
    // Only what can be used needs not be kept: it is written nowhere else.
    match read(&text, desk) {
        Ok(_) => drop(std::fs::remove_file(&name)),
        Err(_told_by_the_caller) => desk.output.say(&format!("what you wrote is kept in {}", name.display())),
    }
    Ok(text)
}

fn write_private(name: &Path, body: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(name)?.write_all(body)
}

/// As the intake reads it.
fn read(text: &[u8], desk: &Desk<'_>) -> Result<JobRequest, CommandError> {
    let providers = config_providers(&desk.config.providers, desk.config.default_provider.as_deref());
    message::parse(text, None, &providers).map_err(|refused| {
        CommandError::usage(
            format!("the message is still {}: {}", refused.reason.as_str(), refused.detail),
            "nothing was changed; `worker schema job` describes every field",
        )
    })
}

async fn take_in(
    text: &[u8],
    request: &JobRequest,
    delivered: &Delivered,
    letter: &DeadLetter,
    args: &DlqEditArgs,
    desk: &Desk<'_>,
) -> Result<(&'static str, Option<DeadLetterId>), CommandError> {
    let Some(provider) = desk.config.providers.get(&request.provider) else {
        return Err(CommandError::Refused {
            what: format!("provider {} is not configured", request.provider),
            hint: "configure it first".to_owned(),
        });
    };
    // M12: it may have been taken in, and that was forgotten.
    let perhaps_sent = desk.store.perhaps_sent(letter.dead_at).await?;
    let (body, properties, headers) = (text.to_vec(), delivered.properties.clone(), delivered.headers.clone());
    let asked = Asked {
        request: request.clone(),
        carried: carried(delivered),
        delivered: move || body_of(&body, properties.clone(), headers.clone()),
        due_at: Some(desk.now),
        at: desk.now,
    };
    let mut job = new_job(desk.clock, &provider.policy(), asked, perhaps_sent);
    let shown = json!({
        "partnerReferenceNo": request.partner_reference_no.as_str(),
        "amount": request.amount.to_string(),
        "provider": request.provider,
        "reason": letter.reason.as_str(),
    });
    job.closes = Some(letter.id.clone());
    job.audit = Some(Actor::of(&args.act, desk.environment).audit(desk.now, "dlq_edit", letter.id.as_str(), shown));
    let became = match desk.store.accept(vec![job]).await {
        // Another operator was there first: it is closed, or has given way to another one.
        Err(StoreError::DeadLetterState { why, .. }) => {
            return Err(CommandError::MovedOn { what: format!("the dead letter {why}") });
        }
        became => became?.pop(),
    };
    Ok(match became {
        Some(Accepted::Conflict { dead_letter, .. }) => ("conflict", Some(dead_letter)),
        Some(Accepted::Duplicate(Duplicate::Finished { .. } | Duplicate::Unfinished | Duplicate::Dead)) => {
            ("duplicate", None)
        }
        Some(Accepted::New(_)) | None => ("accepted", None),
    })
}

fn tell(
    letter: &DeadLetter,
    request: &JobRequest,
    (result, dead_letter): (&'static str, Option<DeadLetterId>),
    fields: &[&'static str],
    dry_run: bool,
    desk: &Desk<'_>,
) -> Result<Exit, CommandError> {
    let edited = Edited {
        id: letter.id.to_string(),
        partner_reference_no: request.partner_reference_no.to_string(),
        provider: request.provider.clone(),
        amount: request.amount.into(),
        result,
        fields: fields.to_vec(),
        dead_letter_id: dead_letter.as_ref().map(ToString::to_string),
        dry_run,
    };
    let text = || match (result, &dead_letter) {
        ("amended", _) => format!("{} is amended: `worker dlq replay {}`\n", request.partner_reference_no, letter.id),
        ("accepted", _) => format!("{} is a job now\n", request.partner_reference_no),
        ("duplicate", _) => format!("{} is a job already, with the same content\n", request.partner_reference_no),
        (_, Some(new)) => {
            format!("{} is taken by a job with other content: dead letter {new}\n", request.partner_reference_no)
        }
        _ => String::new(),
    };
    desk.output.object(&edited, text).map_err(stdout)?;
    Ok(if dead_letter.is_some() { Exit::Refused } else { Exit::Done })
}
