//! What changes something: each with its event, its state and its row in the trail.

use insta::assert_snapshot;
use outbox::{JobFilter, JobId};

use super::*;
use crate::cli::{ActArgs, DlqActArgs, DlqChoiceArgs, DlqPurgeArgs, DlqRestoreArgs};
use crate::ops::fixture::acting;

pub(super) async fn done(
    filled: &Filled,
    command: DlqCommand,
    format: Format,
) -> (Result<Exit, CommandError>, String, String) {
    let output = Output::captured(format);
    let ended = fixture::at_desk(filled, &output, async |desk| run(&command, desk).await).await;
    (ended, output.written(), output.said())
}

pub(super) fn choice(ids: &[&str]) -> DlqChoiceArgs {
    DlqChoiceArgs { ids: ids.iter().map(|&id| id.to_owned()).collect(), ..DlqChoiceArgs::default() }
}

fn discard(ids: &[&str]) -> DlqCommand {
    DlqCommand::Discard(DlqActArgs { choice: choice(ids), act: acting() })
}

fn restore(id: &str) -> DlqCommand {
    DlqCommand::Restore(DlqRestoreArgs { ids: vec![id.to_owned()], act: acting() })
}

async fn open(filled: &Filled) -> usize {
    filled.store.dead_letters(DeadLetterFilter::default(), None, 99).await.unwrap().items.len()
}

async fn actions(filled: &Filled) -> Vec<String> {
    filled.store.audit_rows(0, 99).await.unwrap().into_iter().map(|row| row.entry.action).collect()
}

