//! Pages that the server prints about itself: Swagger UI over its own description, and one page for
//! each failure of the catalogue. Nothing is loaded from another host, and nothing is written into
//! a page that its content policy would have to make an exception for.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::{Cursor, Read};
use std::sync::OnceLock;

use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::extract::Params;
use super::page::{self, escape};
use crate::error::{Problem, Result};

/// Swagger UI styles through the object model and shows `data:` images, so the strict policy of every page suits it.
const HEAD: &str = r#"<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="stylesheet" href="/docs/assets/index.css">"#;

const BODY: &str = r#"<noscript><p>This page needs JavaScript. The description itself is <a href="openapi.json">openapi.json</a>.</p></noscript>
<main><div id="swagger-ui"></div></main>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>"#;

/// `validatorUrl`: without it the page would show a badge from another host.
const START: &str = r##"SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
"##;

/// The style of the other pages.
const STYLE: &str = include_str!("page.css");

/// How long a browser may use a part of the page before it asks again: an hour.
const FRESH: &str = "public, max-age=3600";

/// The parts that the page uses, and their media types.
const PARTS: [(&str, &str); 4] = [
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("index.css", "text/css; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// A part of the page, kept as it lies in the archive: compressed.
struct Part {
    media_type: &'static str,
    gzip: Bytes,
    plain: OnceLock<Bytes>,
    tag: String,
}

/// `GET /docs`, `GET /api-docs`
pub async fn page() -> Html<String> {
    Html(page::page("API", HEAD, BODY))
}

/// `GET /docs/assets/{file}`
pub async fn asset(Params(file): Params<String>, asked: HeaderMap) -> Result<Response> {
    let own = match file.as_str() {
        "start.js" => Some(("text/javascript; charset=utf-8", START)),
        "page.css" => Some(("text/css; charset=utf-8", STYLE)),
        _ => None,
    };
    if let Some((kind, text)) = own {
        return Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FRESH)], text).into_response());
    }
    let part = parts().get(file.as_str()).ok_or(Problem::NotFound)?;
    let gzip = lists(&asked, header::ACCEPT_ENCODING, "gzip");
    let tag = format!("\"{}{}\"", part.tag, if gzip { "-gz" } else { "" });
    let about =
        [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, FRESH), (header::VARY, "Accept-Encoding")];
    if lists(&asked, header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let kind = [(header::CONTENT_TYPE, part.media_type)];
    Ok(if gzip {
        (about, kind, [(header::CONTENT_ENCODING, "gzip")], part.gzip.clone()).into_response()
    } else {
        (about, kind, part.plain.get_or_init(|| unpacked(&file)).clone()).into_response()
    })
}

/// Whether a comma-separated header lists `item`; one that is given no weight is not wanted.
fn lists(headers: &HeaderMap, name: header::HeaderName, item: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|entry| {
        let (entry, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let unwanted =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty());
        !unwanted && entry.trim().trim_start_matches("W/").eq_ignore_ascii_case(item)
    })
}

type Archive = zip::ZipArchive<Cursor<&'static [u8]>>;

fn archive() -> Option<Archive> {
    zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED)).ok()
}

/// Where `file` lies in the archive.
fn place(archive: &Archive, file: &str) -> Option<usize> {
    let end = format!("/dist/{file}");
    archive.file_names().position(|name| name.is_ok_and(|name| name.ends_with(&end)))
}

fn parts() -> &'static HashMap<&'static str, Part> {
    static ALL: OnceLock<HashMap<&'static str, Part>> = OnceLock::new();
    ALL.get_or_init(|| {
        let Some(mut archive) = archive() else { return HashMap::new() };
        let read = PARTS.iter().filter_map(|(file, media_type)| {
            let place = place(&archive, file)?;
            let mut entry = archive.by_index_raw(place).ok()?;
            let (crc, size) = (entry.crc32(), entry.size());
            let mut gzip = GZIP_HEAD.to_vec();
            match entry.compression() {
                zip::CompressionMethod::Deflated => entry.read_to_end(&mut gzip).ok()?,
                // What did not get smaller lies in the archive as it is: one stored block (RFC 1951 §3.2.4).
                _ => {
                    let length = u16::try_from(size).ok()?;
                    gzip.push(1);
                    gzip.extend(length.to_le_bytes());
                    gzip.extend((!length).to_le_bytes());
                    entry.read_to_end(&mut gzip).ok()?
                }
            };
            gzip.extend(crc.to_le_bytes());
            gzip.extend(u32::try_from(size).ok()?.to_le_bytes());
            Some((
                *file,
                Part {
                    media_type,
                    gzip: gzip.into(),
                    plain: OnceLock::new(),
                    tag: format!("{crc:08x}-{size:x}"),
                },
            ))
        });
        read.collect()
    })
}

