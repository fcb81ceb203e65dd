//! Mails: what arrives, what nobody can put into one, and with whom our client talks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use uuid::Uuid;
use vestibule::app::{Client, Ctx};
use vestibule::config::{Config, SmtpTls};
use vestibule::limits::{self, Sender};
use vestibule::messages::{self, Channel, Code, CodePurpose, Message, Notice, Notify, Status};
use vestibule::secret::Secret;
use vestibule::store::answer as decided;
use vestibule::twilio::errors::Class;
use vestibule::words::Locale;

use crate::world::World;

const TO: &str = "ada@example.com";

async fn mail(
    world: &World,
    to: &str,
    code: Option<&str>,
    link: &str,
    locale: Locale,
    device: &str,
) -> Message {
    let client = Client {
        address: [203, 0, 113, 9].into(),
        user_agent: Some(device.to_owned()),
        request_id: Uuid::nil(),
        actor: None,
    };
    let ctx = &Ctx::new(world.app.clone(), Some(client));
    let postage = &limits::postage(ctx, to, Sender::Stranger).await.unwrap();
    let made = ctx.decide(move |moment| async move {
        let (user, link) = (Uuid::from_u128(7), Some(link));
        let message = match code {
            Some(code) => {
                let code = Code {
                    channel: Channel::Email,
                    to,
                    user,
                    challenge: Uuid::from_u128(9),
                    purpose: CodePurpose::SignIn,
                    code,
                    link,
                    locale,
                    valid_until: moment.now + Duration::from_secs(600),
                };
                messages::code(ctx, postage, code, &moment)
            }
            None => {
                let notify = Notify {
                    what: Notice::EmailChangeAsked,
                    channel: Channel::Email,
                    to,
                    user: Some(user),
                    locale,
                    link,
                    until: Some(moment.now + Duration::from_secs(86_400)),
                };
                messages::notice(ctx, postage, notify, &moment)
            }
        };
        Ok(decided(message.clone()).insert(&message))
    });
    made.await.unwrap()
}

async fn now(world: &World, message: &Message) -> Message {
    world.app.store.get::<Message>(message.id).await.unwrap().unwrap().into_inner()
}

fn text<'a>(mail: &'a Json, field: &str) -> &'a str {
    mail[field].as_str().unwrap()
}

#[tokio::test]
async fn a_code_arrives_as_text_and_html_with_a_link_and_the_headers_of_a_machine() {
    let world = World::new().await;
    let sent = mail(&world, TO, Some("123456"), "/sign-in/code?t=a&b=c", Locale::En, "Firefox").await;
    world.run_due().await;
    let mail = world.last_mail(TO).await;
    assert_eq!(mail["code"], "123456");
    assert_eq!(mail["subject"], "Your code to sign in to 127.0.0.1");
    let link = world.app.origin.link("/sign-in/code?t=a&b=c");
    assert!(text(&mail, "body").contains(&format!("Continue: {link}\n")), "{mail}");
    assert!(text(&mail, "html").contains(&format!("<a href=\"{}\"", link.replace('&', "&amp;"))), "{mail}");
    assert!(text(&mail, "html").contains("<bdi>123456</bdi>"));
    let source = text(&mail, "source");
    for line in [
        "Auto-Submitted: auto-generated\r\n",
        "Date: Tue, 01 Jan 2030 00:00:00 +0000\r\n",
        "To: ada@example.com\r\n",
        "From: Vestibule <accounts@vestibule.example>\r\n",
        &format!("Message-ID: <{}@127.0.0.1>\r\n", sent.id),
        "Content-Type: multipart/alternative;",
    ] {
        assert!(source.contains(line), "{line} {source}");
    }
    assert!(!source.contains("List-Unsubscribe"), "who could unsubscribe would not be told of a thief");
    let sent = now(&world, &sent).await;
    assert_eq!((sent.status, sent.provider.as_str()), (Status::Sent, "smtp"));
    assert!(sent.body.is_none());
}

