//! The command line: what is taken means what it says.

use clap::Parser as _;
use outbox::Total;
use snap_core::Timestamp;
use worker::cli::{Cli, Command, DlqCommand, DlqFilterArgs, JobsCommand, JobsFilterArgs, PlansCommand, TermsArgs};

use super::phone;
use crate::reading::{digit_runs, minor_units};

pub(super) const WORDS: &[&str] = &[
    "\n",
    "jobs\n",
    "list\n",
    "stats\n",
    "export\n",
    "watch\n",
    "dlq\n",
    "groups\n",
    "replay\n",
    "discard\n",
    "purge\n",
    "plans\nresume\n7\n",
    "--group=finpay/unresolved/5043800",
    "--group=-/malformed/-",
    "--rate=5/s",
    "--rate=1/h",
    "--rate=4294967295/s",
    "--max-amount=50000000",
    "--max-amount=0.50",
    "--since=3d",
    "--since=2026-11-22T10:00:00+07:00",
    "--until=1h",
    "--every=500ms",
    "--older-than=400d",
    "--limit=5",
    "--canary=3",
    "--max-failed=20",
    "--customer=081977817902",
    "--state=dead,ready",
    "--reason-code=unresolved",
    "--code=5043800",
    "--money=maybe_sent",
    "--reason=why",
    "--all",
    "--dry-run",
    "--yes",
    "-o=json",
    "--match=x",
    "--by=me",
    "--head=7:",
    "audit\nverify\n",
    "explain\n",
    "--service=38",
    "drill\n",
    "--set=rate_limit=5",
    "/",
    "=",
    "-",
    "\0",
    "\u{1b}",
    "é",
    "99999999999999999999",
];

const NOW: Timestamp = Timestamp::from_millis(1_795_312_800_000);

/// One argument a line.
pub(super) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let arguments: Vec<&str> = text.lines().take(16).collect();
    let cli = match Cli::try_parse_from([&["worker"], arguments.as_slice()].concat()) {
        Ok(cli) => cli,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    // Names and numbers of customers go into no log.
    let shown = format!("{cli:?}");
    for number in digit_runs(&text, 10).filter_map(phone::canonical) {
        assert!(!shown.contains(&format!("CustomerNumber({number})")), "{shown}");
    }
    match &cli.command {
        Command::Jobs(command) => jobs(command, &arguments),
        Command::Dlq(command) => dead_letters(command, &arguments),
        _ => {}
    }
}

/// The value of an option as it was given, last on the line or behind an equals sign; none where it was not, or twice.
fn given<'a>(arguments: &[&'a str], option: &str) -> Option<&'a str> {
    let inline = |at: usize| arguments[at].strip_prefix(option).and_then(|rest| rest.strip_prefix('='));
    let value = |at: usize| inline(at).or_else(|| (arguments[at] == option).then(|| arguments.get(at + 1).copied())?);
    let mut all = (0..arguments.len()).filter_map(value);
    all.next().filter(|_| all.next().is_none())
}

fn jobs(command: &JobsCommand, arguments: &[&str]) {
    let filter = match command {
        JobsCommand::List(args) => &args.filter,
        JobsCommand::Stats(args) => &args.filter,
        JobsCommand::Export(args) => &args.filter,
        JobsCommand::Watch(args) => {
            let every = given(arguments, "--every").map(|text| super::ids::milliseconds(text).expect("it was taken"));
            assert!(every.is_none_or(|every| every == args.every.as_millis()), "{every:?} is {:?}", args.every);
            &args.filter
        }
        JobsCommand::Show(_) => return,
    };
    jobs_filter(filter, arguments);
}

fn jobs_filter(filter: &JobsFilterArgs, arguments: &[&str]) {
    let resolved = filter.at(NOW);
    assert_eq!(resolved.customer, filter.customer);
    if let (Some(customer), Some(text)) = (&resolved.customer, given(arguments, "--customer")) {
        assert_eq!(Some(customer.expose().to_owned()), phone::canonical(text));
    }
    is_that_moment(resolved.since, given(arguments, "--since"));
    is_that_moment(resolved.until, given(arguments, "--until"));
}

