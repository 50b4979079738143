#![allow(unused)]

use std::borrow::Cow;

use shardflight::coalesce;

#[coalesce]
async fn pattern((left, right): (u32, u32)) -> u32 {
    left + right
}

#[coalesce]
async fn nameless(_: u32) {}

#[coalesce]
async fn mutable(list: &mut Vec<u32>) -> usize {
    list.len()
}

#[coalesce]
async fn inside(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

#[coalesce]
async fn inside_of_a_reference(names: &[&str]) -> usize {
    names.len()
}

#[coalesce]
async fn elided(name: Cow<'_, str>) -> usize {
    name.len()
}

#[coalesce]
async fn any(name: impl ToString) -> String {
    name.to_string()
}

#[coalesce]
async fn sometimes(id: u32, #[cfg(unix)] user: u32) -> u32 {
    id
}

#[coalesce]
async fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8) {}

fn main() {}
