//! What every request passes, tried.

use super::*;
use crate::http::testing::{app, app_with, ask, ask_at, get, json, server, text};
use std::sync::Mutex;

const JSON: (&str, &str) = ("content-type", "application/json");
const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

async fn kind(response: Response) -> String {
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], problem::MEDIA_TYPE);
    let status = response.status().as_u16();
    let report = json(response).await;
    assert_eq!(report["instance"], id);
    assert_eq!(report["status"], status);
    report["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
}

#[tokio::test]
async fn every_answer_wears_its_headers() {
    for path in ["/api/v1/me", "/nothing", "/api/v1/panics", "/docs", "/health/live"] {
        let response = get(path).await;
        let headers = response.headers();
        for (name, value) in ALWAYS {
            assert_eq!(headers[&name], value, "{path}");
        }
        let is_page = path == "/docs";
        assert_eq!(headers["content-security-policy"], if is_page { PAGE_POLICY } else { DATA_POLICY });
        let referrers = if is_page { "same-origin" } else { "no-referrer" };
        assert_eq!(headers.get_all("referrer-policy").iter().collect::<Vec<_>>(), [referrers], "{path}");
        for (name, value) in PAGES {
            assert_eq!(headers.get(&name).is_some_and(|said| said == value), is_page, "{path}");
        }
        assert_eq!(headers["strict-transport-security"], STRICT_TRANSPORT);
        assert!(headers.contains_key("x-request-id") && !headers.contains_key("server"));
    }
    let plain = app_with(crate::config::Server { origin: "http://127.0.0.1:8080".to_owned(), ..server() });
    assert!(
        !ask_at(&plain, "GET", "/api/v1/me", &[], "")
            .await
            .headers()
            .contains_key("strict-transport-security")
    );
    assert_eq!(
        kind(ask_at(&plain, "GET", "/api/v1/me", &[("host", "evil.example:8080")], "").await).await,
        "cross-site"
    );
}

#[tokio::test]
async fn closed_routes_ask_who_it_is_before_anything_else() {
    assert_eq!(kind(get("/api/v1/things/7").await).await, "unauthenticated");
    assert_eq!(kind(ask("POST", "/api/closed", &[], "").await).await, "unauthenticated");
    let (app, bearer) = crate::http::testing::signed_in().await;
    let asked = async |path: &str| ask_at(&app, "GET", path, &[("authorization", &bearer)], "").await;
    assert_eq!(text(asked("/api/v1/things/7?limit=3").await).await, "7 Some(3)");
    assert_eq!(text(asked("/api/things/7").await).await, "7 None");
    assert_eq!(kind(asked("/api/v1/things/x").await).await, "not-found");
    assert_eq!(kind(asked("/api/v1/things/7?x=1").await).await, "invalid");
}

#[tokio::test]
async fn a_request_begins_when_its_body_is_there() {
    let app = app();
    let clock = app.clock.clone();
    let body = futures_util::stream::once(async move {
        clock.advance(Duration::from_secs(7));
        Ok::<_, std::convert::Infallible>("slow")
    });
    let request = Request::post("/api/v1/now").header("host", "x").body(Body::from_stream(body)).unwrap();
    let before = app.clock.now();
    let answer = tower::ServiceExt::oneshot(crate::http::testing::door(&app), request).await.unwrap();
    assert_eq!(text(answer).await, (before + Duration::from_secs(7)).to_string());
}

#[tokio::test]
async fn ids_of_requests_differ() {
    let app = app();
    let door = Door::new(Arc::clone(&app), []).unwrap();
    let ids: std::collections::HashSet<_> = (0..10_000).map(|_| door.new_id()).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
}