fn is_that_moment(resolved: Option<Timestamp>, text: Option<&str>) {
    let (Some(at), Some(text)) = (resolved, text) else { return };
    match super::ids::milliseconds(text) {
        Some(span) => assert!(at <= NOW && (span > 4_000_000_000_000 || at.since(NOW).is_zero()), "{text} is {at:?}"),
        None => assert_eq!(Timestamp::parse_rfc3339(text), Ok(at), "{text}"),
    }
}

fn dead_letters(command: &DlqCommand, arguments: &[&str]) {
    match command {
        DlqCommand::Groups(args) => dead_filter(&args.filter, arguments),
        DlqCommand::List(args) => dead_filter(&args.filter, arguments),
        DlqCommand::Check(args) | DlqCommand::Discard(args) => {
            dead_filter(&args.choice.filter, arguments);
            is_signed(args.act.reason.as_deref(), args.act.dry_run);
        }
        DlqCommand::Replay(args) => {
            dead_filter(&args.choice.filter, arguments);
            terms(&args.terms, arguments);
            is_signed(args.act.reason.as_deref(), args.act.dry_run);
        }
        DlqCommand::Plans(PlansCommand::Resume(args)) => {
            is_that_much(args.max_amount, given(arguments, "--max-amount"));
        }
        DlqCommand::Purge(args) => {
            let span = given(arguments, "--older-than").and_then(super::ids::milliseconds);
            assert!(
                span.is_none_or(|span| span == args.older_than.as_millis()),
                "purge older than {:?}",
                args.older_than
            );
        }
        _ => {}
    }
}

/// What changes something has a reason, of one line.
fn is_signed(reason: Option<&str>, dry_run: bool) {
    assert!(dry_run || reason.is_some(), "acts without a reason");
    assert!(reason.is_none_or(|reason| !reason.trim().is_empty() && !reason.contains(char::is_control)), "{reason:?}");
}

fn dead_filter(filter: &DlqFilterArgs, arguments: &[&str]) {
    let resolved = filter.at(NOW);
    is_that_moment(resolved.since, given(arguments, "--since"));
    is_that_moment(resolved.until, given(arguments, "--until"));
    if let Some(code) = &resolved.response_code {
        assert!(code.len() == 7 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    }
    let Some(group) = &filter.group else { return };
    let written = group.to_string();
    assert!(given(arguments, "--group").is_none_or(|text| text == written), "{written} is another group");
    let again = Cli::try_parse_from(["worker", "dlq", "list", "--group", &written]);
    let Ok(Cli { command: Command::Dlq(DlqCommand::List(again)), .. }) = again else { panic!("{written} is no group") };
    assert_eq!(again.filter.group.as_ref(), Some(group));
}

fn terms(terms: &TermsArgs, arguments: &[&str]) {
    assert!(terms.rate.interval_us >= 1 && terms.max_failed <= 100 && terms.limit != Some(0));
    is_that_much(terms.max_amount, given(arguments, "--max-amount"));
    let Some((count, unit)) = given(arguments, "--rate").and_then(|rate| rate.split_once('/')) else { return };
    let count: i64 = count.parse().expect("it was taken");
    let unit = match unit {
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        other => panic!("a rate by {other}"),
    };
    // Never more than was asked for in a unit, but for what a microsecond cannot tell apart.
    assert!(terms.rate.interval_us * count <= unit || terms.rate.interval_us == 1, "{count} in {unit}");
    assert!((terms.rate.interval_us + 1) * count > unit, "{count} in {unit} are fewer");
}

fn is_that_much(read: Option<Total>, text: Option<&str>) {
    let (Some(read), Some(text)) = (read, text) else { return };
    let expected = minor_units(text).map(Total::from_minor);
    assert_eq!(Some(read), expected, "{text} rupiah");
    assert!(text.split_once('.').is_none_or(|(_, decimals)| decimals.len() == 2), "{text}");
}
