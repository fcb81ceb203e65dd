use super::*;

fn pages(change: impl FnOnce(&mut Pages)) -> Pages {
    let mut pages = Pages { accent: "#0a7d5a".into(), accent_dark: "#4fd1a1".into(), ..Pages::default() };
    change(&mut pages);
    pages
}

/// A directory with one file, which is gone when the test ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(file: &str, content: &str) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let folder =
            std::env::temp_dir().join(format!("vestibule-templates-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), content).unwrap();
        Self(folder)
    }

    fn read(&self) -> Result<Templates, String> {
        Templates::configured(&pages(|pages| pages.templates = self.0.display().to_string()), "example.com")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn whatever_a_page_is_given_is_text() {
    let templates = Templates::configured(&pages(|pages| pages.name = "<b>\"'&".into()), "x").unwrap();
    let evil = "\"><script>alert(1)</script>'&";
    for locale in Locale::ALL.iter().copied() {
        for (file, _) in BUILT_IN {
            let fields = context! { username => evil, email => evil, mobile => evil };
            let problem = context! { text => evil };
            let others = vec![evil];
            let asked = context! { factor => evil, sent_to => evil, may_resend => true, wait => 1, others };
            let given = context! {
                title => evil, notice => evil, problem, text => evil, identifier => evil, given => fields.clone(),
                wrong => fields, code => evil, challenge => evil, token => evil, id => evil,
                step => "link", asked, username => evil, name => evil, qr => evil,
                secret => evil, codes => vec![evil], here => evil, home => evil, value => evil, kind => evil,
                to => context! { sign_in => evil, code => evil, profile => evil },
            };
            let html = templates.render(locale, file, given);
            assert!(!html.contains("<script>") && !html.contains("<b>"), "{file}: {html}");
        }
    }
    let html = templates.render(Locale::Ar, "say.html", context! { title => evil });
    assert!(html.contains("&lt;script&gt;") && html.contains(r#"lang="ar" dir="rtl""#), "{html}");
}

#[test]
fn every_template_does_without_what_it_is_not_given() {
    let templates = Templates::configured(&pages(|_| ()), "x").unwrap();
    for (file, _) in BUILT_IN {
        let html = templates.render(Locale::Ja, file, context! { title => "T" });
        assert!(!html.is_empty(), "{file}");
    }
}

#[test]
fn a_template_of_ones_own_takes_the_place_of_the_one_built_in() {
    let own =
        Folder::with("say.html", "{% extends \"card.html\" %}{% block body %}Mine: {{ text }}{% endblock %}");
    let templates = own.read().unwrap();
    let html = templates.render(Locale::En, "say.html", context! { title => "T", text => "<i>" });
    assert!(html.contains("Mine: &lt;i&gt;") && html.contains("<title>T – example.com</title>"), "{html}");
}

#[test]
fn what_cannot_be_a_template_is_refused_at_start() {
    let told = |file, content| Folder::with(file, content).read().err().unwrap();
    assert_eq!(
        told("sign_in.html", "x"),
        "pages.templates: there is no template `sign_in.html`; did you mean `sign-in.html`?"
    );
    assert!(told("frontpage.html", "x").contains("; there are layout.html, card.html"));
    let told = told("say.html", "one\ntwo {% if %}\n");
    assert!(told.starts_with("pages.templates: `say.html`, line 2: "), "{told}");
}

#[test]
fn a_template_that_fails_gives_way_to_the_one_built_in() {
    let own = Folder::with("say.html", "{{ nothing.at.all() }}");
    let html = own.read().unwrap().render(Locale::En, "say.html", context! { text => "still here" });
    assert!(html.contains("still here"), "{html}");
}

#[test]
fn the_names_of_assets_change_with_what_is_in_them() {
    let one = Templates::configured(&pages(|_| ()), "x").unwrap();
    let other = Templates::configured(&pages(|pages| pages.accent = "#ffee00".into()), "x").unwrap();
    let html = |templates: &Templates| templates.render(Locale::En, "say.html", context! {});
    assert_ne!(html(&one), html(&other));
    assert!(one.asset("page.css").is_none());
    let style = one.assets.style();
    let style = one.asset(style.strip_prefix("/assets/").unwrap()).unwrap();
    assert!(style.gzip.len() * 2 < style.plain.len() && style.gzip.starts_with(&[0x1f, 0x8b]));
    let text = String::from_utf8(
        other.assets.get(other.assets.style().strip_prefix("/assets/").unwrap()).unwrap().plain.to_vec(),
    );
    assert!(text.unwrap().contains("--accent:#ffee00;--on-accent:#000;"), "black can be read on yellow");
}
