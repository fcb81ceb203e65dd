//! What others try with a person's browser: leading it elsewhere, framing pages, sending forms, leaving
//! scripts in fields. Each is tried in a real browser, and none may succeed.

use std::collections::BTreeSet;

use axum::http::{StatusCode, header};
use serde_json::{Value as Json, json};

use crate::administration::with_roles;
use crate::browser::Tab;
use crate::browser_journeys::{signs_in, signs_up};
use crate::browser_look::{Room, Things, open_house};
use crate::matrix::browser;
use crate::place::second_round;
use crate::told;
use crate::world::{PASSWORD, World};

const WELCOME: &str = "https://app.example.com/welcome?from=accounts";

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Ten thousand addresses that look like the one that is allowed, or like a path of this server.
fn crafted(origin: &str) -> Vec<String> {
    let starts = [
        "",
        "/",
        "//",
        "///",
        "\\",
        "\\\\",
        "/\\",
        "\\/",
        "/./",
        "/%2f",
        "/%5c",
        "http:",
        "https:",
        "https:/",
        "https://",
        "https:\\\\",
        "HTTPS://",
        "\thttps://",
        "https://\t",
        "h\nttps://",
        " https://",
        "\u{0}https://",
        "javascript:",
        "JaVaScRiPt:",
        "java\tscript:",
        "data:text/html,",
        "vbscript:",
        "blob:",
        "file://",
        "ftp://",
        "https://app.example.com@",
        "https://app.example.com:x@",
        "https://app.example.com.",
        "https://app.example.com\\@",
        "https://app.example.com%2f@",
        "https://app.example.com%00.",
        "https://app.example.com#@",
        "https://app.example.com?@",
        "https://app.example.com\u{3002}",
        "https://app\u{ff0e}example.com",
        "https://xn--",
        "//app.example.com@",
        "/account//",
        "/account/..//",
        "/account/../../",
        "/account/%2e%2e//",
        "/account\\",
        "/account\t//",
        "/account?x=//",
        "account//",
    ];
    let hosts = [
        "evil.example",
        "evil.example/",
        "evil.example/welcome",
        "evil.example/welcome?from=accounts",
        "evil.example#",
        "evil.example\\",
        "evil.example:443",
        "evil%2eexample",
        "evil\u{3002}example",
        "127.0.0.1",
        "0x7f000001",
        "[::1]",
        "app.example.com",
        "app.example.com/",
        "app.example.com/welcome",
        "app.example.com/Welcome?from=accounts",
        "app.example.com/welcome?from=accounts#x",
        "app.example.com/welcome?from=accounts&x",
        "app.example.com/welcome/?from=accounts",
        "APP.example.com/welcome?from=accounts",
        "alert(document.domain)",
    ];
    let ends = [
        "",
        "/",
        "//",
        "/..",
        "#",
        "?",
        "\t",
        "\r\nLocation: https://evil.example",
        "%0d%0aSet-Cookie: x=y",
        "\u{202e}",
    ];
    let mut all = Vec::new();
    for start in starts {
        for host in hosts {
            all.extend(ends.map(|end| format!("{start}{host}{end}")));
        }
    }
    all.push(format!("{origin}.evil.example/"));
    all.push(format!("{origin}@evil.example/"));
    all
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    if second_round() {
        return;
    }
    let world = World::plan().config(|config| config.pages.return_to = vec![WELCOME.into()]).build().await;
    let Some(tab) = Tab::open(&world).await else { return };
    let person = world.alice().await;
    let signed_in = browser(&person).await;
    let origin = format!("http://{}", world.address);
    let all = crafted(&origin);
    assert!(all.len() >= 10_000, "{}", all.len());
    let mut led = Vec::new();
    for address in &all {
        for name in ["return_to", "then"] {
            let answer = signed_in.get(&format!("/sign-in?{name}={}", encoded(address))).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address:?}");
            led.push(answer.headers[header::LOCATION].to_str().unwrap().to_owned());
        }
    }
    // The browser itself says where each of them would have led.
    let judge = format!(
        "(() => {{ const led = {}; return led.filter(to => {{ const url = new URL(to, {origin:?} + '/sign-in'); \
         return url.origin !== {origin:?} && url.href !== {WELCOME:?} }}) }})()",
        json!(led)
    );
    assert_eq!(tab.evaluates(&judge).await, json!([]));
    told::figure(format_args!("addresses crafted to lead elsewhere: {}, each given twice", all.len()));
    // And the one that is allowed is followed, letter for letter.
    let answer = signed_in.get(&format!("/sign-in?return_to={}", encoded(WELCOME))).await;
    assert_eq!(answer.headers[header::LOCATION], WELCOME);
    let inside = signed_in.get("/sign-in?then=/account/security").await;
    assert_eq!(inside.headers[header::LOCATION], "/account/security");
}

