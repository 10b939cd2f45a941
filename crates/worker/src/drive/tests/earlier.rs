//! M15: what a drive makes of an answer that may be that to an earlier request of its connection.

use snap_client::Answered;

use super::*;
use crate::stage::answered;

/// The same reply, by a connection that carried its service before.
fn earlier(reply: Reply) -> Reply {
    match reply {
        Reply::Answered(answered) => Reply::Answered(Answered { may_be_earlier: true, ..answered }),
        other => other,
    }
}

fn unknown() -> Reply {
    refused(404, Service::TopUpStatus, 1)
}

#[tokio::test(start_paused = true)]
async fn m15_a_refusal_that_is_borne_out_behind_it_costs_one_question_and_is_believed() {
    for (http, case, ends) in [(404, 11, "rejected"), (403, 18, "rejected"), (429, 0, "ready"), (400, 1, "dead")] {
        let stage = Stage::new(1);
        stage.provider.says(Service::TopUp, earlier(refused(http, Service::TopUp, case)));
        stage.provider.says(Service::TopUpStatus, unknown());
        assert_eq!(state(&stage.one().await), ends, "{http} {case}");
        assert_eq!((stage.provider.times(Service::TopUp), stage.provider.times(Service::TopUpStatus)), (1, 1));
        assert!(!stage.lane().is_paused());
    }
}

#[tokio::test(start_paused = true)]
async fn m15_a_refused_token_and_a_fault_of_ours_count_when_they_are_borne_out() {
    let stage = Stage::new(1);
    stage.provider.says(Service::TopUp, earlier(refused(401, Service::TopUp, 1)));
    stage.provider.says(Service::TopUpStatus, refused(401, Service::TopUpStatus, 1));
    assert_eq!(state(&stage.one().await), "succeeded");
    assert_eq!((stage.provider.times(Service::AccessToken), stage.provider.times(Service::TopUp)), (2, 2));
    let stage = Stage::new(1);
    stage.provider.says(Service::TopUp, earlier(refused(403, Service::TopUp, 14)));
    stage.provider.says(Service::TopUpStatus, unknown());
    assert_eq!((state(&stage.one().await), stage.lane().is_paused()), ("ready", true));
}

#[tokio::test(start_paused = true)]
async fn m15_a_refusal_with_the_top_ups_own_answer_behind_it_is_no_refusal() {
    let named = json!({ "responseCode": "2003800", "partnerReferenceNo": "PART-1", "referenceNo": "9" });
    for (behind, ends) in [(answered(200, &named), "succeeded"), (not_sent(), "unconfirmed")] {
        for (http, case) in [(429, 0), (401, 1), (404, 11), (403, 14), (400, 1)] {
            let stage = Stage::new(1);
            stage.provider.says(Service::TopUp, earlier(refused(http, Service::TopUp, case)));
            stage.provider.says(Service::TopUpStatus, behind.clone());
            assert_eq!(state(&stage.one().await), ends, "{http} {case}");
            assert_eq!((stage.provider.times(Service::TopUp), stage.provider.times(Service::AccessToken)), (1, 1));
            assert!(!stage.lane().is_paused());
        }
    }
}

/// The doubt ends by the ordinary way, and what is sent again goes by a new connection: no second one can come of it.
#[tokio::test(start_paused = true)]
async fn m15_what_is_sent_again_after_a_doubt_goes_by_a_new_connection() {
    let stage = Stage::new(1);
    stage.provider.says(Service::TopUp, earlier(refused(429, Service::TopUp, 0)));
    stage.provider.says(Service::TopUpStatus, not_sent());
    let mut job = stage.one().await;
    for _ in 0..20 {
        stage.provider.says(Service::TopUpStatus, not_found());
    }
    while state(&job) == "unconfirmed" {
        tokio::time::advance(job.due_at.unwrap().since(stage.now())).await;
        job = stage.driven(vec![job]).await.remove(0);
    }
    assert_eq!((state(&job), stage.provider.times(Service::TopUp)), ("succeeded", 2));
    assert_eq!(stage.provider.by_new(), [Service::TopUp], "the second one");
}

#[tokio::test(start_paused = true)]
async fn m15_an_inquiry_that_may_be_another_customers_is_made_again_by_a_new_connection() {
    for (http, case) in [(404, 11), (400, 1), (401, 1), (403, 14)] {
        let stage = Stage::new(1);
        stage.provider.says(Service::AccountInquiry, earlier(refused(http, Service::AccountInquiry, case)));
        assert_eq!(state(&stage.one().await), "succeeded", "{http} {case}");
        assert_eq!(stage.provider.by_new(), [Service::AccountInquiry]);
        assert_eq!((stage.provider.times(Service::AccountInquiry), stage.provider.times(Service::AccessToken)), (2, 1));
    }
    let stage = Stage::new(1);
    for reply in [earlier(refused(404, Service::AccountInquiry, 11)), refused(404, Service::AccountInquiry, 11)] {
        stage.provider.says(Service::AccountInquiry, reply);
    }
    assert_eq!(state(&stage.one().await), "rejected", "the second answer counts");
}

#[tokio::test(start_paused = true)]
async fn m15_a_status_that_may_be_another_top_ups_is_asked_again_by_a_new_connection() {
    let stage = Stage::new(1);
    let job = in_doubt(&stage).await;
    stage.provider.says(Service::TopUpStatus, earlier(unknown()));
    assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"));
    assert_eq!(stage.provider.by_new(), [Service::TopUpStatus]);
    assert_eq!(stage.provider.times(Service::TopUpStatus), 2);
}

/// Neither after the stop nor on a standing lane is anything asked again, and nothing is made of the answer.
#[tokio::test(start_paused = true)]
async fn m15_what_is_to_be_asked_again_waits_like_any_other_call() {
    for stops in [true, false] {
        let stage = Stage::new(1);
        let job = in_doubt(&stage).await;
        stage.provider.says(Service::TopUpStatus, earlier(unknown()));
        let id = job.id;
        let (tracker, slot) = (TaskTracker::new(), stage.lane().try_slot().unwrap());
        stage.driver.start(&tracker, slot, job, Purpose::Work);
        while stage.provider.times(Service::TopUpStatus) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if stops {
            stage.driver.shutdown.cancel();
        } else {
            stage.lane().observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, stage.now());
        }
        tracker.close();
        tracker.wait().await;
        let job = stage.driver.store.job(id).await.unwrap().unwrap();
        assert_eq!((state(&job), stage.provider.times(Service::TopUpStatus)), ("unconfirmed", 1), "stop: {stops}");
    }
}
