//! How long things are kept: no setting may make the worker forget what somebody can still act upon.

use std::collections::BTreeMap;
use std::time::Duration;

use snap_core::duration::format;

use super::Section;
use crate::config::file::{self, Keep};
use crate::config::{ProviderConfig, Retention};

/// Where nobody says, and no provider asks for longer.
const KEEP_DETAILS: Duration = Duration::from_secs(90 * 86_400);

/// What is kept, for how long; problems where that breaks a rule.
pub(super) fn resolve(
    written: &file::Store,
    providers: &BTreeMap<String, ProviderConfig>,
    section: &mut Section<'_>,
) -> Retention {
    let asked = asked(providers);
    let unique = longest(providers, |status| [("uniqueness_window", status.uniqueness_window); 2]);
    let details = match written.keep_details {
        Some(Keep::For(span)) => Some(span),
        Some(Keep::Forever) => None,
        None => Some(KEEP_DETAILS.max(asked.1)),
    };
    let keys = match written.keep_keys {
        Some(Keep::For(span)) => Some(span),
        Some(Keep::Forever) | None => None,
    };
    if let Some(details) = details.filter(|details| *details < asked.1) {
        let what = format!(
            "is {}, shorter than {} ({}): a top-up of that age can still be asked about, and its dead letter restored",
            format(details),
            asked.0,
            format(asked.1)
        );
        section.problem("keep_details", what, format!("{} or more, or \"forever\"", format(asked.1)));
    }
    let Some(keys) = keys else { return Retention { details, keys: None } };
    let least = format!("longer than {}, and not shorter than store.keep_details; or \"forever\"", unique.0);
    if keys <= unique.1 {
        let what = format!(
            "is {}, not longer than {} ({}): a repeated message would be a second top-up that the provider may not refuse",
            format(keys),
            unique.0,
            format(unique.1)
        );
        section.problem("keep_keys", what, least);
    } else if details.is_none_or(|details| keys < details) {
        let details = details.map_or_else(|| "forever".to_owned(), format);
        let what = format!("is {}, shorter than store.keep_details ({details}): a key outlives its job", format(keys));
        section.problem("keep_keys", what, least);
    }
    Retention { details, keys: Some(keys) }
}

/// For how long any provider can be asked about a top-up, or refuses its reference, and the key that says so.
pub(in crate::config) fn asked(providers: &BTreeMap<String, ProviderConfig>) -> (String, Duration) {
    longest(providers, |status| {
        [("uniqueness_window", status.uniqueness_window), ("give_up_after", status.give_up_after)]
    })
}

/// The longest of some times of any provider, and its key.
fn longest(
    providers: &BTreeMap<String, ProviderConfig>,
    times: impl Fn(&snap_core::Defaults) -> [(&'static str, Duration); 2],
) -> (String, Duration) {
    let all = providers.iter().flat_map(|(name, provider)| {
        let times = times(&provider.profile.defaults);
        times.map(|(key, span)| (format!("providers.{name}.status.{key}"), span))
    });
    all.max_by_key(|(_, span)| *span).unwrap_or_default()
}
