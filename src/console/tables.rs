//! The tables as they are, for reading.

use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Desk;
use crate::administration::api::views;
use crate::administration::data::ColumnView;
use crate::error::{Problem, Result};
use crate::http::extract::{Params, Search};
use crate::http::listing::List;

/// `GET /console/data`
pub async fn tables(desk: Desk) -> Result<Response> {
    let all = views::tables(desk.ctx.clone(), desk.caller.clone()).await?.0;
    let given = context! { tables => Serde(&all.items) };
    Ok(desk.shows("console-data.html", &desk.visit.say("console-data"), given))
}

/// Which rows.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    /// By which column they are looked for.
    #[serde(default)]
    pub by: String,
    /// What it holds.
    #[serde(default)]
    pub is: String,
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
}

/// What a column holds, as it is written; nothing for nothing, and for what is hidden.
fn text(row: &views::RowView, column: &ColumnView) -> Option<String> {
    match row.0.get(column.name)? {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// How many a page has.
const ENTRIES: usize = 50;

/// `GET /console/data/{table}`
pub async fn rows(
    desk: Desk,
    Params(table): Params<String>,
    Search(asked): Search<Asked>,
) -> Result<Response> {
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let all = views::tables(ctx.clone(), caller.clone()).await?.0;
    let about = all.items.into_iter().find(|one| one.name == table).ok_or(Problem::NotFound)?;
    let is = asked.is.trim();
    let by = Some((asked.by.clone(), is.to_owned())).filter(|_| !is.is_empty()).unzip();
    let ask = views::Rows { by: by.0, is: by.1, limit: Some(ENTRIES), after: asked.after.clone() };
    let found = views::rows(ctx.clone(), caller.clone(), Params(table.clone()), Search(ask)).await;
    let (list, error) = match found {
        Ok(list) => (list.0, None),
        Err(error) => (List { items: Vec::new(), next: None }, Some(error)),
    };
    let by = if is.is_empty() { "" } else { asked.by.as_str() };
    let next = desk.next(&[("by", by), ("is", is)], list.next.as_ref());
    let cells =
        |row: &views::RowView| about.columns.iter().map(|column| text(row, column)).collect::<Vec<_>>();
    let rows: Vec<_> = list.items.iter().map(cells).collect();
    let given = context! { table => Serde(&about), rows, next, by => asked.by, held => asked.is };
    desk.searched(error, "console-rows.html", &table, given)
}
