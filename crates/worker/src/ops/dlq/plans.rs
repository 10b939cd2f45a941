//! `worker dlq plans`: replay plans, looked at, halted, resumed and ended.

use outbox::{NewPlanItem, Plan, PlanCounts, PlanId, PlanItem, PlanItemState, PlanPause, PlanState, StoreError, Total};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use super::replay::{tell, watch};
use crate::cli::{ActArgs, Page, PlanActArgs, PlanResumeArgs, PlanShowArgs, PlansCommand};
use crate::exit::{CommandError, Exit};
use crate::ops::act::{Actor, ask};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, stdout};
use crate::output::{Cell, Column, Table, Tone, age, counted, moment, rupiah};
use crate::replay::Rules;

pub(super) async fn run(command: &PlansCommand, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    match command {
        PlansCommand::List(page) => list(page, desk).await,
        PlansCommand::Show(args) => show(args, desk).await,
        PlansCommand::Pause(args) => act(args, Wish::Pause, desk).await,
        PlansCommand::Cancel(args) => act(args, Wish::Cancel, desk).await,
        PlansCommand::Resume(args) => resume(args, desk).await,
    }
}

/// A plan by the words of the store.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanView {
    id: i64,
    state: &'static str,
    pause_cause: Option<&'static str>,
    pause_detail: Option<String>,
    paused_at: Option<String>,
    by: String,
    reason: String,
    created_at: String,
    finished_at: Option<String>,
    count: u64,
    amount: Rupiah,
    released_amount: Rupiah,
    counts: CountsView,
    items_per_second: f64,
    canary: u64,
    max_failed_percent: u8,
    max_amount: Option<Rupiah>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    waiting: u64,
    refused: u64,
    skipped: u64,
    under_way: u64,
    succeeded: u64,
    rejected: u64,
    dead: u64,
    discarded: u64,
    expired: u64,
}

impl PlanView {
    pub(super) fn new(plan: &Plan) -> Self {
        let PlanCounts { items, waiting, refused, skipped, replayed, succeeded, rejected, dead, discarded, expired } =
            plan.counts;
        let pause = plan.pause.as_ref();
        Self {
            id: plan.id.0,
            state: plan.state.as_str(),
            pause_cause: pause.map(|(cause, ..)| cause.as_str()),
            pause_detail: pause.map(|(_, detail, _)| detail.clone()),
            paused_at: pause.map(|(.., at)| at.to_rfc3339()),
            by: plan.by.clone(),
            reason: plan.reason.clone(),
            created_at: plan.created_at.to_rfc3339(),
            finished_at: plan.finished_at.map(Timestamp::to_rfc3339),
            count: items,
            amount: plan.amount.into(),
            released_amount: plan.released.into(),
            counts: CountsView {
                waiting,
                refused,
                skipped,
                under_way: replayed,
                succeeded,
                rejected,
                dead,
                discarded,
                expired,
            },
            items_per_second: per_second(plan),
            canary: plan.terms.canary,
            max_failed_percent: plan.terms.max_failed_pct,
            max_amount: plan.terms.max_amount.map(Rupiah::from),
        }
    }
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a pace for people, no money")]
fn per_second(plan: &Plan) -> f64 {
    1_000_000.0 / plan.terms.interval_us as f64
}

/// An item by the words of the store.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemView {
    dead_letter_id: String,
    partner_reference_no: Option<String>,
    amount: Option<Rupiah>,
    money_state: &'static str,
    state: &'static str,
    detail: Option<String>,
    at: Option<String>,
}

impl ItemView {
    pub(super) fn of(item: &PlanItem) -> Self {
        Self {
            dead_letter_id: item.dead_letter.to_string(),
            partner_reference_no: item.reference.clone(),
            amount: item.amount.map(Rupiah::from),
            money_state: item.money_state.as_str(),
            state: state_word(item.state),
            detail: item.detail.clone(),
            at: Some(item.at.to_rfc3339()),
        }
    }

    pub(super) fn planned(item: &NewPlanItem, effect: &str) -> Self {
        Self {
            dead_letter_id: item.dead_letter.to_string(),
            partner_reference_no: item.reference.clone(),
            amount: item.amount.map(Rupiah::from),
            money_state: item.money_state.as_str(),
            state: if item.refused.is_some() { "refused" } else { "planned" },
            detail: Some(effect.to_owned()),
            at: None,
        }
    }
}

