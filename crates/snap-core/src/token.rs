//! Service 73: the access token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Private, ResponseCode, answer, lenient};

/// How long a token lives where the answer does not say. Source: SNAP standard summary; Midtrans and OVO.
const USUAL_LIFETIME: Duration = Duration::from_secs(900);
/// The longest lifetime that is believed.
const LONGEST_LIFETIME: Duration = Duration::from_secs(86_400);

/// The standard token request. A profile's `token_body` says what is really sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenRequest {
    /// `client_credentials`.
    pub grant_type: String,
}

impl AccessTokenRequest {
    /// The business-to-business request.
    pub fn client_credentials() -> Self {
        Self { grant_type: "client_credentials".to_owned() }
    }

    /// The bytes to send.
    pub fn to_body(&self) -> Vec<u8> {
        answer::body_of(self)
    }
}

/// The answer of the token service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenResponse {
    /// The response code as answered, even if it is none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_code: Option<String>,
    /// For people; never decides anything.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_message: Option<String>,
    /// The token.
    #[serde(default, deserialize_with = "lenient::private")]
    pub access_token: Option<Private>,
    /// `Bearer`, or what a provider makes of it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub token_type: Option<String>,
    /// Seconds as string or number, or a date at some providers. See [`AccessTokenResponse::lifetime`].
    #[serde(default, deserialize_with = "lenient::text")]
    pub expires_in: Option<String>,
}

impl AccessTokenResponse {
    /// The response code, if it is one.
    pub fn code(&self) -> Option<ResponseCode> {
        answer::code(self.response_code.as_deref())
    }

    /// How long the token lives, a day at most; 900 s where the answer gives no whole number of seconds above zero.
    pub fn lifetime(&self) -> Duration {
        let seconds = self.expires_in.as_deref().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        seconds.map_or(USUAL_LIFETIME, Duration::from_secs).min(LONGEST_LIFETIME)
    }
}
