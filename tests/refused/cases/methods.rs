#![allow(unused)]

use std::sync::Arc;

use shardflight::{Coalescer, Handle, coalesce};

#[derive(Clone)]
struct Store;

fn flights() -> Handle<u32, u32> {
    Coalescer::new().handle()
}

impl Store {
    #[coalesce]
    async fn by_nothing(&self, id: u32) -> u32 {
        id
    }

    #[coalesce(skip(id))]
    async fn in_an_arc(self: Arc<Self>, id: u32) -> u32 {
        id
    }

    #[coalesce(in = "flights()")]
    async fn by_another(&self, id: u32) -> u32 {
        id
    }

    #[coalesce(skip(self))]
    async fn mutable(&mut self, id: u32) -> u32 {
        id
    }
}

fn main() {}
