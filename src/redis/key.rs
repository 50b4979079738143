//! What a key is called in Redis.

use std::{borrow::Cow, fmt, rc::Rc, sync::Arc};

/// What is longer is not looked for in Redis.
pub(super) const MAX_KEY: usize = 4 << 10;

/// A key that several processes know by the same bytes.
///
/// Keys that are not equal have to write different bytes, or **callers get each other's answers**; equal ones have to write the
/// same, in all processes and versions that share a namespace. That is why neither `Hash` nor `Serialize` is used for it: both
/// may leave fields out. Strings, integers, `bool`, `char`, bytes, options and tuples of these are keys already; for a type of your
/// own, write all that its `Eq` compares. Each part brings its length along, so `("a", "bc")` and `("ab", "c")` differ.
///
/// # Examples
///
/// ```
/// use shardflight::redis::{ClusterKey, KeyBytes};
///
/// #[derive(PartialEq, Eq, Hash)]
/// struct Page {
///     tenant: u32,
///     path: String,
/// }
///
/// impl ClusterKey for Page {
///     fn write(&self, key: &mut KeyBytes) {
///         self.tenant.write(key);
///         self.path.write(key);
///     }
/// }
/// ```
///
/// # Panics
///
/// A panic in `write` is the join's: [`JoinError::Panicked`](crate::JoinError::Panicked).
pub trait ClusterKey {
    /// Writes the key, part by part.
    fn write(&self, key: &mut KeyBytes);
}

/// The bytes of a key: parts, each with its length.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct KeyBytes(Vec<u8>);

impl KeyBytes {
    /// Adds a part.
    pub fn part(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(bytes.len().to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn of(key: &impl ClusterKey) -> Self {
        let mut bytes = Self::default();
        key.write(&mut bytes);
        bytes
    }

    /// What is no key of a user's.
    pub(super) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBytes").field("len", &self.0.len()).finish()
    }
}

macro_rules! by_text {
    ($($type:ty),*) => {$(
        impl ClusterKey for $type {
            fn write(&self, key: &mut KeyBytes) {
                key.part(self.to_string());
            }
        }
    )*};
}

macro_rules! by_bytes {
    ($($type:ty),*) => {$(
        impl ClusterKey for $type {
            fn write(&self, key: &mut KeyBytes) {
                key.part(self);
            }
        }
    )*};
}

macro_rules! by_inside {
    ($($type:ty),*) => {$(
        impl<K: ClusterKey + ?Sized> ClusterKey for $type {
            fn write(&self, key: &mut KeyBytes) {
                (**self).write(key);
            }
        }
    )*};
}

macro_rules! tuples {
    ($(($($part:ident),*))*) => {$(
        impl<$($part: ClusterKey),*> ClusterKey for ($($part,)*) {
            fn write(&self, key: &mut KeyBytes) {
                #[expect(non_snake_case, reason = "a part is named as its type")]
                let ($($part,)*) = self;
                $($part.write(key);)*
            }
        }
    )*};
}

by_text!(bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
by_bytes!(str, String, [u8], Vec<u8>);
by_inside!(&K, Box<K>, Rc<K>, Arc<K>);
tuples!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F));

impl<K: ClusterKey + ToOwned + ?Sized> ClusterKey for Cow<'_, K> {
    fn write(&self, key: &mut KeyBytes) {
        (**self).write(key);
    }
}

impl<const N: usize> ClusterKey for [u8; N] {
    fn write(&self, key: &mut KeyBytes) {
        key.part(self);
    }
}

/// Each begins with a part that says which of the two it is.
impl<K: ClusterKey> ClusterKey for Option<K> {
    fn write(&self, key: &mut KeyBytes) {
        match self {
            None => key.part("-"),
            Some(inside) => {
                key.part("+");
                inside.write(key);
            }
        }
    }
}

impl ClusterKey for () {
    fn write(&self, key: &mut KeyBytes) {
        key.part("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &impl ClusterKey) -> String {
        String::from_utf8(KeyBytes::of(key).0).unwrap()
    }

    #[test]
    fn operators_can_read_it() {
        assert_eq!(text(&"user:7".to_owned()), "6:user:7");
        assert_eq!(text(&(7_u32, "ada", Some(true), None::<u8>)), "1:73:ada1:+4:true1:-");
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(text(&("a", "bc")), text(&("ab", "c")));
        assert_ne!(text(&(None::<&str>, "-")), text(&(Some("-"), "")));
        assert_ne!(text(&("1:a", "")), text(&("", "1:a")));
    }

    #[test]
    fn pointers_are_what_they_point_to() {
        assert_eq!(text(&Arc::new("a")), text(&Cow::Borrowed("a")));
        assert_eq!(text(&[1_u8, 2]), text(&vec![1_u8, 2]));
    }
}
