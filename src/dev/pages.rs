//! The development pages, as text. Everything that came from elsewhere passes [`escape`].

use std::fmt::Write as _;

use super::phone::Text;

/// Makes text harmless between tags and in quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

fn page(title: &str, head: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Vestibule</title>
<link rel="icon" type="image/svg+xml" href="/dev/phone.svg">
<link rel="stylesheet" href="/docs/assets/page.css">
<link rel="stylesheet" href="/dev/phone.css">
<script src="/dev/phone.js" defer></script>
{head}
</head>
<body>
{body}
</body>
</html>
"#
    )
}

/// `GET /dev/phone`: the conversations by number, the one with the newest message first.
pub(super) fn phone(texts: &[Text]) -> String {
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
            conversation(at, number, &talk)
        })
        .collect();
    let newest = texts.first().map(|text| text.id.to_string()).unwrap_or_default();
    let empty = r#"<p class="empty"><strong>No messages yet</strong>Sign up or sign in, and the code appears here. <a href="/">Show me how</a></p>"#;
    let conversations = if texts.is_empty() { empty } else { &conversations };
    let body = format!(
        r#"<header class="top">
<div><h1>Phone</h1>
<p>Every message that this server sends arrives here, whatever the number. Nothing leaves this machine.</p>
<noscript><p>Without JavaScript, this page reloads every ten seconds.</p></noscript></div>
<nav aria-label="Pages"><a href="/dev/phone">Refresh</a><a href="/">First steps</a><a href="/docs">API</a></nav>
</header>
<p id="news" class="unseen" role="status" aria-live="polite"></p>
<main id="phones" data-newest="{newest}">
{conversations}
</main>"#
    );
    page("Phone", r#"<noscript><meta http-equiv="refresh" content="10"></noscript>"#, &body)
}

fn conversation(at: usize, number: &str, talk: &[&Text]) -> String {
    let name = escape(number);
    let face: String = number.chars().skip(number.chars().count().saturating_sub(2)).collect();
    let digits: String = match number.contains('@') {
        true => format!("mail-{at}"),
        false => number.chars().filter(char::is_ascii_digit).collect(),
    };
    let count = match talk.len() {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    };
    let mut html = format!(
        r#"<section class="phone" aria-labelledby="phone-{at}">
<header><span class="face" aria-hidden="true">{}</span><div><h2 id="phone-{at}">{name}</h2><p>{count}</p></div></header>
<ol class="talk" id="talk-{digits}" tabindex="0" aria-label="Messages to {name}, newest first">
"#,
        escape(&face)
    );
    for text in talk {
        let (id, at, status) = (text.id, text.at.to_string(), escape(text.status));
        // `2030-01-01T00:00:00.000Z`: the time of day is enough, and the script says it in local time.
        let time = at.get(11..19).unwrap_or(&at);
        let code = text.code.as_deref().map(escape);
        // Writing to a string cannot fail.
        let _ = write!(html, r#"<li class="text" id="text-{id}" data-to="{name}""#);
        if let Some(code) = &code {
            let _ = write!(
                html,
                r#" data-code="{code}">
<div class="code"><code>{code}</code><button type="button" id="copy-{id}" data-copy="{code}" aria-label="Copy the code {code}" hidden>Copy</button></div>"#
            );
        } else {
            html.push('>');
        }
        let _ = writeln!(
            html,
            r#"
<div class="bubble">{}{}</div>
<p class="meta"><time datetime="{at}">{time} UTC</time> · <span class="status-{status}">{status}</span></p>
</li>"#,
            text.mail
                .as_ref()
                .map_or_else(String::new, |mail| format!("<strong>{}</strong>\n\n", escape(&mail.subject))),
            escape(&text.body)
        );
    }
    html.push_str("</ol>\n</section>\n");
    html
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
<p>The accounts backend, finished: sign-up, sign-in with a second factor, sessions that really end. In this mode it answers this machine only, and its messages arrive on a phone in your browser.</p></div>
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
    use crate::clock::Timestamp;

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
        let html = phone(&[text(1, EVIL, EVIL, Some(EVIL))]);
        assert!(!html.contains("<script>") && !html.contains("alert(\""), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;&#39;&amp;&#39;&quot;)&lt;/script&gt;"));
    }

    #[test]
    fn nothing_is_inline() {
        for html in
            [phone(&[text(1, "+15005550006", "x", Some("1234"))]), phone(&[]), index("http://127.0.0.1:8080")]
        {
            assert!(!html.contains("style=") && !html.contains("<style") && !html.contains(" onclick"));
            assert!(!html.contains("<script>") && !html.contains("javascript:"));
        }
    }

    #[test]
    fn a_number_is_one_conversation_and_the_newest_is_first() {
        let html = phone(&[
            text(3, "+15005550007", "drei", Some("333333")),
            text(2, "+15005550006", "zwei", None),
            text(1, "+15005550007", "eins", None),
        ]);
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
}
