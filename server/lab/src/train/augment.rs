//! How pictures and their truth are cut, and changed for training: as torchvision and Pillow
//! do it in ViRB's data sets.

use super::colour;
use crate::Result;
use crate::data::{Sample, Target};
use image::{RgbImage, imageops};
use virboard_nn::preprocess::{Filter, Preprocessing, resize};
use virboard_nn::seeded::Stream;

/// What becomes of a sample's pictures before they are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Resized straight to the encoder's input size; for training the colours are changed:
    /// `ColorJitter(0.4, 0.4, 0.4, 0.2)` and `RandomGrayscale(0.2)`.
    Squash,
    /// As they are; for training cut to a square.
    Whole {
        /// Side of the square in pixels.
        crop: u32,
        /// What else is done for training.
        extra: Extra,
    },
}

/// What is done beside cutting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Nothing (KITTI).
    None,
    /// Scaled by 0.5 to 2 and mirrored half of the time (Cityscapes). ViRB draws the place of
    /// the square from the size before scaling, so that small pictures are cut beside them.
    Scale {
        /// Whether to do as ViRB does.
        unscaled_origin: bool,
    },
    /// The square is drawn again, up to 10 times, until something is labelled in it (EgoHands).
    Hands,
}

impl View {
    /// Whether tests see pictures at their own sizes.
    #[must_use]
    pub const fn keeps_size(self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// The sample as the encoder sees it. Random with a stream, plain without one.
    pub fn apply(self, mut sample: Sample, input: &Preprocessing, random: Option<&mut Stream>) -> Result<Sample> {
        match self {
            Self::Squash => {
                for picture in &mut sample.pictures {
                    *picture = input.resize(picture);
                }
                if let Some(random) = random {
                    let jitter = colour::Jitter::draw(random, 0.4, 0.4, 0.4, 0.2);
                    let grey = random.uniform() < 0.2;
                    for picture in &mut sample.pictures {
                        jitter.apply(picture);
                        if grey {
                            colour::grey(picture);
                        }
                    }
                }
            }
            Self::Whole { crop, extra } => {
                if let Some(random) = random {
                    cut(&mut sample, crop, extra, random);
                }
            }
        }
        Ok(sample)
    }
}

fn cut(sample: &mut Sample, side: u32, extra: Extra, random: &mut Stream) {
    let (width, height) = sample.pictures[0].dimensions();
    let (mut w, mut h) = (width, height);
    if let Extra::Scale { unscaled_origin } = extra {
        let factor = random.range(0.5, 2.0);
        let (to_w, to_h) = ((f64::from(w) * factor) as u32, (f64::from(h) * factor) as u32);
        for picture in &mut sample.pictures {
            *picture = resize(picture, to_w.max(1), to_h.max(1), Filter::Bicubic);
        }
        sample.target = sample.target.clone().resized((to_w.max(1), to_h.max(1)));
        if random.uniform() > 0.5 {
            sample.pictures.iter_mut().for_each(imageops::flip_horizontal_in_place);
            sample.target = mirrored(&sample.target);
        }
        if !unscaled_origin {
            (w, h) = (to_w, to_h);
        }
    }
    let mut origin = || {
        (
            random.below((w.saturating_sub(side) + 1) as usize) as u32,
            random.below((h.saturating_sub(side) + 1) as usize) as u32,
        )
    };
    let (mut x, mut y) = origin();
    let mut target = cropped(&sample.target, x, y, side);
    if extra == Extra::Hands {
        for _ in 0..10 {
            if matches!(&target, Target::Mask { classes, .. } if classes.iter().any(|c| *c != classes[0])) {
                break;
            }
            (x, y) = origin();
            target = cropped(&sample.target, x, y, side);
        }
    }
    for picture in &mut sample.pictures {
        let mut square = RgbImage::new(side, side);
        let part =
            imageops::crop_imm(&*picture, x.min(picture.width()), y.min(picture.height()), side, side).to_image();
        imageops::replace(&mut square, &part, 0, 0);
        *picture = square;
    }
    sample.target = target;
}

/// Mirrored left to right. Displacements are not turned; no task with flow is mirrored.
fn mirrored(target: &Target) -> Target {
    let flip =
        |width: u32, at: usize| at / width as usize * width as usize + (width as usize - 1 - at % width as usize);
    match target {
        Target::Class(class) => Target::Class(*class),
        Target::Mask { width, height, classes } => Target::Mask {
            width: *width,
            height: *height,
            classes: (0..classes.len()).map(|i| classes[flip(*width, i)]).collect(),
        },
        Target::Values { width, height, channels, values } => Target::Values {
            width: *width,
            height: *height,
            channels: *channels,
            values: (0..values.len() / channels)
                .flat_map(|i| values[flip(*width, i) * channels..][..*channels].iter().copied())
                .collect(),
        },
    }
}

/// The square at `x`, `y`. What lies beside a mask is class 0, as Pillow's crop fills it;
/// numbers there are not labelled.
fn cropped(target: &Target, x: u32, y: u32, side: u32) -> Target {
    let inside = |width: u32, height: u32| {
        (0..side)
            .flat_map(move |dy| (0..side).map(move |dx| (x + dx, y + dy)))
            .map(move |(px, py)| (px < width && py < height).then_some((py * width + px) as usize))
    };
    match target {
        Target::Class(class) => Target::Class(*class),
        Target::Mask { width, height, classes } => Target::Mask {
            width: side,
            height: side,
            classes: inside(*width, *height).map(|i| i.map_or(0, |i| classes[i])).collect(),
        },
        Target::Values { width, height, channels, values } => Target::Values {
            width: side,
            height: side,
            channels: *channels,
            values: inside(*width, *height)
                .flat_map(|i| (0..*channels).map(move |c| i.map(|i| i * channels + c)))
                .map(|i| i.map_or(f32::NAN, |i| values[i]))
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// A picture whose colour tells the place, with the same place as its class.
    fn sample(width: u32, height: u32) -> Sample {
        let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 0]));
        let classes = (0..width * height).map(|i| (i % width + i / width) as u8).collect();
        Sample { pictures: vec![picture], target: Target::Mask { width, height, classes } }
    }

