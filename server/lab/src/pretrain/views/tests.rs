//! Against torchvision 0.29 and Pillow 13: single operations to the bit, distributions of what is drawn and of what
//! whole pipelines make.

use super::*;
use std::path::Path;
use virboard_nn::preprocess::Piece;
use virboard_nn::testing::{Vectors, assert_within};

fn vectors() -> Vectors {
    Vectors::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/views.safetensors"))
}

fn bytes(v: &Vectors, name: &str) -> Vec<u8> {
    v[name].flatten_all().and_then(|t| t.to_vec1()).expect("bytes")
}

fn doubles(v: &Vectors, name: &str) -> Vec<f64> {
    v[name].to_vec1().expect("numbers")
}

fn photo(v: &Vectors) -> RgbImage {
    RgbImage::from_raw(60, 44, bytes(v, "photo")).expect("60 x 44 pixels")
}

#[test]
fn pieces_are_resized_to_torchvisions_bits() {
    let v = vectors();
    let photo = photo(&v);
    let pieces: Vec<Vec<i64>> = v["pieces"].to_vec2().expect("pieces");
    let mut resizer = Resizer::default();
    for (i, piece) in pieces.iter().enumerate() {
        let [x, y, width, height] = [0, 1, 2, 3].map(|k| piece[k] as u32);
        let mut out = RgbImage::new(24, 24);
        resizer.resize(&photo, Piece { x, y, width, height }, Filter::Bilinear, &mut out);
        assert_within(format!("piece {i}"), out.as_raw(), &bytes(&v, &format!("piece.{i}")), 0.5);
    }
    assert_eq!(pieces.len(), 5);
}

#[test]
fn blur_is_pillows_to_the_bit() {
    let v = vectors();
    let small = photo(&v).view(20, 8, 20, 14).to_image();
    let mut blur = Blur::default();
    for (i, sigma) in doubles(&v, "sigmas").into_iter().enumerate() {
        let mut blurred = small.clone();
        blur.gaussian(&mut blurred, sigma);
        assert_within(format!("sigma {sigma}"), blurred.as_raw(), &bytes(&v, &format!("blur.{i}")), 0.5);
    }
    let mut same = small.clone();
    blur.gaussian(&mut same, 0.0);
    assert_eq!(same, small);
}

#[test]
fn plain_squares_are_torchvisions() {
    let v = vectors();
    let photo = photo(&v);
    let tall = photo.view(0, 0, 21, 44).to_image();
    for (name, picture, fit) in [
        ("squash", &photo, Fit::Squash),
        ("centre", &photo, Fit::Centre { shorter: 27 }),
        ("tall", &tall, Fit::Centre { shorter: 20 }),
    ] {
        let square = square(picture, 20, fit);
        let wanted = bytes(&v, &format!("plain.{name}"));
        assert_within(name, square.as_raw(), &wanted, 0.5);
        let values = plain(picture, 20, fit, &Preprocessing::IMAGENET);
        let first: Vec<f32> = (0..3)
            .map(|c| (f32::from(wanted[c]) / 255.0 - [0.485, 0.456, 0.406][c]) / [0.229, 0.224, 0.225][c])
            .collect();
        assert_within(name, &values[..3], &first, 1e-5);
    }
}

/// Compares draws with the other program's: the shares of draws that are at most each of its values may differ by five
/// standard errors.
#[track_caller]
fn assert_alike(v: &Vectors, name: &str, mut draws: Vec<f64>) {
    let (values, shares) = (doubles(v, &format!("{name}.values")), doubles(v, &format!("{name}.shares")));
    let theirs: Vec<i64> = v[&format!("{name}.draws")].to_vec1().expect("a count");
    assert!(!values.is_empty() && draws.iter().all(|d| d.is_finite()), "{name}");
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    for (value, share) in values.iter().zip(&shares) {
        let ours = draws.partition_point(|d| d <= value) as f64 / n;
        let p = f64::midpoint(ours, *share);
        let error = (p * (1.0 - p) * (1.0 / n + 1.0 / theirs[0] as f64)).sqrt();
        assert!(
            (ours - share).abs() <= 5.0 * error,
            "{name}: {ours} of the draws are at most {value}, of torchvision's {share}; one standard error is {error}"
        );
    }
}

