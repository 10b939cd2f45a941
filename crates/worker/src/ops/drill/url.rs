//! Where a broker is, by its URL.

/// An `amqp://` URL split at its host and port: what stands before, `host:port`, what stands behind. `None` for any other
/// scheme: a certificate would not fit the line.
pub(super) fn split(url: &str) -> Option<(String, String, String)> {
    let rest = url.strip_prefix("amqp://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let at = if user.is_empty() { "" } else { "@" };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    let host = if has_port { host.to_owned() } else { format!("{host}:5672") };
    Some((format!("amqp://{user}{at}"), host, behind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_at_its_host() {
        let own = |parts: [&str; 3]| Some((parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned()));
        let split_of = |url| split(url);
        assert_eq!(
            split_of("amqp://guest:gu@est@broker:5673/%2f?heartbeat=5"),
            own(["amqp://guest:gu@est@", "broker:5673", "/%2f?heartbeat=5"])
        );
        assert_eq!(split_of("amqp://broker"), own(["amqp://", "broker:5672", ""]));
        assert_eq!(split_of("amqp://u:p@[::1]:1/"), own(["amqp://u:p@", "[::1]:1", "/"]));
        assert_eq!(split_of("amqps://broker/"), None);
    }
}
