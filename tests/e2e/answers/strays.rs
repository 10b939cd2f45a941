//! C6: a request is answered well and by name, so its connection is kept; a second, nameless answer to it comes when the next
//! request of its service has been written there. Nobody may be paid twice, or refused, by it.

use std::time::{Duration, Instant};

use snap_sim::{Case, Fault, Rule};

use super::{job, one_at_a_time, settled};
use crate::harness::{Job, Stage};

/// When the next request's own answer comes behind the stray one, in milliseconds: with it, before the worker can ask anything,
/// and long after.
const BEHIND: [u64; 3] = [0, 30, 400];

/// A second answer to whatever these meet, and so long after it the own answer of the request that it comes to.
fn stray(stage: &Stage, prefix: &str, service: u8, case: Case, behind_ms: u64) {
    stage.sim.running().add_rule(Rule {
        reference_prefix: Some(prefix.to_owned()),
        service: Some(service),
        delay_ms: Some(behind_ms),
        ..Rule::new(Fault::SecondAnswer(case))
    });
}

/// Each kind of stray answer to a top-up, at each time, followed by two top-ups of others.
async fn top_ups(name: &str, provider: &str, inquiry: &str, cases: &[Case]) {
    let mut stage = one_at_a_time(name, inquiry).await;
    stage.settings.first_after = Duration::from_millis(300);
    let mut jobs = Vec::new();
    for case in cases {
        for behind in BEHIND {
            let prefix = format!("a{case}-{behind}-");
            stray(&stage, &prefix, 38, *case, behind);
            jobs.extend([prefix.as_str(), "next", "next"].map(|name| job(&stage, name).by(provider)));
        }
    }
    let verdict = settled(&mut stage, &jobs).await;
    for job in &jobs {
        let name = &job.reference;
        assert_eq!((verdict.credits(name), verdict.top_ups(name)), (1, 1), "{name}");
    }
}

const REFUSED: [Case; 4] = [Case::new(429, 0), Case::new(401, 1), Case::new(404, 11), Case::new(403, 18)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_to_a_top_up_that_names_nothing_neither_repeats_nor_refuses_the_next_one() {
    top_ups("stray-finpay", "finpay", "never", &REFUSED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_that_comes_two_services_later_neither_repeats_nor_refuses_anything() {
    top_ups("stray-later", "finpay", "always", &REFUSED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_at_a_provider_whose_top_ups_are_pending_neither_repeats_nor_refuses_the_next_one() {
    top_ups("stray-midtrans", "midtrans", "never", &REFUSED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_that_says_wrong_duplicate_or_our_fault_pauses_and_kills_nothing() {
    let cases = [Case::new(400, 1), Case::new(401, 0), Case::new(403, 4), Case::new(403, 14), Case::new(409, 1)];
    top_ups("stray-others", "finpay", "never", &cases).await;
}

/// Each status answer is followed by a "not found" to the next status inquiry: two of them in a row pass for a proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_to_a_status_inquiry_proves_nothing_about_the_next_top_up() {
    for (provider, service) in [("finpay", 39), ("midtrans", 36)] {
        let mut stage = one_at_a_time(&format!("stray-status-{provider}"), "never").await;
        stage.settings.first_after = Duration::from_millis(100);
        stage.settings.quiet_period = Duration::from_millis(1500);
        stage.sim.fault("paid", 38, Fault::Fin, Some(true), Some(24));
        stray(&stage, "paid", service, Case::new(404, 1), 30);
        let jobs: Vec<Job> = (0..24).map(|_| job(&stage, "paid").by(provider)).collect();
        let verdict = settled(&mut stage, &jobs).await;
        for job in &jobs {
            assert_eq!((verdict.credits(&job.reference), verdict.top_ups(&job.reference)), (1, 1), "{}", job.reference);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_second_answer_to_an_inquiry_refuses_no_other_customer() {
    // What is given up counts as under way at the provider until its own answer has gone out.
    for behind in [0, 30] {
        let mut stage = one_at_a_time(&format!("stray-inquiry-{behind}"), "always").await;
        let mut jobs = Vec::new();
        for case in [Case::new(404, 11), Case::new(400, 1), Case::new(403, 14), Case::new(401, 1)] {
            let asked = stage.job("asked");
            stage.sim.running().add_rule(Rule {
                customer: Some(asked.canonical_customer()),
                service: Some(37),
                delay_ms: Some(behind),
                ..Rule::new(Fault::SecondAnswer(case))
            });
            jobs.extend([asked, stage.job("next"), stage.job("next")]);
        }
        let verdict = settled(&mut stage, &jobs).await;
        for job in &jobs {
            assert_eq!((verdict.credits(&job.reference), verdict.top_ups(&job.reference)), (1, 1), "{}", job.reference);
        }
    }
}

/// What is plainly refused by a connection that has carried top-ups before is refused, at once, and sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_plain_refusal_by_a_connection_that_was_used_before_is_believed_at_once() {
    for (provider, in_flight) in [("finpay", 1), ("finpay", 4), ("midtrans", 1)] {
        let mut stage = one_at_a_time(&format!("plain-{provider}-{in_flight}"), "never").await;
        stage.settings.max_in_flight = in_flight;
        // Whatever waits for it is late.
        stage.settings.quiet_period = Duration::from_secs(60);
        stage.settings.first_after = Duration::from_secs(if provider == "finpay" { 30 } else { 1 });
        stage.sim.fault("refused", 38, Fault::Answer(Case::new(404, 11)), None, None);
        let names = ["good", "good", "refused"];
        let jobs: Vec<Job> = names.into_iter().cycle().take(30).map(|name| job(&stage, name).by(provider)).collect();
        let began = Instant::now();
        let verdict = settled(&mut stage, &jobs).await;
        assert!(began.elapsed() < Duration::from_secs(28), "{provider}: {:?}", began.elapsed());
        for job in &jobs {
            let (name, paid) = (&job.reference, usize::from(job.reference.starts_with("good")));
            let state = if paid == 1 { "succeeded" } else { "rejected" };
            assert_eq!((verdict.state(name), verdict.credits(name), verdict.top_ups(name)), (state, paid, 1), "{name}");
        }
    }
}

/// Too many requests at once, for a while: each is confirmed once, waits as it was told to, and is paid once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_storm_of_429_on_used_connections_is_asked_about_once_each() {
    let mut stage = one_at_a_time("storm-429", "never").await;
    stage.settings.max_in_flight = 4;
    stage.settings.quiet_period = Duration::from_secs(60);
    stage.settings.first_after = Duration::from_secs(60);
    let mut jobs: Vec<Job> = Vec::new();
    for _ in 0..10 {
        let limited = job(&stage, "limited");
        stage.sim.fault(&limited.reference, 38, Fault::RateLimitedNoHint, None, Some(2));
        jobs.extend([job(&stage, "good"), limited]);
    }
    let verdict = settled(&mut stage, &jobs).await;
    for job in &jobs {
        let (name, sent) = (&job.reference, if job.reference.starts_with("good") { 1 } else { 3 });
        assert_eq!((verdict.credits(name), verdict.top_ups(name)), (1, sent), "{name}");
    }
    let asked = stage.sim.running().requests().iter().filter(|request| request.service == 39).count();
    assert!(asked <= 20, "{asked} status inquiries for 20 refusals");
}
