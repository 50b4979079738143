#![allow(unused)]

use shardflight::coalesce;

#[coalesce(sync_writes = true, convert = r#"{ format!("{id}") }"#, ttl = 60, ty = "Cache<u32, u32>", shards = 0)]
async fn many_options(id: u32) -> u32 {
    id
}

#[coalesce(key, colour = "blue", max_flight = 5, shards = "many" "more", on_abandon = "Forget", skip(trace))]
fn options_and_function(list: &mut Vec<u32>, id: &'static str) -> u32 {
    0
}

#[coalesce(TimeToLive: Duration::from_secs(5), Capacity: 5, Ignore: id, blocking = 3)]
async fn other_syntax(id: u32) -> u32 {
    id
}

#[coalesce(size = HashMap::<u32, u32>::new().len(), unbound, in_impl = "yes", result_fallback = true)]
async fn commas_in_values(id: u32) -> u32 {
    id
}

struct Store;

impl Store {
    #[coalesce(convert = "self.id", size = 100)]
    async fn method(&self, id: u32) -> u32 {
        id
    }
}

#[coalesce(refresh = true, max_flight_duration = 5, map_err = "|error| error")]
async fn nowhere_for_an_error(id: u32) -> u32 {
    id
}

#[coalesce("id", 5, ttl = 1)]
async fn no_names(id: u32) -> u32 {
    id
}

#[coalesce(ttl = 1)]
struct NoFunction;

fn main() {}
