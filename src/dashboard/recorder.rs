//! From readings to what a page is sent: rates over the last tick and the last minute, and the points of its sparklines.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    panel::{Cell, Panel},
    source::Reading,
};
use crate::{
    shard::{Durations, HotKey, WINDOW},
    stats::Stats,
};

/// Points of a sparkline.
pub(super) const POINTS: usize = 120;
/// The most shards that a page shows.
const SHARDS: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

/// What became of a question to a coalescer.
pub(super) enum Answered {
    Reading(Box<Reading>, Vec<Panel>),
    /// It may still answer.
    Silent,
    Stopped,
}

/// One coalescer's past. Points are added only while a page is open: the first one after a pause tells the mean rates of the pause.
#[derive(Default)]
pub(super) struct Recorder {
    points: VecDeque<Point>,
    durations: Durations,
    joins: Vec<u64>,
    panels: HashMap<(&'static str, String), u64>,
    last: Option<Value>,
}

struct Point {
    at: Instant,
    totals: Stats,
    rates: Option<Rates>,
    p99: Option<Duration>,
}

/// Per second, between two moments.
struct Rates {
    joins: f64,
    executions: f64,
    saved: f64,
    coalescing: Option<f64>,
}

impl Rates {
    fn between(before: &Stats, after: &Stats, took: Duration) -> Option<Self> {
        let per_second = |before, after| per_second(before, after, took);
        let joins = per_second(before.joins, after.joins)?;
        let saved = per_second(before.coalesced, after.coalesced)?;
        let coalescing = (joins > 0.0).then(|| (saved / joins).min(1.0));
        Some(Self { joins, executions: per_second(before.executions, after.executions)?, saved, coalescing })
    }

    fn show(rates: Option<&Self>) -> Value {
        let Some(Self { joins, executions, saved, coalescing }) = rates else { return Value::Null };
        json!({
            "joins": round(*joins), "executions": round(*executions), "saved": round(*saved),
            "coalescing": coalescing.map(round),
        })
    }
}

impl Recorder {
    /// What a page is to show of the coalescer.
    pub(super) fn record(&mut self, name: &str, answered: Answered, now: Instant) -> Value {
        let state = match answered {
            Answered::Reading(reading, panels) => {
                self.last = Some(self.read(*reading, panels, now));
                "live"
            }
            Answered::Silent => "silent",
            Answered::Stopped => "stopped",
        };
        let mut shown = self.last.clone().unwrap_or_else(|| json!({}));
        shown["name"] = json!(name);
        shown["state"] = json!(state);
        shown["past"] = self.past(now);
        shown
    }

    fn read(&mut self, mut reading: Reading, panels: Vec<Panel>, now: Instant) -> Value {
        let profile = reading.profile.take();
        let before = self.points.back();
        let took = before.map(|point| now.saturating_duration_since(point.at));
        let rates = before.zip(took).and_then(|(before, took)| Rates::between(&before.totals, &reading.totals, took));
        let is_first = before.is_none();
        let minute_ago = self.points.iter().find(|point| now.saturating_duration_since(point.at) <= MINUTE);
        let minute = minute_ago
            .and_then(|then| Rates::between(&then.totals, &reading.totals, now.saturating_duration_since(then.at)));
        let (mut p50, mut p99) = (None, None);
        let (mut hot, mut saved) = (Value::Null, 0);
        if let Some(profile) = profile {
            let landed = profile.durations.since(&self.durations);
            // The first time, all there ever were.
            (p50, p99) = (landed.percentile(50), landed.percentile(99));
            self.durations = profile.durations;
            saved = profile.saved;
            hot = profile.hot_keys.iter().map(show_hot_key).collect();
        }
        let Stats { flights, waiters, .. } = reading.totals;
        let shown = json!({
            "enabled": reading.enabled,
            "rollout": round(reading.fraction),
            "limit_ms": reading.time_limit.map(millis),
            "flights": flights, "waiters": waiters,
            "now": Rates::show(rates.as_ref()),
            "minute": Rates::show(minute.as_ref()),
            "p50_ms": p50.map(millis), "p99_ms": p99.map(millis),
            "total": show_totals(&reading.totals),
            "oldest": show_oldest(&reading),
            "shards": self.show_shards(&reading.totals, took),
            "panels": self.show_panels(panels, took),
            "hot": hot, "hot_saved": saved, "hot_seconds": 2 * WINDOW.as_secs(),
        });
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        let p99 = if is_first { None } else { p99 };
        self.points.push_back(Point { at: now, totals: without_shards(&reading.totals), rates, p99 });
        shown
    }

    /// Oldest first.
    fn past(&self, now: Instant) -> Value {
        let points = || self.points.iter();
        let rate = |of: fn(&Rates) -> Option<f64>| -> Vec<Option<f64>> {
            points().map(|point| point.rates.as_ref().and_then(of).map(round)).collect()
        };
        json!({
            "seconds_ago": points().map(|point| tenths(now.saturating_duration_since(point.at))).collect::<Vec<_>>(),
            "flights": points().map(|point| point.totals.flights).collect::<Vec<_>>(),
            "waiters": points().map(|point| point.totals.waiters).collect::<Vec<_>>(),
            "saved": rate(|rates| Some(rates.saved)),
            "executions": rate(|rates| Some(rates.executions)),
            "coalescing": rate(|rates| rates.coalescing),
            "p99_ms": points().map(|point| point.p99.map(millis)).collect::<Vec<_>>(),
        })
    }

