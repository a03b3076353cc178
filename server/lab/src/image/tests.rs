use super::*;
use image::{ImageEncoder, Rgb, Rgba};
use std::io::Cursor;

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
    let heic = decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").expect_err("not read").to_string();
    assert!(heic.contains("HEIC") && heic.contains("JPEG"), "it is named, with what to do: {heic}");
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
    assert_eq!(decode_stored(&out).expect("decoded").dimensions(), (60, 20), "masks lie on pixels as they are stored");
}

const DAMAGED: Result<RgbImage, ImageError> = Err(ImageError::Damaged { format: "JPEG" });

/// A JPEG by libjpeg: progressive or not, in colours or in inks.
fn libjpeg(picture: &RgbImage, progressive: bool, inks: bool) -> Vec<u8> {
    let colours = if inks { mozjpeg::ColorSpace::JCS_CMYK } else { mozjpeg::ColorSpace::JCS_RGB };
    let mut encoder = mozjpeg::Compress::new(colours);
    encoder.set_size(picture.width() as usize, picture.height() as usize);
    encoder.set_quality(95.0);
    if progressive {
        encoder.set_progressive_mode();
    } else {
        encoder.set_fastest_defaults();
    }
    let mut encoder = encoder.start_compress(Vec::new()).expect("it begins");
    let pixels: Vec<u8> = if inks {
        // What the inks leave white: no black ink at all.
        picture.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2], 255]).collect()
    } else {
        picture.as_raw().clone()
    };
    encoder.write_scanlines(&pixels).expect("written");
    encoder.finish().expect("it ends")
}

/// What a phone hangs behind a photo: a video in which the marks of JPEG occur by chance.
fn video() -> Vec<u8> {
    let head = b"MotionPhoto_Data\0\0\0\x18ftypmp42";
    [head.as_slice(), &[0x11; 200], &[0xFF, 0xDA], &[0x11; 200], &[0xFF, 0xD9], &[0x11; 9], &[0xFF, 0xDA, 1]].concat()
}

fn photo() -> RgbImage {
    RgbImage::from_fn(200, 150, |x, y| Rgb([(x * y % 251) as u8, (x / 2) as u8, (y + x / 3) as u8]))
}

#[test]
fn a_motion_photo_is_the_photo_without_its_video() {
    for progressive in [false, true] {
        let jpeg = libjpeg(&photo(), progressive, false);
        let plain = decode_upload(&jpeg).expect("decoded");
        for behind in [video(), jpeg.clone(), vec![0; 1000], b"\xFF\xDA".to_vec()] {
            let both = [jpeg.as_slice(), &behind].concat();
            assert!(decode_upload(&both).as_ref() == Ok(&plain), "{} bytes behind it", behind.len());
            assert!(decode(&both).as_ref() == Ok(&plain), "also in a folder");
        }
    }
}

#[test]
fn a_picture_without_its_end_mark_is_read_if_it_is_whole() {
    for progressive in [false, true] {
        let jpeg = libjpeg(&photo(), progressive, false);
        let plain = decode(&jpeg).expect("decoded");
        let open = &jpeg[..jpeg.len() - 2];
        assert!(decode_upload(open).as_ref() == Ok(&plain), "progressive: {progressive}");
        let padded = [jpeg.as_slice(), &[0; 64]].concat();
        assert!(decode_upload(&padded).as_ref() == Ok(&plain));
        for cut in [30, jpeg.len() / 4, jpeg.len() / 2] {
            assert!(decode_upload(&jpeg[..jpeg.len() - cut]) == DAMAGED, "{cut} bytes are missing");
            assert!(decode_stored(&jpeg[..jpeg.len() - cut]) == DAMAGED, "{cut} bytes are missing");
        }
    }
}

#[test]
fn a_progressive_picture_that_ends_between_two_passes_is_damaged() {
    let jpeg = libjpeg(&photo(), true, false);
    let scans: Vec<usize> = (2..jpeg.len()).filter(|i| jpeg[i - 2..*i] == [0xFF, 0xDA]).collect();
    assert!(scans.len() > 4, "{} passes", scans.len());
    // From the last table or pass on everything is missing, and nothing of what is there is cut.
    let last = scans[scans.len() - 1] - 2;
    let table = (0..last).rev().find(|i| jpeg[*i] == 0xFF && matches!(jpeg[i + 1], 0xC4 | 0xDA)).expect("a table");
    assert!(decode_upload(&jpeg[..table]) == DAMAGED);
}

#[test]
fn a_half_picture_that_a_tool_has_closed_is_damaged_as_an_upload() {
    let jpeg = libjpeg(&photo(), false, false);
    let closed = [&jpeg[..jpeg.len() / 2], &[0xFF, 0xD9]].concat();
    assert!(decode_upload(&closed) == DAMAGED, "its lower half is grey");
    assert!(decode_stored(&closed).is_ok(), "Pillow and torchvision read such pictures of data sets");
}

#[test]
fn inks_are_mixed_as_pillow_does() {
    let jpeg = libjpeg(&photo(), false, true);
    let (mixed, plain) = (decode(&jpeg).expect("inks"), photo());
    let off = mixed.as_raw().iter().zip(plain.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    assert!(off / (plain.as_raw().len() as f64) < 6.0, "without black ink they are the colours: {off}");
    assert_eq!(jpeg::printed([255, 128, 0, 255]), [255, 128, 0]);
    assert_eq!(jpeg::printed([255, 128, 0, 100]), [100, 50, 0]);
    assert_eq!(jpeg::printed([255; 4].map(|_| 0)), [0; 3]);
}

#[test]
fn kinds_of_jpeg_that_are_not_read_are_named() {
    let jpeg = libjpeg(&photo(), false, false);
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).expect("a frame");
    for (at, value, kind) in
        [(1, 0xC3, "without loss"), (1, 0xC9, "arithmetic"), (4, 12, "12 bits"), (9, 2, "2 channels")]
    {
        let mut other = jpeg.clone();
        other[frame + at] = value;
        match decode_upload(&other) {
            Err(ImageError::Kind { format: "JPEG", kind: said }) => assert!(said.contains(kind), "{said}"),
            answer => panic!("{kind}: {answer:?}"),
        }
    }
}

