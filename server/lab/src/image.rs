//! Decoding pictures: of data sets, and those that strangers hand in.

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::io::Cursor;

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
    /// A drawing, not a picture.
    #[error("SVG drawings are not read. Export the drawing as PNG.")]
    Svg,
    /// Not one of the formats that are read.
    #[error("This is not a picture that can be read. Use JPEG, PNG, WebP, GIF, BMP or TIFF.")]
    Unsupported,
    /// The file starts like a picture but cannot be decoded.
    #[error("The {format} file is damaged or incomplete. Try to open and save it again.")]
    Damaged {
        /// Name of the format.
        format: &'static str,
    },
}

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::Png, "PNG"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::Bmp, "BMP"),
    (ImageFormat::Tiff, "TIFF"),
];

/// Decodes a picture that somebody sent (the first frame of an animation) to 8-bit RGB, upright.
///
/// The format is told from the bytes, never from a name. Size limits are checked on
/// the header before any pixel is decoded. Transparency is dropped and 16-bit samples
/// are reduced, as Pillow's `convert("RGB")` does.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let (mut picture, orientation) = read(bytes)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// Decodes a picture of a data set to 8-bit RGB, as large a file as it may be, with its pixels as they are stored:
/// masks are drawn on those, and Pillow's `convert("RGB")`, torchvision and ViRB do not turn them either.
pub fn decode_stored(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    Ok(read(bytes)?.0.into_rgb8())
}

/// A picture as it is stored, and how it is to be turned to be upright.
fn read(bytes: &[u8]) -> Result<(DynamicImage, Orientation), ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| ImageError::Unsupported)?;
    let Some((_, name)) = reader.format().and_then(|f| FORMATS.iter().find(|(known, _)| *known == f)) else {
        return Err(if looks_like_svg(bytes) { ImageError::Svg } else { ImageError::Unsupported });
    };
    let damaged = |e: &image::ImageError| {
        tracing::debug!(error = %e, format = name, "picture refused");
        ImageError::Damaged { format: name }
    };
    if *name == "JPEG" && is_cut_off(bytes) {
        return Err(ImageError::Damaged { format: name });
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(16 * MAX_PIXELS);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| damaged(&e))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::TooManyPixels { width, height });
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let plain = matches!(decoder.color_type(), ColorType::Rgb8 | ColorType::L8);
    let picture = if *name == "JPEG" && plain && !is_cmyk(bytes) {
        DynamicImage::from(jpeg(bytes).ok_or(ImageError::Damaged { format: name })?)
    } else {
        DynamicImage::from_decoder(decoder).map_err(|e| damaged(&e))?
    };
    Ok((picture, orientation))
}

/// Whether a JPEG is meant for printing; libjpeg does not turn those to RGB.
fn is_cmyk(bytes: &[u8]) -> bool {
    use mozjpeg::ColorSpace::{JCS_CMYK, JCS_YCCK};
    let space = std::panic::catch_unwind(|| mozjpeg::Decompress::new_mem(bytes).map(|d| d.color_space()));
    matches!(space, Ok(Ok(JCS_CMYK | JCS_YCCK)))
}

/// Decodes a JPEG as Pillow and torchvision do, to the bit: decoders differ by up to 4 of
/// 255 in how they enlarge colour, which moves embeddings by a thousandth. `None` if it is
/// damaged; libjpeg reports that by unwinding.
fn jpeg(bytes: &[u8]) -> Option<RgbImage> {
    std::panic::catch_unwind(|| {
        let mut decoder = mozjpeg::Decompress::new_mem(bytes).ok()?.rgb().ok()?;
        let (width, height) = (decoder.width() as u32, decoder.height() as u32);
        let pixels: Vec<u8> = decoder.read_scanlines().ok()?;
        decoder.finish().ok()?;
        RgbImage::from_raw(width, height, pixels)
    })
    .ok()
    .flatten()
}

