//! The door of the feed: a stream of server-sent events, or one batch that may be waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::actions::{self, Batch, POLL};
use crate::app::{Client, Ctx};
use crate::error::{Error, Problem, Result};
use crate::http::extract::{Asker, Search};

/// How often a stream says that there is nothing new: its follower knows that it is current.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The longest that one batch is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// When to come back when every place is taken.
const PAUSE: Duration = Duration::from_secs(5);

const SSE: &str = "text/event-stream";
/// A compact JWS (RFC 7515 §9.2.1).
pub const JOSE: &str = "application/jose";

/// The query of `GET /revocations`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// The `cursor` of the last batch that was read; from the oldest entry that is kept when left out. A
    /// `Last-Event-ID` header says the same, and is believed before this.
    pub after: Option<Uuid>,
    /// How many seconds to wait for something new, 0 to 25. Not for a stream.
    #[schemars(range(max = 25))]
    pub wait: Option<u64>,
}

/// `GET /revocations`: a stream for whoever accepts `text/event-stream`, one batch for others.
pub async fn follow(
    ctx: Ctx,
    asker: Asker,
    headers: HeaderMap,
    Search(ask): Search<Follow>,
) -> Result<Response> {
    let after = last_event(&headers)?.or(ask.after);
    let wait = Duration::from_secs(ask.wait.unwrap_or(0));
    if wait > LONGEST_WAIT {
        return Err(Error::new(Problem::MalformedRequest).detail("`wait` is 0 to 25 seconds."));
    }
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepts.into_iter().any(|value| value.contains(SSE)) {
        return stream(&ctx, asker, after).await;
    }
    // An answer has to be there before the server gives the request up.
    let wait = wait.min(*ctx.app.config.server.request_timeout / 2);
    let mut following = Following::new(&ctx, asker, after, !wait.is_zero())?;
    let until = Instant::now() + wait;
    let batch = loop {
        let batch = following.look().await?;
        if !batch.items.is_empty() || Instant::now() >= until || following.is_stopping() {
            break batch;
        }
        following.wait(until.saturating_duration_since(Instant::now())).await;
    };
    let text = actions::signed(&following.ctx(), &batch).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(JOSE))], text).into_response())
}

/// The id that a client of server-sent events sends when it comes back.
fn last_event(headers: &HeaderMap) -> Result<Option<Uuid>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let read = value.to_str().ok().and_then(|text| Uuid::parse_str(text).ok());
    let wrong = || Error::new(Problem::MalformedRequest).detail("`Last-Event-ID` is a cursor of this feed.");
    read.map(Some).ok_or_else(wrong)
}

/// Somebody who reads on.
struct Following {
    app: Arc<crate::app::App>,
    client: Option<Arc<Client>>,
    asker: Asker,
    after: Option<Uuid>,
    rings: tokio::sync::watch::Receiver<u64>,
    stopping: tokio::sync::watch::Receiver<bool>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Following {
    fn new(ctx: &Ctx, asker: Asker, after: Option<Uuid>, stays: bool) -> Result<Self> {
        let followers = &ctx.app.followers;
        let full = || Error::new(Problem::Busy).retry_after(PAUSE);
        let place = stays.then(|| Arc::clone(&followers.places).try_acquire_owned().map_err(|_| full()));
        Ok(Self {
            app: Arc::clone(&ctx.app),
            client: ctx.client.clone(),
            asker,
            after,
            rings: ctx.app.bell.subscribe(),
            stopping: followers.stopping.subscribe(),
            _place: place.transpose()?,
        })
    }

    /// Each look is at its own instant.
    fn ctx(&self) -> Ctx {
        Ctx { client: self.client.clone(), ..Ctx::new(Arc::clone(&self.app), None) }
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// What is new, for somebody who may still know it.
    async fn look(&mut self) -> Result<Batch> {
        // What rings from here on is looked at next time.
        self.rings.borrow_and_update();
        let ctx = self.ctx();
        self.asker.stands(&ctx).await?;
        actions::read(&ctx, self.after).await
    }

    /// Until there may be something new.
    async fn wait(&mut self, most: Duration) {
        tokio::select! {
            () = sleep(most.min(POLL)) => {}
            _ = self.rings.changed() => {}
            _ = self.stopping.changed() => {}
        }
    }
}

/// A stream, and when it last said something.
struct Speaking {
    following: Following,
    spoke: Instant,
}

async fn stream(ctx: &Ctx, asker: Asker, after: Option<Uuid>) -> Result<Response> {
    let mut following = Following::new(ctx, asker, after, true)?;
    // The first batch before the head: what cannot be told at all is a failure, and no empty stream.
    let first = following.look().await?;
    let first = told(&mut following, &first).await?;
    let speaking = Speaking { following, spoke: Instant::now() };
    let later = stream::unfold(speaking, |mut speaking| async move {
        let text = next(&mut speaking).await?;
        Some((Ok::<_, Infallible>(text), speaking))
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(first)]), later);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(SSE)),
        // nginx keeps answers back until it has some kilobytes of them, unless told otherwise.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// What a stream says next. None ends it: the server stops, the follower may no longer know, or what there is
/// cannot be read; whoever comes back is told which.
async fn next(speaking: &mut Speaking) -> Option<Bytes> {
    loop {
        if speaking.following.is_stopping() {
            return None;
        }
        let batch = speaking.following.look().await.ok()?;
        let is_due = speaking.spoke.elapsed() >= HEARTBEAT;
        if !batch.items.is_empty() || is_due {
            speaking.spoke = Instant::now();
            return told(&mut speaking.following, &batch).await.ok();
        }
        speaking.following.wait(POLL).await;
    }
}

/// A batch as an event. The comment before it is for whatever lies between: something was said.
async fn told(following: &mut Following, batch: &Batch) -> Result<Bytes> {
    following.after = Some(batch.cursor);
    let text = actions::signed(&following.ctx(), batch).await?;
    Ok(format!(": {}\nid: {}\nevent: revocations\ndata: {text}\n\n", batch.now, batch.cursor).into())
}
