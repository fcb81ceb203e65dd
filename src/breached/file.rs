//! The file of a filter: magic, version, kind of key, 256 filters, count, SHA-256 over all before.
//!
//! Numbers are little-endian. What is read is checked before it is used: a file that somebody cut short or
//! altered is refused with a sentence, and takes no more memory than it has bytes.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use xorf::{BinaryFuse16, Descriptor};

use super::{Breached, SHARDS};

const MAGIC: &[u8; 8] = b"VSTBRCH\0";
const VERSION: u32 = 1;
/// The first eight bytes of the SHA-1 of the password in UTF-8.
const KIND_SHA1: u32 = 1;
/// Bytes of a filter's head: seed, segment length, length of all segments, fingerprints.
const HEAD: u64 = 20;
/// Bytes read at once.
const CHUNK: usize = 64 * 1_024;

/// Writes, and hashes what it writes.
pub(super) struct Writer<W> {
    to: W,
    hash: Context,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W) -> std::io::Result<Self> {
        let mut this = Self { to, hash: Context::new(&SHA256) };
        this.put(MAGIC)?;
        this.put(&VERSION.to_le_bytes())?;
        this.put(&KIND_SHA1.to_le_bytes())?;
        Ok(this)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.to.write_all(bytes)
    }

    /// The next filter; none has no keys.
    pub(super) fn shard(&mut self, filter: Option<&BinaryFuse16>) -> std::io::Result<()> {
        let Some(filter) = filter else { return self.put(&[0; HEAD as usize]) };
        let Descriptor { seed, segment_length, segment_count_length, .. } = &filter.descriptor;
        let length = u32::try_from(filter.fingerprints.len()).map_err(std::io::Error::other)?;
        self.put(&seed.to_le_bytes())?;
        for number in [*segment_length, *segment_count_length, length] {
            self.put(&number.to_le_bytes())?;
        }
        for chunk in filter.fingerprints.chunks(CHUNK / 2) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|print| print.to_le_bytes()).collect();
            self.put(&bytes)?;
        }
        Ok(())
    }

    /// The end. Gives back what was written to.
    pub(super) fn finish(mut self, count: u64) -> std::io::Result<W> {
        self.put(&count.to_le_bytes())?;
        let sum = self.hash.clone().finish();
        self.to.write_all(sum.as_ref())?;
        self.to.flush()?;
        Ok(self.to)
    }
}

struct Reader<R> {
    from: R,
    hash: Context,
    /// Bytes of the file that are not yet read.
    left: u64,
}

impl<R: Read> Reader<R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or("it ends too early")?;
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
            _ => error.to_string(),
        })?;
        self.hash.update(bytes);
        Ok(())
    }

    fn number(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn shard(&mut self) -> Result<Option<BinaryFuse16>, String> {
        let seed = u64::from_le_bytes(self.take()?);
        let (segment_length, segment_count_length) = (self.number()?, self.number()?);
        let length = self.number()?;
        if length == 0 {
            return Ok(None);
        }
        // A look-up reads at three places, the last within two segments past the others: no key may lead
        // outside.
        let reach = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        let sound = segment_length.is_power_of_two()
            && segment_count_length.is_multiple_of(segment_length)
            && segment_count_length > 0
            && reach == u64::from(length);
        if !sound || u64::from(length) * 2 > self.left {
            return Err("it is spoilt".into());
        }
        let mut left = usize::try_from(length).map_err(|_| "it is too large")?;
        let mut fingerprints = Vec::new();
        fingerprints.try_reserve_exact(left).map_err(|_| "there is not enough memory for it")?;
        let mut bytes = vec![0; CHUNK];
        while left > 0 {
            let prints = left.min(CHUNK / 2);
            let chunk = bytes.get_mut(..prints * 2).unwrap_or_default();
            self.fill(chunk)?;
            let (pairs, _) = chunk.as_chunks::<2>();
            fingerprints.extend(pairs.iter().map(|pair| u16::from_le_bytes(*pair)));
            left -= prints;
        }
        let segment_length_mask = segment_length - 1;
        let descriptor = Descriptor { seed, segment_length, segment_length_mask, segment_count_length };
        Ok(Some(BinaryFuse16 { descriptor, fingerprints: fingerprints.into_boxed_slice() }))
    }
}

pub(super) fn load(path: &Path) -> Result<Breached, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    read(file, bytes)
}

pub(super) fn read(from: impl Read, bytes: u64) -> Result<Breached, String> {
    let from = BufReader::with_capacity(CHUNK, from);
    let mut reader = Reader { from, hash: Context::new(&SHA256), left: bytes };
    if reader.take().ok().as_ref() != Some(MAGIC) {
        return Err("it is no filter of passwords".into());
    }
    match (reader.number()?, reader.number()?) {
        (VERSION, KIND_SHA1) => {}
        (version, kind) => {
            return Err(format!("it is of version {version} and kind {kind}, which is not known"));
        }
    }
    let shards = (0..SHARDS).map(|_| reader.shard()).collect::<Result<Vec<_>, _>>()?;
    let count = u64::from_le_bytes(reader.take()?);
    let sum = reader.hash.clone().finish();
    let told: [u8; 32] = reader.take()?;
    if sum.as_ref() != told || reader.left != 0 {
        return Err("its checksum is wrong".into());
    }
    Ok(Breached { shards, count, bytes })
}
