//! Inquiry, top-up and status inquiry as snap-core writes and reads them.

use snap_core::{
    AccountInquiryResponse, Amount, CustomerNumber, PartnerReferenceNo, Profile, Timestamp, TopUpDetails,
    TopUpResponse, TopUpStatusResponse, TransactionStatus,
};

use crate::client::{BOTH, client};

#[tokio::test]
async fn the_requests_of_snap_core_are_in_order_and_its_reader_understands_the_answers() {
    for by in BOTH {
        let client = client(by).await;
        let profile = Profile::builtin(by.as_str()).unwrap();
        let send = async |path: &str, body: Vec<u8>| {
            let mut draft = client.draft(format!("/{}{path}", by.as_str()), &serde_json::Value::Null);
            draft.body = body;
            client.send(&draft).await.answer().body
        };
        // One with a fee and a name that has to be escaped.
        for (number, customer) in ["081977817905", "081977817912", "081977817972"].into_iter().enumerate() {
            let reference = PartnerReferenceNo::parse(&format!("R/{number}-\"x\"")).unwrap();
            let customer = CustomerNumber::parse(customer).unwrap();
            let mut details = TopUpDetails {
                partner_reference_no: &reference,
                customer_number: &customer,
                customer_name: None,
                amount: Amount::parse_strict("10000.00").unwrap(),
                fee: None,
                notes: None,
                beneficiary_provider: Some("gopay"),
                beneficiary_email: None,
                transaction_date: Timestamp::from_millis(1_800_000_000_000),
            };
            let inquiry = profile.account_inquiry_request(&details).unwrap();
            let quote: AccountInquiryResponse =
                serde_json::from_slice(&send(&profile.paths.inquiry, inquiry.to_body()).await).unwrap();
            details.customer_name = quote.customer_name.as_ref();
            details.fee = quote.fee_amount.and_then(|fee| fee.amount());
            let top_up = profile.top_up_request(&details).unwrap();
            let answer: TopUpResponse =
                serde_json::from_slice(&send(&profile.paths.topup, top_up.to_body()).await).unwrap();
            assert_eq!(answer.code().unwrap().http_status() / 100, 2);
            let status = profile.status_request(&reference, answer.reference_no.as_deref());
            let status: TopUpStatusResponse =
                serde_json::from_slice(&send(&profile.paths.status, status.to_body()).await).unwrap();
            assert_eq!(status.status(), Some(TransactionStatus::Success));
            assert_eq!(client.sim.credits_of(reference.as_str()), 1);
        }
        assert_eq!(client.sim.verdict().refused, 0);
    }
}
