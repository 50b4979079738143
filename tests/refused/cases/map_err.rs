use std::{error::Error, fmt};

use shardflight::coalesce;

#[coalesce(map_err = "|error: String| fmt::Error")]
async fn takes_another(id: u32) -> Result<u32, fmt::Error> {
    Ok(id)
}

#[coalesce(map_err = "|_| String::new()")]
async fn makes_another(id: u32) -> Result<u32, fmt::Error> {
    Ok(id)
}

#[coalesce(map_err = "|_| \"no\".into()")]
async fn cannot_be_shared(id: u32) -> Result<u32, Box<dyn Error>> {
    Ok(id)
}

fn main() {}
