//! A small blog in `SQLite`, and the query that is missing an index.

use std::{collections::HashMap, fmt::Write, path::Path, time::Duration};

use axum::body::Bytes;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::json;

use crate::Fallible;

/// The query scans all of them once per comment, which makes it slow.
pub(crate) const LIKES: u32 = 20_000;

/// With a log, so that an edit and the queries don't wait for each other.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, edition INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE comments (id INTEGER PRIMARY KEY, post_id INTEGER NOT NULL, author TEXT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE likes (comment_id INTEGER NOT NULL, reader INTEGER NOT NULL);
";

/// Slow on purpose: `CREATE INDEX ON likes (comment_id)` is missing.
const PAGE: &str = "
    SELECT author, body, (SELECT count(*) FROM likes WHERE likes.comment_id = comments.id) AS liked
    FROM comments WHERE post_id = ?1 ORDER BY liked DESC, comments.id
";

const BEST: usize = 3;
const WORDS: [&str; 8] = ["actors", "own", "their", "maps", "and", "callers", "wait", "once"];

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    author: String,
    body: String,
    likes: u32,
}

/// Creates and fills the file. `sizes` are the numbers of comments of the posts, in the order of their ids. Returns the expected
/// pages, made from the inserted rows.
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
        transaction.execute("INSERT INTO posts (id, title) VALUES (?1, ?2)", params![post, title])?;
        let mut insert = transaction.prepare_cached("INSERT INTO comments VALUES (?1, ?2, ?3, ?4)")?;
        let mut comments = Vec::new();
        for likes in likes.by_ref().take(*size as usize) {
            let comment =
                Comment { author: format!("reader {}", random.u32(0..LIKES)), body: body(&mut random), likes };
            insert.execute(params![next_comment, post, comment.author, comment.body])?;
            next_comment += 1;
            comments.push(comment);
        }
        // A stable sort keeps comments with equal likes in the order of their ids.
        comments.sort_by_key(|comment| u32::MAX - comment.likes);
        pages.insert(post, render(&title, 0, &comments));
    }
    transaction.commit()?;
    Ok(pages)
}

/// A read-only connection for one thread at a time.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Otherwise SQLite may build the missing index during a query.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Queries and renders a post's page: the work.
pub(crate) fn page(connection: &Connection, post: u32) -> rusqlite::Result<Bytes> {
    let (title, edition): (String, u32) = connection
        .prepare_cached("SELECT title, edition FROM posts WHERE id = ?1")?
        .query_row([post], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = connection.prepare_cached(PAGE)?;
    let comments = statement
        .query_map([post], |row| Ok(Comment { author: row.get(0)?, body: row.get(1)?, likes: row.get(2)? }))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(render(&title, edition, &comments))
}

/// Edits the post. Returns the number of its new edition.
pub(crate) fn edit(path: &Path, post: u32) -> rusqlite::Result<u64> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let edit = "UPDATE posts SET edition = edition + 1 WHERE id = ?1 RETURNING edition";
    let edition: u32 = connection.query_row(edit, [post], |row| row.get(0))?;
    Ok(edition.into())
}

fn render(title: &str, edition: u32, comments: &[Comment]) -> Bytes {
    let likes: u32 = comments.iter().map(|comment| comment.likes).sum();
    let best: Vec<_> = comments
        .iter()
        .take(BEST)
        .map(|comment| json!({ "author": comment.author, "body": comment.body, "likes": comment.likes }))
        .collect();
    let page = json!({ "title": title, "edition": edition, "comments": comments.len(), "likes": likes, "best": best });
    Bytes::from(page.to_string())
}

fn title(post: u32) -> String {
    format!("Post {post}, a popular one")
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
