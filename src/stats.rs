//! Counters and gauges of a coalescer, and snapshots of single flights.

use std::{cmp::Reverse, fmt, time::Duration};

use crate::shard::FlightSnapshot;

/// Counters and gauges of a coalescer, or of one of its shards (G14).
///
/// Counters only grow until [`Handle::reset_stats`](crate::Handle::reset_stats), but for `joins` and `coalesced`: see there. At
/// quiescence
/// `joins == executions + coalesced + rejections + bypasses`; a caller that left before its shard saw it is in none of
/// them. Each shard's part is exact at the moment when the shard answers; the shards answer one after the other.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Joins that a shard handled, and [`bypasses`](Self::bypasses). A leader whose work is dropped uncalled, as its flight is
    /// cut short first, is taken out again: it counts as a departure, or its flight as a timeout or abort, and in nothing else.
    pub joins: u64,
    /// Flights whose work was called: counted when it is first polled, or called on a blocking thread. Their further executions are
    /// [`takeovers`](Self::takeovers).
    pub executions: u64,
    /// Joins that shared a flight that another caller led. A leader is never one of them. A follower that turns out to have
    /// nothing to share is taken out again: it counts as a rejection if it is reentrant, and as a bypass if it calls for itself.
    pub coalesced: u64,
    /// Flights whose work returned an error, counted where the join can tell: those led through
    /// [`try_join`](crate::Handle::try_join) or another method with `try_join` in its name.
    pub errors: u64,
    /// Flights whose work panicked.
    pub panics: u64,
    /// Flights that outlived their deadline.
    pub timeouts: u64,
    /// Joins that were refused, and leaders of flights that were [`shed`](Self::shed).
    pub rejections: u64,
    /// Flights that found as many executions running as [`max_executions`](crate::Builder::max_executions) allows.
    pub queued: u64,
    /// Flights that were given up while they waited for a permit, as too many waited or as one has waited for too long. The leader
    /// counts as a rejection, and the others, who shared this answer, as coalesced.
    pub shed: u64,
    /// How often a flight that waited for a permit, or for another execution of its key, was joined by a caller of a higher class
    /// than it had.
    pub raised: u64,
    /// Callers that left before their answer.
    pub departures: u64,
    /// Flights whose work was dropped before it ended.
    pub aborts: u64,
    /// Flights detached by [`forget`](crate::Handle::forget) or [`forget_all`](crate::Handle::forget_all).
    pub forgets: u64,
    /// Flights that began while aborted work of their key was not gone, as it outlasted
    /// [`Builder::abort_grace`](crate::Builder::abort_grace).
    pub overlaps: u64,
    /// Works of followers that were called beside the work of their flight, which had stalled: see
    /// [`Builder::on_stall`](crate::Builder::on_stall). `executions + takeovers` is how many works were called for flights.
    pub takeovers: u64,
    /// Second calls of hedged work: see [`Handle::join_hedged`](crate::Handle::join_hedged). They belong to the executions of their
    /// flights.
    pub hedges: u64,
    /// Second calls of hedged work whose value was the flight's.
    pub hedges_won: u64,
    /// Second calls of hedged work that were not made, as the [budget](crate::Hedge::budget) was used up, or no permit of
    /// [`max_executions`](crate::Builder::max_executions) was left.
    pub hedges_denied: u64,
    /// Joins that ran their own work without a shard, and requests of a layer that waited for a flight whose response was for
    /// its leader only, and then made a call of their own. No counter tells how that work ended.
    pub bypasses: u64,
    /// Gauge: flights under way, detached ones included.
    pub flights: usize,
    /// Gauge: flights whose work has not been called yet: it is about to be, or waits for another execution of its key to end.
    pub pending: usize,
    /// Gauge: executions that have one of the permits of [`max_executions`](crate::Builder::max_executions). Zero where it is not
    /// set.
    pub executing: usize,
    /// Gauge: flights that wait for such a permit.
    pub queue_len: usize,
    /// Gauge: live callers awaiting an answer, leaders included.
    pub waiters: usize,
    /// Gauge: executions that outlive their flights: work that was told to end, by its flight's deadline or as its last
    /// caller left, and has not ended. Each counts towards [`max_flights`](crate::Builder::max_flights). Blocking work
    /// cannot be told; async work ends between two polls.
    pub lingering: usize,
    /// Gauge: the age of the oldest flight under way.
    pub oldest_flight: Option<Duration>,
    shards: Vec<Stats>,
}

