use proptest::prelude::*;

use super::*;

fn providers() -> Providers {
    let rule = |name: &str, needs| ProviderRule { name: name.to_owned(), needs_beneficiary_provider: needs };
    Providers::new(vec![rule("finpay", false), rule("midtrans", true)], Some("finpay"))
}

fn read(body: &str) -> Result<JobRequest, Refused> {
    parse(body.as_bytes(), None, &providers())
}

/// The smallest job with one member more, or another one in its place.
fn with(name: &str, raw: &str) -> String {
    let mut members = vec![
        ("partnerReferenceNo", "\"ref-1\""),
        ("customerNumber", "\"081234567902\""),
        ("amount", r#"{"value":"10000.00","currency":"IDR"}"#),
    ];
    members.retain(|(known, _)| *known != name);
    members.push((name, raw));
    object(&members)
}

fn without(name: &str) -> String {
    with(name, "null").replace(&format!(",\"{name}\":null"), "")
}

fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
    format!("{{{}}}", members.join(","))
}

#[track_caller]
fn refusal(body: &str) -> Refused {
    read(body).expect_err(body)
}

#[track_caller]
fn assert_refused(body: &str, field: &str, detail: &str) {
    let refused = refusal(body);
    assert_eq!((refused.field.as_deref(), refused.detail.as_str()), (Some(field), detail), "{body}");
    assert_eq!(refused.reason, DeadReason::Malformed);
}

