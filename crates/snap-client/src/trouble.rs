//! Words for what went wrong on the wire, whoever reports it.

use std::error::Error as StdError;

use crate::NotSentReason;

/// Enough for a cause, short enough for a column.
const DETAIL_LIMIT: usize = 200;

/// Why no connection came about; `error` is that of the connecting step.
pub(crate) fn not_sent_reason(error: &(dyn StdError + 'static)) -> NotSentReason {
    let mut chain = std::iter::once(error).chain(causes(error));
    // The system's resolver is reported by a private type; its words only choose the name of the reason.
    if chain.clone().any(|cause| cause.to_string() == "dns error") {
        NotSentReason::Dns
    } else if chain.clone().any(is_tls) {
        NotSentReason::Tls
    } else if chain.any(is_timeout) {
        NotSentReason::ConnectTimeout
    } else {
        NotSentReason::Connect
    }
}

/// An `io::Error` does not list what it wraps among its sources, so it has to be looked into, as often as it is wrapped.
fn is_tls(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<rustls::Error>()
        || cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref).is_some_and(|inner| is_tls(inner))
}

fn is_timeout(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

/// What lies under an error, nearest first.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> + Clone {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The error and its causes, printable and short. Must not be given errors that name URLs.
pub(crate) fn detail(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text.chars().flat_map(char::escape_debug).take(DETAIL_LIMIT).collect()
}
