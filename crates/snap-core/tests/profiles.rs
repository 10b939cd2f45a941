//! The built-in profiles, and the requests they build.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use snap_core::{
    AccessTokenRequest, Amount, CustomerNumber, ExternalId, InquiryMode, PartnerReferenceNo, PhoneForm, Private,
    Profile, ProfileError, RequestError, Service, Timestamp, TopUpDetails, notes_from_reference,
};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn finpay() -> Profile {
    Profile::builtin("finpay").unwrap()
}

fn midtrans() -> Profile {
    Profile::builtin("midtrans").unwrap()
}

fn reference() -> PartnerReferenceNo {
    PartnerReferenceNo::parse("78912343452347893").unwrap()
}

fn number() -> CustomerNumber {
    CustomerNumber::parse("+6281977817902").unwrap()
}

fn details<'a>(
    reference: &'a PartnerReferenceNo,
    number: &'a CustomerNumber,
    name: Option<&'a Private>,
) -> TopUpDetails<'a> {
    TopUpDetails {
        partner_reference_no: reference,
        customer_number: number,
        customer_name: name,
        amount: Amount::parse_strict("10000.00").unwrap(),
        fee: None,
        notes: None,
        beneficiary_provider: Some("gopay"),
        beneficiary_email: None,
        transaction_date: Timestamp::parse_rfc3339("2022-09-23T14:56:11+07:00").unwrap(),
    }
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[test]
fn every_builtin_profile_reads_under_its_own_name() {
    for name in Profile::BUILTIN {
        assert_eq!(Profile::builtin(name).unwrap().name, *name);
    }
    assert!(Profile::builtin("dana").is_none());
}

#[test]
fn finpay_is_as_its_pages_say() {
    let profile = finpay();
    assert_eq!(profile.path(Service::AccessToken), "/v1.0/access-token/b2b");
    assert_eq!(profile.path(Service::AccountInquiry), "/v1.0/emoney/account-inquiry");
    assert_eq!(profile.path(Service::TopUp), "/v1.0/emoney/topup");
    assert_eq!(profile.path(Service::TopUpStatus), "/v1.0/emoney/topup-status");
    assert_eq!(profile.status_service, Service::TopUpStatus);
    assert_eq!((profile.phone_form, profile.phone_max), (PhoneForm::Local, 16));
    assert_eq!(profile.inquiry, InquiryMode::Always);
    assert!(profile.ok_is_final && profile.origin_header);
    assert_eq!(profile.defaults.first_after, Duration::from_secs(30));
    assert_eq!(profile.defaults.interval_max, 30 * MINUTE);
    assert_eq!(profile.defaults.quiet_period, 10 * MINUTE);
    assert_eq!(profile.defaults.give_up_after, 24 * HOUR);
    assert_eq!(profile.defaults.uniqueness_window, 24 * HOUR);
}

#[test]
fn midtrans_is_as_its_pages_say() {
    let profile = midtrans();
    assert_eq!(profile.path(Service::TransferStatus), "/v1.0/transfer/status");
    assert_eq!(profile.status_service, Service::TransferStatus);
    assert_eq!((profile.phone_form, profile.phone_max), (PhoneForm::International, 20));
    assert!(!profile.ok_is_final && !profile.origin_header);
    assert_eq!(profile.defaults.first_after, 10 * MINUTE);
    assert_eq!(profile.defaults.uniqueness_window, 50 * 24 * HOUR);
}

#[test]
fn the_request_path_is_signed_unless_a_profile_says_otherwise() {
    for profile in [finpay(), midtrans()] {
        assert!(Service::ALL.into_iter().all(|service| profile.signing_path(service).is_none()));
    }
    let other = [Profile::builtin_toml("finpay").unwrap(), "[signing_paths]\ntopup = \"/snap/topup\""].concat();
    let other = Profile::from_toml(&other).unwrap();
    assert_eq!(other.signing_path(Service::TopUp), Some("/snap/topup"));
    assert_eq!(other.signing_path(Service::AccountInquiry), None);
}