#[tokio::test]
async fn whoever_has_signed_in_returns_to_the_application() {
    const PAGES: &[(&str, &str)] = &[(
        "/welcome",
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>x</title><h1>Back in the app</h1></html>",
    )];
    let application = format!("http://{}", crate::browser_harness::elsewhere(PAGES).await);
    let address = format!("{application}/welcome");
    let allowed = address.clone();
    let world = World::plan().config(|config| config.pages.return_to = vec![allowed]).build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.may_leave_for(&application);
    let person = world.member().await;
    tab.goes_to(&format!("/sign-in?return_to={}&ui_locales=fr", encoded(&address))).await;
    tab.fills("identifier", &person.username).await;
    tab.fills("password", PASSWORD).await;
    tab.follows("Se connecter").await;
    world.run_due().await;
    tab.fills("code", &world.last_code(&person.mobile).await).await;
    tab.follows("Continuer").await;
    assert_eq!(tab.address().await, address);
    tab.sees("Back in the app").await;
}

#[tokio::test]
async fn no_page_is_framed_and_no_form_of_another_site_does_anything() {
    if second_round() {
        return;
    }
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    signs_in(&mut tab, &person).await;
    let house = format!("http://{}", world.address);
    let routes: Vec<_> =
        vestibule::http::router::all().into_iter().filter(|route| !route.documented).collect();
    let forms: String = routes
        .iter()
        .filter(|route| route.method == "POST" && !route.path.starts_with("/api"))
        .map(|route| {
            let path = route.path.replace("{id}", "00000000-0000-7000-8000-000000000000").replace("{kind}", "email");
            format!("<form method=post target=out action='{house}{path}'><input name=scope value=all><input name=identifier value=x></form>")
        })
        .collect();
    let count = forms.matches("<form").count();
    assert!(count > 20, "{count}");
    let frames: String = ["/sign-in", "/account", "/account/delete"]
        .iter()
        .map(|path| format!("<iframe src='{house}{path}'></iframe>"))
        .collect();
    let page = format!(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>x</title><iframe name=out></iframe>{frames}{forms}</html>"
    );
    // Under another name: for a browser another site.
    let evil = crate::browser_harness::elsewhere(Box::leak(Box::new([("/", &*page.leak())]))).await;
    let evil = format!("http://localhost:{}", evil.port());
    tab.may_leave_for(&evil);
    tab.goes_to(&format!("{evil}/")).await;
    let sent = tab.evaluates("(async () => { for (const form of document.forms) { form.submit(); await new Promise(done => setTimeout(done, 30)); } return document.forms.length })()").await;
    assert_eq!(sent, count);
    let seen = tab
        .evaluates("Array.from({length: frames.length}, (_, i) => frames[i]).map(f => { try { return f.document.body.innerText } catch { return null } })")
        .await;
    assert!(seen.as_array().unwrap().iter().all(|text| !text.to_string().contains("Sign in")), "{seen}");
    let faults = tab.takes_faults();
    let framed = faults
        .iter()
        .filter(|fault| fault.contains("frame-ancestors") || fault.contains("X-Frame-Options"))
        .count();
    assert!(framed >= 3, "the browser was told not to frame: {faults:#?}");
    // Still signed in, and still there.
    tab.goes_to("/account").await;
    assert_eq!(tab.path().await, "/account");
    tab.sees(&person.username).await;
    tab.takes_faults();
}

#[tokio::test]
async fn a_form_without_proof_of_where_it_comes_from_does_nothing() {
    let world = World::new().await;
    let mut person = browser(&world.alice().await).await;
    person.headers.clear();
    for route in vestibule::http::router::all() {
        if route.documented
            || route.method != "POST"
            || route.path.starts_with("/api")
            || route.path.contains("webhook")
        {
            continue;
        }
        let path =
            route.path.replace("{id}", "00000000-0000-7000-8000-000000000000").replace("{kind}", "email");
        let form = Some(("application/x-www-form-urlencoded", b"scope=all".to_vec()));
        let answer = person.send("POST", &path, form).await;
        answer.problem(403, "cross-site");
    }
}

