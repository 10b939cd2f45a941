//! `worker sim`: the provider simulator alone.

use std::collections::BTreeSet;

use serde::Serialize;
use snap_sim::{Behaviour, Mount, Running, SimConfig, Simulator, Verdict};

use super::stdout;
use crate::cli::{Personality, SimArgs};
use crate::exit::{CommandError, Exit};
use crate::output::Output;
use crate::signals;

/// What the simulator answers beside the provider's own paths.
const ENDPOINTS: [(&str, &str); 7] = [
    ("GET /_sim/ledger", "who was paid; ?reference=REF, ?doubles=true"),
    ("GET /_sim/requests", "what came in; ?reference=REF, ?service=38, ?limit=N"),
    ("GET /_sim/magic", "customer numbers that meet a fault"),
    ("GET POST DELETE /_sim/script", "faults by rule"),
    ("GET POST /_sim/config", "how it behaves: latency, faults, repeats"),
    ("POST /_sim/revoke-tokens", "every token becomes unknown"),
    ("POST /_sim/reset", "forgets what happened"),
];

/// What a client has to know; the credentials are published test ones.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listening {
    address: String,
    providers: Vec<Partner>,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Partner {
    profile: &'static str,
    base_url: String,
    client_key: String,
    client_secret: String,
    partner_id: String,
    channel_id: String,
    origin: String,
    private_key: String,
    public_key: String,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    request: &'static str,
    what: &'static str,
}

/// Serves until a signal.
///
/// # Errors
/// [`CommandError`]: the address cannot be listened on.
pub async fn run(args: &SimArgs, output: &Output) -> Result<Exit, CommandError> {
    let profiles = profiles(args);
    let sim = Simulator::start(config(args, &profiles), args.listen).await.map_err(|error| {
        let what = crate::text::chain(&error);
        CommandError::usage(
            format!("failed to start the simulator: {what}"),
            "name another address with --listen; port 0 takes any",
        )
    })?;
    let listening = listening(&sim, &profiles);
    // Who reads where it listens may stop it at once: the signals are listened to first.
    let served = signals::until_told(|shutdown| async move {
        tell(&listening, args, output)?;
        shutdown.cancelled().await;
        Ok::<(), CommandError>(())
    });
    served.await.map_err(|source| CommandError::io("listen to signals", source))??;
    let Verdict { requests, credits, double_credits, total, .. } = sim.verdict();
    output.say(&format!("{requests} requests, {credits} credits of {total} together, {double_credits} double"));
    sim.shutdown().await;
    Ok(Exit::Done)
}

fn tell(listening: &Listening, args: &SimArgs, output: &Output) -> Result<(), CommandError> {
    output.object(listening, || listening.to_toml()).map_err(stdout)?;
    output.say(&format!("the simulator listens on {}; Ctrl-C ends it", listening.address));
    for Endpoint { request, what } in &listening.endpoints {
        output.say(&format!("  {request:<30}{what}"));
    }
    if !args.listen.ip().is_loopback() {
        output.say("note: the worker calls plain http:// on loopback addresses only");
    }
    Ok(())
}

fn profiles(args: &SimArgs) -> Vec<Personality> {
    [Personality::Finpay, Personality::Midtrans]
        .into_iter()
        .filter(|profile| args.profile.is_empty() || args.profile.contains(profile))
        .collect()
}

fn config(args: &SimArgs, profiles: &[Personality]) -> SimConfig {
    SimConfig {
        mounts: profiles.iter().map(|&profile| Mount::new(profile.into())).collect(),
        behaviour: Behaviour {
            repeat_policy: args.repeat.into(),
            faults: args.faults.into(),
            seed: args.seed,
            latency: args.latency,
            settle: args.settle,
            token_lifetime: args.token_lifetime,
            ..Behaviour::default()
        },
        ..SimConfig::default()
    }
}

fn listening(sim: &Running, profiles: &[Personality]) -> Listening {
    let partner = |profile: &Personality| {
        let profile = profile.as_str();
        let known = sim.credentials(profile)?.clone();
        Some(Partner {
            profile,
            base_url: sim.base_url(profile),
            client_key: known.client_key,
            client_secret: known.client_secret,
            partner_id: known.partner_id,
            channel_id: known.channel_id,
            origin: known.origin,
            private_key: known.private_key_pem.unwrap_or_default(),
            public_key: known.public_key_pem,
        })
    };
    Listening {
        address: format!("http://{}", sim.addr()),
        providers: profiles.iter().filter_map(partner).collect(),
        endpoints: ENDPOINTS.iter().map(|&(request, what)| Endpoint { request, what }).collect(),
    }
}

impl Listening {
    /// As a configuration that can be used as it is.
    fn to_toml(&self) -> String {
        let mut toml = "# For `worker sim`: published test credentials, which protect nothing.\n".to_owned();
        let names: BTreeSet<_> = self.providers.iter().map(|partner| partner.profile).collect();
        if let Some(first) = names.first().filter(|_| names.len() > 1) {
            toml.push_str(&format!("default_provider = \"{first}\"\n"));
        }
        for partner in &self.providers {
            toml.push_str(&format!(
                "\n[providers.{}]\nprofile = \"{}\"\nbase_url = \"{}\"\nclient_key = \"{}\"\nclient_secret = \"{}\"\n\
                 partner_id = \"{}\"\nchannel_id = \"{}\"\norigin = \"{}\"\nprivate_key = '''\n{}'''\n",
                partner.profile,
                partner.profile,
                partner.base_url,
                partner.client_key,
                partner.client_secret,
                partner.partner_id,
                partner.channel_id,
                partner.origin,
                partner.private_key,
            ));
        }
        toml
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::cli::{Faults, Repeat};
    use crate::config::{Config, Environment};

    fn args(profile: Vec<Personality>) -> SimArgs {
        SimArgs {
            listen: ([127, 0, 0, 1], 0).into(),
            profile,
            repeat: Repeat::PayAgain,
            faults: Faults::None,
            seed: 1,
            latency: Duration::ZERO,
            settle: Duration::ZERO,
            token_lifetime: Duration::from_secs(900),
        }
    }

    #[tokio::test]
    async fn what_it_prints_is_a_configuration_whose_client_gets_a_token() {
        for profiles in [vec![], vec![Personality::Midtrans]] {
            let args = args(profiles);
            let profiles = super::profiles(&args);
            let sim = Simulator::start(config(&args, &profiles), args.listen).await.unwrap();
            let toml = listening(&sim, &profiles).to_toml();
            let config = Config::parse(&toml, Path::new("worker.toml"), &Environment::default()).unwrap();
            assert_eq!(config.providers.len(), profiles.len(), "{toml}");
            for provider in config.providers.values() {
                let client = provider.client().unwrap();
                let now = crate::clock::Clock::start().wall();
                assert!(client.token(now).await.is_ok(), "{toml}");
            }
        }
    }

    #[tokio::test]
    async fn a_repeat_is_played_as_asked_for() {
        let args = args(vec![Personality::Finpay]);
        let sim = Simulator::start(config(&args, &profiles(&args)), args.listen).await.unwrap();
        assert_eq!(sim.behaviour().repeat_policy, snap_sim::RepeatPolicy::PayAgain);
    }
}