#[test]
fn the_token_body_is_the_standard_request() {
    for profile in [finpay(), midtrans()] {
        assert_eq!(profile.token_body, text(AccessTokenRequest::client_credentials().to_body()));
    }
}

#[test]
fn timestamps_are_spelled_as_the_profile_says() {
    let at = Timestamp::from_millis(1_714_533_630_123);
    assert_eq!(finpay().spell_timestamp(at), "2024-05-01T10:20:30+07:00");
    let with_millis = Profile::builtin_toml("finpay").unwrap().replace("\"seconds\"", "\"milliseconds\"");
    assert_eq!(Profile::from_toml(&with_millis).unwrap().spell_timestamp(at), "2024-05-01T10:20:30.123+07:00");
}

#[test]
fn a_profile_with_a_mistake_is_refused() {
    let text = Profile::builtin_toml("finpay").unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Profile::from_toml(&text.replace(from, to)).unwrap_err()
    };
    assert!(matches!(refused("phone_max = 16", "phone_maximum = 16"), ProfileError::Unreadable(_)));
    assert!(matches!(refused("phone_max = 16", ""), ProfileError::Unreadable(_)));
    assert!(matches!(refused("\"30s\"", "30"), ProfileError::Unreadable(_)));
    assert!(matches!(refused("\"always\"", "\"sometimes\""), ProfileError::Unreadable(_)));
    assert_eq!(refused("\"/v1.0/emoney/topup\"", "\"v1.0/emoney/topup\""), ProfileError::Path("paths.topup"));
    assert_eq!(refused("/emoney/topup-status", "/emoney/topup?x=1"), ProfileError::Path("paths.status"));
    assert_eq!(refused("status_service = 39", "status_service = 38"), ProfileError::StatusService);
    assert!(matches!(refused("status_service = 39", "status_service = 40"), ProfileError::Unreadable(_)));
    assert_eq!(refused("'{\"grantType\":\"client_credentials\"}'", "'grantType'"), ProfileError::TokenBody);
    assert_eq!(refused("external_id_max = 32", "external_id_max = 9"), ProfileError::ExternalIdMax);
}

#[test]
fn profiles_survive_serialising() {
    for profile in [finpay(), midtrans()] {
        let value = serde_json::to_value(&profile).unwrap();
        assert_eq!(serde_json::from_value::<Profile>(value).unwrap(), profile);
    }
}

#[test]
fn our_request_numbers_fit_every_profile() {
    for profile in [finpay(), midtrans()] {
        let id = ExternalId::new(Timestamp::from_millis(i64::MAX), u64::MAX);
        assert!(id.as_str().len() <= profile.external_id_max);
    }
}

#[test]
fn a_finpay_top_up_is_its_sample() {
    let (reference, number, name) = (reference(), number(), Private::from("sa**"));
    let built = finpay().top_up_request(&details(&reference, &number, Some(&name))).unwrap();
    assert_eq!(
        text(built.to_body()),
        r#"{"partnerReferenceNo":"78912343452347893","customerNumber":"081977817902","customerName":"sa**","amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"},"transactionDate":"2022-09-23T14:56:11+07:00"}"#
    );
}

#[test]
fn a_midtrans_top_up_has_the_members_of_its_sample_in_their_order() {
    let reference = PartnerReferenceNo::parse("61945219227478976148442931867349").unwrap();
    let number = CustomerNumber::parse("6281773628883").unwrap();
    let (name, email) = (Private::from("John Doe"), Private::from("john@example.test"));
    let details = TopUpDetails {
        amount: Amount::parse_strict("100000.00").unwrap(),
        notes: Some("Payout April 17"),
        beneficiary_email: Some(&email),
        ..details(&reference, &number, Some(&name))
    };
    assert_eq!(
        text(midtrans().top_up_request(&details).unwrap().to_body()),
        r#"{"partnerReferenceNo":"61945219227478976148442931867349","customerNumber":"6281773628883","customerName":"John Doe","amount":{"value":"100000.00","currency":"IDR"},"notes":"Payout April 17","additionalInfo":{"beneficiaryEmail":"john@example.test","beneficiaryProvider":"gopay"}}"#
    );
}

