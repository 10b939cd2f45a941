//! `worker provider`: the lanes, as the store knows them, beside a running worker and without one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use outbox::{Lane, LanePause, PauseCause, StateTotal, Total};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use super::act::{Actor, ask};
use super::jobs::Rupiah;
use super::{Desk, stdout};
use crate::cli::{ProviderActArgs, ProviderCommand};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Table, Tone, age, counted, moment, rupiah};

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError::NotFound`] for a provider nobody knows, [`CommandError::Declined`], or any failure of the store.
pub async fn run(command: &ProviderCommand, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    match command {
        ProviderCommand::List => list(desk).await?,
        ProviderCommand::Pause(args) => act(args, desk, Wish::Pause).await?,
        ProviderCommand::Resume(args) => act(args, desk, Wish::Resume).await?,
    }
    Ok(Exit::Done)
}

/// Money that waits behind a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    jobs: u64,
    amount: Total,
}

#[derive(Serialize)]
struct WaitingView {
    jobs: u64,
    amount: Rupiah,
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        Self { jobs: waiting.jobs, amount: waiting.amount.into() }
    }
}

/// A lane by the contract's words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaneView {
    provider: String,
    state: &'static str,
    /// `operator`, or the fault it stands for.
    cause: Option<&'static str>,
    by: Option<String>,
    reason: Option<String>,
    since: Option<String>,
    /// Null where it moves, and where only an operator resumes it.
    next_probe_at: Option<String>,
    /// What is not finished and needs no person.
    waiting: WaitingView,
    /// False for a lane in the store whose provider is not configured any more: nobody works on its jobs.
    configured: bool,
}

impl LaneView {
    fn new(lane: &Lane, waiting: Waiting, configured: bool) -> Self {
        let pause = lane.pause.as_ref();
        let operator = pause.and_then(|pause| match &pause.cause {
            PauseCause::Operator { by, reason } => Some((by.clone(), reason.clone())),
            PauseCause::Fault(_) => None,
        });
        let (by, reason) = operator.unzip();
        Self {
            provider: lane.provider.clone(),
            state: if pause.is_some() { "paused" } else { "moving" },
            cause: pause.map(cause),
            by,
            reason,
            since: pause.map(|pause| pause.at.to_rfc3339()),
            next_probe_at: pause.and_then(|pause| pause.probe_at).map(Timestamp::to_rfc3339),
            waiting: waiting.into(),
            configured,
        }
    }
}

fn cause(pause: &LanePause) -> &'static str {
    match &pause.cause {
        PauseCause::Operator { .. } => "operator",
        PauseCause::Fault(fault) => fault.as_str(),
    }
}

async fn waiting(desk: &Desk<'_>) -> Result<BTreeMap<String, Waiting>, CommandError> {
    let mut waiting: BTreeMap<String, Waiting> = BTreeMap::new();
    for StateTotal { provider, state, count, amount, .. } in desk.store.open_totals().await? {
        if state != "dead" {
            let sum = waiting.entry(provider).or_default();
            *sum = Waiting { jobs: sum.jobs + count, amount: sum.amount.plus(amount) };
        }
    }
    Ok(waiting)
}

async fn list(desk: &Desk<'_>) -> Result<(), CommandError> {
    let waiting = waiting(desk).await?;
    let stored = desk.store.lanes().await?;
    let configured = |name: &str| desk.config.providers.contains_key(name);
    let names: BTreeSet<&str> = desk
        .config
        .providers
        .keys()
        .chain(waiting.keys())
        .map(String::as_str)
        .chain(stored.iter().map(|lane| lane.provider.as_str()))
        .collect();
    let mut lanes = Vec::with_capacity(names.len());
    for name in names {
        let lane = stored.iter().find(|lane| lane.provider == name).cloned();
        lanes.push(lane.unwrap_or_else(|| Lane { provider: name.to_owned(), pause: None, version: 0 }));
    }
    let sum = |lane: &Lane| waiting.get(&lane.provider).copied().unwrap_or_default();
    let items: Vec<_> = lanes.iter().map(|lane| LaneView::new(lane, sum(lane), configured(&lane.provider))).collect();
    let table = || {
        let mut table = Table::new([
            Column::left("PROVIDER"),
            Column::left("LANE"),
            Column::right("FOR"),
            Column::right("WAITING"),
            Column::right("AMOUNT"),
            Column::left("NEXT PROBE"),
            Column::left("WHY"),
        ]);
        for lane in &lanes {
            table.row(row(lane, sum(lane), configured(&lane.provider), desk.now));
        }
        table
    };
    desk.output.list("providers", &items, None, table).map_err(stdout)
}

fn row(lane: &Lane, waiting: Waiting, configured: bool, now: Timestamp) -> [Cell; 7] {
    let pause = lane.pause.as_ref();
    let state = match (pause, configured) {
        (Some(pause), _) => Cell::toned(cause(pause), Tone::Bad),
        (None, true) => Cell::toned("moving", Tone::Good),
        (None, false) => Cell::toned("not configured", Tone::Notice),
    };
    let probe = match pause {
        // Written when it was planned; one that is due is under way, or nobody runs.
        Some(LanePause { probe_at: Some(at), .. }) if *at > now => format!("in {}", age(at.since(now))),
        Some(LanePause { probe_at: Some(at), .. }) => format!("due {} ago", age(now.since(*at))),
        _ => "-".to_owned(),
    };
    let why = match pause.map(|pause| &pause.cause) {
        Some(PauseCause::Operator { by, reason }) => format!("{by}: {reason}"),
        Some(PauseCause::Fault(fault)) => format!("`worker explain {fault}`"),
        None => String::new(),
    };
    [
        Cell::new(&lane.provider),
        state,
        Cell::new(pause.map_or_else(String::new, |pause| age(now.since(pause.at)))),
        Cell::new(waiting.jobs.to_string()),
        Cell::new(rupiah(waiting.amount.minor())),
        Cell::new(probe),
        Cell::new(why),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Pause,
    Resume,
}

/// What a command did, or would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(flatten)]
    lane: LaneView,
    changed: bool,
    dry_run: bool,
}

async fn act(args: &ProviderActArgs, desk: &Desk<'_>, wish: Wish) -> Result<(), CommandError> {
    let before = known(&args.name, desk).await?;
    let waiting = waiting(desk).await?.get(&args.name).copied().unwrap_or_default();
    let is_there_already = match wish {
        Wish::Pause => before.is_paused_by_operator(),
        Wish::Resume => before.pause.is_none(),
    };
    let (after, changed) = if is_there_already {
        desk.output.say(&already(&before, wish));
        (before, false)
    } else {
        desk.output.say(&preview(&before, waiting, wish));
        if args.act.dry_run {
            (before, false)
        } else {
            let question = match wish {
                Wish::Pause => format!("pause {}?", args.name),
                Wish::Resume => format!("resume {}?", args.name),
            };
            ask(&args.act, desk.output, &question)?;
            (change(args, desk, wish, &before, waiting).await?, true)
        }
    };
    let configured = desk.config.providers.contains_key(&args.name);
    let done = Done { lane: LaneView::new(&after, waiting, configured), changed, dry_run: args.act.dry_run };
    let text = || match (changed, &after.pause) {
        (false, _) => String::new(),
        (true, Some(_)) => format!("{} is paused\n", args.name),
        (true, None) => format!("{} is resumed\n", args.name),
    };
    desk.output.object(&done, text).map_err(stdout)
}

/// A lane of the configuration, or one the store remembers.
async fn known(name: &str, desk: &Desk<'_>) -> Result<Lane, CommandError> {
    let lane = desk.store.lane(name).await?;
    if lane.version == 0 && !desk.config.providers.contains_key(name) {
        let names: Vec<_> = desk.config.providers.keys().map(String::as_str).collect();
        let hint = format!("configured: {}", names.join(", "));
        return Err(CommandError::NotFound { what: format!("provider {name}"), hint });
    }
    Ok(lane)
}

fn already(lane: &Lane, wish: Wish) -> String {
    match (&lane.pause, wish) {
        (Some(LanePause { cause: PauseCause::Operator { by, reason }, at, .. }), Wish::Pause) => {
            format!("{} is paused already, by {by} since {}: {reason}", lane.provider, moment(*at))
        }
        _ => format!("{} is not paused", lane.provider),
    }
}

fn preview(lane: &Lane, waiting: Waiting, wish: Wish) -> String {
    let money = format!("{}, {}", counted(waiting.jobs, "job"), rupiah(waiting.amount.minor()));
    match (wish, &lane.pause) {
        (Wish::Pause, _) => {
            format!(
                "{}: {money} wait or are under way and will stand until an operator resumes the lane",
                lane.provider
            )
        }
        (Wish::Resume, Some(pause)) => format!(
            "{} stands since {} ({}): {money} wait and will be worked on",
            lane.provider,
            moment(pause.at),
            cause(pause)
        ),
        (Wish::Resume, None) => String::new(),
    }
}

async fn change(
    args: &ProviderActArgs,
    desk: &Desk<'_>,
    wish: Wish,
    before: &Lane,
    waiting: Waiting,
) -> Result<Lane, CommandError> {
    let actor = Actor::of(&args.act, desk.environment);
    let shown = json!({
        "waitingJobs": waiting.jobs,
        "waitingAmount": waiting.amount.to_string(),
        "before": before.pause.as_ref().map(cause),
    });
    let (action, pause) = match wish {
        Wish::Pause => {
            let cause = PauseCause::Operator { by: actor.by.clone(), reason: actor.reason.clone() };
            ("provider_pause", Some(LanePause { cause, at: desk.now, probe_at: None }))
        }
        Wish::Resume => ("provider_resume", None),
    };
    let audit = actor.audit(desk.now, action, &args.name, shown);
    let Some(lane) = desk.store.operate_lane(before.clone(), pause, audit).await? else {
        let now = desk.store.lane(&args.name).await?;
        let what = match &now.pause {
            Some(LanePause { cause: PauseCause::Operator { by, reason }, .. }) => {
                format!("{} is paused by {by} now: {reason}", args.name)
            }
            Some(pause) => format!("{} is paused now ({})", args.name, cause(pause)),
            None => format!("{} is not paused now", args.name),
        };
        return Err(CommandError::MovedOn { what });
    };
    Ok(lane)
}
