//! Decoding pictures: of data sets, and those that strangers hand in.

mod jpeg;
mod png;
mod structure;
mod supply;
#[cfg(test)]
mod tests;

use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError as Fault, ImageFormat, ImageReader, Limits, RgbImage};
use std::time::{Duration, Instant};
use structure::Structure;
use supply::{Supply, is_over};
use virboard_core::unread::Unread;

/// Largest picture that is decoded, in pixels (40 megapixels); checked before decoding.
pub const MAX_PIXELS: u64 = 40_000_000;

/// Why a picture cannot be used, as a sentence for the person whose it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing was sent.
    #[error("The file is empty. Choose another one.")]
    Empty,
    /// Too many pixels.
    #[error("The picture has {width} x {height} pixels; at most 40 megapixels are read. Make it smaller first.")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Decoding would take more memory than is allowed.
    #[error(
        "Decoding the picture would take more than {megabytes} MB. Save it with 8 bits a channel, or make it smaller."
    )]
    TooMuchMemory {
        /// What is allowed, in millions of bytes.
        megabytes: u64,
    },
    /// A progressive file of very many passes.
    #[error(
        "The JPEG file draws its picture in {scans} passes, more than are read. Save it again, without “progressive”."
    )]
    TooManyScans {
        /// Passes over the picture.
        scans: u64,
    },
    /// Decoding took longer than is allowed and was stopped.
    #[error("Decoding the picture took too long and was stopped. Save it again as an ordinary JPEG or PNG.")]
    TooSlow,
    /// A drawing, not a picture.
    #[error("SVG drawings are not read. Export the drawing as PNG.")]
    Svg,
    /// A kind of file that is known by name and not read.
    #[error("{0}")]
    Unread(&'static Unread),
    /// Not one of the formats that are read.
    #[error("This is not a picture that can be read. Use JPEG, PNG, WebP, GIF, BMP or TIFF.")]
    Unsupported,
    /// A sound file of a format that is read, but of a kind that is not.
    #[error("This kind of {format} file is not read ({kind}). Save the picture as an ordinary PNG or JPEG.")]
    Kind {
        /// Name of the format.
        format: &'static str,
        /// What is unusual about it.
        kind: String,
    },
    /// The file starts like a picture but cannot be decoded.
    #[error("The {format} file is damaged or incomplete. Try to open and save it again.")]
    Damaged {
        /// Name of the format.
        format: &'static str,
    },
}

/// Bytes that a decoder may take beside its picture.
const STRIP: u64 = 32_000_000;

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::Png, "PNG"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::Bmp, "BMP"),
    (ImageFormat::Tiff, "TIFF"),
];

/// What decoding a picture may take.
#[derive(Debug)]
struct Budget {
    /// Bytes of its pixels as they are stored, or of what a JPEG's passes leave; as RGB it takes up to 120 MB beside them.
    bytes: u64,
    /// Time until it is stopped; `None` for ever.
    time: Option<Duration>,
    /// Whether a JPEG that has its end but lacks rows before it is refused. Pillow and torchvision take such pictures
    /// of data sets.
    strict: bool,
}

impl Budget {
    /// Of pictures that lie on this machine.
    const OWN: Self = Self { bytes: 24 * MAX_PIXELS, time: None, strict: false };
    /// Of pictures that strangers hand in: 40 megapixels with 8 bits and transparency.
    const STRANGERS: Self = Self { bytes: 4 * MAX_PIXELS, time: Some(Duration::from_secs(10)), strict: true };

    fn until(&self) -> Option<Instant> {
        self.time.map(|time| Instant::now() + time)
    }

    /// Bytes of pixels of a format. Two decoders hold the picture twice.
    fn bytes_of(&self, format: ImageFormat) -> u64 {
        if matches!(format, ImageFormat::Tiff | ImageFormat::Gif) { self.bytes / 4 * 3 } else { self.bytes }
    }

    fn too_much(bytes: u64) -> ImageError {
        ImageError::TooMuchMemory { megabytes: bytes / 1_000_000 }
    }
}

/// A picture as it is stored, and how it is to be turned to be upright.
#[derive(Debug)]
struct Upright {
    picture: DynamicImage,
    orientation: Orientation,
}

impl Upright {
    fn turned(self) -> RgbImage {
        // Reduced first: turning holds the picture twice.
        let mut picture = DynamicImage::from(self.picture.into_rgb8());
        picture.apply_orientation(self.orientation);
        picture.into_rgb8()
    }
}

/// Decodes a picture of this machine (the first frame of an animation) to 8-bit RGB, upright.
///
/// The format is told from the bytes, never from a name. Size limits are checked on
/// the header before any pixel is decoded. Transparency is dropped and 16-bit samples
/// are reduced, as Pillow's `convert("RGB")` does.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    read(bytes, &Budget::OWN).map(Upright::turned)
}

