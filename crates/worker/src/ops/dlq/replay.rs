//! `worker dlq replay`: freezes a set, shows it, and lets it go as a plan.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use outbox::{
    DeadLetter, NewPlan, NewPlanItem, Plan, PlanFace, PlanId, PlanItem, PlanState, PlanTerms, Store, StoreError, Total,
};
use serde::Serialize;
use serde_json::json;

use super::choice::{chosen, preview};
use super::plans::{ItemView, PlanView, plan_text};
use crate::cli::{DlqReplayArgs, TermsArgs};
use crate::exit::{CommandError, Exit};
use crate::ops::act::{Actor, ask};
use crate::ops::{Desk, stdout};
use crate::output::{counted, rupiah};
use crate::replay::{Replayer, Rules, Verdict, verdict};

/// Reasons of refusals that are told one by one.
const TOLD: usize = 5;
/// Dead letters that are looked at at once.
const AT_ONCE: usize = 32;
/// Items read at a time.
const PART: usize = 1_000;
/// A plan that somebody else works off is looked at so often.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// A dead letter of the set, and what a replay would do.
struct Judged {
    letter: DeadLetter,
    verdict: Verdict,
}

pub(super) async fn replay(args: &DlqReplayArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let mut letters = chosen(&args.choice, desk).await?;
    if let Some(limit) = args.terms.limit {
        letters.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let rules = Rules::of(desk.config);
    let set = judged(letters, &rules, desk).await?;
    show(&set, &args.terms, desk);
    let allowed = set.iter().filter(|judged| judged.verdict.refusal().is_none()).count();
    if allowed == 0 {
        return Err(none_allowed(&set));
    }
    if args.act.dry_run {
        return tell_dry_run(&set, &args.terms, desk);
    }
    let amount = rupiah(released(&set).minor());
    ask(&args.act, desk.output, &format!("replay {}, {amount}?", counted(allowed as u64, "dead letter")))?;
    let actor = Actor::of(&args.act, desk.environment);
    let id = desk.store.make_plan(plan_of(&set, &args.terms, &actor, desk)).await?;
    let works = match (Store::is_held(&desk.config.store.path), args.detach) {
        (true, _) => "the running worker works it off, whatever becomes of this command",
        (false, false) => "no worker runs: this command works it off, and a worker goes on with it when one starts",
        (false, true) => "no worker runs: it waits until one starts",
    };
    desk.output.say(&format!("plan {id}: {works}"));
    if args.detach {
        return tell(id, false, desk).await;
    }
    watch(id, rules, args.wait, desk).await?;
    tell(id, args.wait, desk).await
}

async fn judged(letters: Vec<DeadLetter>, rules: &Rules, desk: &Desk<'_>) -> Result<Vec<Judged>, CommandError> {
    let bar = desk.output.progress(letters.len() as u64, "looking");
    let mut set = Vec::with_capacity(letters.len());
    // Several reads at once: what each costs is mostly the way to the store's threads.
    let mut looks = stream::iter(letters)
        .map(async |letter| {
            let verdict = judge(&letter, rules, desk).await?;
            Ok::<_, CommandError>(Judged { letter, verdict })
        })
        .buffered(AT_ONCE);
    while let Some(judged) = looks.try_next().await? {
        set.push(judged);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(set)
}

/// What a replay of this one would do now.
pub(super) async fn judge(letter: &DeadLetter, rules: &Rules, desk: &Desk<'_>) -> Result<Verdict, CommandError> {
    if letter.closed.is_none()
        && let Some(plan) = desk.store.plan_that_waits_for(&letter.id).await?
    {
        return Ok(Verdict::Refused(format!("it waits in plan {plan} already")));
    }
    let job = match letter.job {
        Some(id) => match desk.store.job(id).await {
            Err(StoreError::Unreadable { .. } | StoreError::PastRetention(_)) => None,
            read => read?,
        },
        None => None,
    };
    if letter.job.is_some() || letter.delivered.is_some() {
        return Ok(verdict(letter, job.as_ref(), rules, desk.now));
    }
    // Lists come without the message.
    let whole = desk.store.dead_letter(&letter.id).await?;
    Ok(verdict(whole.as_ref().unwrap_or(letter), None, rules, desk.now))
}

/// Says what the set is, what will be done, and what is refused.
fn show(set: &[Judged], terms: &TermsArgs, desk: &Desk<'_>) {
    let say = |line: &str| desk.output.say(line);
    let allowed = set.iter().filter(|judged| judged.verdict.refusal().is_none());
    let letters: Vec<DeadLetter> =
        allowed.map(|judged| DeadLetter { amount: amount_of(judged), ..judged.letter.clone() }).collect();
    say(&format!("replay {}", preview(&letters)));
    let count = |is: fn(&Verdict) -> bool| set.iter().filter(|judged| is(&judged.verdict)).count() as u64;
    let what = [
        (count(|verdict| *verdict == Verdict::AsksFirst), "will be asked about first"),
        (count(|verdict| *verdict == Verdict::Sends), "will be sent: nothing of them moved money"),
        (count(|verdict| *verdict == Verdict::Expires), "will end as rejected: notAfter has passed"),
        (count(|verdict| matches!(verdict, Verdict::Intake(_))), "will go through the intake"),
    ];
    for (count, what) in what.into_iter().filter(|(count, _)| *count > 0) {
        say(&format!("  {count} {what}"));
    }
    let mut refused: Vec<(u64, &str)> = Vec::new();
    for why in set.iter().filter_map(|judged| judged.verdict.refusal()) {
        match refused.iter_mut().find(|(_, known)| *known == why) {
            Some((count, _)) => *count += 1,
            None => refused.push((1, why)),
        }
    }
    for (count, why) in refused.iter().take(TOLD) {
        say(&format!("  {count} refused: {why}"));
    }
    if refused.len() > TOLD {
        let rest: u64 = refused.iter().skip(TOLD).map(|(count, _)| count).sum();
        say(&format!("  {rest} more refused; -o json tells of each"));
    }
    let amount = released(set);
    if let Some(allowed) = terms.max_amount.filter(|allowed| amount > *allowed) {
        say(&format!("it will stand before {} are passed", rupiah(allowed.minor())));
    }
}

/// The amount of what may be let go.
fn released(set: &[Judged]) -> Total {
    let allowed = set.iter().filter(|judged| judged.verdict.refusal().is_none());
    allowed
        .filter_map(amount_of)
        .fold(Total::default(), |sum, amount| sum.plus(Total::from_minor(amount.minor().into())))
}

/// A message has none until it is read.
fn amount_of(judged: &Judged) -> Option<snap_core::Amount> {
    match &judged.verdict {
        Verdict::Intake(request) => Some(request.amount),
        _ => judged.letter.amount,
    }
}

fn none_allowed(set: &[Judged]) -> CommandError {
    let what = match set {
        [only] => format!("{}: {}", only.letter.id, only.verdict.refusal().unwrap_or_default()),
        several => format!("none of {} may be replayed", counted(several.len() as u64, "dead letter")),
    };
    CommandError::Refused { what, hint: "`worker dlq show ID` says what may be done".to_owned() }
}

fn plan_of(set: &[Judged], terms: &TermsArgs, actor: &Actor, desk: &Desk<'_>) -> NewPlan {
    let mut known: Vec<PlanFace> = Vec::new();
    for letter in set.iter().map(|judged| &judged.letter) {
        let face = (letter.reason.as_str().to_owned(), letter.response_code.clone());
        if !known.contains(&face) {
            known.push(face);
        }
    }
    let items: Vec<NewPlanItem> = set.iter().map(item_of).collect();
    let refused = items.iter().filter(|item| item.refused.is_some()).count();
    let shown = json!({
        "items": items.len(),
        "refused": refused,
        "amount": released(set).to_string(),
        "askedFirst": set.iter().filter(|judged| judged.verdict == Verdict::AsksFirst).count(),
        "canary": terms.canary,
        "maxAmount": terms.max_amount.map(|amount| amount.to_string()),
    });
    let at = desk.now;
    NewPlan {
        by: actor.by.clone(),
        reason: actor.reason.clone(),
        at,
        terms: PlanTerms {
            interval_us: terms.rate.interval_us,
            canary: terms.canary,
            max_failed_pct: terms.max_failed,
            max_amount: terms.max_amount,
        },
        known,
        items,
        audit: actor.audit(at, "dlq_replay", "plan", shown),
    }
}

fn item_of(judged: &Judged) -> NewPlanItem {
    let letter = &judged.letter;
    NewPlanItem {
        dead_letter: letter.id.clone(),
        job: letter.job,
        reference: letter
            .partner_reference_no
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| letter.claimed_reference.clone()),
        amount: amount_of(judged),
        money_state: letter.money_state,
        expires: judged.verdict == Verdict::Expires,
        refused: judged.verdict.refusal().map(str::to_owned),
    }
}

/// Watches the plan, and works it off where no worker does, until it stands or ended; or, unless all of it is waited for,
/// until nothing can be let go for now.
pub(super) async fn watch(id: PlanId, rules: Rules, wait: bool, desk: &Desk<'_>) -> Result<(), CommandError> {
    let mut replayer = Replayer::new(desk.store.clone(), *desk.clock, rules);
    let Some(mut plan) = desk.store.plan(id).await? else { return Ok(()) };
    let bar = desk.output.progress(plan.counts.items - plan.counts.refused, "replaying");
    while plan.state == PlanState::Running {
        let is_held = Store::is_held(&desk.config.store.path);
        let pause = if is_held { WATCH_EVERY } else { replayer.work(plan).await? };
        let Some(now) = desk.store.plan(id).await? else { break };
        plan = now;
        let counts = &plan.counts;
        bar.set_position(if wait { counts.ended() + counts.skipped } else { counts.released() + counts.skipped });
        let only_outcomes_are_missing = counts.waiting == 0 || waits_for_canaries(&plan);
        if plan.state == PlanState::Running && only_outcomes_are_missing && (!wait || !is_held) {
            bar.finish_and_clear();
            desk.output.say(&what_is_missing(&plan, is_held));
            return Ok(());
        }
        tokio::time::sleep(pause).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn what_is_missing(plan: &Plan, is_held: bool) -> String {
    let under_way = counted(plan.counts.replayed, "item");
    let id = plan.id;
    match (plan.counts.waiting, is_held) {
        (0, true) => {
            format!("{under_way} under way: `worker dlq plans show {id}` tells how they end")
        }
        (0, false) => format!("{under_way} to be driven: start `worker run`"),
        (_, true) => {
            format!("the rest goes when the first {} succeeded: `worker dlq plans show {id}`", plan.terms.canary)
        }
        (_, false) => {
            format!("the rest goes when the first {} succeeded, once `worker run` drives them", plan.terms.canary)
        }
    }
}

const fn waits_for_canaries(plan: &Plan) -> bool {
    plan.terms.canary > 0
        && !plan.canary_passed
        && plan.counts.waiting > 0
        && plan.counts.replayed > 0
        && plan.counts.released() >= plan.canary_from + plan.terms.canary
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// Null in a dry run.
    plan: Option<PlanView>,
    items: Vec<ItemView>,
    dry_run: bool,
}

fn tell_dry_run(set: &[Judged], terms: &TermsArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let items = set.iter().map(|judged| ItemView::planned(&item_of(judged), judged.verdict.effect())).collect();
    let told = Told { plan: None, items, dry_run: true };
    let text = || {
        let pace = Duration::from_micros(terms.rate.interval_us.unsigned_abs());
        let allowed = set.iter().filter(|judged| judged.verdict.refusal().is_none()).count();
        let takes = pace.saturating_mul(u32::try_from(allowed).unwrap_or(u32::MAX));
        format!("nothing was changed; at this rate all are let go within {}\n", crate::output::age(takes))
    };
    desk.output.object(&told, text).map_err(stdout)?;
    Ok(Exit::Done)
}

/// Tells how the plan stands; refused and skipped items, a plan that stands, and failures where they were waited for, are 3.
pub(super) async fn tell(id: PlanId, waited: bool, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let Some(plan) = desk.store.plan(id).await? else { return Err(CommandError::Store(StoreError::UnknownPlan(id))) };
    let items = items(id, desk).await?;
    let told =
        Told { plan: Some(PlanView::new(&plan)), items: items.iter().map(ItemView::of).collect(), dry_run: false };
    desk.output.object(&told, || plan_text(&plan, desk.clock.now(), desk.output.color())).map_err(stdout)?;
    Ok(exit_of(&plan, waited))
}

async fn items(id: PlanId, desk: &Desk<'_>) -> Result<Vec<PlanItem>, CommandError> {
    let (mut items, mut after) = (Vec::new(), None);
    if desk.output.format() == crate::cli::Format::Table {
        return Ok(items);
    }
    loop {
        let page = desk.store.plan_items(id, after, PART).await?;
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

const fn exit_of(plan: &Plan, waited: bool) -> Exit {
    let counts = &plan.counts;
    if counts.skipped > 0 && counts.items == 1 {
        return Exit::Refused;
    }
    let stands = matches!(plan.state, PlanState::Paused | PlanState::Cancelled);
    if stands || counts.refused > 0 || counts.skipped > 0 || (waited && counts.failed() > 0) {
        return Exit::SomeFailed;
    }
    Exit::Done
}
