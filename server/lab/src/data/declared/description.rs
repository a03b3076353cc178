//! `dataset.toml`: what a data set is called, under which terms it is used, and which tasks it holds.

use super::perhaps;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;
use virboard_core::catalogue::encoder::Pretraining;
use virboard_core::catalogue::nearest;
use virboard_core::catalogue::task::Category;

/// What a file says of a data set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What people call it.
    pub name: String,
    /// Under which terms its pictures are used.
    pub licence: String,
    /// Where it comes from: an address, or a sentence.
    #[serde(default)]
    pub source: String,
    /// What one should know of it.
    #[serde(default)]
    pub note: String,
    /// Share of each class that is for the test, where folders hold no splits; from 0 to 1.
    #[serde(default = "fifth")]
    pub test_share: f64,
    /// Seed of that share.
    #[serde(default)]
    pub seed: u64,
    /// Whether one group may be in both splits, since it is a remark and no origin.
    #[serde(default)]
    pub groups_are_remarks: bool,
    /// Its tasks.
    #[serde(default, rename = "task")]
    pub tasks: Vec<Spanned<TaskForm>>,
}

/// What a file says of a task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskForm {
    /// Its name in addresses and commands.
    pub key: Spanned<String>,
    /// What people call it; by default the data set's name.
    #[serde(default)]
    pub name: String,
    /// One of the paper's four; by default what fits the kind.
    #[serde(default)]
    pub category: Option<CategoryForm>,
    /// What is asked of a picture.
    pub kind: Kind,
    /// Images that make one sample, from 1 to 6; by default 2 for flow and else 1.
    #[serde(default)]
    pub images: Option<u32>,
    /// The split for training.
    #[serde(default = "train")]
    pub train: String,
    /// The split for the score.
    #[serde(default = "test")]
    pub test: String,
    /// Unit of distances and errors.
    #[serde(default)]
    pub unit: String,
    /// What a distance of one unit is stored as.
    #[serde(default = "one")]
    pub depth_scale: f32,
    /// Whether a stored distance of 0 means that there is no label.
    #[serde(default = "yes")]
    pub zero_is_unlabelled: bool,
    /// Classes, in order; of a segmentation in the order of their numbers, from 0.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// Classes that are left out: labels, or numbers in masks.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
    /// Numbers in masks that are the class; without any, everything but 0.
    #[serde(default)]
    pub positive: Vec<u8>,
    /// The leaderboard's sheet on which it is shown.
    #[serde(default = "own_suite")]
    pub suite: String,
    /// Key of the paper's task that it repeats on a small scale.
    #[serde(default)]
    pub stands_for: Option<String>,
    /// Training data of encoders that have seen its training pictures.
    #[serde(default)]
    pub seen: Vec<Pretraining>,
    /// What it asks, in one sentence.
    #[serde(default)]
    pub description: String,
    /// What one must know before comparing scores.
    #[serde(default)]
    pub caveat: String,
    /// Kind of head for tasks about pixels.
    #[serde(default)]
    pub head: HeadForm,
    /// Training epochs.
    #[serde(default)]
    pub epochs: Option<u32>,
    /// Learning rate (Adam).
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// Batch size.
    #[serde(default)]
    pub batch_size: Option<u32>,
}

/// The paper's categories as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are the paper's")]
pub enum CategoryForm {
    ImageSemantic,
    ImageStructural,
    PixelSemantic,
    PixelStructural,
}

/// What is asked of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A class in words, of one or several images.
    Classification,
    /// A class per pixel.
    Segmentation,
    /// Whether a pixel is of the one class.
    Mask,
    /// A distance per pixel.
    Depth,
    /// Where every pixel of the first image is in the second.
    Flow,
}

impl Kind {
    /// The column of an index that holds the truth.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Classification => "label",
            Self::Segmentation | Self::Mask => "mask",
            Self::Depth => "depth",
            Self::Flow => "flow",
        }
    }
}