/// The same for a picture that a stranger handed in: within 10 seconds and 300 MB, or refused.
pub fn decode_upload(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    read(bytes, &Budget::STRANGERS).map(Upright::turned)
}

/// Decodes a picture of a data set to 8-bit RGB, as large a file as it may be, with its pixels as they are stored:
/// masks are drawn on those, and Pillow's `convert("RGB")`, torchvision and ViRB do not turn them either.
pub fn decode_stored(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    Ok(read(bytes, &Budget::OWN)?.picture.into_rgb8())
}

/// How much work it is to decode what a stranger handed in: its pixels, times the passes over them. Nothing is decoded
/// for it, and what would be refused by its header is refused.
pub fn work(bytes: &[u8]) -> Result<u64, ImageError> {
    let budget = &Budget::STRANGERS;
    match format(bytes)? {
        (ImageFormat::Jpeg, _) => jpeg::check(&Structure::of(bytes), budget),
        (format, name) => {
            let bytes = needed(format, bytes);
            let (width, height) = open((format, name), &bytes, budget, budget.until())?.0.dimensions();
            count_pixels(width, height)
        }
    }
}

fn read(bytes: &[u8], budget: &Budget) -> Result<Upright, ImageError> {
    match format(bytes)? {
        (ImageFormat::Jpeg, _) => {
            let structure = Structure::of(bytes);
            jpeg::check(&structure, budget)?;
            jpeg::decode(bytes, &structure, budget)
        }
        (format, name) => {
            let bytes = needed(format, bytes);
            let until = budget.until();
            let (decoder, orientation) = open((format, name), &bytes, budget, until)?;
            let allowed = budget.bytes_of(format);
            let picture =
                DynamicImage::from_decoder(decoder).map_err(|e| refusal(&e, name, allowed, is_over(until)))?;
            Ok(Upright { picture, orientation })
        }
    }
}

/// The format of a picture, if it is one that is read.
fn format(bytes: &[u8]) -> Result<(ImageFormat, &'static str), ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let known = image::guess_format(bytes).ok().and_then(|f| FORMATS.iter().find(|(known, _)| *known == f));
    known.copied().ok_or_else(|| match Unread::recognise(bytes) {
        Some(kind) => ImageError::Unread(kind),
        None if looks_like_svg(bytes) => ImageError::Svg,
        None => ImageError::Unsupported,
    })
}

/// What of a file its pixels need.
fn needed(format: ImageFormat, bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if format == ImageFormat::Png { png::without_needless(bytes) } else { bytes.into() }
}

/// A decoder that has read its header, within a budget.
fn open<'a>(
    (format, name): (ImageFormat, &'static str),
    bytes: &'a [u8],
    budget: &Budget,
    until: Option<Instant>,
) -> Result<(Box<dyn ImageDecoder + 'a>, Orientation), ImageError> {
    let allowed = budget.bytes_of(format);
    let refused = |e: Fault| refusal(&e, name, allowed, is_over(until));
    let supply = Supply::new(bytes, until);
    let mut limits = Limits::default();
    // A strip or tile of a TIFF is unpacked beside the picture.
    limits.max_alloc = Some(allowed + STRIP);
    let mut decoder: Box<dyn ImageDecoder + 'a> = if format == ImageFormat::Tiff {
        // Its own limits on tags hold until ours, which are meant for pixels, are set.
        Box::new(TiffDecoder::new(supply).map_err(refused)?)
    } else {
        let mut reader = ImageReader::with_format(supply, format);
        reader.limits(limits.clone());
        Box::new(reader.into_decoder().map_err(refused)?)
    };
    let (width, height) = decoder.dimensions();
    count_pixels(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if decoder.total_bytes() > allowed {
        return Err(Budget::too_much(allowed));
    }
    decoder.set_limits(limits).map_err(refused)?;
    Ok((decoder, orientation))
}

/// The pixels of a picture, unless they are too many.
fn count_pixels(width: u32, height: u32) -> Result<u64, ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS { Err(ImageError::TooManyPixels { width, height }) } else { Ok(pixels) }
}

/// What a decoder's fault means for whoever has sent the picture.
fn refusal(fault: &Fault, format: &'static str, allowed: u64, late: bool) -> ImageError {
    tracing::debug!(error = %fault, format, "picture refused");
    match fault {
        _ if late => ImageError::TooSlow,
        Fault::Unsupported(kind) => ImageError::Kind { format, kind: what_is_unread(&kind.kind()) },
        Fault::Limits(_) => Budget::too_much(allowed),
        _ => ImageError::Damaged { format },
    }
}

fn what_is_unread(kind: &image::error::UnsupportedErrorKind) -> String {
    use image::error::UnsupportedErrorKind::{Color, GenericFeature};
    match kind {
        Color(_) => "unusual colours or bits a sample".to_owned(),
        GenericFeature(feature) => feature.clone(),
        _ => "an unusual form".to_owned(),
    }
}

fn looks_like_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    head.contains("<svg")
}