#[tokio::test]
async fn news_says_what_when_from_where_and_how_to_undo_it_in_the_users_language() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
    let world = World::new().await;
    for locale in Locale::ALL.iter().copied() {
        let to = format!("{locale}@example.com");
        mail(&world, &to, None, "/undo/1", locale, FIREFOX).await;
        world.run_due().await;
        let mail = world.last_mail(&to).await;
        let subject = vestibule::words::say(locale, "notice-email-change-asked.subject", &[]);
        assert_eq!(mail["subject"], subject, "{locale}");
        for part in
            ["2030-01-01 00:00 UTC", "2030-01-02 00:00 UTC", "203.0.113.9", "Firefox · Linux", "/undo/1"]
        {
            assert!(
                text(&mail, "body").contains(part) && text(&mail, "html").contains(part),
                "{locale} {part}"
            );
        }
        let dir = if locale == Locale::Ar { "rtl" } else { "ltr" };
        assert!(text(&mail, "html").contains(&format!("lang=\"{locale}\" dir=\"{dir}\"")));
        assert!(mail["code"].is_null());
    }
}

#[tokio::test]
async fn nothing_that_somebody_chose_becomes_a_header_a_command_or_markup() {
    let world = World::new().await;
    let evil = [
        "x\r\nBcc: evil@example.com",
        "x\r\n\r\n<script>alert(1)</script>",
        "x\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<evil@example.com>\r\nDATA\r\nhello\r\n.\r\n",
        "x\n.\nQUIT\n",
        ".",
        "..\r\n.",
        "x\rBcc: evil@example.com",
        "x\u{85}Bcc: evil@example.com\u{2028}Bcc: evil@example.com",
        "<img src=x onerror=alert(1)>",
        "\"><a href=\"https://evil.example\">",
        "=?utf-8?q?=0D=0ABcc:_evil@example.com?=",
    ];
    for (turn, device) in evil.iter().enumerate() {
        let to = format!("person{turn}@example.com");
        mail(&world, &to, None, "/undo/1", Locale::En, device).await;
        world.run_due().await;
        let found = world.messages(&to).await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{device:?}");
        let mail = world.last_mail(&to).await;
        let html = text(&mail, "html");
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("\"https://evil"),
            "{html}"
        );
        let headers = text(&mail, "source").split_once("\r\n\r\n").unwrap().0.to_lowercase();
        assert!(!headers.contains("bcc:") && !headers.contains("evil"), "{headers}");
    }
    assert_eq!(world.messages("evil@example.com").await["items"], Json::Array(vec![]));

    for to in [
        "ada@example.com\r\nBcc: evil@example.com",
        "ada@example.com>\r\nRCPT TO:<evil@example.com",
        "ada@example.com, evil@example.com",
        "<evil@example.com>",
        "evil@example.com ada@example.com",
        "@",
        "",
    ] {
        let sent = mail(&world, to, Some("123456"), "/a", Locale::En, "x").await;
        world.run_due().await;
        let sent = now(&world, &sent).await;
        assert_eq!((sent.status, sent.failure()), (Status::Failed, Some(Class::Number)), "{to:?}");
    }
    assert_eq!(world.messages("evil@example.com").await["items"], Json::Array(vec![]));

    // A link is a path of ours or no link at all.
    for link in ["https://evil.example", "@evil.example/", ".evil.example/", "/a\r\nBcc: x", "/a b", ""] {
        let sent = mail(&world, TO, Some("123456"), link, Locale::En, "x").await;
        world.run_due().await;
        assert_eq!(now(&world, &sent).await.status, Status::Sent);
        let mail = world.last_mail(TO).await;
        assert!(
            !text(&mail, "body").contains("http") && !text(&mail, "html").contains("<a "),
            "{link}: {mail}"
        );
        world.advance(Duration::from_secs(86_400));
    }
}

/// A mail server that answers by a script: the reply to each of MAIL, RCPT, DATA and the mail itself.
#[derive(Clone, Default)]
struct Server {
    tls: Option<TlsAcceptor>,
    /// What it says to whoever signs in, when it asks for that.
    auth: Option<&'static str>,
    replies: Arc<Mutex<[String; 4]>>,
    said: Arc<Mutex<Vec<String>>>,
}

const FINE: [&str; 4] = ["250 ok", "250 ok", "354 go on", "250 kept"];

