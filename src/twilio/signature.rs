//! `X-Twilio-Signature`: what Twilio signs, and whether a request was signed by it.
//!
//! The URL is the one that Twilio called: built from the configured origin, never from the request's
//! `Host`. Nothing in a signature says when it was made: a signed request can be replayed for ever.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Secret, same};
use crate::text::hex;

/// The signature of `url` and the form's decoded parameters: base64 of HMAC-SHA1 over the URL
/// without its fragment, then name and value of each parameter, sorted by bytes, duplicates once.
pub fn sign(token: &Secret, url: &str, params: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = without_fragment(url).to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose().as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// Whether `given` signs `url` and the parameters of a form, under one of `tokens` (two while they
/// are being changed), with the port in the URL or without: Twilio does either.
///
/// An empty token signs nothing: anybody has it.
pub fn verify(tokens: &[&Secret], url: &str, params: &[(String, String)], given: &str) -> bool {
    let [with_port, without_port] = both_ways(without_fragment(url));
    let mut found = false;
    for token in tokens.iter().filter(|token| !token.expose().is_empty()) {
        for url in [&with_port, &without_port] {
            // No early exit: how far it came would show in time.
            found |= same(sign(token, url, params).as_bytes(), given.as_bytes());
        }
    }
    found
}

/// Whether `given` signs `url`, and the URL's `bodySHA256` (lower-case hex) is the hash of `body`.
/// Without `bodySHA256` the body would be anybody's: refused.
pub fn verify_body(tokens: &[&Secret], url: &str, body: &[u8], given: &str) -> bool {
    let query = without_fragment(url).split_once('?').map_or("", |(_, query)| query);
    let mut claims = query.split('&').filter_map(|pair| pair.strip_prefix("bodySHA256="));
    let (Some(claimed), None) = (claims.next(), claims.next()) else { return false };
    let hash = digest::digest(&digest::SHA256, body);
    same(hex(hash).as_bytes(), claimed.as_bytes()) & verify(tokens, url, &[], given)
}

/// The decoded parameters of a form, in order, blanks included, nothing trimmed. None when it is not text.
pub fn read_form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut url = reqwest::Url::parse("form:").ok()?;
    url.set_query(Some(text));
    Some(url.query_pairs().into_owned().collect())
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

/// The URL with a port (the scheme's own when it has none) and without. Done on the text, since
/// any normalisation would change what was signed.
fn both_ways(url: &str) -> [String; 2] {
    let Some((scheme, rest)) = url.split_once("://") else { return [url.to_owned(), url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // In `[::1]:8080` only what follows the bracket is a port.
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let own = if scheme == "https" { "443" } else { "80" };
    let (host, port) = match authority.get(host_end..).and_then(|after| after.rfind(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(host_end + colon);
            (host, port.trim_start_matches(':'))
        }
        None => (authority, own),
    };
    [format!("{scheme}://{host}:{port}{tail}"), format!("{scheme}://{host}{tail}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn five() -> Vec<(String, String)> {
        pairs(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ])
    }

    fn token() -> Secret {
        Secret::new("12345")
    }

    fn holds(url: &str, params: &[(String, String)], given: &str) -> bool {
        verify(&[&token()], url, params, given)
    }

    #[test]
    fn the_published_signatures_are_ours() {
        for (url, params, signature) in [
            (URL, five(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("https://mycompany.com:443/myapp.php?foo=1&bar=2", five(), "kvajT1Ptam85bY51eRf/AJRuM3w="),
            ("http://mycompany.com:80/myapp.php?foo=1&bar=2", five(), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", five(), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (
                URL,
                pairs(&[
                    ("Sid", "CA123"),
                    ("SidAccount", "AC123"),
                    ("Digits", "5678"),
                    ("Digits", "1234"),
                    ("Digits", "1234"),
                ]),
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (
                URL,
                pairs(&[("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("ErrorCode", "")]),
                "LZfAjKDcgRkf78Q0CqwzNy0KmRE=",
            ),
            (
                URL,
                pairs(&[("Body", "naïve  code ✓"), ("From", "+15005550006")]),
                "kZU4jyAM54BAGOma2sJpb4Q2Qy0=",
            ),
        ] {
            assert_eq!(sign(&token(), url, &params), signature, "{url}");
            assert!(holds(url, &params, signature), "{url}");
        }
    }

    #[test]
    fn a_form_is_signed_as_it_is_decoded() {
        let body = b"From=%2B15005550006&Body=na%C3%AFve++code+%E2%9C%93";
        assert!(holds(URL, &read_form(body).unwrap(), "kZU4jyAM54BAGOma2sJpb4Q2Qy0="));
        let body = b"ErrorCode=&MessageStatus=delivered&MessageSid=SM1";
        assert!(holds(URL, &read_form(body).unwrap(), "LZfAjKDcgRkf78Q0CqwzNy0KmRE="));
        assert_eq!(read_form(b"a=1#b=2&c").unwrap(), pairs(&[("a", "1#b=2"), ("c", "")]));
        assert_eq!(read_form(b"a=\xff"), None);
    }

    #[test]
    fn the_port_may_be_there_or_not() {
        assert!(holds(URL, &five(), "kvajT1Ptam85bY51eRf/AJRuM3w="), "signed with :443");
        assert!(holds(
            "https://mycompany.com:443/myapp.php?foo=1&bar=2",
            &five(),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8="
        ));
        assert!(holds("http://mycompany.com/myapp.php?foo=1&bar=2", &five(), "0ZXoZLH/DfblKGATFgpif+LLRf4="));
        assert!(!holds(
            "http://mycompany.com/myapp.php?foo=1&bar=2",
            &five(),
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="
        ));
    }

    #[test]
    fn ports_are_found_in_every_kind_of_host() {
        let ways = |url| both_ways(url);
        assert_eq!(
            ways("https://[2001:db8::1]/a"),
            ["https://[2001:db8::1]:443/a", "https://[2001:db8::1]/a"]
        );
        assert_eq!(ways("http://[::1]:8080/a?b=c:1"), ["http://[::1]:8080/a?b=c:1", "http://[::1]/a?b=c:1"]);
        assert_eq!(ways("http://host?x=/"), ["http://host:80?x=/", "http://host?x=/"]);
        assert_eq!(ways("https://host/a:1"), ["https://host:443/a:1", "https://host/a:1"]);
    }

    #[test]
    fn anything_else_is_refused() {
        let right = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(holds(URL, &five(), right));
        for wrong in [
            "",
            "RSOYDt4T1cUTdK1PDd93/VVr8B8",
            "rsOYDt4T1cUTdK1PDd93/VVr8B8=",
            " RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ] {
            assert!(!holds(URL, &five(), wrong), "{wrong:?}");
        }
        let mut more = five();
        more.push(("Extra".into(), String::new()));
        assert!(!holds(URL, &more, right));
        assert!(!holds("https://mycompany.com/myapp.php?bar=2&foo=1", &five(), right));
        assert!(!holds("https://other.com/myapp.php?foo=1&bar=2", &five(), right));
        assert!(!verify(&[&Secret::new("54321")], URL, &five(), right));
    }

    #[test]
    fn plus_and_percent_twenty_are_different_urls() {
        let signature = sign(&token(), "https://a.example/x?q=a+b", &[]);
        assert!(holds("https://a.example/x?q=a+b", &[], &signature));
        assert!(!holds("https://a.example/x?q=a%20b", &[], &signature));
    }

    #[test]
    fn the_fragment_is_not_signed() {
        let with = format!("{URL}#rc=3&rp=ct,rt,5xx");
        assert_eq!(sign(&token(), &with, &five()), sign(&token(), URL, &five()));
        assert!(holds(&with, &five(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="));
    }

    #[test]
    fn two_tokens_hold_while_they_are_changed_and_an_empty_one_never_does() {
        let (old, new, none) = (token(), Secret::new("67890"), Secret::new(""));
        let signature = sign(&old, URL, &five());
        assert!(verify(&[&new, &old], URL, &five(), &signature));
        assert!(!verify(&[&new], URL, &five(), &signature));
        assert!(!verify(&[&none], URL, &five(), &sign(&none, URL, &five())));
        assert!(!verify(&[], URL, &five(), &signature));
    }

    #[test]
    fn a_json_body_is_signed_by_its_hash_or_not_at_all() {
        const BODY: &[u8] = br#"{"property": "value", "boolean": true}"#;
        const HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let holds = |url: &str, body, given: &str| verify_body(&[&token()], url, body, given);
        let url = format!("{URL}&bodySHA256={HASH}");
        assert!(holds(&url, BODY, "a9nBmqA0ju/hNViExpshrM61xv4="));
        assert!(!holds(&url, b"{}", "a9nBmqA0ju/hNViExpshrM61xv4="), "another body");
        assert!(!holds(&url, BODY, "RSOYDt4T1cUTdK1PDd93/VVr8B8="), "another signature");
        assert!(!holds(URL, BODY, &sign(&token(), URL, &[])), "no hash");
        let upper = format!("{URL}&bodySHA256={}", HASH.to_uppercase());
        assert!(!holds(&upper, BODY, &sign(&token(), &upper, &[])), "upper case");
        let twice = format!("{url}&bodySHA256={HASH}");
        assert!(!holds(&twice, BODY, &sign(&token(), &twice, &[])), "two hashes");
    }

    #[test]
    fn of_a_hundred_thousand_forged_or_altered_signatures_none_is_accepted() {
        let random = crate::random::Random::seeded(97);
        let (token, other) = (token(), Secret::new("12346"));
        let params = five();
        let right = STANDARD.decode(sign(&token, URL, &params)).unwrap();
        let tokens = [&token];
        let mut accepted = 0;
        for round in 0..100_000_u32 {
            let [what, place, bit, chance @ ..] = random.bytes::<24>();
            let mut given = right.clone();
            let mut told = params.clone();
            let mut url = URL.to_owned();
            match what % 6 {
                // One bit of it, a part of it, or anything of its length.
                0 => given[usize::from(place) % 20] ^= 1 << (bit % 8),
                1 => given.truncate(usize::from(place) % 20),
                2 => given = chance[..20].to_vec(),
                // Somebody else's, of the same.
                3 => given = STANDARD.decode(sign(&other, URL, &params)).unwrap(),
                // The right one, of something else: a parameter or the address.
                4 => told[usize::from(place) % 5].1.push(char::from(b'a' + bit % 26)),
                _ => url.push(char::from(b'a' + bit % 26)),
            }
            if verify(&tokens, &url, &told, &STANDARD.encode(&given)) {
                accepted += 1;
                println!("round {round}, {what}, {place}, {bit}");
            }
        }
        assert_eq!(accepted, 0);
        assert!(verify(&tokens, URL, &params, &STANDARD.encode(&right)), "and the right one still is");
    }
}