const DRAWS: u64 = 20_000;

#[test]
fn pieces_are_drawn_as_torchvision_draws_them() {
    let v = vectors();
    for (name, size, scale) in
        [("wide", (96, 64), (0.2, 1.0)), ("small", (64, 80), (0.05, 0.14)), ("strip", (120, 24), (0.5, 1.0))]
    {
        let form = ViewForm::cut(24, scale);
        let places: Vec<Place> = (0..DRAWS).map(|i| Place::draw(&form, size, &mut Stream::new(i, "pieces"))).collect();
        let of = |value: fn(&Piece) -> f64| places.iter().map(|p| value(&p.piece)).collect::<Vec<f64>>();
        assert_alike(&v, &format!("{name}.x"), of(|p| f64::from(p.x)));
        assert_alike(&v, &format!("{name}.y"), of(|p| f64::from(p.y)));
        assert_alike(&v, &format!("{name}.width"), of(|p| f64::from(p.width)));
        assert_alike(&v, &format!("{name}.height"), of(|p| f64::from(p.height)));
        assert_alike(&v, &format!("{name}.area"), of(|p| f64::from(p.width * p.height)));
        assert_alike(&v, &format!("{name}.shape"), of(|p| f64::from(p.width) - f64::from(p.height)));
        assert!(places.iter().all(|p| p.piece.x + p.piece.width <= size.0 && p.piece.y + p.piece.height <= size.1));
    }
}

#[test]
fn pictures_of_extreme_shapes_have_pieces() {
    let form = ViewForm::cut(4, (0.08, 1.0));
    for size in [(1, 1), (1, 50), (300, 1), (2, 90)] {
        for seed in 0..200 {
            let Piece { x, y, width, height } = Place::draw(&form, size, &mut Stream::new(seed, "shapes")).piece;
            assert!(width > 0 && height > 0 && x + width <= size.0 && y + height <= size.1, "{size:?}");
        }
    }
}

const JITTER: JitterForm = JitterForm { brightness: 0.8, contrast: 0.4, saturation: 1.5, hue: 0.2, p: 1.0 };

#[test]
fn colours_are_drawn_as_torchvision_draws_them() {
    let v = vectors();
    let form = ViewForm { jitter: Some(JITTER), ..ViewForm::cut(24, (0.2, 1.0)) };
    let drawn: Vec<colour::Jitter> =
        (0..DRAWS).map(|i| Colours::draw(&form, &mut Stream::new(i, "colours")).jitter.expect("always")).collect();
    let of = |value: fn(&colour::Jitter) -> f64| drawn.iter().map(value).collect::<Vec<f64>>();
    assert_alike(&v, "jitter.order", of(|j| j.order.iter().fold(0, |code, step| 4 * code + step) as f64));
    assert_alike(&v, "jitter.brightness", of(|j| j.brightness));
    assert_alike(&v, "jitter.contrast", of(|j| j.contrast));
    assert_alike(&v, "jitter.saturation", of(|j| j.saturation));
    assert_alike(&v, "jitter.hue", of(|j| j.hue));
}

