//! Bytes of a picture that a decoder may read until its time is over.

use std::io::{BufRead, Cursor, Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::time::Instant;

/// Bytes that are handed out at once: the clock is asked between two portions. A decoder is slow where few bytes ask for
/// much work, as passes of a progressive JPEG do with 60 bytes for 40 megapixels; so they are small.
const PORTION: usize = 512;

/// A reader of bytes in memory that fails once its time is over, which ends whatever reads from it.
#[derive(Debug)]
pub(super) struct Supply<'a> {
    bytes: Cursor<&'a [u8]>,
    until: Option<Instant>,
}

impl<'a> Supply<'a> {
    /// All of `bytes`, until a moment if there is one.
    pub fn new(bytes: &'a [u8], until: Option<Instant>) -> Self {
        Self { bytes: Cursor::new(bytes), until }
    }

    fn in_time(&self) -> Result<()> {
        if is_over(self.until) { Err(Error::from(ErrorKind::TimedOut)) } else { Ok(()) }
    }
}

/// Whether a moment has passed.
pub(super) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

impl Read for Supply<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        self.in_time()?;
        self.bytes.read(to)
    }
}

impl BufRead for Supply<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.in_time()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PORTION)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for Supply<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.bytes.seek(to)
    }
}
