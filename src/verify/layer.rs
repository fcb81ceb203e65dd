//! The verifier as a layer: what lies below it is reached with a good access token only.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tower::{Layer, Service};

use super::{Refused, Verifier};

/// Lets through what comes with a good access token, and hands its [`super::Claims`] on as an extension.
#[derive(Clone)]
pub struct VerifyLayer(Verifier);

impl VerifyLayer {
    /// A layer of this verifier.
    pub fn new(verifier: Verifier) -> Self {
        Self(verifier)
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;
    fn layer(&self, inner: S) -> Verify<S> {
        Verify { inner, verifier: self.0.clone() }
    }
}

/// A service behind a [`VerifyLayer`].
#[derive(Clone)]
pub struct Verify<S> {
    inner: S,
    verifier: Verifier,
}

impl<S, B, R> Service<Request<B>> for Verify<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready is used, its clone is kept.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let verifier = self.verifier.clone();
        Box::pin(async move {
            let checked = match bearer(request.headers()) {
                Some(token) => verifier.check(token).await,
                None => Err(Refused::Invalid),
            };
            match checked {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(refused) => Ok(answer(refused)),
            }
        })
    }
}

/// The token in the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// 401 for what does not count (RFC 6750 §3), 503 where nobody can tell.
fn answer<R: Default>(refused: Refused) -> Response<R> {
    let mut answer = Response::new(R::default());
    let (status, name, value) = match refused {
        Refused::Invalid | Refused::Ended => {
            (StatusCode::UNAUTHORIZED, header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
        }
        Refused::Stale => (StatusCode::SERVICE_UNAVAILABLE, header::RETRY_AFTER, "1"),
    };
    *answer.status_mut() = status;
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