#[test]
fn things_happen_as_often_as_they_are_asked_for() {
    let form = ViewForm {
        jitter: Some(JitterForm { p: 0.8, ..JITTER }),
        grey: 0.2,
        flip: 0.3,
        blur: Some(BlurForm { sigma: (0.1, 2.0), p: 0.5 }),
        ..ViewForm::cut(24, (0.2, 1.0))
    };
    let drawn: Vec<(Place, Colours)> = (0..DRAWS)
        .map(|i| {
            let mut random = Stream::new(i, "often");
            (Place::draw(&form, (60, 44), &mut random), Colours::draw(&form, &mut random))
        })
        .collect();
    let often = |what: &str, wanted: f64, happens: &dyn Fn(&(Place, Colours)) -> bool| {
        let share = drawn.iter().filter(|d| happens(d)).count() as f64 / DRAWS as f64;
        let error = (wanted * (1.0 - wanted) / DRAWS as f64).sqrt();
        assert!((share - wanted).abs() < 5.0 * error, "{what}: {share}, wanted {wanted}");
    };
    often("flip", 0.3, &|(place, _)| place.flip);
    often("grey", 0.2, &|(_, colours)| colours.grey);
    often("jitter", 0.8, &|(_, colours)| colours.jitter.is_some());
    often("blur", 0.5, &|(_, colours)| colours.blur.is_some());
    often("little blur", 0.25, &|(_, colours)| colours.blur.is_some_and(|sigma| sigma < 1.05));
    often("grey and flip", 0.06, &|(place, colours)| colours.grey && place.flip);
    often("blur and jitter", 0.4, &|(_, colours)| colours.blur.is_some() && colours.jitter.is_some());
    assert!(drawn.iter().filter_map(|(_, c)| c.blur).all(|sigma| (0.1..=2.0).contains(&sigma)));
}

/// Values as they are in 8 bits.
const RAW: Preprocessing = Preprocessing { scale: 1.0, mean: [0.0; 3], std: [1.0; 3], ..Preprocessing::IMAGENET };

#[test]
fn whole_views_are_distributed_as_torchvisions() {
    let v = vectors();
    let photo = photo(&v);
    let cut = ViewForm::cut(24, (0.2, 1.0));
    let jitter = JitterForm { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.4, p: 1.0 };
    let forms = [
        ("moco_v1", ViewForm { jitter: Some(jitter), grey: 0.2, grey_first: true, ..cut }),
        (
            "moco_v2",
            ViewForm {
                jitter: Some(JitterForm { hue: 0.1, p: 0.8, ..jitter }),
                grey: 0.2,
                blur: Some(BlurForm { sigma: (0.1, 2.0), p: 0.5 }),
                ..cut
            },
        ),
        ("supervised", ViewForm { scale: (0.08, 1.0), ..cut }),
    ];
    for (name, form) in forms {
        let views = Views::new(&[form], &RAW, 0).expect("a form");
        let (mut scratch, mut out) = (Scratch::default(), vec![0f32; 24 * 24 * 3]);
        let mut parts: [Vec<f64>; 6] = Default::default();
        for i in 0..4000 {
            views.view(&form, &photo, &mut Stream::new(i, "views"), &mut scratch, &mut out);
            for (part, value) in parts.iter_mut().zip(summary(&out)) {
                part.push(value);
            }
        }
        for (part, draws) in ["red", "blue", "spread", "deviation", "sides", "sharpness"].into_iter().zip(parts) {
            assert_alike(&v, &format!("{name}.{part}"), draws);
        }
    }
}

/// Means of red and of blue, and of their difference; the deviation of green; how much the left half is brighter; and
/// how much green differs from one pixel to the next.
fn summary(view: &[f32]) -> [f64; 6] {
    let value = |y: usize, x: usize, c: usize| f64::from(view[3 * (24 * y + x) + c]);
    let mean = |xs: std::ops::Range<usize>, f: &dyn Fn(usize, usize) -> f64| {
        let count = 24 * xs.len();
        (0..24).flat_map(|y| xs.clone().map(move |x| (y, x))).map(|(y, x)| f(y, x)).sum::<f64>() / count as f64
    };
    let grey = |y, x| (value(y, x, 0) + value(y, x, 1) + value(y, x, 2)) / 3.0;
    let green = mean(0..24, &|y, x| value(y, x, 1));
    [
        mean(0..24, &|y, x| value(y, x, 0)),
        mean(0..24, &|y, x| value(y, x, 2)),
        mean(0..24, &|y, x| value(y, x, 0) - value(y, x, 2)),
        mean(0..24, &|y, x| (value(y, x, 1) - green).powi(2)).sqrt(),
        mean(0..12, &grey) - mean(12..24, &grey),
        mean(0..23, &|y, x| (value(y, x + 1, 1) - value(y, x, 1)).abs()),
    ]
}

