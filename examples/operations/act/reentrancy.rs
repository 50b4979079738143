//! Work that waits for itself is told so; otherwise it would hold its key until the deadline.

use shardflight::{Coalescer, Handle, JoinError};
use tracing::{Instrument, info_span};

use crate::{
    Fallible,
    claim::claim,
    console::{say, show},
};

type Answer = Result<String, JoinError>;

pub(super) async fn play() -> Fallible<()> {
    let handle = Coalescer::<String, Answer>::new().handle();

    say("The work of \"a\" joins \"a\":");
    let itself = ask(&handle, "a", async { Ok("never runs".to_string()) });
    is_reentrant(&ask(&handle, "a", itself).await, "the inner join got Reentrant")?;

    say("The work of \"a\" joins \"b\", whose work joins \"a\":");
    let back = ask(&handle, "a", async { Ok("never runs".to_string()) });
    let there = ask(&handle, "b", back);
    is_reentrant(&ask(&handle, "a", there).await, "the join that closed the circle got Reentrant")?;

    say("The work of \"a\" joins \"c\", which joins nothing:");
    let other = ask(&handle, "c", async { Ok("the answer of c".to_string()) });
    claim(
        ask(&handle, "a", other).await.is_ok_and(|answer| answer == "the answer of c"),
        "that is no circle: \"a\" gets its answer",
    )?;

    let stats = handle.stats().await?;
    show(&stats);
    claim(stats.rejections == 2 && stats.flights == 0, "two joins were refused, and nothing hangs")?;
    Ok(())
}

/// Gives on what the work made of its own joins, whether that is an answer or an error.
fn ask(
    handle: &Handle<String, Answer>,
    key: &'static str,
    work: impl Future<Output = Answer> + Send + 'static,
) -> impl Future<Output = Answer> + Send + 'static {
    let handle = handle.clone();
    // The span is made when the join is, within the work that makes it.
    async move { handle.join(key, move || work).instrument(info_span!("request", key)).await? }
}

fn is_reentrant(answer: &Answer, text: &str) -> Fallible<()> {
    let said = answer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    say(format!("  it gets: \"{said}\""));
    claim(matches!(answer, Err(JoinError::Reentrant)), text)?;
    Ok(())
}
