//! A real browser, and persons who sit before it: Chromium, started once for all tests.
//!
//! A tab fails its test when the page asks any other host for anything, when its content policy stops
//! something, or when a script fails. `VESTIBULE_TEST_BROWSER` names the browser and `VESTIBULE_TEST_AXE`
//! the file of axe-core; `scripts/test` sees to both.

mod keyboard;
mod pipe;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use self::pipe::Pipe;
use crate::told;
use crate::world::World;

/// How long anything may take in a browser on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

static BROWSER: OnceLock<Option<Pipe>> = OnceLock::new();

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        told::left_out(format_args!("{name} is not set; scripts/test installs what it names."));
    }
    value
}

fn browser() -> Option<&'static Pipe> {
    BROWSER.get_or_init(|| Some(Pipe::start(&variable("VESTIBULE_TEST_BROWSER")?))).as_ref()
}

/// Somebody's window, with cookies of its own, open at one house.
pub struct Tab {
    browser: &'static Pipe,
    origin: String,
    context: String,
    session: String,
    told: UnboundedReceiver<Json>,
    /// Whether the person has no mouse.
    by_keyboard: bool,
    /// Other origins that the person may be sent to.
    elsewhere: Vec<String>,
    /// What went wrong unseen.
    faults: Vec<String>,
    /// Addresses that were asked for since the last page was opened, and how many bytes came.
    pub asked: Vec<String>,
    pub bytes: u64,
    /// The addresses of documents: their failures are answers, not faults.
    documents: Vec<String>,
}

impl Tab {
    /// A new window; none where there is no browser.
    pub async fn open(world: &World) -> Option<Self> {
        Self::at(&format!("http://{}", world.address)).await
    }

    /// A new window for the house at `origin`.
    pub async fn at(origin: &str) -> Option<Self> {
        let browser = browser()?;
        let ask = async |method: &str, params: Json| browser.ask(None, method, params).await.unwrap();
        let context = ask("Target.createBrowserContext", json!({})).await;
        let context = context["browserContextId"].as_str().unwrap().to_owned();
        let target =
            ask("Target.createTarget", json!({"url": "about:blank", "browserContextId": context})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = ask("Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let told = browser.listen(&session);
        let tab = Self {
            browser,
            origin: origin.to_owned(),
            context,
            session,
            told,
            by_keyboard: false,
            elsewhere: Vec::new(),
            faults: Vec::new(),
            asked: Vec::new(),
            bytes: 0,
            documents: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.ask(&format!("{domain}.enable"), json!({})).await;
        }
        tab.sized(1200, 800).await;
        Some(tab)
    }

    async fn ask(&self, method: &str, params: Json) -> Json {
        let asked = self.browser.ask(Some(&self.session), method, params);
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            other => panic!("{method}: {other:?}"),
        }
    }

    /// The person may also be sent to `origin`.
    pub fn may_leave_for(&mut self, origin: &str) {
        self.elsewhere.push(origin.to_owned());
    }

    // What the window is like

    pub async fn sized(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
        // The answer comes before the page has its new size.
        let resized = async { while self.evaluates("innerWidth").await != width {} };
        timeout(PATIENCE, resized).await.expect("the page gets its size");
    }

    pub async fn dark(&self, dark: bool) {
        let scheme = json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        let calm = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        self.ask("Emulation.setEmulatedMedia", json!({"features": [scheme, calm]})).await;
    }

    pub async fn without_scripts(&self) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    pub async fn reads(&self, languages: &str) {
        self.ask("Network.setExtraHTTPHeaders", json!({"headers": {"Accept-Language": languages}})).await;
    }

    pub async fn forgets_cookies(&self) {
        self.ask("Network.clearBrowserCookies", json!({})).await;
    }

    // Going somewhere

    /// Opens a path of the house, or an address.
    pub async fn goes_to(&mut self, path: &str) {
        let url = if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() };
        self.hears();
        (self.asked, self.bytes) = (Vec::new(), 0);
        let answer = self.ask("Page.navigate", json!({"url": url})).await;
        assert_eq!(answer.get("errorText"), None, "{url}: {answer}");
        self.arrives().await;
    }

