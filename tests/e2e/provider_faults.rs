//! Every fault of the provider's script, at a provider that would pay a repeated reference again.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::json;
use snap_sim::{Case, Fault, Latest};
use testbed::matrix::{self, Point, Technique};

use crate::harness::verdict::text;
use crate::harness::{Job, Stage, Verdict, eventually};

/// How a job that met a fault ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Succeeded,
    Rejected(&'static str),
    Dead(&'static str, &'static str),
}

/// A fault, what it hits, and how the job ends.
struct Row {
    name: &'static str,
    /// Service, fault, whether the top-up takes effect before it, and how many requests it hits (none: all).
    faults: Vec<(u8, Fault, Option<bool>, Option<u64>)>,
    end: End,
}

fn row(name: &'static str, service: u8, fault: Fault, commit: Option<bool>, end: End) -> Row {
    Row { name, faults: vec![(service, fault, commit, Some(1))], end }
}

/// A fault of the top-up's answer with and without effect: either way the job ends as succeeded, credited once.
fn either_way(names: [&'static str; 2], fault: Fault) -> [Row; 2] {
    let [paid, unpaid] = names;
    [row(paid, 38, fault, Some(true), End::Succeeded), row(unpaid, 38, fault, Some(false), End::Succeeded)]
}

fn answer(http: u16, case: u8) -> Fault {
    Fault::Answer(Case::new(http, case))
}

/// Silence, cut lines and nonsense after a top-up.
fn doubtful_answers() -> Vec<Row> {
    let both = [
        either_way(["timeout-paid", "timeout-unpaid"], Fault::Timeout),
        either_way(["rst-paid", "rst-unpaid"], Fault::Rst),
        either_way(["fin-paid", "fin-unpaid"], Fault::Fin),
        either_way(["nothttp-paid", "nothttp-unpaid"], Fault::NotHttp),
        either_way(["driphead-paid", "driphead-unpaid"], Fault::DripHeaders),
        either_way(["dripbody-paid", "dripbody-unpaid"], Fault::DripBody),
        either_way(["endlesshead-paid", "endlesshead-unpaid"], Fault::EndlessHeaders),
        either_way(["endlessbody-paid", "endlessbody-unpaid"], Fault::EndlessBody),
        either_way(["huge-paid", "huge-unpaid"], Fault::HugeBody),
        either_way(["truncated-paid", "truncated-unpaid"], Fault::TruncatedBody),
        either_way(["badgateway-paid", "badgateway-unpaid"], Fault::BadGateway),
        either_way(["redirect-paid", "redirect-unpaid"], Fault::Redirect),
        either_way(["httpdisagrees-paid", "httpdisagrees-unpaid"], Fault::HttpDisagrees),
        either_way(["foreign-paid", "foreign-unpaid"], Fault::ForeignService),
        either_way(["unknowncode-paid", "unknowncode-unpaid"], Fault::UnknownCode),
        either_way(["nocode-paid", "nocode-unpaid"], Fault::MissingCode),
        either_way(["empty-paid", "empty-unpaid"], Fault::EmptyBody),
        either_way(["garbage-paid", "garbage-unpaid"], Fault::GarbageJson),
        either_way(["50000-paid", "50000-unpaid"], answer(500, 0)),
        either_way(["50001-paid", "50001-unpaid"], answer(500, 1)),
        either_way(["50400-paid", "50400-unpaid"], answer(504, 0)),
        either_way(["40900-paid", "40900-unpaid"], answer(409, 0)),
        either_way(["40901-paid", "40901-unpaid"], answer(409, 1)),
        either_way(["40418-paid", "40418-unpaid"], answer(404, 18)),
    ];
    both.into_iter()
        .flatten()
        .chain([
            row("late-commit", 38, Fault::LateCommit, None, End::Succeeded),
            row("late-visibility", 38, Fault::LateVisibility, None, End::Succeeded),
            row("amount-mismatch", 38, Fault::AmountMismatch, None, End::Succeeded),
            row("reference-mismatch", 38, Fault::ReferenceMismatch, None, End::Succeeded),
        ])
        .collect()
}

/// Answers that say what happened, or that nothing did.
fn plain_answers() -> Vec<Row> {
    vec![
        row("pending-success", 38, Fault::PendingThenSuccess, None, End::Succeeded),
        row("pending-failed", 38, Fault::PendingThenFailed, None, End::Rejected("business")),
        row("pending-cancelled", 38, Fault::PendingThenCancelled, None, End::Rejected("cancelled")),
        row("pending-refunded", 38, Fault::PendingThenRefunded, None, End::Dead("refunded", "returned")),
        row("pending-forever", 38, Fault::PendingForever, None, End::Dead("unresolved", "maybe_sent")),
        row("pending-lost", 38, Fault::PendingThenLost, None, End::Dead("unresolved", "maybe_sent")),
        row("token-invalid", 38, answer(401, 1), None, End::Succeeded),
        row("token-unknown", 38, answer(401, 3), None, End::Succeeded),
        row("unauthorized-once", 38, answer(401, 0), None, End::Succeeded),
        row("rate-limited", 38, Fault::RateLimited, None, End::Succeeded),
        row("rate-limited-no-hint", 38, Fault::RateLimitedNoHint, None, End::Succeeded),
        row("activity-limit", 38, answer(403, 4), None, End::Succeeded),
        row("not-at-this-time", 38, answer(403, 6), None, End::Succeeded),
        row("no-such-customer", 38, answer(404, 11), None, End::Rejected("business")),
        row("not-permitted", 38, answer(403, 15), None, End::Rejected("business")),
        row("bad-field", 38, answer(400, 1), None, End::Dead("request_refused", "proven_unpaid")),
        row("missing-field", 38, answer(400, 2), None, End::Dead("request_refused", "proven_unpaid")),
        Row {
            name: "always-limited",
            faults: vec![(38, answer(403, 4), None, None)],
            end: End::Dead("retries_exhausted", "proven_unpaid"),
        },
    ]
}

/// Trouble on the inquiry, which moves nothing, and on the status inquiry, which says nothing about the top-up.
fn around_the_top_up() -> Vec<Row> {
    let asked = |name, fault| Row {
        name,
        faults: vec![(38, Fault::Fin, Some(true), Some(1)), (39, fault, None, Some(2))],
        end: End::Succeeded,
    };
    vec![
        row("inquiry-timeout", 37, Fault::Timeout, None, End::Succeeded),
        row("inquiry-rst", 37, Fault::Rst, None, End::Succeeded),
        row("inquiry-garbage", 37, Fault::GarbageJson, None, End::Succeeded),
        row("inquiry-50000", 37, answer(500, 0), None, End::Succeeded),
        row("inquiry-unknown-code", 37, Fault::UnknownCode, None, End::Succeeded),
        row("inquiry-no-customer", 37, answer(404, 11), None, End::Rejected("business")),
        row("inquiry-out-of-range", 37, Fault::AmountOutOfRange, None, End::Rejected("amount_out_of_range")),
        asked("status-timeout", Fault::Timeout),
        asked("status-rst", Fault::Rst),
        asked("status-badgateway", Fault::BadGateway),
        asked("status-garbage", Fault::GarbageJson),
        asked("status-foreign", Fault::ForeignService),
        asked("status-50000", answer(500, 0)),
        asked("status-40101", answer(401, 1)),
        asked("status-42900", Fault::RateLimited),
        asked("status-40403", answer(404, 3)),
        asked("status-paying", Fault::Report(Latest::Paying)),
        // A mismatch that the status inquiry does not clear up is for a person.
        Row {
            name: "amount-never-right",
            faults: vec![(38, Fault::Fin, Some(true), Some(1)), (39, Fault::AmountMismatch, None, None)],
            end: End::Dead("inconsistent_answer", "maybe_sent"),
        },
        Row {
            name: "reference-never-right",
            faults: vec![(38, Fault::Fin, Some(true), Some(1)), (39, Fault::ReferenceMismatch, None, None)],
            end: End::Dead("inconsistent_answer", "maybe_sent"),
        },
        Row {
            name: "refusal-after-doubt",
            // The first attempt is in doubt and paid; the status inquiry cannot be asked for a while. M3.
            faults: vec![(38, Fault::Rst, Some(true), Some(1)), (39, answer(400, 1), None, Some(3))],
            end: End::Succeeded,
        },
        Row {
            // The first answer carries a number and nothing was paid; the repeat is paid under another number, and its
            // answer is lost. Asked about with the first number, the provider would refuse for ever.
            name: "number-of-nothing",
            faults: vec![(38, Fault::ForeignService, Some(false), Some(1)), (38, Fault::Rst, Some(true), Some(1))],
            end: End::Succeeded,
        },
    ]
}

async fn play(provider: &'static str, status_service: u8, rows: Vec<Row>) {
    let mut stage = Stage::prepare(&format!("faults-{provider}")).await;
    stage.settings.request_timeout = Duration::from_millis(1500);
    stage.settings.give_up_after = Duration::from_secs(12);
    // Rate limits and refusals of many neighbours must not use up a job's own retries.
    stage.settings.attempts = 6;
    stage.sim.behave(|behaviour| behaviour.hang = Duration::from_secs(20));
    let mut jobs: Vec<Job> = Vec::new();
    for row in &rows {
        let prefix = format!("{}-", row.name);
        for (service, fault, commit, times) in &row.faults {
            let service = if *service == 39 { status_service } else { *service };
            stage.sim.fault(&prefix, service, *fault, *commit, *times);
        }
        jobs.push(stage.job(row.name).by(provider).with("beneficiaryProvider", json!("gopay")));
    }
    stage.start();

    stage.publish(&jobs).await;
    stage.settled(Duration::from_secs(120)).await;

    let verdict = stage.verdict();
    let mut wrong: Vec<String> =
        rows.iter().zip(&jobs).filter_map(|(row, job)| differs(row, job, &stage, &verdict)).collect();
    wrong.sort();
    count(&stage, status_service);
    assert!(wrong.is_empty(), "{} of {} ended otherwise:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    verdict.assert_sound();
}

/// Which faults were met, by the provider's own count.
fn count(stage: &Stage, status_service: u8) {
    for report in stage.sim.running().rules() {
        let point = match report.rule.service {
            Some(37) => Point::InquirySent,
            Some(38) => Point::TopUpSent,
            Some(service) if service == status_service => Point::StatusSent,
            _ => continue,
        };
        if let Some(fault) = letter(report.rule.fault) {
            matrix::executed(point, fault, Technique::Provider, report.fired);
        }
    }
}

/// The fault of the matrix; `None`: an answer that is no fault.
fn letter(fault: Fault) -> Option<matrix::Fault> {
    Some(match fault {
        Fault::Timeout | Fault::DripHeaders | Fault::DripBody => matrix::Fault::Timeout,
        Fault::Rst | Fault::Fin | Fault::BadGateway => matrix::Fault::Reset,
        Fault::NotHttp
        | Fault::EndlessHeaders
        | Fault::EndlessBody
        | Fault::HugeBody
        | Fault::TruncatedBody
        | Fault::GarbageJson
        | Fault::EmptyBody
        | Fault::MissingCode
        | Fault::UnknownCode => matrix::Fault::Garbage,
        Fault::RateLimited | Fault::RateLimitedNoHint => matrix::Fault::TooMany,
        Fault::Answer(case) => match case.http() {
            401 => matrix::Fault::Unauthorized,
            409 => matrix::Fault::Conflict,
            429 => matrix::Fault::TooMany,
            500.. => matrix::Fault::Reset,
            _ => return None,
        },
        _ => return None,
    })
}

/// What is wrong with how this row ended.
fn differs(row: &Row, job: &Job, stage: &Stage, verdict: &Verdict) -> Option<String> {
    let name = &job.reference;
    let (state, credits) = (verdict.state(name), verdict.credits(name));
    let letter = verdict.dead_letter_of(name);
    let told = || {
        stage
            .outcomes
            .about(name)
            .into_iter()
            .find(|event| event.is_terminal())
            .map(|event| event.data("reason").clone())
    };
    let as_said = match row.end {
        End::Succeeded => state == "succeeded" && credits == 1,
        End::Rejected(reason) => state == "rejected" && credits == 0 && told() == Some(json!(reason)),
        End::Dead(reason, money) => {
            state == "dead"
                && letter.is_some_and(|letter| (text(letter, "reason"), text(letter, "moneyState")) == (reason, money))
        }
    };
    (!as_said).then(|| {
        format!(
            "{}: expected {:?}, found {state} with {credits} credits, told {:?}, dead letter {letter:?}",
            row.name,
            row.end,
            told()
        )
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_finpay_does_to_a_top_up_it_is_credited_at_most_once_and_settled() {
    play("finpay", 39, doubtful_answers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_midtrans_does_to_a_top_up_it_is_credited_at_most_once_and_settled() {
    play("midtrans", 36, doubtful_answers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finpay_says_plainly_is_taken_at_its_word() {
    play("finpay", 39, plain_answers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_midtrans_says_plainly_is_taken_at_its_word() {
    play("midtrans", 36, plain_answers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_before_and_after_the_top_up_changes_nothing_about_the_money() {
    play("finpay", 39, around_the_top_up()).await;
}

/// The negative control of all of the above: with a quiet period shorter than the provider's own delay, "not found" is no
/// proof, a late original meets the resend, and the ledger shows two credits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_period_that_is_too_short_pays_twice_and_the_ledger_shows_it() {
    let mut stage = Stage::prepare("control").await;
    stage.settings.request_timeout = Duration::from_millis(300);
    stage.settings.first_after = Duration::from_millis(10);
    stage.settings.interval_max = Duration::from_millis(10);
    stage.settings.quiet_period = Duration::from_millis(1);
    stage.sim.behave(|behaviour| behaviour.late_commit = Duration::from_secs(4));
    stage.sim.fault("control", 38, Fault::LateCommit, None, Some(1));
    stage.start();
    let job = stage.job("control");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.settled(Duration::from_secs(60)).await;
    eventually(Duration::from_secs(30), "the late original is credited as well", async || {
        (stage.verdict().credits(&job.reference) == 2).then_some(())
    })
    .await;
    assert_eq!(stage.sim.running().verdict().double_credits, 1);
}
