//! Work that waits for itself gets `Reentrant`; otherwise it would hold its key until the deadline.

use shardflight::{Coalescer, Handle, JoinError};
use tracing::{Instrument, info_span};

use crate::{
    Fallible,
    claim::claim,
    console::{say, show},
};

type Answer = Result<String, JoinError>;

pub(super) async fn run() -> Fallible<()> {
    let handle = Coalescer::<String, Answer>::new().handle();

    say("The work of \"a\" joins \"a\":");
    let itself = ask(&handle, "a", async { Ok("never runs".to_string()) });
    is_reentrant(&ask(&handle, "a", itself).await, "the inner join got Reentrant")?;

    say("The work of \"a\" joins \"b\", whose work joins \"a\":");
    let back = ask(&handle, "a", async { Ok("never runs".to_string()) });
    let there = ask(&handle, "b", back);
    is_reentrant(&ask(&handle, "a", there).await, "the join that closed the cycle got Reentrant")?;

    say("The work of \"a\" joins \"c\", which joins nothing:");
    let other = ask(&handle, "c", async { Ok("the answer of c".to_string()) });
    claim(
        ask(&handle, "a", other).await.is_ok_and(|answer| answer == "the answer of c"),
        "that is no cycle: \"a\" gets its answer",
    )?;

    let stats = handle.stats().await?;
    show(&stats);
    claim(stats.rejections == 2 && stats.flights == 0, "two joins were rejected, and nothing hangs")?;
    Ok(())
}

/// Joins, and flattens the work's own result with the join's.
fn ask(
    handle: &Handle<String, Answer>,
    key: &'static str,
    work: impl Future<Output = Answer> + Send + 'static,
) -> impl Future<Output = Answer> + Send + 'static {
    let handle = handle.clone();
    // Creates the span within the work that joins.
    async move { handle.join(key, move || work).instrument(info_span!("request", key)).await? }
}

fn is_reentrant(answer: &Answer, text: &str) -> Fallible<()> {
    let said = answer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    say(format!("  it gets: \"{said}\""));
    claim(matches!(answer, Err(JoinError::Reentrant)), text)?;
    Ok(())
}
