#![allow(unused)]

use shardflight::coalesce;

#[coalesce]
async fn sum(id: u32) -> u32 {
    if id == 0 { 0 } else { id + sum(id - 1).await }
}

#[coalesce]
async fn boxed(id: u32) -> u32 {
    if id == 0 { 0 } else { id + Box::pin(boxed(id - 1)).await }
}

#[derive(Clone)]
struct Store;

impl Store {
    #[coalesce(skip(self))]
    async fn by_self(&self, id: u32) -> u32 {
        if id == 0 { 0 } else { id + self.by_self(id - 1).await }
    }

    #[coalesce(key = "id")]
    async fn by_type(&self, id: u32) -> u32 {
        if id == 0 { 0 } else { id + Self::by_type(&Store, id - 1).await }
    }
}

fn main() {}
