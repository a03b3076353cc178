//! CIFAR-100: `cifar-100/{train,test}`, pickles of 32 x 32 pictures, whatever Python and numpy wrote them.

use super::listing;
use super::{Dataset, Sample, Split, Target};
use crate::head::Label;
use crate::{Error, Result};
use image::{Rgb, RgbImage};
use std::path::Path;
use virboard_nn::checkpoint::pickle::array::Array;
use virboard_nn::checkpoint::pickle::{Pickle, Refusal, Value};
use virboard_nn::files::sha256;

/// Pixels of a picture: three planes of 32 x 32.
const PIXELS: usize = 3 * 32 * 32;
/// Classes of the data set.
const CLASSES: i64 = 100;

struct Part {
    /// One row of [`PIXELS`] a picture.
    data: Vec<u8>,
    labels: Vec<usize>,
}

/// The data set, held in memory (180 MB).
pub struct Cifar100 {
    train: Part,
    test: Part,
    labels: Vec<Label>,
    sha256: String,
}

/// Reads the folder.
///
/// # Errors
/// [`Error::Dataset`] for files that are not as they should be.
pub fn open(root: &Path) -> Result<Box<dyn Dataset>> {
    Ok(Box::new(Cifar100::open(root)?))
}

impl Cifar100 {
    /// Reads the pickles without executing anything in them. Labels are taken by their name,
    /// `fine_labels`, not by their place.
    pub fn open(root: &Path) -> Result<Self> {
        let (train, train_sha) = part(&root.join("train"))?;
        let (test, test_sha) = part(&root.join("test"))?;
        let classes = train.labels.iter().chain(&test.labels).max().map_or(0, |c| c + 1);
        let labels = match names(&root.join("meta"))? {
            Some(names) if names.len() >= classes => names,
            Some(names) => {
                let reason = format!("it names {} classes, and there are {classes}", names.len());
                return Err(bad(&root.join("meta"), &reason));
            }
            None => (0..classes).map(|c| format!("class {c}")).collect(),
        };
        Ok(Self {
            train,
            test,
            labels: listing::labels(&labels),
            sha256: sha256(format!("{train_sha} {test_sha}").as_bytes()),
        })
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, Pickle)> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let (pickle, _) = Pickle::parse(&bytes).map_err(|refusal| match refusal {
        Refusal::Unsafe(name) => virboard_nn::Error::UnsafePickle { path: path.to_path_buf(), name }.into(),
        Refusal::Malformed(reason) => bad(path, &reason),
    })?;
    Ok((bytes, pickle))
}

fn bad(path: &Path, reason: &str) -> Error {
    Error::Dataset {
        dataset: "CIFAR-100".to_owned(),
        reason: format!("{} is damaged or cut off ({reason}); unpack cifar-100-python.tar.gz again", path.display()),
    }
}

fn part(path: &Path) -> Result<(Part, String)> {
    let (bytes, pickle) = read(path)?;
    let entry =
        |name: &str| pickle.get(&pickle.root, name).ok_or_else(|| bad(path, &format!("it has no entry `{name}`")));
    let wrong = |name: &str, reason: &str| bad(path, &format!("`{name}`: {reason}"));
    let labels = numbers(&pickle, entry("fine_labels")?, &bytes).map_err(|e| wrong("fine_labels", &e))?;
    if let Some(strange) = labels.iter().find(|label| !(0..CLASSES).contains(*label)) {
        return Err(wrong("fine_labels", &format!("it holds {strange}, and the classes are 0 to {}", CLASSES - 1)));
    }
    let labels: Vec<usize> = labels.into_iter().filter_map(|label| usize::try_from(label).ok()).collect();
    let array = Array::of(&pickle, entry("data")?, &bytes).map_err(|e| wrong("data", &e))?;
    let data = array.bytes().ok_or_else(|| wrong("data", "its numbers are no bytes"))?;
    if data.len() != labels.len() * PIXELS || labels.is_empty() {
        return Err(bad(path, &format!("{} labels do not fit {} bytes of pictures", labels.len(), data.len())));
    }
    if array.shape.first() != Some(&labels.len()) {
        return Err(wrong("data", &format!("it has the shape {:?}, and a row should be a picture", array.shape)));
    }
    Ok((Part { data, labels }, sha256(&bytes)))
}

/// Whole numbers in a list or an array.
fn numbers(pickle: &Pickle, value: &Value, bytes: &[u8]) -> std::result::Result<Vec<i64>, String> {
    let Some(items) = pickle.items(value) else {
        return Array::of(pickle, value, bytes)?
            .numbers()
            .ok_or_else(|| "it holds a number that is too large".to_owned());
    };
    let number = |v: &Value| match v {
        Value::Int(n) => Some(*n),
        other => Array::of(pickle, other, bytes).ok()?.numbers()?.first().copied(),
    };
    items.iter().map(number).collect::<Option<_>>().ok_or_else(|| "it holds something else than numbers".to_owned())
}

/// The classes' names; none without the file.
fn names(path: &Path) -> Result<Option<Vec<String>>> {
    if !path.exists() {
        return Ok(None);
    }
    let (_, pickle) = read(path)?;
    let names = pickle.get(&pickle.root, "fine_label_names").and_then(|names| pickle.items(names));
    let names = names.ok_or_else(|| bad(path, "it has no list `fine_label_names`"))?;
    let text = |v: &Value| if let Value::Text(t) = v { Some(t.to_string()) } else { None };
    let names: Option<Vec<String>> = names.iter().map(text).collect();
    names.map(Some).ok_or_else(|| bad(path, "a name in it is no text"))
}

impl Dataset for Cifar100 {
    fn len(&self, split: Split) -> usize {
        self.part(split).labels.len()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let part = self.part(split);
        let row = &part.data[index * PIXELS..][..PIXELS];
        let picture = RgbImage::from_fn(32, 32, |x, y| {
            let at = (y * 32 + x) as usize;
            Rgb([row[at], row[1024 + at], row[2048 + at]])
        });
        Ok(Sample { pictures: vec![picture], target: Target::Class(part.labels[index]) })
    }

    fn target(&self, split: Split, index: usize) -> Result<Target> {
        Ok(Target::Class(self.part(split).labels[index]))
    }

    fn labels(&self) -> Vec<Label> {
        self.labels.clone()
    }

    fn pictures_sha256(&self) -> &str {
        &self.sha256
    }

    fn sha256(&self) -> String {
        self.sha256.clone()
    }
}
