//! Who asks: signed calls with the provider's own client, read as live.

use std::sync::Arc;

use snap_client::{By, Payload, SnapClient, Token, Way};
use snap_core::{Amount, ExternalId, PartnerReferenceNo, Private, Profile, Service, Timestamp, TopUpDetails};

use super::Test;
use crate::clock::Clock;
use crate::provider::{Expected, Reading, reading};

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) client: SnapClient,
    pub(super) profile: Arc<Profile>,
    pub(super) clock: &'a Clock,
    pub(super) test: Test<'a>,
}

/// What the inquiry told that the top-up needs.
#[derive(Default)]
pub(super) struct Known {
    pub(super) customer_name: Option<Private>,
    pub(super) fee: Option<Amount>,
}

impl Asker<'_> {
    /// A reference that nobody has used.
    pub(super) fn reference(&self) -> PartnerReferenceNo {
        let text = format!("DRILL{}", self.clock.ulid());
        PartnerReferenceNo::try_from(text).expect("letters and digits, fewer than 64")
    }

    /// A number that nobody has used.
    pub(super) fn number(&self) -> ExternalId {
        self.clock.external_id()
    }

    pub(super) async fn call(
        &self,
        token: &Token,
        service: Service,
        number: &ExternalId,
        body: Vec<u8>,
        reference: &PartnerReferenceNo,
        at: Timestamp,
    ) -> Reading {
        let asked_at = self.clock.now();
        // Each by a connection of its own, so that every answer is believed.
        let way = Way::by(By::New);
        let (reply, _closed) = self.client.call_by(token, service, number, Payload::new(body), at, way).await;
        let expected = Expected { reference: reference.as_str(), amount: self.test.amount, has_customer_name: false };
        reading(&self.profile, service, expected, asked_at, &reply).expect("no token is asked for here")
    }

    pub(super) async fn status(&self, token: &Token, reference: &PartnerReferenceNo, no: Option<&str>) -> Reading {
        self.status_as(token, reference, no, &self.number(), self.clock.wall()).await
    }

    pub(super) async fn status_as(
        &self,
        token: &Token,
        reference: &PartnerReferenceNo,
        reference_no: Option<&str>,
        number: &ExternalId,
        at: Timestamp,
    ) -> Reading {
        let body = self.profile.status_request(reference, reference_no).to_body();
        self.call(token, self.profile.status_service, number, body, reference, at).await
    }

    pub(super) fn details<'a>(
        &'a self,
        reference: &'a PartnerReferenceNo,
        at: Timestamp,
        known: &'a Known,
    ) -> TopUpDetails<'a> {
        TopUpDetails {
            partner_reference_no: reference,
            customer_number: self.test.customer,
            customer_name: known.customer_name.as_ref(),
            amount: self.test.amount,
            fee: known.fee,
            notes: None,
            beneficiary_provider: self.test.beneficiary_provider,
            beneficiary_email: None,
            transaction_date: at,
        }
    }
}
