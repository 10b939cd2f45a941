//! An answer belongs to its request (M15), and what it shows is kept (M2): a provider that answers late, twice or too much, and
//! one that knows a top-up and denies it later. It pays a repeated reference again.

mod mispaired;
mod strays;

use std::time::Duration;

use serde_json::json;
use snap_sim::{Case, Fault, Latest};

use crate::harness::verdict::text;
use crate::harness::{Job, Stage, Verdict};

const LIMIT: Duration = Duration::from_secs(120);

/// A stage whose worker makes one call at a time, so that each request follows the answer before it by the same connection
/// where that is kept.
async fn one_at_a_time(name: &str, inquiry: &str) -> Stage {
    let mut stage = Stage::prepare(name).await;
    stage.settings.max_in_flight = 1;
    stage.settings.provider_extra = format!("inquiry = \"{inquiry}\"");
    // Longer than the pause before a copy: what is left of one answer comes before the next one's own.
    stage.sim.slow_down(Duration::from_millis(25));
    // No status inquiry comes between two top-ups.
    stage.settings.first_after = Duration::from_secs(3);
    stage
}

fn job(stage: &Stage, name: &str) -> Job {
    stage.job(name).with("customerName", json!("sa**m")).with("beneficiaryProvider", json!("gopay"))
}

