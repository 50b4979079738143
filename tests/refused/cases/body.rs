use std::{future::ready, rc::Rc};

use shardflight::coalesce;

#[coalesce]
async fn load(id: u32) -> u32 {
    let shared = Rc::new(id);
    ready(()).await;
    *shared
}

fn main() {}
