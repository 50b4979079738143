//! Clients that request users and profiles, some far more often than others. Some clients disconnect early.

use std::{net::SocketAddr, time::Duration};

use fastrand::Rng;
use reqwest::Client;
use tokio::{task::JoinSet, time::sleep};

use crate::Fallible;

const USERS: f64 = 60.0;

/// Counts of the clients' requests by outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) responses: u64,
    pub(crate) hung_up: u64,
}

/// Each client makes `calls` requests, one after the other.
pub(crate) async fn run(service: SocketAddr, clients: u16, calls: u32) -> Fallible<Answers> {
    let mut all = JoinSet::new();
    for seed in 0..clients {
        all.spawn(client(service, u64::from(seed), calls));
    }
    let mut sum = Answers::default();
    while let Some(answers) = all.join_next().await {
        let Answers { responses, hung_up } = answers??;
        sum.responses += responses;
        sum.hung_up += hung_up;
    }
    Ok(sum)
}

/// [`run`] in an endless loop.
pub(crate) async fn run_forever(service: SocketAddr, clients: u16) -> Fallible<()> {
    loop {
        run(service, clients, 100).await?;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn client(service: SocketAddr, seed: u64, calls: u32) -> Fallible<Answers> {
    let mut random = Rng::with_seed(seed);
    let client = Client::builder().build()?;
    let mut answers = Answers::default();
    for _ in 0..calls {
        sleep(Duration::from_millis(random.u64(..20))).await;
        let what = if random.bool() { "users" } else { "profiles" };
        // Most requests are for the first few.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the whole part of a small number")]
        let id = (random.f64().powi(3) * USERS) as u64;
        // One request in ten has a timeout below the query's latency.
        let limit = Duration::from_millis(if random.u8(..10) == 0 { 15 } else { 5_000 });
        let call = client.get(format!("http://{service}/{what}/{id}")).timeout(limit).send();
        match call.await {
            Ok(_) => answers.responses += 1,
            Err(error) if error.is_timeout() => answers.hung_up += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answers)
}