/// The right end of everything that was published. What the provider refuses is rejected, or before a person where the answer
/// to it was another's.
async fn settled(stage: &mut Stage, jobs: &[Job]) -> Verdict {
    stage.start();
    stage.publish(jobs).await;
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    for job in jobs {
        let (name, state) = (&job.reference, verdict.state(&job.reference));
        let expected: &[&str] = if name.starts_with("refused") { &["rejected", "dead"] } else { &["succeeded"] };
        assert!(expected.contains(&state), "{name} is {state}");
    }
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_the_late_answer_to_a_top_up_that_got_504_is_not_taken_for_the_next_ones() {
    let mut stage = one_at_a_time("late", "never").await;
    let late = [("late404", Case::new(404, 11)), ("late429", Case::new(429, 0)), ("late200", Case::new(200, 0))];
    let mut jobs = Vec::new();
    for (name, case) in late {
        stage.sim.fault(name, 38, Fault::LateAnswer(case), None, Some(1));
        jobs.extend([name, "next", "next"].map(|name| job(&stage, name)));
    }
    let verdict = settled(&mut stage, &jobs).await;
    for job in jobs.iter().filter(|job| job.reference.starts_with("next")) {
        assert_eq!(verdict.top_ups(&job.reference), 1, "{} was answered with another's answer", job.reference);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_an_answer_that_comes_twice_is_that_of_one_top_up() {
    let mut stage = one_at_a_time("twice", "never").await;
    stage.sim.fault("twice", 38, Fault::AnsweredTwice, None, None);
    stage.sim.fault("refused", 38, Fault::Answer(Case::new(404, 11)), None, None);
    let names = ["twice", "next", "refused", "next", "twice", "twice", "refused", "next", "next", "next"];
    let jobs: Vec<Job> = names.into_iter().cycle().take(30).map(|name| job(&stage, name)).collect();
    let verdict = settled(&mut stage, &jobs).await;
    let paid = jobs.iter().filter(|job| !job.reference.starts_with("refused"));
    assert!(paid.clone().all(|job| verdict.top_ups(&job.reference) == 1), "none was sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_a_202_that_comes_twice_is_that_of_one_top_up() {
    let mut stage = one_at_a_time("twice-202", "never").await;
    stage.sim.fault("twice", 38, Fault::AnsweredTwice, None, None);
    let jobs: Vec<Job> =
        ["twice", "next"].into_iter().cycle().take(12).map(|name| job(&stage, name).by("midtrans")).collect();
    let verdict = settled(&mut stage, &jobs).await;
    assert!(jobs.iter().all(|job| verdict.top_ups(&job.reference) == 1));
}

/// The simulator refuses a top-up whose name is not that of its own inquiry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_an_inquirys_answer_that_comes_twice_names_no_other_customer() {
    for (provider, in_flight) in [("finpay", 1), ("finpay", 4), ("midtrans", 1), ("midtrans", 4)] {
        let mut stage = one_at_a_time(&format!("named-{provider}-{in_flight}"), "always").await;
        stage.settings.max_in_flight = in_flight;
        stage.sim.fault("twice", 37, Fault::AnsweredTwice, None, None);
        if provider == "midtrans" {
            // Its inquiry names no reference: every third, whoever asks.
            stage.sim.running().add_rule(snap_sim::Rule {
                service: Some(37),
                permille: Some(300),
                seed: 7,
                ..snap_sim::Rule::new(Fault::AnsweredTwice)
            });
        }
        let jobs: Vec<Job> = ["twice", "next", "next"]
            .into_iter()
            .cycle()
            .take(15)
            .map(|name| stage.job(name).by(provider).with("beneficiaryProvider", json!("gopay")))
            .collect();
        let verdict = settled(&mut stage, &jobs).await;
        assert!(verdict.dead_letters().is_empty(), "{provider}: {:?}", verdict.dead_letters());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_interim_answers_and_surplus_bytes_pair_no_call_with_anothers_answer() {
    let mut stage = one_at_a_time("surplus", "always").await;
    for service in [37, 38] {
        stage.sim.fault("interim", service, Fault::InterimAnswer, None, None);
        stage.sim.fault("surplus", service, Fault::SurplusByte, None, None);
    }
    let jobs: Vec<Job> =
        ["interim", "next", "surplus", "next"].into_iter().cycle().take(16).map(|name| job(&stage, name)).collect();
    let verdict = settled(&mut stage, &jobs).await;
    assert!(jobs.iter().all(|job| verdict.top_ups(&job.reference) == 1));
}

/// What a status inquiry is answered once, where "not found" follows for ever.
const SHOWN: [(&str, Fault); 6] = [
    ("known202", Fault::InProgress(Latest::Missing)),
    ("known202pending", Fault::InProgress(Latest::Pending)),
    ("known202paid", Fault::InProgress(Latest::Success)),
    ("known08", Fault::Report(Latest::Unknown)),
    ("knownnone", Fault::Report(Latest::Missing)),
    ("replica", Fault::LaggingReplica),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_a_top_up_that_the_provider_has_shown_to_know_is_never_sent_again() {
    for (provider, service) in [("finpay", 39), ("midtrans", 36)] {
        let mut stage = Stage::prepare(&format!("known-{provider}")).await;
        let mut jobs = Vec::new();
        for (name, shown) in SHOWN {
            for (paid, commit) in [("paid", true), ("unpaid", false)] {
                let prefix = format!("{name}-{paid}-");
                stage.sim.fault(&prefix, 38, Fault::Answer(Case::new(504, 0)), Some(commit), Some(1));
                let times = if shown == Fault::LaggingReplica { None } else { Some(1) };
                stage.sim.fault(&prefix, service, shown, None, times);
                stage.sim.fault(&prefix, service, Fault::Report(Latest::NotFound), None, None);
                jobs.push(
                    stage.job(&format!("{name}-{paid}")).by(provider).with("beneficiaryProvider", json!("gopay")),
                );
            }
        }
        stage.start();
        stage.publish(&jobs).await;
        stage.settled(LIMIT).await;
        let verdict = stage.verdict();
        verdict.assert_sound();
        for job in &jobs {
            let name = &job.reference;
            let letter =
                verdict.dead_letter_of(name).unwrap_or_else(|| panic!("{provider} {name} stands before nobody"));
            assert_eq!((text(letter, "reason"), text(letter, "moneyState")), ("unresolved", "maybe_sent"), "{name}");
            assert_eq!(verdict.top_ups(name), 1, "{name} was sent again");
        }
    }
}

/// The same, seen by an operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_what_an_operators_check_showed_is_kept_when_the_dead_letter_is_replayed() {
    let mut stage = Stage::prepare("checked").await;
    stage.settings.give_up_after = Duration::from_secs(2);
    stage.sim.fault("checked", 38, Fault::Fin, Some(true), Some(1));
    let silent = snap_sim::Rule { service: Some(39), ..snap_sim::Rule::new(Fault::Answer(Case::new(500, 0))) };
    let silent = stage.sim.running().add_rule(silent);
    stage.start();
    let job = stage.job("checked");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.settled(LIMIT).await;
    let letter = text(stage.verdict().dead_letter_of(&job.reference).expect("a dead letter"), "id").to_owned();

    stage.sim.running().remove_rule(silent);
    stage.sim.fault("checked", 39, Fault::InProgress(Latest::Missing), None, Some(1));
    stage.sim.fault("checked", 39, Fault::Report(Latest::NotFound), None, None);
    stage.worker.ask(&["dlq", "check", &letter, "--reason", "what became of it", "--yes"]);
    stage.worker.ask(&["dlq", "replay", &letter, "--reason", "once more", "--yes", "--wait"]);

    let verdict = stage.verdict();
    verdict.assert_sound();
    let again = verdict.dead_letter_of(&job.reference).expect("it stands before a person again");
    assert_eq!(text(again, "reason"), "unresolved");
    assert_eq!((verdict.top_ups(&job.reference), verdict.credits(&job.reference)), (1, 1));
}

/// C10. The simulator's foreign code is the one that the override reads as the status inquiry's own success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_an_override_for_the_status_inquiry_counts_or_is_refused_at_the_start() {
    let mut stage = Stage::prepare("override").await;
    let with = |code: &str, class: &str, service: &str| {
        format!("overrides = [{{ code = \"{code}\", class = \"{class}\"{service} }}]")
    };
    let status = ", service = 39";
    stage.settings.providers.truncate(1);
    for (code, class, service) in [
        ("2003900", "success", status),
        ("2003900", "success", ""),
        ("2003900", "success", ", service = 36"),
        ("2003800", "success", ", service = 36"),
        ("4043901", "ambiguous", status),
        ("5003900", "duplicate", status),
    ] {
        stage.settings.provider_extra = with(code, class, service);
        stage.reconfigure();
        let refused = stage.worker.ask(&["run"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{code} {class}{service}: {said}");
        assert!(said.contains("providers.finpay.overrides[0] has no effect") && said.contains("hint: "), "{said}");
    }

    for (code, shown) in [("2003800", Fault::ForeignService), ("2003977", Fault::UnknownCode)] {
        let mut stage = Stage::prepare("override-counts").await;
        stage.settings.providers.truncate(1);
        stage.settings.provider_extra = with(code, "success", status);
        stage.sim.fault("override", 38, Fault::Fin, Some(true), Some(1));
        stage.sim.fault("override", 39, shown, None, None);
        let jobs = stage.jobs("override", 3);
        let verdict = settled(&mut stage, &jobs).await;
        assert!(jobs.iter().all(|job| verdict.credits(&job.reference) == 1), "{code}");
    }
}
