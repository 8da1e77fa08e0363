//! Lists: pages of up to a hundred, and sealed cursors from one to the next.

use poem_openapi::{
    Enum, Object,
    types::{ParseFromJSON, ToJSON},
};

use super::{
    codes,
    problem::Problem,
    wire::{Cursor, Limit},
};
use crate::{
    app::App,
    kernel::page::{Page, Slice},
};

/// What kind of object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ListObject {
    /// A list.
    List,
}

/// One page of a list.
#[derive(Debug, Clone, Object)]
pub struct List<T: ParseFromJSON + ToJSON> {
    /// Always "list".
    object: ListObject,
    /// The items of this page, in the list's order.
    data: Vec<T>,
    /// Whether there are more.
    has_more: bool,
    /// The `cursor` of the next page, where there are more.
    #[oai(skip_serializing_if_is_none)]
    next_cursor: Option<String>,
    /// The list's address.
    url: String,
}

impl<T: ParseFromJSON + ToJSON> List<T> {
    /// The page as the API shows it; `url` is the list's address.
    pub fn new<U>(app: &App, url: &str, page: Page<U>, show: impl FnMut(U) -> T) -> Self {
        let page = page.map(show);
        Self {
            object: ListObject::List,
            has_more: page.next.is_some(),
            next_cursor: page.next.map(|key| app.cursor_key().seal(url, &key)),
            data: page.items,
            url: url.to_owned(),
        }
    }
}

/// What a request asks of the list at `url`.
///
/// # Errors
/// `invalid-cursor`.
pub fn slice(
    app: &App,
    url: &str,
    limit: Limit,
    cursor: Option<&Cursor>,
) -> Result<Slice, Problem> {
    let after = match cursor {
        None => None,
        Some(cursor) => {
            let opened = app.cursor_key().open(url, &cursor.0);
            Some(opened.map_err(|_| Problem::of(&codes::INVALID_CURSOR).param("cursor"))?)
        }
    };
    Ok(Slice {
        limit: limit.0,
        after,
    })
}
