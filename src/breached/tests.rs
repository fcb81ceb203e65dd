use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// A directory that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vestibule-breached-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn out(&self) -> PathBuf {
        self.0.join("filter")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn made(scratch: &Scratch, list: &[u8]) -> Result<(Built, Breached), String> {
    let built = build(list, &scratch.out(), &mut |_| {})?;
    let loaded = Breached::load(&scratch.out())?;
    Ok((built, loaded))
}

fn sha1(text: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn every_password_of_the_list_is_found_and_hardly_another() {
    let scratch = Scratch::new("found");
    let list: String = (0..40_000).map(|n| format!("password number {n}\r\n")).collect();
    let (built, filter) = made(&scratch, list.as_bytes()).unwrap();
    assert_eq!((built.lines, built.skipped, built.count, built.hashes), (40_000, 0, 40_000, false));
    assert_eq!(filter.count(), 40_000);
    assert!((0..40_000).all(|n| filter.contains(&format!("password number {n}"))));
    let wrong = (0..400_000).filter(|n| filter.contains(&format!("another number {n}"))).count();
    assert!(wrong < 40, "about 6 of 400,000 are expected: {wrong}");
    assert!(!scratch.0.join("filter.keys").exists() && !scratch.0.join("filter.part").exists());
}

#[test]
fn hashes_and_plain_lines_give_the_same_file_in_any_order() {
    let words: Vec<String> = (0..3_000).map(|n| format!("word {n}")).collect();
    let plain = words.join("\n");
    let hashes: String = words.iter().rev().map(|word| format!("{}:{}\n", sha1(word), 7)).collect();
    let twice = format!("{}{}", hashes.to_lowercase(), hashes);
    let files: Vec<Vec<u8>> = [plain, hashes, twice]
        .into_iter()
        .enumerate()
        .map(|(n, list)| {
            let scratch = Scratch::new(&format!("same{n}"));
            assert_eq!(made(&scratch, list.as_bytes()).unwrap().0.count, 3_000);
            std::fs::read(scratch.out()).unwrap()
        })
        .collect();
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2]);
}

#[test]
fn lists_of_every_small_size_work() {
    for size in 0..40 {
        let scratch = Scratch::new(&format!("small{size}"));
        // All in one of the 256 filters: the smallest that there are.
        let hash = |n: i32| format!("00{n:038x}");
        let list: String = (0..size).map(|n| hash(n << 24) + "\n").collect();
        let (built, _) = made(&scratch, list.as_bytes()).unwrap();
        assert!(built.count <= 40, "{size}");
        let list: String = (0..size).map(|n| format!("{n} lanterns\n")).collect();
        let (_, filter) = made(&scratch, list.as_bytes()).unwrap();
        assert!((0..size).all(|n| filter.contains(&format!("{n} lanterns"))), "{size}");
    }
}

#[test]
fn what_is_no_password_is_skipped_and_what_is_of_another_kind_is_refused() {
    let scratch = Scratch::new("odd");
    let long = "x".repeat(5_000);
    let list =
        format!("\n\nfirst\n{long}\n{}\r\n{}\nCafe\u{301}\nlast", "y".repeat(1_024), "z".repeat(1_025));
    let mut list = list.into_bytes();
    list.splice(0..0, b"\xff\xfe raw\n".iter().copied());
    let (built, filter) = made(&scratch, &list).unwrap();
    assert_eq!((built.lines, built.skipped, built.count), (9, 4, 5));
    assert!(filter.contains("first") && filter.contains("last") && filter.contains(&"y".repeat(1_024)));
    assert!(filter.contains("Café"), "lists are compared in NFC");

    let seen = format!("{}:3\n{}:0\n", sha1("seen"), sha1("padding"));
    let (built, filter) = made(&scratch, seen.as_bytes()).unwrap();
    assert_eq!((built.skipped, built.count, built.hashes), (1, 1, true));
    assert!(filter.contains("seen") && !filter.contains("padding"));

    let mixed = format!("{}:3\nplain\n", sha1("a"));
    assert!(made(&scratch, mixed.as_bytes()).unwrap_err().contains("line 2"));
    let ntlm = b"0123456789ABCDEF0123456789ABCDEF:12\n";
    assert!(made(&scratch, ntlm).unwrap_err().contains("NTLM"));
    assert!(!scratch.0.join("filter.keys").exists(), "cleaned up after a failure");
    assert!(build(&b"a"[..], &scratch.0.join("no/where"), &mut |_| {}).is_err());
}

#[test]
fn a_spoilt_filter_is_refused_with_a_sentence() {
    let scratch = Scratch::new("spoilt");
    made(&scratch, b"one\ntwo\nthree\n").unwrap();
    let whole = std::fs::read(scratch.out()).unwrap();
    let read = |bytes: &[u8]| file::read(bytes, bytes.len() as u64).map(|_| ());
    assert_eq!(read(&whole), Ok(()));
    for cut in (0..whole.len()).step_by(7) {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x80;
        assert!(read(&altered).is_err(), "{at}");
    }
    assert!(read(&[whole.as_slice(), b"x"].concat()).is_err());
    assert!(read(b"just a text file\n").unwrap_err().contains("no filter"));
    let told = Breached::configured("/nowhere/at/all").unwrap_err();
    assert!(told.contains("password.breached") && told.contains("vestibule passwords filter"), "{told}");
    assert!(Breached::configured("").unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A head that lies leads nowhere: it is refused before a look-up could read outside.
    #[test]
    fn no_head_leads_outside(
        seed in any::<u64>(),
        segment in prop_oneof![any::<u32>(), 0_u32..32, (0_u32..5).prop_map(|bits| 1 << bits)],
        count in prop_oneof![any::<u32>(), 0_u32..64, (0_u32..16).prop_map(|n| n * 4)],
        length in prop_oneof![any::<u32>(), 0_u32..64, (0_u32..16).prop_map(|n| n * 4)],
    ) {
        let mut bytes = b"VSTBRCH\0\x01\0\0\0\x01\0\0\0".to_vec();
        bytes.extend(seed.to_le_bytes());
        for number in [segment, count, length] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((0..length.min(64) * 2).map(|n| u8::try_from(n).unwrap()));
        // The other 255 have no keys; then the count.
        bytes.extend([0; 255 * 20 + 8]);
        let hash = digest::digest(&digest::SHA256, &bytes);
        bytes.extend(hash.as_ref());
        if let Ok(filter) = file::read(bytes.as_slice(), bytes.len() as u64) {
            let first = filter.shards[0].as_ref();
            for n in 0..100_u64 {
                let _ = first.map(|first| first.contains(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            }
        }
    }
}
