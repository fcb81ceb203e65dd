use proptest::prelude::*;

use super::*;
use crate::hashing::imported;

const PASSWORD: &str = "Schöne Grüße 2030";

/// The signer key and the salt separator of the published example of Firebase's scrypt.
const SIGNER: &str =
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
const SEPARATOR: &str = "Bw==";

/// Of [`PASSWORD`], made by CPython 3.11's hashlib, passlib 1.7, bcrypt 5, Django 5, Werkzeug 3 and
/// argon2-cffi (the C reference); beside each what is stored of it, when that is written otherwise.
#[rustfmt::skip]
const KNOWN: &[(&str, &str)] = &[
    ("pbkdf2_sha256$1000$seasalt$HuY4OVT+fGBcNLQlOdRnaUUGHhIXOae2cz337oRedXo=", "$pbkdf2-sha256$i=1000$c2Vhc2FsdA$HuY4OVT+fGBcNLQlOdRnaUUGHhIXOae2cz337oRedXo"),
    ("pbkdf2_sha1$1000$seasalt$2T1vdVq8tYQ0o2nCNA6dNwjqq4g=", "$pbkdf2-sha1$i=1000$c2Vhc2FsdA$2T1vdVq8tYQ0o2nCNA6dNwjqq4g"),
    ("bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuumEv8INiESzFy7d.TlBNsmewN96oJblC", ""),
    ("bcrypt$$2b$04$abcdefghijklmnopqrstuunc9QlZgDwgZlO/zHgCRxFXgE8v6Duz6", "$2b$04$abcdefghijklmnopqrstuunc9QlZgDwgZlO/zHgCRxFXgE8v6Duz6"),
    ("scrypt$16$seasalt$8$1$yb5jpL+MpvFDl92aOfoA4t+2W3ZqF6y3GInMpo/JQzwVEWN9ieM+YRFOIxTJMZC1uWevPSvFDJ+8fsOSr1u3xA==", "$scrypt$ln=4,r=8,p=1$c2Vhc2FsdA$yb5jpL+MpvFDl92aOfoA4t+2W3ZqF6y3GInMpo/JQzwVEWN9ieM+YRFOIxTJMZC1uWevPSvFDJ+8fsOSr1u3xA"),
    ("argon2$argon2id$v=19$m=64,t=1,p=2$c2Vhc2FsdHNlYXNhbHQ$FKDwcgD396m4U6dB0XrdcFq6o1Jnt1o3lrXvPnbht18", "$argon2id$v=19$m=64,t=1,p=2$c2Vhc2FsdHNlYXNhbHQ$FKDwcgD396m4U6dB0XrdcFq6o1Jnt1o3lrXvPnbht18"),
    ("$pbkdf2$1000$c2FsdHNhbHRzYWx0./8$hqhMeIZNubNQ7dgVad8Xr9B1zeQ", "$pbkdf2-sha1$i=1000$c2FsdHNhbHRzYWx0+/8$hqhMeIZNubNQ7dgVad8Xr9B1zeQ"),
    ("$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0./8$bs0MbJUH5.LuK3RTh/O1tfHOsM7rzf1n7a1AHgDYSik", "$pbkdf2-sha256$i=1000$c2FsdHNhbHRzYWx0+/8$bs0MbJUH5+LuK3RTh/O1tfHOsM7rzf1n7a1AHgDYSik"),
    ("$pbkdf2-sha512$1000$c2FsdHNhbHRzYWx0./8$cP.tip8a7L6UBPRJ/8QWrdCS7reu.KMSbq2A30IcTAnWGAwU.5wmT7PF2UBjA0cyihIuTqaaAyxkLAd0dKa3Jw", "$pbkdf2-sha512$i=1000$c2FsdHNhbHRzYWx0+/8$cP+tip8a7L6UBPRJ/8QWrdCS7reu+KMSbq2A30IcTAnWGAwU+5wmT7PF2UBjA0cyihIuTqaaAyxkLAd0dKa3Jw"),
    ("$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0$CIniORsIz+4DNNHCDNPeA65aFsE+KkClqApYOGP30q0", ""),
    ("$s0$40802$c2FsdHNhbHQ=$M2QeUFeVjwiDeWM4++ocDWJroNLnYKornaV2T5ejulU=", "$scrypt$ln=4,r=8,p=2$c2FsdHNhbHQ$M2QeUFeVjwiDeWM4++ocDWJroNLnYKornaV2T5ejulU"),
    ("$2a$04$jRno1dMu43lU0w0FozsRs.SGmlgr7KrQ/mdT5fAl6rNGSZvStcahC", ""),
    ("$2b$04$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW", ""),
    ("$2y$04$I5B9U/zKeMKMSPzeracJIucL0QgXAm48iCKAuyYDiKvAdKD4/wQfG", ""),
    ("pbkdf2:sha256:1000$tDJ800GPtQVzVO9L$51eb8a0ecf2ef553c2e634488112b3abd48b8e2d352ef29263b2c332653f3bb8", "$pbkdf2-sha256$i=1000$dERKODAwR1B0UVZ6Vk85TA$UeuKDs8u9VPC5jRIgRKzq9SLji01LvKSY7LDMmU/O7g"),
    ("scrypt:1024:8:1$T5m9fI6cT9gKUf8U$81320ef9c338e93e20f06ef2fb538f380ea44a0fb0e3a401e378d0812810ff99f7b7abc09c9748e32eb0b7ab1eac67239f3366d745bc453095104561a3154c75", "$scrypt$ln=10,r=8,p=1$VDVtOWZJNmNUOWdLVWY4VQ$gTIO+cM46T4g8G7y+1OPOA6kSg+w46QB43jQgSgQ/5n3t6vAnJdI4y6wt6serGcjnzNm10W8RTCVEEVhoxVMdQ"),
    ("$argon2i$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$UidoJUPzCI7FNYAitErK142qa/naDJVD", ""),
    ("$argon2i$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$UidoJUPzCI7FNYAitErK142qa/naDJVD", "$argon2i$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$UidoJUPzCI7FNYAitErK142qa/naDJVD"),
    ("$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nHs7ET87Raevz2ITO0o6qQqWSUzhpL7C", ""),
    ("$argon2d$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$BCB0ZKL2Fc1VKIXGsqBiYdtScfInz2Y+Iti11Y/mwZk", ""),
    ("$argon2d$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$9tAZOiPWzEZtxD3X1K252dAWes863Z9v1AGTittU8EQ", ""),
    ("$argon2id$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ciRKviL5UlSVnzoqQEEzx6H1uYlB+4lae//BDLSqJLs", ""),
    ("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$a6YfbKHWd5y0qx35qRBbRhrGt8+sIAwzafC+Oi5R0XM", ""),
    ("$pbkdf2-sha1$i=1000,l=32$c2FsdHNhbHQ$QL++3kx1C0eTtKzU9prg1lUleF1+xRJMwzI0CYW+kpc", "$pbkdf2-sha1$i=1000$c2FsdHNhbHQ$QL++3kx1C0eTtKzU9prg1lUleF1+xRJMwzI0CYW+kpc"),
    ("$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHQ$xhzwYv2FcvB2RQ7cqeRzMATXENfybQBsOoD8sXFWt3I", "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$xhzwYv2FcvB2RQ7cqeRzMATXENfybQBsOoD8sXFWt3I"),
    ("$pbkdf2-sha384$i=1000,l=32$c2FsdHNhbHQ$SXd0JGQfZzVun7VrKq/Vn31ZMIFEM9x5rW0Ctcv0orI", "$pbkdf2-sha384$i=1000$c2FsdHNhbHQ$SXd0JGQfZzVun7VrKq/Vn31ZMIFEM9x5rW0Ctcv0orI"),
    ("$pbkdf2-sha512$i=1000,l=32$c2FsdHNhbHQ$didVIEsYUREERD4Iw3vgdkfWGoIrqELzmwo+IPIzoRY", "$pbkdf2-sha512$i=1000$c2FsdHNhbHQ$didVIEsYUREERD4Iw3vgdkfWGoIrqELzmwo+IPIzoRY"),
    ("$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ==", "$firebase-scrypt$ln=4,r=8,p=1,ss=Bw,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA$42xEC+ixf3L2lw$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ"),
    ("$firescrypt$ln=4,r=8,p=1$42xEC+ixf3L2lw==$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==", "$firebase-scrypt$ln=4,r=8,p=1,ss=Bw,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA$42xEC+ixf3L2lw$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ"),
];

