#![allow(unused)]

use shardflight::coalesce;

#[coalesce]
fn plain(id: u32) -> u32 {
    id
}

#[coalesce(blocking)]
async fn both(id: u32) -> u32 {
    id
}

#[coalesce]
async unsafe fn without_safety(id: u32) -> u32 {
    id
}

#[coalesce(blocking)]
extern "C" fn foreign(id: u32) -> u32 {
    id
}

#[coalesce(blocking)]
const fn constant(id: u32) -> u32 {
    id
}

#[coalesce]
async fn generic<T: ToString>(id: T) -> String {
    id.to_string()
}

#[coalesce]
async fn sized<const N: usize>(bytes: [u8; N]) -> usize {
    bytes.len()
}

#[coalesce]
async fn borrowing<'a>(name: &'a str) -> usize {
    name.len()
}

#[coalesce]
async fn lending(name: &str) -> &str {
    name
}

#[coalesce]
async fn opaque(id: u32) -> impl Clone {
    id
}

#[coalesce]
struct NoFunction;

fn main() {}
