//! Replays: what is frozen, what is refused, and what a plan does when nobody else works it off.

use insta::assert_snapshot;
use outbox::{PauseCause, PlanId, PlanPause, PlanState};
use serde_json::Value;

use super::acting::{choice, done};
use super::*;
use crate::cli::{ActArgs, DlqReplayArgs, Page, PlanActArgs, PlanResumeArgs, PlanShowArgs, PlansCommand, TermsArgs};
use crate::ops::fixture::{CONFLICT, acting};

fn replay_with(ids: &[&str], terms: TermsArgs) -> DlqCommand {
    DlqCommand::Replay(DlqReplayArgs { choice: choice(ids), terms, act: acting(), ..DlqReplayArgs::default() })
}

fn replay(ids: &[&str]) -> DlqCommand {
    replay_with(ids, TermsArgs::default())
}

fn plans(command: PlansCommand) -> DlqCommand {
    DlqCommand::Plans(command)
}

/// JSON without the times that are those of the machine.
fn timeless(json: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members.iter_mut() {
                    if matches!(name.as_str(), "at" | "finishedAt" | "pausedAt") && value.is_string() {
                        *value = "(a time)".into();
                    }
                    strip(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(json).unwrap();
    strip(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_what_is_refused_and_writes_nothing() {
    let filled = fixture::filled().await;
    let command = || {
        DlqCommand::Replay(DlqReplayArgs {
            choice: choice(&[UNRESOLVED, MALFORMED, CONFLICT]),
            act: ActArgs { dry_run: true, ..ActArgs::default() },
            ..DlqReplayArgs::default()
        })
    };
    let (ended, json, said) = done(&filled, command(), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert_snapshot!("replay_dry_run_json", json);
    assert_snapshot!("replay_said", said);
    let (_, table, _) = done(&filled, command(), Format::Table).await;
    assert_eq!(table, "nothing was changed; at this rate all are let go within 0s\n");
    assert!(filled.store.plans(None, 9).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn m8_a_replay_of_what_may_have_been_sent_asks_first_and_the_trail_tells_of_it() {
    let filled = fixture::filled().await;
    let (ended, json, said) = done(&filled, replay(&[UNRESOLVED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done, "{said}");
    assert_snapshot!("replay_json", timeless(&json));
    let letter = filled.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
    assert_eq!(letter.closed.map(|(_, how)| how), Some(outbox::ClosedAs::Replayed));
    let timeline = filled.store.timeline(letter.partner_reference_no.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!(timeline.job.state(), "unconfirmed", "it is asked about, not sent");
    assert_eq!(timeline.history.last().map(|entry| entry.event.as_ref()), Some("replayed"));
    let told = timeline.outcomes.last().unwrap();
    assert_eq!(told.event_type, "topup.replayed");
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((&body["data"]["by"], &body["data"]["why"]), (&"sari".into(), &"provider says so, INC-7".into()));
    let rows = filled.store.audit_rows(0, 9).await.unwrap();
    let trail: Vec<_> = rows.iter().map(|row| (row.entry.action.as_str(), row.entry.subject.as_str())).collect();
    assert_eq!(trail, [("dlq_replay", "plan 1"), ("dlq_replayed", UNRESOLVED)]);

    let (again, ..) = done(&filled, replay(&[UNRESOLVED]), Format::Json).await;
    let again = again.unwrap_err();
    assert_eq!(again.exit(), Exit::Refused);
    assert!(again.report(false).contains("it is closed already: replayed"), "{}", again.report(false));
}

#[tokio::test]
async fn what_a_rule_forbids_is_refused_alone_and_told_beside_others() {
    let filled = fixture::filled().await;
    for (id, why) in [(MALFORMED, "it is still malformed: amount.value"), (CONFLICT, "edit it first")] {
        let (ended, ..) = done(&filled, replay(&[id]), Format::Table).await;
        let error = ended.unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
        assert!(error.report(false).contains(why), "{}", error.report(false));
    }
    let (ended, json, _) = done(&filled, replay(&[UNRESOLVED, MALFORMED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::SomeFailed);
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["plan"]["counts"]["refused"], &told["plan"]["counts"]["underWay"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn nothing_found_and_nobody_to_ask_have_their_exit_codes() {
    let filled = fixture::filled().await;
    let (ended, ..) = done(&filled, replay(&["01JD9WZ0Q0V4T8K3M5N7P9R1ZZ"]), Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::NotFound);
    let unasked = DlqCommand::Replay(DlqReplayArgs {
        choice: choice(&[UNRESOLVED]),
        act: ActArgs { yes: false, ..acting() },
        ..DlqReplayArgs::default()
    });
    assert_eq!(done(&filled, unasked, Format::Table).await.0.unwrap_err().exit(), Exit::Usage);
    assert!(filled.store.plans(None, 9).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_plan_stands_before_an_amount_that_was_not_allowed_and_goes_on_when_more_is() {
    let filled = fixture::filled().await;
    let terms = TermsArgs { max_amount: Some(outbox::Total::from_minor(100)), ..TermsArgs::default() };
    let (ended, table, said) = done(&filled, replay_with(&[UNRESOLVED], terms), Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::SomeFailed, "{said}");
    assert!(table.contains("max_amount: Rp"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let resume = |max_amount| plans(PlansCommand::Resume(PlanResumeArgs { id: 1, max_amount, act: acting() }));
    let (refused, ..) = done(&filled, resume(None), Format::Table).await;
    assert_eq!(refused.unwrap_err().exit(), Exit::Refused);
    let (resumed, _, said) = done(&filled, resume(Some(outbox::Total::from_minor(1_000_000_000))), Format::Table).await;
    assert_eq!(resumed.unwrap(), Exit::Done, "{said}");
    assert_eq!(filled.store.plan(PlanId(1)).await.unwrap().unwrap().counts.replayed, 1);
}

#[tokio::test]
async fn a_plan_stands_where_the_lane_stands() {
    let filled = fixture::filled().await;
    let cause = PauseCause::Operator { by: "budi".to_owned(), reason: "maintenance".to_owned() };
    let pause = outbox::LanePause { cause, at: fixture::NOW, probe_at: None };
    filled.store.pause_lane("finpay", pause, None).await.unwrap();
    let (ended, json, _) = done(&filled, replay(&[UNRESOLVED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::SomeFailed);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["plan"]["pauseCause"], "lane_stands");
    let plan = filled.store.plan(PlanId(1)).await.unwrap().unwrap();
    assert_eq!((plan.state, plan.counts.waiting), (PlanState::Paused, 1));
    let (again, ..) = done(&filled, replay(&[UNRESOLVED]), Format::Json).await;
    assert!(again.unwrap_err().report(false).contains("it waits in plan 1 already"));
}

#[tokio::test]
async fn plans_are_listed_shown_halted_and_ended() {
    let filled = fixture::filled().await;
    let detached = DlqCommand::Replay(DlqReplayArgs {
        choice: choice(&[UNRESOLVED, MALFORMED]),
        detach: true,
        act: acting(),
        ..DlqReplayArgs::default()
    });
    assert_eq!(done(&filled, detached, Format::Table).await.0.unwrap(), Exit::SomeFailed, "one is refused");
    let (_, table, _) = done(&filled, plans(PlansCommand::List(Page::default())), Format::Table).await;
    assert_snapshot!("plans_table", table);
    let show = || plans(PlansCommand::Show(PlanShowArgs { id: 1, page: Page::default() }));
    let (_, table, _) = done(&filled, show(), Format::Table).await;
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert_snapshot!("plan_table", table);
    assert_snapshot!("plan_json", timeless(&done(&filled, show(), Format::Json).await.1));

    let pause = || plans(PlansCommand::Pause(PlanActArgs { id: 1, act: acting() }));
    assert_eq!(done(&filled, pause(), Format::Table).await.1, "plan 1 is paused\n");
    let (_, written, said) = done(&filled, pause(), Format::Table).await;
    assert_eq!((written.as_str(), said.as_str()), ("", "plan 1 is paused already\n"));
    let stands = filled.store.plan(PlanId(1)).await.unwrap().unwrap().pause.map(|(cause, ..)| cause);
    assert_eq!(stands, Some(PlanPause::Operator));

    let cancel = || plans(PlansCommand::Cancel(PlanActArgs { id: 1, act: acting() }));
    assert_eq!(done(&filled, cancel(), Format::Table).await.1, "plan 1 is cancelled\n");
    let resume = plans(PlansCommand::Resume(PlanResumeArgs { id: 1, max_amount: None, act: acting() }));
    assert_eq!(done(&filled, resume, Format::Table).await.0.unwrap_err().exit(), Exit::Refused);
    let unknown = plans(PlansCommand::Cancel(PlanActArgs { id: 9, act: acting() }));
    assert_eq!(done(&filled, unknown, Format::Table).await.0.unwrap_err().exit(), Exit::NotFound);
    let rows = filled.store.audit_rows(0, 9).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(actions, ["dlq_replay", "plan_pause", "plan_cancel"]);
}

/// Two refused messages that a mended configuration would take.
async fn messages() -> Filled {
    let filled = fixture::empty();
    for (id, key) in [MALFORMED, CONFLICT].into_iter().zip(["key-1", "key-2"]) {
        let body = format!(
            r#"{{"partnerReferenceNo":"{key}","customerNumber":"081977817902","provider":"finpay",
                "amount":{{"value":"1000000.00","currency":"IDR"}}}}"#
        );
        let refusal = fixture::refusal(id, engine::DeadReason::UnknownProvider, "", body.as_bytes());
        filled.store.refuse(vec![refusal]).await.unwrap();
    }
    filled
}

#[tokio::test]
async fn the_preview_tells_the_rupiah_of_messages_too() {
    let filled = messages().await;
    let (ended, json, said) = done(&filled, replay(&[MALFORMED, CONFLICT]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert!(said.starts_with("replay 2 dead letters, Rp 2,000,000"), "{said}");
    assert!(said.contains("2 will go through the intake") && said.contains("start `worker run`"), "{said}");
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["plan"]["releasedAmount"]["value"], "2000000.00");
    assert_eq!(filled.store.jobs(outbox::JobFilter::default(), None, 9).await.unwrap().items.len(), 2);
}

/// Found by thinking of it: refused, copied, replayed and paid; the copy put back, the asking ended, and replayed again.
#[tokio::test]
async fn m12_a_message_refused_before_a_restore_is_asked_about_when_it_is_replayed_after_the_asking_was_ended() {
    let filled = messages().await;
    for action in ["store_restored", "store_reconciled"] {
        let audit = outbox::NewAudit {
            at: fixture::NOW,
            by: "sari".to_owned(),
            action: action.to_owned(),
            subject: "store".to_owned(),
            reason: String::new(),
            detail: Value::Null,
        };
        match action {
            "store_restored" => drop(filled.store.mark_reconcile(None, audit).await.unwrap()),
            _ => filled.store.clear_reconcile(audit).await.unwrap(),
        }
    }
    let (ended, _, said) = done(&filled, replay(&[MALFORMED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done, "{said}");
    let job = filled.store.jobs(outbox::JobFilter::default(), None, 9).await.unwrap().items.pop().unwrap();
    assert_eq!(job.state(), "unconfirmed", "it is asked about, not sent");
}

#[tokio::test]
async fn a_limit_for_a_plan_that_runs_is_refused_and_not_forgotten() {
    let filled = messages().await;
    let detached = DlqCommand::Replay(DlqReplayArgs {
        choice: choice(&[MALFORMED, CONFLICT]),
        detach: true,
        act: acting(),
        ..DlqReplayArgs::default()
    });
    done(&filled, detached, Format::Json).await.0.unwrap();
    let max_amount = Some(outbox::Total::from_minor(100));
    let resume = plans(PlansCommand::Resume(PlanResumeArgs { id: 1, max_amount, act: acting() }));
    assert_eq!(done(&filled, resume, Format::Json).await.0.unwrap_err().exit(), Exit::Refused);
    assert_eq!(filled.store.plan(PlanId(1)).await.unwrap().unwrap().counts.released(), 0);
}

/// The uniqueness window of the fixture's providers is the profile's; far later "not found" proves nothing.
#[tokio::test]
async fn m8_what_is_too_old_is_refused_with_an_explanation() {
    let filled = fixture::filled().await;
    let output = Output::captured(Format::Table);
    let error = fixture::at_desk(&filled, &output, async |desk| {
        let later = Desk { now: desk.now.plus(std::time::Duration::from_secs(400 * 86_400)), ..*desk };
        run(&replay(&[UNRESOLVED]), &later).await.unwrap_err()
    })
    .await;
    assert_eq!(error.exit(), Exit::Refused);
    let report = error.report(false);
    assert!(report.contains("proves nothing any more") && report.contains("`worker dlq check` still asks"), "{report}");
}

/// Why `tests/run` runs every suite once more under a clock a year ahead: beside the machine's clock a row with a fixed date
/// is younger than the uniqueness window for a day, and then never again. Here the clock is that machine's.
#[tokio::test]
async fn a_fixture_with_a_date_beside_the_machine_s_clock_fails_under_a_clock_a_year_ahead() {
    let machine = [(fixture::clock(), Exit::Done), (fixture::a_year_ahead(), Exit::Refused)];
    for (clock, expected) in machine {
        let filled = fixture::filled().await;
        let output = Output::captured(Format::Table);
        let ended = fixture::at_desk(&filled, &output, async |desk| {
            run(&replay(&[UNRESOLVED]), &Desk { clock: &clock, ..*desk }).await
        });
        let exit = ended.await.unwrap_or_else(|error| error.exit());
        assert_eq!(exit, expected, "{}", output.said());
    }
}
