//! The way in: whoever comes passes the layers, and behind them the map.
//!
//! The layers stand around the map as a whole. Laid on each of its routes they would be boxed and
//! cloned for every request, twice.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::Service;

use super::layers::{Door, enter};

/// What a listener serves. Cheap to clone.
#[derive(Clone)]
pub struct Entrance {
    door: Option<Arc<Door>>,
    map: Router,
}

impl Entrance {
    /// The `map` behind the `door`, which knows its paths.
    pub(super) fn new(door: Arc<Door>, map: Router) -> Self {
        Self { door: Some(door), map }
    }

    /// A map without layers, for a listener that only operators reach.
    pub(super) fn bare(map: Router) -> Self {
        Self { door: None, map }
    }
}

impl Service<Request> for Entrance {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut map = self.map.clone();
        match self.door.clone() {
            Some(door) => Box::pin(async move { Ok(enter(&door, request, map).await) }),
            None => Box::pin(async move { map.call(request).await }),
        }
    }
}