impl Stats {
    pub(crate) fn sum(shards: Vec<Stats>) -> Self {
        let mut sum = shards.iter().fold(Self::default(), Self::add);
        sum.shards = shards;
        sum
    }

    /// Counters and gauges of both.
    pub(crate) fn add(mut self, shard: &Self) -> Self {
        self.joins += shard.joins;
        self.executions += shard.executions;
        self.coalesced += shard.coalesced;
        self.errors += shard.errors;
        self.panics += shard.panics;
        self.timeouts += shard.timeouts;
        self.rejections += shard.rejections;
        self.queued += shard.queued;
        self.shed += shard.shed;
        self.raised += shard.raised;
        self.departures += shard.departures;
        self.aborts += shard.aborts;
        self.forgets += shard.forgets;
        self.overlaps += shard.overlaps;
        self.takeovers += shard.takeovers;
        self.hedges += shard.hedges;
        self.hedges_won += shard.hedges_won;
        self.hedges_denied += shard.hedges_denied;
        self.bypasses += shard.bypasses;
        self.pending += shard.pending;
        self.executing += shard.executing;
        self.queue_len += shard.queue_len;
        self.flights += shard.flights;
        self.waiters += shard.waiters;
        self.lingering += shard.lingering;
        self.oldest_flight = self.oldest_flight.max(shard.oldest_flight);
        self
    }

    /// `coalesced` divided by `joins`, from 0.0 to 1.0; 0.0 before the first join.
    pub fn coalescing_rate(&self) -> f64 {
        if self.joins == 0 { 0.0 } else { self.coalesced as f64 / self.joins as f64 }
    }

    /// The same figures shard by shard, in the order of the shards; empty for a shard's own.
    pub fn per_shard(&self) -> &[Stats] {
        &self.shards
    }
}

/// For debugging: four lines, of joins, failures, callers and flights, one more if executions were limited, and one more if work was
/// called again. Further ones may be added, so don't parse it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handle = shardflight::Coalescer::<u64, u64>::new().handle();
/// handle.join(7_u64, || async { 7 }).await?;
/// let shown = handle.stats().await?.to_string();
/// assert!(shown.starts_with("joins: 1 = 1 executed + 0 coalesced (0.0 %) + 0 rejected + 0 bypassed\n"), "{shown}");
/// # Ok(()) }
/// ```
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { joins, executions, coalesced, rejections, bypasses, .. } = self;
        let percent = 100.0 * self.coalescing_rate();
        writeln!(
            f,
            "joins: {joins} = {executions} executed + {coalesced} coalesced ({percent:.1} %) + {rejections} rejected + {bypasses} \
             bypassed"
        )?;
        let Self { errors, panics, timeouts, aborts, .. } = self;
        writeln!(f, "failures: {errors} errors, {panics} panics, {timeouts} timeouts, {aborts} aborts")?;
        writeln!(f, "callers: {} waiting, {} departed", self.waiters, self.departures)?;
        let Self { flights, pending, lingering, forgets, overlaps, .. } = self;
        write!(
            f,
            "flights: {flights} under way, {pending} pending, {lingering} lingering, {forgets} forgotten, {overlaps} overlapped"
        )?;
        self.oldest_flight.map_or(Ok(()), |age| write!(f, ", the oldest {:.1} s old", age.as_secs_f64()))?;
        let Self { executing, queue_len, queued, shed, raised, .. } = self;
        if executing + queue_len > 0 || queued > &0 {
            write!(
                f,
                "\nlimit: {executing} executing, {queue_len} in the queue, {queued} queued in all, {shed} shed, {raised} raised"
            )?;
        }
        let Self { takeovers, hedges, hedges_won, hedges_denied, .. } = self;
        if takeovers + hedges + hedges_denied == 0 {
            return Ok(());
        }
        write!(
            f,
            "\ncalled again: {takeovers} takeovers, {hedges} hedges ({hedges_won} won, {hedges_denied} more denied)"
        )
    }
}

