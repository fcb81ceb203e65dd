//! The browser itself: that it drives real pages, and that what must not happen unseen is seen.

use std::net::SocketAddr;

use axum::response::Html;
use axum::routing::get;

use crate::browser::Tab;
use crate::world::World;

/// A house of somebody else, whose pages are `pages`.
pub async fn elsewhere(pages: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = pages.iter().fold(axum::Router::new(), |router, (path, html)| {
        router.route(path, get(move || async move { Html(*html) }))
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test]
async fn a_person_recovers_an_account_in_a_browser() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.goes_to("/recover").await;
    tab.is_accessible().await;
    tab.fills("identifier", "nobody").await;
    tab.presses("Enter").await;
    tab.arrives().await;
    tab.sees("on its way").await;
    tab.pictured("harness").await;
}

#[tokio::test]
async fn what_happens_unseen_is_a_fault() {
    const PAGES: &[(&str, &str)] = &[
        ("/", "<title>x</title><img src='http://127.0.0.1:9/x.png'>"),
        ("/script", "<title>x</title><script>throw 1</script>"),
        (
            "/policy",
            "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><title>x</title><script>1</script>",
        ),
    ];
    let address = elsewhere(PAGES).await;
    let Some(mut tab) = Tab::at(&format!("http://{address}")).await else { return };
    for (path, told) in
        [("/", "127.0.0.1:9"), ("/script", "Uncaught"), ("/policy", "Content Security Policy")]
    {
        tab.goes_to(path).await;
        // What the console says comes after the page.
        tab.evaluates("new Promise(done => requestAnimationFrame(() => setTimeout(done)))").await;
        let faults = tab.takes_faults();
        assert!(faults.iter().any(|fault| fault.contains(told)), "{path}: {faults:?}");
    }
}

#[tokio::test]
async fn a_person_clicks_types_and_reads() {
    const PAGES: &[(&str, &str)] = &[
        (
            "/",
            "<!doctype html><html lang=en><link rel=icon href=data:,><title>x</title><main><h1>One</h1><form action=/two><label>Name <input name=name></label>
            <button>Go</button></form><p><a href=/two?name=Eve>Two</a></p><script>document.title = 'ran'</script></main>",
        ),
        ("/two", "<!doctype html><html lang=en><link rel=icon href=data:,><title>x</title><main><h1>Two</h1></main>"),
    ];
    let address = elsewhere(PAGES).await;
    let other = elsewhere(PAGES).await;
    let Some(mut tab) = Tab::at(&format!("http://{address}")).await else { return };
    tab.reads("ja").await;
    tab.goes_to("/").await;
    assert!(tab.asked.len() == 1 && tab.bytes > 100, "{:?} {}", tab.asked, tab.bytes);
    assert_eq!(tab.text("h1").await, "One");
    tab.fills("name", "Ada").await;
    tab.follows("Go").await;
    assert_eq!(tab.path().await, "/two?name=Ada");
    tab.goes_to("/").await;
    tab.tabs_to("[name=name]").await;
    tab.types("Bob").await;
    tab.presses("Enter").await;
    tab.arrives().await;
    assert_eq!(tab.path().await, "/two?name=Bob");
    tab.goes_to("/").await;
    tab.follows_at("a").await;
    tab.sees("Two").await;
    tab.without_scripts().await;
    tab.forgets_cookies().await;
    tab.dark(true).await;
    tab.goes_to("/").await;
    assert_eq!(tab.evaluates("document.title").await, "x", "scripts are off");
    assert_eq!(tab.evaluates("matchMedia('(prefers-color-scheme: dark)').matches").await, true);
    tab.sized(320, 640).await;
    tab.fits().await;
    tab.may_leave_for(&format!("http://{other}"));
    tab.goes_to(&format!("http://{other}/two")).await;
    assert_eq!(tab.address().await, format!("http://{other}/two"));
}
