//! C6 in other ways: other answers, other services, other moments of what comes twice or late.

use std::time::Duration;

use snap_sim::{Case, Fault, Rule};

use super::{job, one_at_a_time, settled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_copy_in_the_same_piece_or_after_the_next_request_is_of_one_top_up() {
    let mut stage = one_at_a_time("copies", "never").await;
    let mut jobs = Vec::new();
    // In one piece with the answer, before the next request, while that is answered, and behind its answer.
    for (name, delay_ms) in [("piece", 0), ("at-once", 2), ("meanwhile", 35), ("behind", 60)] {
        stage.sim.running().add_rule(Rule {
            reference_prefix: Some(name.to_owned()),
            service: Some(38),
            delay_ms: Some(delay_ms),
            ..Rule::new(Fault::AnsweredTwice)
        });
        jobs.extend([name, "next", name, "next", "next"].map(|name| job(&stage, name)));
    }
    let verdict = settled(&mut stage, &jobs).await;
    assert!(jobs.iter().all(|job| verdict.top_ups(&job.reference) == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_the_late_answers_to_a_top_up_that_got_504_are_not_the_next_ones_whatever_they_say() {
    let mut stage = one_at_a_time("late-others", "never").await;
    let mut jobs = Vec::new();
    let late = [(500, 0), (202, 0), (409, 0), (400, 1), (403, 15)];
    for (http, case) in late {
        let name = format!("late{http}");
        stage.sim.fault(&name, 38, Fault::LateAnswer(Case::new(http, case)), None, Some(1));
        jobs.extend([name.as_str(), "next", "next"].map(|name| job(&stage, name)));
    }
    let verdict = settled(&mut stage, &jobs).await;
    for job in jobs.iter().filter(|job| job.reference.starts_with("next")) {
        assert_eq!(verdict.top_ups(&job.reference), 1, "{} was answered with another's answer", job.reference);
    }
}

/// What is in doubt is asked about over a connection that brings the answer about another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_a_status_that_comes_twice_or_late_settles_no_other_top_up() {
    for in_flight in [1, 3] {
        let mut stage = one_at_a_time(&format!("status-{in_flight}"), "never").await;
        stage.settings.max_in_flight = in_flight;
        stage.settings.first_after = Duration::from_millis(150);
        let mut jobs = Vec::new();
        for (paid, commit) in [("paid", true), ("unpaid", false)] {
            for (name, shown) in [
                ("twice", Fault::AnsweredTwice),
                ("late", Fault::LateAnswer(Case::new(404, 1))),
                ("plain", Fault::None),
            ] {
                let prefix = format!("{name}-{paid}");
                stage.sim.fault(&prefix, 38, Fault::Fin, Some(commit), Some(1));
                stage.sim.fault(&prefix, 39, shown, None, Some(2));
                jobs.push(job(&stage, &prefix));
            }
        }
        let verdict = settled(&mut stage, &jobs).await;
        for job in &jobs {
            let name = &job.reference;
            assert_eq!(verdict.credits(name), 1, "{name}");
            assert_eq!(verdict.top_ups(name), if name.contains("-paid") { 1 } else { 2 }, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_c6_the_late_answer_to_an_inquiry_that_got_504_refuses_nobody_else() {
    for (provider, in_flight) in [("finpay", 1), ("finpay", 3), ("midtrans", 1)] {
        let mut stage = one_at_a_time(&format!("inquired-{provider}-{in_flight}"), "always").await;
        stage.settings.max_in_flight = in_flight;
        let mut jobs = Vec::new();
        for case in [Case::new(404, 11), Case::new(404, 12), Case::new(200, 0)] {
            let late = stage.job("late").by(provider).with("beneficiaryProvider", "gopay".into());
            stage.sim.running().add_rule(Rule {
                customer: Some(late.canonical_customer()),
                service: Some(37),
                times: Some(1),
                ..Rule::new(Fault::LateAnswer(case))
            });
            let next = || stage.job("next").by(provider).with("beneficiaryProvider", "gopay".into());
            jobs.extend([late.clone(), next(), next()]);
        }
        let verdict = settled(&mut stage, &jobs).await;
        assert!(jobs.iter().all(|job| verdict.top_ups(&job.reference) == 1));
    }
}
