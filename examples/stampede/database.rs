//! A small blog in `SQLite`, and the query that is missing an index.

use std::{collections::HashMap, fmt::Write, path::Path, time::Duration};

use axum::body::Bytes;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::json;

use crate::Fallible;

/// The query looks at each of them once per comment, which is all that makes it slow.
pub(crate) const LIKES: u32 = 20_000;

const SCHEMA: &str = "
    CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
    CREATE TABLE comments (id INTEGER PRIMARY KEY, post_id INTEGER NOT NULL, author TEXT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE likes (comment_id INTEGER NOT NULL, reader INTEGER NOT NULL);
";

/// Somebody forgot `CREATE INDEX ON likes (comment_id)`, as somebody always does.
const PAGE: &str = "
    SELECT author, body, (SELECT count(*) FROM likes WHERE likes.comment_id = comments.id) AS liked
    FROM comments WHERE post_id = ?1 ORDER BY liked DESC, comments.id
";

const BEST: usize = 3;
const WORDS: [&str; 8] = ["actors", "own", "their", "maps", "and", "nobody", "waits", "twice"];

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    author: String,
    body: String,
    likes: u32,
}

/// Makes the file and fills it. `sizes` are the posts' numbers of comments, the post's id being its place. Gives back
/// the pages that have to come out of it, as told by the rows that went in.
pub(crate) fn create(path: &Path, sizes: &[u32]) -> Fallible<HashMap<u32, Bytes>> {
    let mut random = fastrand::Rng::with_seed(7);
    let comments: u32 = sizes.iter().sum();
    let mut tally = vec![0_u32; comments as usize];
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO likes VALUES (?1, ?2)")?;
        for reader in 0..LIKES {
            let comment = random.u32(0..comments);
            tally[comment as usize] += 1;
            insert.execute(params![comment, reader])?;
        }
    }
    let mut pages = HashMap::new();
    let mut likes = tally.into_iter();
    let mut next_comment = 0;
    for (post, size) in (0_u32..).zip(sizes) {
        let title = title(post);
        transaction.execute("INSERT INTO posts VALUES (?1, ?2)", params![post, title])?;
        let mut insert = transaction.prepare_cached("INSERT INTO comments VALUES (?1, ?2, ?3, ?4)")?;
        let mut comments = Vec::new();
        for likes in likes.by_ref().take(*size as usize) {
            let comment =
                Comment { author: format!("reader {}", random.u32(0..LIKES)), body: body(&mut random), likes };
            insert.execute(params![next_comment, post, comment.author, comment.body])?;
            next_comment += 1;
            comments.push(comment);
        }
        // Stable, so comments of equal likes stay in the order of their ids.
        comments.sort_by_key(|comment| u32::MAX - comment.likes);
        pages.insert(post, render(&title, &comments));
    }
    transaction.commit()?;
    Ok(pages)
}

/// A connection of the server's: it reads, and it is on its own.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // It would build the forgotten index for the length of a query, where it can.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// The page of a post: the honest work that everything here is about.
pub(crate) fn page(connection: &Connection, post: u32) -> rusqlite::Result<Bytes> {
    let title: String =
        connection.prepare_cached("SELECT title FROM posts WHERE id = ?1")?.query_row([post], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(PAGE)?;
    let comments = statement
        .query_map([post], |row| Ok(Comment { author: row.get(0)?, body: row.get(1)?, likes: row.get(2)? }))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(render(&title, &comments))
}

fn render(title: &str, comments: &[Comment]) -> Bytes {
    let likes: u32 = comments.iter().map(|comment| comment.likes).sum();
    let best: Vec<_> = comments
        .iter()
        .take(BEST)
        .map(|comment| json!({ "author": comment.author, "body": comment.body, "likes": comment.likes }))
        .collect();
    let page = json!({ "title": title, "comments": comments.len(), "likes": likes, "best": best });
    Bytes::from(page.to_string())
}

fn title(post: u32) -> String {
    format!("Post {post}, which everybody wants at once")
}

fn body(random: &mut fastrand::Rng) -> String {
    let mut body = String::new();
    for _ in 0..random.usize(5..20) {
        let word = WORDS[random.usize(0..WORDS.len())];
        // Writing to a string can't fail.
        let _ = write!(body, "{word} ");
    }
    body
}
