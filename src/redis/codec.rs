//! How values are handed over.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
};

use serde::{Serialize, de::DeserializeOwned};

/// Why a codec failed.
pub type CodecError = Box<dyn Error + Send + Sync>;

/// Encodes values for other processes, and decodes theirs.
///
/// Both run in the flight's own task, outside of any lock: one that is slow, blocks or panics reaches no other key. What can't
/// be encoded isn't handed over, and what can't be decoded is ignored; the processes then run their own work, and it is
/// [counted](crate::redis::ClusterStats).
///
/// A value is decoded only if its process had the same [`FORMAT`](Self::FORMAT) and the same
/// [`version`](crate::redis::ClusterBuilder::version). So change the version whenever an old process would misunderstand a new
/// one's values, or the other way round.
///
/// # Examples
///
/// ```
/// use shardflight::redis::{Codec, CodecError};
/// use std::io::Write;
///
/// struct Utf8;
///
/// impl Codec<String> for Utf8 {
///     const FORMAT: u8 = 200;
///
///     fn encode(&self, value: &String, to: &mut dyn Write) -> Result<(), CodecError> {
///         Ok(to.write_all(value.as_bytes())?)
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
///         Ok(String::from_utf8(bytes.to_vec())?)
///     }
/// }
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// Tells codecs apart. Those of this crate are below 128.
    const FORMAT: u8;

    /// Writes the value. Writing fails when the value becomes larger than
    /// [`max_value`](crate::redis::ClusterBuilder::max_value).
    ///
    /// # Errors
    ///
    /// Whatever forbids it; also what writing returned.
    fn encode(&self, value: &V, to: &mut dyn Write) -> Result<(), CodecError>;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// If the bytes are no such value.
    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError>;
}

/// JSON, by serde: self-describing, so fields may be added with a default while old and new processes run side by side. The default.
///
/// (Maps whose keys are neither strings nor numbers can't be encoded, and floats that are no numbers become `null`.)
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    const FORMAT: u8 = 1;

    fn encode(&self, value: &V, to: &mut dyn Write) -> Result<(), CodecError> {
        Ok(serde_json::to_writer(to, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// [postcard], by serde: small and quick, and not self-describing. Every change of the type needs another
/// [`version`](crate::redis::ClusterBuilder::version).
#[cfg(feature = "postcard")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

#[cfg(feature = "postcard")]
impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    const FORMAT: u8 = 2;

    fn encode(&self, value: &V, to: &mut dyn Write) -> Result<(), CodecError> {
        postcard::to_io(value, to).map(drop).map_err(Into::into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        let (value, rest) = postcard::take_from_bytes(bytes)?;
        if rest.is_empty() { Ok(value) } else { Err("bytes are left over".into()) }
    }
}

/// Bytes up to a limit. What is beyond is refused, not kept.
pub(super) struct Capped {
    pub(super) bytes: Vec<u8>,
    limit: usize,
    pub(super) is_too_large: bool,
}

impl Capped {
    /// The limit is for what comes after `bytes`.
    pub(super) fn after(bytes: Vec<u8>, limit: usize) -> Self {
        let limit = limit.saturating_add(bytes.len());
        Self { bytes, limit, is_too_large: false }
    }
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            self.is_too_large = true;
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the value is larger than max_value"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capped").field("len", &self.bytes.len()).field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused() {
        let mut capped = Capped::after(b"head".to_vec(), 3);
        assert!(capped.write_all(b"abc").is_ok());
        assert!(!capped.is_too_large);
        assert!(capped.write_all(b"d").is_err());
        assert!(capped.is_too_large);
        assert_eq!(capped.bytes, b"headabc");
    }
}
