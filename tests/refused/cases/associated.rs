#![allow(unused)]

use shardflight::coalesce;

static FLIGHTS: std::sync::LazyLock<shardflight::Handle<u32, u32>> =
    std::sync::LazyLock::new(|| shardflight::Coalescer::new().handle());

struct Store;

impl Store {
    #[coalesce]
    async fn load(id: u32) -> u32 {
        id
    }

    #[coalesce(in = "FLIGHTS")]
    async fn named(id: u32) -> u32 {
        id
    }
}

fn main() {}
