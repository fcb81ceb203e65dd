//! A person without a mouse: goes to things by Tab and Shift-Tab, uses them by Enter and Space, and must see
//! at each stop where they are.

use serde_json::json;

use super::Tab;

/// A key of the keyboard: its name, its number, and what it types.
const KEYS: [(&str, i32, &str); 6] = [
    ("Tab", 9, ""),
    ("Enter", 13, "\r"),
    ("Escape", 27, ""),
    ("ArrowDown", 40, ""),
    ("ArrowUp", 38, ""),
    (" ", 32, " "),
];

/// More stops than any page has.
const STOPS: usize = 200;

/// What Shift and Control are to the browser.
const SHIFT: u8 = 8;
const CONTROL: u8 = 2;

impl Tab {
    /// From now on the person has no mouse: what they click or fill in they go to by the keyboard.
    pub fn by_keyboard(&mut self) {
        self.by_keyboard = true;
    }

    /// Presses a key.
    pub async fn presses(&mut self, name: &str) {
        self.strikes(name, 0).await;
    }

    async fn strikes(&mut self, name: &str, modifiers: u8) {
        self.hears();
        let (key, code, text) = KEYS.into_iter().find(|(key, ..)| *key == name).unwrap();
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers,
            });
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Marks all that the field holds, so that what is typed takes its place.
    pub(super) async fn selects_all(&mut self) {
        for (kind, commands) in [("rawKeyDown", json!(["selectAll"])), ("keyUp", json!([]))] {
            let event = json!({
                "type": kind, "key": "a", "code": "KeyA", "windowsVirtualKeyCode": 65,
                "modifiers": CONTROL, "commands": commands,
            });
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Goes to the first visible element that `css` names.
    pub async fn tabs_to(&mut self, css: &str) {
        let find = format!("[...document.querySelectorAll({css:?})].find(e => e.checkVisibility())");
        self.walks_to(&find, css).await;
    }

    /// Goes to the element that `find` (JavaScript) comes to: on by Tab, back by Shift-Tab.
    pub(super) async fn walks_to(&mut self, find: &str, what: &str) {
        let look = format!(
            "(() => {{ const to = {find}, e = to?.control ?? to, at = document.activeElement; if (!e) return null; \
             const style = getComputedStyle(at), place = at.getBoundingClientRect(); \
             const seen = at === document.body || style.outlineStyle !== 'none' && \
             parseFloat(style.outlineWidth) > 0 && place.width > 0 && place.bottom > 0 && place.top < innerHeight; \
             const way = e === at ? 'here' : e.compareDocumentPosition(at) & 4 ? 'back' : 'on'; \
             return {{way, seen, at: [at.outerHTML.slice(0, 200), style.outline, place.top, place.bottom]}}; }})()"
        );
        for _ in 0..STOPS {
            let stop = self.evaluates(&look).await;
            let page = self.shows().await;
            let way = self.expects(stop["way"].as_str(), what, &page);
            assert_eq!(stop["seen"], true, "nobody sees that they are at {}:\n{page}", stop["at"]);
            match way {
                "here" => return,
                "back" => self.strikes("Tab", SHIFT).await,
                _ => self.presses("Tab").await,
            }
        }
        panic!("the keyboard does not lead to {what}:\n{}", self.shows().await);
    }

    /// Goes to the element that `find` comes to and uses it: links open by Enter, all else by Space.
    pub(super) async fn strikes_on(&mut self, find: &str, what: &str) {
        self.walks_to(find, what).await;
        let is_link = self.evaluates("document.activeElement.matches('a')").await == true;
        self.presses(if is_link { "Enter" } else { " " }).await;
    }
}
