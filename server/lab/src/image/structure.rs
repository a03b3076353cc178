//! What the markers of a JPEG say, told without decoding it: how it is made, how much work it asks for, where it ends.

/// A JPEG's parts as its markers tell them (ITU-T T.81, annex B).
#[derive(Debug, Default)]
pub(super) struct Structure<'a> {
    /// The header of its picture.
    pub frame: Option<Frame>,
    /// Passes over the picture: one, or several of a progressive file.
    pub scans: u64,
    /// Where the picture ends: what lies behind it, such as a phone's video, is none of ours.
    pub end: Option<usize>,
    /// What the camera noted (EXIF).
    pub exif: Option<&'a [u8]>,
    /// Of each component and coefficient, the bits that no pass has brought so far.
    missing: Vec<(u8, [u8; 64])>,
}

/// The header of a picture.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its marker, which says how it is coded.
    process: u8,
    /// Bits a sample.
    precision: u8,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Key and sampling factors of its components.
    components: Vec<Component>,
}

#[derive(Debug, Clone, Copy)]
struct Component {
    key: u8,
    across: u32,
    down: u32,
}

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP1: u8 = 0xE1;
const PROGRESSIVE: u8 = 0xC2;
/// How EXIF begins in its segment.
const EXIF: &[u8] = b"Exif\0\0";
/// More bits than a coefficient has: no pass has mentioned it.
const UNSEEN: u8 = 0xFF;

impl<'a> Structure<'a> {
    /// Walks the markers of a JPEG. Pictures inside of segments (previews) are skipped with them.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut at = 2;
        while let Some((marker, behind)) = next_marker(bytes, at) {
            match marker {
                SOI => at = behind,
                EOI => {
                    found.end = Some(behind);
                    break;
                }
                _ => {
                    let Some(segment) = segment(bytes, behind) else { break };
                    found.note(marker, segment);
                    at = behind + 2 + segment.len();
                }
            }
        }
        if found.end.is_none() && is_closed(bytes) {
            found.end = Some(bytes.len());
        }
        found
    }

    fn note(&mut self, marker: u8, segment: &'a [u8]) {
        match marker {
            SOS => {
                self.scans += 1;
                self.note_scan(segment);
            }
            APP1 if self.exif.is_none() => self.exif = segment.strip_prefix(EXIF),
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && self.frame.is_none() => {
                self.frame = Frame::of(marker, segment);
                let components = self.frame.iter().flat_map(|f| &f.components);
                self.missing = components.map(|c| (c.key, [UNSEEN; 64])).collect();
            }
            _ => {}
        }
    }

    /// Notes which bits of which coefficients a pass brings.
    fn note_scan(&mut self, segment: &[u8]) {
        let count = usize::from(segment.first().copied().unwrap_or_default());
        let Some(&[from, to, approximation]) = segment.get(1 + 2 * count..).and_then(|rest| rest.first_chunk()) else {
            return;
        };
        let progressive = self.frame.as_ref().is_some_and(|f| f.process == PROGRESSIVE);
        let (from, to, left) = if progressive { (from, to, approximation & 0x0F) } else { (0, 63, 0) };
        let range = usize::from(from)..usize::from(to.min(63)) + 1;
        for pair in segment[1..].chunks_exact(2).take(count) {
            let of = self.missing.iter_mut().filter(|(key, _)| *key == pair[0]);
            of.filter_map(|(_, bits)| bits.get_mut(range.clone())).for_each(|bits| bits.fill(left));
        }
    }

    /// Whether passes have brought every bit of every coefficient.
    pub fn is_complete(&self) -> bool {
        !self.missing.is_empty() && self.missing.iter().all(|(_, bits)| bits.iter().all(|left| *left == 0))
    }

    /// Bytes that a decoder keeps of the picture while it reads several passes.
    pub fn coefficients_bytes(&self) -> u64 {
        match &self.frame {
            Some(frame) if self.scans > 1 || frame.process == PROGRESSIVE => frame.coefficients() * 2,
            _ => 0,
        }
    }
}

impl Frame {
    fn of(process: u8, segment: &[u8]) -> Option<Self> {
        let &[precision, h1, h0, w1, w0, count] = segment.first_chunk()?;
        let components = segment[6..].chunks_exact(3).take(usize::from(count));
        let components = components.map(|c| Component {
            key: c[0],
            across: u32::from(c[1] >> 4).max(1),
            down: u32::from(c[1] & 0x0F).max(1),
        });
        Some(Self {
            process,
            precision,
            width: u32::from(u16::from_be_bytes([w1, w0])),
            height: u32::from(u16::from_be_bytes([h1, h0])),
            components: components.collect(),
        })
    }

    /// What of its kind is not read, if it is of such a kind.
    pub fn unread(&self) -> Option<String> {
        match (self.process, self.precision, self.components.len()) {
            (0xC3, ..) => Some("coded without loss".to_owned()),
            (0xC5..=0xC7, ..) => Some("coded in a hierarchy".to_owned()),
            (0xC9..=0xCF, ..) => Some("arithmetic coding".to_owned()),
            (_, precision, _) if precision != 8 => Some(format!("{precision} bits a sample")),
            (_, _, 1 | 3 | 4) => None,
            (_, _, channels) => Some(format!("{channels} channels")),
        }
    }

    /// Coefficients of all components, whose last blocks stand over the edges.
    fn coefficients(&self) -> u64 {
        let most = |of: fn(&Component) -> u32| self.components.iter().map(of).max().unwrap_or(1);
        let (across, down) = (most(|c| c.across), most(|c| c.down));
        let side = |pixels: u32, own: u32, most: u32| u64::from(pixels.div_ceil(8 * most) * own) * 8;
        self.components.iter().map(|c| side(self.width, c.across, across) * side(self.height, c.down, down)).sum()
    }
}

/// The next marker and where its segment begins. Inside a pass, 0xFF is followed by 0 or a mark to restart at.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0x01 | 0xD0..=0xD7 | 0xFF);
    let at = from + bytes.get(from..)?.windows(2).position(is_marker)?;
    Some((bytes[at + 1], at + 2))
}

/// What a segment holds, whose length is its first two bytes and counts them.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    bytes.get(at + 2..at + length.max(2))
}

/// Whether a file ends in the mark of an end, though a fault before it has led its reader astray. Some writers fill up
/// with zeros or end the line.
fn is_closed(bytes: &[u8]) -> bool {
    let last = bytes.iter().rposition(|b| !matches!(b, 0 | b'\n' | b'\r')).map_or(0, |at| at + 1);
    bytes[..last].ends_with(&[0xFF, EOI])
}
