//! Builds the requests a profile asks for from what is known of a top-up.

use crate::{
    AccountInquiryInfo, AccountInquiryRequest, Amount, CustomerNumber, Money, OriginalReferenceNo, PartnerReferenceNo,
    Private, Profile, Timestamp, TopUpInfo, TopUpRequest, TopUpStatusRequest,
};

/// What is known of a top-up when a request is built.
#[derive(Debug, Clone, Copy)]
pub struct TopUpDetails<'a> {
    /// The producer's number.
    pub partner_reference_no: &'a PartnerReferenceNo,
    /// Whom to credit.
    pub customer_number: &'a CustomerNumber,
    /// The name from the inquiry, else the job's.
    pub customer_name: Option<&'a Private>,
    /// How much.
    pub amount: Amount,
    /// The fee from the inquiry.
    pub fee: Option<Amount>,
    /// The job's notes; made from the reference where a profile wants some and there are none.
    pub notes: Option<&'a str>,
    /// Which wallet.
    pub beneficiary_provider: Option<&'a str>,
    /// Where to tell the customer.
    pub beneficiary_email: Option<&'a Private>,
    /// When the top-up was asked for. The same for every attempt, or a resend is an inconsistent request (404 18).
    pub transaction_date: Timestamp,
}

/// Why a request cannot be built: the provider demands what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The phone number is longer than the provider takes.
    #[error("the customer number has more than the {max} characters this provider takes")]
    PhoneTooLong {
        /// The most it takes.
        max: usize,
    },
    /// Neither the inquiry nor the job gave a name.
    #[error("this provider demands customerName: neither the inquiry nor the job gave one")]
    NoCustomerName,
    /// The inquiry gave no fee, and the profile does not let it be zero.
    #[error("this provider demands feeAmount, the inquiry gave none, and missing_fee_is_zero is off")]
    NoFee,
    /// The job does not say which wallet.
    #[error("this provider demands beneficiaryProvider")]
    NoBeneficiaryProvider,
}

/// The most characters `notes` may have. Source: seed 002, migration table.
const NOTES_MAX: usize = 50;

impl Profile {
    /// The account inquiry (37) of a top-up.
    ///
    /// # Errors
    /// [`RequestError::PhoneTooLong`], [`RequestError::NoBeneficiaryProvider`].
    pub fn account_inquiry_request(&self, details: &TopUpDetails<'_>) -> Result<AccountInquiryRequest, RequestError> {
        let fields = &self.inquiry_fields;
        let additional_info = if fields.beneficiary_provider {
            Some(AccountInquiryInfo { beneficiary_provider: beneficiary_provider(details)? })
        } else {
            None
        };
        Ok(AccountInquiryRequest {
            partner_reference_no: fields.partner_reference_no.then(|| details.partner_reference_no.clone()),
            customer_number: self.phone(details.customer_number)?,
            amount: Money::idr(details.amount),
            transaction_date: fields.transaction_date.then(|| details.transaction_date.to_snap()),
            additional_info,
        })
    }

    /// The top-up (38) itself. A name longer than the provider takes is cut.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn top_up_request(&self, details: &TopUpDetails<'_>) -> Result<TopUpRequest, RequestError> {
        let fields = &self.top_up_fields;
        let fee_amount = match details.fee {
            _ if !fields.fee_amount => None,
            Some(fee) => Some(fee),
            None if self.missing_fee_is_zero => Some(Amount::ZERO),
            None => return Err(RequestError::NoFee),
        };
        let notes = || details.notes.map_or_else(|| notes_from_reference(details.partner_reference_no), str::to_owned);
        Ok(TopUpRequest {
            partner_reference_no: details.partner_reference_no.clone(),
            customer_number: self.phone(details.customer_number)?,
            customer_name: Some(self.name(details.customer_name)?),
            amount: Money::idr(details.amount),
            fee_amount: fee_amount.map(Money::idr),
            transaction_date: fields.transaction_date.then(|| details.transaction_date.to_snap()),
            notes: fields.notes.then(|| notes().into()),
            additional_info: self.top_up_info(details)?,
        })
    }

    /// The status inquiry (39 or 36) of a top-up.
    pub fn status_request(&self, reference: &PartnerReferenceNo, reference_no: Option<&str>) -> TopUpStatusRequest {
        let original_reference_no = match self.original_reference_no {
            OriginalReferenceNo::Omit => None,
            OriginalReferenceNo::EmptyWhenUnknown => Some(reference_no.unwrap_or_default().to_owned()),
        };
        TopUpStatusRequest::new(reference.clone(), original_reference_no)
    }

    fn phone(&self, number: &CustomerNumber) -> Result<Private, RequestError> {
        let rendered = number.render(self.phone_form);
        if rendered.len() > self.phone_max {
            return Err(RequestError::PhoneTooLong { max: self.phone_max });
        }
        Ok(rendered.into())
    }

    fn name(&self, name: Option<&Private>) -> Result<Private, RequestError> {
        let name = name.map(Private::expose).filter(|name| !name.is_empty()).ok_or(RequestError::NoCustomerName)?;
        Ok(name.chars().take(self.customer_name_max).collect::<String>().into())
    }

    fn top_up_info(&self, details: &TopUpDetails<'_>) -> Result<Option<TopUpInfo>, RequestError> {
        let fields = &self.top_up_fields;
        let provider = if fields.beneficiary_provider { Some(beneficiary_provider(details)?) } else { None };
        let email = details.beneficiary_email.filter(|_| fields.beneficiary_email).cloned();
        if provider.is_none() && email.is_none() {
            return Ok(None);
        }
        Ok(Some(TopUpInfo { beneficiary_email: email, beneficiary_provider: provider }))
    }
}

fn beneficiary_provider(details: &TopUpDetails<'_>) -> Result<String, RequestError> {
    details.beneficiary_provider.map(str::to_owned).ok_or(RequestError::NoBeneficiaryProvider)
}

/// Notes for a job that brings none: the reference, with `_` for what notes may not hold, its last 50 characters.
pub fn notes_from_reference(reference: &PartnerReferenceNo) -> String {
    let text = reference.as_str();
    let tail = text.get(text.len().saturating_sub(NOTES_MAX)..).unwrap_or(text);
    tail.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '_' }).collect()
}
