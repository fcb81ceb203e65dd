//! The frame of every HTML page, and the one escape. Nothing is written into a page that its content
//! policy would have to make an exception for.

pub use crate::text::escape;

/// For the head of pages in the house's own style: light and dark.
pub const STYLED: &str = r#"<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="/docs/assets/page.css">"#;

/// A page; `title` has been escaped, `head` and `body` are HTML.
pub fn page(title: &str, head: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} – Vestibule</title>
{head}
</head>
<body>
{body}
</body>
</html>
"#
    )
}