#[tokio::test]
async fn a_job_and_a_message_are_discarded_and_restored_with_their_events() {
    let filled = fixture::filled().await;
    let (ended, table, said) = done(&filled, discard(&[UNRESOLVED, MALFORMED]), Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert_snapshot!("discard_table", table);
    assert_snapshot!("discard_said", said);
    assert_eq!(open(&filled).await, 1);
    let job = filled.store.job(JobId(5)).await.unwrap().unwrap();
    assert_eq!(job.job.state.name(), "discarded");

    for id in [UNRESOLVED, MALFORMED] {
        assert_eq!(done(&filled, restore(id), Format::Json).await.0.unwrap(), Exit::Done);
    }
    assert_eq!(open(&filled).await, 3);
    let timeline = filled.store.timeline(&job.request.partner_reference_no).await.unwrap().unwrap();
    let state = timeline.job.whole().unwrap().job.state;
    assert_eq!(state, engine::State::Dead { reason: engine::DeadReason::Unresolved });
    let told: Vec<_> = timeline.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect();
    assert_eq!(told, ["topup.dead_lettered", "topup.discarded", "topup.dead_lettered"]);
    let events: Vec<_> = timeline.history.iter().rev().take(2).map(|entry| entry.event.to_string()).collect();
    assert_eq!(events, ["restored", "discarded"]);
    assert_eq!(actions(&filled).await, ["dlq_discard", "dlq_discard", "dlq_restore", "dlq_restore"]);
}

#[tokio::test]
async fn what_a_rule_forbids_is_five_for_one_and_three_among_several() {
    let filled = fixture::filled().await;
    assert_eq!(done(&filled, discard(&[MALFORMED]), Format::Json).await.0.unwrap(), Exit::Done);
    let (ended, json, _) = done(&filled, discard(&[MALFORMED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Refused);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(shown["items"][0]["detail"], "it is closed already: discarded");
    let (ended, json, _) = done(&filled, discard(&[MALFORMED, UNRESOLVED]), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::SomeFailed);
    assert_snapshot!("discard_some_json", json);
    let (ended, _, _) = done(&filled, restore(fixture::CONFLICT), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Refused);
    assert_eq!(actions(&filled).await, ["dlq_discard", "dlq_discard"]);
}

#[tokio::test]
async fn a_choice_is_ids_or_a_filter_and_finds_something() {
    let filled = fixture::filled().await;
    let of = |choice| DlqCommand::Discard(DlqActArgs { choice, act: acting() });
    let (nothing, _, _) = done(&filled, of(DlqChoiceArgs::default()), Format::Json).await;
    assert_eq!(nothing.unwrap_err().exit(), Exit::Usage);
    let filter = || DlqFilterArgs { reason_code: Some(Reason(engine::DeadReason::Refunded)), ..Default::default() };
    let both = DlqChoiceArgs { filter: filter(), ..choice(&[MALFORMED]) };
    assert_eq!(done(&filled, of(both), Format::Json).await.0.unwrap_err().exit(), Exit::Usage);
    let none = DlqChoiceArgs { filter: filter(), ..DlqChoiceArgs::default() };
    assert_eq!(done(&filled, of(none), Format::Json).await.0.unwrap_err().exit(), Exit::NotFound);
    assert_eq!(done(&filled, discard(&["nobody"]), Format::Json).await.0.unwrap_err().exit(), Exit::NotFound);
    let everything = || DlqChoiceArgs { all: true, ..DlqChoiceArgs::default() };
    let dry = DlqActArgs { choice: everything(), act: ActArgs { dry_run: true, ..acting() } };
    let (ended, json, _) = done(&filled, DlqCommand::Discard(dry), Format::Json).await;
    assert_eq!((ended.unwrap(), open(&filled).await), (Exit::Done, 3));
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&shown["count"], &shown["dryRun"]), (&3.into(), &true.into()));
    assert_eq!(done(&filled, of(everything()), Format::Json).await.0.unwrap(), Exit::Done);
    assert_eq!(open(&filled).await, 0);
}

#[tokio::test]
async fn m4_a_discard_cannot_be_taken_back_when_the_details_are_past_retention() {
    let filled = fixture::filled().await;
    done(&filled, discard(&[UNRESOLVED]), Format::Json).await.0.unwrap();
    let waiting = filled.store.unpublished(fixture::NOW, 99).await.unwrap();
    let waiting = waiting.iter().map(|event| event.id).collect();
    filled.store.mark_published(waiting, fixture::NOW).await.unwrap();
    let later = fixture::NOW.plus(std::time::Duration::from_secs(1));
    filled.store.shrink_some(later, later, None).await.unwrap();

    let (ended, json, _) = done(&filled, restore(UNRESOLVED), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Refused);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(shown["items"][0]["detail"], "job 78912343452347893 ended long ago: its details are past retention");
    assert_eq!(actions(&filled).await, ["dlq_discard"]);
    let show = DlqCommand::Show(DlqShowArgs { id: UNRESOLVED.to_owned() });
    let (ended, json, _) = done(&filled, show, Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({ "command": format!("worker dlq restore {UNRESOLVED}"), "allowed": false, "effect": "its job's details are past retention" });
    assert_eq!(shown["next"], serde_json::json!([expected]));
}

#[tokio::test]
async fn a_purge_takes_what_is_long_closed_and_no_job() {
    let filled = fixture::filled().await;
    done(&filled, discard(&[UNRESOLVED, MALFORMED]), Format::Json).await.0.unwrap();
    let purge = |days: u64| {
        let older_than = std::time::Duration::from_secs(days * 86_400);
        DlqCommand::Purge(DlqPurgeArgs { older_than, permanently: true, act: acting() })
    };
    // Midtrans keeps its references for 50 days.
    let (early, _, _) = done(&filled, purge(49), Format::Json).await;
    assert_eq!(early.unwrap_err().exit(), Exit::Refused);
    let (ended, _, said) = done(&filled, purge(60), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert!(said.contains("0 dead letters"), "{said}");
    let (config, clock, output) = (fixture::config(), crate::clock::Clock::start(), Output::captured(Format::Json));
    let environment = crate::config::Environment::default();
    let later = fixture::NOW.plus(std::time::Duration::from_secs(61 * 86_400));
    let desk = Desk {
        store: &filled.store,
        config: &config,
        clock: &clock,
        now: later,
        environment: &environment,
        output: &output,
    };
    assert_eq!(run(&purge(60), &desk).await.unwrap(), Exit::Done);
    assert!(output.said().contains("2 dead letters, Rp 25,000"), "{}", output.said());
    assert!(filled.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().is_none());
    assert_eq!(filled.store.jobs(JobFilter::default(), None, 9).await.unwrap().items.len(), 5);
    assert_eq!(actions(&filled).await, ["dlq_discard", "dlq_discard", "dlq_purge"]);
}

async fn edit(filled: &Filled, id: &str, message: &str) -> (Result<Exit, CommandError>, String) {
    let file = filled.path.with_file_name("mended.json");
    std::fs::write(&file, message).unwrap();
    let args = crate::cli::DlqEditArgs { id: id.to_owned(), file: Some(file), act: acting() };
    let (ended, written, _) = done(filled, DlqCommand::Edit(args), Format::Json).await;
    (ended, written)
}

fn message(reference: &str, value: &str) -> String {
    serde_json::json!({
        "partnerReferenceNo": reference,
        "customerNumber": "081977817902",
        "amount": { "value": value, "currency": "IDR" },
        "provider": "finpay",
    })
    .to_string()
}

#[tokio::test]
async fn a_mended_message_becomes_a_job_and_its_dead_letter_is_closed() {
    let filled = fixture::filled().await;
    let (still, _) = edit(&filled, MALFORMED, &message("78912343452347899", "10000")).await;
    let error = still.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.report(false).contains("still malformed: amount.value"), "{}", error.report(false));
    assert_eq!(open(&filled).await, 3);

    let (ended, json) = edit(&filled, MALFORMED, &message("78912343452347899", "10000.00")).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert_snapshot!("edit_json", json);
    assert_eq!(open(&filled).await, 2);
    let reference = snap_core::PartnerReferenceNo::parse("78912343452347899").unwrap();
    let job = filled.store.find(&reference).await.unwrap().unwrap();
    assert_eq!((job.job.state.name(), job.due_at), ("ready", Some(fixture::NOW)));
    let (again, _) = edit(&filled, MALFORMED, &message("78912343452347899", "10000.00")).await;
    assert_eq!(again.unwrap_err().exit(), Exit::Refused);
    assert_eq!(actions(&filled).await, ["dlq_edit"]);
}

#[tokio::test]
async fn m5_a_message_mended_to_a_known_key_never_becomes_a_second_job() {
    let filled = fixture::filled().await;
    let (same, json) = edit(&filled, MALFORMED, &message("78912343452347891", "10000.00")).await;
    assert_eq!(same.unwrap(), Exit::Done);
    assert!(json.contains("\"duplicate\""), "{json}");
    let (other, json) = edit(&filled, fixture::CONFLICT, &message("78912343452347891", "99000.00")).await;
    assert_eq!(other.unwrap(), Exit::Refused);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let new =
        filled.store.dead_letter(&DeadLetterId::new(shown["deadLetterId"].as_str().unwrap())).await.unwrap().unwrap();
    assert_eq!(new.reason, engine::DeadReason::IdempotencyConflict);
    assert_eq!(filled.store.jobs(JobFilter::default(), None, 9).await.unwrap().items.len(), 5);
}

#[tokio::test]
async fn an_edit_tells_what_differs_from_the_message_that_came() {
    let filled = fixture::filled().await;
    let output = Output::captured(Format::Table);
    let file = filled.path.with_file_name("mended.json");
    std::fs::write(&file, message("78912343452347777", "99000000.00").replace("081977817902", "081977817999")).unwrap();
    let args = crate::cli::DlqEditArgs { id: MALFORMED.to_owned(), file: Some(file), act: acting() };
    fixture::at_desk(&filled, &output, async |desk| run(&DlqCommand::Edit(args), desk).await).await.unwrap();
    assert_snapshot!("edit_said", output.said());
}

#[tokio::test]
async fn m5_what_may_have_been_sent_is_never_edited() {
    let filled = fixture::filled().await;
    let (locked, _) = edit(&filled, UNRESOLVED, &message("78912343452347893", "1.00")).await;
    let error = locked.unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert!(error.report(false).contains("may have been sent"), "{}", error.report(false));
    assert!(actions(&filled).await.is_empty());
}

/// The request of the job that was never sent, as an editor shows it, with changes.
async fn rewritten(filled: &Filled, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let letter = filled.store.dead_letter(&DeadLetterId::new(fixture::NEVER_SENT)).await.unwrap().unwrap();
    let job = filled.store.job(letter.job.unwrap()).await.unwrap().unwrap();
    let mut message = serde_json::from_slice(&amend::as_message(&job.request)).unwrap();
    change(&mut message);
    message.to_string()
}

#[tokio::test]
async fn m5_of_what_was_never_sent_name_and_notes_are_amended_and_the_key_stays() {
    let filled = fixture::filled().await;
    let job = fixture::never_sent(&filled.store).await;
    let text = rewritten(&filled, |message| {
        message["customerName"] = "Siti Rahmawati".into();
        message["notes"] = "topup".into();
    })
    .await;
    let (amended, json) = edit(&filled, fixture::NEVER_SENT, &text).await;
    assert_eq!(amended.unwrap(), Exit::Done);
    assert_snapshot!("edit_job_json", json);
    let now = filled.store.job(job.id).await.unwrap().unwrap();
    assert_eq!(now.request.customer_name.as_ref().map(|name| name.expose()), Some("Siti Rahmawati"));
    assert_eq!((now.request.notes.is_some(), now.request.amount), (true, job.request.amount));
    assert_eq!(now.job.state.name(), "dead", "only a replay lets it go");
    assert_eq!(open(&filled).await, 4);
    let timeline = filled.store.timeline(&job.request.partner_reference_no).await.unwrap().unwrap();
    let last = timeline.history.last().unwrap();
    assert_eq!(
        (last.event.as_ref(), &last.detail["fields"]),
        ("amended", &serde_json::json!(["customerName", "notes"]))
    );
    assert_eq!(actions(&filled).await, ["dlq_edit"]);

    // Nothing changed is nothing done.
    let same = rewritten(&filled, |_| {}).await;
    assert!(matches!(edit(&filled, fixture::NEVER_SENT, &same).await.0, Err(CommandError::Declined)));
}

#[tokio::test]
async fn m5_amount_customer_and_key_of_a_job_are_locked_by_name() {
    let filled = fixture::filled().await;
    fixture::never_sent(&filled.store).await;
    for (field, value) in [
        ("partnerReferenceNo", serde_json::json!("78912343452347811")),
        ("customerNumber", serde_json::json!("+6281977817999")),
        ("amount", serde_json::json!({ "value": "1.00", "currency": "IDR" })),
        ("beneficiaryProvider", serde_json::json!("gopay")),
        ("metadata", serde_json::json!({ "other": 1 })),
    ] {
        let text = rewritten(&filled, |message| message[field] = value).await;
        let error = edit(&filled, fixture::NEVER_SENT, &text).await.0.unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{field}");
        assert!(error.report(false).contains(&format!("{field} of a job is locked")), "{}", error.report(false));
    }
    assert!(actions(&filled).await.is_empty());
}

/// What becomes of a dead letter between the moment it is shown and an operator's yes.
#[tokio::test]
async fn c13_what_has_moved_on_since_it_was_shown_is_left_alone_and_nothing_is_told() {
    use super::super::{choice::named, close, shown};
    let filled = fixture::filled().await;
    let output = Output::captured(Format::Json);
    fixture::at_desk(&filled, &output, async |desk| {
        let letters = named(&[UNRESOLVED.to_owned()], desk).await.unwrap();
        // Another operator was faster: discarded, and taken back. It is dead as before, and yet another matter.
        assert_eq!(done(&filled, discard(&[UNRESOLVED]), Format::Json).await.0.unwrap(), Exit::Done);
        let gone = shown::job_of(&letters[0], desk).await.unwrap_err();
        assert!(gone.to_string().contains("it is discarded now"), "{gone}");
        assert_eq!(done(&filled, restore(UNRESOLVED), Format::Json).await.0.unwrap(), Exit::Done);
        let told = filled.store.unpublished(fixture::NOW, 99).await.unwrap().len();
        for verb in ["discard", "restore"] {
            let act = acting();
            let ended = close::work(letters.clone(), &act, verb, desk, async |letter, _| {
                shown::job_of(letter, desk).await?;
                panic!("it was let through");
            });
            assert_eq!(ended.await.unwrap(), Exit::Refused);
        }
        assert_eq!(filled.store.unpublished(fixture::NOW, 99).await.unwrap().len(), told);
    })
    .await;
    let shown = output.written();
    assert!(shown.contains("\"result\": \"moved_on\"") || shown.contains("\"result\":\"moved_on\""), "{shown}");
    assert_eq!(actions(&filled).await, ["dlq_discard", "dlq_restore"]);
}
