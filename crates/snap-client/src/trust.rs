//! Whose certificates count: one TLS configuration for every connection to the provider.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig as TlsConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::{ClientConfig, ConfigError};

/// TLS 1.2 and 1.3 by ring; trusts `ca_file` alone where there is one, else what the operating system trusts.
pub(crate) fn tls_config(config: &ClientConfig, scheme_is_https: bool) -> Result<TlsConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = TlsConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Http(error.to_string()))?;
    let builder = match &config.ca_file {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None if scheme_is_https => {
            builder.with_platform_verifier().map_err(|error| ConfigError::Http(error.to_string()))?
        }
        // No TLS will happen: do not ask the system for authorities it may not have.
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut tls = builder.with_no_client_auth();
    // Some gateways want to be told.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn authorities(path: &Path) -> Result<RootCertStore, ConfigError> {
    let pem = std::fs::read(path).map_err(|source| ConfigError::File {
        setting: "ca_file",
        path: path.to_owned(),
        source,
    })?;
    let problem = |problem: String| ConfigError::Setting { setting: "ca_file", problem };
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| problem(format!("is not PEM: {error}")))?;
        trusted.add(certificate).map_err(|error| problem(format!("holds a certificate of no use: {error}")))?;
    }
    if trusted.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(trusted)
}
