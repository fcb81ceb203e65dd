//! Lists: `?limit=` and `?after=`, and cursors that only this server can make.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
use crate::secret::same;
use crate::store::{Cursor, Page};

/// The query of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// How many, 1 to 200; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; nothing on the last.
    pub next: Option<String>,
}

const DEFAULT: usize = 50;
const MOST: usize = 200;
const TAG: usize = 16;

impl Listing {
    /// How many are asked for.
    ///
    /// # Errors
    /// [`Problem::MalformedRequest`] outside 1 to 200.
    pub fn limit(&self) -> Result<usize> {
        match self.limit.unwrap_or(DEFAULT) {
            limit if (1..=MOST).contains(&limit) => Ok(limit),
            _ => Err(Error::new(Problem::MalformedRequest).detail("`limit` is 1 to 200.")),
        }
    }

    /// The place to go on from.
    ///
    /// # Errors
    /// [`Problem::MalformedRequest`] for a cursor that this server did not make.
    pub fn cursor(&self, ctx: &Ctx) -> Result<Option<Cursor>> {
        let Some(text) = &self.after else { return Ok(None) };
        let read = || -> Option<Cursor> {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (tag, place) = bytes.split_first_chunk::<TAG>()?;
            if !same(tag, &seal(ctx, place)) {
                return None;
            }
            Cursor::from_json(serde_json::from_slice(place).ok()?).ok()
        };
        let refused =
            || Error::new(Problem::MalformedRequest).detail("`after` is not a cursor of this list.");
        read().map(Some).ok_or_else(refused)
    }
}

impl<T> List<T> {
    /// The page as the door shows it.
    pub fn of<R>(ctx: &Ctx, page: Page<R>, view: impl Fn(R) -> T) -> Self {
        let next = page.next.map(|cursor| {
            let place = cursor.to_json().to_string().into_bytes();
            URL_SAFE_NO_PAD.encode([seal(ctx, &place).as_slice(), &place].concat())
        });
        Self { items: page.items.into_iter().map(view).collect(), next }
    }
}

fn seal(ctx: &Ctx, place: &[u8]) -> [u8; TAG] {
    let mut short = [0; TAG];
    for (to, from) in short.iter_mut().zip(ctx.app.keyring.tag("cursor", place)) {
        *to = from;
    }
    short
}