const fn state_word(state: PlanItemState) -> &'static str {
    match state {
        PlanItemState::Replayed => "under_way",
        other => other.as_str(),
    }
}

const fn tone_of(state: PlanState) -> Tone {
    match state {
        PlanState::Done => Tone::Good,
        PlanState::Paused => Tone::Bad,
        PlanState::Running => Tone::Notice,
        PlanState::Draft | PlanState::Cancelled => Tone::Faint,
    }
}

fn why(plan: &Plan) -> String {
    match &plan.pause {
        Some((PlanPause::Operator, detail, _)) => detail.clone(),
        Some((cause, detail, _)) => format!("{}: {detail}", cause.as_str()),
        None => plan.reason.clone(),
    }
}

async fn list(page: &Page, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let after = page.after.as_deref().map(number).transpose()?;
    let found = desk.store.plans(after, page.limit as usize).await?;
    let items: Vec<_> = found.items.iter().map(PlanView::new).collect();
    let next = found.next.map(|id| id.to_string());
    let table = || {
        let mut table = Table::new([
            Column::right("PLAN"),
            Column::left("STATE"),
            Column::right("LET GO"),
            Column::right("SUCCEEDED"),
            Column::right("FAILED"),
            Column::right("AMOUNT"),
            Column::left("BY"),
            Column::right("AGE"),
            Column::left("WHY"),
        ]);
        for plan in &found.items {
            let counts = &plan.counts;
            table.row([
                Cell::new(plan.id.to_string()),
                Cell::toned(plan.state.as_str(), tone_of(plan.state)),
                Cell::new(format!("{}/{}", counts.released(), counts.items - counts.refused)),
                Cell::new(counts.succeeded.to_string()),
                Cell::new(counts.failed().to_string()),
                Cell::new(rupiah(plan.released.minor())),
                Cell::new(&plan.by),
                Cell::new(age(desk.now.since(plan.created_at))),
                Cell::new(why(plan)),
            ]);
        }
        table
    };
    desk.output.list("replay plans", &items, next.as_deref(), table).map_err(stdout)?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    plan: PlanView,
    items: Vec<ItemView>,
    next: Option<String>,
}

async fn show(args: &PlanShowArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let plan = known(args.id, desk).await?;
    let after = args.page.after.as_deref().map(number).transpose()?.map(|after| after.0.unsigned_abs());
    let page = desk.store.plan_items(plan.id, after, args.page.limit as usize).await?;
    let shown = Shown {
        plan: PlanView::new(&plan),
        items: page.items.iter().map(ItemView::of).collect(),
        next: page.next.map(|next| next.to_string()),
    };
    let text = || {
        let color = desk.output.color();
        let mut table = Table::new([
            Column::left("DEAD LETTER / REFERENCE"),
            Column::left("MONEY"),
            Column::right("AMOUNT"),
            Column::left("STATE"),
            Column::left("DETAIL"),
        ]);
        for item in &page.items {
            let tone = match item.state {
                PlanItemState::Succeeded => Tone::Good,
                PlanItemState::Dead | PlanItemState::Rejected | PlanItemState::Refused => Tone::Bad,
                _ => Tone::Plain,
            };
            table.row([
                Cell::new(item.dead_letter.as_str()).below(Cell::maybe(item.reference.as_ref())),
                Cell::new(item.money_state.as_str()),
                Cell::new(item.amount.map_or_else(String::new, |amount| rupiah(amount.minor().into()))),
                Cell::toned(state_word(item.state), tone),
                Cell::maybe(item.detail.as_ref()),
            ]);
        }
        format!("{}\n{}", plan_text(&plan, desk.now, color), table.render(color))
    };
    desk.output.object(&shown, text).map_err(stdout)?;
    if let Some(next) = shown.next.filter(|_| desk.output.format() == crate::cli::Format::Table) {
        desk.output.say(&format!("there are more: --after {next}"));
    }
    Ok(Exit::Done)
}

