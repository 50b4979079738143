//! What is around a value on its way: who it is for, how its lease ended, and what it takes to decode it.
//!
//! ```text
//! message    = lease id, ' ', "SF", protocol, kind, body
//! push       = number of the waiting flight, ' ', message
//! value      = codec's format, version (4 bytes, big endian), bytes
//! panic      = its text, of 1 KiB at most
//! ```

use super::{
    codec::{Capped, Codec},
    lease::{LeaseId, Message},
};
use crate::{
    error::CaughtPanic,
    unwind::{catch, drop_contained},
};

const MAGIC: &[u8] = b"SF";
/// Of the envelope and of the scripts. Other ones are not understood.
const PROTOCOL: u8 = 1;
/// Of a panic's text.
const MAX_TEXT: usize = 1 << 10;

const VALUE: u8 = b'v';
const PANIC: u8 = b'p';
const STORED: u8 = b's';
const UNSHAREABLE: u8 = b'u';
const RELEASED: u8 = b'r';

/// What was handed over.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    Value(V),
    Panicked(String),
}

/// Why a value isn't handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unshareable {
    TooLarge,
    Unencodable,
}

/// A message as it is sent.
pub(super) fn seal(lease: LeaseId, message: &Message) -> Vec<u8> {
    let mut sealed = lease.to_string().into_bytes();
    sealed.push(b' ');
    sealed.extend_from_slice(MAGIC);
    sealed.push(PROTOCOL);
    match message {
        Message::Outcome(outcome) => sealed.extend_from_slice(outcome),
        Message::Stored => sealed.push(STORED),
        Message::Unshareable => sealed.push(UNSHAREABLE),
        Message::Released => sealed.push(RELEASED),
    }
    sealed
}

/// A message as it came. `None` if its lease can't be told. A message that isn't understood is an outcome that can't be decoded.
pub(super) fn open(sealed: &[u8]) -> Option<(LeaseId, Message)> {
    let space = sealed.iter().position(|byte| *byte == b' ')?;
    let lease = LeaseId::parse(std::str::from_utf8(&sealed[..space]).ok()?)?;
    let body = sealed[space + 1..].strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[PROTOCOL]));
    let message = match body {
        Some([STORED]) => Message::Stored,
        Some([UNSHAREABLE]) => Message::Unshareable,
        Some([RELEASED]) => Message::Released,
        Some(outcome) => Message::Outcome(outcome.to_vec()),
        None => Message::Outcome(Vec::new()),
    };
    Some((lease, message))
}

/// A push: for the flight of that number.
pub(super) fn open_push(push: &[u8]) -> Option<(u64, LeaseId, Message)> {
    let space = push.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(&push[..space]).ok()?.parse().ok()?;
    let (lease, message) = open(&push[space + 1..])?;
    Some((number, lease, message))
}

/// Runs the codec. A panic in it is a failure like any other.
pub(super) fn encode<V, C: Codec<V>>(codec: &C, version: u32, max: usize, value: &V) -> Result<Vec<u8>, Unshareable> {
    let mut head = vec![VALUE, C::FORMAT];
    head.extend_from_slice(&version.to_be_bytes());
    let mut capped = Capped::after(head, max);
    let failed = match catch(|| codec.encode(value, &mut capped)) {
        Ok(Ok(())) => false,
        Ok(Err(error)) => {
            drop_contained(error);
            true
        }
        Err(_) => true,
    };
    match (capped.is_too_large, failed) {
        (true, _) => Err(Unshareable::TooLarge),
        (false, true) => Err(Unshareable::Unencodable),
        (false, false) => Ok(capped.bytes),
    }
}

pub(super) fn encode_panic(panic: &CaughtPanic) -> Vec<u8> {
    let text = panic.message();
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut outcome = vec![PANIC];
    outcome.extend_from_slice(&text.as_bytes()[..end]);
    outcome
}

/// `None` if it is not for this process to understand.
pub(super) fn decode<V, C: Codec<V>>(codec: &C, version: u32, outcome: &[u8]) -> Option<Outcome<V>> {
    match outcome.split_first()? {
        (&PANIC, text) => Some(Outcome::Panicked(String::from_utf8_lossy(text).into_owned())),
        (&VALUE, rest) => {
            let (format, rest) = rest.split_first()?;
            let (theirs, bytes) = rest.split_first_chunk()?;
            if *format != C::FORMAT || u32::from_be_bytes(*theirs) != version {
                return None;
            }
            match catch(|| codec.decode(bytes)).ok()? {
                Ok(value) => Some(Outcome::Value(value)),
                Err(error) => {
                    drop_contained(error);
                    None
                }
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::lease::Asker, *};
    use crate::redis::Json;

    fn lease() -> LeaseId {
        LeaseId { token: 7, holder: Asker { node: 1, coalescer: 2, number: 3 } }
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let outcome = encode(&Json, 1, 100, &"a value".to_owned()).unwrap();
        for message in [Message::Outcome(outcome), Message::Stored, Message::Unshareable, Message::Released] {
            let sealed = seal(lease(), &message);
            assert_eq!(open(&sealed), Some((lease(), message.clone())));
            let push = [b"12 ".to_vec(), sealed].concat();
            assert_eq!(open_push(&push), Some((12, lease(), message)));
        }
    }

    #[test]
    fn values_and_panics_are_handed_over() {
        let outcome = encode(&Json, 1, 100, &vec![1, 2]).unwrap();
        let decoded: Option<Outcome<Vec<i32>>> = decode(&Json, 1, &outcome);
        assert!(matches!(decoded, Some(Outcome::Value(value)) if value == [1, 2]));
        let outcome = encode_panic(&CaughtPanic::new("no such table"));
        let decoded: Option<Outcome<u8>> = decode(&Json, 1, &outcome);
        assert!(matches!(decoded, Some(Outcome::Panicked(text)) if text == "no such table"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let outcome = encode_panic(&CaughtPanic::new(&"ä".repeat(MAX_TEXT)));
        assert_eq!(outcome.len(), 1 + MAX_TEXT);
        let outcome = encode_panic(&CaughtPanic::new(&format!("a{}", "ä".repeat(MAX_TEXT))));
        assert_eq!(outcome.len(), MAX_TEXT);
    }

    #[test]
    fn other_versions_and_formats_are_not_decoded() {
        let outcome = encode(&Json, 1, 100, &1_u8).unwrap();
        assert!(decode::<u8, _>(&Json, 2, &outcome).is_none());
        let mut other = outcome.clone();
        other[1] = 200;
        assert!(decode::<u8, _>(&Json, 1, &other).is_none());
        assert!(decode::<String, _>(&Json, 1, &outcome).is_none());
        for length in 0..outcome.len() {
            assert!(decode::<u8, _>(&Json, 1, &outcome[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn other_protocols_are_undecodable() {
        let (_, message) = open(b"7:1.2.3 SF\x02v").unwrap();
        let Message::Outcome(outcome) = message else { panic!("{message:?}") };
        assert!(decode::<u8, _>(&Json, 1, &outcome).is_none());
        assert_eq!(open(b"garbage"), None);
        assert_eq!(open_push(b"x 7:1.2.3 SF"), None);
    }

    #[test]
    fn values_that_are_too_large_are_not_encoded() {
        assert_eq!(encode(&Json, 1, 3, &"ab".to_owned()), Err(Unshareable::TooLarge));
        assert!(encode(&Json, 1, 4, &"ab".to_owned()).is_ok());
        let not_text = std::collections::BTreeMap::from([(vec![1], 3)]);
        assert_eq!(encode(&Json, 1, 100, &not_text), Err(Unshareable::Unencodable));
    }
}
