//! PNG without what no pixel needs: profiles and texts are compressed and may be bombs.

use std::borrow::Cow;

const SIGNATURE: usize = 8;
/// A chunk's length, name and check.
const AROUND: usize = 12;
/// Chunks of which a decoder unpacks or keeps any amount.
const NEEDLESS: [&[u8; 4]; 5] = [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"sPLT"];

/// The same file without chunks that decoders unpack in vain.
pub(super) fn without_needless(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut kept: Vec<&[u8]> = vec![&bytes[..SIGNATURE.min(bytes.len())]];
    let mut at = SIGNATURE;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(chunk) = bytes.get(at..at.saturating_add(length).saturating_add(AROUND)) else { break };
        if !NEEDLESS.iter().any(|name| name.as_slice() == &head[4..8]) {
            kept.push(chunk);
        }
        at += chunk.len();
    }
    // What is cut off is left to the decoder to find.
    kept.push(bytes.get(at..).unwrap_or_default());
    if kept.iter().map(|c| c.len()).sum::<usize>() == bytes.len() { bytes.into() } else { kept.concat().into() }
}
