//! `classify` against `fixtures/response-codes.csv`, row by row, and against what no row says.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::HashMap;

use snap_core::{
    Class, CodeOverride, LaneFault, Profile, ResponseCode, Service, TransactionStatus, classify, classify_reply,
    lane_fault, rows_for, table,
};

fn finpay() -> Profile {
    Profile::builtin("finpay").unwrap()
}

fn midtrans() -> Profile {
    Profile::builtin("midtrans").unwrap()
}

fn code(digits: &str) -> ResponseCode {
    digits.parse().unwrap()
}

/// Every code there can be in the answer of a service.
fn codes_of(service: Service) -> impl Iterator<Item = ResponseCode> {
    (0..1000).flat_map(move |http| (0..100).map(move |case| code(&format!("{http:03}{service}{case:02}"))))
}

#[test]
fn every_row_of_the_table_has_the_class_it_says() {
    assert_eq!(table().len(), 175);
    for row in table() {
        // Rows for any service are written as of a call that moves money.
        let service = row.service.unwrap_or(Service::TopUp);
        // There is no DANA profile: its rows agree with the standard's.
        let profile = if row.provider == "midtrans" { midtrans() } else { finpay() };
        let (digits, status) = row.code.split_once('+').map_or((row.code, None), |(digits, two)| (digits, Some(two)));
        let code = code(&digits.replace("xx", &service.to_string()));

        assert_eq!(code.http_status(), row.http_status, "{row:?}");
        match status {
            None => assert_eq!(classify(&profile, service, code), row.class, "{row:?}"),
            Some(two) => {
                assert_eq!(TransactionStatus::parse(two).unwrap().class(), row.class, "{row:?}");
                assert_eq!(classify(&profile, service, code), Class::Ambiguous, "{row:?}");
            }
        }
    }
}

#[test]
fn a_code_no_row_lists_is_doubt_on_a_top_up() {
    let listed: HashMap<String, Class> = table()
        .iter()
        .filter(|row| row.provider == "standard" && row.service.is_none())
        .map(|row| (row.code.replace("xx", "38"), row.class))
        .collect();
    let finpay = finpay();
    for code in codes_of(Service::TopUp) {
        let expected = listed.get(code.as_str()).copied().unwrap_or(Class::Ambiguous);
        assert_eq!(classify(&finpay, Service::TopUp, code), expected, "{code}");
    }
}

#[test]
fn a_code_of_another_service_proves_nothing() {
    for profile in [finpay(), midtrans()] {
        for called in Service::ALL {
            for answered in Service::ALL.into_iter().filter(|answered| *answered != called) {
                let expected = if called.moves_money() { Class::Ambiguous } else { Class::RetrySafe };
                for digits in ["200xx00", "202xx00", "400xx00", "401xx01", "403xx14", "404xx11", "409xx01", "500xx00"] {
                    let code = code(&digits.replace("xx", &answered.to_string()));
                    assert_eq!(classify(&profile, called, code), expected, "{code} to {called}");
                }
            }
        }
    }
}

#[test]
fn a_finpay_top_up_answered_with_the_status_code_of_its_own_list_is_doubt() {
    assert_eq!(classify(&finpay(), Service::TopUp, code("2003900")), Class::Ambiguous);
}

#[test]
fn a_status_answer_never_settles_a_top_up_by_its_code() {
    for profile in [finpay(), midtrans()] {
        for service in [Service::TopUpStatus, Service::TransferStatus] {
            for code in codes_of(service) {
                let class = classify(&profile, service, code);
                let settles = matches!(class, Class::Success | Class::BusinessReject | Class::Duplicate);
                assert!(!settles, "{code} is {class}");
            }
        }
    }
}

#[test]
fn only_a_top_up_and_a_status_inquiry_leave_doubt() {
    let finpay = finpay();
    for service in [Service::AccountInquiry, Service::AccessToken] {
        for code in codes_of(service) {
            let class = classify(&finpay, service, code);
            assert!(!matches!(class, Class::Ambiguous | Class::Duplicate), "{code} is {class}");
        }
    }
}

#[test]
fn a_refused_token_is_never_refreshed_and_never_blames_the_customer() {
    let finpay = finpay();
    for code in codes_of(Service::AccessToken) {
        let class = classify(&finpay, Service::AccessToken, code);
        assert!(!matches!(class, Class::AuthRefresh | Class::BusinessReject), "{code} is {class}");
    }
}

#[test]
fn the_transfer_status_is_read_like_the_top_up_status() {
    let midtrans = midtrans();
    for (ours, theirs) in codes_of(Service::TransferStatus).zip(codes_of(Service::TopUpStatus)) {
        let read = classify(&midtrans, Service::TransferStatus, ours);
        assert_eq!(read, classify(&midtrans, Service::TopUpStatus, theirs), "{ours}");
    }
}

#[test]
fn a_200_from_midtrans_is_pending_and_its_bad_request_is_the_customers() {
    let midtrans = midtrans();
    assert_eq!(classify(&midtrans, Service::TopUp, code("2003800")), Class::Pending);
    assert_eq!(classify(&midtrans, Service::AccountInquiry, code("2003700")), Class::Success);
    assert_eq!(classify(&midtrans, Service::TopUp, code("4003800")), Class::BusinessReject);
    assert_eq!(classify(&finpay(), Service::TopUp, code("4003800")), Class::ConfigError);
    assert_eq!(classify(&midtrans, Service::AccountInquiry, code("4003700")), Class::ConfigError);
    // Outside the standard and unknown to anybody but Midtrans.
    assert_eq!(classify(&finpay(), Service::TopUp, code("4223802")), Class::Ambiguous);
}

