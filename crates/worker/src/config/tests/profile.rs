//! A profile is data: each of its settings can be overridden.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use snap_core::Profile;

use super::{MINIMAL, parse, with};
use crate::config::json_schema;

/// Every setting of a profile: how it is written in a provider's section, where it lands, and as what.
const SETTINGS: [(&str, &str, &str); 34] = [
    ("inquiry = \"when_needed\"", "/inquiry", "\"when_needed\""),
    ("ok_is_final = false", "/ok_is_final", "false"),
    ("echoes_reference = false", "/echoes_reference", "false"),
    ("token_body = '{\"grant_type\":\"x\"}'", "/token_body", r#""{\"grant_type\":\"x\"}""#),
    ("status_service = 36", "/status_service", "36"),
    ("phone_form = \"international\"", "/phone_form", "\"international\""),
    ("phone_max = 19", "/phone_max", "19"),
    ("customer_name_max = 77", "/customer_name_max", "77"),
    ("origin_header = false", "/origin_header", "false"),
    ("timestamp = \"milliseconds\"", "/timestamp", "\"milliseconds\""),
    ("external_id_max = 36", "/external_id_max", "36"),
    ("missing_fee_is_zero = false", "/missing_fee_is_zero", "false"),
    ("original_reference_no = \"omit\"", "/original_reference_no", "\"omit\""),
    (
        "overrides = [{ code = \"200xx00\", class = \"pending\", service = 38 }]",
        "/overrides",
        r#"[{"code":"200xx00","class":"pending","service":38}]"#,
    ),
    ("paths.token = \"/a\"", "/paths/token", "\"/a\""),
    ("paths.inquiry = \"/a\"", "/paths/inquiry", "\"/a\""),
    ("paths.topup = \"/a\"", "/paths/topup", "\"/a\""),
    ("paths.status = \"/a\"", "/paths/status", "\"/a\""),
    ("signing_paths.inquiry = \"/a\"", "/signing_paths/inquiry", "\"/a\""),
    ("signing_paths.topup = \"/a\"", "/signing_paths/topup", "\"/a\""),
    ("signing_paths.status = \"/a\"", "/signing_paths/status", "\"/a\""),
    ("top_up_fields.fee_amount = false", "/top_up_fields/fee_amount", "false"),
    ("top_up_fields.transaction_date = false", "/top_up_fields/transaction_date", "false"),
    ("top_up_fields.notes = true", "/top_up_fields/notes", "true"),
    ("top_up_fields.beneficiary_provider = true", "/top_up_fields/beneficiary_provider", "true"),
    ("top_up_fields.beneficiary_email = true", "/top_up_fields/beneficiary_email", "true"),
    ("inquiry_fields.partner_reference_no = false", "/inquiry_fields/partner_reference_no", "false"),
    ("inquiry_fields.transaction_date = false", "/inquiry_fields/transaction_date", "false"),
    ("inquiry_fields.beneficiary_provider = true", "/inquiry_fields/beneficiary_provider", "true"),
    ("status.first_after = \"1s\"", "/defaults/first_after", "\"1s\""),
    ("status.interval_max = \"2s\"", "/defaults/interval_max", "\"2s\""),
    ("status.quiet_period = \"0s\"", "/defaults/quiet_period", "\"0s\""),
    ("status.give_up_after = \"4s\"", "/defaults/give_up_after", "\"4s\""),
    ("status.uniqueness_window = \"5s\"", "/defaults/uniqueness_window", "\"5s\""),
];

fn profile(text: &str) -> Value {
    serde_json::to_value(&*parse(text).providers["finpay"].profile).unwrap()
}

#[test]
fn each_setting_of_a_profile_can_be_overridden_and_nothing_else_changes() {
    let plain = profile(MINIMAL);
    for (written, pointer, value) in SETTINGS {
        let value: Value = serde_json::from_str(value).unwrap();
        let mut expected = plain.clone();
        assert_ne!(expected.pointer(pointer), Some(&value), "{written} would change nothing");
        match expected.pointer_mut(pointer) {
            Some(setting) => *setting = value,
            // Left out of the profile where it is not set.
            None => {
                let (table, key) = pointer.rsplit_once('/').unwrap();
                expected.pointer_mut(table).unwrap()[key] = value;
            }
        }
        assert_eq!(profile(&with(written)), expected, "{written}");
    }
}

#[test]
fn no_setting_of_a_profile_is_forgotten() {
    let mut settings = BTreeSet::new();
    leaves(&serde_json::to_value(Profile::builtin("finpay").unwrap()).unwrap(), "", &mut settings);
    settings.remove("/name");
    let covered: BTreeSet<String> = SETTINGS.iter().map(|(_, pointer, _)| (*pointer).to_owned()).collect();
    let forgotten: Vec<_> = settings.difference(&covered).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

fn leaves(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                leaves(member, &format!("{pointer}/{name}"), found);
            }
        }
        // An empty table: its members are listed by hand.
        Value::Object(_) => {}
        _ => drop(found.insert(pointer.to_owned())),
    }
}

#[test]
fn without_overrides_the_profile_is_the_built_in_one() {
    assert_eq!(profile(MINIMAL), json!(Profile::builtin("finpay")));
}

#[test]
fn the_words_of_the_schema_are_words_the_configuration_takes() {
    let schema = json_schema();
    let properties = schema.pointer("/$defs/Provider/properties").unwrap().as_object().unwrap();
    let mut words = 0;
    for (key, property) in properties {
        for word in property.get("enum").and_then(Value::as_array).into_iter().flatten().filter(|_| key != "profile") {
            parse(&with(&format!("{key} = {word}")));
            words += 1;
        }
    }
    for word in schema.pointer("/$defs/CodeOverride/properties/class/enum").unwrap().as_array().unwrap() {
        parse(&with(&format!("overrides = [{{ code = \"xxxxxxx\", class = {word} }}]")));
        words += 1;
    }
    assert_eq!(words, 3 + 2 + 2 + 2 + 2 + snap_core::Class::ALL.len());
    let profiles = properties["profile"]["enum"].as_array().unwrap();
    assert_eq!(profiles, Profile::BUILTIN);
}
