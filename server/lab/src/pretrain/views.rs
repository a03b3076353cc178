//! Views of pictures, made at random as torchvision makes them on Pillow's pictures, and always the same for a seed,
//! an epoch, a picture and the number of the view.

pub mod draw;
mod form;
mod plain;
mod standard;
#[cfg(test)]
mod tests;

pub use form::{BlurForm, Jigsaw, JitterForm, ViewForm};
pub use plain::{Fit, plain, square};

use super::pictures::Pictures;
use crate::Result;
use crate::error::PicturesError;
use crate::train::colour;
use draw::{Colours, Place};
use image::{GenericImageView, RgbImage};
use rayon::prelude::*;
use standard::Standard;
use virboard_nn::preprocess::{Blur, Filter, Preprocessing, Resizer};
use virboard_nn::seeded::Stream;

/// The hue among the steps of a [`colour::Jitter`].
const HUE: usize = 3;

/// Makes views.
#[derive(Debug, Clone)]
pub struct Views {
    /// One for each view of a picture.
    forms: Vec<ViewForm>,
    standard: Standard,
    seed: u64,
}

/// The memory in which a thread makes views.
#[derive(Default)]
struct Scratch {
    resizer: Resizer,
    blur: Blur,
    view: RgbImage,
}

impl Views {
    /// All views of these forms, in their order, each as often as it says. Of `input`, the mean, the deviation, the scale
    /// and the order of channels are taken.
    ///
    /// # Errors
    /// [`PicturesError::Setting`] for forms that make no sense, or none.
    pub fn new(forms: &[ViewForm], input: &Preprocessing, seed: u64) -> Result<Self> {
        if forms.is_empty() {
            let wanted = "name at least one view";
            return Err(PicturesError::Setting { name: "views", value: "empty".to_owned(), wanted }.into());
        }
        forms.iter().try_for_each(ViewForm::check)?;
        let forms = forms.iter().flat_map(|form| std::iter::repeat_n(*form, form.count)).collect();
        Ok(Self { forms, standard: Standard::new(input), seed })
    }

    /// The shapes of the views of `pictures` pictures: see [`ViewForm::shape`].
    #[must_use]
    pub fn shapes(&self, pictures: usize) -> Vec<[usize; 4]> {
        self.forms.iter().map(|form| form.shape(pictures)).collect()
    }

    /// The views of some pictures in an epoch, each of its [`Self::shapes`]. Works on the threads of the pool that it is
    /// called in; the result does not depend on them.
    ///
    /// # Errors
    /// [`PicturesError::Broken`] for a picture that cannot be read.
    pub fn batch(&self, pictures: &Pictures, picked: &[usize], epoch: u32) -> Result<Vec<Vec<f32>>> {
        let values = |form: &ViewForm| form.shape(1).iter().product::<usize>();
        let mut views: Vec<Vec<f32>> = self.forms.iter().map(|form| vec![0.0; picked.len() * values(form)]).collect();
        let mut by_picture: Vec<Vec<&mut [f32]>> =
            picked.iter().map(|_| Vec::with_capacity(self.forms.len())).collect();
        for (view, form) in views.iter_mut().zip(&self.forms) {
            let parts = view.chunks_exact_mut(values(form));
            by_picture.iter_mut().zip(parts).for_each(|(of_picture, part)| of_picture.push(part));
        }
        by_picture
            .into_par_iter()
            .zip(picked)
            .try_for_each_init(Scratch::default, |scratch, (outs, number)| {
                let picture = pictures.get(*number)?;
                for (view, (form, out)) in self.forms.iter().zip(outs).enumerate() {
                    let name = format!("epoch {epoch} picture {number} view {view}");
                    self.view(form, &picture, &mut Stream::new(self.seed, &name), scratch, out);
                }
                Ok(())
            })
            .map(|()| views)
    }

    /// Makes one view.
    fn view(&self, form: &ViewForm, picture: &RgbImage, random: &mut Stream, scratch: &mut Scratch, out: &mut [f32]) {
        let Place { piece, flip } = Place::draw(form, picture.dimensions(), random);
        if scratch.view.dimensions() != (form.side, form.side) {
            scratch.view = RgbImage::new(form.side, form.side);
        }
        scratch.resizer.resize(picture, piece, Filter::Bilinear, &mut scratch.view);
        let Some(jigsaw) = form.jigsaw else {
            recolour(form, Colours::draw(form, random), &mut scratch.view, &mut scratch.blur);
            return self.standard.write(&scratch.view, flip, out);
        };
        let mut patches = patches(&scratch.view, jigsaw, random);
        let values = out.len() / patches.len();
        for (patch, out) in patches.iter_mut().zip(out.chunks_exact_mut(values)) {
            recolour(form, Colours::draw(form, random), patch, &mut scratch.blur);
            self.standard.write(patch, flip, out);
        }
    }
}

/// Patches of a view in random order, one of each cell.
fn patches(view: &RgbImage, Jigsaw { grid, patch }: Jigsaw, random: &mut Stream) -> Vec<RgbImage> {
    let cell = view.width() / grid;
    let mut within = |number: u32| number * cell + random.below((cell - patch) as usize + 1) as u32;
    let places: Vec<_> = (0..grid * grid).map(|number| (within(number % grid), within(number / grid))).collect();
    let order = random.permutation(places.len());
    order.into_iter().map(|i| view.view(places[i].0, places[i].1, patch, patch).to_image()).collect()
}

/// Changes the colours of a view and blurs it.
fn recolour(form: &ViewForm, colours: Colours, view: &mut RgbImage, blur: &mut Blur) {
    if colours.grey && form.grey_first {
        colour::grey(view);
    }
    if let Some(jitter) = colours.jitter {
        // Where the hue is not to change, torchvision spares it the way to HSV and back, which moves levels.
        let turns = form.jitter.is_some_and(|jitter| jitter.hue > 0.0);
        jitter.order.into_iter().filter(|step| turns || *step != HUE).for_each(|step| jitter.apply_once(view, step));
    }
    if colours.grey && !form.grey_first {
        colour::grey(view);
    }
    if let Some(sigma) = colours.blur {
        blur.gaussian(view, sigma);
    }
}