fn with_overrides(overrides: Vec<CodeOverride>) -> Profile {
    Profile { overrides, ..finpay() }
}

fn rule(pattern: &str, class: Class, service: Option<Service>) -> CodeOverride {
    CodeOverride { code: pattern.parse().unwrap(), class, service }
}

#[test]
fn a_profile_overrides_a_code_and_the_first_rule_wins() {
    let profile =
        with_overrides(vec![rule("4043818", Class::Duplicate, None), rule("404xx18", Class::ConfigError, None)]);
    assert_eq!(classify(&profile, Service::TopUp, code("4043818")), Class::Duplicate);
    assert_eq!(classify(&profile, Service::AccountInquiry, code("4043718")), Class::ConfigError);
    assert_eq!(classify(&profile, Service::TopUp, code("4043811")), Class::BusinessReject);
}

#[test]
fn an_override_does_not_make_a_foreign_code_ours_unless_it_names_the_service() {
    let loose = with_overrides(vec![rule("2000000", Class::Pending, None), rule("xxxxxxx", Class::Success, None)]);
    assert_eq!(classify(&loose, Service::TopUp, code("2000000")), Class::Ambiguous);
    let named = with_overrides(vec![rule("2000000", Class::Pending, Some(Service::TopUp))]);
    assert_eq!(classify(&named, Service::TopUp, code("2000000")), Class::Pending);
    assert_eq!(classify(&named, Service::TopUpStatus, code("2000000")), Class::RetrySafe);
}

#[test]
fn a_reply_without_code_or_with_another_http_status_proves_nothing() {
    let finpay = finpay();
    let read = |service, http, digits: Option<&str>| classify_reply(&finpay, service, http, digits.map(code));
    assert_eq!(read(Service::TopUp, 200, Some("2003800")), Class::Success);
    assert_eq!(read(Service::TopUp, 200, Some("4033814")), Class::Ambiguous);
    assert_eq!(read(Service::TopUp, 404, Some("2003800")), Class::Ambiguous);
    assert_eq!(read(Service::TopUp, 502, None), Class::Ambiguous);
    assert_eq!(read(Service::AccountInquiry, 502, None), Class::RetrySafe);
    assert_eq!(read(Service::TopUpStatus, 404, Some("2003900")), Class::RetrySafe);
    assert_eq!(read(Service::AccessToken, 500, None), Class::RetrySafe);
}

#[test]
fn only_faults_of_ours_stop_the_lane() {
    let expected = [
        ("401xx00", LaneFault::Unauthorized),
        ("403xx01", LaneFault::FeatureNotAllowed),
        ("403xx14", LaneFault::InsufficientFunds),
        ("403xx19", LaneFault::MerchantBlacklisted),
        ("403xx20", LaneFault::MerchantLimit),
        ("404xx08", LaneFault::InvalidMerchant),
        ("404xx16", LaneFault::PartnerNotFound),
    ];
    for service in Service::ALL {
        let digits = service.to_string();
        for code in codes_of(service) {
            let listed = expected.iter().find(|(pattern, _)| pattern.replace("xx", &digits) == code.as_str());
            assert_eq!(lane_fault(code), listed.map(|(_, fault)| *fault), "{code}");
        }
    }
    assert_eq!(lane_fault(code("4012700")), None, "a service that is not ours");
}

#[test]
fn words_of_classes_and_faults_read_back() {
    for class in Class::ALL {
        assert_eq!(class.as_str().parse(), Ok(class));
        assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
    }
    for fault in LaneFault::ALL {
        assert_eq!(fault.as_str().parse(), Ok(fault));
        assert_eq!(serde_json::to_string(&fault).unwrap(), format!("\"{fault}\""));
    }
    assert!("perhaps".parse::<Class>().is_err());
    assert!("perhaps".parse::<LaneFault>().is_err());
}

#[test]
fn the_rows_about_a_code_are_the_providers_own_and_the_standards() {
    let rows: Vec<_> = rows_for("midtrans", "4003800").map(|row| (row.provider, row.class)).collect();
    assert_eq!(rows, [("midtrans", Class::BusinessReject), ("standard", Class::ConfigError)]);
    let status: Vec<_> = rows_for("dana", "2003900+06").map(|row| row.provider).collect();
    assert_eq!(status, ["dana", "standard"]);
    assert_eq!(rows_for("finpay", "9993899").count(), 0);
    let quoted = rows_for("standard", "4017300").find(|row| row.provider == "standard").unwrap();
    assert_eq!(quoted.message, "Unauthorized (signature, unknown client, clock, IP allow-list)");
}

#[test]
fn a_code_is_seven_ascii_digits_and_nothing_else() {
    let parsed = code("4043811");
    assert_eq!((parsed.http_status(), parsed.service(), parsed.case()), (404, 38, 11));
    assert_eq!(parsed.to_string(), "4043811");
    assert_eq!(serde_json::to_string(&parsed).unwrap(), "\"4043811\"");
    assert_eq!(serde_json::from_str::<ResponseCode>("\"4043811\"").unwrap(), parsed);
    for wrong in ["", "200380", "20038000", "200380x", " 2003800", "٢٠٠٣", "2003800\n"] {
        assert!(ResponseCode::parse(wrong).is_err(), "{wrong:?}");
    }
}
