use shardflight::coalesce;

struct Connection;

#[coalesce(skip(connection))]
async fn by_value(id: u32, connection: Connection) -> u32 {
    drop(connection);
    id
}

#[coalesce(skip(connection))]
async fn by_reference(id: u32, connection: &Connection) -> u32 {
    let _ = connection;
    id
}

fn main() {}