impl Server {
    async fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    if !server.talk(&mut socket, true).await {
                        return;
                    }
                    if let Some(tls) = &server.tls
                        && let Ok(mut socket) = tls.accept(socket).await
                    {
                        server.talk(&mut socket, false).await;
                    }
                });
            }
        });
        port
    }

    fn answers(&self, replies: [&str; 4]) {
        *self.replies.lock().unwrap() = replies.map(str::to_owned);
    }

    /// Talks until the end, or until TLS is to begin: then it is true.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut S, greets: bool) -> bool {
        let mut socket = BufReader::new(socket);
        if greets {
            let _ = socket.write_all(b"220 test\r\n").await;
        }
        let mut in_data = false;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                return false;
            }
            let line = line.trim_end();
            let [mail, rcpt, data, kept] = self.replies.lock().unwrap().clone();
            let answer = match line.get(..4).unwrap_or(line) {
                _ if in_data && line != "." => continue,
                "." => {
                    in_data = false;
                    kept
                }
                "EHLO" if self.tls.is_some() && greets => "250-test\r\n250 STARTTLS".to_owned(),
                "EHLO" if self.auth.is_some() => "250-test\r\n250 AUTH PLAIN".to_owned(),
                "EHLO" => "250 test".to_owned(),
                "AUTH" => self.auth.unwrap_or("503 no").to_owned(),
                "STAR" if self.tls.is_some() => {
                    let _ = socket.write_all(b"220 go on\r\n").await;
                    return true;
                }
                "MAIL" => mail,
                "RCPT" => rcpt,
                "DATA" => {
                    in_data = data.starts_with('3');
                    data
                }
                _ => "250 ok".to_owned(),
            };
            self.said.lock().unwrap().push(line.to_owned());
            match answer.as_str() {
                "hangs" => std::future::pending().await,
                "resets" => return false,
                answer => {
                    let _ = socket.write_all(format!("{answer}\r\n").as_bytes()).await;
                }
            }
        }
    }

    fn heard(&self, verb: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.starts_with(verb)).count()
    }
}

async fn house(port: u16, change: impl FnOnce(&mut Config) + 'static) -> World {
    World::plan()
        .config(move |config| {
            config.smtp.port = port;
            config.smtp.host = "127.0.0.1".to_owned();
            config.smtp.timeout = "1s".parse().unwrap();
            change(config);
        })
        .build()
        .await
}

#[tokio::test]
async fn what_a_mail_server_answers_is_taken_for_what_it_means() {
    let [mail_ok, rcpt_ok, data_ok, kept] = FINE;
    for (replies, status, class, times) in [
        (FINE, Status::Sent, None, 1),
        ([mail_ok, "550 no such mailbox", data_ok, kept], Status::Failed, Some(Class::Number), 0),
        (["554 go away", rcpt_ok, data_ok, kept], Status::Failed, Some(Class::Sender), 0),
        ([mail_ok, rcpt_ok, data_ok, "554 spam"], Status::Failed, Some(Class::Sender), 1),
        // Surely not taken: it waits, and is sent when the server can.
        ([mail_ok, "451 later", data_ok, kept], Status::Queued, Some(Class::Temporary), 0),
        ([mail_ok, rcpt_ok, data_ok, "452 no room"], Status::Queued, Some(Class::Temporary), 1),
        // It may have it: one more copy and no more.
        ([mail_ok, rcpt_ok, data_ok, "resets"], Status::Unknown, None, 2),
        ([mail_ok, rcpt_ok, data_ok, "hangs"], Status::Unknown, None, 2),
    ] {
        let server = Server::default();
        server.answers(replies);
        let world = house(server.start().await, |_| {}).await;
        let sent = mail(&world, TO, Some("123456"), "/a", Locale::En, "x").await;
        vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email)
            .await
            .unwrap();
        if status == Status::Unknown {
            world.advance(Duration::from_secs(1));
            vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email)
                .await
                .unwrap();
        }
        let found = now(&world, &sent).await;
        assert_eq!((found.status, found.failure()), (status, class), "{replies:?} {:?}", found.tries);
        assert_eq!(server.heard("."), times, "{replies:?}");
        if status == Status::Queued {
            server.answers(FINE);
            world.advance(Duration::from_secs(1));
            world.run_due().await;
            assert_eq!(now(&world, &sent).await.status, Status::Sent);
        }
        if status == Status::Unknown {
            world.advance(Duration::from_secs(60));
            world.run_due().await;
            assert_eq!(server.heard("."), 2, "never a third");
        }
    }
}