#[test]
fn a_jigsaw_has_a_patch_of_every_cell_in_any_order() {
    // Red tells the column, green the row; the square is as large as the picture, so that nothing is resized.
    let picture = RgbImage::from_fn(30, 30, |x, y| image::Rgb([x as u8, y as u8, 0]));
    let form = ViewForm { jigsaw: Some(Jigsaw { grid: 3, patch: 8 }), flip: 0.5, ..ViewForm::cut(30, (1.0, 1.0)) };
    let form = ViewForm { ratio: (1.0, 1.0), ..form };
    let views = Views::new(&[form], &RAW, 0).expect("a form");
    assert_eq!(views.shapes(5), [[45, 8, 8, 3]]);
    let mut first_cells = [0; 9];
    let mut scratch = Scratch::default();
    for seed in 0..900 {
        let mut out = vec![0f32; 9 * 8 * 8 * 3];
        views.view(&form, &picture, &mut Stream::new(seed, "jigsaw"), &mut scratch, &mut out);
        let cells: Vec<usize> = out
            .chunks_exact(8 * 8 * 3)
            .map(|patch| {
                let (columns, rows) = ([patch[0], patch[3 * 7]], [patch[1], patch[3 * 56 + 1]]);
                assert!((columns[1] - columns[0]).abs() == 7.0 && rows[1] - rows[0] == 7.0, "{columns:?} {rows:?}");
                assert_eq!((columns[0] as u32) / 10, columns[1] as u32 / 10, "within one cell");
                (rows[0] as usize / 10) * 3 + columns[0] as usize / 10
            })
            .collect();
        first_cells[cells[0]] += 1;
        let mut sorted = cells.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..9).collect::<Vec<_>>());
    }
    // 100 each, with a deviation of 9.4.
    assert!(first_cells.iter().all(|n| (53..=147).contains(n)), "{first_cells:?}");
}

#[test]
fn colours_without_hue_keep_their_levels() {
    let v = vectors();
    let form = ViewForm {
        jitter: Some(JitterForm { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, p: 1.0 }),
        ..ViewForm::cut(24, (0.2, 1.0))
    };
    let mut same = photo(&v);
    let mut drawn = 0;
    for seed in 0..10 {
        let colours = Colours::draw(&form, &mut Stream::new(seed, "none"));
        drawn += usize::from(colours.jitter.is_some());
        recolour(&form, colours, &mut same, &mut Blur::default());
    }
    assert_eq!(drawn, 10);
    assert_eq!(same, photo(&v));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let form = ViewForm::cut(24, (0.2, 1.0));
    let refused = |form: ViewForm| Views::new(&[form], &RAW, 0).expect_err("refused").to_string();
    assert!(refused(ViewForm { side: 0, ..form }).contains("`side` cannot be 0"));
    assert!(refused(ViewForm { scale: (0.0, 1.0), ..form }).contains("`scale` cannot be 0 to 1"));
    assert!(refused(ViewForm { scale: (0.5, 0.2), ..form }).contains("`scale`"));
    assert!(refused(ViewForm { ratio: (f64::NAN, 1.0), ..form }).contains("`ratio`"));
    assert!(refused(ViewForm { grey: 1.5, ..form }).contains("`grey`"));
    assert!(refused(ViewForm { jitter: Some(JitterForm { hue: 0.6, ..JITTER }), ..form }).contains("`hue`"));
    assert!(refused(ViewForm { blur: Some(BlurForm { sigma: (-1.0, 2.0), p: 1.0 }), ..form }).contains("`sigma`"));
    assert!(refused(ViewForm { jigsaw: Some(Jigsaw { grid: 3, patch: 9 }), ..form }).contains("`patch`"));
    assert!(Views::new(&[], &RAW, 0).is_err());
    let unknown = serde_json::from_str::<ViewForm>(r#"{"side": 24, "scale": [0.2, 1.0], "blurr": 1}"#);
    assert!(unknown.expect_err("refused").to_string().contains("blurr"));
    let read: ViewForm = serde_json::from_str(r#"{"side": 24, "scale": [0.2, 1.0]}"#).expect("the rest has defaults");
    assert_eq!(read, form);
}