const SCRIPTS: [&str; 5] = [
    "\"><script>window.hit=1</script>",
    "'><img src=x onerror=window.hit=1>",
    "</title><svg onload=window.hit=1>",
    "javascript:window.hit=1",
    "{{ 7*7 }}{% raw %}${hit=1}",
];

#[tokio::test]
async fn scripts_in_fields_and_addresses_are_text() {
    let world = World::plan().policy(crate::world::unlimited).build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let unhit = async |tab: &mut Tab| {
        assert_eq!(tab.evaluates("window.hit ?? null").await, json!(null), "{}", tab.path().await);
        assert_eq!(tab.takes_faults(), Vec::<String>::new());
    };
    for script in SCRIPTS {
        let query = encoded(script);
        for path in [
            "/sign-in",
            "/sign-up",
            "/recover",
            "/verify",
            "/undo",
            "/not-me",
            "/code",
            "/step-up",
            "/sign-out",
            "/account",
        ] {
            let names = [
                "said",
                "return_to",
                "then",
                "operation",
                "ui_locales",
                "challenge",
                "code",
                "token",
                "identifier",
            ];
            let all: Vec<_> = names.iter().map(|name| format!("{name}={query}")).collect();
            tab.goes_to(&format!("{path}?{}", all.join("&"))).await;
            unhit(&mut tab).await;
        }
        tab.goes_to(&format!("/{query}")).await;
        unhit(&mut tab).await;
        for (path, fields, button) in [
            ("/sign-in", &["identifier", "password"][..], "Sign in"),
            ("/sign-up", &["username", "email", "mobile", "password"], "Create account"),
            ("/recover", &["identifier"], "Send me a code"),
        ] {
            tab.goes_to(path).await;
            tab.evaluates("document.querySelectorAll('form').forEach(form => { form.noValidate = true }), 1")
                .await;
            for field in fields {
                tab.fills(field, script).await;
            }
            tab.follows(button).await;
            unhit(&mut tab).await;
        }
    }
    // What is kept, and shown on every page where it is shown.
    let person = world.stranger();
    signs_up(&mut tab, &person).await;
    for script in SCRIPTS {
        tab.goes_to("/account").await;
        tab.fills("name", script).await;
        tab.follows("Save").await;
        unhit(&mut tab).await;
        let kept = tab.evaluates("document.querySelector('[name=name]').value").await;
        assert_eq!(kept, script);
    }
    for path in ["/account/security", "/account/devices", "/account/activity", "/account/data"] {
        tab.goes_to(path).await;
        unhit(&mut tab).await;
    }
    // A browser that calls itself a script.
    let mut other = person.clone();
    other.headers.insert(header::USER_AGENT, SCRIPTS[0].parse().unwrap());
    world.advance(std::time::Duration::from_secs(120));
    other.signs_in().await;
    for path in ["/account/devices", "/account/activity"] {
        tab.goes_to(path).await;
        tab.sees("<script>").await;
        unhit(&mut tab).await;
    }
    // Those who look after others see what people call themselves, and look for whatever is written there.
    let body = json!({"name": format!("Harbour {}", SCRIPTS[0])});
    other.post("/api/v1/organizations", body).await.expect(StatusCode::CREATED);
    crate::step_up::promote(&world, &other, &["admin"]).await;
    let me = other.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    let id = me["id"].as_str().unwrap();
    for path in [
        "/console/users",
        &format!("/console/users/{id}"),
        &format!("/console/users/{id}/suspend"),
        "/console/organizations",
        "/console/messages",
        "/console/audit",
        "/console/data/users",
        "/console/data/sessions",
        "/console/data/organizations",
    ] {
        tab.goes_to(path).await;
        assert_eq!(tab.path().await, path);
        unhit(&mut tab).await;
    }
    tab.goes_to("/console/organizations").await;
    tab.sees(SCRIPTS[0]).await;
    for script in SCRIPTS {
        let query = encoded(script);
        for path in ["users", "messages", "audit", "policy", "data/users", "organizations"] {
            let names = ["q", "status", "user", "what", "from", "by", "is", "explain", "try", "after"];
            let all: Vec<_> = names.iter().map(|name| format!("{name}={query}")).collect();
            tab.goes_to(&format!("/console/{path}?{}", all.join("&"))).await;
            unhit(&mut tab).await;
        }
    }
}