/// Heads of tasks about pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadForm {
    /// A linear layer, two layers on several images, or a decoder over all maps: what fits the kind.
    #[default]
    Usual,
    /// An atrous pyramid.
    Deeplab,
}

/// A class: a name, or a name with a colour.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// Its name.
    Name(String),
    /// Its name and its colour in pictures, `#rrggbb`.
    Coloured {
        /// Its name.
        name: String,
        /// `#rrggbb`.
        colour: String,
    },
}

impl Class {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Coloured { name, .. } => name,
        }
    }
}

/// A class that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Ignored {
    /// By its number in masks.
    Number(u8),
    /// By its label.
    Label(String),
}

const fn fifth() -> f64 {
    0.2
}

const fn one() -> f32 {
    1.0
}

const fn yes() -> bool {
    true
}

fn train() -> String {
    "train".to_owned()
}

fn test() -> String {
    "test".to_owned()
}

fn own_suite() -> String {
    "Your data".to_owned()
}

/// The description that is written for a folder of classes without one.
#[must_use]
pub fn class_folders(name: &str, key: &str) -> String {
    format!(
        "name = {name:?}\nlicence = \"not stated\"\nsource = \"\"\n\n[[task]]\nkey = {key:?}\nname = {name:?}\nkind = \"classification\"\ncategory = \"image-semantic\"\n"
    )
}

/// Reads a description, or says everything that is wrong with it, a sentence each with file and line.
pub fn read(path: &Path, text: &str) -> Result<Description, Vec<String>> {
    let shown = path.display();
    let description: Description = toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| format!(" line {}", line(text, span.start)));
        vec![format!("{shown}{place}: {}", sentence(error.message()))]
    })?;
    let mut problems = Vec::new();
    if description.name.trim().is_empty() {
        problems.push(format!("{shown}: `name` is empty; say what the data set is called"));
    }
    if !(description.test_share > 0.0 && description.test_share < 1.0) {
        problems.push(format!("{shown}: `test_share` is {}; give a share between 0 and 1", description.test_share));
    }
    if description.tasks.is_empty() {
        problems.push(format!("{shown}: there is no task; add a block [[task]] with key and kind"));
    }
    for (i, task) in description.tasks.iter().enumerate() {
        let form = task.get_ref();
        let place = format!("{shown} line {}", line(text, form.key.span().start));
        let same = |other: &Spanned<TaskForm>| other.get_ref().key.get_ref() == form.key.get_ref();
        if description.tasks[..i].iter().any(same) {
            problems.push(format!("{place}: the key `{}` is there twice; choose another", form.key.get_ref()));
        }
        problems.extend(form.mistakes().into_iter().map(|mistake| format!("{place}: {mistake}")));
    }
    if problems.is_empty() { Ok(description) } else { Err(problems) }
}

/// The line, from 1, in which a place of a text lies.
#[must_use]
pub fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// What the reader says of a text, in words that say what to do.
fn sentence(message: &str) -> String {
    let message = message.replace('\n', " ");
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let words = quoted(&message);
    let known = || words.iter().skip(1).map(String::as_str);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let word = words.first().map_or("", String::as_str);
        let what = if message.starts_with("unknown field") { "key" } else { "value" };
        return match nearest(word, known()) {
            Some(near) => format!("there is no {what} `{word}`; did you mean `{near}`?"),
            None => format!("there is no {what} `{word}`; known are {}", known().collect::<Vec<_>>().join(", ")),
        };
    }
    if let (true, Some(field)) = (message.starts_with("missing field"), words.first()) {
        return format!("`{field}` is missing; add it");
    }
    format!("{message}; mend the line")
}

impl TaskForm {
    /// Images that make one sample.
    #[must_use]
    pub fn images(&self) -> u32 {
        self.images.unwrap_or(if self.kind == Kind::Flow { 2 } else { 1 })
    }

    /// Whether pixels with this number are not labelled.
    #[must_use]
    pub fn ignores(&self, number: u8) -> bool {
        self.ignored.contains(&Ignored::Number(number))
    }

