//! Which web pages may speak to this server: CORS, and the guard against requests from other sites.
//!
//! A browser names the page that sends (`Origin`, `Sec-Fetch-Site`); scripts cannot forge either.
//! Other origins are let in by exact name only, and a reading method is never guarded here, because
//! reading methods change nothing.

use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

use crate::app::Origin;
use crate::error::{Error, Problem, Result};
use crate::sessions;

/// How the names of this server's cookies begin; `__Host-` where TLS allows it.
const COOKIES: [&str; 2] = ["__Host-vestibule", "vestibule"];
/// How long a browser may remember what a preflight answered: ten minutes, so that taking an origin off the list soon shows.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const ASKED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, x-request-id");
const SHOWN_HEADERS: HeaderValue =
    HeaderValue::from_static("x-request-id, retry-after, ratelimit, ratelimit-policy");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins that count.
#[derive(Debug)]
pub struct Origins {
    own: Vec<String>,
    allowed: Vec<String>,
    /// Reached by loopback only: then a request must also name a loopback host.
    local: bool,
}

impl Origins {
    /// The server's own origin and the `allowed` others.
    ///
    /// # Errors
    /// A sentence for the operator about an entry that is not an origin.
    pub fn new(own: &Origin, allowed: &[String]) -> Result<Self, String> {
        let local = is_local(own.host());
        let mut names = vec![own.as_str().to_owned()];
        if local {
            // In development people type any of these; a browser holds them for different origins.
            let (scheme, rest) = own.as_str().split_once("://").unwrap_or_default();
            let port = rest.rsplit_once(':').map_or("", |(_, port)| port);
            let port = if port.parse::<u16>().is_ok() { format!(":{port}") } else { String::new() };
            names.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{scheme}://{host}{port}")));
        }
        let allowed = allowed.iter().map(|text| Origin::parse(text).map(|origin| origin.as_str().to_owned()));
        Ok(Self { own: names, allowed: allowed.collect::<Result<_, _>>()?, local })
    }

    /// Refuses a changing request that another site sends, or that carries a cookie without proof of
    /// coming from a page that may use it.
    ///
    /// # Errors
    /// [`Problem::CrossSite`].
    pub fn guard(&self, method: &Method, headers: &HeaderMap) -> Result<()> {
        if method.is_safe() {
            return Ok(());
        }
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let from_here = matches!(site, Some(b"same-origin" | b"none"));
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let proven = match (origins.next().map(HeaderValue::as_bytes), origins.next()) {
            (_, Some(_)) => return Err(Problem::CrossSite.into()),
            (None, None) => from_here,
            // Forms of our own pages say `null` where a browser, or a proxy, keeps every referrer back.
            (Some(b"null"), None) if from_here => true,
            (Some(origin), None) if names(&self.allowed, origin) => return Ok(()),
            (Some(origin), None) if names(&self.own, origin) => true,
            (Some(_), None) => return Err(Problem::CrossSite.into()),
        };
        if site == Some(b"cross-site") || (!proven && carries_cookie(headers)) {
            return Err(Problem::CrossSite.into());
        }
        Ok(())
    }

    /// Refuses a request that does not say once for which host it is where it has to (RFC 9112 §3.2): what stands
    /// before this server may have read another one. And one to a loopback server under a foreign name: a page
    /// whose name was made to point at this machine (DNS rebinding) would otherwise pass for one of our own.
    ///
    /// # Errors
    /// [`Problem::MalformedRequest`], [`Problem::CrossSite`].
    pub fn guard_host(&self, version: Version, headers: &HeaderMap) -> Result<()> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            // Before there was the header, and since it has another place.
            (None, None) if version != Version::HTTP_11 => return Ok(()),
            _ => return Err(Error::new(Problem::MalformedRequest).detail("Send one Host header.")),
        };
        if !self.local {
            return Ok(());
        }
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next(),
            None => host.split(':').next(),
        };
        if is_local(name.unwrap_or_default()) { Ok(()) } else { Err(Problem::CrossSite.into()) }
    }

    /// The answer to a preflight; none when the request is something else.
    ///
    /// # Errors
    /// [`Problem::CrossSite`] for an origin that is not on the list.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Result<Option<Response>> {
        let asks = *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let Some(origin) = headers.get(header::ORIGIN).filter(|_| asks) else { return Ok(None) };
        if !names(&self.allowed, origin.as_bytes()) {
            return Err(Problem::CrossSite.into());
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let told = response.headers_mut();
        told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED_HEADERS);
        told.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
        Ok(Some(response))
    }

    /// Tells the browser whether the page at `origin` may read the answer.
    pub fn share(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.allowed.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| names(&self.allowed, origin.as_bytes())) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN_HEADERS);
        }
    }
}

fn names(list: &[String], origin: &[u8]) -> bool {
    list.iter().any(|name| name.as_bytes() == origin)
}

fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether one of our cookies came along.
fn carries_cookie(headers: &HeaderMap) -> bool {
    let is_ours = |name: &[u8]| COOKIES.iter().any(|start| name.starts_with(start.as_bytes()));
    sessions::cookies(headers).any(|(name, _)| is_ours(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://accounts.example.com";
    const APP: &str = "https://app.example.com";

    fn origins() -> Origins {
        Origins::new(&Origin::parse(OWN).unwrap(), &[APP.to_owned()]).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn passes(pairs: &[(&'static str, &str)]) -> bool {
        origins().guard(&Method::POST, &headers(pairs)).is_ok()
    }

    #[test]
    fn programs_and_our_own_pages_pass() {
        assert!(passes(&[]));
        assert!(passes(&[("origin", OWN)]));
        assert!(passes(&[
            ("origin", OWN),
            ("sec-fetch-site", "same-origin"),
            ("cookie", "__Host-vestibule=x")
        ]));
        assert!(passes(&[("origin", APP), ("sec-fetch-site", "cross-site")]));
        assert!(passes(&[
            ("origin", APP),
            ("sec-fetch-site", "same-site"),
            ("cookie", "__Host-vestibule=x")
        ]));
        assert!(passes(&[
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
            ("cookie", "__Host-vestibule=x")
        ]));
        assert!(passes(&[("authorization", "Bearer vs_x")]));
        assert!(passes(&[("cookie", "AWSALB=sticky")]));
    }

    #[test]
    fn other_sites_do_not() {
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://accounts.example.com",
            "https://accounts.example.com.evil.example",
            "https://accounts.example.com:444",
            "HTTPS://ACCOUNTS.EXAMPLE.COM",
        ] {
            assert!(!passes(&[("origin", origin)]), "{origin}");
        }
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("origin", OWN), ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("origin", OWN), ("origin", "https://evil.example")]));
        assert!(origins().guard(&Method::GET, &headers(&[("origin", "https://evil.example")])).is_ok());
    }

    #[test]
    fn a_cookie_needs_proof_of_its_page() {
        for cookie in ["__Host-vestibule=x", "a=b; vestibule=x", "a=é;\tvestibule=x", "vestibule-pending=x"]
        {
            assert!(!passes(&[("cookie", cookie)]), "{cookie}");
            assert!(!passes(&[("cookie", cookie), ("authorization", "Bearer vs_x")]), "{cookie}");
            assert!(!passes(&[("cookie", cookie), ("sec-fetch-site", "same-site")]), "{cookie}");
            assert!(passes(&[("cookie", cookie), ("sec-fetch-site", "none")]), "{cookie}");
            assert!(passes(&[("cookie", cookie), ("origin", OWN)]), "{cookie}");
        }
        assert!(!passes(&[("cookie", "a=b"), ("cookie", "__Host-vestibule=x")]));
    }

    #[test]
    fn a_loopback_server_answers_to_loopback_names_only() {
        let local = Origins::new(&Origin::parse("http://127.0.0.1:8080").unwrap(), &[]).unwrap();
        for host in ["127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:8080", "127.0.0.2"] {
            assert!(local.guard_host(Version::HTTP_11, &headers(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example:8080", "", "localhost.evil.example", "[::2]", "10.0.0.1"] {
            assert!(local.guard_host(Version::HTTP_11, &headers(&[("host", host)])).is_err(), "{host}");
        }
        assert!(origins().guard_host(Version::HTTP_11, &headers(&[("host", "anything")])).is_ok());
        // Once, where the version has the header.
        for (version, hosts, good) in [
            (Version::HTTP_11, &[][..], false),
            (Version::HTTP_11, &["a", "a"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_2, &["a", "b"], false),
        ] {
            let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let told = origins().guard_host(version, &headers(&hosts));
            assert_eq!(told.is_ok(), good, "{version:?} {hosts:?}");
            assert!(told.err().is_none_or(|error| error.problem == Problem::MalformedRequest));
        }
        for page in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
            assert!(local.guard(&Method::POST, &headers(&[("origin", page)])).is_ok(), "{page}");
        }
        assert!(local.guard(&Method::POST, &headers(&[("origin", "http://localhost:8081")])).is_err());
        let bare = Origins::new(&Origin::parse("http://[::1]").unwrap(), &[]).unwrap();
        assert!(bare.guard(&Method::POST, &headers(&[("origin", "http://localhost")])).is_ok());
    }

    #[test]
    fn a_preflight_is_answered_for_listed_origins_only() {
        let ask = |origin| {
            origins().preflight(
                &Method::OPTIONS,
                &headers(&[("origin", origin), ("access-control-request-method", "PUT")]),
            )
        };
        let response = ask(APP).unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], METHODS);
        assert!(ask("https://evil.example").is_err());
        assert!(origins().preflight(&Method::OPTIONS, &headers(&[("origin", APP)])).unwrap().is_none());
        assert!(origins().preflight(&Method::PUT, &headers(&[("origin", APP)])).unwrap().is_none());
    }

    #[test]
    fn answers_are_shared_with_listed_origins_only() {
        let told = |origin: &str| {
            let mut told = HeaderMap::new();
            origins().share(Some(HeaderValue::from_str(origin).unwrap()), &mut told);
            told
        };
        assert_eq!(told(APP)[header::ACCESS_CONTROL_ALLOW_ORIGIN], APP);
        assert_eq!(told(APP)[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        for origin in ["https://evil.example", "null", "*", OWN] {
            assert!(!told(origin).contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
            assert_eq!(told(origin)[header::VARY], "Origin");
        }
        assert!(Origins::new(&Origin::parse(OWN).unwrap(), &["*".to_owned()]).is_err());
    }
}