/// Whether a JPEG's last scan has no end. Decoders paint what is missing grey, and a head
/// would then answer about the grey. Inside a scan no marker can occur by chance; an
/// embedded preview has its end before the picture's scan begins.
fn is_cut_off(jpeg: &[u8]) -> bool {
    let last = |marker: u8| jpeg.windows(2).rposition(|w| w == [0xFF, marker]);
    match (last(0xDA), last(0xD9)) {
        (Some(scan), Some(end)) => end < scan,
        _ => true,
    }
}

fn looks_like_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    head.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageEncoder, Rgb, Rgba};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).expect("the picture is encoded");
        out.into_inner()
    }

    fn gradient(w: u32, h: u32) -> DynamicImage {
        RgbImage::from_fn(w, h, |x, y| Rgb([(x * 255 / w) as u8, (y * 255 / h) as u8, 90])).into()
    }

    #[test]
    fn every_format_is_read() {
        for (format, name) in FORMATS {
            let bytes = encoded(&gradient(40, 30), format);
            let picture = decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(picture.dimensions(), (40, 30), "{name}");
        }
    }

    #[test]
    fn refusals_have_their_own_sentence() {
        let jpeg = encoded(&gradient(64, 64), ImageFormat::Jpeg);
        assert_eq!(decode(b""), Err(ImageError::Empty));
        assert_eq!(decode(b"just some text"), Err(ImageError::Unsupported));
        assert_eq!(decode(b"<?xml version='1.0'?><svg/>"), Err(ImageError::Svg));
        assert_eq!(decode(&jpeg[..jpeg.len() / 3]), Err(ImageError::Damaged { format: "JPEG" }));
        assert_eq!(decode(&jpeg[..jpeg.len() - 30]), Err(ImageError::Damaged { format: "JPEG" }), "cut in its scan");
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A PNG header that promises 30,000 x 30,000 pixels, with no pixels behind it.
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = b"IHDR".to_vec();
        header.extend(30_000u32.to_be_bytes());
        header.extend(30_000u32.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        png.extend(13u32.to_be_bytes());
        png.extend(&header);
        png.extend(crc32(&header).to_be_bytes());
        png.extend(0u32.to_be_bytes());
        png.extend(b"IDAT");
        png.extend(crc32(b"IDAT").to_be_bytes());
        assert_eq!(decode(&png), Err(ImageError::TooManyPixels { width: 30_000, height: 30_000 }));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, b| {
            (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
        })
    }

    #[test]
    fn sixteen_bits_and_transparency_are_reduced() {
        let deep = image::ImageBuffer::from_fn(8, 8, |x, _| Rgb([(x * 8000) as u16, 65535, 0]));
        let picture = decode(&encoded(&DynamicImage::ImageRgb16(deep), ImageFormat::Png)).expect("16-bit PNG");
        assert_eq!(picture.get_pixel(7, 0).0[1], 255);
        let clear = image::RgbaImage::from_pixel(4, 4, Rgba([10, 20, 30, 0]));
        let picture = decode(&encoded(&clear.into(), ImageFormat::Png)).expect("transparent PNG");
        assert_eq!(picture.get_pixel(0, 0).0, [10, 20, 30]);
    }

    #[test]
    fn exif_orientation_turns_the_picture_upright() {
        // Orientation 6: turn by 90 degrees clockwise to show.
        let exif = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".as_slice()].concat();
        let mut out = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 95);
        encoder.set_exif_metadata(exif).expect("JPEG holds EXIF");
        let lying = RgbImage::from_fn(60, 20, |x, _| if x < 30 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
        encoder.encode_image(&lying).expect("encoded");
        let picture = decode(&out).expect("decoded");
        assert_eq!(picture.dimensions(), (20, 60));
        assert!(picture.get_pixel(10, 5).0[0] > 200, "red is at the top");
        assert!(picture.get_pixel(10, 55).0[2] > 200, "blue is at the bottom");
        assert_eq!(
            decode_stored(&out).expect("decoded").dimensions(),
            (60, 20),
            "masks lie on pixels as they are stored"
        );
    }
}