    /// Waits until the next page is there.
    pub async fn arrives(&mut self) {
        loop {
            match timeout(PATIENCE, self.told.recv()).await {
                Ok(Some(event)) => {
                    let is_there = event["method"] == "Page.loadEventFired";
                    self.notes(&event);
                    if is_there {
                        break;
                    }
                }
                other => panic!("no page came: {:?}, {other:?}", self.shows().await),
            }
        }
    }

    /// Takes note of what has happened.
    fn hears(&mut self) {
        while let Ok(event) = self.told.try_recv() {
            self.notes(&event);
        }
    }

    fn notes(&mut self, event: &Json) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default().to_owned();
                if params["type"] == "Document" {
                    self.documents.push(url.clone());
                }
                let local = ["data:", "about:", "blob:"].iter().any(|scheme| url.starts_with(scheme));
                let within = |origin: &String| url == *origin || url.starts_with(&format!("{origin}/"));
                if !local && !within(&self.origin) && !self.elsewhere.iter().any(within) {
                    self.faults.push(format!("the page asked {url}"));
                }
                self.asked.push(url);
            }
            "Network.loadingFinished" => {
                self.bytes += params["encodedDataLength"].as_f64().unwrap_or_default() as u64
            }
            "Runtime.exceptionThrown" => self.faults.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                self.faults.push(params["args"].to_string())
            }
            "Log.entryAdded" => {
                let entry = &params["entry"];
                let is_answer = entry["source"] == "network"
                    && self.documents.iter().any(|document| entry["url"] == **document);
                if entry["level"] == "error" && !is_answer {
                    self.faults.push(entry.to_string());
                }
            }
            "Page.javascriptDialogOpening" => self.faults.push(format!("a dialog: {params}")),
            _ => {}
        }
    }

    /// What went wrong unseen until now, which is then forgotten.
    pub fn takes_faults(&mut self) -> Vec<String> {
        self.hears();
        std::mem::take(&mut self.faults)
    }

    // Reading

    /// The value of a JavaScript expression, awaited.
    pub async fn evaluates(&self, expression: &str) -> Json {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", ask).await;
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// All text that can be seen.
    pub async fn shows(&self) -> String {
        self.evaluates("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn expects<T: Debug>(&self, found: Option<T>, what: &str, page: &str) -> T {
        found.unwrap_or_else(|| panic!("there is no {what} on the page:\n{page}"))
    }

    /// Fails when the page does not show `text`.
    pub async fn sees(&self, text: &str) {
        let page = self.shows().await;
        assert!(page.contains(text), "{text:?} is not on {}:\n{page}", self.path().await);
    }

    /// Path and query of the page.
    pub async fn path(&self) -> String {
        self.evaluates("location.pathname + location.search").await.as_str().unwrap().to_owned()
    }

    /// The whole address of the page.
    pub async fn address(&self) -> String {
        self.evaluates("location.href").await.as_str().unwrap().to_owned()
    }

    /// The text of the first element that `css` names.
    pub async fn text(&self, css: &str) -> String {
        let told = self.evaluates(&format!("document.querySelector({css:?})?.innerText")).await;
        let page = self.shows().await;
        self.expects(told.as_str(), css, &page).to_owned()
    }

    // Doing

    /// Clicks where the middle of the first visible element is that `find` (JavaScript) comes to.
    async fn clicks_on(&mut self, find: &str, what: &str) {
        if self.by_keyboard {
            return self.strikes_on(find, what).await;
        }
        self.hears();
        let place = format!(
            "(() => {{ const e = {find}; if (!e) return null; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const r = e.getBoundingClientRect(); const x = r.x + r.width / 2, y = r.y + r.height / 2; \
             const top = document.elementFromPoint(x, y); \
             return {{x, y, hit: !!top && (e.contains(top) || top.contains(e))}}; }})()"
        );
        let place = self.evaluates(&place).await;
        let page = self.shows().await;
        let x = self.expects(place["x"].as_f64(), what, &page);
        assert_eq!(place["hit"], true, "something lies over {what}:\n{page}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": x, "y": place["y"], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks the button, link, label or heading of a fold that says `text`.
    pub async fn clicks(&mut self, text: &str) {
        let find = format!(
            "[...document.querySelectorAll('button,a,summary,label')].find(e => e.checkVisibility() && \
             ((e.getAttribute('aria-label') ?? e.innerText).trim() === {text:?} || e.innerText.trim() === {text:?}))"
        );
        self.clicks_on(&find, text).await;
    }

    /// Clicks the first element that `css` names.
    pub async fn clicks_at(&mut self, css: &str) {
        self.clicks_on(&format!("document.querySelector({css:?})"), css).await;
    }

    /// Clicks, and waits for the page that comes of it.
    pub async fn follows(&mut self, text: &str) {
        self.clicks(text).await;
        self.arrives().await;
    }

    /// Clicks the first element that `css` names, and waits for the page that comes of it.
    pub async fn follows_at(&mut self, css: &str) {
        self.clicks_at(css).await;
        self.arrives().await;
    }

    /// Fills the field of this name in, over what was there.
    pub async fn fills(&mut self, name: &str, text: &str) {
        let find =
            format!("[...document.querySelectorAll('[name={name:?}]')].find(e => e.checkVisibility())");
        if self.by_keyboard {
            self.walks_to(&find, name).await;
            self.selects_all().await;
        } else {
            let take = format!(
                "(() => {{ const e = {find}; if (!e) return false; e.focus(); e.select?.(); \
                 return document.activeElement === e; }})()"
            );
            let found = self.evaluates(&take).await;
            let page = self.shows().await;
            self.expects((found == true).then_some(()), name, &page);
        }
        self.types(text).await;
    }

    /// Types into whatever has the focus.
    pub async fn types(&self, text: &str) {
        self.ask("Input.insertText", json!({"text": text})).await;
    }

    // Judging

    /// Fails when axe-core finds anything to say.
    pub async fn is_accessible(&self) {
        let Some(axe) = variable("VESTIBULE_TEST_AXE") else { return };
        let axe = std::fs::read_to_string(axe).unwrap();
        self.evaluates(&format!("{axe}\n;1")).await;
        // What Swagger UI draws is not ours: its colours are too pale in many places.
        let run = "axe.run({exclude: ['#swagger-ui']}, {resultTypes: ['violations']}).then(r => r.violations.map(v => \
                   ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + ' ' + n.failureSummary)})))";
        let found = self.evaluates(run).await;
        assert_eq!(found, json!([]), "{}: {found:#}", self.path().await);
    }

    /// Fails when something reaches over the sides of the window.
    pub async fn fits(&self) {
        let wide = "[...document.querySelectorAll('body *')].filter(e => { const r = e.getBoundingClientRect(); \
                    return r.width && r.height && (r.right > innerWidth + 1 || r.left < -1) && \
                    getComputedStyle(e).position !== 'absolute' && !e.parentElement.closest('.scroll') }).map(e => e.outerHTML.slice(0, 120))";
        let over = "document.documentElement.scrollWidth > innerWidth";
        let (wide, over) = (self.evaluates(wide).await, self.evaluates(over).await);
        assert!(over == false && wide == json!([]), "{}: {wide:#}", self.path().await);
    }

    /// A picture of the whole page, in `target/screenshots`.
    pub async fn pictured(&self, name: &str) {
        let place = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots"));
        std::fs::create_dir_all(&place).unwrap();
        // The window takes the height of the page for the moment: a picture beyond the window is shifted when a page
        // from right to left is no higher than that.
        let size = self.evaluates("[innerWidth, innerHeight, document.documentElement.scrollHeight]").await;
        let size: [u32; 3] = serde_json::from_value(size).unwrap();
        let [width, height, whole] = size;
        self.sized(width, whole).await;
        let ask = json!({"format": "png"});
        let picture = self.ask("Page.captureScreenshot", ask).await;
        self.sized(width, height).await;
        let picture = base64::prelude::BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(place.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.browser.forget(&self.session);
        self.browser.tell("Target.disposeBrowserContext", json!({"browserContextId": self.context}));
        let faults = self.takes_faults();
        if !std::thread::panicking() {
            assert!(faults.is_empty(), "{faults:#?}");
        }
    }
}
