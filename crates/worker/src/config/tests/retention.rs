//! For how long things are kept, and which settings would forget too early.

use std::time::Duration;

use super::{MINIMAL, after, parse, parse_in, refused, with};
use crate::config::Retention;

const DAY: Duration = Duration::from_secs(86_400);

fn retention(store: &str, status: &str) -> Retention {
    parse(&(after(&format!("[store]\n{store}")) + status)).store.retention
}

fn midtrans(status: &str) -> String {
    let section = MINIMAL.replace("finpay", "midtrans");
    format!("{section}status.uniqueness_window = \"{status}\"\n")
}

#[test]
fn details_are_kept_for_90_days_or_as_long_as_any_provider_needs_and_keys_for_ever() {
    assert_eq!(parse(MINIMAL).store.retention, Retention { details: Some(90 * DAY), keys: None });
    let both = format!("default_provider = \"finpay\"\n{MINIMAL}{}", midtrans("120d"));
    assert_eq!(parse(&both).store.retention, Retention { details: Some(120 * DAY), keys: None });
    assert_eq!(parse(&with("status.give_up_after = \"91d\"")).store.retention.details, Some(91 * DAY));
    let said = "keep_details = \"forever\"\nkeep_keys = \"forever\"";
    assert_eq!(retention(said, ""), Retention { details: None, keys: None });
    let said = "keep_details = \"24h\"\nkeep_keys = \"24h1ms\"";
    let shortest = Retention { details: Some(DAY), keys: Some(DAY + Duration::from_millis(1)) };
    assert_eq!(retention(said, ""), shortest);
    let quick = "status.uniqueness_window = \"1s\"\nstatus.give_up_after = \"2s\"\n";
    assert_eq!(retention("keep_details = \"2s\"", quick).details, Some(Duration::from_secs(2)));
    let set = parse_in(MINIMAL, &[("WORKER__STORE__KEEP_KEYS", "400d")]);
    assert_eq!(set.store.retention.keys, Some(400 * DAY));
}

#[test]
fn m5_settings_that_would_forget_what_can_still_be_acted_upon_are_refused() {
    let long = "status.uniqueness_window = \"50d\"\n";
    for (store, status, expected) in [
        (
            "keep_details = \"49d\"",
            long,
            "store.keep_details is 49d, shorter than providers.finpay.status.uniqueness_window (50d): a top-up of that age \
             can still be asked about, and its dead letter restored\nhint: 50d or more, or \"forever\"",
        ),
        (
            "keep_details = \"2d\"",
            "status.give_up_after = \"3d\"\n",
            "store.keep_details is 2d, shorter than providers.finpay.status.give_up_after (3d)",
        ),
        (
            "keep_details = \"50d\"\nkeep_keys = \"50d\"",
            long,
            "store.keep_keys is 50d, not longer than providers.finpay.status.uniqueness_window (50d): a repeated message \
             would be a second top-up that the provider may not refuse\nhint: longer than",
        ),
        (
            "keep_keys = \"89d\"",
            "",
            "store.keep_keys is 89d, shorter than store.keep_details (90d): a key outlives its job",
        ),
        (
            "keep_details = \"forever\"\nkeep_keys = \"400d\"",
            "",
            "store.keep_keys is 400d, shorter than store.keep_details (forever)",
        ),
        ("keep_keys = \"0s\"", "", "store.keep_keys is 0s, not longer than"),
        ("keep_details = \"0s\"", "", "store.keep_details is 0s, shorter than"),
        ("keep_keys = \"never\"", "", "store.keep_keys has a value that does not fit: not a duration, such as"),
        ("keep_keys = 90", "", "store.keep_keys has a value that does not fit"),
    ] {
        let report = refused(&(after(&format!("[store]\n{store}")) + status));
        assert!(report.contains(&format!(": {expected}")), "expected {expected}\n{report}");
    }
    let both = format!("default_provider = \"finpay\"\n[store]\nkeep_details = \"30d\"\n{MINIMAL}{}", midtrans("50d"));
    assert!(refused(&both).contains("providers.midtrans.status.uniqueness_window (50d)"), "the longest of all");
}