#[test]
fn a_whole_job_is_read() {
    let body = r#"
        { "partnerReferenceNo": "INV/2026-0001", "customerNumber": "+6281234567902",
          "amount": { "currency": "IDR", "value": "10000.50" }, "provider": "midtrans", "customerName": "Siti Nurhaliza 😀",
          "notes": "Pulsa_1 A", "beneficiaryProvider": "gopay", "beneficiaryEmail": "siti@example.co.id",
          "notAfter": "2026-11-22T10:00:00+07:00", "metadata": { "order" : [1, 2.50, {"a":"\u00e9"} ] } }
    "#;
    let job = read(body).unwrap();
    assert_eq!(job.partner_reference_no.as_str(), "INV/2026-0001");
    assert_eq!(job.customer_number.expose(), "6281234567902");
    assert_eq!(job.amount.minor(), 1_000_050);
    assert_eq!(job.provider, "midtrans");
    assert_eq!(job.customer_name.unwrap().expose(), "Siti Nurhaliza 😀");
    assert_eq!(job.notes.unwrap().expose(), "Pulsa_1 A");
    assert_eq!(job.beneficiary_provider.unwrap(), "gopay");
    assert_eq!(job.beneficiary_email.unwrap().expose(), "siti@example.co.id");
    assert_eq!(job.not_after.unwrap().to_rfc3339(), "2026-11-22T10:00:00.000+07:00");
    assert_eq!(job.metadata.expose(), r#"{ "order" : [1, 2.50, {"a":"\u00e9"} ] }"#);
}

#[test]
fn the_smallest_job_is_defaulted() {
    let job = read(&without("provider")).unwrap();
    assert_eq!(job.provider, "finpay");
    assert_eq!(job.metadata.expose(), "{}");
    assert_eq!((job.customer_name, job.notes, job.not_after), (None, None, None));
    assert_eq!((job.beneficiary_provider, job.beneficiary_email), (None, None));
}

#[test]
fn escapes_in_names_and_values_mean_what_they_say() {
    let body = without("partnerReferenceNo").replacen('{', r#"{"partnerReference\u004eo":"ref\u002d1","#, 1);
    assert_eq!(read(&body).unwrap().partner_reference_no.as_str(), "ref-1");
}

#[test]
fn a_missing_field_is_named() {
    for field in REQUIRED {
        assert_refused(&without(field), field, &format!("{field} is missing"));
    }
    assert_refused(&with("amount", r#"{"value":"1.00"}"#), "amount.currency", "amount.currency is missing");
    assert_refused(&with("amount", r#"{"currency":"IDR"}"#), "amount.value", "amount.value is missing");
    assert_refused("{}", "partnerReferenceNo", "partnerReferenceNo is missing");
}

#[test]
fn a_wrong_type_is_named() {
    let kinds =
        [("1", "a number"), ("-0.5e3", "a number"), ("true", "a boolean"), ("null", "null"), ("[]", "an array")];
    for field in FIELDS {
        let takes_object = matches!(field, "amount" | "metadata");
        let other = if takes_object { ("\"x\"", "a string") } else { ("{}", "an object") };
        for (raw, kind) in kinds.into_iter().chain([other]) {
            let refused = refusal(&with(field, raw));
            assert_eq!(refused.field.as_deref(), Some(field));
            let wanted = if takes_object { "an object" } else { "a string" };
            let start = format!("{field} must be {wanted}, is {kind}");
            assert!(refused.detail.starts_with(&start), "{}", refused.detail);
        }
    }
    for field in AMOUNT_FIELDS {
        for (raw, kind) in kinds {
            let members = AMOUNT_FIELDS.map(|name| (name, if name == field { raw } else { "\"x\"" }));
            let refused = refusal(&with("amount", &object(&members)));
            assert_eq!(refused.field, Some(format!("amount.{field}")), "{}", refused.detail);
            assert!(refused.detail.contains(&format!("must be a string, is {kind}")), "{}", refused.detail);
        }
    }
}

#[test]
fn a_bad_form_is_named_and_the_value_is_not_repeated() {
    let long = |length: usize| "x".repeat(length);
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("partnerReferenceNo", vec!["".into(), long(65), "a b".into(), "é".into(), "a\\nb".into(), "a\\u0000".into()]),
        (
            "customerNumber",
            [
                "",
                "08",
                "0712345678",
                "63812345678",
                "+081234567",
                "08123-456-7",
                "0812 3456 789",
                "٠٨١٢٣٤٥٦٧٨٩",
                "62812345678901234",
                "8123456789",
                "++628123456789",
                "0812\\u0000345678",
            ]
            .map(String::from)
            .into(),
        ),
        ("provider", vec!["".into()]),
        (
            "customerName",
            vec![
                "".into(),
                "  ".into(),
                long(101),
                "é".repeat(101),
                "a\\u0000b".into(),
                "a\\tb".into(),
                "\\ud800".into(),
            ],
        ),
        ("notes", vec!["".into(), long(51), "a-b".into(), "é".into(), "a\\u0000".into(), "a\\nb".into()]),
        ("beneficiaryProvider", vec!["".into(), long(41), "a\\u0007".into()]),
        ("beneficiaryEmail", vec!["".into(), long(51), "a\\u0000".into()]),
        (
            "notAfter",
            [
                "",
                "2026-11-22",
                "2026-11-22T10:00:00",
                "2026-11-22 10:00:00+07:00",
                "2026-13-22T10:00:00Z",
                "tomorrow",
                "1795000000",
            ]
            .map(String::from)
            .into(),
        ),
    ];
    for (field, values) in cases {
        for value in values {
            let refused = refusal(&with(field, &format!("\"{value}\"")));
            assert_eq!(refused.field.as_deref(), Some(field), "{value}: {}", refused.detail);
            assert_eq!(refused.reason, DeadReason::Malformed);
            assert!(refused.detail.starts_with(field), "{}", refused.detail);
            let is_told = value.len() > 3 && refused.detail.contains(&value);
            assert!(!is_told, "{} repeats {value}", refused.detail);
        }
    }
}

#[test]
fn amounts_have_exactly_two_decimals_and_are_above_zero() {
    for value in [
        "",
        "0.00",
        "-1.00",
        "+1.00",
        "10000",
        "10000.0",
        "10000.000",
        "1e4",
        "1,000.00",
        "01.00",
        ".50",
        "1.",
        " 1.00",
        "10000000000000000.00",
        "٣.00",
        "NaN",
    ] {
        let body = with("amount", &format!(r#"{{"value":"{value}","currency":"IDR"}}"#));
        assert_eq!(refusal(&body).field.as_deref(), Some("amount.value"), "{value}");
    }
    for value in ["0.01", "1.00", "9999999999999999.99"] {
        let body = with("amount", &format!(r#"{{"value":"{value}","currency":"IDR"}}"#));
        assert_eq!(read(&body).unwrap().amount.to_string(), value);
    }
    for currency in ["", "idr", "USD", "IDR "] {
        let body = with("amount", &format!(r#"{{"value":"1.00","currency":"{currency}"}}"#));
        assert_refused(&body, "amount.currency", "amount.currency must be IDR");
    }
}

#[test]
fn the_longest_of_everything_is_taken() {
    let members = [
        ("partnerReferenceNo", "~".repeat(64)),
        ("customerName", "é".repeat(CUSTOMER_NAME_MAX)),
        ("notes", "a".repeat(NOTES_MAX)),
        ("beneficiaryProvider", "ü".repeat(BENEFICIARY_PROVIDER_MAX)),
        ("beneficiaryEmail", "e".repeat(BENEFICIARY_EMAIL_MAX)),
    ];
    for (field, value) in members {
        read(&with(field, &format!("\"{value}\""))).unwrap();
    }
    let metadata = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    read(&with("metadata", &metadata(METADATA_MAX))).unwrap();
    assert_refused(
        &with("metadata", &metadata(METADATA_MAX + 1)),
        "metadata",
        "metadata has 4097 bytes; at most 4096 are taken",
    );
    let mut body = without("provider");
    body.extend(std::iter::repeat_n(' ', BODY_MAX - body.len()));
    read(&body).unwrap();
    body.push(' ');
    let refused = refusal(&body);
    assert_eq!(refused.detail, "the message has 65537 bytes; at most 65536 are taken");
    assert_eq!(refused.field, None);
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    assert_refused(
        &with("notafter", "\"2026-11-22T10:00:00Z\""),
        "notafter",
        "notafter is not a known field; the nearest is notAfter",
    );
    assert_refused(
        &with("customer_number", "1"),
        "customer_number",
        "customer_number is not a known field; the nearest is customerNumber",
    );
    assert_refused(&with("xyz", "{}"), "xyz", "xyz is not a known field");
    assert_refused(
        &with("amount", r#"{"value":"1.00","currency":"IDR","curency":"IDR"}"#),
        "amount.curency",
        "amount.curency is not a known field; the nearest is amount.currency",
    );
    assert_eq!(refusal(&with("081234567902", "1")).detail, "************ is not a known field");
    assert_eq!(refusal(&with(&"k".repeat(5000), "1")).detail.chars().count(), 41 + " is not a known field".len());
}

#[test]
fn a_duplicate_is_refused_at_any_depth_even_with_the_same_value() {
    for field in FIELDS {
        let raw = match field {
            "amount" => r#"{"value":"10000.00","currency":"IDR"}"#,
            "metadata" => "{}",
            _ => "\"x\"",
        };
        let body = with(field, raw);
        let twice = format!("{},\"{field}\":{raw}}}", body.strip_suffix('}').unwrap());
        assert_refused(&twice, field, &format!("{field} appears twice"));
    }
    assert_refused(
        &with("amount", r#"{"value":"1.00","currency":"IDR","value":"1.00"}"#),
        "amount.value",
        "amount.value appears twice",
    );
    assert_refused(
        &with("metadata", r#"{"a":[{"b":{"c":1,"c":1}}]}"#),
        "metadata.a[0].b.c",
        "metadata.a[0].b.c appears twice",
    );
    assert_refused(&with("not\\u0041fter", "1, \"notAfter\":1"), "notAfter", "notAfter appears twice");
}

#[test]
fn nul_is_refused_wherever_it_stands() {
    assert_refused(
        &with("metadata", r#"{"a":{"b":"x\u0000"}}"#),
        "metadata.a.b",
        "metadata.a.b contains a NUL character",
    );
    assert_refused(&with("customerName", r#""\u0000""#), "customerName", "customerName contains a NUL character");
    assert_eq!(refusal(&with("notes\\u0000", "1")).detail, "notes\\0 is not a known field; the nearest is notes");
    let raw = with("customerName", "\"a\0b\"");
    assert!(refusal(&raw).detail.starts_with("the message is not JSON: control character"), "{}", refusal(&raw).detail);
    assert!(refusal("\0").detail.starts_with("the message is not JSON"));
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    for (body, detail) in [
        ("[]", "the message must be one JSON object, is an array"),
        ("\"x\"", "the message must be one JSON object, is a string"),
        ("12", "the message must be one JSON object, is a number"),
        ("null", "the message must be one JSON object, is null"),
        ("", "the message is not JSON: EOF while parsing a value at line 1 column 0"),
        ("nonsense", "the message is not JSON: expected ident at line 1 column 2"),
        ("\"Siti", "the message is not JSON: EOF while parsing a string at line 1 column 5"),
        ("{} {}", "the message is not JSON: trailing characters at line 1 column 4"),
        ("{'a':1}", "the message is not JSON: key must be a string at line 1 column 2"),
        ("{\"a\":01}", "the message is not JSON: invalid number at line 1 column 7"),
        ("{\"a\":1,}", "the message is not JSON: trailing comma at line 1 column 8"),
        ("\u{feff}{}", "the message is not JSON: expected value at line 1 column 1"),
    ] {
        let refused = refusal(body);
        assert_eq!((refused.field, refused.detail.as_str()), (None, detail), "{body}");
    }
    let broken = parse(b"{\"a\":\"\xff\"}", None, &providers()).unwrap_err();
    assert_eq!(broken.detail, "the message is not UTF-8 from byte 6 on");
}

#[test]
fn nesting_without_end_is_refused() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let body = with("metadata", &format!(r#"{{"a":{}}}"#, nested(1000)));
    let refused = refusal(&body);
    assert!(refused.detail.ends_with("is nested too deeply"), "{}", refused.detail);
    assert!(refused.field.unwrap().starts_with("metadata.a[0][0]"));
    assert_eq!(refusal(&nested(30_000)).detail, "the message must be one JSON object, is an array");
    assert!(refusal(&"[".repeat(60_000)).detail.starts_with("the message is not JSON: EOF"));
    assert!(refusal(&"{\"a\":".repeat(12_000)).detail.starts_with("the message is not JSON: EOF"));
    assert_eq!(refusal(&with("notes", &nested(30_000))).field.as_deref(), Some("notes"));
}

#[test]
fn the_deepest_metadata_can_still_be_read_in_its_outcome() {
    let deep = format!("{}{}", r#"{"a":"#.repeat(118), "1") + &"}".repeat(118);
    let job = read(&with("metadata", &deep)).unwrap();
    let event = format!(r#"{{"data":{{"metadata":{}}}}}"#, job.metadata.expose());
    serde_json::from_str::<serde_json::Value>(&event).unwrap();
}

#[test]
fn content_type_is_json_or_absent() {
    let body = without("provider");
    let read = |content_type| parse(body.as_bytes(), Some(content_type), &providers());
    for fine in [
        "",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\";v=1",
    ] {
        read(fine).unwrap();
    }
    for wrong in
        ["text/plain", "application/json+x", "application/cloudevents+json", "application/json; charset=latin1", "json"]
    {
        let refused = read(wrong).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("content_type"), "{wrong}");
        assert!(refused.detail.starts_with("content_type must"), "{}", refused.detail);
        assert_eq!(refused.claimed_reference.as_deref(), Some("ref-1"));
    }
}

#[test]
fn an_unknown_provider_has_a_reason_of_its_own() {
    let refused = refusal(&with("provider", "\"finpya\""));
    assert_eq!(refused.reason, DeadReason::UnknownProvider);
    assert_eq!(refused.field.as_deref(), Some("provider"));
    assert_eq!(refused.detail, "provider finpya is not configured; the nearest is finpay");
    assert_eq!((refused.claimed_reference.as_deref(), refused.provider), (Some("ref-1"), None));
    assert_eq!(refusal(&with("provider", "\"081234567902\"")).detail, "provider ************ is not configured");
}

#[test]
fn what_is_wrong_with_the_message_comes_before_an_unknown_provider() {
    let body = with("provider", "\"nobody\"").replace("\"IDR\"", "\"USD\"");
    assert_refused(&body, "amount.currency", "amount.currency must be IDR");
}

#[test]
fn the_provider_may_be_left_out_only_where_it_is_clear() {
    let rule = |name: &str| ProviderRule { name: name.to_owned(), needs_beneficiary_provider: false };
    let body = without("provider");
    let one = Providers::new(vec![rule("only")], None);
    assert_eq!(parse(body.as_bytes(), None, &one).unwrap().provider, "only");
    let two = Providers::new(vec![rule("a"), rule("b")], None);
    let refused = parse(body.as_bytes(), None, &two).unwrap_err();
    assert_eq!(refused.reason, DeadReason::Malformed);
    assert_eq!(refused.detail, "provider is missing; several are configured and none of them is the default");
    let default = Providers::new(vec![rule("a"), rule("b")], Some("b"));
    assert_eq!(parse(body.as_bytes(), None, &default).unwrap().provider, "b");
}

#[test]
fn a_profile_that_carries_the_wallet_must_be_told_it() {
    let body = with("provider", "\"midtrans\"");
    assert_refused(&body, "beneficiaryProvider", "beneficiaryProvider is missing; provider midtrans needs it");
    assert_eq!(refusal(&body).provider.as_deref(), Some("midtrans"));
}

#[test]
fn claims_are_read_from_a_refused_message_as_far_as_they_can_be_trusted() {
    let claims = |body: &str| {
        let refused = refusal(body);
        (refused.claimed_reference, refused.provider)
    };
    let some = |text: &str| Some(text.to_owned());
    // The reference stands behind the fault.
    assert_eq!(claims(r#"{"oops":1,"partnerReferenceNo":"r","provider":"midtrans"}"#), (some("r"), some("midtrans")));
    // No provider named: the default one is meant.
    assert_eq!(claims(r#"{"partnerReferenceNo":"r"}"#), (some("r"), some("finpay")));
    // Cut off.
    assert_eq!(claims(r#"{"partnerReferenceNo":"r","provider":"midtrans","amo"#), (some("r"), some("midtrans")));
    // Two of them: nobody knows which.
    let twice = r#"{"partnerReferenceNo":"r","partnerReferenceNo":"r","provider":"finpay","provider":"midtrans"}"#;
    assert_eq!(claims(twice), (None, None));
    assert_eq!(claims(r#"{"partnerReferenceNo":"not valid","provider":7}"#), (None, None));
    assert_eq!(claims("[]"), (None, None));
    assert_eq!(claims(r#"{"x":1}"#), (None, None));
    assert_eq!(claimed_reference(br#"{"x":1,"partnerReferenceNo":"r"}"#), some("r"));
    assert_eq!(claimed_reference(b"\xff"), None);
}

fn text(chars: &'static str, max: usize) -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("{chars}{{1,{max}}}")).unwrap()
}

prop_compose! {
    fn job()(
        reference in text("[!-~]", 64),
        phone in "(08|628|\\+628)[0-9]{7,11}",
        minor in 1_u64..=999_999_999_999_999_999,
        provider in prop::option::of(prop_oneof![Just("finpay"), Just("midtrans")]),
        name in prop::option::of(text("\\PC", 100).prop_filter("blank", |text| !text.trim().is_empty())),
        notes in prop::option::of(text("[A-Za-z0-9_]", 50)),
        wallet in text("[a-z]", 40),
        not_after in prop::option::of(0_i64..4_000_000_000_000),
        metadata in prop::collection::hash_map("[^\0]{0,9}", any::<i64>(), 0..9),
    ) -> serde_json::Value {
        let amount = Amount::from_minor(minor).unwrap().to_string();
        let mut job = serde_json::json!({
            "partnerReferenceNo": reference, "customerNumber": phone, "amount": { "value": amount, "currency": "IDR" },
            "beneficiaryProvider": wallet, "metadata": metadata,
        });
        let optional = [
            ("provider", provider.map(str::to_owned)),
            ("customerName", name),
            ("notes", notes),
            ("notAfter", not_after.map(|at| Timestamp::from_millis(at).to_rfc3339())),
        ];
        for (field, value) in optional {
            if let Some(value) = value {
                job[field] = value.into();
            }
        }
        job
    }
}

proptest! {
    #[test]
    fn any_valid_job_comes_back_as_it_was_sent(job in job(), pretty: bool) {
        let body = if pretty { serde_json::to_string_pretty(&job) } else { serde_json::to_string(&job) }.unwrap();
        let read = parse(body.as_bytes(), Some("application/json"), &providers()).unwrap();
        prop_assert_eq!(read.partner_reference_no.as_str(), job["partnerReferenceNo"].as_str().unwrap());
        prop_assert_eq!(read.amount.to_string(), job["amount"]["value"].as_str().unwrap());
        prop_assert_eq!(read.provider.as_str(), job["provider"].as_str().unwrap_or("finpay"));
        prop_assert_eq!(read.customer_name.as_ref().map(Private::expose), job["customerName"].as_str());
        prop_assert_eq!(read.notes.as_ref().map(Private::expose), job["notes"].as_str());
        prop_assert_eq!(read.beneficiary_provider.as_deref(), job["beneficiaryProvider"].as_str());
        let not_after = read.not_after.map(Timestamp::to_rfc3339);
        prop_assert_eq!(not_after.as_deref(), job["notAfter"].as_str());
        prop_assert!(body.contains(read.metadata.expose()));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(read.metadata.expose()).unwrap(), job["metadata"].clone());
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&body, None, &providers()).is_err());
    }

    #[test]
    fn a_job_with_a_byte_changed_or_cut_never_panics(job in job(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut body = job.to_string().into_bytes();
        let at = at.index(body.len());
        if cut {
            body.truncate(at);
        } else {
            body[at] = byte;
        }
        if let Err(refused) = parse(&body, None, &providers()) {
            prop_assert!(!refused.detail.is_empty());
        }
    }
}