fn is_right(hash: &str, password: &str) -> bool {
    let foreign = read(hash).unwrap_or_else(|why| panic!("{hash}: {why}"));
    foreign.matches(password.as_bytes(), &Firebase::default()).unwrap()
}

#[test]
fn known_answers_of_other_implementations() {
    for (hash, stored) in KNOWN {
        assert!(is_right(hash, PASSWORD), "{hash}");
        for wrong in ["", "Schöne Grüße 2031", "schöne Grüße 2030", "Schöne Grüße 2030 ", "Scho\u{308}ne"]
        {
            assert!(!is_right(hash, wrong), "{hash} {wrong}");
        }
        let stored = if stored.is_empty() { hash } else { stored };
        assert_eq!(imported(hash).unwrap(), *stored);
        assert_eq!(imported(stored).unwrap(), *stored, "what is stored reads as itself");
        assert!(is_right(stored, PASSWORD), "{stored}");
    }
}

#[test]
fn known_answers_of_the_specifications() {
    for (hash, password) in [
        // RFC 7914 §12 (the second), scrypt.
        (
            "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA",
            "password",
        ),
        // RFC 7914 §11, PBKDF2 with two blocks of SHA-256.
        (
            "$pbkdf2-sha256$i=1$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw",
            "passwd",
        ),
        // RFC 6070, PBKDF2 with SHA-1.
        ("$pbkdf2-sha1$i=4096$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE", "password"),
        // crypt_blowfish's own.
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"),
    ] {
        assert!(is_right(hash, password), "{hash}");
        assert!(!is_right(hash, "passwore"), "{hash}");
    }
    let published = "$firebase-scrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
    let project = Firebase::parse(&Secret::new(SIGNER), SEPARATOR).unwrap();
    let hash = read(published).unwrap();
    assert_eq!(hash.matches(b"user1password", &project), Ok(true));
    assert_eq!(hash.matches(b"user2password", &project), Ok(false));
    let told = hash.matches(b"user1password", &Firebase::default()).unwrap_err();
    assert!(told.contains("firebase_signer_key"), "{told}");
    assert!(
        Firebase::parse(&Secret::new("§"), "").is_err() && Firebase::parse(&Secret::default(), "§").is_err()
    );
}

