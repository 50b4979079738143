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
