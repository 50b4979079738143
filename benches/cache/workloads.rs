//! Who runs what, and the bars.

use crate::{
    contenders::{Contender, JoinAlone, Key, Moka, Shardflight, StoreAndClock, StoreBesideJoin, StoreInJoin, SyncMoka},
    measure::{Traced, bytes_per_entry, hits, misses, trace},
};

/// What ours may come to.
#[derive(Clone, Copy)]
pub(crate) struct Bar {
    /// Divided by that contender's; by itself if there is none.
    pub(crate) reference: Option<&'static str>,
    pub(crate) most: f64,
}

const fn bar(reference: &'static str, most: f64) -> Bar {
    Bar { reference: Some(reference), most }
}

#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) bars: &'static [Bar],
}

/// As many numbers as the workload has measures.
type Run = Box<dyn Fn() -> Vec<f64>>;

/// What the same contenders do. Ours is the first of them.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) contenders: Vec<&'static str>,
    pub(crate) workloads: Vec<Workload>,
}

pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) measures: Vec<Measure>,
    runs: Vec<Run>,
    /// By contender and round.
    pub(crate) samples: Vec<Vec<Vec<f64>>>,
}

impl Workload {
    fn new(name: String, measures: &[Measure], runs: Vec<Run>) -> Self {
        let samples = runs.iter().map(|_| Vec::new()).collect();
        Self { name, measures: measures.to_vec(), runs, samples }
    }

    /// All contenders once.
    pub(crate) fn run(&mut self, round: usize) {
        for turn in 0..self.runs.len() {
            let contender = (turn + round) % self.runs.len();
            self.samples[contender].push(self.runs[contender]());
        }
    }
}

fn name<C: Contender<u64>>() -> &'static str {
    C::NAME
}

pub(crate) fn groups(divisor: u64) -> Vec<Group> {
    vec![hit_group(2_000_000 / divisor), miss_group(100_000 / divisor), bytes_group(), trace_group(640_000 / divisor)]
}

const HIT: Measure = Measure {
    name: "ns",
    bars: &[bar("moka, sync get", 0.5), bar("moka, get_with", 0.5), bar("quick_cache + clock", 1.0)],
};

fn hit_group(calls: u64) -> Group {
    fn workload<K: Key>(name: &str, threads: usize, key: fn(u64) -> K, calls: u64) -> Workload {
        fn run<K: Key, C: Contender<K>>(threads: usize, key: fn(u64) -> K, calls: u64) -> Run {
            Box::new(move || vec![hits::<K, C>(threads, key, calls)])
        }
        let runs = vec![
            run::<K, Shardflight<K>>(threads, key, calls),
            run::<K, SyncMoka<K>>(threads, key, calls),
            run::<K, Moka<K>>(threads, key, calls),
            run::<K, StoreAndClock<K>>(threads, key, calls),
        ];
        Workload::new(format!("{name}, {threads} thread{}", if threads == 1 { "" } else { "s" }), &[HIT], runs)
    }
    let string = |number| format!("user:{number:07}");
    Group {
        title: "hits: ns on each thread",
        contenders: vec![
            name::<Shardflight<u64>>(),
            name::<SyncMoka<u64>>(),
            name::<Moka<u64>>(),
            name::<StoreAndClock<u64>>(),
        ],
        workloads: vec![
            workload("hit", 1, |number| number, calls),
            workload("hit", 2, |number| number, calls),
            workload("hit, String keys", 1, string, calls),
            workload("hit, String keys", 2, string, calls),
        ],
    }
}

const MISS: Measure = Measure { name: "ns", bars: &[bar("join + quick_cache", 1.1), bar("moka, get_with", 0.8)] };

