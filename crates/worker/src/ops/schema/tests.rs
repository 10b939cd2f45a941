use std::collections::BTreeSet;

use engine::{DeadReason, MoneyState};
use serde_json::json;

use super::*;
use crate::event;
use crate::message::{self, ProviderRule, Providers};

fn of(which: Document) -> Value {
    schema(which, || unreachable!("not asked for"))
}

fn names(of: &Value) -> BTreeSet<&str> {
    match of {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        _ => panic!("{of} names nothing"),
    }
}

/// Whether `value` fits `schema`, by the keywords that our schemas use; patterns and formats are for people.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "$ref" => fits(root, root.pointer(&rule.as_str().unwrap()[1..]).unwrap(), value),
        "type" => rule.as_array().map_or_else(|| is(rule, value), |types| types.iter().any(|of| is(of, value))),
        "const" => rule == value,
        "enum" => rule.as_array().unwrap().contains(value),
        "required" => !value.is_object() || names(rule).iter().all(|name| value.get(name).is_some()),
        "properties" => rule
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, rule)| value.get(name).is_none_or(|value| fits(root, rule, value))),
        "additionalProperties" => {
            assert_eq!(rule, false);
            !value.is_object() || names(value).is_subset(&names(&schema["properties"]))
        }
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        "minimum" => value.as_u64() >= rule.as_u64(),
        "maxProperties" => value.as_object().unwrap().len() as u64 <= rule.as_u64().unwrap(),
        "oneOf" => rule.as_array().unwrap().iter().filter(|rule| fits(root, rule, value)).count() == 1,
        "not" => !fits(root, rule, value),
        "$schema" | "$defs" | "title" | "description" | "examples" | "pattern" | "format" => true,
        other => panic!("{other} is a keyword this test does not know"),
    })
}

fn is(of: &Value, value: &Value) -> bool {
    match of.as_str().unwrap() {
        "object" => value.is_object(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other} is a type this test does not know"),
    }
}

#[test]
fn the_job_schema_names_the_fields_that_are_read() {
    let job = of(Document::Job);
    assert_eq!(names(&job["properties"]), message::FIELDS.into());
    assert_eq!(names(&job["required"]), message::REQUIRED.into());
    assert_eq!(job["additionalProperties"], false);
    let amount = &job["properties"]["amount"];
    assert_eq!(names(&amount["properties"]), message::AMOUNT_FIELDS.into());
    assert_eq!(names(&amount["required"]), message::AMOUNT_FIELDS.into());
    assert_eq!(amount["additionalProperties"], false);
}

#[test]
fn the_job_schema_tells_the_limits_that_are_held() {
    let job = of(Document::Job);
    let longest = |field: &str| job["properties"][field]["maxLength"].as_u64().unwrap();
    assert_eq!(longest("partnerReferenceNo"), snap_core::PartnerReferenceNo::MAX_LEN as u64);
    assert_eq!(longest("customerName"), message::CUSTOMER_NAME_MAX as u64);
    assert_eq!(longest("notes"), message::NOTES_MAX as u64);
    assert_eq!(longest("beneficiaryProvider"), message::BENEFICIARY_PROVIDER_MAX as u64);
    assert_eq!(longest("beneficiaryEmail"), message::BENEFICIARY_EMAIL_MAX as u64);
    assert!(job["description"].as_str().unwrap().contains(&message::BODY_MAX.to_string()));
    let metadata = job["properties"]["metadata"]["description"].as_str().unwrap();
    assert!(metadata.contains(&message::METADATA_MAX.to_string()));
}

#[test]
fn schema_and_intake_agree_on_which_shapes_are_jobs() {
    let schema = of(Document::Job);
    let providers =
        Providers::new(vec![ProviderRule { name: "finpay".to_owned(), needs_beneficiary_provider: false }], None);
    let whole = json!({
        "partnerReferenceNo": "r-1", "customerNumber": "081234567902", "amount": { "value": "1.00", "currency": "IDR" },
        "provider": "finpay", "customerName": "n", "notes": "n", "beneficiaryProvider": "gopay",
        "beneficiaryEmail": "e", "notAfter": "2026-11-22T10:00:00+07:00", "metadata": { "any": [1, null] },
    });
    let mut shapes = vec![whole.clone(), json!([]), json!({}), json!(null)];
    for field in message::FIELDS {
        for value in
            [json!(1), json!(null), json!({}), json!([]), json!(""), json!("x".repeat(5000)), json!({"value": "1.00"})]
        {
            let mut shape = whole.clone();
            shape[field] = value;
            shapes.push(shape);
        }
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        shapes.push(without);
    }
    let mut unknown = whole.clone();
    unknown["notafter"] = json!("2026-11-22T10:00:00+07:00");
    shapes.push(unknown);
    let mut unknown = whole.clone();
    unknown["amount"]["cents"] = json!("1");
    shapes.push(unknown);
    for shape in shapes {
        let is_job = message::parse(shape.to_string().as_bytes(), None, &providers);
        // What only a pattern can say is not looked at here: such a shape fits and is refused.
        let by_pattern = ["customerNumber", "provider", "notAfter"];
        if let Err(refused) = &is_job
            && by_pattern.contains(&refused.field.as_deref().unwrap_or_default())
            && !refused.detail.contains("must be")
        {
            continue;
        }
        assert_eq!(fits(&schema, &schema, &shape), is_job.is_ok(), "{shape}: {is_job:?}");
    }
}

#[test]
fn every_event_fits_the_outcome_schema_and_has_no_member_it_does_not_name() {
    let schema = of(Document::Outcome);
    for outcome in event::tests::one_of_each() {
        let event: Value = serde_json::from_slice(&outcome.body).unwrap();
        assert!(fits(&schema, &schema, &event), "{event:#}");
        assert!(names(&event).is_subset(&names(&schema["properties"])), "{event:#}");
        let data = if event.get("subject").is_some() { "job" } else { "message" };
        assert!(names(&event["data"]).is_subset(&names(&schema["$defs"][data]["properties"])), "{event:#}");
    }
}

#[test]
fn an_event_about_a_refused_message_must_not_look_like_a_jobs_fate() {
    let schema = of(Document::Outcome);
    let refused = event::tests::one_of_each().into_iter().find(|one| one.event_type == event::kind::MESSAGE_REFUSED);
    let mut event: Value = serde_json::from_slice(&refused.unwrap().body).unwrap();
    event["subject"] = json!("r-1");
    assert!(!fits(&schema, &schema, &event));
}

#[test]
fn the_outcome_schema_names_every_type_reason_and_money_state() {
    let schema = of(Document::Outcome);
    assert_eq!(names(&schema["properties"]["type"]["enum"]), event::kind::ALL.into());
    assert_eq!(names(&schema["$defs"]["deadReason"]["enum"]), DeadReason::ALL.map(DeadReason::as_str).into());
    assert_eq!(names(&schema["$defs"]["moneyState"]["enum"]), MoneyState::ALL.map(MoneyState::as_str).into());
}

#[test]
fn the_config_schema_comes_from_its_owner() {
    assert_eq!(schema(Document::Config, || json!({"title": "config"})), json!({"title": "config"}));
}
