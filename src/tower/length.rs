//! Whether a body is as long as its head announces.
//!
//! A server believes a body that knows its size: it sends that many bytes, whatever the head announces. A collected body knows its
//! size, but the inner service's may not have, and its server would then have kept to the head. So a collected body that is longer
//! than its head says is cut, as the client would take the rest for the beginning of the next response; and one that is shorter has
//! failed, as it would pass as complete.

use std::{error::Error, fmt, str, sync::Arc};

use http::{HeaderMap, StatusCode, header, response};

use super::body::{Content, End};

/// The length that `Content-Length` announces, if it is there. The same one several times counts as one (RFC 9110, section 8.6).
pub(super) fn announced(headers: &HeaderMap) -> Result<Option<u64>, LengthError> {
    let lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut announced = None;
    for member in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let length = parse(member.trim_ascii()).ok_or(LengthError::Unclear)?;
        if *announced.get_or_insert(length) != length {
            return Err(LengthError::Unclear);
        }
    }
    Ok(announced)
}

/// Digits alone: the standard library's parser takes a sign, too.
fn parse(digits: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// A collected body, as long as its head announces, or failed.
pub(super) fn as_announced(parts: &response::Parts, mut content: Content) -> Content {
    // These have no body. A 304 announces the length that another response would have.
    let has_no_body = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_no_body || matches!(content.end, End::Failed(_)) {
        return content;
    }
    let error = match announced(&parts.headers) {
        Ok(None) => return content,
        Ok(Some(length)) if content.data.len() as u64 >= length => {
            content.data.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            return content;
        }
        Ok(Some(_)) => LengthError::TooShort,
        Err(error) => error,
    };
    Content { end: End::Failed(Arc::new(error)), ..content }
}

/// Why a body is not as its head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LengthError {
    TooShort,
    /// Several lengths are announced, or what is none. A server could send one, and the client rely on another.
    Unclear,
}

impl fmt::Display for LengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the body is shorter than its `Content-Length`",
            Self::Unclear => "the body's `Content-Length` is not one length",
        })
    }
}

impl Error for LengthError {}
