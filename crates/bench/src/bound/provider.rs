//! The provider as this program calls it: reqwest set up as a good SNAP client would, one token.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use reqwest::{Client, Method, Request, Url};
use snap_core::{
    AccessTokenResponse, AccountInquiryResponse, Amount, ExternalId, LenientMoney, Private, Profile, Service,
    SigningKey, SymmetricKey, TopUpDetails, TopUpResponse, parse_answer,
};
use snap_sim::Credentials;

use super::Job;
use crate::clock;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
const X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const X_CLIENT_KEY: HeaderName = HeaderName::from_static("x-client-key");
const X_PARTNER_ID: HeaderName = HeaderName::from_static("x-partner-id");
const X_EXTERNAL_ID: HeaderName = HeaderName::from_static("x-external-id");
const CHANNEL_ID: HeaderName = HeaderName::from_static("channel-id");
const INQUIRED: &str = "2003700";
const TOPPED_UP: &str = "2003800";

/// A provider with its token.
pub(super) struct Provider {
    http: Client,
    profile: Profile,
    secret: SymmetricKey,
    /// Headers that are the same for every call.
    fixed: HeaderMap,
    token: String,
    inquiry: Endpoint,
    topup: Endpoint,
}

/// What an inquiry told that the top-up repeats.
pub(super) struct Account {
    name: Private,
    fee: Option<Amount>,
}

struct Endpoint {
    url: Url,
    path: String,
}

impl Endpoint {
    fn new(base: &str, path: &str) -> anyhow::Result<Self> {
        let url: Url = format!("{base}{path}").parse().context("the provider's URL cannot be read")?;
        let path = url.path().to_owned();
        Ok(Self { url, path })
    }
}

impl Provider {
    /// Fetches the token.
    pub(super) async fn connect(base: &str, in_flight: u32) -> anyhow::Result<Self> {
        let profile = Profile::builtin("finpay").context("there is no profile finpay")?;
        let known = Credentials::throwaway();
        let http = client(in_flight as usize)?;
        let token = token(&http, base, &profile, &known).await?;
        let mut fixed = HeaderMap::with_capacity(12);
        fixed.insert(CONTENT_TYPE, JSON);
        fixed.insert(ACCEPT, JSON);
        fixed.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        fixed.insert(X_PARTNER_ID, HeaderValue::from_str(&known.partner_id)?);
        fixed.insert(CHANNEL_ID, HeaderValue::from_str(&known.channel_id)?);
        fixed.insert(ORIGIN, HeaderValue::from_str(&known.origin)?);
        Ok(Self {
            http,
            secret: SymmetricKey::new(&known.client_secret),
            fixed,
            token,
            inquiry: Endpoint::new(base, profile.path(Service::AccountInquiry))?,
            topup: Endpoint::new(base, profile.path(Service::TopUp))?,
            profile,
        })
    }

    /// The account inquiry.
    pub(super) async fn inquire(&self, job: &Job) -> anyhow::Result<Account> {
        let body = self.profile.account_inquiry_request(&details(job, None, None))?.to_body();
        let answer: AccountInquiryResponse = parse_answer(self.call(&self.inquiry, body).await?.as_ref())?;
        ensure!(
            answer.response_code.as_deref() == Some(INQUIRED),
            "an inquiry was answered {:?}",
            answer.response_code
        );
        let fee = answer.fee_amount.and_then(LenientMoney::amount);
        Ok(Account { name: answer.customer_name.context("an inquiry told no name")?, fee })
    }

    /// The top-up.
    pub(super) async fn top_up(&self, job: &Job, account: &Account) -> anyhow::Result<TopUpResponse> {
        let body = self.profile.top_up_request(&details(job, Some(&account.name), account.fee))?.to_body();
        let answer: TopUpResponse = parse_answer(self.call(&self.topup, body).await?.as_ref())?;
        ensure!(answer.response_code.as_deref() == Some(TOPPED_UP), "a top-up was answered {:?}", answer.response_code);
        ensure!(
            answer.partner_reference_no.as_deref() == Some(job.reference.as_str()),
            "a top-up was answered for another reference"
        );
        Ok(answer)
    }

    async fn call(&self, endpoint: &Endpoint, body: Vec<u8>) -> anyhow::Result<impl AsRef<[u8]>> {
        let now = clock::now();
        let timestamp = self.profile.spell_timestamp(now);
        let external_id = ExternalId::new(now, testbed::random());
        let signature = self.secret.sign_transaction("POST", &endpoint.path, &self.token, &body, &timestamp);
        let mut request = Request::new(Method::POST, endpoint.url.clone());
        let headers = request.headers_mut();
        headers.clone_from(&self.fixed);
        headers.insert(X_TIMESTAMP, HeaderValue::from_str(&timestamp)?);
        headers.insert(X_SIGNATURE, HeaderValue::from_str(&signature)?);
        headers.insert(X_EXTERNAL_ID, HeaderValue::from_str(external_id.as_str())?);
        *request.body_mut() = Some(body.into());
        let response = self.http.execute(request).await.context("failed to call the provider")?;
        response.bytes().await.context("failed to read an answer")
    }
}

/// As the worker's client was set up when this was written: one pool as large as there are calls in flight.
fn client(in_flight: usize) -> anyhow::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race to another client of this process is fine: it installs the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    #[expect(clippy::disallowed_methods, reason = "the program the worker is compared with has a client of its own")]
    let builder = Client::builder();
    builder
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(in_flight)
        .pool_idle_timeout(Duration::from_secs(15))
        .tcp_nodelay(true)
        .tls_certs_only([])
        .build()
        .context("failed to build the HTTP client")
}

async fn token(http: &Client, base: &str, profile: &Profile, known: &Credentials) -> anyhow::Result<String> {
    let endpoint = Endpoint::new(base, profile.path(Service::AccessToken))?;
    let key = SigningKey::from_pem(known.private_key_pem.as_deref().context("the test key is missing")?)?;
    let timestamp = profile.spell_timestamp(clock::now());
    let signature = key.sign_token_request(&known.client_key, &timestamp);
    let mut request = Request::new(Method::POST, endpoint.url);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(X_CLIENT_KEY, HeaderValue::from_str(&known.client_key)?);
    headers.insert(X_TIMESTAMP, HeaderValue::from_str(&timestamp)?);
    headers.insert(X_SIGNATURE, HeaderValue::from_str(&signature)?);
    *request.body_mut() = Some(profile.token_body.clone().into());
    let answer = http.execute(request).await.context("failed to ask for a token")?.bytes().await?;
    let answer: AccessTokenResponse = parse_answer(&answer)?;
    Ok(answer.access_token.context("no token was given")?.into_exposed())
}

fn details<'a>(job: &'a Job, name: Option<&'a Private>, fee: Option<Amount>) -> TopUpDetails<'a> {
    TopUpDetails {
        partner_reference_no: &job.reference,
        customer_number: &job.customer,
        customer_name: name,
        amount: job.amount,
        fee,
        notes: None,
        beneficiary_provider: None,
        beneficiary_email: None,
        transaction_date: job.accepted_at,
    }
}
