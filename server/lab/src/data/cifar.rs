//! CIFAR-100: `cifar-100/{train,test}`, Python 2 pickles of 32 x 32 pictures.

use super::listing;
use super::{Dataset, Sample, Split, Target};
use crate::head::Label;
use crate::{Error, Result};
use image::{Rgb, RgbImage};
use std::path::Path;
use virboard_nn::checkpoint::pickle::{ARRAY_STATE, Pickle, Refusal, Value};
use virboard_nn::files::sha256;

/// Pixels of a picture: three planes of 32 x 32.
const PIXELS: usize = 3 * 32 * 32;

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
        let labels = names(&root.join("meta")).filter(|n| n.len() >= classes);
        let labels = labels.unwrap_or_else(|| (0..classes).map(|c| format!("class {c}")).collect());
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
    let labels: Vec<usize> = pickle
        .items(entry("fine_labels")?)
        .unwrap_or_default()
        .iter()
        .filter_map(|v| if let Value::Int(i) = v { usize::try_from(*i).ok() } else { None })
        .collect();
    let state = pickle.get(entry("data")?, ARRAY_STATE).and_then(|s| pickle.items(s));
    let data = match state.and_then(|s| s.last()) {
        Some(Value::Bytes(range)) => bytes.get(range.clone()).map(<[u8]>::to_vec),
        Some(Value::Text(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    let data = data.ok_or_else(|| bad(path, "its pictures are no array of bytes"))?;
    if data.len() != labels.len() * PIXELS || labels.is_empty() {
        return Err(bad(path, &format!("{} labels do not fit {} bytes of pictures", labels.len(), data.len())));
    }
    Ok((Part { data, labels }, sha256(&bytes)))
}

fn names(path: &Path) -> Option<Vec<String>> {
    let (_, pickle) = read(path).ok()?;
    let names = pickle.items(pickle.get(&pickle.root, "fine_label_names")?)?;
    Some(names.iter().filter_map(|v| if let Value::Text(t) = v { Some(t.to_string()) } else { None }).collect())
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
