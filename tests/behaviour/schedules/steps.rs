//! From bytes to steps. Every string of bytes means something, and short ones mean short schedules.

/// The coalescer's options.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four independent options")]
pub(crate) struct Options {
    pub(crate) aborts: bool,
    pub(crate) detaches: bool,
    pub(crate) has_deadline: bool,
    pub(crate) max_waiters: usize,
    pub(crate) max_flights: usize,
    pub(crate) shards: usize,
    /// At the end the coalescer is shut down, rather than let go of.
    pub(crate) shuts_down: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Join(Join),
    Poll(usize),
    Drop(usize),
    /// Lets the work through that waits at a gate by now.
    Pulse(usize),
    Settle,
    Advance {
        milliseconds: u64,
    },
    Forget {
        key: u8,
    },
    /// A forget beside whatever is just happening.
    ForgetInPassing {
        key: u8,
    },
    ForgetAll,
    Stats,
    Inspect,
    ResetStats,
    SetEnabled(bool),
    SetRollout(bool),
    Shutdown,
    Drain,
}

#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) key: u8,
    pub(crate) way: Way,
    pub(crate) has_max_wait: bool,
    pub(crate) plan: Plan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Join,
    Shared,
    Try,
}

/// What a call's work does, should it be run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) ends: When,
    pub(crate) by: How,
}

#[derive(Clone, Debug)]
pub(crate) enum When {
    AtOnce,
    AtGate(usize),
    Never,
    /// When a join of its own has been answered.
    Joined {
        key: u8,
        plan: Box<Plan>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Value,
    Error,
    Panic,
    PanicInTheClosure,
}

pub(crate) const KEYS: u8 = 3;
pub(crate) const GATES: usize = 3;
/// How many joins may be nested in one another.
const DEPTH: u8 = 3;
/// So that a schedule takes milliseconds, however long its bytes.
const MOST_STEPS: usize = 200;

pub(crate) struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn index(&mut self) -> usize {
        self.next().into()
    }

    fn key(&mut self) -> u8 {
        self.next() % KEYS
    }

    fn options(&mut self) -> Options {
        let (policies, caps) = (self.next(), self.next());
        let cap = |bits: u8| [usize::MAX, 1, 2, 3][usize::from(bits % 4)];
        Options {
            aborts: policies & 1 != 0,
            detaches: policies & 2 != 0,
            has_deadline: policies & 4 == 0,
            shuts_down: policies & 8 == 0,
            shards: 1 + usize::from(policies >> 4) % 3,
            max_waiters: cap(caps),
            max_flights: cap(caps >> 2),
        }
    }

    fn plan(&mut self, depth: u8) -> Plan {
        let byte = self.next();
        let ends = match byte % 8 {
            gate @ 0..3 => When::AtGate(gate.into()),
            3 | 4 => When::AtOnce,
            5 => When::Never,
            _ if depth == 0 => When::AtOnce,
            _ => When::Joined { key: self.key(), plan: Box::new(self.plan(depth - 1)) },
        };
        let by = match byte / 8 % 8 {
            5 => How::Error,
            6 => How::Panic,
            7 => How::PanicInTheClosure,
            _ => How::Value,
        };
        Plan { ends, by }
    }

    fn join(&mut self) -> Join {
        let byte = self.next();
        Join {
            key: byte % KEYS,
            way: [Way::Join, Way::Shared, Way::Try][usize::from(byte / KEYS % 3)],
            has_max_wait: byte >= 0xc0,
            plan: self.plan(DEPTH),
        }
    }

    fn step(&mut self) -> Option<Step> {
        let byte = *self.0.next()?;
        Some(match byte % 32 {
            0..10 => Step::Join(self.join()),
            10..13 => Step::Poll(self.index()),
            13..17 => Step::Drop(self.index()),
            17..20 => Step::Pulse(self.index() % GATES),
            20 => Step::Settle,
            // No sum of these is a limit of the coalescer's, so none has to be met to the tick.
            21..23 => Step::Advance { milliseconds: [300, 750, 4_500][self.index() % 3] },
            23 => Step::Forget { key: self.key() },
            24 => Step::ForgetInPassing { key: self.key() },
            25 => Step::ForgetAll,
            26 | 27 => Step::Stats,
            28 => Step::Inspect,
            29 => Step::ResetStats,
            30 => match self.next() % 4 {
                0 => Step::SetEnabled(false),
                1 => Step::SetEnabled(true),
                2 => Step::SetRollout(false),
                _ => Step::SetRollout(true),
            },
            // Both end nearly everything, so they are rare.
            _ => match self.next() {
                0xf0.. => Step::Shutdown,
                0xe0.. => Step::Drain,
                _ => Step::Settle,
            },
        })
    }
}

pub(crate) fn decode(bytes: &[u8]) -> (Options, Vec<Step>) {
    let mut bytes = Bytes(bytes.iter());
    let options = bytes.options();
    let steps = std::iter::from_fn(|| bytes.step()).take(MOST_STEPS).collect();
    (options, steps)
}