    #[test]
    fn picture_and_truth_are_cut_alike() {
        for seed in 0..20 {
            let view = View::Whole { crop: 16, extra: Extra::None };
            let mut random = Stream::new(seed, "crop");
            let cut = view.apply(sample(40, 30), &Preprocessing::IMAGENET, Some(&mut random)).expect("cut");
            let Target::Mask { classes, .. } = &cut.target else { panic!("a mask") };
            for (i, pixel) in cut.pictures[0].pixels().enumerate() {
                assert_eq!(pixel.0[0] + pixel.0[1], classes[i]);
            }
        }
    }

    #[test]
    fn every_place_is_equally_likely() {
        let mut seen = [0u32; 25];
        for seed in 0..5000 {
            let mut random = Stream::new(seed, "crop");
            let view = View::Whole { crop: 16, extra: Extra::None };
            let cut = view.apply(sample(40, 16), &Preprocessing::IMAGENET, Some(&mut random)).expect("cut");
            seen[usize::from(cut.pictures[0].get_pixel(0, 0).0[0])] += 1;
        }
        assert!(seen.iter().all(|n| (140..=260).contains(n)), "{seen:?}");
    }

    #[test]
    fn virbs_scaled_square_reaches_beside_small_pictures_and_ours_does_not() {
        let beside = |unscaled_origin| {
            (0..60).any(|seed| {
                let view = View::Whole { crop: 20, extra: Extra::Scale { unscaled_origin } };
                let mut random = Stream::new(seed, "scale");
                let bright = Sample {
                    pictures: vec![RgbImage::from_pixel(60, 60, Rgb([200, 200, 200]))],
                    target: Target::Mask { width: 60, height: 60, classes: vec![1; 3600] },
                };
                let cut = view.apply(bright, &Preprocessing::IMAGENET, Some(&mut random)).expect("cut");
                cut.pictures[0].pixels().any(|p| p.0[0] == 0)
            })
        };
        assert!(beside(true));
        assert!(!beside(false));
    }

    #[test]
    fn a_hand_is_looked_for() {
        let mut classes = vec![0u8; 200 * 40];
        classes[20 * 200 + 190] = 3;
        let found = (0..100)
            .filter(|seed| {
                let sample = Sample {
                    pictures: vec![RgbImage::new(200, 40)],
                    target: Target::Mask { width: 200, height: 40, classes: classes.clone() },
                };
                let view = View::Whole { crop: 40, extra: Extra::Hands };
                let cut = view.apply(sample, &Preprocessing::IMAGENET, Some(&mut Stream::new(*seed, "hands")));
                matches!(cut.expect("cut").target, Target::Mask { classes, .. } if classes.contains(&3))
            })
            .count();
        // One draw finds it in 10 of 161 places, eleven draws in half of the cases.
        assert!((35..=70).contains(&found), "{found}");
    }
}
