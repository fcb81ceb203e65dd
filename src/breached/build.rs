//! Making a filter from a list of any size.
//!
//! The list is read once. Keys of eight bytes are spilt into 256 files beside the filter, and each becomes a
//! filter of its own: memory holds a 256th of the keys at a time, at about 40 bytes each, and 16 MB beside.
//! The same list gives the same file, whatever its order and however often a line is in it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use xorf::BinaryFuse16;

use super::file::Writer;
use super::{SHARDS, key_of_line, shard};

/// Longest line that is looked at; no password is longer.
const LONGEST: usize = 1_024;

/// How many lines between two words of progress.
const STRIDE: u64 = 1_000_000;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Built {
    /// Lines that were read.
    pub lines: u64,
    /// Lines that could be no password: empty, longer than 1,024 bytes, or seen no times.
    pub skipped: u64,
    /// Different passwords in the filter.
    pub count: u64,
    /// Whether the lines were SHA-1 hashes.
    pub hashes: bool,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Reads `list` and writes a filter of it to `out`: passwords, one a line, or all lines of the form
/// `SHA1` or `SHA1:COUNT`, as Have I Been Pwned gives them; the first line tells. `progress` is told the
/// number of lines from time to time.
///
/// # Errors
/// A sentence: what cannot be read or written, or which line is of another kind than the first.
pub fn build(list: impl Read, out: &Path, progress: &mut dyn FnMut(u64)) -> Result<Built, String> {
    let spill = Spill::new(out)?;
    let mut built = spill.fill(list, progress)?;
    let part = beside(out, "part");
    let written = spill.write(&part, &mut built).and_then(|()| {
        fs::rename(&part, out).map_err(|error| format!("{} cannot be written: {error}", out.display()))
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.map(|()| built)
}

fn beside(out: &Path, end: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}

/// The folder of the spilt keys; gone when it is dropped.
struct Spill(PathBuf);

impl Drop for Spill {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Spill {
    fn new(out: &Path) -> Result<Self, String> {
        let folder = beside(out, "keys");
        fs::create_dir(&folder)
            .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    fn path(&self, at: usize) -> PathBuf {
        self.0.join(format!("{at:02x}"))
    }

    fn fill(&self, list: impl Read, progress: &mut dyn FnMut(u64)) -> Result<Built, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.0.display());
        let files = (0..SHARDS).map(|at| File::create(self.path(at)));
        let mut files: Vec<_> = files
            .map(|file| file.map(|file| BufWriter::with_capacity(32 * 1_024, file)))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let mut lines = Lines { from: BufReader::with_capacity(1 << 20, list), line: Vec::new() };
        let mut kind = None;
        let mut built = Built { lines: 0, skipped: 0, count: 0, hashes: false, bytes: 0 };
        while let Some(line) = lines.next().map_err(|error| format!("the list cannot be read: {error}"))? {
            built.lines += 1;
            if built.lines.is_multiple_of(STRIDE) {
                progress(built.lines);
            }
            let Some(line) = line.filter(|line| !line.is_empty()) else {
                built.skipped += 1;
                continue;
            };
            let hashes = *kind.get_or_insert_with(|| hashed(line).is_some());
            if built.lines - built.skipped == 1 && looks_like_ntlm(line) {
                return Err("the list has NTLM hashes: take the one with SHA-1 hashes".into());
            }
            built.hashes = hashes;
            let key = match (hashes, hashed(line)) {
                (false, _) => key_of_line(line),
                (true, Some((key, true))) => key,
                // Padding of the service that hands the lists out.
                (true, Some((_, false))) => {
                    built.skipped += 1;
                    continue;
                }
                (true, None) => {
                    let line = built.lines;
                    return Err(format!(
                        "line {line} is not a SHA-1 hash in hexadecimal, as the first one is"
                    ));
                }
            };
            let file = files.get_mut(shard(key)).ok_or("a key has no file")?;
            file.write_all(&key.to_be_bytes()).map_err(failed)?;
        }
        files.iter_mut().try_for_each(Write::flush).map_err(failed)?;
        Ok(built)
    }

    fn write(&self, part: &Path, built: &mut Built) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{} cannot be written: {error}", part.display());
        let file = File::create(part).map_err(failed)?;
        let mut writer = Writer::new(BufWriter::new(file)).map_err(failed)?;
        for at in 0..SHARDS {
            let bytes = fs::read(self.path(at)).map_err(|error| format!("{}: {error}", self.0.display()))?;
            let (keys, _) = bytes.as_chunks::<8>();
            let mut keys: Vec<u64> = keys.iter().map(|key| u64::from_be_bytes(*key)).collect();
            drop(bytes);
            keys.sort_unstable();
            keys.dedup();
            built.count += keys.len() as u64;
            // The filter counts its places in 32 bits.
            if keys.len() > 1 << 30 {
                return Err("the list is too large".into());
            }
            let filter = if keys.is_empty() { None } else { Some(BinaryFuse16::try_from(&keys)?) };
            writer.shard(filter.as_ref()).map_err(failed)?;
        }
        let file = writer.finish(built.count).map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        built.bytes = file.metadata().map_err(failed)?.len();
        Ok(())
    }
}

/// Lines of bounded length.
struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next line without its end; `Some(None)` for one that is too long.
    fn next(&mut self) -> std::io::Result<Option<Option<&[u8]>>> {
        self.line.clear();
        // The end may be of two bytes, and a byte more tells a line that is too long.
        let most = LONGEST as u64 + 3;
        if self.from.by_ref().take(most).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let whole = self.line.ends_with(b"\n");
        if whole {
            self.line.pop();
            if self.line.ends_with(b"\r") {
                self.line.pop();
            }
        } else if self.line.len() as u64 == most {
            self.from.skip_until(b'\n')?;
        }
        Ok(Some(Some(self.line.as_slice()).filter(|line| line.len() <= LONGEST)))
    }
}

/// The key of `SHA1` or `SHA1:COUNT`, and whether it was seen at all.
fn hashed(line: &[u8]) -> Option<(u64, bool)> {
    let line = line.trim_ascii_end();
    let (hash, rest) = line.split_at_checked(40)?;
    let seen = match rest {
        [] => true,
        [b':', count @ ..] if !count.is_empty() && count.iter().all(u8::is_ascii_digit) => count != b"0",
        _ => return None,
    };
    if !hash.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let key = std::str::from_utf8(hash.get(..16)?).ok()?;
    Some((u64::from_str_radix(key, 16).ok()?, seen))
}

fn looks_like_ntlm(line: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    line.split_at_checked(32).is_some_and(|(hash, rest)| {
        hash.iter().all(u8::is_ascii_hexdigit) && rest.strip_prefix(b":").is_some_and(digits)
    })
}
