//! Answers to the account inquiry: free to ask again, but what goes on into the top-up is what was answered.

use engine::Event;
use snap_core::Service;
use worker::provider;

use super::answer::{ASKED_AT, Claim, case, is_discreet};

pub(super) fn check(data: &[u8]) {
    let case = case(data);
    let read = provider::reading(&case.profile, Service::AccountInquiry, case.expected(), ASKED_AT, &case.reply);
    let reading = read.expect("service 37");
    is_discreet(&reading, data);
    assert!(!format!("{:?}", reading.event).contains("Aminah"), "a name is shown");
    let code = case.code(37);
    match reading.event {
        Event::Inquired { customer_name, fee, min, max } => {
            assert_eq!(code, Some((200, 0)), "inquired");
            let echoes = case.profile.inquiry_fields.partner_reference_no;
            assert!(!echoes || case.reference("partnerReferenceNo") != Claim::Other, "the answer about another one");
            let name = case.text("customerName").filter(|name| !name.is_empty());
            assert!(name.is_some(), "neither the answer nor the job has a name");
            assert_eq!(customer_name.map(snap_core::Private::into_exposed), name, "the name was changed");
            for (member, read) in [("feeAmount", fee), ("minAmount", min), ("maxAmount", max)] {
                let read = read.map(|amount| Ok(u128::from(amount.minor())));
                assert_eq!(read, case.money(member), "{member}");
            }
            let needs_fee = case.profile.top_up_fields.fee_amount && !case.profile.missing_fee_is_zero;
            assert!(!needs_fee || fee.is_some(), "the fee is missing");
        }
        Event::InquiryRefused => assert!(matches!(code, Some((403 | 404, _)) | Some((400, 0))), "refused by {code:?}"),
        Event::InquiryWrong => {
            assert!(matches!(code, Some((400 | 401 | 403 | 404 | 405, _) | (200, 0))), "wrong by {code:?}");
        }
        Event::InquiryFailed(_) => {}
        other => panic!("an inquiry's answer is {other:?}"),
    }
}
