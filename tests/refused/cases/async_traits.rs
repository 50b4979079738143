#![allow(unused)]

use std::pin::Pin;

use async_trait::async_trait;
use shardflight::coalesce;

#[async_trait]
trait Load {
    async fn load(&self, name: &str) -> u32;
    async fn fetch(id: u32) -> u32;
}

struct Store;

#[async_trait]
impl Load for Store {
    #[coalesce(skip(self))]
    async fn load(&self, name: &str) -> u32 {
        7
    }

    #[coalesce(ttl = 5)]
    async fn fetch(id: u32) -> u32 {
        id
    }
}

#[coalesce]
fn by_hand(id: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { id })
}

fn main() {}
