//! `worker sim`, and what it shares with `worker demo`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Arguments of `worker sim`.
#[derive(Clone, Debug, Args)]
pub struct SimArgs {
    /// Address and port; port 0 takes any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8600")]
    pub listen: SocketAddr,
    /// The provider to play; may be given twice [default: both]
    #[arg(long, value_name = "NAME", value_enum)]
    pub profile: Vec<Personality>,
    /// What a top-up with a known partnerReferenceNo leads to
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub repeat: Repeat,
    /// How often it misbehaves at random
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub faults: Faults,
    /// Of the random faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Every answer waits this long
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = snap_core::duration::parse)]
    pub latency: Duration,
    /// How long a 202 stays pending
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = snap_core::duration::parse)]
    pub settle: Duration,
    /// How long a token is good for
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = snap_core::duration::parse)]
    pub token_lifetime: Duration,
}

/// A provider the program knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Personality {
    /// Synchronous: 200 is final
    #[default]
    Finpay,
    /// Asynchronous: 202 is pending
    Midtrans,
}

/// What a repeated reference leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Repeat {
    /// 409 01
    #[default]
    Reject,
    /// The earlier answer again
    Echo,
    /// One more credit: no protection at all, so that an unsafe resend shows in the ledger
    PayAgain,
}

/// How many random faults there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Faults {
    /// None
    #[default]
    None,
    /// About one top-up in four meets one
    Some,
    /// Most top-ups meet one, some two, of every kind
    Wild,
}

impl Personality {
    /// Its name: the profile's too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finpay => "finpay",
            Self::Midtrans => "midtrans",
        }
    }
}

impl Faults {
    /// Its word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Some => "some",
            Self::Wild => "wild",
        }
    }
}

impl From<Personality> for snap_sim::Personality {
    fn from(personality: Personality) -> Self {
        match personality {
            Personality::Finpay => Self::Finpay,
            Personality::Midtrans => Self::Midtrans,
        }
    }
}

impl From<Repeat> for snap_sim::RepeatPolicy {
    fn from(repeat: Repeat) -> Self {
        match repeat {
            Repeat::Reject => Self::Reject,
            Repeat::Echo => Self::Echo,
            Repeat::PayAgain => Self::PayAgain,
        }
    }
}

impl From<Faults> for snap_sim::FaultLevel {
    fn from(faults: Faults) -> Self {
        match faults {
            Faults::None => Self::None,
            Faults::Some => Self::Some,
            Faults::Wild => Self::Wild,
        }
    }
}