fn miss_group(calls: u64) -> Group {
    fn run<C: Contender<u64>>(workers: usize, entries: usize, calls: u64) -> Run {
        Box::new(move || vec![misses::<C>(workers, entries, calls)])
    }
    let workload = |name: &str, workers, entries| {
        let runs = vec![
            run::<Shardflight<u64>>(workers, entries, calls),
            run::<StoreInJoin<u64>>(workers, entries, calls),
            run::<Moka<u64>>(workers, entries, calls),
            run::<JoinAlone<u64>>(workers, entries, calls),
        ];
        Workload::new(format!("{name}, {}", place(workers)), &[MISS], runs)
    };
    Group {
        title: "misses, with a load that is ready at once: ns",
        contenders: vec![
            name::<Shardflight<u64>>(),
            name::<StoreInJoin<u64>>(),
            name::<Moka<u64>>(),
            name::<JoinAlone<u64>>(),
        ],
        workloads: vec![
            workload("miss, with room", 1, 1_000_000),
            workload("miss, with room", 2, 1_000_000),
            workload("miss, that evicts", 1, 10_000),
            workload("miss, that evicts", 2, 10_000),
        ],
    }
}

const BYTES: Measure = Measure { name: "bytes", bars: &[bar("moka, sync get", 0.7), bar("moka, get_with", 0.7)] };

fn bytes_group() -> Group {
    fn run<C: Contender<String>>(entries: u64) -> Run {
        Box::new(move || vec![bytes_per_entry::<C>(entries)])
    }
    let workload = |entries| {
        let runs = vec![
            run::<Shardflight<String>>(entries),
            run::<SyncMoka<String>>(entries),
            run::<Moka<String>>(entries),
            run::<StoreAndClock<String>>(entries),
        ];
        Workload::new(format!("{entries} entries"), &[BYTES], runs)
    };
    Group {
        title: "live bytes per entry of a full cache",
        contenders: vec![
            name::<Shardflight<u64>>(),
            name::<SyncMoka<u64>>(),
            name::<Moka<u64>>(),
            name::<StoreAndClock<u64>>(),
        ],
        workloads: vec![workload(10_000), workload(100_000)],
    }
}

const LOADS: Measure = Measure { name: "loads per 100 reads", bars: &[bar("moka, get_with", 1.0)] };
const FRESH: Measure = Measure { name: "loads per 100 fresh reads", bars: &[bar("moka, get_with", 1.0)] };
const STALE: Measure = Measure { name: "stale per 100,000 reads", bars: &[Bar { reference: None, most: 0.0 }] };
const READS: Measure = Measure { name: "ns per read", bars: &[] };

fn trace_group(operations: u64) -> Group {
    fn run<C: Contender<u64>>(workers: usize, entries: usize, operations: u64) -> Run {
        Box::new(move || {
            let traced: Traced = trace::<C>(workers, entries, operations);
            vec![
                traced.loads_per_100_reads,
                traced.loads_per_100_fresh_reads,
                traced.stale_per_100000_reads,
                traced.nanoseconds_per_read,
            ]
        })
    }
    let workload = |name: &str, workers, entries| {
        let runs = vec![
            run::<Shardflight<u64>>(workers, entries, operations),
            run::<Moka<u64>>(workers, entries, operations),
            run::<StoreBesideJoin<u64>>(workers, entries, operations),
            run::<StoreInJoin<u64>>(workers, entries, operations),
        ];
        Workload::new(format!("{name}, {}", place(workers)), &[LOADS, FRESH, STALE, READS], runs)
    };
    Group {
        title: "a trace of reads and writes",
        contenders: vec![
            name::<Shardflight<u64>>(),
            name::<Moka<u64>>(),
            name::<StoreBesideJoin<u64>>(),
            name::<StoreInJoin<u64>>(),
        ],
        workloads: vec![
            workload("all keys fit", 1, 20_000),
            workload("all keys fit", 2, 20_000),
            workload("a tenth fits", 1, 1_000),
            workload("a tenth fits", 2, 1_000),
        ],
    }
}

fn place(workers: usize) -> String {
    if workers == 1 { "current_thread".into() } else { format!("{workers} workers") }
}
