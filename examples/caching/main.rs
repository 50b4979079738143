//! A cache in front of a coalescer, and what each way to treat a write leaves in it: `cargo run -p caching`.

mod database;
mod users;

use shardflight::JoinError;
use tokio::task::yield_now;

use self::{
    database::Name,
    users::{AfterWrite, Users},
};

const ID: u64 = 7;

/// A load reads "old" and takes its time; meanwhile "new" is written. What a caller gets after all that.
async fn read_after_a_write(after_write: AfterWrite) -> Result<Name, JoinError> {
    let users = Users::new(after_write);
    users.database.write(ID, "old");
    let (reader, writer) = (users.clone(), users.clone());
    let reader = tokio::spawn(async move { reader.get(ID).await });
    settle().await;
    let writer = tokio::spawn(async move { writer.write(ID, "new").await });
    settle().await;
    // The answers of the load, of the writer's own, and of a last one, if there are so many.
    users.database.answer(3);
    let read_before = reader.await.expect("no panic")?;
    assert_eq!(&*read_before, "old", "it was asked for before the write");
    writer.await.expect("no panic")?;
    users.get(ID).await
}

/// On one thread: all tasks get as far as they can without an answer of the database.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), JoinError> {
    for after_write in [AfterWrite::ForgetOnly, AfterWrite::ForgetAndCheck, AfterWrite::Reload] {
        let name = read_after_a_write(after_write).await?;
        println!("{:<16} after the write: {name}", format!("{after_write:?}"));
        assert_eq!(&*name, if after_write == AfterWrite::ForgetOnly { "old" } else { "new" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forgetting_alone_leaves_the_old_value_in_the_cache() {
        assert_eq!(&*read_after_a_write(AfterWrite::ForgetOnly).await.unwrap(), "old");
    }

    #[tokio::test]
    async fn forgotten_work_that_checks_stores_nothing_old() {
        assert_eq!(&*read_after_a_write(AfterWrite::ForgetAndCheck).await.unwrap(), "new");
    }

    #[tokio::test]
    async fn a_load_after_the_write_overwrites_what_older_work_stored() {
        assert_eq!(&*read_after_a_write(AfterWrite::Reload).await.unwrap(), "new");
    }
}
