use super::*;

#[test]
fn the_first_language_that_is_spoken_here_is_chosen() {
    for (user, header, chosen) in [
        (None, None, Locale::En),
        (Some("pt-BR"), Some("de"), Locale::Pt),
        (Some("tlh"), Some("de-AT,en;q=0.5"), Locale::De),
        (None, Some("tlh, fr;q=0.8, es;q=0.9"), Locale::Es),
        (None, Some("ja;q=0, ar;q=0.1"), Locale::Ar),
        (None, Some("ja;q=2, fr;q=NaN, *;q=0.5"), Locale::En),
        (None, Some(";;;,,q=,\u{0}"), Locale::En),
        (Some("EN_us"), Some("ja"), Locale::En),
    ] {
        assert_eq!(Locale::choose(user, header), chosen, "{user:?} {header:?}");
    }
}
