//! JPEG, decoded as Pillow and torchvision do, to the bit: decoders differ by up to 4 of 255 in how they enlarge colour,
//! which moves embeddings by a thousandth. That is libjpeg, which reports faults by unwinding.

use super::structure::Structure;
use super::supply::{Supply, is_over};
use super::{Budget, ImageError, Upright};
use image::RgbImage;
use image::metadata::Orientation;
use mozjpeg::ColorSpace::{JCS_CMYK, JCS_YCCK};
use mozjpeg_sys::{jpeg_common_struct, jpeg_decompress_struct, jpeg_error_mgr};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Passes over the picture that are read; cameras and editors make 10 to 20.
const MAX_SCANS: u64 = 100;
/// Pixels of all passes: 20 passes of the largest picture.
const MAX_WORK: u64 = 20 * super::MAX_PIXELS;

const DAMAGED: ImageError = ImageError::Damaged { format: "JPEG" };

/// Checks what a JPEG asks for, before any pixel is decoded.
pub(super) fn check(structure: &Structure<'_>, budget: &Budget) -> Result<u64, ImageError> {
    let frame = structure.frame.as_ref().ok_or(DAMAGED)?;
    if let Some(kind) = frame.unread() {
        return Err(ImageError::Kind { format: "JPEG", kind });
    }
    let pixels = super::count_pixels(frame.width, frame.height)?;
    if structure.scans > MAX_SCANS || pixels * structure.scans > MAX_WORK {
        return Err(ImageError::TooManyScans { scans: structure.scans });
    }
    if structure.coefficients_bytes() > budget.bytes {
        return Err(Budget::too_much(budget.bytes));
    }
    Ok(pixels * structure.scans.max(1))
}

/// How a picture is to be turned to be upright.
pub(super) fn orientation(structure: &Structure<'_>) -> Orientation {
    structure.exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Decodes a JPEG whose structure was checked.
pub(super) fn decode(bytes: &[u8], structure: &Structure<'_>, budget: &Budget) -> Result<Upright, ImageError> {
    let until = budget.until();
    // Decoders paint grey what is missing, and a head would then answer about the grey. A picture without a mark of its
    // end is whole if all its passes are there and nothing was missing in them.
    let mut tell: Tell = tell_nothing;
    if budget.strict {
        tell = tell_missing_rows;
    }
    if structure.end.is_none() {
        if !structure.is_complete() {
            return Err(DAMAGED);
        }
        tell = tell_missing;
    }
    let picture = &bytes[..structure.end.unwrap_or(bytes.len())];
    let decoded = catch_unwind(AssertUnwindSafe(|| rgb(Supply::new(picture, until), tell)));
    match decoded {
        Ok(Some(pixels)) => Ok(Upright { picture: pixels.into(), orientation: orientation(structure) }),
        _ if is_over(until) => Err(ImageError::TooSlow),
        _ => Err(DAMAGED),
    }
}

fn rgb(supply: Supply<'_>, tell: Tell) -> Option<RgbImage> {
    let decoder = mozjpeg::Decompress::builder().with_err(reports(tell)).from_reader(supply).ok()?;
    let (width, height) = decoder.size();
    let mut pixels = RgbImage::new(width as u32, height as u32);
    if matches!(decoder.color_space(), JCS_CMYK | JCS_YCCK) {
        let mut decoder = decoder.to_colorspace(JCS_CMYK).ok()?;
        let mut inks = vec![0u8; 4 * width];
        for row in pixels.chunks_exact_mut(3 * width) {
            decoder.read_scanlines_into(&mut inks).ok()?;
            for (pixel, ink) in row.chunks_exact_mut(3).zip(inks.chunks_exact(4)) {
                pixel.copy_from_slice(&printed([ink[0], ink[1], ink[2], ink[3]]));
            }
        }
        decoder.finish().ok()?;
    } else {
        let mut decoder = decoder.rgb().ok()?;
        decoder.read_scanlines_into(&mut pixels).ok()?;
        decoder.finish().ok()?;
    }
    Some(pixels)
}

/// The colour of four inks, of which a JPEG holds what they leave white, as Pillow mixes them.
pub(super) fn printed([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let white = u32::from(black);
    [cyan, magenta, yellow].map(|left| {
        let product = (255 - u32::from(left)) * white + 128;
        white.saturating_sub(((product >> 8) + product) >> 8) as u8
    })
}

/// What libjpeg calls with a warning or a remark.
type Tell = unsafe extern "C-unwind" fn(cinfo: &mut jpeg_common_struct, level: c_int);

/// How libjpeg reports: faults by unwinding, warnings through `tell`.
fn reports(tell: Tell) -> jpeg_error_mgr {
    // SAFETY: the struct is plain data whose zeros are valid (functions that are none, numbers), and libjpeg fills in
    // every field that it uses before anything is read.
    let mut manager = unsafe {
        let mut manager = std::mem::zeroed();
        mozjpeg_sys::jpeg_std_error(&mut manager);
        manager
    };
    manager.error_exit = Some(give_up);
    manager.emit_message = Some(tell);
    manager
}

#[cold]
unsafe extern "C-unwind" fn give_up(_: &mut jpeg_common_struct) {
    // Without the panic hook: bad pictures are no defects of ours.
    resume_unwind(Box::new(()));
}

unsafe extern "C-unwind" fn tell_nothing(_: &mut jpeg_common_struct, _: c_int) {}

/// Whether libjpeg says that a pass ends before its last block.
fn is_short(cinfo: &jpeg_common_struct, level: c_int) -> bool {
    // SAFETY: libjpeg calls with the manager that it was given.
    level < 0 && unsafe { (*cinfo.err).msg_code } == mozjpeg_sys::JWRN_HIT_MARKER as c_int
}

/// Gives up where anything is missing.
unsafe extern "C-unwind" fn tell_missing(cinfo: &mut jpeg_common_struct, level: c_int) {
    if is_short(cinfo, level) {
        resume_unwind(Box::new(()));
    }
}

/// Gives up where more than the last rows is missing of the first pass: careless writers end a pass a few bits early.
unsafe extern "C-unwind" fn tell_missing_rows(cinfo: &mut jpeg_common_struct, level: c_int) {
    if is_short(cinfo, level) && cinfo.is_decompressor != 0 {
        // SAFETY: a decompressor begins with the common part (libjpeg.txt, "common fields").
        let decompressor = unsafe { &*std::ptr::from_ref(cinfo).cast::<jpeg_decompress_struct>() };
        let behind = u64::from(decompressor.input_iMCU_row + 1) * 16;
        if decompressor.input_scan_number <= 1 && behind < u64::from(decompressor.image_height) {
            resume_unwind(Box::new(()));
        }
    }
}
