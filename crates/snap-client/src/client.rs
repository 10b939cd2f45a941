//! The signed call and the token it needs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Request, Uri};
use secrecy::ExposeSecret as _;
use snap_core::{ExternalId, Profile, Service, SigningKey, SymmetricKey, Timestamp};
use tokio::time::Instant;

use crate::endpoint::{BaseUrl, Endpoint};
use crate::headers::{self, Identity};
use crate::token_cache::{Granted, Source, TokenCache};
use crate::token_exchange::{self, TokenExchange};
use crate::wire::Network;
use crate::{By, ClientConfig, ConfigError, Payload, Reply, Token, TokenFailure, UsedConnection, Way, Wire};

const METHOD: &str = "POST";

/// One provider, ready to be called; clones share connections and token.
#[derive(Clone)]
pub struct SnapClient(Arc<Inner>);

struct Inner {
    name: String,
    profile: Arc<Profile>,
    wire: Arc<dyn Wire>,
    identity: Identity,
    secret: SymmetricKey,
    signing_key: SigningKey,
    client_key: String,
    token_body: Bytes,
    endpoints: Endpoints,
    request_timeout: Duration,
    tokens: TokenCache,
}

struct Endpoints {
    token: Endpoint,
    inquiry: Endpoint,
    topup: Endpoint,
    status: Endpoint,
}

impl SnapClient {
    /// Checks every setting and loads the keys; opens no connection.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] names the setting that cannot work, [`ConfigError::File`] an unreadable `ca_file`,
    /// [`ConfigError::Http`] an HTTP stack that does not start (a system without trusted authorities).
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let base = BaseUrl::parse(&config.base_url)?;
        check_limits(&config)?;
        let wire = Arc::new(Network::new(&config, &base)?);
        Self::build(config, &base, wire)
    }

    /// The same over another wire than the network.
    ///
    /// # Errors
    /// As [`Self::new`], but for the network's settings.
    pub fn over(config: ClientConfig, wire: Arc<dyn Wire>) -> Result<Self, ConfigError> {
        let base = BaseUrl::parse(&config.base_url)?;
        check_limits(&config)?;
        Self::build(config, &base, wire)
    }

    fn build(config: ClientConfig, base: &BaseUrl, wire: Arc<dyn Wire>) -> Result<Self, ConfigError> {
        let ClientConfig { name, profile, client_key, client_secret, private_key_pem, request_timeout, .. } = config;
        let secret = client_secret.expose_secret();
        if secret.is_empty() {
            return Err(problem("client_secret", "is empty"));
        }
        let signing_key = SigningKey::from_pem(private_key_pem.expose_secret())
            .map_err(|error| problem("private_key", format!("is of no use: {error}")))?;
        let identity = Identity {
            host: base.host()?,
            client_key: headers::configured("client_key", &client_key)?,
            partner_id: headers::configured("partner_id", &config.partner_id)?,
            channel_id: headers::configured("channel_id", &config.channel_id)?,
            origin: origin(&profile, config.origin.as_deref())?,
        };
        Ok(Self(Arc::new(Inner {
            name,
            wire,
            identity,
            secret: SymmetricKey::new(secret),
            signing_key,
            client_key,
            token_body: Bytes::from(profile.token_body.clone()),
            endpoints: Endpoints::new(base, &profile)?,
            profile,
            request_timeout,
            tokens: TokenCache::default(),
        })))
    }

    /// A token that outlives one call, fetched by one request however many wait for it.
    ///
    /// Shortly before a token has to be replaced one caller fetches the next while the others go on with it.
    ///
    /// # Errors
    /// See [`TokenFailure`]; everyone who waited gets the same.
    pub async fn token(&self, now: Timestamp) -> Result<Token, TokenFailure> {
        self.granted(self.0.tokens.get(|| self.flight(now))).await
    }

    /// A token other than `stale`, which the provider refused; the newer one where somebody fetched it already.
    ///
    /// # Errors
    /// See [`TokenFailure`]; `stale` is forgotten all the same.
    pub async fn refresh_token(&self, stale: &Token, now: Timestamp) -> Result<Token, TokenFailure> {
        self.granted(self.0.tokens.replace(stale, || self.flight(now))).await
    }

    /// The token requests that ended since this was last asked, each exactly once, oldest first.
    #[must_use]
    pub fn take_token_exchanges(&self) -> Vec<TokenExchange> {
        self.0.tokens.take_exchanges()
    }

    /// Signs `payload`, sends exactly its bytes once, and says what came back, by which connection.
    ///
    /// The connection is closed unless it is kept, which is for the reader of the body to do (M15).
    ///
    /// `now` becomes `X-TIMESTAMP`. Not to be dropped half-way: what was sent then is unknown.
    pub async fn call(
        &self,
        token: &Token,
        service: Service,
        external_id: &ExternalId,
        payload: Payload,
        now: Timestamp,
    ) -> (Reply, UsedConnection) {
        self.call_by(token, service, external_id, payload, now, Way::by(By::Any)).await
    }

    /// The same, its way: by a certain connection, and unless its fuse says why not when that is there, immediately before the
    /// first byte is written.
    pub async fn call_by(
        &self,
        token: &Token,
        service: Service,
        external_id: &ExternalId,
        payload: Payload,
        now: Timestamp,
        way: Way<'_>,
    ) -> (Reply, UsedConnection) {
        let Inner { profile, endpoints, secret, identity, wire, .. } = &*self.0;
        let endpoint = endpoints.of(service);
        let timestamp = profile.spell_timestamp(now);
        let (path, digest) = (&endpoint.signing_path, payload.digest());
        let signature = secret.sign_transaction_digest(METHOD, path, token.text(), digest, &timestamp);
        let mut request = Request::new(payload.into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.target.clone();
        *request.headers_mut() = identity.transaction(token, external_id, &timestamp, &signature);
        wire.transaction(service, request, now, way).await
    }

    /// Closes connections that nobody needs; to be called now and then, since an idle connection does nothing by itself.
    pub fn close_idle(&self) {
        self.0.wire.close_idle();
    }

    async fn granted(&self, source: Source) -> Granted {
        match source {
            Source::Cached(token) => Ok(token),
            Source::Flight(flight) => flight.await.or_else(|failure| self.0.tokens.fallback().ok_or(failure)),
        }
    }

    fn flight(&self, now: Timestamp) -> impl Future<Output = Granted> + Send + 'static {
        let inner = Arc::clone(&self.0);
        async move { inner.fetch_token(now).await }
    }
}