/// A TIFF of one strip: bits, kind of number, meaning of the numbers, and channels.
fn tiff(bits: u16, form: u16, meaning: u16, channels: u16) -> Vec<u8> {
    let data = vec![7u8; 64 * usize::from(channels) * usize::from(bits) / 8];
    let short = |v: u16| u32::from(v);
    let entries: Vec<(u16, u16, u32, u32)> = vec![
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 1, short(bits)),
        (259, 3, 1, 1),
        (262, 3, 1, short(meaning)),
        (273, 4, 1, 0),
        (277, 3, 1, short(channels)),
        (278, 4, 1, 8),
        (279, 4, 1, data.len() as u32),
        (339, 3, 1, short(form)),
    ];
    let behind = 8 + 2 + 12 * entries.len() as u32 + 4;
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        let value = if tag == 273 { behind } else { value };
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out.extend(data);
    out
}

#[test]
fn kinds_of_tiff_that_are_not_read_are_named_and_not_called_damaged() {
    for (name, file) in [
        ("grey floats", tiff(32, 3, 1, 1)),
        ("palette", tiff(8, 1, 3, 1)),
        ("YCbCr", tiff(8, 1, 6, 3)),
        ("signed", tiff(16, 2, 1, 1)),
        ("32 bits", tiff(32, 1, 1, 1)),
        ("CIE L*a*b*", tiff(8, 1, 8, 3)),
    ] {
        let answer = decode_upload(&file);
        assert!(matches!(answer, Ok(_) | Err(ImageError::Kind { format: "TIFF", .. })), "{name}: {answer:?}");
    }
    assert!(decode_upload(&tiff(8, 1, 1, 1)).is_ok(), "grey is read");
    let mut packed = tiff(8, 1, 1, 1);
    // Packed as JPEG 2000.
    let at = packed.windows(2).position(|w| w == 259u16.to_le_bytes()).expect("an entry");
    packed[at + 8..at + 10].copy_from_slice(&34712u16.to_le_bytes());
    assert!(matches!(decode_upload(&packed), Err(ImageError::Kind { .. })), "{:?}", decode_upload(&packed));
    let sound = tiff(8, 1, 1, 1);
    assert_eq!(decode_upload(&sound[..sound.len() - 20]), Err(ImageError::Damaged { format: "TIFF" }));
}

#[test]
fn a_photo_of_hundreds_of_passes_is_refused_at_once_and_one_of_many_in_time() {
    let jpeg = libjpeg(&photo(), true, false);
    let last = jpeg.windows(2).rposition(|w| w == [0xFF, 0xDA]).expect("a pass");
    let scan = &jpeg[last..jpeg.len() - 2];
    let with = |times: usize| [&jpeg[..last], &scan.repeat(times), &[0xFF, 0xD9]].concat();
    let begun = Instant::now();
    assert!(matches!(decode_upload(&with(500)), Err(ImageError::TooManyScans { scans: 500.. })));
    assert!(matches!(work(&with(500)), Err(ImageError::TooManyScans { .. })));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(decode_upload(&with(20)).is_ok());
    assert!(work(&with(20)).expect("read") > work(&jpeg).expect("read"), "passes are work");
}

#[test]
fn a_decoder_is_stopped_when_its_time_is_over() {
    let none = Budget { time: Some(Duration::ZERO), ..Budget::STRANGERS };
    for (format, name) in FORMATS {
        let bytes = encoded(&gradient(40, 30), format);
        assert_eq!(read(&bytes, &none).map(|_| ()), Err(ImageError::TooSlow), "{name}");
    }
    // In the midst of it: the clock is asked between two portions.
    let large = libjpeg(&RgbImage::from_fn(3000, 2000, |x, y| Rgb([(x ^ y) as u8, x as u8, y as u8])), true, false);
    let some = Budget { time: Some(Duration::from_millis(20)), ..Budget::STRANGERS };
    let begun = Instant::now();
    assert_eq!(read(&large, &some).map(|_| ()), Err(ImageError::TooSlow));
    let whole = Instant::now();
    assert!(read(&large, &Budget::STRANGERS).is_ok());
    assert!(whole - begun < whole.elapsed(), "stopped after {:?} of {:?}", whole - begun, whole.elapsed());
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

#[test]
fn a_picture_that_would_fill_the_memory_is_refused_by_its_header() {
    // 36 megapixels of 16 bits and transparency: 288 MB, and 108 beside them.
    let header = [&6000u32.to_be_bytes(), &6000u32.to_be_bytes(), [16, 6, 0, 0, 0].as_slice()].concat();
    let png =
        [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(*b"IHDR", &header), &chunk(*b"IDAT", &[]), &chunk(*b"IEND", &[])]
            .concat();
    assert_eq!(decode_upload(&png), Err(ImageError::TooMuchMemory { megabytes: 160 }));
    assert_eq!(decode_stored(&png), Err(ImageError::Damaged { format: "PNG" }), "a data set's may be as large");
}
