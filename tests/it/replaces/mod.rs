//! The backends that this replaces, each as its own clients know it: a journey over real HTTP by a plain
//! client, written from that backend's description and from nothing else. `docs/replaces/` says what is
//! the same and what is not, and which test here stands for which sentence.

mod bearer;
mod calls;
mod optional_otp;
mod sentences;
mod sessions;
mod sms_2fa;

use std::net::SocketAddr;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vestibule::accounts::{Roles, User};
use vestibule::policy::{Policy, preset};
use vestibule::store::Change;

use crate::world::World;

pub const PASSWORD: &str = "seven lanterns by the harbour";
pub const OTHER: &str = "eight quiet herons on the pier";

/// A house under the preset `name`, or under the default policy.
pub async fn house(name: &'static str) -> World {
    let plan = World::plan().policy(move |policy| {
        let mut layers = Policy::layers();
        if name != "default" {
            layers.lay_file(name, preset(name).unwrap());
        }
        *policy = Policy::read(&mut layers).unwrap();
        assert!(layers.faults.is_empty(), "{:?}", layers.faults);
        policy.limits.send_block.limit = 100_000;
        policy.limits.unproven_block.limit = 100_000;
    });
    plan.build().await
}

/// A client of old: it keeps cookies and a token, and knows paths.
#[derive(Clone)]
pub struct Client {
    server: SocketAddr,
    /// The address that it asks from.
    pub from: [u8; 4],
    /// Whether it is a page in a browser, which says where it comes from.
    pub page: bool,
    pub token: Option<String>,
    pub cookies: Vec<(String, String)>,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub text: String,
    pub body: Json,
}

impl Client {
    pub fn of(world: &World) -> Self {
        let from = [127, 0, 0, 1];
        Self { server: world.address, from, page: false, token: None, cookies: Vec::new() }
    }

    /// A page of the old front end, in a browser.
    pub fn page(world: &World) -> Self {
        Self { page: true, ..Self::of(world) }
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    pub async fn json(&mut self, method: &str, path: &str, body: Json) -> Reply {
        self.send(method, path, Some(("application/json", &body.to_string()))).await
    }

    pub async fn post(&mut self, path: &str, body: Json) -> Reply {
        self.json("POST", path, body).await
    }

    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = url(fields);
        self.send("POST", path, Some(("application/x-www-form-urlencoded", &body))).await
    }

    pub async fn send(&mut self, method: &str, path: &str, body: Option<(&str, &str)>) -> Reply {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.server);
        if self.page {
            request += &format!("origin: http://{}\r\n", self.server);
        }
        if let Some(token) = &self.token {
            request += &format!("authorization: Bearer {token}\r\n");
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request += &format!("cookie: {}\r\n", pairs.join("; "));
        }
        let (kind, text) = body.unwrap_or_default();
        if body.is_some() {
            request += &format!("content-type: {kind}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{text}", text.len());
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((self.from, 0))).unwrap();
        let mut stream = socket.connect(self.server).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, text) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("transfer-encoding"), "{head}");
        self.keep(head);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(text).unwrap_or_default();
        Reply { status, head: head.to_owned(), text: text.to_owned(), body }
    }

    fn keep(&mut self, head: &str) {
        for cookie in head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (name, rest) = cookie.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
            }
        }
    }
}

/// A form as it is sent.
pub fn url(fields: &[(&str, &str)]) -> String {
    let part = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let each = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(each).collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect::<Vec<_>>().join("&")
}

impl Reply {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text);
        self
    }

    /// A failure, as all of them look, with this name.
    #[track_caller]
    pub fn fails(self, status: u16, slug: &str) -> Self {
        let reply = self.is(status);
        assert_eq!(reply.body["type"], format!("/problems/{slug}"), "{}", reply.text);
        assert!(reply.head.contains("content-type: application/problem+json"), "{}", reply.head);
        reply
    }

    #[track_caller]
    pub fn told(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.text)).to_owned()
    }
}

/// Makes an administrator of the user `id`, as `vestibule admin` does.
pub async fn promote(world: &World, id: &str) {
    let store = &world.app.store;
    let user = store.get::<User>(id.parse().unwrap()).await.unwrap().unwrap();
    let user = user.with(|user| user.set_roles(Roles(vec!["admin".to_owned()])));
    store.commit(vec![Change::update(&user)]).await.unwrap();
}

/// Whatever is sent there, it is refused in the catalogue's words, and nothing breaks.
pub async fn refuses_rubbish(client: &mut Client, routes: &[(&str, &str)]) {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let deep = "[".repeat(5_000);
    for (method, path) in routes {
        for (kind, body) in [
            (json, "{"),
            (json, "[]"),
            (json, "null"),
            (json, r#"{"is_admin": true}"#),
            (json, r#"{"password": 7}"#),
            (json, deep.as_str()),
            ("text/plain", "hello"),
            (form, "%ff%fe=1&username"),
            (form, "username=a&username=b&password=x&password=y"),
            ("", "\u{0}\u{1}"),
        ] {
            let reply = client.send(method, path, Some((kind, body))).await;
            let refused = (400..500).contains(&reply.status) && reply.status != 404 && reply.status != 405;
            assert!(refused, "{method} {path} {kind} {body}: {} {}", reply.status, reply.text);
            assert!(reply.body["type"].is_string(), "{}", reply.text);
        }
    }
}
