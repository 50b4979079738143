use shardflight::{JoinError, coalesce};

struct Page;

#[coalesce]
async fn plain(_id: u32) -> Page {
    Page
}

#[coalesce]
async fn in_a_result(_id: u32) -> Result<Page, JoinError> {
    Ok(Page)
}

fn main() {}
