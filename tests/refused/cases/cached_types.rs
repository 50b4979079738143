#![allow(unused)]

use std::{cell::Cell, hash::Hash};

use shardflight::coalesce;

#[derive(Debug)]
struct Unshared;

#[derive(Clone, Debug, PartialEq, Eq)]
struct NotSync(Cell<u32>);

impl Hash for NotSync {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

#[coalesce(cache(ttl = "60s"))]
async fn value(id: u32) -> Unshared {
    Unshared
}

#[coalesce(cache(ttl = "60s"))]
async fn value_in_a_result(id: u32) -> Result<Unshared, String> {
    Ok(Unshared)
}

#[coalesce(cache(ttl = "60s"))]
async fn error(id: u32) -> Result<u32, Unshared> {
    Ok(id)
}

#[coalesce(cache(ttl = "60s"))]
async fn key(id: NotSync) -> u32 {
    0
}

#[coalesce(cache(ttl = "60s"), key = "Unshared")]
async fn given_key(id: u32) -> u32 {
    id
}

fn main() {}
