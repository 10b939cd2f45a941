//! A request that is turned away at the door.

use std::borrow::Cow;

use crate::case::Case;

/// Which case a request is refused with, and what about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) case: Case,
    pub(crate) about: &'static str,
}

impl Refusal {
    const fn new(http: u16, case: u8, about: &'static str) -> Self {
        Self { case: Case::new(http, case), about }
    }

    pub(crate) const fn bad_request(about: &'static str) -> Self {
        Self::new(400, 0, about)
    }

    pub(crate) const fn format(field: &'static str) -> Self {
        Self::new(400, 1, field)
    }

    pub(crate) const fn missing(field: &'static str) -> Self {
        Self::new(400, 2, field)
    }

    pub(crate) const fn unauthorized(reason: &'static str) -> Self {
        Self::new(401, 0, reason)
    }

    pub(crate) const fn invalid_token() -> Self {
        Self::new(401, 1, "")
    }

    pub(crate) const fn no_token() -> Self {
        Self::new(401, 3, "")
    }

    pub(crate) const fn partner_not_found() -> Self {
        Self::new(404, 16, "")
    }

    pub(crate) const fn invalid_amount() -> Self {
        Self::new(404, 13, "")
    }

    pub(crate) const fn amount_limit() -> Self {
        Self::new(403, 2, "")
    }

    pub(crate) const fn conflict() -> Self {
        Self::new(409, 0, "")
    }

    pub(crate) const fn inconsistent() -> Self {
        Self::new(404, 18, "")
    }

    /// `responseMessage`.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        let message = self.case.message();
        match (self.case.http(), self.case.case()) {
            _ if self.about.is_empty() => message.into(),
            (400, 1 | 2) => format!("{message} {}", self.about).into(),
            (401, 0) => format!("{message}. [{}]", self.about).into(),
            _ => format!("{message}. {}", self.about).into(),
        }
    }
}
