//! Questions that operators and metrics ask.

use super::*;

#[tokio::test]
async fn jobs_are_listed_by_arrival_in_pages_and_by_filter() {
    let fixture = Fixture::new();
    for n in 0..3 {
        fixture.driven(&format!("open-{n}")).await;
    }
    fixture.succeeded("done-1").await;
    let mut other = new_job("other");
    other.request.provider = "midtrans".to_owned();
    other.request.customer_number = CustomerNumber::parse("089999999999").unwrap();
    other.at = t(100);
    fixture.accept_one(other).await;

    let keys = |page: &Page<KnownJob, JobId>| -> Vec<String> {
        page.items.iter().map(|job| job.partner_reference_no().to_string()).collect()
    };
    let all = JobFilter::default;
    let page = fixture.store.jobs(all(), None, 3).await.unwrap();
    assert_eq!(keys(&page), ["other", "done-1", "open-2"]);
    let page = fixture.store.jobs(all(), page.next, 3).await.unwrap();
    assert_eq!((keys(&page), page.next), (vec!["open-1".to_owned(), "open-0".to_owned()], None));
    let oldest = JobFilter { oldest_first: true, ..all() };
    assert_eq!(keys(&fixture.store.jobs(oldest, Some(JobId(3)), 9).await.unwrap()), ["done-1", "other"]);

    let found = async |filter| keys(&fixture.store.jobs(filter, None, 9).await.unwrap());
    assert_eq!(found(JobFilter { states: vec!["succeeded".to_owned(), "dead".to_owned()], ..all() }).await, ["done-1"]);
    assert_eq!(found(JobFilter { provider: Some("midtrans".to_owned()), ..all() }).await, ["other"]);
    let customer = CustomerNumber::parse("+6289999999999").unwrap();
    assert_eq!(found(JobFilter { customer: Some(customer), ..all() }).await, ["other"]);
    assert_eq!(found(JobFilter { since: Some(t(100)), ..all() }).await, ["other"]);
    assert_eq!(found(JobFilter { until: Some(t(100)), ..all() }).await.len(), 4);
    assert_eq!(found(JobFilter { matching: Some("22111500".to_owned()), ..all() }).await, ["done-1"]);
    assert_eq!(found(JobFilter { matching: Some("SUCCESS".to_owned()), ..all() }).await, ["done-1"]);
    assert_eq!(found(JobFilter { matching: Some("' OR 1=1 --".to_owned()), ..all() }).await, [""; 0]);
    assert_eq!(fixture.store.job(JobId(4)).await.unwrap().unwrap().request.partner_reference_no, reference("done-1"));
    assert_eq!(fixture.store.job(JobId(99)).await.unwrap(), None);
    assert!(fixture.store.timeline(&reference("nowhere")).await.unwrap().is_none());
}

#[tokio::test]
async fn totals_are_per_provider_and_state_and_leave_final_jobs_out_of_the_gauges() {
    let fixture = Fixture::new();
    fixture.driven("a").await;
    fixture.accept_one(NewJob { at: t(-5), ..new_job("b") }).await;
    fixture.died("c").await;
    fixture.succeeded("d").await;
    let line = |state: &str, count, oldest| StateTotal {
        provider: "finpay".to_owned(),
        state: state.to_owned(),
        count,
        amount: Total::from_minor(1_000_000 * u128::from(count)),
        oldest,
    };
    let open = fixture.store.open_totals().await.unwrap();
    assert_eq!(open, [line("dead", 1, t(0)), line("ready", 2, t(-5))]);
    let all = fixture.store.totals(JobFilter::default()).await.unwrap();
    assert_eq!(all, [line("dead", 1, t(0)), line("ready", 2, t(-5)), line("succeeded", 1, t(0))]);
}

#[tokio::test]
async fn a_sum_beyond_64_bits_is_a_sum() {
    let fixture = Fixture::new();
    let jobs = (0..20).map(|n| {
        let mut new = new_job(&format!("ref-{n}"));
        new.request.amount = Amount::MAX;
        new
    });
    fixture.store.accept(jobs.collect()).await.unwrap();
    let total = fixture.store.open_totals().await.unwrap().remove(0).amount;
    assert_eq!(total, Total::from_minor(u128::from(Amount::MAX.minor()) * 20));
    assert!(total.minor() > u128::from(u64::MAX));
    assert_eq!(total.to_string(), "199999999999999999.80");
    assert_eq!(fixture.store.totals(JobFilter::default()).await.unwrap()[0].amount, total);
}
