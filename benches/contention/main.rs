//! Where one shard saturates, and how long a call waits there: `cargo bench -p benches --bench contention`.
//!
//! Plain threads call at full speed. A `ready` call leads a flight of its own, in place, with work that is ready: a turn
//! to join and one to complete. A `follow` call joins one of 64 flights and leaves it, a turn each. Throughput on one shard
//! and on several shows where turns get into each other's way; beyond the number of cores, threads are preempted as well.

#[path = "../race/table.rs"]
mod table;

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::executor::block_on;
use shardflight::{Coalescer, Handle, RunWork};
use tokio::runtime::Runtime;

use crate::table::table;

const UNFAILING: &str = "nothing here fails";
const THREADS: [u64; 4] = [1, 2, 4, 8];
const SHARDS: [usize; 4] = [1, 2, 4, 16];
/// Flights that `follow` calls join.
const FLIGHTS: u64 = 64;
const TURNS_PER_CALL: f64 = 2.0;

/// Throughput of threads that share shards, and the worst wait of each.
#[derive(Debug, Parser)]
#[command(name = "contention")]
struct Arguments {
    /// How long each throughput is measured
    #[arg(long, value_name = "MS", default_value_t = 300)]
    milliseconds: u64,
    /// How long the worst waits are looked for, per row
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u64,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Ready,
    Follow,
    /// A `ready` call outside the rollout, which touches no shard: what the machine alone does to calls.
    Bypassed,
}

type Callers = Handle<u64, u64>;

impl Call {
    /// Says whether the call was queued because its shard was out. A `follow` call doesn't tell.
    fn make(self, callers: &Callers, thread: u64, number: u64) -> bool {
        match self {
            Self::Ready | Self::Bypassed => {
                let mut join = pin!(callers.join(FLIGHTS + number + (thread << 48), || async { 7 }));
                let mut polls = 0;
                let answer = block_on(poll_fn(|cx| {
                    polls += 1;
                    join.as_mut().poll(cx)
                }));
                answer.expect(UNFAILING);
                polls > 1
            }
            Self::Follow => {
                let key = (thread * 8 + number) % FLIGHTS;
                let join = pin!(callers.join(key, || async { 7 }));
                assert!(join.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "a flight that doesn't end");
                false
            }
        }
    }
}

/// What one thread did.
#[derive(Clone, Copy, Default)]
struct Tally {
    calls: u64,
    queued: u64,
    /// Of one call; zero if calls weren't timed.
    worst: Duration,
}

fn hammer(
    runtime: &Runtime,
    call: Call,
    shards: usize,
    threads: u64,
    time: Duration,
    timed: bool,
) -> (Vec<Tally>, Duration) {
    let _inside = runtime.enter();
    let builder = Coalescer::builder().shards(shards).run_work(RunWork::InPlace).no_flight_deadline();
    let callers: Callers = builder.build().expect(UNFAILING).handle();
    callers.set_enabled(call != Call::Bypassed);
    let mut leaders: Vec<_> = (0..FLIGHTS).map(|key| Box::pin(callers.join(key, pending))).collect();
    for leader in &mut leaders {
        assert!(leader.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "work that doesn't end");
    }
    let (start, stop) = (Barrier::new(usize::try_from(threads).expect("a few") + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let spawn = |thread| {
            let (callers, start, stop) = (callers.clone(), &start, &stop);
            scope.spawn(move || {
                let mut tally = Tally::default();
                start.wait();
                let mut last = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    tally.queued += u64::from(call.make(&callers, thread, tally.calls));
                    tally.calls += 1;
                    if timed {
                        let now = Instant::now();
                        tally.worst = tally.worst.max(now - last);
                        last = now;
                    }
                }
                tally
            })
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        start.wait();
        let began = Instant::now();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let took = began.elapsed();
        (threads.into_iter().map(|thread| thread.join().expect(UNFAILING)).collect(), took)
    })
}