/// How a plan stands, for people.
pub(super) fn plan_text(plan: &Plan, now: Timestamp, color: bool) -> String {
    let counts = &plan.counts;
    let of = |count: u64| (count > 0).then(|| count.to_string());
    let stands = plan
        .pause
        .as_ref()
        .map(|(cause, detail, at)| format!("{}: {detail} ({} ago)", cause.as_str(), age(now.since(*at))));
    let rate = std::time::Duration::from_micros(plan.terms.interval_us.unsigned_abs());
    let canary = (plan.terms.canary > 0).then(|| {
        let state = if plan.canary_passed { "succeeded" } else { "not through yet" };
        format!("{}, {state}", plan.terms.canary)
    });
    let facts = Table::facts([
        ("stands", stands),
        ("by", Some(format!("{}, {}: {}", plan.by, moment(plan.created_at), plan.reason))),
        ("items", Some(format!("{}, {}", counts.items, rupiah(plan.amount.minor())))),
        ("let go", Some(format!("{}, {}", counts.released(), rupiah(plan.released.minor())))),
        ("waiting", of(counts.waiting)),
        ("under way", of(counts.replayed)),
        ("succeeded", of(counts.succeeded)),
        ("rejected", of(counts.rejected)),
        ("dead again", of(counts.dead)),
        ("discarded", of(counts.discarded)),
        ("expired", of(counts.expired)),
        ("refused", of(counts.refused)),
        ("skipped", of(counts.skipped)),
        ("pace", (counts.waiting > 0).then(|| format!("one every {} ms", rate.as_millis()))),
        ("canaries", canary),
        ("stops", Some(stops(plan))),
        ("finished", plan.finished_at.map(moment)),
        ("next", next(plan)),
    ]);
    format!(
        "{}  {}\n\n{}",
        Tone::Strong.paint(&format!("plan {}", plan.id), color),
        tone_of(plan.state).paint(plan.state.as_str(), color),
        facts.render(color)
    )
}

fn stops(plan: &Plan) -> String {
    let amount = plan.terms.max_amount.map(|amount| format!(", past {}", rupiah(amount.minor()))).unwrap_or_default();
    format!("above {} % failures, at a new kind of death, when the lane stands{amount}", plan.terms.max_failed_pct)
}

fn next(plan: &Plan) -> Option<String> {
    let id = plan.id;
    let cause = plan.pause.as_ref().map(|(cause, ..)| *cause);
    Some(match plan.state {
        PlanState::Paused if cause == Some(PlanPause::Lane) => {
            format!("worker provider resume NAME, then worker dlq plans resume {id}, each with --reason …")
        }
        PlanState::Paused if cause == Some(PlanPause::MaxAmount) => {
            format!("worker dlq plans resume {id} --max-amount RUPIAH --reason …, or cancel {id}")
        }
        PlanState::Paused => format!("worker dlq plans resume {id} --reason …, or cancel {id}"),
        PlanState::Running if plan.counts.waiting > 0 => format!("worker dlq plans pause {id} --reason …"),
        PlanState::Draft => format!("it never ran: worker dlq plans cancel {id} --reason …, and replay again"),
        _ => return None,
    })
}

fn number(text: &str) -> Result<PlanId, CommandError> {
    text.parse()
        .map(PlanId)
        .map_err(|_form| CommandError::usage("--after is no number", "take `next` of the page before"))
}

