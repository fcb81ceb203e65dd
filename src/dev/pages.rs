//! The development pages, as text. Everything that came from elsewhere passes [`escape`].

use std::fmt::Write as _;

use super::lines::{Habit, Line, Rule};
use super::phone::Text;
use crate::clock::Timestamp;
use crate::http::page::{STYLED, escape};

fn page(title: &str, more: &str, body: &str) -> String {
    let head = format!(
        r#"{STYLED}
<link rel="icon" type="image/svg+xml" href="/dev/phone.svg">
<link rel="stylesheet" href="/dev/phone.css">
<script src="/dev/phone.js" defer></script>
{more}"#
    );
    crate::http::page::page(title, &head, body)
}

/// `GET /dev/phone`: what rings, then the conversations by number, the one with the newest message first.
pub(super) fn phone(texts: &[Text], lines: &[Line], rules: &[(String, Rule)], now: Timestamp) -> String {
    let mut numbers: Vec<&str> = Vec::new();
    for text in texts {
        if !numbers.contains(&text.to.as_str()) {
            numbers.push(&text.to);
        }
    }
    let conversations: String = numbers
        .iter()
        .enumerate()
        .map(|(at, number)| {
            let talk: Vec<_> = texts.iter().filter(|text| text.to == *number).collect();
            conversation(at, number, &talk, lines)
        })
        .collect();
    let newest = texts.first().map(|text| text.id.to_string()).unwrap_or_default();
    let empty = r#"<p class="empty"><strong>Nothing yet</strong>Sign up or sign in, and the code appears here. <a href="/">Show me how</a></p>"#;
    let conversations = if texts.is_empty() { empty } else { &conversations };
    let live: String = lines.iter().filter(|line| line.is_live()).map(ringing).collect();
    let live = if live.is_empty() { live } else { format!("<div class=\"live\">\n{live}</div>\n") };
    let (rules, now) = (settings(rules), now.to_string());
    let body = format!(
        r#"<header class="top">
<div><h1>Phone</h1>
<p>Codes, mails and calls arrive here, whatever the number or address. Where a Twilio account, a mail server or a webhook is configured, that is used instead and really sends.</p>
<noscript><p>Without JavaScript, this page reloads by itself.</p></noscript></div>
<nav aria-label="Pages"><a href="/dev/phone">Refresh</a><a href="/">First steps</a><a href="/docs">API</a></nav>
</header>
<p id="news" class="unseen" role="status" aria-live="polite"></p>
<main id="phones" data-newest="{newest}">
{live}{conversations}
</main>
<section class="tools" aria-label="What happens here">
{rules}
<form class="tool" method="post" action="/dev/clock">
<h2>Clock</h2>
<p>It is <time id="clock" datetime="{now}">{now}</time>. What takes hours can be seen at once.</p>
<p class="keys"><button name="advance" value="1m">+ 1 minute</button><button name="advance" value="10m">+ 10 minutes</button><button name="advance" value="1h">+ 1 hour</button><button name="advance" value="24h">+ 1 day</button></p>
</form>
</section>"#
    );
    let pause = if live.is_empty() { 10 } else { 3 };
    let reload = format!(r#"<noscript><meta http-equiv="refresh" content="{pause}"></noscript>"#);
    page("Phone", &reload, &body)
}

/// A call that rings, or in which somebody speaks.
fn ringing(line: &Line) -> String {
    let (id, to, from) = (line.id, escape(&line.to), escape(&line.from));
    let button = |does: &str, label: &str, kind: &str| {
        format!(r#"<button class="{kind}" id="{does}-{id}" name="does" value="{does}">{label}</button>"#)
    };
    let (word, said, buttons) = if line.status == "ringing" {
        let buttons = [
            button("answer", "Answer", "good"),
            button("decline", "Decline", "bad"),
            button("busy", "Be busy", "plain"),
        ];
        let hint = r#"<p class="hint">Or let it ring.</p>"#.to_owned();
        ("Incoming call", hint, buttons.concat())
    } else {
        let said = line.said.as_deref().map(escape).unwrap_or_default();
        let said = format!(r#"<p class="said" aria-live="assertive">{said}</p>"#);
        let keys = if line.gather.is_some() {
            format!(
                r#"<input type="hidden" name="key" value="1">{}"#,
                button("press", "Press 1: hear it again", "good")
            )
        } else {
            String::new()
        };
        ("In the call", said, keys + &button("hang_up", "Hang up", "bad"))
    };
    let status = line.status;
    format!(
        r#"<form class="line {status}" id="line-{id}" method="post" action="/dev/phone/calls/{id}" aria-label="{word} to {to}">
<div class="who"><span class="face" aria-hidden="true">☎</span><div><h2>{to}</h2><p>{word} from {from}</p></div></div>
{said}
<p class="keys">{buttons}</p>
</form>
"#
    )
}

/// What each number does with what comes, and the form that changes it.
fn settings(rules: &[(String, Rule)]) -> String {
    let told =
        |habit: Habit| Habit::ALL.iter().find(|(one, ..)| *one == habit).map_or("", |(_, _, told)| told);
    let mut list = String::new();
    for (number, rule) in rules {
        let (number, seconds) = (escape(number), rule.delay.as_secs());
        let late = if seconds > 0 { format!(", {seconds} s late") } else { String::new() };
        // Writing to a string cannot fail.
        let _ = writeln!(list, "<li><strong>{number}</strong> shall {}{late}</li>", told(rule.habit));
    }
    let list = if list.is_empty() { list } else { format!("<ul>\n{list}</ul>\n") };
    let options: String = Habit::ALL
        .iter()
        .map(|(_, word, told)| format!(r#"<option value="{word}">{told}</option>"#))
        .collect();
    format!(
        r#"<form class="tool" method="post" action="/dev/phone/rules">
<h2>When things go wrong</h2>
{list}<p class="fields"><label>Number <input name="to" type="tel" required pattern="\+[0-9]{{7,15}}" placeholder="+12025550143" autocomplete="off"></label>
<label>shall <select name="does">{options}</select></label>
<label>late by <input name="delay" type="number" min="0" max="600" value="0"> s</label>
<button>Set</button></p>
</form>"#
    )
}

fn conversation(at: usize, number: &str, talk: &[&Text], lines: &[Line]) -> String {
    let name = escape(number);
    let face: String = number.chars().skip(number.chars().count().saturating_sub(2)).collect();
    let digits: String = match number.contains('@') {
        true => format!("mail-{at}"),
        false => number.chars().filter(char::is_ascii_digit).collect(),
    };
    let calls = talk.iter().filter(|text| text.kind == "call").count();
    let many = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    };
    let counts = [many(talk.len() - calls, "message"), many(calls, "call")];
    let count = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let mut html = format!(
        r#"<section class="phone" aria-labelledby="phone-{at}">
<header><span class="face" aria-hidden="true">{}</span><div><h2 id="phone-{at}">{name}</h2><p>{count}</p></div></header>
<ol class="talk" id="talk-{digits}" tabindex="0" aria-label="Messages and calls to {name}, newest first">
"#,
        escape(&face)
    );
    for text in talk {
        entry(&mut html, &name, text, lines.iter().find(|line| line.id == text.id));
    }
    html.push_str("</ol>\n</section>\n");
    html
}

/// One message, or one call and what was said in it.
fn entry(html: &mut String, name: &str, text: &Text, line: Option<&Line>) {
    let (id, at, status) = (text.id, text.at.to_string(), escape(text.status));
    // `2030-01-01T00:00:00.000Z`: the time of day is enough, and the script says it in local time.
    let time = at.get(11..19).unwrap_or(&at);
    // What was said is known to whoever answered.
    let is_heard = text.kind != "call" || line.is_some_and(|line| line.answered_at.is_some());
    let code = text.code.as_deref().filter(|_| is_heard).map(escape);
    // Writing to a string cannot fail.
    let _ = write!(html, r#"<li class="text {}" id="text-{id}" data-to="{name}""#, text.kind);
    if let Some(code) = &code {
        let _ = write!(
            html,
            r#" data-code="{code}">
<div class="code"><code>{code}</code><button type="button" id="copy-{id}" data-copy="{code}" aria-label="Copy the code {code}" hidden>Copy</button></div>"#
        );
    } else {
        html.push('>');
    }
    let subject = text.mail.as_ref();
    let subject =
        subject.map_or_else(String::new, |mail| format!("<strong>{}</strong>\n\n", escape(&mail.subject)));
    let body = if is_heard { subject + &escape(&text.body) } else { "Nobody answered.".to_owned() };
    let kind = if text.kind == "call" { "☎ " } else { "" };
    let seconds = line.and_then(Line::seconds).filter(|_| is_heard && text.kind == "call");
    let length = seconds.map(|seconds| format!(" · {seconds} s")).unwrap_or_default();
    let html_part = match &text.mail {
        Some(_) => format!(
            r#"<details class="mail"><summary>As HTML</summary><iframe sandbox loading="lazy" src="/dev/mails/{id}" title="The mail as HTML"></iframe></details>
"#
        ),
        None => String::new(),
    };
    let body = if line.is_some_and(|line| line.status == "ringing") { "It rings.".to_owned() } else { body };
    let _ = writeln!(
        html,
        r#"
<div class="bubble">{kind}{body}</div>
{html_part}<p class="meta"><time datetime="{at}">{time} UTC</time> · <span class="status-{status}">{status}</span>{length}</p>
</li>"#
    );
}

/// `GET /` in development: what this is, and the way from nothing to a session.
pub(super) fn index(origin: &str) -> String {
    let curl = |arguments: &str| {
        let command = escape(&format!("curl -s {arguments}"));
        format!(
            r#"<div class="command"><pre>{command}</pre><button type="button" data-copy="{command}" aria-label="Copy the command" hidden>Copy</button></div>"#
        )
    };
    let post = |path: &str, body: &str| {
        curl(&format!("{origin}/api/v1{path} \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"))
    };
    let steps = [
        (
            "Make an account.",
            post(
                "/users",
                r#"{"username": "ada", "email": "ada@example.com",
      "mobile": "+12025550143", "password": "seven lanterns by the harbour"}"#,
            ),
        ),
        (
            r#"Read the code on <a href="/dev/phone">the phone</a>, or let a script wait for it."#,
            curl(&format!("'{origin}/dev/messages?to=%2B12025550143&wait=10'")),
        ),
        (
            "Confirm the number with that code. <code>challenge</code> is the <code>id</code> inside <code>verification</code> in the first answer.",
            post("/auth/verify-code", r#"{"challenge": "vc_…", "code": "123456"}"#),
        ),
        (
            "Sign in: first the password, then the new code from the phone.",
            post("/auth/login", r#"{"identifier": "ada", "password": "seven lanterns by the harbour"}"#)
                + &post("/auth/verify-code", r#"{"challenge": "vc_…", "code": "123456"}"#),
        ),
        (
            "Use the token from that answer, then sign out.",
            curl(&format!("{origin}/api/v1/users/me -H 'authorization: Bearer vs_…'"))
                + &curl(&format!("-X POST {origin}/api/v1/auth/logout -H 'authorization: Bearer vs_…'")),
        ),
    ];
    let steps: String = steps.iter().map(|(what, how)| format!("<li><p>{what}</p>{how}</li>\n")).collect();
    let body = format!(
        r#"<header class="top">
<div><h1>Vestibule, in development</h1>
<p>An accounts backend: sign-up, sign-in with a second factor, sessions that really end. In this mode it answers this machine only, and its messages arrive on a phone in your browser unless a provider is configured.</p></div>
</header>
<p id="news" class="unseen" role="status" aria-live="polite"></p>
<main>
<p class="doors"><a href="/dev/phone">The phone</a><a href="/docs">The API</a><a href="/problems">Problems</a></p>
<h2>First steps</h2>
<ol class="steps">
{steps}</ol>
</main>"#
    );
    page("First steps", "", &body)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::dev::lines::Lines;

    const NOW: Timestamp = Timestamp::from_millis(1_893_456_000_000);
    const EVIL: &str = "<script>alert(\"'&'\")</script>";

    fn text(number: u128, to: &str, body: &str, code: Option<&str>) -> Text {
        Text {
            id: Uuid::from_u128(number),
            kind: "sms",
            to: to.into(),
            body: body.into(),
            mail: None,
            code: code.map(Into::into),
            status: "queued",
            at: Timestamp::from_millis(1_893_456_000_000),
        }
    }

    #[test]
    fn nothing_from_a_message_becomes_markup() {
        let html = phone(&[text(1, EVIL, EVIL, Some(EVIL))], &[], &[(EVIL.into(), Rule::default())], NOW);
        assert!(!html.contains("<script>") && !html.contains("alert(\""), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;&#39;&amp;&#39;&quot;)&lt;/script&gt;"));
    }

    #[test]
    fn nothing_is_inline() {
        for html in [
            phone(&[text(1, "+15005550006", "x", Some("1234"))], &[], &[], NOW),
            phone(&[], &[], &[], NOW),
            index("http://127.0.0.1:8080"),
        ] {
            assert!(!html.contains("style=") && !html.contains("<style") && !html.contains(" onclick"));
            assert!(!html.contains("<script>") && !html.contains("javascript:"));
        }
    }

    #[test]
    fn a_number_is_one_conversation_and_the_newest_is_first() {
        let html = phone(
            &[
                text(3, "+15005550007", "drei", Some("333333")),
                text(2, "+15005550006", "zwei", None),
                text(1, "+15005550007", "eins", None),
            ],
            &[],
            &[],
            NOW,
        );
        assert_eq!(html.matches(r#"class="phone""#).count(), 2);
        let place = |word: &str| html.find(word).unwrap();
        assert!(place("drei") < place("eins") && place("eins") < place("zwei"));
        assert!(html.contains(r#"data-newest="00000000-0000-0000-0000-000000000003""#));
        assert!(html.contains("<code>333333</code>"), "plain digits, so that a copy is the code");
    }

    #[test]
    fn the_first_steps_name_this_server() {
        let html = index("http://127.0.0.1:8080");
        assert!(
            html.contains(
                "curl -s &#39;http://127.0.0.1:8080/dev/messages?to=%2B12025550143&amp;wait=10&#39;"
            ),
            "{html}"
        );
        assert!(html.contains("curl -s http://127.0.0.1:8080/api/v1/auth/login \\\n  -H &#39;content-type: application/json&#39; \\\n  -d &#39;{"));
    }

    #[test]
    fn a_call_rings_and_is_read_aloud_only_once_it_is_answered() {
        let lines = Lines::default();
        let id = Uuid::from_u128(1);
        let _done = lines.open(id, "+15005550007", EVIL, NOW);
        let call = Text { kind: "call", ..text(1, "+15005550007", "Your code is 1, 2, 3, 4", Some("1234")) };
        lines.change(id, |line| line.status = "ringing");
        let html = phone(std::slice::from_ref(&call), &lines.all(), &[], NOW);
        assert!(html.contains(r#"value="answer""#) && html.contains(r#"value="decline""#));
        assert!(!html.contains("1, 2, 3, 4") && !html.contains("1234"), "not before it is answered");
        assert!(!html.contains("<script>"));
        lines.change(id, |line| {
            line.status = "in-progress";
            line.answered_at = Some(NOW);
            line.said = Some(EVIL.into());
            line.gather = Some("https://a.example".into());
        });
        let html = phone(&[call], &lines.all(), &[], NOW);
        assert!(html.contains(r#"value="press""#) && html.contains("<code>1234</code>"));
        assert!(!html.contains("<script>") && !html.contains("a.example"));
    }
}
