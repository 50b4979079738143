//! The acts, carried out.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    Fallible,
    act::{Act, LEASE, REPLICAS},
    backend::Backend,
    bars::{Bars, spinner},
    claims::{Claim, claims, slowest},
    fleet::{Fleet, INTERVAL, WAIT_LIMIT},
    protocol::{Ask, Numbers},
    server::Server,
    tally::Tally,
};

pub(crate) struct Play {
    backend: Backend,
    server: Server,
    fleet: Fleet,
    callers: u32,
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) acts: Vec<(Act, Tally)>,
    pub(crate) claims: Vec<Claim>,
}

impl Play {
    pub(crate) async fn prepare(program: &str, callers: u32) -> Fallible<Self> {
        let server = Server::start(program).await?;
        let backend = Backend::start().await?;
        let fleet = Fleet::start(REPLICAS as usize, backend.address(), server.url()).await?;
        println!("{program} is process {} at {}, and there are {REPLICAS} replicas.", server.process(), server.url());
        Ok(Self { backend, server, fleet, callers })
    }

    pub(crate) async fn run(&mut self) -> Fallible<Played> {
        let mut played = Played::default();
        let mut alone = Duration::ZERO;
        for act in Act::ALL {
            println!("\n{}: {}", act.name(), act.what_happens());
            self.set_the_scene(act).await?;
            let tally = self.stampede(act).await.map_err(|error| format!("{}: {error}", act.name()))?;
            if act == Act::Alone {
                alone = tally.answers.slowest;
            }
            for claim in claims(act, &tally) {
                println!("  {claim}");
                played.claims.push(claim);
            }
            println!("    {}", slowest(act, &tally, alone));
            played.acts.push((act, tally));
        }
        let claim = self.nothing_is_left().await?;
        println!("\n{claim}");
        played.claims.push(claim);
        Ok(played)
    }

    async fn set_the_scene(&mut self, act: Act) -> Fallible<()> {
        match act {
            Act::Alone | Act::Together | Act::Killed | Act::Open => Ok(()),
            Act::Stopped => {
                self.fleet.replace_the_killed().await?;
                self.server.stop()
            }
            Act::Back => {
                let waiting = spinner("the breakers try Redis again, at longer and longer intervals");
                self.server.go_on()?;
                self.fleet.until_counted("the breakers to close", |all| sum(all).open == 0).await?;
                waiting.finish_and_clear();
                Ok(())
            }
        }
    }

    async fn stampede(&mut self, act: Act) -> Fallible<Tally> {
        let ask = act.ask(self.callers);
        let before = self.fleet.count().await?;
        self.backend.hold();
        let bars = Bars::of(REPLICAS, ask.requests());
        self.fleet.ask(&ask).await?;
        self.until_all_wait(act, &ask, 0).await?;
        if act == Act::Killed {
            let leader = self.backend.first().ok_or("no replica leads")? as usize;
            self.fleet.kill(leader).await?;
            bars.killed(leader);
            self.until_all_wait(act, &ask, 2).await?;
        }
        self.backend.release();
        self.fleet.until_answered(&ask, &bars).await?;
        let after = self.fleet.count().await?;
        drop(bars);

        let mut tally = Tally { executions: self.backend.executions(), ..Tally::default() };
        for (replica, (after, before)) in self.fleet.replicas.iter().zip(after.into_iter().zip(before)) {
            tally.add(ask.requests(), &replica.answers, replica.was_killed);
            if !replica.was_killed {
                tally.numbers = tally.numbers.plus(after.since(before));
            }
        }
        Ok(tally)
    }

    /// Until all have called, and each flight is at the backend or follows another: so that it doesn't depend on the machine's speed what
    /// they share.
    async fn until_all_wait(&mut self, act: Act, ask: &Ask, least: u64) -> Fallible<()> {
        let deadline = Instant::now() + WAIT_LIMIT;
        let flights = u64::from(REPLICAS * ask.pages);
        loop {
            let callers = sum(&self.fleet.count().await?).callers;
            let followers = if act.is_shared() { self.server.followers(&ask.act).await? } else { 0 };
            let executions = self.backend.executions();
            let have_all_called = callers == self.fleet.live().count() as u64 * ask.requests();
            if have_all_called && executions >= least && executions + followers >= flights {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{callers} callers, {executions} executions, {followers} followers").into());
            }
            sleep(INTERVAL).await;
        }
    }

    /// Outcomes stay for a lease, for followers that have missed their push.
    async fn nothing_is_left(&self) -> Fallible<Claim> {
        let deadline = Instant::now() + WAIT_LIMIT;
        loop {
            let keys = self.server.keys().await?;
            if keys == 0 || Instant::now() > deadline {
                return Ok(Claim { text: format!("{keys} keys are left in Redis"), holds: keys == 0 });
            }
            sleep(LEASE / 20).await;
        }
    }

    pub(crate) async fn end(self) -> Fallible<()> {
        self.fleet.end().await?;
        self.server.end().await
    }
}

fn sum(all: &[Numbers]) -> Numbers {
    all.iter().fold(Numbers::default(), |sum, numbers| sum.plus(*numbers))
}
