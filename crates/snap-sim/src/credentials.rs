//! What a partner and the provider have told each other.

use std::fmt;

/// The credentials of one partner at one provider.
#[derive(Clone)]
pub struct Credentials {
    /// `X-CLIENT-KEY` of the token request.
    pub client_key: String,
    /// The HMAC key of transactions, taken as UTF-8 bytes.
    pub client_secret: String,
    /// `X-PARTNER-ID`.
    pub partner_id: String,
    /// `CHANNEL-ID`, at most five characters.
    pub channel_id: String,
    /// `ORIGIN`, for configurations that are made from this; the simulator asks only that one is sent.
    pub origin: String,
    /// The registered public key (SPKI PEM) that signs token requests.
    pub public_key_pem: String,
    /// The private half (PKCS#8 PEM), where the simulator hands it out to its client.
    pub private_key_pem: Option<String>,
}

impl Credentials {
    /// The fixed, published test credentials; they protect nothing.
    #[must_use]
    pub fn throwaway() -> Self {
        Self {
            client_key: "test-client-key".into(),
            client_secret: "test-client-secret-not-real".into(),
            partner_id: "test-partner".into(),
            channel_id: "95221".into(),
            origin: "www.example.co.id".into(),
            public_key_pem: include_str!("../keys/throwaway.pub.pem").into(),
            private_key_pem: Some(include_str!("../keys/throwaway.pem").into()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_key", &self.client_key)
            .field("partner_id", &self.partner_id)
            .field("channel_id", &self.channel_id)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
