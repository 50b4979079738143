#![allow(unused)]

use shardflight::coalesce;

trait Load {
    async fn load(&self, id: u32) -> u32;
}

#[derive(Clone)]
struct Store {
    flights: shardflight::Handle<u32, u32>,
}

impl Load for Store {
    #[coalesce(in = "self.flights")]
    async fn load(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