#[test]
fn bcrypt_reads_72_bytes_and_says_so() {
    let hash = "$2b$04$hx5Tw9u6p5743cSeYK28Hu0kSe6cNiDd10Sl6wJjczpahd5GV6JgS";
    let (foreign, exact) = (read(hash).unwrap(), "a".repeat(72));
    let longer = format!("{exact} and whatever");
    assert!(is_right(hash, &exact) && is_right(hash, &longer) && !is_right(hash, &exact[..71]));
    assert!(foreign.covers(exact.as_bytes()) && !foreign.covers(longer.as_bytes()));
    // Hashed before bcrypt sees it, all of it counts.
    let (hashed, _) = KNOWN.iter().find(|(hash, _)| hash.starts_with("bcrypt_sha256")).unwrap();
    assert!(read(hashed).unwrap().covers(longer.as_bytes()));
}

#[test]
fn a_zero_byte_makes_no_second_password() {
    // For bcrypt `pw` is `pw\0pw`, for HMAC it is `pw\0`.
    for (hash, _) in KNOWN {
        for second in [format!("{PASSWORD}\0"), format!("{PASSWORD}\0{PASSWORD}")] {
            assert!(!is_right(hash, &second), "{hash}");
        }
    }
}

#[test]
fn the_broken_bcrypt_is_taken_for_ascii_only() {
    let (hash, _) = KNOWN.iter().find(|(hash, _)| hash.starts_with("$2y$")).unwrap();
    assert!(!is_right(&hash.replace("$2y$", "$2x$"), PASSWORD), "its letters above 127 may be anything");
    assert!(is_right("$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"));
}

