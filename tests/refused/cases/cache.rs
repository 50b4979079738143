#![allow(unused)]

use std::cell::Cell;

use shardflight::coalesce;

#[coalesce(cache)]
async fn no_options(id: u32) -> u32 {
    id
}

#[coalesce(cache = "60s")]
async fn no_brackets(id: u32) -> u32 {
    id
}

#[coalesce(cache())]
async fn no_ttl(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = 0), cache(ttl = 1))]
async fn no_time(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "0.1ns", soft_timeout = "5 sec", negative_ttl = "5sec", stale_if_error = "99999999999999999d"))]
async fn no_times(id: u32) -> Result<u32, String> {
    Ok(id)
}

#[coalesce(cache(ttl = "60s", jitter = 10, refresh_ahead = 1.0, error_backoff = "1s", max_entries = 0, max_weight = -1))]
async fn out_of_range(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "60s", weigher = "|_, _| 1", soft_timeout = "1s", negative_ttl = "5s"))]
async fn without_effect(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "60s", negative_if = "Option::is_none", max_entries = 1, max_weight = 1))]
async fn too_few_and_too_many(id: u32) -> Option<u32> {
    Some(id)
}

#[coalesce(cache(time = 60, size = 100, result = true, option = true, time_refresh = true, result_fallback = true))]
async fn in_the_words_of_cached(id: u32) -> u32 {
    id
}

#[coalesce(cache(sync_writes = true, key = "id", convert = "id", max_flights = 5, unbound, ty = "Cache", colour = 1, ttls = 1))]
async fn in_other_words(id: u32) -> u32 {
    id
}

#[coalesce(time = 60, max_size = 100, cache_none = true, refresh = true, stale_if_error = "1h", soft_timeout = 1)]
async fn outside_of_the_brackets(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "60s"), in = "FLIGHTS")]
async fn a_coalescer_of_ones_own(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "60s"), blocking)]
fn blocking(id: u32) -> u32 {
    id
}

#[coalesce(cache(ttl = "60s"), max_flight_duration = "5s")]
async fn nowhere_for_an_error(id: u32) -> u32 {
    id
}

fn main() {}
