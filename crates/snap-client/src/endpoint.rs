//! Where requests go and which path their signature covers.

use hyper::Uri;
use hyper::header::HeaderValue;
use reqwest::Url;

use crate::ConfigError;

/// A checked `base_url`.
#[derive(Debug)]
pub(crate) struct BaseUrl(Url);

/// Whether this can be a client's `base_url`: `https`, or `http` on loopback, with no more than host, port and path.
///
/// # Errors
/// [`ConfigError::Setting`] for `base_url`.
pub fn check_base_url(text: &str) -> Result<(), ConfigError> {
    BaseUrl::parse(text).map(drop)
}

/// A `base_url` in the one spelling of all that mean the same: scheme and host in lower case, no port that is the scheme's own,
/// no slash at the end.
///
/// # Errors
/// [`ConfigError::Setting`] for `base_url`.
pub fn plain_base_url(text: &str) -> Result<String, ConfigError> {
    BaseUrl::parse(text).map(|BaseUrl(url)| url.as_str().trim_end_matches('/').to_owned())
}

/// One service's address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The whole address.
    pub(crate) uri: Uri,
    /// What stands in the request line.
    pub(crate) target: Uri,
    /// The path as it stands in the request line, prefix included, unless the profile says otherwise.
    pub(crate) signing_path: String,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let url = Url::parse(text).map_err(|error| problem(format!("is not a URL: {error}")))?;
        let Some(host) = url.host_str() else { return Err(problem("has no host")) };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err(problem("must be https: plain http is for loopback addresses only")),
            _ => return Err(problem("must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("must not carry a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(problem("must not carry a query or fragment"));
        }
        Ok(Self(url))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whom to connect to.
    pub(crate) fn server(&self) -> Result<Uri, ConfigError> {
        self.0.as_str().parse().map_err(|error| problem(format!("is not a URL: {error}")))
    }

    /// The `Host` header: host, and port where it is not the scheme's own.
    pub(crate) fn host(&self) -> Result<HeaderValue, ConfigError> {
        let host = self.0.host_str().unwrap_or_default();
        let host = self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        HeaderValue::try_from(host).map_err(|_invalid| problem("has a host that cannot stand in a header"))
    }

    /// `path` below the base's own path; `setting` names it in an error.
    pub(crate) fn endpoint(
        &self,
        setting: &'static str,
        path: &str,
        signing_path: Option<&str>,
    ) -> Result<Endpoint, ConfigError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%' | b'\\');
        if !path.starts_with('/') || !path.bytes().all(plain) || path.split('/').any(|part| matches!(part, "." | ".."))
        {
            return Err(ConfigError::Setting {
                setting,
                problem: "must be a plain absolute path, without query, escapes or dots".to_owned(),
            });
        }
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        let signing_path = signing_path.unwrap_or_else(|| url.path()).to_owned();
        let unfit = |_invalid| ConfigError::Setting { setting, problem: "cannot stand in a request line".to_owned() };
        let (uri, target) = (url.as_str().parse().map_err(unfit)?, url.path().parse().map_err(unfit)?);
        Ok(Endpoint { uri, target, signing_path })
    }
}

/// IPv6 hosts come in brackets.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn problem(problem: impl Into<String>) -> ConfigError {
    ConfigError::Setting { setting: "base_url", problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(base: &str) -> (String, String) {
        let endpoint = BaseUrl::parse(base).unwrap().endpoint("paths.topup", "/v1.0/emoney/topup", None).unwrap();
        (endpoint.uri.to_string(), endpoint.signing_path)
    }

    #[test]
    fn the_prefix_of_the_base_url_is_part_of_the_signed_path() {
        for base in ["https://api.example.test/rest", "https://api.example.test/rest/"] {
            let (url, path) = signed(base);
            assert_eq!(url, "https://api.example.test/rest/v1.0/emoney/topup");
            assert_eq!(path, "/rest/v1.0/emoney/topup");
        }
        assert_eq!(signed("https://api.example.test").1, "/v1.0/emoney/topup");
    }

    #[test]
    fn a_profile_may_sign_another_path_than_it_requests() {
        let base = BaseUrl::parse("https://api.example.test/account").unwrap();
        let endpoint = base.endpoint("paths.topup", "/v1.0/x", Some("/v1.0/x")).unwrap();
        assert_eq!(endpoint.uri.path(), "/account/v1.0/x");
        assert_eq!(endpoint.signing_path, "/v1.0/x");
    }

    #[test]
    fn spellings_of_one_base_url_are_one() {
        for same in
            ["https://API.example.test/rest/", "HTTPS://api.example.test:443/rest", "https://api.example.test/rest"]
        {
            assert_eq!(plain_base_url(same).unwrap(), "https://api.example.test/rest", "{same}");
        }
        assert_eq!(plain_base_url("https://api.example.test").unwrap(), "https://api.example.test");
        for other in
            ["https://api.example.test/REST", "https://api.example.test:8443/rest", "https://x.example.test/rest"]
        {
            assert_ne!(plain_base_url(other).unwrap(), "https://api.example.test/rest", "{other}");
        }
        assert!(plain_base_url("x").is_err());
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for loopback in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80", "http://localhost:1/x"] {
            assert!(BaseUrl::parse(loopback).is_ok(), "{loopback}");
        }
        for elsewhere in
            ["http://10.0.0.1", "http://snap.example.test", "http://localhost.example.test", "ftp://x.test"]
        {
            assert!(BaseUrl::parse(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn a_base_url_carries_nothing_but_host_port_and_path() {
        for bad in ["https://u:p@x.test", "https://x.test/?a=b", "https://x.test/#f", "x.test", "https://"] {
            let error = BaseUrl::parse(bad).expect_err(bad).to_string();
            assert!(error.starts_with("base_url "), "{error}");
            assert!(!error.contains("u:p"), "{error}");
        }
    }

    #[test]
    fn paths_that_a_url_parser_would_rewrite_are_refused() {
        let base = BaseUrl::parse("https://x.test").unwrap();
        for bad in ["v1.0/x", "/a?b", "/a#b", "/a/../b", "/a b", "/a%20b", "/a\\b", ""] {
            assert!(base.endpoint("paths.topup", bad, None).is_err(), "{bad}");
        }
    }
}