#[tokio::test]
async fn a_mailbox_that_is_busy_holds_up_no_other_mail() {
    let [mail_ok, rcpt_ok, data_ok, kept] = FINE;
    for (replies, goes_on) in [
        ([mail_ok, "450 busy", data_ok, kept], true),
        ([mail_ok, rcpt_ok, "451 come back", kept], true),
        ([mail_ok, rcpt_ok, data_ok, "452 no room"], true),
        // The server itself goes away.
        ([mail_ok, "421 closing", data_ok, kept], false),
    ] {
        let server = Server::default();
        server.answers(replies);
        let world = house(server.start().await, |_| {}).await;
        let busy = mail(&world, TO, Some("123456"), "/a", Locale::En, "x").await;
        for _ in 0..5 {
            vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email)
                .await
                .unwrap();
            world.advance(Duration::from_secs(4));
        }
        assert_eq!(
            (server.heard("MAIL"), now(&world, &busy).await.status),
            (5, Status::Queued),
            "{replies:?}"
        );
        server.answers(FINE);
        let other = mail(&world, "grace@example.com", Some("123456"), "/a", Locale::En, "x").await;
        vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email)
            .await
            .unwrap();
        assert_eq!(now(&world, &other).await.status == Status::Sent, goes_on, "{replies:?}");
    }
}

#[tokio::test]
async fn a_mail_server_that_lets_nobody_sign_in_for_now_is_left_alone() {
    for says in ["451 later", "432 change it", "421 closing"] {
        let server = Server { auth: Some(says), ..Server::default() };
        server.answers(FINE);
        let world = house(server.start().await, |config| {
            config.smtp.username = "vestibule".to_owned();
            config.smtp.password = Secret::new("secret");
        })
        .await;
        let sent = mail(&world, TO, Some("123456"), "/a", Locale::En, "x").await;
        for _ in 0..6 {
            vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email)
                .await
                .unwrap();
            world.advance(Duration::from_secs(4));
        }
        let found = now(&world, &sent).await;
        assert_eq!((found.status, found.failure()), (Status::Queued, Some(Class::Temporary)), "{says}");
        assert_eq!((server.heard("AUTH"), server.heard("MAIL")), (5, 0), "{says}");
        let state = world.app.circuits.state("smtp", world.app.clock.now());
        assert_eq!(state, vestibule::circuit::State::Open, "{says}");
    }
}

fn certificate(name: &str) -> (TlsAcceptor, String) {
    vestibule::tls::install_crypto();
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

/// What becomes of a mail to a server that offers STARTTLS with a certificate, or not at all.
async fn protected(tls: Option<TlsAcceptor>, authorities: String) -> (Status, Option<Class>, Server) {
    let server = Server { tls, ..Server::default() };
    server.answers(FINE);
    let world = house(server.start().await, move |config| {
        config.smtp.tls = SmtpTls::Starttls;
        config.smtp.authorities = authorities;
    })
    .await;
    let sent = mail(&world, TO, Some("123456"), "/a", Locale::En, "x").await;
    vestibule::messages::actions::run_due(&world.ctx(), vestibule::messages::Channel::Email).await.unwrap();
    let found = now(&world, &sent).await;
    (found.status, found.failure(), server)
}

#[tokio::test]
async fn only_a_server_whose_certificate_is_trusted_gets_a_mail() {
    let (right, pem) = certificate("127.0.0.1");
    let (status, _, server) = protected(Some(right.clone()), pem.clone()).await;
    assert_eq!((status, server.heard(".")), (Status::Sent, 1));

    let (another_name, its_pem) = certificate("mail.example.com");
    for (what, tls, authorities) in [
        ("nobody vouches for it", Some(right), String::new()),
        ("it is somebody else's", Some(another_name), its_pem),
        ("there is none", None, pem),
    ] {
        let (status, class, server) = protected(tls, authorities).await;
        assert_eq!((status, class), (Status::Queued, Some(Class::Account)), "{what}");
        assert_eq!((server.heard("MAIL"), server.heard(".")), (0, 0), "{what}: nothing is said in the clear");
    }
}
