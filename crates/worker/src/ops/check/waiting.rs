//! What stands or waits in the store: no fault of the configuration, and worth a look.

use std::time::Duration;

use engine::MoneyState;
use outbox::{DeadLetterFilter, PauseCause, Plan, Store, StoreError, Total};
use snap_core::{LaneFault, Timestamp};

use super::Finding;
use crate::output::{age, counted, moment, rupiah};

/// The alert `TopUpOutcomesNotTold`.
const OUTCOMES_LATE: Duration = Duration::from_secs(300);
/// The alert `TopUpInDoubtTooLong`.
const DOUBT_LATE: Duration = Duration::from_secs(3_600);

/// # Errors
/// Any failure to read.
pub(super) async fn look(store: &Store, has_broker: bool, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut findings = lanes(store).await?;
    findings.push(dead_letters(store).await?);
    // A cancelled one is kept in sight for what it let go.
    findings.extend(store.open_plans().await?.iter().filter(|plan| plan.finished_at.is_none()).map(plan));
    findings.extend(doubt(store, now).await?);
    findings.push(outcomes(store, has_broker, now).await?);
    Ok(findings)
}

async fn lanes(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let standing = store.lanes().await?.into_iter().filter_map(|lane| Some((lane.provider, lane.pause?)));
    let findings = standing.map(|(provider, pause)| {
        let (why, hint) = match &pause.cause {
            PauseCause::Fault(LaneFault::InsufficientFunds) => (
                LaneFault::InsufficientFunds.to_string(),
                format!("fill the deposit at the provider, then `worker provider resume {provider} --reason TEXT`"),
            ),
            PauseCause::Fault(fault) => (fault.to_string(), format!("`worker explain {fault}` says what to do")),
            PauseCause::Operator { by, reason } => (
                format!("{by}: {reason}"),
                "`worker provider list` says what waits; only `worker provider resume` ends it".to_owned(),
            ),
        };
        Finding::warning(format!("lane {provider}"), format!("stands since {} ({why})", moment(pause.at)), hint)
    });
    Ok(findings.collect())
}

async fn dead_letters(store: &Store) -> Result<Finding, StoreError> {
    let groups = store.dead_letter_groups(DeadLetterFilter::default()).await?;
    let count: u64 = groups.iter().map(|group| group.count).sum();
    if count == 0 {
        return Ok(Finding::ok("dead letters", "none waits for a person"));
    }
    let amount = groups.iter().fold(Total::default(), |sum, group| sum.plus(group.amount));
    let in_doubt: u64 =
        groups.iter().filter(|group| group.money_state == MoneyState::MaybeSent).map(|group| group.count).sum();
    let detail = format!("{} for a person ({})", waits(count, "dead letter"), rupiah(amount.minor()));
    let detail = match in_doubt {
        0 => detail,
        _ => format!("{detail}; the money of {in_doubt} may have moved"),
    };
    Ok(Finding::warning("dead letters", detail, "`worker dlq groups` says why; docs/runbook.md what to do about each"))
}

fn plan(plan: &Plan) -> Finding {
    let (name, waiting) = (format!("plan {}", plan.id.0), waits(plan.counts.waiting, "dead letter"));
    match &plan.pause {
        None => Finding::ok(name, format!("{waiting} for its turn; a worker works it off while one runs")),
        Some((cause, _, at)) => {
            let detail = format!("stands since {} ({}); {waiting} in it", moment(*at), cause.as_str());
            let id = plan.id.0;
            let hint = format!("`worker dlq plans show {id}` says why, `worker dlq plans resume {id}` lets it go on");
            Finding::warning(name, detail, hint)
        }
    }
}