/// What [`Handle::inspect`](crate::Handle::inspect) found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inspection {
    /// The flights with the most waiters, the most crowded first.
    pub crowded: Vec<FlightInfo>,
    /// The oldest flights, the oldest first.
    pub oldest: Vec<FlightInfo>,
}

/// One flight under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlightInfo {
    /// Its number, as in the tracing events; other coalescers have flights of the same numbers. The remainder of a division by
    /// [`Builder::MAX_SHARDS`](crate::Builder::MAX_SHARDS) is its shard, so those of one shard go up by that.
    pub flight: u64,
    /// The shard that has it, as in [`Stats::per_shard`](crate::Stats::per_shard).
    pub shard: usize,
    /// How long ago it started, its time in the queue of [`max_executions`](crate::Builder::max_executions) included.
    pub age: Duration,
    /// How many callers wait for it.
    pub waiters: usize,
    /// What the builder's [`describe`](crate::Builder::describe) said of its leader's key; `None` by default, as keys
    /// may be secrets.
    pub description: Option<String>,
}

impl Inspection {
    pub(crate) fn new(mut crowded: Vec<FlightSnapshot>, mut oldest: Vec<FlightSnapshot>, most: usize) -> Self {
        crowded.sort_by_key(|flight| Reverse(flight.waiters));
        oldest.sort_by_key(|flight| Reverse(flight.age));
        let show = |flights: Vec<FlightSnapshot>| flights.into_iter().take(most).map(FlightInfo::from).collect();
        Self { crowded: show(crowded), oldest: show(oldest) }
    }
}

impl From<FlightSnapshot> for FlightInfo {
    fn from(snapshot: FlightSnapshot) -> Self {
        let FlightSnapshot { flight, age, waiters, description } = snapshot;
        let description = description.map(String::from);
        Self { flight: flight.number(), shard: flight.shard(), age, waiters, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_figure_once() {
        // Each figure differs from all others, so that none stands for another.
        let stats = Stats {
            joins: 1_000,
            executions: 101,
            coalesced: 750,
            errors: 102,
            panics: 103,
            timeouts: 104,
            rejections: 105,
            departures: 106,
            aborts: 107,
            forgets: 108,
            overlaps: 109,
            bypasses: 110,
            flights: 111,
            pending: 112,
            waiters: 113,
            lingering: 114,
            takeovers: 115,
            hedges: 116,
            hedges_won: 117,
            hedges_denied: 118,
            executing: 119,
            queue_len: 120,
            queued: 121,
            shed: 122,
            raised: 123,
            oldest_flight: Some(Duration::from_millis(1_550)),
            ..Stats::default()
        };
        let lines = [
            "joins: 1000 = 101 executed + 750 coalesced (75.0 %) + 105 rejected + 110 bypassed",
            "failures: 102 errors, 103 panics, 104 timeouts, 107 aborts",
            "callers: 113 waiting, 106 departed",
            "flights: 111 under way, 112 pending, 114 lingering, 108 forgotten, 109 overlapped, the oldest 1.6 s old",
            "limit: 119 executing, 120 in the queue, 121 queued in all, 122 shed, 123 raised",
            "called again: 115 takeovers, 116 hedges (117 won, 118 more denied)",
        ];
        assert_eq!(stats.to_string(), lines.join("\n"));
    }

    #[test]
    fn shows_no_age_without_flights() {
        assert!(Stats::default().to_string().ends_with("0 overlapped"));
    }
}
