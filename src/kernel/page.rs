//! Paging by cursor: opaque to the caller, sealed against change.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The most items on one page.
pub const MOST: i64 = 100;

/// One page of a list and the place where the next begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// The sort key of the last item, where there are more.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From a query that asked for one row more than `limit`; `key` is an item's sort key.
    pub fn from_rows(mut rows: Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(key) } else { None };
        Self { items: rows, next }
    }

    /// The same page of other items.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

/// How many, and after which sort key; the rooms read keys, the doors seal them.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// 1 to [`MOST`].
    pub limit: i64,
    /// The sort key of the last item seen.
    pub after: Option<String>,
}

/// A cursor that this house did not issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

/// Seals and opens cursors.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl CursorKey {
    /// A key from secret bytes.
    pub fn new(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// The public form of a sort key of `list`.
    pub fn seal(&self, list: &str, key: &str) -> String {
        format!("{}{}", self.tag(list, key), hex(key.as_bytes()))
    }

    /// The sort key in a cursor of `list`.
    ///
    /// # Errors
    /// [`CursorError`] for anything that [`CursorKey::seal`] did not make.
    pub fn open(&self, list: &str, cursor: &str) -> Result<String, CursorError> {
        let (tag, body) = cursor.split_at_checked(16).ok_or(CursorError)?;
        let bytes: Option<Vec<u8>> = (0..body.len())
            .step_by(2)
            .map(|at| body.get(at..at.checked_add(2)?))
            .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        let key = String::from_utf8(bytes.ok_or(CursorError)?).map_err(|_| CursorError)?;
        if self.tag(list, &key) == tag {
            Ok(key)
        } else {
            Err(CursorError)
        }
    }

    fn tag(&self, list: &str, key: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(list.as_bytes());
        mac.update(&[0]);
        mac.update(key.as_bytes());
        hex(mac.finalize().into_bytes().get(..8).unwrap_or_default())
    }
}

/// Bytes as two lower-case digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_unchanged_and_only_its_own_list() {
        let key = CursorKey::new(b"secret").unwrap();
        let cursor = key.seal("members", "字 42");
        assert_eq!(key.open("members", &cursor).as_deref(), Ok("字 42"));
        assert_eq!(key.open("stores", &cursor), Err(CursorError));
        for broken in ["", "é", "0123456789abcdef00", &cursor[..cursor.len() - 1]] {
            assert_eq!(key.open("members", broken), Err(CursorError));
        }
    }
}
