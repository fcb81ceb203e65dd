//! Only this machine: the peer must be loopback, and so must the name it asked for.
//!
//! The second is against pages of other sites: a name of theirs that suddenly points to 127.0.0.1
//! (DNS rebinding) brings the browser here as if to its own origin, but under that name. A request
//! that some proxy has forwarded is somebody else's too, although the proxy's address is loopback.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Problem};

pub(super) async fn this_machine_only(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_here = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let is_safe = request.method().is_safe() || is_sent_from_here(request.headers());
    if is_here && is_safe && is_asked_for_here(request.headers()) {
        next.run(request).await
    } else {
        let told = "The development pages answer to this machine only: open them by 127.0.0.1 or localhost.";
        Error::new(Problem::CrossSite).detail(told).into_response()
    }
}

fn is_asked_for_here(headers: &HeaderMap) -> bool {
    let is_forwarded = ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    !is_forwarded && host.to_str().is_ok_and(is_loopback_name)
}

/// Whether what changes something comes from one of our own pages or from no browser at all: forms of
/// other sites reach loopback as well.
fn is_sent_from_here(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        // Pages that send no referrer name `null` as their origin.
        Some(b"same-origin" | b"none") => true,
        Some(_) => false,
        None => headers.get_all(header::ORIGIN).iter().all(|origin| {
            let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            host.is_some_and(|(_, host)| is_loopback_name(host))
        }),
    }
}

fn is_loopback_name(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => (v6, rest.strip_prefix(':').or(rest.is_empty().then_some("1"))),
        None => authority.split_once(':').map_or((authority, Some("1")), |(host, port)| (host, Some(port))),
    };
    let is_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_port && is_loopback
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::*;

    async fn status(peer: Option<&str>, headers: &[(&str, &str)]) -> StatusCode {
        let app: Router =
            Router::new().route("/", get(|| async {})).layer(middleware::from_fn(this_machine_only));
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        app.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn this_machine_is_let_in_by_its_own_names() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"] {
            for peer in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
                assert_eq!(status(Some(peer), &[("host", host)]).await, StatusCode::OK, "{peer} {host}");
            }
        }
    }

    #[test]
    fn other_sites_change_nothing() {
        let sent = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            is_sent_from_here(&headers)
        };
        assert!(sent(&[]) && sent(&[("origin", "http://127.0.0.1:8080")]));
        assert!(sent(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for wrong in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://localhost:1"), ("origin", "https://evil.example")],
        ] {
            assert!(!sent(wrong), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn everybody_and_everything_else_is_not() {
        let here = Some("127.0.0.1:5");
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "localhost:x",
            "[::1]x",
            "",
            "localhost:8080:1",
        ] {
            assert_eq!(status(here, &[("host", host)]).await, StatusCode::FORBIDDEN, "{host}");
        }
        assert_eq!(status(here, &[]).await, StatusCode::FORBIDDEN, "no host");
        assert_eq!(
            status(here, &[("host", "localhost"), ("host", "evil.example")]).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            status(here, &[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")]).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(status(None, &[("host", "localhost")]).await, StatusCode::FORBIDDEN, "no peer");
        assert_eq!(status(Some("192.0.2.1:5"), &[("host", "localhost")]).await, StatusCode::FORBIDDEN);
    }
}