#[tokio::test]
async fn bodies_are_json_of_the_right_shape_and_size() {
    let things = "/api/v1/things";
    let made = ask("POST", things, &[JSON], r#"{"name":"a"}"#).await;
    assert_eq!((made.status().as_u16(), text(made).await.as_str()), (201, r#"{"name":"a"}"#));
    assert_eq!(kind(ask("POST", things, &[], r#"{"name":"a"}"#).await).await, "unsupported-media-type");
    assert_eq!(kind(ask("POST", things, &[JSON], "{").await).await, "malformed-body");
    assert_eq!(kind(ask("POST", things, &[JSON], r#"{"name":"a","x":1}"#).await).await, "invalid");
    let large: &'static str = "x".repeat(1025).leak();
    assert_eq!(kind(ask("POST", things, &[JSON], large).await).await, "body-too-large");
    assert_eq!(text(ask("POST", "/api/v1/perhaps", &[], "").await).await, "none");
    assert_eq!(text(ask("POST", "/api/v1/perhaps", &[JSON], r#"{"name":"a"}"#).await).await, "a");
    assert_eq!(
        kind(ask("POST", "/api/v1/perhaps", &[], r#"{"name":"a"}"#).await).await,
        "unsupported-media-type"
    );
}

#[tokio::test]
async fn failures_of_ours_are_one_problem_without_a_cause() {
    for path in ["/api/v1/panics", "/api/v1/fails"] {
        let response = get(path).await;
        let report = text(response).await;
        assert!(
            report.contains("/problems/internal")
                && !report.contains("hidden")
                && !report.contains("purpose"),
            "{report}"
        );
    }
    assert_eq!(kind(get("/api/v1/stuck").await).await, "unavailable");
    assert_eq!(kind(get("/nothing").await).await, "not-found");
    let wrong = ask("DELETE", "/api/v1/things", &[], "").await;
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(kind(wrong).await, "method-not-allowed");
    let both = ask("POST", "/api/v1/me", &[], "").await;
    assert_eq!(both.headers()["allow"], "GET,HEAD");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let many: Vec<(String, &str)> = (0..=HEADER_COUNT).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(kind(ask("GET", "/api/v1/me", &many, "").await).await, "headers-too-large");
    // One more says for which host it is.
    assert_eq!(ask("GET", "/api/v1/me", &many[2..], "").await.status(), 200);
    let long = "x".repeat(HEADER_BYTES);
    assert_eq!(kind(ask("GET", "/api/v1/me", &[("x-long", &long)], "").await).await, "headers-too-large");
    let path = format!("/api/v1/me?{}", "x".repeat(ADDRESS_BYTES));
    assert_eq!(kind(get(&path).await).await, "malformed-request");
}

/// Also what is refused before the line of the router is reached.
#[tokio::test]
async fn where_clients_of_oauth_ask_every_failure_has_its_name() {
    let long: &'static str = "x".repeat(1025).leak();
    let many: Vec<(String, &str)> = (0..=HEADER_COUNT).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let asked = async |method: &str, path: &str, headers: &[(&str, &str)], body: &'static str| {
        let answer = ask(method, path, headers, body).await;
        (answer.status().as_u16(), json(answer).await["error"].as_str().map(str::to_owned))
    };
    let told = |status: u16, name: &str| (status, Some(name.to_owned()));
    for path in ["/oauth2/introspect", "/oauth2/revoke", "/login"] {
        assert_eq!(asked("POST", path, &[], long).await, told(413, "invalid_request"), "{path}");
        assert_eq!(asked("POST", path, &many, "").await, told(431, "invalid_request"), "{path}");
        assert_eq!(asked("DELETE", path, &[], "").await, told(405, "invalid_request"), "{path}");
    }
    let evil = [("origin", EVIL)];
    assert_eq!(asked("POST", "/login", &evil, "").await, told(403, "invalid_request"));
    assert_eq!(asked("POST", "/oauth2/introspect", &[], "").await, told(401, "invalid_client"));
    assert_eq!(asked("POST", "/api/v1/things", &[JSON], long).await, (413, None));
    assert_eq!(asked("POST", "/nothing", &[], "").await, (404, None));
}

#[tokio::test]
async fn other_sites_are_kept_out_unless_the_line_is_for_callbacks() {
    let evil = ("origin", EVIL);
    assert_eq!(
        kind(ask("POST", "/api/v1/things", &[JSON, evil], r#"{"name":"a"}"#).await).await,
        "cross-site"
    );
    assert_eq!(
        kind(ask("POST", "/api/v1/closed", &[("cookie", "__Host-vestibule=x")], "").await).await,
        "cross-site"
    );
    assert_eq!(ask("POST", "/api/v1/hook", &[evil], "").await.status(), 200);
    assert_eq!(ask("GET", "/api/v1/me", &[evil], "").await.status(), 200);
    let listed = ask("POST", "/api/v1/things", &[JSON, ("origin", APP)], r#"{"name":"a"}"#).await;
    assert_eq!(listed.status(), 201);
    assert_eq!(listed.headers()["access-control-allow-origin"], APP);
    let refused = ask("GET", "/api/v1/things/7", &[("origin", APP)], "").await;
    assert_eq!(refused.headers()["access-control-allow-origin"], APP, "failures can be read too");
    let preflight = [("origin", APP), ("access-control-request-method", "POST")];
    let answer = ask("OPTIONS", "/api/v1/things", &preflight, "").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["access-control-allow-origin"]),
        (204, &HeaderValue::from_static(APP))
    );
    let answer =
        ask("OPTIONS", "/api/v1/things", &[evil, ("access-control-request-method", "POST")], "").await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(kind(answer).await, "cross-site");
}

#[tokio::test]
async fn the_request_id_is_ours_or_a_trusted_proxys() {
    let told = |id: &'static str| async move {
        ask("GET", "/api/v1/me", &[("x-request-id", id)], "").await.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(told("trace-0123").await, "trace-0123");
    for id in ["short", "has space!", "a_b_c_d_e_f", &*"x".repeat(65).leak()] {
        let own: Uuid = told(id).await.parse().unwrap();
        assert_eq!(own.get_version_num(), 7);
    }
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert!(text(ask("GET", "/api/v1/me", &[("x-request-id", id)], "").await).await.contains(id));
    let nobody = app_with(crate::config::Server { trusted_proxies: Vec::new(), ..server() });
    let response = ask_at(&nobody, "GET", "/api/v1/me", &[("x-request-id", "trace-0123")], "").await;
    assert_ne!(response.headers()["x-request-id"], "trace-0123");
}

#[tokio::test]
async fn the_handler_learns_the_client() {
    let told = text(
        ask("GET", "/api/v1/me", &[("x-forwarded-for", "203.0.113.9"), ("user-agent", "curl\t8")], "").await,
    )
    .await;
    assert!(told.starts_with("203.0.113.9 ") && told.ends_with(" curl8"), "{told}");
}

#[tokio::test]
async fn figures_and_the_log_name_the_template_and_never_the_path() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, a line that another thread reaches first would be off for everybody.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let _guard = tracing::subscriber::set_default(log);
    let app = app();
    let secret = [("x-secret", "vs_secret"), ("authorization", "Bearer vs_secret"), JSON];
    for (method, path) in [
        ("GET", "/api/v1/things/vs_secret?code=vs_secret"),
        ("GET", "/vs_secret"),
        ("POST", "/api/v1/things"),
        ("VSX", "/api/v1/me"),
        ("GET", "/api/v1/fails"),
    ] {
        ask_at(&app, method, path, &secret, "\"vs_secret\"").await;
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("/api/v1/things/{id}") && log.contains("unmatched") && log.contains("status=401"),
        "{log}"
    );
    assert_eq!(log.matches("the hidden cause").count(), 1, "{log}");
    let figures = app.metrics.render();
    assert!(
        figures.contains(
            r#"vestibule_http_requests_total{method="GET",route="/api/v1/things/{id}",status="401"} 1"#
        ),
        "{figures}"
    );
    assert!(figures.contains(r#"method="other""#), "{figures}");
    assert!(!log.contains("vs_secret") && !figures.contains("vs_secret"), "{log}");
    assert!(!log.contains("VSX") && !figures.contains("VSX"), "{log}");
}

#[test]
fn settings_that_cannot_be_read_are_refused() {
    let wrong = crate::config::Server { allowed_origins: vec!["*".to_owned()], ..server() };
    assert!(Door::new(app_with(wrong), []).is_err());
}
