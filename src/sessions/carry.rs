//! How a credential travels: reading it from a request, and the cookies that carry it back.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::Carry;
use crate::app::Origin;
use crate::clock::Timestamp;
use crate::secret::{Token, TokenKind, credential};

/// What a request shows.
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// Something that is not a credential of ours.
    Rubbish,
    /// A token, and how it came.
    Token(Token, Carry),
    /// What looks like an access token.
    Jwt(String),
}

/// `__Host-` ties the cookie to this very host and to TLS (RFC 6265bis §4.1.3); plain http on
/// loopback cannot set such a cookie, so there it goes without.
fn name(origin: &Origin, plain: &str) -> String {
    if origin.is_secure() { format!("__Host-{plain}") } else { plain.to_owned() }
}

/// How every token begins whose header is a JSON object that begins with `{"`.
const JWT: &str = "eyJ";

const SESSION: &str = "vestibule";
const PENDING: &str = "vestibule-pending";
const DEVICE: &str = "vestibule-device";
const ASIDE: &str = "vestibule-own";
const INVITATION: &str = "vestibule-invitation";

/// As long as browsers keep a cookie (RFC 6265bis §5.5); until when it counts stands in the record.
const DEVICE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// The cookies of a request, as bytes: browsers send those that others have set as they are, in UTF-8 too. Only
/// spaces and tabs around a pair do not count: a name that begins with another blank is not the name behind it.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let mut parts = pair.trim_ascii().splitn(2, |byte| *byte == b'=');
        parts.next().zip(parts.next())
    })
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let (_, value) = cookies(headers).find(|(key, _)| *key == name.as_bytes())?;
    std::str::from_utf8(value).ok()
}

/// The credential of a request. A header that is there is the only one that counts: a wrong bearer
/// never falls back to a cookie.
pub(super) fn shown(headers: &HeaderMap, origin: &Origin) -> Shown {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        let text = value
            .to_str()
            .ok()
            .and_then(credential)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return match (text, given.next()) {
            (Some((_, text)), None) => match Token::parse(TokenKind::Session, text) {
                Some(token) => Shown::Token(token, Carry::Bearer),
                None if text.starts_with(JWT) => Shown::Jwt(text.to_owned()),
                None => Shown::Rubbish,
            },
            _ => Shown::Rubbish,
        };
    }
    match cookie(headers, &name(origin, SESSION)) {
        None | Some("") => Shown::Nothing,
        Some(text) => Token::parse(TokenKind::Session, text)
            .map_or(Shown::Rubbish, |token| Shown::Token(token, Carry::Cookie)),
    }
}

/// Whether a request shows a credential, whatever it is worth.
pub fn shows(headers: &HeaderMap, origin: &Origin) -> bool {
    !matches!(shown(headers, origin), Shown::Nothing)
}

/// What a request shows that may be the token of a session of another system: a bearer token that is none of
/// ours, or the cookie `old` where ours did not come along.
pub(super) fn of_before<'a>(headers: &'a HeaderMap, origin: &Origin, old: &str) -> Option<(&'a str, Carry)> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        let (scheme, text) = credential(value.to_str().ok()?)?;
        let ours =
            [TokenKind::Session, TokenKind::Key].iter().any(|kind| Token::parse(*kind, text).is_some());
        let counts = given.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && !ours;
        return counts.then_some((text, Carry::Bearer));
    }
    if old.is_empty() || cookie(headers, &name(origin, SESSION)).is_some() {
        return None;
    }
    cookie(headers, old).map(|text| (text, Carry::Cookie))
}

/// The cookie that takes away the one that another system set for the whole of this host.
pub(super) fn taken_away(origin: &Origin, old: &str) -> Option<HeaderValue> {
    let secure = if origin.is_secure() { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{old}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}")).ok()
}

/// Whether an answer says something of the cookie of a session.
pub fn sets_session(headers: &HeaderMap, origin: &Origin) -> bool {
    let start = format!("{}=", name(origin, SESSION));
    headers.get_all(header::SET_COOKIE).iter().any(|value| value.as_bytes().starts_with(start.as_bytes()))
}

/// The challenge of a sign-in that a browser has begun.
pub fn pending(headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    Token::parse(TokenKind::Challenge, cookie(headers, &name(origin, PENDING))?)
}

/// The session in the browser's cookie, whatever it is worth.
pub fn in_cookie(headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    Token::parse(TokenKind::Session, cookie(headers, &name(origin, SESSION))?)
}