#[test]
fn a_midtrans_inquiry_names_the_wallet_and_no_reference() {
    let (reference, number) = (reference(), number());
    let built = midtrans().account_inquiry_request(&details(&reference, &number, None)).unwrap();
    assert_eq!(
        text(built.to_body()),
        r#"{"customerNumber":"6281977817902","amount":{"value":"10000.00","currency":"IDR"},"additionalInfo":{"beneficiaryProvider":"gopay"}}"#
    );
}

#[test]
fn a_status_request_says_the_providers_number_only_where_it_is_wanted() {
    let body = |profile: &Profile, known| text(profile.status_request(&reference(), known).to_body());
    assert_eq!(
        body(&finpay(), Some("2211150005490937")),
        r#"{"originalPartnerReferenceNo":"78912343452347893","originalReferenceNo":"2211150005490937","serviceCode":"38"}"#
    );
    let without = r#"{"originalPartnerReferenceNo":"78912343452347893","serviceCode":"38"}"#;
    assert_eq!(body(&midtrans(), None), without);
    assert_eq!(body(&midtrans(), Some("558rFI9lxMdQlOkm65")), without);
}

#[test]
fn what_a_provider_demands_and_nobody_knows_is_an_error() {
    let (reference, number, name) = (reference(), number(), Private::from("sa**m"));
    let known = details(&reference, &number, Some(&name));

    let unnamed = TopUpDetails { customer_name: None, ..known };
    assert_eq!(finpay().top_up_request(&unnamed), Err(RequestError::NoCustomerName));
    let empty = Private::from("");
    let empty = TopUpDetails { customer_name: Some(&empty), ..known };
    assert_eq!(finpay().top_up_request(&empty), Err(RequestError::NoCustomerName));

    let strict = Profile { missing_fee_is_zero: false, ..finpay() };
    assert_eq!(strict.top_up_request(&known), Err(RequestError::NoFee));
    assert!(strict.top_up_request(&TopUpDetails { fee: Some(Amount::ZERO), ..known }).is_ok());

    let nowhere = TopUpDetails { beneficiary_provider: None, ..known };
    assert_eq!(midtrans().top_up_request(&nowhere), Err(RequestError::NoBeneficiaryProvider));
    assert_eq!(midtrans().account_inquiry_request(&nowhere), Err(RequestError::NoBeneficiaryProvider));
    assert!(finpay().top_up_request(&nowhere).is_ok());

    let phone = finpay().top_up_request(&known).unwrap().customer_number.expose().len();
    let narrow = |phone_max| Profile { phone_max, ..finpay() }.top_up_request(&known);
    assert_eq!(narrow(phone - 1), Err(RequestError::PhoneTooLong { max: phone - 1 }));
    assert!(narrow(phone).is_ok(), "one that just fits is taken");
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let (reference, number, name) = (reference(), number(), Private::from("ë".repeat(300)));
    let built = midtrans().top_up_request(&details(&reference, &number, Some(&name))).unwrap();
    assert_eq!(built.customer_name.unwrap().expose(), "ë".repeat(100));
}

#[test]
fn notes_are_made_from_the_reference_where_there_are_none() {
    let (reference, number) = (PartnerReferenceNo::parse("TU/2024-05:1").unwrap(), number());
    let name = Private::from("sa**m");
    let built = midtrans().top_up_request(&details(&reference, &number, Some(&name))).unwrap();
    assert_eq!(built.notes.unwrap().expose(), "TU_2024_05_1");
    let long = format!("{}1", "x".repeat(63));
    let notes = notes_from_reference(&PartnerReferenceNo::parse(&long).unwrap());
    assert_eq!((notes.len(), notes.ends_with("x1")), (50, true));
}

#[test]
fn requests_show_neither_names_nor_numbers() {
    let (reference, number, name) = (reference(), number(), Private::from("Siti Aminah"));
    let known = details(&reference, &number, Some(&name));
    let shown = format!("{known:?} {:?}", finpay().top_up_request(&known).unwrap());
    assert!(shown.contains("78912343452347893"));
    assert!(!shown.contains("1977817902") && !shown.contains("Siti"), "{shown}");
}
