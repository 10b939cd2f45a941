use outbox::Total;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn metrics() -> Metrics {
    Metrics::new(["finpay", "gopay"], true)
}

fn line(text: &str, series: &str) -> String {
    let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{series} in\n{text}");
    found[0].to_owned()
}

/// The series names with their label names and without their values.
fn shape(text: &str) -> Vec<String> {
    let mut shapes: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, _) = line.rsplit_once(' ').unwrap();
            match series.split_once('{') {
                None => series.to_owned(),
                Some((name, labels)) => {
                    let names: Vec<_> = labels.split(',').map(|label| label.split_once('=').unwrap().0).collect();
                    format!("{name}{{{}}}", names.join(","))
                }
            }
        })
        .collect();
    shapes.sort();
    shapes.dedup();
    shapes
}

fn total(provider: &str, state: &str) -> StateTotal {
    StateTotal {
        provider: provider.to_owned(),
        state: state.to_owned(),
        count: 3,
        amount: Total::from_minor(12_345_678_901),
        oldest: Timestamp::from_millis(NOW.as_millis() - 1500),
    }
}

#[test]
fn every_name_and_label_is_the_contracts() {
    let metrics = metrics();
    metrics.lane_paused("finpay", "insufficient_funds");
    metrics.clock_offset("finpay", -2);
    insta::assert_snapshot!(shape(&metrics.render(&StoreSnapshot::default(), NOW)).join("\n"));
}

#[test]
fn the_text_ends_as_openmetrics_demands() {
    let text = metrics().render(&StoreSnapshot::default(), NOW);
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.contains("# TYPE topup_deliveries counter\n"), "{text}");
}

#[test]
fn series_are_there_before_anything_happened() {
    let text = metrics().render(&StoreSnapshot::default(), NOW);
    assert_eq!(line(&text, r#"topup_deliveries_total{result="conflict"}"#), "0");
    assert_eq!(line(&text, r#"topup_jobs_finished_total{provider="gopay",outcome="discarded"}"#), "0");
    assert_eq!(line(&text, r#"topup_jobs{provider="gopay",state="dead"}"#), "0");
    assert_eq!(line(&text, r#"topup_dead_letters{reason="unresolved"}"#), "0");
    assert_eq!(line(&text, "topup_outbox_oldest_age_seconds"), "0.0");
    assert_eq!(line(&text, "topup_amqp_connected"), "0");
}

#[test]
fn what_happens_is_counted_where_it_belongs() {
    let metrics = metrics();
    for result in DeliveryResult::ALL {
        metrics.delivery(result);
    }
    metrics.delivery(DeliveryResult::Refused);
    metrics.job_accepted("finpay");
    metrics.job_accepted("removed from the configuration");
    metrics.job_finished("finpay", "succeeded");
    metrics.job_finished("finpay", "rejected");
    metrics.job_finished("finpay", "dead");
    metrics.store_committed(Duration::from_micros(300));
    metrics.amqp_connected(true);
    let text = metrics.render(&StoreSnapshot::default(), NOW);
    assert_eq!(line(&text, r#"topup_deliveries_total{result="refused"}"#), "2");
    assert_eq!(line(&text, r#"topup_deliveries_total{result="duplicate"}"#), "1");
    assert_eq!(line(&text, r#"topup_jobs_accepted_total{provider="finpay"}"#), "1");
    assert_eq!(line(&text, r#"topup_jobs_accepted_total{provider="gopay"}"#), "0");
    assert_eq!(line(&text, r#"topup_jobs_finished_total{provider="finpay",outcome="succeeded"}"#), "1");
    assert_eq!(line(&text, r#"topup_jobs_finished_total{provider="finpay",outcome="rejected"}"#), "1");
    assert_eq!(line(&text, r#"topup_store_commit_seconds_bucket{le="0.00025"}"#), "0");
    assert_eq!(line(&text, r#"topup_store_commit_seconds_bucket{le="0.0005"}"#), "1");
    assert_eq!(line(&text, "topup_amqp_connected"), "1");
}

#[test]
fn every_service_and_class_counts_under_its_own_name() {
    let metrics = metrics();
    for service in Service::ALL {
        for class in Class::ALL {
            for _ in 0..=class as usize {
                metrics.provider_request(
                    "gopay",
                    service,
                    class.as_str(),
                    Duration::from_millis(service.code().into()),
                );
            }
        }
    }
    let text = metrics.render(&StoreSnapshot::default(), NOW);
    for service in Service::ALL {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            let class = class.as_str();
            let series =
                format!(r#"topup_provider_requests_total{{provider="gopay",service="{service}",class="{class}"}}"#);
            assert_eq!(line(&text, &series), (index + 1).to_string());
        }
        let series = format!(r#"topup_provider_request_seconds_count{{provider="gopay",service="{service}"}}"#);
        assert_eq!(line(&text, &series), "36");
    }
}

#[test]
fn a_lane_stands_for_one_cause_at_a_time() {
    let metrics = metrics();
    let series = |cause: &str| format!(r#"topup_lane_paused{{provider="finpay",cause="{cause}"}}"#);
    metrics.lane_paused("finpay", "unreachable");
    metrics.lane_paused("finpay", "unreachable");
    metrics.lane_paused("finpay", "operator");
    let text = metrics.render(&StoreSnapshot::default(), NOW);
    assert_eq!(line(&text, &series("unreachable")), "0");
    assert_eq!(line(&text, &series("operator")), "1");
    metrics.lane_resumed("finpay");
    metrics.lane_paused("finpay", "unreachable");
    let text = metrics.render(&StoreSnapshot::default(), NOW);
    assert_eq!(line(&text, &series("unreachable")), "1");
    assert_eq!(line(&text, &series("operator")), "0");
}

#[test]
fn what_the_store_knows_is_shown_in_rupiah_and_seconds_and_without_final_states() {
    let store = StoreSnapshot {
        jobs: vec![total("finpay", "unconfirmed"), total("finpay", "succeeded"), total("removed", "dead")],
        dead_letters: vec![(DeadReason::Unresolved, 7)],
        outbox: OutboxBacklog { pending: 4, oldest: Some(Timestamp::from_millis(NOW.as_millis() - 250)) },
    };
    let text = metrics().render(&store, NOW);
    assert_eq!(line(&text, r#"topup_jobs{provider="finpay",state="unconfirmed"}"#), "3");
    assert_eq!(line(&text, r#"topup_amount_idr{provider="finpay",state="unconfirmed"}"#), "123456789.01");
    assert_eq!(line(&text, r#"topup_oldest_age_seconds{provider="finpay",state="unconfirmed"}"#), "1.5");
    assert_eq!(line(&text, r#"topup_jobs{provider="removed",state="dead"}"#), "3");
    assert!(!text.contains(r#"state="succeeded""#), "{text}");
    assert_eq!(line(&text, r#"topup_dead_letters{reason="unresolved"}"#), "7");
    assert_eq!(line(&text, "topup_outbox_pending"), "4");
    assert_eq!(line(&text, "topup_outbox_oldest_age_seconds"), "0.25");
}

#[test]
fn without_a_broker_there_is_no_connection_to_alarm_about() {
    let text = Metrics::new(["finpay"], false).render(&StoreSnapshot::default(), NOW);
    assert!(!text.contains("topup_amqp"), "{text}");
}