/// Calls per second, and the share of them that were queued.
fn throughput(runtime: &Runtime, call: Call, shards: usize, threads: u64, time: Duration) -> (f64, f64) {
    let (tallies, took) = hammer(runtime, call, shards, threads, time, false);
    let calls = tallies.iter().map(|tally| tally.calls).sum::<u64>() as f64;
    let queued = tallies.iter().map(|tally| tally.queued).sum::<u64>() as f64;
    (calls / took.as_secs_f64(), queued / calls)
}

fn shards_text(shards: usize) -> String {
    format!("{shards} shard{}", if shards == 1 { "" } else { "s" })
}

fn throughputs(runtime: &Runtime, call: Call, time: Duration) {
    let heads = SHARDS.map(shards_text);
    let mut table = table(0, ["threads".to_string()].into_iter().chain(heads));
    for threads in THREADS {
        let cells = SHARDS.map(|shards| match throughput(runtime, call, shards, threads, time) {
            (rate, _) if call == Call::Follow => format!("{:.2}", rate / 1e6),
            (rate, queued) => format!("{:.2} ({:.2} %)", rate / 1e6, queued * 100.0),
        });
        table.add_row([threads.to_string()].into_iter().chain(cells));
    }
    let queued = if call == Call::Follow { "" } else { ", and in brackets the share of calls that were queued" };
    println!("\n{call:?}: million calls per second{queued}\n{table}");
}

/// A turn has its shard out for a part of its call only, so what it is inferred from bounds it from above.
fn model(runtime: &Runtime, time: Duration) {
    let nanoseconds = |call| 1e9 / throughput(runtime, call, 1, 1, time).0;
    let (follow, ready, bypassed) = (nanoseconds(Call::Follow), nanoseconds(Call::Ready), nanoseconds(Call::Bypassed));
    let bounds = [("half a follow call", follow), ("half of a ready call less a bypassed one", ready - bypassed)];
    println!("\none thread, one shard: follow {follow:.0} ns, ready {ready:.0} ns, bypassed {bypassed:.0} ns per call");
    for (name, turns) in bounds {
        let (turn, share) = (turns / TURNS_PER_CALL, turns / ready);
        println!(
            "{name}: a shard is out for at most {turn:.0} ns per turn. One shard saturates above {:.1} million turns per \
             second, and a thread that makes ready calls has it out for at most {:.0} % of its time.",
            1e3 / turn,
            share * 100.0
        );
    }
}

fn worst_waits(runtime: &Runtime, time: Duration) {
    let threads = THREADS[THREADS.len() - 1];
    let heads = (1..=threads).map(|thread| format!("thread {thread}"));
    let mut table = table(1, ["calls".into()].into_iter().chain(heads).chain(["fewest / most calls".into()]));
    for (call, shards) in
        [(Call::Ready, 1), (Call::Ready, 16), (Call::Follow, 1), (Call::Follow, 16), (Call::Bypassed, 1)]
    {
        let (tallies, _) = hammer(runtime, call, shards, threads, time, true);
        let calls = || tallies.iter().map(|tally| tally.calls);
        let ratio = calls().min().unwrap_or(0) as f64 / calls().max().unwrap_or(1) as f64;
        let worst = tallies.iter().map(|tally| format!("{:.2}", tally.worst.as_secs_f64() * 1e3));
        table.add_row(
            [format!("{call:?}, {}", shards_text(shards))].into_iter().chain(worst).chain([format!("{ratio:.2}")]),
        );
    }
    println!("\nthe longest call of each of {threads} threads, in ms\n{table}");
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = Runtime::new().expect("a runtime");
    let time = Duration::from_millis(arguments.milliseconds);
    throughputs(&runtime, Call::Ready, time);
    throughputs(&runtime, Call::Follow, time);
    model(&runtime, time);
    worst_waits(&runtime, Duration::from_secs(arguments.seconds));
}