    /// The busiest first, as `[number, joins per second, flights, waiters]`.
    fn show_shards(&mut self, totals: &Stats, took: Option<Duration>) -> Value {
        let joins: Vec<u64> = totals.per_shard().iter().map(|shard| shard.joins).collect();
        let rate = |(joins, before): (&u64, &u64)| per_second(*before, *joins, took?);
        let rates: Vec<Option<f64>> = joins.iter().zip(&self.joins).map(rate).collect();
        let rate_of = |shard: usize| rates.get(shard).copied().flatten();
        self.joins = joins;
        let sum: f64 = rates.iter().flatten().sum();
        let mean = sum / totals.per_shard().len().max(1) as f64;
        let mut shards: Vec<_> = totals.per_shard().iter().enumerate().collect();
        let busy = |(number, shard): &(usize, &Stats)| (rate_of(*number).unwrap_or(0.0), shard.joins);
        shards.sort_by(|a, b| busy(b).partial_cmp(&busy(a)).unwrap_or(std::cmp::Ordering::Equal));
        let skew =
            shards.first().and_then(|(number, _)| rate_of(*number)).filter(|_| mean > 0.0).map(|most| most / mean);
        let show = |(number, shard): &(usize, &Stats)| {
            json!([number, rate_of(*number).map(round), shard.flights, shard.waiters])
        };
        let rows: Vec<_> = shards.iter().take(SHARDS).map(show).collect();
        json!({ "count": shards.len(), "skew": skew.map(round), "rows": rows })
    }

    /// Each row as `[label, value, per second]`.
    fn show_panels(&mut self, panels: Vec<Panel>, took: Option<Duration>) -> Value {
        let mut counts = HashMap::new();
        let mut show_row = |title, label: String, cell| match cell {
            Cell::Counter(count) => {
                let key = (title, label);
                let before = self.panels.get(&key).copied();
                // A row that comes later has begun at 0.
                let rate = took.and_then(|took| per_second(before.unwrap_or(0), count, took));
                let shown = json!([key.1, count, rate.map(round)]);
                counts.insert(key, count);
                shown
            }
            Cell::Gauge(value) => json!([label, value, null]),
            #[cfg(feature = "cache")]
            Cell::Share(share) => json!([label, format!("{:.1} %", 100.0 * share), null]),
            #[cfg(feature = "redis")]
            Cell::YesNo(yes) => json!([label, if yes { "yes" } else { "no" }, null]),
        };
        let mut show = |Panel { title, is_tab, rows }: Panel| {
            let rows: Vec<_> = rows.into_iter().map(|row| show_row(title, row.label, row.cell)).collect();
            json!({ "title": title, "tab": is_tab, "rows": rows })
        };
        let shown = panels.into_iter().map(&mut show).collect();
        self.panels = counts;
        shown
    }
}

fn show_totals(totals: &Stats) -> Value {
    json!({
        "joins": totals.joins, "executions": totals.executions, "coalesced": totals.coalesced,
        "errors": totals.errors, "panics": totals.panics, "timeouts": totals.timeouts,
        "rejections": totals.rejections, "departures": totals.departures, "aborts": totals.aborts,
        "forgets": totals.forgets, "bypasses": totals.bypasses, "coalescing": round(totals.coalescing_rate()),
    })
}

fn show_hot_key(key: &HotKey) -> Value {
    let HotKey { at_least, at_most, name, .. } = key;
    json!({ "key": name, "at_least": at_least, "at_most": at_most })
}

fn show_oldest(reading: &Reading) -> Value {
    let show = |flight: &crate::shard::FlightSnapshot| {
        json!({
            // As text: a number of a flight may be more than JavaScript counts.
            "flight": flight.flight.number().to_string(), "shard": flight.flight.shard(),
            "age_ms": millis(flight.age), "waiters": flight.waiters,
            "key": flight.description.as_deref().map(crate::shard::shortened),
        })
    };
    reading.oldest.iter().map(show).collect()
}

fn without_shards(totals: &Stats) -> Stats {
    Stats::default().add(totals)
}

fn per_second(before: u64, after: u64, took: Duration) -> Option<f64> {
    (!took.is_zero()).then(|| after.saturating_sub(before) as f64 / took.as_secs_f64())
}

fn millis(duration: Duration) -> f64 {
    round(1e3 * duration.as_secs_f64())
}

fn tenths(duration: Duration) -> f64 {
    (10.0 * duration.as_secs_f64()).round() / 10.0
}

/// To four digits: a page shows no more, and is sent less.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3.0 - value.abs().log10().floor();
    let scale = 10_f64.powf(digits.clamp(-12.0, 12.0));
    (value * scale).round() / scale
}
