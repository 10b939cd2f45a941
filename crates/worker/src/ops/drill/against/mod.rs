//! `worker drill --against URL`: a provider's own sandbox is asked whether it answers as its profile says. Moves the sandbox's
//! test money, and only where a person named it and said yes.

mod asker;
mod questions;
mod report;

use snap_core::{Amount, CustomerNumber};

use self::asker::Asker;
use self::questions::ask_all;
use self::report::{Holds, table};
use crate::cli::AgainstArgs;
use crate::clock::Clock;
use crate::config::{Config, ProviderConfig};
use crate::exit::{CommandError, Exit};
use crate::ops::{World, stdout};
use crate::output::{Answered, Output, rupiah};
use crate::signals;

/// Whom to credit with what, in the sandbox.
#[derive(Clone, Copy, Debug)]
struct Test<'a> {
    customer: &'a CustomerNumber,
    amount: Amount,
    beneficiary_provider: Option<&'a str>,
}

/// Asks the sandbox at `url`.
///
/// # Errors
/// [`CommandError`]: the configuration cannot be used, or nobody said yes.
pub(super) async fn run(url: &str, args: &AgainstArgs, world: &World, clock: &Clock) -> Result<Exit, CommandError> {
    let config = world.config()?;
    let mut provider = chosen(args, &config)?.clone();
    provider.base_url = url.to_owned();
    let (Some(customer), Some(amount)) = (&args.customer, args.amount) else {
        return Err(CommandError::usage("--against wants --customer and --amount", "use a test number of the sandbox"));
    };
    let test = Test { customer, amount, beneficiary_provider: args.beneficiary_provider.as_deref() };
    let client = provider.client()?;
    confirm(&provider, &test, args.yes, &world.output)?;
    let asker = Asker { client, profile: provider.profile.clone(), clock, test };
    let asked = signals::until_told(|stopped| async move {
        tokio::select! {
            items = Box::pin(ask_all(&asker)) => Ok(items),
            () = stopped.cancelled() => Err(CommandError::usage("the drill was stopped", "a top-up may have been sent")),
        }
    });
    let items = asked.await.map_err(|source| CommandError::io("listen to signals", source))??;
    world.output.list("answers", &items, None, || table(&items)).map_err(stdout)?;
    let all_hold = items.iter().all(|item| matches!(item.result, Holds::Yes | Holds::Told));
    Ok(if all_hold { Exit::Done } else { Exit::SomeFailed })
}

fn chosen<'a>(args: &AgainstArgs, config: &'a Config) -> Result<&'a ProviderConfig, CommandError> {
    let only = || if config.providers.len() == 1 { config.providers.keys().next() } else { None };
    let Some(name) = args.provider.as_ref().or(config.default_provider.as_ref()).or_else(only) else {
        return Err(CommandError::usage("several providers are configured", "name one with --provider"));
    };
    config.providers.get(name).ok_or_else(|| {
        let names = config.providers.keys().cloned().collect::<Vec<_>>().join(", ");
        CommandError::usage(format!("provider {name} is not configured"), format!("the configuration has {names}"))
    })
}

fn confirm(provider: &ProviderConfig, test: &Test<'_>, yes: bool, output: &Output) -> Result<(), CommandError> {
    output.say(&format!(
        "to {} as {}, with its credentials: at most two top-ups of {} to {}, one inquiry, and status inquiries for a minute",
        provider.base_url,
        provider.name,
        rupiah(test.amount.minor().into()),
        test.customer.masked(),
    ));
    if yes {
        return Ok(());
    }
    match output.ask("is that a sandbox, and may it be asked?") {
        Answered::Yes => Ok(()),
        Answered::No => Err(CommandError::Declined),
        Answered::NobodyThere => {
            Err(CommandError::usage("there is no terminal to ask on; nothing was sent", "say --yes if it is a sandbox"))
        }
    }
}

#[cfg(test)]
mod tests;
