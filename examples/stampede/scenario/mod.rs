//! The five things that go wrong in a stampede.

mod cache;
mod disconnect;
mod pool;
mod ratelimit;
mod viral;

use clap::ValueEnum;

use crate::{Fallible, report::Report, stage::Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 100 requests for one post, through a few database connections
    Pool,
    /// 10,000 requests for one post
    Viral,
    /// A cache entry expires under 100 readers
    Cache,
    /// An upstream that allows ten requests a second, and 100 callers
    Ratelimit,
    /// 500 clients, of whom 400 hang up while they wait
    Disconnect,
}

/// How much work a scenario's query is.
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

    pub(crate) async fn run(self, stage: &Stage) -> Fallible<Report> {
        match self {
            Self::Pool => pool::run(stage).await,
            Self::Viral => viral::run(stage).await,
            Self::Cache => cache::run(stage).await,
            Self::Ratelimit => ratelimit::run(stage).await,
            Self::Disconnect => disconnect::run(stage).await,
        }
    }
}

/// The most requests of a direct arm: enough to see the rate, and few enough to sit through.
fn direct_sample(weight: Weight, requests: usize) -> usize {
    let most = match weight {
        Weight::Ordinary => 200,
        Weight::Heavy => 10,
    };
    requests.min(most)
}