/// The sessions whose cookies a sign-in by cookie overwrites: also the one that was laid aside.
pub fn overwritten(headers: &HeaderMap, origin: &Origin) -> Vec<Token> {
    in_cookie(headers, origin).into_iter().chain(aside(headers, origin)).collect()
}

/// The session that whoever acts for a user has laid aside in this browser. It opens nothing there.
pub(super) fn aside(headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    Token::parse(TokenKind::Session, cookie(headers, &name(origin, ASIDE))?)
}

/// Whether the browser has laid a session aside, whatever it is worth.
pub fn has_aside(headers: &HeaderMap, origin: &Origin) -> bool {
    cookie(headers, &name(origin, ASIDE)).is_some_and(|text| !text.is_empty())
}

/// The cookie of a session that is laid aside, which ends at `until`.
pub fn aside_cookie(origin: &Origin, token: &Token, now: Timestamp, until: Timestamp) -> HeaderValue {
    set(origin, ASIDE, &token.reveal(), until.since(now).as_secs())
}

/// The cookie that takes away what was laid aside.
pub fn clear_aside(origin: &Origin) -> HeaderValue {
    set(origin, ASIDE, "", 0)
}

/// The device that a browser has signed in on.
pub fn device(headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    Token::parse(TokenKind::Device, cookie(headers, &name(origin, DEVICE))?)
}

/// The cookie of a device. Signing out leaves it where it is.
pub fn device_cookie(origin: &Origin, token: &Token) -> HeaderValue {
    set(origin, DEVICE, &token.reveal(), DEVICE_SECONDS)
}

/// The invitation that a browser keeps while its owner signs in. It opens nothing by itself.
pub fn invitation(headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    Token::parse(TokenKind::Invitation, cookie(headers, &name(origin, INVITATION))?)
}

/// The cookie of an invitation, for `seconds`; none: the cookie that takes it away.
pub fn invitation_cookie(origin: &Origin, token: Option<&Token>, seconds: u64) -> HeaderValue {
    match token {
        Some(token) => set(origin, INVITATION, &token.reveal(), seconds),
        None => set(origin, INVITATION, "", 0),
    }
}

fn set(origin: &Origin, plain: &str, value: &str, seconds: u64) -> HeaderValue {
    let name = name(origin, plain);
    let secure = if origin.is_secure() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    // Names and tokens are ASCII by construction.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The cookie of a session that ends at `until`.
pub fn session_cookie(origin: &Origin, token: &Token, now: Timestamp, until: Timestamp) -> HeaderValue {
    set(origin, SESSION, &token.reveal(), until.since(now).as_secs())
}

/// The cookie of a sign-in that waits for its second factor until `until`.
pub fn pending_cookie(origin: &Origin, challenge: &str, now: Timestamp, until: Timestamp) -> HeaderValue {
    set(origin, PENDING, challenge, until.since(now).as_secs())
}

/// The cookies that take all of them away, but the device's.
pub fn clear_cookie(origin: &Origin) -> [HeaderValue; 3] {
    [set(origin, SESSION, "", 0), set(origin, PENDING, "", 0), clear_aside(origin)]
}

/// `response`, with which these cookies go.
pub fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    response.headers_mut().extend(cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_those_of_others_whatever_is_in_them() {
        let found = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
            }
            cookie(&headers, "__Host-vestibule").map(str::to_owned)
        };
        for lines in [
            &[b"__Host-vestibule=x".as_slice()] as &[&[u8]],
            &["name=Zoë; __Host-vestibule=x".as_bytes()],
            &[b"a=\xff\xfe;\t__Host-vestibule=x ; __Host-vestibule=y"],
            &[b"a; =b; c==;;__Host-vestibule=x"],
            &["name=Zoë".as_bytes(), b"__Host-vestibule=x"],
        ] {
            assert_eq!(found(lines).as_deref(), Some("x"), "{lines:?}");
        }
        for line in [
            // Another host of the site can set these: they do not begin with `__Host-`.
            "\u{2000}__Host-vestibule=x".as_bytes(),
            "a=b;\u{a0}__Host-vestibule=x".as_bytes(),
            b"\xa0__Host-vestibule=x",
            b"__host-vestibule=x",
            b"__Host-vestibule",
            b"__Host-vestibule=\xff",
        ] {
            assert_eq!(found(&[line]), None, "{line:?}");
        }
    }
}
