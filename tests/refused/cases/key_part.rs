use shardflight::coalesce;

#[coalesce]
async fn by_value(id: u32, price: f64) -> u32 {
    id + price as u32
}

#[derive(Clone)]
struct Filter;

#[coalesce]
async fn by_reference(filter: &Filter) {
    drop(filter.clone());
}

#[coalesce(key = "price * 2.0")]
async fn by_expression(price: f64) -> u32 {
    price as u32
}

fn main() {}