    /// The category.
    #[must_use]
    pub fn category(&self) -> Category {
        match (self.category, self.kind) {
            (Some(CategoryForm::ImageSemantic), _) | (None, Kind::Classification) => Category::ImageSemantic,
            (Some(CategoryForm::ImageStructural), _) => Category::ImageStructural,
            (Some(CategoryForm::PixelSemantic), _) | (None, Kind::Segmentation | Kind::Mask) => Category::PixelSemantic,
            (Some(CategoryForm::PixelStructural), _) | (None, Kind::Depth | Kind::Flow) => Category::PixelStructural,
        }
    }

    /// The label that is most like one that is not among the named classes, as the end of a sentence.
    #[must_use]
    pub fn perhaps(&self, label: &str) -> String {
        perhaps(label, self.classes.iter().map(Class::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "name = \"Shapes\"\nlicence = \"CC0\"\n\n[[task]]\nkey = \"Shapes\"\nkind = \"classification\"\n";

    fn say(text: &str) -> String {
        read(Path::new("dataset.toml"), text).expect_err("refused").join("\n")
    }

    #[test]
    fn a_few_lines_are_enough() {
        let set = read(Path::new("dataset.toml"), HEAD).expect("read");
        let form = set.tasks[0].get_ref();
        assert_eq!((form.train.as_str(), form.test.as_str(), form.images()), ("train", "test", 1));
        assert_eq!((form.category(), set.test_share), (Category::ImageSemantic, 0.2));
        let task = form.task(&set);
        assert_eq!((task.name.as_str(), task.epochs, task.suite.as_str()), ("Shapes", Some(60), "Your data"));
        assert_eq!(read(Path::new("dataset.toml"), &class_folders("a \"b\"", "AB")).expect("read").name, "a \"b\"");
        let windows = HEAD.replace('\n', "\r\n");
        assert!(read(Path::new("dataset.toml"), &windows).is_ok());
    }

    #[test]
    fn mistakes_have_a_line_and_a_mend() {
        let with = |line: &str| say(&format!("{HEAD}{line}\n"));
        assert_eq!(with("epoch = 3"), "dataset.toml line 7: there is no key `epoch`; did you mean `epochs`?");
        assert!(
            say("name = \"a\"\nlicense = \"b\"\n")
                .contains("line 2: there is no key `license`; did you mean `licence`?")
        );
        assert!(say(&HEAD.replace("classification", "clasification")).contains("did you mean `classification`?"));
        assert!(say("name = \"a\"\n").contains("`licence` is missing"), "{}", say("name = \"a\"\n"));
        assert!(say("name = \"a\"\nlicence = \"b\"\n").contains("add a block [[task]]"));
        assert!(with("epochs = \"many\"").starts_with("dataset.toml line 7: invalid type"));
        assert!(with("images = 7").contains("line 5: `images` is 7"));
        assert!(with("category = \"pixel-semantic\"").contains("does not fit the kind"));
        assert!(with("test = \"train\"").contains("name two"));
        assert!(
            with("classes = [{ name = \"a\", colour = \"red\" }, \"a\"]").contains("`red` of the class a is no colour")
        );
        assert!(with("ignored = [3]").contains("write labels in quotes"));
        assert!(with("positive = [1]").contains("`positive` is for masks"));
        assert!(with("learning_rate = -1.0").contains("is no rate"));
        assert!(with("head = \"deeplab\"").contains("DeepLab is for segmentations"));
        assert!(say(&HEAD.replace("classification", "segmentation")).contains("0 classes are named"));
        let twice = format!("{HEAD}\n[[task]]\nkey = \"Shapes\"\nkind = \"depth\"\ndepth_scale = 0\n");
        assert!(say(&twice).contains("line 9: the key `Shapes` is there twice"), "{}", say(&twice));
        assert!(say(&twice).contains("line 9: `depth_scale` is 0"), "{}", say(&twice));
        assert!(say("name = a").starts_with("dataset.toml line 1: "));
    }
}