#[test]
fn what_is_not_taken_is_refused_with_its_reason() {
    let b16 = "c29tZXNhbHRzb21lc2FsdA";
    let tag = "nHs7ET87Raevz2ITO0o6qQqWSUzhpL7C";
    let bcrypt = "$abcdefghijklmnopqrstuunc9QlZgDwgZlO/zHgCRxFXgE8v6Duz6";
    use Why::{Keyed, Length, Malformed, Salt, TooCostly, Unknown};
    let cases = [
        (String::new(), Unknown),
        ("5f4dcc3b5aa765d61d8327deb882cf99".into(), Unknown),
        ("$1$salt$qJH7.N4xYta3aEG/dfqo/0".into(), Unknown),
        (
            "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g."
                .into(),
            Unknown,
        ),
        ("x".repeat(1_025), Unknown),
        (format!("$pbkdf2-md5$i=1000${b16}${tag}"), Unknown),
        // Absurd costs: bcrypt's go to 31, and one of 32 would wrap to a single round.
        (format!("$2b$15{bcrypt}"), TooCostly("bcrypt")),
        (format!("$2b$31{bcrypt}"), TooCostly("bcrypt")),
        (format!("$2b$32{bcrypt}"), TooCostly("bcrypt")),
        (format!("$2b$99{bcrypt}"), TooCostly("bcrypt")),
        (format!("$2b$03{bcrypt}"), Malformed("bcrypt")),
        (format!("$2b$+9{bcrypt}"), Malformed("bcrypt")),
        (format!("$2b$4{bcrypt}"), Malformed("bcrypt")),
        (format!("$2b$004{bcrypt}"), Malformed("bcrypt")),
        (format!("$2b$04{bcrypt}x"), Malformed("bcrypt")),
        (format!("$2b$04{}é", &bcrypt[..53]), Malformed("bcrypt")),
        (format!("$argon2i$v=19$m=262144,t=17,p=1${b16}${tag}"), TooCostly("Argon2")),
        (format!("$argon2i$v=19$m=4294967295,t=1,p=1${b16}${tag}"), TooCostly("Argon2")),
        (format!("$argon2i$v=19$m=99999999999999,t=1,p=1${b16}${tag}"), TooCostly("Argon2")),
        (format!("$argon2i$v=19$m=64,t=0,p=1${b16}${tag}"), TooCostly("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=0${b16}${tag}"), TooCostly("Argon2")),
        (format!("$argon2i$v=20$m=64,t=1,p=1${b16}${tag}"), Malformed("Argon2")),
        (format!("$argon2i$v=19$m=64,t=-1,p=1${b16}${tag}"), Malformed("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=1,x=2${b16}${tag}"), Malformed("Argon2")),
        (format!("$argon2i$v=19$m=64,m=64,t=1,p=1${b16}${tag}"), Malformed("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=1,keyid=YQ${b16}${tag}"), Keyed("Argon2")),
        (
            format!("$argon2id$v=19$m=64,t=1,p=1,keyid=YQ${b16}$a6YfbKHWd5y0qx35qRBbRhrGt8+sIAwzafC+Oi5R0XM"),
            Keyed("Argon2"),
        ),
        (format!("$argon2i$v=19$m=64,t=1,p=1${b16}$c2hvcnQ"), Length("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=1$c2hvcnQ${tag}"), Malformed("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=1$${tag}"), Salt("Argon2")),
        (format!("$argon2i$v=19$m=64,t=1,p=1${b16}${}", "A".repeat(172)), Length("Argon2")),
        (format!("$scrypt$ln=19,r=8,p=1${b16}${tag}"), TooCostly("scrypt")),
        (format!("$scrypt$ln=17,r=8,p=5${b16}${tag}"), TooCostly("scrypt")),
        (format!("$scrypt$ln=64,r=8,p=1${b16}${tag}"), TooCostly("scrypt")),
        (format!("$scrypt$ln=300,r=8,p=1${b16}${tag}"), TooCostly("scrypt")),
        (format!("$scrypt$ln=1,r=4294967295,p=4294967295${b16}${tag}"), TooCostly("scrypt")),
        (format!("$scrypt$ln=4,r=0,p=1${b16}${tag}"), Malformed("scrypt")),
        (format!("$scrypt$ln=4,r=8,p=0${b16}${tag}"), Malformed("scrypt")),
        (format!("$scrypt$ln=0,r=8,p=1${b16}${tag}"), Malformed("scrypt")),
        (format!("scrypt$17$salt$8$1${tag}"), Malformed("scrypt")),
        (format!("$s0$ffffffff${b16}${tag}"), TooCostly("scrypt")),
        (format!("$pbkdf2-sha512$i=5000001${b16}${tag}"), TooCostly("PBKDF2")),
        (format!("$pbkdf2-sha1$i=2500001${b16}${tag}"), TooCostly("PBKDF2")),
        (format!("$pbkdf2-sha512$i=0${b16}${tag}"), Malformed("PBKDF2")),
        (format!("$pbkdf2-sha512$i=10,l=32${b16}${tag}"), Malformed("PBKDF2")),
        (format!("pbkdf2_sha256$1000$${tag}"), Salt("PBKDF2")),
        (format!("pbkdf2:sha256:1000$salt${tag}"), Malformed("PBKDF2")),
        (format!("$firebase-scrypt$ln=14,r=8,p=1,sk=AAAA${b16}${tag}"), Malformed("Firebase")),
        (format!("$firebase-scrypt$ln=30,r=8,p=1${b16}${tag}"), TooCostly("Firebase")),
    ];
    for (hash, why) in cases {
        assert_eq!(imported(&hash), Err(why), "{hash}");
        assert!(!why.to_string().contains("somesalt"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", mark in "[a-z0-9$=,.:/_-]{0,80}") {
        for text in [text, mark.clone(), format!("$argon2id${mark}"), format!("$2b$04${mark}"), format!("$scrypt${mark}"), format!("$pbkdf2-sha256${mark}"), format!("$firebase-scrypt${mark}")] {
            if let Ok(stored) = imported(&text) {
                prop_assert_eq!(imported(&stored), Ok(stored.clone()));
            }
        }
    }

    /// The oracle is RustCrypto's, the other side aws-lc.
    #[test]
    fn pbkdf2_agrees_with_another_implementation(
        password in "\\PC{0,80}", salt in prop::collection::vec(any::<u8>(), 1..60), rounds in 1_u32..50, length in 16_usize..100,
    ) {
        prop_assume!(!password.contains('\0'));
        let tag = vec![0; length];
        let hash = |prf, tag: Vec<u8>| Foreign::Pbkdf2 { prf, rounds: NonZeroU32::new(rounds).unwrap(), salt: salt.clone(), tag };
        let mut expected = tag.clone();
        ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password.as_bytes(), &salt, rounds, &mut expected);
        prop_assert!(hash(Prf::Sha256, expected).matches(password.as_bytes(), &Firebase::default()).unwrap());
        let mut expected = tag.clone();
        ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password.as_bytes(), &salt, rounds, &mut expected);
        prop_assert!(hash(Prf::Sha512, expected).matches(password.as_bytes(), &Firebase::default()).unwrap());
    }

    #[test]
    fn bcrypt_agrees_with_itself_as_it_is_commonly_called(password in "[^\0]{0,90}", salt in any::<[u8; 16]>()) {
        let parts = bcrypt::hash_with_salt(&password, 4, salt).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let text = parts.format_for_version(version);
            prop_assert!(is_right(&text, &password));
            prop_assert_eq!(imported(&text), Ok(text.clone()));
        }
    }
}