async fn doubt(store: &Store, now: Timestamp) -> Result<Option<Finding>, StoreError> {
    let totals = store.open_totals().await?;
    let (mut count, mut amount, mut oldest) = (0, Total::default(), None::<Timestamp>);
    for total in totals.into_iter().filter(|total| total.state == "unconfirmed") {
        count += total.count;
        amount = amount.plus(total.amount);
        oldest = oldest.into_iter().chain([total.oldest]).min();
    }
    let Some(waited) = oldest.map(|oldest| now.since(oldest)).filter(|waited| *waited > DOUBT_LATE) else {
        return Ok(None);
    };
    let detail = format!(
        "{} ({}) may have been paid, and nobody knows yet; the oldest was accepted {} ago",
        counted(count, "job"),
        rupiah(amount.minor()),
        age(waited)
    );
    let hint =
        "`worker jobs list --state unconfirmed`, then `worker jobs show REF` says when the provider is asked next";
    Ok(Some(Finding::warning("in doubt", detail, hint)))
}

async fn outcomes(store: &Store, has_broker: bool, now: Timestamp) -> Result<Finding, StoreError> {
    let backlog = store.outbox_backlog().await?;
    let Some(oldest) = backlog.oldest.filter(|_| backlog.pending > 0) else {
        return Ok(Finding::ok("outcomes", "none waits to be published"));
    };
    if !has_broker {
        let detail = format!("{} in the store: no broker is configured", waits(backlog.pending, "outcome"));
        return Ok(Finding::ok("outcomes", detail));
    }
    let waited = now.since(oldest);
    let detail = format!("{} to be published, the oldest for {}", waits(backlog.pending, "outcome"), age(waited));
    if waited < OUTCOMES_LATE {
        return Ok(Finding::ok("outcomes", detail));
    }
    let hint = "does a worker run, is the broker there, and is a queue bound to the exchange for events?";
    Ok(Finding::warning("outcomes", detail, hint))
}

fn waits(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "waits" } else { "wait" })
}

#[cfg(test)]
mod tests {
    use outbox::{LanePause, PlanCounts, PlanId, PlanPause, PlanState, PlanTerms};

    use super::super::tests::both;
    use super::*;
    use crate::ops::fixture::{self, NOW, START};

    #[tokio::test]
    async fn what_waits_is_told_with_its_money() {
        let filled = fixture::filled().await;
        let cause = PauseCause::Fault(LaneFault::InsufficientFunds);
        let pause = LanePause { cause, at: START, probe_at: None };
        filled.store.pause_lane("finpay", pause, None).await.unwrap();
        both("waiting", &look(&filled.store, true, NOW).await.unwrap());
    }

    #[test]
    fn a_plan_that_stands_is_a_warning_that_says_why() {
        let standing = Plan {
            version: 1,
            id: PlanId(3),
            state: PlanState::Paused,
            by: "sari".to_owned(),
            reason: "INC-1".to_owned(),
            created_at: START,
            finished_at: None,
            pause: Some((PlanPause::Canary, String::new(), START)),
            terms: PlanTerms { interval_us: 1, canary: 1, max_failed_pct: 20, max_amount: None },
            next_at_us: 0,
            canary_from: 0,
            canary_passed: false,
            before: (0, 0),
            known: Vec::new(),
            counts: PlanCounts { items: 2, waiting: 1, dead: 1, ..PlanCounts::default() },
            amount: Total::default(),
            released: Total::default(),
        };
        let running = Plan { state: PlanState::Running, pause: None, ..standing.clone() };
        both("plans", &[plan(&standing), plan(&running)]);
    }

    #[tokio::test]
    async fn without_a_broker_outcomes_may_wait() {
        let filled = fixture::filled().await;
        let found = look(&filled.store, false, NOW).await.unwrap();
        let expected = Finding::ok("outcomes", "4 outcomes wait in the store: no broker is configured");
        assert!(found.contains(&expected), "{found:?}");
    }

    #[tokio::test]
    async fn of_an_empty_store_nothing_waits() {
        let empty = fixture::empty();
        let found = look(&empty.store, true, NOW).await.unwrap();
        let told: Vec<_> = found.iter().map(|found| found.detail.as_str()).collect();
        assert_eq!(told, ["none waits for a person", "none waits to be published"]);
    }
}
