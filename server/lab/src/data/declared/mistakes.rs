//! What can be wrong with what a file says of a task.

use super::description::{Class, HeadForm, Ignored, Kind, TaskForm};
use virboard_core::catalogue::task::Category;

impl TaskForm {
    /// What is wrong with it, a sentence each.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut said = Vec::new();
        let mut when = |wrong: bool, sentence: String| {
            if wrong {
                said.push(sentence);
            }
        };
        let (kind, images) = (self.kind, self.images());
        let pixels = kind != Kind::Classification;
        when(!(1..=6).contains(&images), format!("`images` is {images}; a sample has 1 to 6 of them"));
        match kind {
            Kind::Flow => when(images != 2, "flow is between two images; leave `images` out".to_owned()),
            Kind::Segmentation | Kind::Mask | Kind::Depth => {
                when(images != 1, format!("a task about pixels sees one image, not {images}; leave `images` out"));
            }
            Kind::Classification => {}
        }
        let about_pixels = matches!(self.category(), Category::PixelSemantic | Category::PixelStructural);
        when(
            about_pixels != pixels,
            format!(
                "the category {} does not fit the kind; choose one that begins with `{}`",
                self.category().slug(),
                if pixels { "pixel" } else { "image" }
            ),
        );
        when(self.train == self.test, format!("it trains and tests on the split `{}`; name two", self.train));
        let names: Vec<&str> = self.classes.iter().map(Class::name).collect();
        for (i, class) in self.classes.iter().enumerate() {
            when(names[..i].contains(&class.name()), format!("the class `{}` is named twice", class.name()));
            if let Class::Coloured { name, colour } = class {
                let hex = colour.strip_prefix('#').filter(|h| h.len() == 6 && u32::from_str_radix(h, 16).is_ok());
                when(hex.is_none(), format!("`{colour}` of the class {name} is no colour; write it as #rrggbb"));
            }
        }
        match kind {
            Kind::Segmentation => {
                when(
                    !(2..=255).contains(&names.len()),
                    format!("{} classes are named; `classes` names those of the masks, from number 0 on", names.len()),
                );
            }
            Kind::Mask => when(
                !matches!(names.len(), 0 | 2),
                "a mask has two classes; `classes` names what is not it and what is, or nothing".to_owned(),
            ),
            Kind::Depth | Kind::Flow => {
                when(!names.is_empty(), "it has numbers and no classes; leave `classes` out".to_owned());
            }
            Kind::Classification => {}
        }
        for ignored in &self.ignored {
            match ignored {
                Ignored::Number(n) => when(
                    !matches!(kind, Kind::Segmentation | Kind::Mask),
                    format!("{n} among `ignored` is the number of a class in masks; write labels in quotes"),
                ),
                Ignored::Label(label) => when(
                    pixels,
                    format!("`{label}` among `ignored` is a label, and masks have numbers; write the number"),
                ),
            }
        }
        when(!self.positive.is_empty() && kind != Kind::Mask, "`positive` is for masks; leave it out".to_owned());
        let unignored = (0..names.len()).filter(|i| !self.ignores(*i as u8)).count();
        when(
            kind == Kind::Segmentation && names.len() > 1 && unignored < 2,
            "fewer than two classes are left".to_owned(),
        );
        when(
            !(self.depth_scale.is_finite() && self.depth_scale > 0.0),
            format!("`depth_scale` is {}; give what one unit is stored as", self.depth_scale),
        );
        when(
            self.head == HeadForm::Deeplab && !matches!(kind, Kind::Segmentation | Kind::Mask),
            "DeepLab is for segmentations and masks; leave `head` out".to_owned(),
        );
        when(self.epochs == Some(0), "`epochs` is 0; train at least one".to_owned());
        when(self.batch_size == Some(0), "`batch_size` is 0; take at least one sample".to_owned());
        when(
            self.learning_rate.is_some_and(|r| !(r > 0.0 && r.is_finite())),
            "`learning_rate` is no rate; give a small positive number".to_owned(),
        );
        said
    }
}
