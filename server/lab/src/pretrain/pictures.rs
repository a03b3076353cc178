//! The pictures that an encoder is trained on: listed, cut to a subset, decoded and kept.

mod decoded;
pub mod source;

use super::subset::{Subset, some};
use crate::Result;
use crate::data::{Places, hashes};
use crate::error::PicturesError;
use crate::progress::Progress;
pub use decoded::shorter_side;

use decoded::Decoded;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use source::Source;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_nn::files::sha256;
use virboard_nn::seeded::Stream;

/// Which pictures an encoder is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where they come from: the name of a data set, `NAME:SPLIT` or `NAME/TASK` for a part of a declared one, or the
    /// path of a folder of pictures, in which folders are classes.
    pub sources: Vec<String>,
    /// Which of them.
    #[serde(default)]
    pub subset: Subset,
    /// Every source is cut to so many pictures before the subset is taken; by default to none. At least 2.
    #[serde(default)]
    pub pictures: Option<usize>,
    /// Decoded pictures are made smaller until their shorter side has so many pixels; by default they stay as they
    /// are. At least 1.
    #[serde(default)]
    pub side: Option<u32>,
    /// Millions of bytes of memory that decoded pictures may take; by default 2000. The others are decoded every time.
    #[serde(default)]
    pub memory_mb: Option<usize>,
    /// Whether pictures that cannot be read are left out and named, instead of refused.
    #[serde(default)]
    pub skip_broken: bool,
}

/// Millions of bytes of memory, where nothing is said.
const MEMORY_MB: usize = 2000;

impl Data {
    /// All pictures of some sources, kept as they are.
    #[must_use]
    pub fn of(sources: &[&str]) -> Self {
        let sources = sources.iter().map(|s| (*s).to_owned()).collect();
        Self { sources, subset: Subset::Full, pictures: None, side: None, memory_mb: None, skip_broken: false }
    }