async fn known(id: i64, desk: &Desk<'_>) -> Result<Plan, CommandError> {
    desk.store.plan(PlanId(id)).await?.ok_or_else(|| CommandError::NotFound {
        what: format!("replay plan {id}"),
        hint: "`worker dlq plans list` shows them".to_owned(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Pause,
    Cancel,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(flatten)]
    plan: PlanView,
    changed: bool,
    dry_run: bool,
}

async fn act(args: &PlanActArgs, wish: Wish, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let plan = known(args.id, desk).await?;
    let is_possible = match wish {
        Wish::Pause => plan.state == PlanState::Running,
        Wish::Cancel => plan.finished_at.is_none(),
    };
    let is_there = match wish {
        Wish::Pause => plan.state == PlanState::Paused,
        Wish::Cancel => plan.state == PlanState::Cancelled,
    };
    if is_there {
        desk.output.say(&format!("plan {} is {} already", plan.id, plan.state.as_str()));
        return done(&plan, false, &args.act, desk);
    }
    if !is_possible {
        return Err(ended(&plan));
    }
    say_what_waits(&plan, if wish == Wish::Pause { "pause" } else { "cancel" }, desk);
    if args.act.dry_run {
        return done(&plan, false, &args.act, desk);
    }
    let verb = if wish == Wish::Pause { "pause" } else { "cancel" };
    ask(&args.act, desk.output, &format!("{verb} plan {}?", plan.id))?;
    let actor = Actor::of(&args.act, desk.environment);
    let at = desk.clock.now();
    let shown = json!({ "waiting": plan.counts.waiting, "waitingAmount": waiting_amount(&plan).to_string() });
    let audit = actor.audit(at, &format!("plan_{verb}"), &format!("plan {}", plan.id), shown);
    match wish {
        Wish::Pause => {
            let detail = format!("{}: {}", actor.by, actor.reason);
            let paused = desk.store.pause_plan(plan.id, None, PlanPause::Operator, detail, audit).await?;
            if !paused {
                return Err(ended(&known(args.id, desk).await?));
            }
        }
        Wish::Cancel => match desk.store.cancel_plan(plan.id, at, audit).await {
            Err(StoreError::PlanState { .. }) => return Err(ended(&known(args.id, desk).await?)),
            cancelled => cancelled?,
        },
    }
    done(&known(args.id, desk).await?, true, &args.act, desk)
}

async fn resume(args: &PlanResumeArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let plan = known(args.id, desk).await?;
    match plan.state {
        PlanState::Paused => {}
        PlanState::Running if args.max_amount.is_some() => {
            return Err(CommandError::Refused {
                what: format!("plan {} runs: its limits are those it was made with", plan.id),
                hint: format!("pause it first: worker dlq plans pause {}", plan.id),
            });
        }
        PlanState::Running => desk.output.say(&format!("plan {} runs already", plan.id)),
        _ => return Err(ended(&plan)),
    }
    let allowed = args.max_amount.or(plan.terms.max_amount);
    if matches!(plan.pause, Some((PlanPause::MaxAmount, ..))) && args.max_amount.is_none() {
        return Err(CommandError::Refused {
            what: format!("{} are let go, and the next one would pass what was allowed", rupiah(plan.released.minor())),
            hint: "say what may be let go in all with --max-amount".to_owned(),
        });
    }
    say_what_waits(&plan, "resume", desk);
    if let Some(allowed) = allowed {
        desk.output.say(&format!("in all {} may be let go", rupiah(allowed.minor())));
    }
    if args.act.dry_run {
        return done(&plan, false, &args.act, desk);
    }
    if plan.state == PlanState::Paused {
        ask(&args.act, desk.output, &format!("resume plan {}?", plan.id))?;
        let actor = Actor::of(&args.act, desk.environment);
        let at = desk.clock.now();
        let shown = json!({
            "waiting": plan.counts.waiting,
            "waitingAmount": waiting_amount(&plan).to_string(),
            "before": plan.pause.as_ref().map(|(cause, ..)| cause.as_str()),
            "maxAmount": args.max_amount.map(|amount| amount.to_string()),
        });
        let audit = actor.audit(at, "plan_resume", &format!("plan {}", plan.id), shown);
        match desk.store.resume_plan(plan.id, at, args.max_amount, audit).await {
            Err(StoreError::PlanState { .. }) => return Err(ended(&known(args.id, desk).await?)),
            resumed => resumed?,
        }
    }
    watch(plan.id, Rules::of(desk.config), false, desk).await?;
    tell(plan.id, false, desk).await
}

fn say_what_waits(plan: &Plan, verb: &str, desk: &Desk<'_>) {
    desk.output.say(&format!(
        "{verb} plan {}: {} waiting, {}; {} under way, which go on",
        plan.id,
        counted(plan.counts.waiting, "item"),
        rupiah(waiting_amount(plan).minor()),
        plan.counts.replayed
    ));
}

/// The amount of what has not been let go.
fn waiting_amount(plan: &Plan) -> Total {
    Total::from_minor(plan.amount.minor().saturating_sub(plan.released.minor()))
}

fn ended(plan: &Plan) -> CommandError {
    CommandError::Refused {
        what: format!("plan {} is {}", plan.id, plan.state.as_str()),
        hint: "`worker dlq plans list` shows how they stand".to_owned(),
    }
}

fn done(plan: &Plan, changed: bool, act: &ActArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let view = Done { plan: PlanView::new(plan), changed, dry_run: act.dry_run };
    let text = || if changed { format!("plan {} is {}\n", plan.id, plan.state.as_str()) } else { String::new() };
    desk.output.object(&view, text).map_err(stdout)?;
    Ok(Exit::Done)
}