/// Puts `script` into the fields of the form at `at` and sends it. With `gently`, what would only be refused is filled
/// in as it should be, so that the rest is kept. `null` when there is no such form, 0 when it has no such field.
fn stuffed(at: u64, script: &str, gently: bool, newcomer: usize) -> String {
    format!(
        "(() => {{ const form = document.forms[{at}], script = {script:?}, gently = {gently}; if (!form) return null; \
         const fit = {{username: 'newcomer{newcomer}', email: 'newcomer{newcomer}@example.com'}}; let many = 0; \
         form.noValidate = true; \
         for (const field of form.elements) {{ \
         if (!field.name || field.type === 'submit' || gently && field.type !== 'text' && !fit[field.name]) continue; \
         if (gently && field.name === 'locale') continue; \
         const text = gently && fit[field.name] || script; many += text === script && field.type !== 'hidden'; \
         if (field.tagName === 'SELECT') field.append(new Option(text, text, true, true)); \
         else {{ if (field.type !== 'hidden') field.type = 'text'; field.value = text; }} }} \
         if (many) form.requestSubmit(form.querySelector('button:not([type=button])')); return many; }})()"
    )
}

/// Which forms of a page have a field that somebody fills in.
const TO_FILL: &str = "[...document.forms].flatMap((form, at) => [...form.elements].some(field => \
    field.name && !['hidden', 'submit'].includes(field.type)) ? [at] : [])";

/// Every field of every form of every page is filled with scripts: those that only come back, and those that are kept.
#[tokio::test]
async fn scripts_in_every_field_of_every_page_are_text() {
    if second_round() {
        return;
    }
    let world = open_house().build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let admin = with_roles(&world, &["admin"]).await;
    let things = Things::made(&world, &admin).await;
    let unhit = async |tab: &mut Tab, from: &str| {
        let path = tab.path().await;
        assert_eq!(tab.evaluates("window.hit ?? null").await, json!(null), "{from}: {path}");
        assert_eq!(tab.takes_faults(), Vec::<String>::new(), "{from}: {path}");
    };
    let (mut forms, mut fields) = (BTreeSet::new(), BTreeSet::new());
    let mut newcomers = 0;
    for room in [Room::Open, Room::Own, Room::Console] {
        if room == Room::Own {
            signs_in(&mut tab, &admin).await;
        }
        for address in things.addresses(room) {
            tab.goes_to(&address).await;
            let to_fill = tab.evaluates(TO_FILL).await;
            for at in to_fill.as_array().unwrap().iter().filter_map(Json::as_u64) {
                for (script, gently) in SCRIPTS.iter().flat_map(|script| [(script, false), (script, true)]) {
                    tab.goes_to(&address).await;
                    newcomers += 1;
                    let sent = tab.evaluates(&stuffed(at, script, gently, newcomers)).await;
                    // What has no field for what is kept, or has gone with what was done.
                    let Some(many @ 1..) = sent.as_u64() else { continue };
                    tab.arrives().await;
                    forms.insert((address.clone(), at));
                    fields.insert((address.clone(), at, many));
                    unhit(&mut tab, &address).await;
                    if tab.evaluates("document.querySelector('.acting') !== null").await == true {
                        tab.sees(script).await;
                        tab.follows("Stop acting").await;
                        unhit(&mut tab, &address).await;
                    }
                }
            }
        }
    }
    told::figure(format_args!(
        "{} forms with {} fields were stuffed",
        forms.len(),
        fields.iter().map(|(.., many)| many).sum::<u64>()
    ));
    assert!(forms.len() >= 30, "{forms:?}");
    // Wherever it is shown that was kept.
    let mut shown = BTreeSet::new();
    for room in [Room::Own, Room::Console] {
        for address in things.addresses(room) {
            tab.goes_to(&address).await;
            unhit(&mut tab, &address).await;
            let text = tab.shows().await;
            let values =
                tab.evaluates("[...document.querySelectorAll('input')].map(e => e.value).join()").await;
            let values = values.as_str().unwrap_or_default();
            if SCRIPTS.iter().any(|script| text.contains(script) || values.contains(script)) {
                shown.insert(address);
            }
        }
    }
    told::figure(format_args!("kept and shown as text on {} pages", shown.len()));
    for start in [
        "/account",
        "/account/organizations",
        "/console/users",
        "/console/organizations",
        "/console/data/users",
    ] {
        assert!(shown.contains(start), "{start} {shown:?}");
    }
}