impl Inner {
    async fn fetch_token(&self, now: Timestamp) -> Granted {
        let asked_at = Instant::now();
        let timestamp = self.profile.spell_timestamp(now);
        let signature = self.signing_key.sign_token_request(&self.client_key, &timestamp);
        let headers = self.identity.token_request(&timestamp, &signature);
        let request = request(self.endpoints.token.uri.clone(), headers, self.token_body.clone());
        let (reply, timestamp) = self.wire.token(request, now).await;
        let read = token_exchange::read(&reply);
        let granted = read.outcome.and_then(|grant| {
            let lifetime = crate::expiry::Lifetime::new(asked_at, grant.lifetime, self.request_timeout);
            Token::new(self.tokens.next_serial(), grant.token.expose(), lifetime).ok_or_else(|| {
                TokenFailure::Unusable { detail: "the access token cannot stand in a header".to_owned() }
            })
        });
        let exchange = TokenExchange {
            started: now,
            asked_at,
            elapsed: reply.elapsed(),
            http_status: read.http_status,
            code: read.code,
            date: match &reply {
                Reply::Answered(answered) => answered.date,
                Reply::NotSent { .. } | Reply::Silent { .. } => None,
            },
            timestamp,
            granted: granted.is_ok(),
            detail: granted.as_ref().err().map(ToString::to_string),
        };
        self.tokens.land(&granted, exchange);
        granted
    }
}

impl Endpoints {
    fn new(base: &BaseUrl, profile: &Profile) -> Result<Self, ConfigError> {
        let endpoint = |setting, service| base.endpoint(setting, profile.path(service), profile.signing_path(service));
        Ok(Self {
            token: endpoint("paths.token", Service::AccessToken)?,
            inquiry: endpoint("paths.inquiry", Service::AccountInquiry)?,
            topup: endpoint("paths.topup", Service::TopUp)?,
            status: endpoint("paths.status", profile.status_service)?,
        })
    }

    const fn of(&self, service: Service) -> &Endpoint {
        match service {
            Service::AccessToken => &self.token,
            Service::AccountInquiry => &self.inquiry,
            Service::TopUp => &self.topup,
            Service::TopUpStatus | Service::TransferStatus => &self.status,
        }
    }
}

fn request(uri: Uri, headers: hyper::HeaderMap, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

fn origin(profile: &Profile, origin: Option<&str>) -> Result<Option<hyper::header::HeaderValue>, ConfigError> {
    if !profile.origin_header {
        return Ok(None);
    }
    let origin = origin.ok_or_else(|| problem("origin", format!("is missing; profile `{}` sends it", profile.name)))?;
    headers::configured("origin", origin).map(Some)
}

fn check_limits(config: &ClientConfig) -> Result<(), ConfigError> {
    for (setting, value) in [("connect_timeout", config.connect_timeout), ("request_timeout", config.request_timeout)] {
        if value.is_zero() {
            return Err(problem(setting, "must be longer than zero"));
        }
    }
    Ok(())
}

fn problem(setting: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Setting { setting, problem: problem.into() }
}

impl std::fmt::Debug for SnapClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapClient").field("name", &self.0.name).finish_non_exhaustive()
    }
}