/// Zip and gzip hold the same stream; only head and tail differ (RFC 1952 §2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// For the rare client that does not take gzip.
fn unpacked(file: &str) -> Bytes {
    let read = || {
        let mut archive = archive()?;
        let place = place(&archive, file)?;
        let mut bytes = Vec::new();
        archive.by_index(place).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    read().unwrap_or_default().into()
}

/// `GET /problems`
pub async fn problems() -> Html<String> {
    let mut list = String::from("<dl class=\"problems\">\n");
    for problem in Problem::ALL {
        let (slug, title) = (problem.slug(), escape(problem.title()));
        let _ = writeln!(
            list,
            "<div><dt><span>{}</span><a href=\"/problems/{slug}\"><code>{slug}</code></a></dt><dd>{title}</dd></div>",
            problem.status()
        );
    }
    list.push_str("</dl>");
    let about = "Everything that can go wrong. The <code>type</code> of an answer says which one it is.";
    Html(around("Problems", about, r#"<a href="/docs">API</a>"#, &list))
}

/// `GET /problems/{slug}`
pub async fn problem(Params(slug): Params<String>) -> Result<Html<String>> {
    let problem = Problem::ALL.iter().find(|problem| problem.slug() == slug).ok_or(Problem::NotFound)?;
    let about = format!("<code>{}</code> · status {}", problem.slug(), problem.status());
    let help = format!("<p class=\"help\">{}</p>", marked(problem.help()));
    let links = r#"<a href="/problems">All problems</a><a href="/docs">API</a>"#;
    Ok(Html(around(&escape(problem.title()), &about, links, &help)))
}

fn around(title: &str, about: &str, links: &str, text: &str) -> String {
    let head = format!("{}\n<link rel=\"icon\" href=\"data:,\">", page::STYLED);
    let body = format!(
        r#"<header class="top">
<div><h1>{title}</h1>
<p>{about}</p></div>
<nav aria-label="Pages">{links}</nav>
</header>
<main>
{text}
</main>"#
    );
    page::page(title.trim_end_matches('.'), &head, &body)
}

/// Text in which backticks mark code.
fn marked(text: &str) -> String {
    let parts = escape(text);
    let parts = parts.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{ask, get, text};

    #[tokio::test]
    async fn the_page_uses_this_host_only_and_writes_nothing_into_itself() {
        for path in ["/docs", "/api-docs"] {
            let response = get(path).await;
            assert_eq!(response.status(), 200);
            let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
            let page = text(response).await;
            assert!(
                !page.contains("//")
                    && !page.contains("<style")
                    && !page.contains("<script>")
                    && !page.contains(" on"),
                "{page}"
            );
            for link in page.split(['"']).filter(|link| link.starts_with('/')) {
                let part = get(link).await;
                assert_eq!(part.status(), 200, "{link}");
                assert_eq!(part.headers()["cache-control"], FRESH);
            }
        }
        assert!(START.contains("validatorUrl: null"));
        assert_eq!(get("/docs/assets/index.html").await.status(), 404);
        assert_eq!(get("/docs/assets/..%2findex.html").await.status(), 404);
    }

    #[tokio::test]
    async fn parts_are_sent_compressed_plain_or_not_at_all() {
        for (file, kind) in PARTS {
            let path = format!("/docs/assets/{file}");
            let plain = get(&path).await;
            assert_eq!(plain.headers()["content-type"], kind);
            assert!(!plain.headers().contains_key("content-encoding"));
            let plain = axum::body::to_bytes(plain.into_body(), usize::MAX).await.unwrap();
            let small = ask("GET", &path, &[("accept-encoding", "br, gzip;q=0.5")], "").await;
            assert_eq!(small.headers()["content-encoding"], "gzip");
            let tag = small.headers()["etag"].to_str().unwrap().to_owned();
            let small = axum::body::to_bytes(small.into_body(), usize::MAX).await.unwrap();
            assert_eq!(gunzip(&small), plain, "{file}");
            let again = ask("GET", &path, &[("accept-encoding", "gzip"), ("if-none-match", &tag)], "").await;
            assert_eq!(again.status(), 304);
            let refused =
                ask("GET", &path, &[("accept-encoding", "gzip;q=0"), ("if-none-match", &tag)], "").await;
            assert_eq!(refused.status(), 200);
            assert!(!refused.headers().contains_key("content-encoding"));
        }
    }

    /// Reads gzip by putting its stream back into an archive.
    fn gunzip(gzip: &[u8]) -> Vec<u8> {
        let (head, rest) = gzip.split_at(GZIP_HEAD.len());
        assert_eq!(head, GZIP_HEAD);
        let (stream, tail) = rest.split_at(rest.len() - 8);
        let (crc, size) = tail.split_at(4);
        let packed = u32::try_from(stream.len()).unwrap().to_le_bytes();
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], crc, &packed, size, &[1, 0, 0, 0]].concat();
        let mut zip = [b"PK\x03\x04", &common[..], b"x", stream].concat();
        let start = u32::try_from(zip.len()).unwrap().to_le_bytes();
        let entry = [b"PK\x01\x02\x14\0", &common[..], &[0; 10], &[0; 4], b"x"].concat();
        zip.extend(&entry);
        let length = u32::try_from(entry.len()).unwrap().to_le_bytes();
        zip.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length[..], &start, &[0, 0]].concat());
        let mut out = Vec::new();
        zip::ZipArchive::new(Cursor::new(zip)).unwrap().by_index(0).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[tokio::test]
    async fn every_problem_has_a_page() {
        let index = text(get("/problems").await).await;
        for problem in Problem::ALL {
            let path = format!("/problems/{}", problem.slug());
            assert!(index.contains(&path));
            let page = text(get(&path).await).await;
            assert!(
                page.contains(&marked(problem.help())) && page.contains(&escape(problem.title())),
                "{path}"
            );
        }
        assert!(
            text(get("/problems/method-not-allowed").await).await.contains("The <code>Allow</code> header")
        );
        let style = get("/docs/assets/page.css").await;
        assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
        assert_eq!(get("/problems/none").await.status(), 404);
    }
}
