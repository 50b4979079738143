#![allow(unused)]

use shardflight::coalesce;

#[coalesce(skip(trace_id))]
async fn no_such_argument(id: u32, trace: u32) -> u32 {
    id + trace
}

#[coalesce(skip(self))]
async fn no_self() {}

#[coalesce(skip(id, id))]
async fn twice(id: u32) -> u32 {
    id
}

#[coalesce(skip(trace), key = "id")]
async fn skip_and_key(id: u32, trace: u32) -> u32 {
    id + trace
}

#[coalesce(skip = "id")]
async fn no_list(id: u32) -> u32 {
    id
}

#[coalesce(key)]
async fn no_value(id: u32) -> u32 {
    id
}

#[coalesce(key = "id +")]
async fn no_expression(id: u32) -> u32 {
    id
}

#[coalesce(convert = "id")]
async fn of_another_crate(id: u32) -> u32 {
    id
}

#[coalesce(ttl = 5)]
async fn of_a_cache(id: u32) -> u32 {
    id
}

#[coalesce(colour = "blue")]
async fn of_nobody(id: u32) -> u32 {
    id
}

#[coalesce(shards = 2, shards = 3)]
async fn again(id: u32) -> u32 {
    id
}

#[coalesce(shards = 0)]
async fn no_shards(id: u32) -> u32 {
    id
}

#[coalesce(shards = -1)]
async fn fewer_shards(id: u32) -> u32 {
    id
}

#[coalesce(shards = 1.5)]
async fn half_a_shard(id: u32) -> u32 {
    id
}

#[coalesce(max_flight_duration = 0)]
async fn no_time(id: u32) -> Result<u32, Failure> {
    Ok(id)
}

#[coalesce(on_abandon = "Forget")]
async fn no_policy(id: u32) -> u32 {
    id
}

#[coalesce(in = "FLIGHTS", shards = 4, max_flights = 5)]
async fn not_its_own(id: u32) -> u32 {
    id
}

fn main() {}
