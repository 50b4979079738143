#![allow(unused)]

use shardflight::coalesce;

trait Load {
    #[coalesce(skip(self))]
    async fn declared(&self, id: u32) -> u32;
}

#[coalesce]
trait Other {}

fn main() {}
