use shardflight::{JoinError, coalesce};

#[derive(Clone)]
struct NoAnswer;

#[coalesce]
async fn without_from(id: u32) -> Result<u32, NoAnswer> {
    Ok(id)
}

struct NoClone;

impl From<JoinError> for NoClone {
    fn from(_: JoinError) -> Self {
        Self
    }
}

#[coalesce]
async fn without_clone(id: u32) -> Result<u32, NoClone> {
    Ok(id)
}

#[coalesce(blocking)]
fn blocking(id: u32) -> Result<u32, NoClone> {
    Ok(id)
}

fn main() {}

#[coalesce]
async fn boxed(id: u32) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(id)
}

#[coalesce]
async fn foreign(id: u32) -> Result<u32, std::fmt::Error> {
    Ok(id)
}

#[coalesce]
async fn foreign_in_an_arc(id: u32) -> Result<u32, std::sync::Arc<std::fmt::Error>> {
    Ok(id)
}

#[coalesce]
async fn no_result(id: u32) -> SearchResult {
    SearchResult(id)
}

#[derive(Clone)]
struct SearchResult(u32);
