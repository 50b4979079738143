#![allow(unused)]

use shardflight::coalesce;

type Loaded = Result<u32, String>;

#[coalesce(max_flight_duration = 5, on_expiry = "Detach")]
async fn with_a_deadline(id: u32) -> u32 {
    id
}

#[coalesce(max_waiters_per_flight = 5, max_flights = 6)]
async fn with_caps(id: u32) -> Option<u32> {
    Some(id)
}

#[coalesce(max_flights = 6)]
async fn by_another_name(id: u32) -> Loaded {
    Ok(id)
}

#[coalesce(max_flights = 6, result = false)]
async fn denied(id: u32) -> Result<u32, String> {
    Ok(id)
}

fn main() {}
