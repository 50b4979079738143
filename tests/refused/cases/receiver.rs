use shardflight::coalesce;

struct Store;

impl Store {
    #[coalesce(skip(self))]
    async fn load(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
