//! The five scenarios.

mod cache;
mod disconnect;
mod pool;
mod ratelimit;
mod viral;

use clap::ValueEnum;

use crate::{Fallible, arm::Arm, environment::Environment, report::Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 100 requests for one post, through a few database connections
    Pool,
    /// 10,000 requests for one post
    Viral,
    /// A page that 100 readers keep reading, while its cache entry expires, and while it is edited
    Cache,
    /// An upstream that allows ten requests a second, and 100 callers
    Ratelimit,
    /// 500 clients, of which 400 hang up while they wait
    Disconnect,
}

/// How expensive a scenario's query is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    Ordinary,
    Heavy,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] = [Self::Pool, Self::Viral, Self::Cache, Self::Ratelimit, Self::Disconnect];

    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    pub(crate) fn weight(self) -> Weight {
        match self {
            Self::Pool | Self::Cache | Self::Ratelimit => Weight::Ordinary,
            Self::Viral | Self::Disconnect => Weight::Heavy,
        }
    }

    pub(crate) fn arms(self) -> &'static [Arm] {
        match self {
            Self::Cache => &[Arm::Direct, Arm::Coalesced, Arm::Cached],
            Self::Pool | Self::Viral | Self::Ratelimit | Self::Disconnect => &[Arm::Direct, Arm::Coalesced],
        }
    }

    pub(crate) async fn run(self, environment: &Environment) -> Fallible<Report> {
        match self {
            Self::Pool => pool::run(environment).await,
            Self::Viral => viral::run(environment).await,
            Self::Cache => cache::run(environment).await,
            Self::Ratelimit => ratelimit::run(environment).await,
            Self::Disconnect => disconnect::run(environment).await,
        }
    }
}

/// Limits the requests of a direct arm: enough to measure the rate, and few enough to wait for.
fn direct_sample(weight: Weight, requests: usize) -> usize {
    let most = match weight {
        Weight::Ordinary => 200,
        Weight::Heavy => 10,
    };
    requests.min(most)
}