    /// Complains about settings that make no sense, before any file is read.
    pub fn check(&self) -> Result<()> {
        let wrong = |name, value: &dyn std::fmt::Display, wanted| {
            Err(PicturesError::Setting { name, value: value.to_string(), wanted }.into())
        };
        if self.sources.is_empty() {
            return wrong("sources", &"empty", "name a data set or a folder of pictures");
        }
        if let Some(twice) = self.sources.iter().enumerate().find(|(i, s)| self.sources[..*i].contains(s)) {
            return wrong("sources", &format!("`{}` twice", twice.1), "name every source once");
        }
        match (self.pictures, self.side) {
            (Some(pictures @ 0..=1), _) => wrong("pictures", &pictures, "take at least 2"),
            (_, Some(0)) => wrong("side", &0, "take at least 1"),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Picture {
    /// Number of its source.
    source: usize,
    path: PathBuf,
    class: Option<u32>,
}

/// The training pictures of a run, in the order of their sources and paths.
#[derive(Debug)]
pub struct Pictures {
    data: Data,
    seed: u64,
    roots: Vec<PathBuf>,
    list: Vec<Picture>,
    classes: Vec<String>,
    decoded: Decoded,
    sha256: String,
}

impl Pictures {
    /// Lists the sources, takes the subset, decodes what fits the memory, and hashes all files. `seed` decides which
    /// pictures are taken.
    ///
    /// # Errors
    /// [`Error::TrainingPictures`] for a source that is not there, has fewer than 2 pictures or none of the classes that
    /// the subset needs, and for a picture that cannot be read; beyond the memory it is met by [`Self::get`], unless
    /// such pictures are left out. [`Error::Cancelled`].
    pub fn open(places: &Places, data: &Data, seed: u64, progress: &dyn Progress) -> Result<Self> {
        data.check()?;
        let open = |name: &String| Ok(cut(source::open(places, name, progress)?, data, seed, progress));
        let sources: Vec<Source> = data.sources.iter().map(open).collect::<Result<_>>()?;
        let (pictures, classes) = joined(&sources)?;
        let list = subset(pictures, data, seed, &sources)?;
        let roots = sources.into_iter().map(|source| source.root).collect();
        let memory = data.memory_mb.unwrap_or(MEMORY_MB).saturating_mul(1_000_000);
        let mut all = Self {
            data: data.clone(),
            seed,
            roots,
            list,
            classes,
            decoded: Decoded::new(data.side, memory),
            sha256: String::new(),
        };
        all.decode(progress)?;
        all.sha256 = all.hash(places)?;
        Ok(all)
    }

    /// Decodes the pictures that are kept, and all of them where broken ones are to be left out.
    fn decode(&mut self, progress: &dyn Progress) -> Result<()> {
        let paths: Vec<&Path> = self.list.iter().map(|picture| picture.path.as_path()).collect();
        let of = paths.len();
        let broken = self.decoded.fill(&paths, self.data.skip_broken, progress)?;
        for (i, reason) in &broken {
            progress.say(&format!("{} is left out: {reason}", self.list[*i].path.display()));
        }
        if let Some((i, reason)) = broken.iter().next()
            && of - broken.len() < 2
        {
            let path = self.list[*i].path.clone();
            return Err(PicturesError::NoneLeft { left: of - broken.len(), of, path, reason: reason.clone() }.into());
        }
        let mut number = 0..;
        self.list.retain(|_| number.next().is_none_or(|i| !broken.contains_key(&i)));
        self.decoded.leave_out(&broken);
        let kept = self.decoded.kept();
        if kept < self.len() {
            progress.say(&format!(
                "{kept} of {} pictures fit into {} MB of memory, the others are decoded every time; raise `memory_mb` or lower `side` to keep more",
                self.len(),
                self.data.memory_mb.unwrap_or(MEMORY_MB)
            ));
        }
        Ok(())
    }

    fn hash(&self, places: &Places) -> Result<String> {
        let mut all = String::new();
        for (number, root) in self.roots.iter().enumerate() {
            let of_source = || self.list.iter().filter(move |picture| picture.source == number);
            let paths: Vec<&Path> = of_source().map(|picture| picture.path.as_path()).collect();
            let names: String = paths.iter().map(|path| path.display().to_string() + "\n").collect();
            let store = places.hashes.join(format!("pictures-{}.tsv", &sha256(names.as_bytes())[..16]));
            let (hashes, _) = hashes::of(root, &paths, &[], &store)?;
            for (hash, picture) in hashes.iter().zip(of_source()) {
                // Writing to a text does not fail.
                let _ = writeln!(all, "{number}\t{hash}\t{}", self.class_name(picture));
            }
        }
        Ok(sha256(all.as_bytes()))
    }

    fn class_name(&self, picture: &Picture) -> &str {
        picture.class.map_or("", |class| self.classes[class as usize].as_str())
    }

    /// How many there are; at least 2.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The class of a picture, as a number in [`Self::classes`].
    #[must_use]
    pub fn class(&self, picture: usize) -> Option<u32> {
        self.list[picture].class
    }

    /// The names of the classes of all sources, sorted; with several sources `SOURCE/CLASS`.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The path of a picture relative to its source.
    #[must_use]
    pub fn name(&self, picture: usize) -> String {
        let Picture { source, path, .. } = &self.list[picture];
        path.strip_prefix(&self.roots[*source]).unwrap_or(path).display().to_string()
    }

    /// A picture in 8-bit RGB, at most [`Data::side`] pixels on its shorter side.
    ///
    /// # Errors
    /// [`PicturesError::Broken`] for a file that cannot be read.
    pub fn get(&self, picture: usize) -> Result<Arc<RgbImage>> {
        Ok(self.decoded.get(picture, &self.list[picture].path)?)
    }

    /// SHA-256 of the pictures' names, classes and files.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A text file that says which pictures were taken: sources, subset, seed and hash, then a line a picture with
    /// source, path and class, between them tabs.
    #[must_use]
    pub fn list(&self) -> String {
        let mut text = format!(
            "# subset {}, seed {}, {} pictures of {}\n# sha256 {}\n# source\tpath\tclass\n",
            self.data.subset.name(),
            self.seed,
            self.len(),
            self.data.sources.join(", "),
            self.sha256
        );
        for (i, picture) in self.list.iter().enumerate() {
            let source = &self.data.sources[picture.source];
            // Writing to a text does not fail.
            let _ = writeln!(text, "{source}\t{}\t{}", self.name(i), self.class_name(picture));
        }
        text
    }

    /// Complains about a batch that is larger than the data.
    pub fn check_batch(&self, batch: usize) -> Result<()> {
        if batch > self.len() {
            return Err(PicturesError::Batch { batch, pictures: self.len() }.into());
        }
        Ok(())
    }
}

/// A source with as many pictures as it is cut to.
fn cut(mut source: Source, data: &Data, seed: u64, progress: &dyn Progress) -> Source {
    let Some(wanted) = data.pictures else { return source };
    let there = source.pictures.len();
    if there < wanted {
        progress
            .say(&format!("{} has {there} pictures, fewer than the {wanted} that it was to be cut to", source.name));
        return source;
    }
    let all: Vec<usize> = (0..there).collect();
    let chosen = some(&all, wanted, &mut Stream::new(seed, &format!("cut {}", source.name)));
    source.pictures = chosen.into_iter().map(|i| source.pictures[i].clone()).collect();
    source
}

/// The pictures of all sources with their classes numbered.
fn joined(sources: &[Source]) -> Result<(Vec<Picture>, Vec<String>)> {
    let named = |source: &Source, class: &str| {
        if sources.len() == 1 { class.to_owned() } else { format!("{}/{class}", source.name) }
    };
    let of = |source| move |class: &String| named(source, class);
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for source in sources {
        numbers.extend(source.pictures.iter().filter_map(|p| p.class.as_ref()).map(|class| (of(source)(class), 0)));
    }
    for (number, value) in (0..).zip(numbers.values_mut()) {
        *value = number;
    }
    let (mut pictures, mut seen) = (Vec::new(), HashMap::new());
    for (number, source) in sources.iter().enumerate() {
        for found in &source.pictures {
            if let Some(first) = seen.insert(&found.path, number) {
                let (first, second) = (sources[first].name.clone(), source.name.clone());
                return Err(PicturesError::Twice { path: found.path.clone(), first, second }.into());
            }
            let class = found.class.as_ref().map(|class| numbers[&named(source, class)]);
            pictures.push(Picture { source: number, path: found.path.clone(), class });
        }
    }
    Ok((pictures, numbers.into_keys().collect()))
}

/// The pictures of the subset.
fn subset(pictures: Vec<Picture>, data: &Data, seed: u64, sources: &[Source]) -> Result<Vec<Picture>> {
    let subset = data.subset;
    if let Some(none) = pictures.iter().find(|picture| picture.class.is_none())
        && subset.needs_classes()
    {
        let picture = none.path.display().to_string();
        return Err(PicturesError::NoClass { subset: subset.name(), picture }.into());
    }
    let all = pictures.len();
    let choose = |pictures: Vec<Picture>, name: &str| -> Vec<Picture> {
        let classes: Vec<Option<u32>> = pictures.iter().map(|picture| picture.class).collect();
        let mut chosen = subset.choose(&classes, &mut Stream::new(seed, name)).into_iter().peekable();
        let keep = |(i, picture)| chosen.next_if_eq(&i).map(|_| picture);
        pictures.into_iter().enumerate().filter_map(keep).collect()
    };
    let chosen: Vec<Picture> = if subset.of_each_source() {
        let mut by_source: Vec<Vec<Picture>> = sources.iter().map(|_| Vec::new()).collect();
        for picture in pictures {
            by_source[picture.source].push(picture);
        }
        let each = by_source.into_iter().zip(sources);
        each.flat_map(|(pictures, source)| choose(pictures, &format!("subset {}", source.name))).collect()
    } else {
        choose(pictures, "subset")
    };
    if chosen.len() < 2 {
        let (subset, left) = (subset.name(), chosen.len());
        return Err(PicturesError::SmallSubset { subset, pictures: all, left }.into());
    }
    Ok(chosen)
}
