//! What lies in folders besides pictures: it is left out, and said.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How the names of pictures end, whatever their case.
const ENDINGS: [&str; 9] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jpe"];

/// What systems and programs put into folders, in small letters.
const PROGRAMS: [&str; 11] = [
    "$recycle.bin",
    "#recycle",
    "@eadir",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "icon\r",
    "lost+found",
    "system volume information",
    "thumbs.db",
];

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its name begins with a dot; Python's `glob`, which ViRB uses, leaves it out too.
    Hidden,
    /// A system or a program put it there.
    Program,
    /// A folder where pictures are wanted.
    Folder,
    /// A file that is no picture by its name.
    OtherFile,
    /// A picture by its name, in a data set that has others.
    OtherPicture,
    /// A folder of a class without pictures.
    EmptyClass,
    /// A clip with too few frames.
    ShortClip,
    /// A frame of no clip.
    StrangeFrame,
    /// A video that the data set's authors keep for validation.
    Validation,
}

impl Why {
    /// What several of them are called, after their number.
    const fn words(self) -> &'static str {
        match self {
            Self::Hidden => "hidden files or folders (their names begin with a dot)",
            Self::Program => "files or folders that systems and programs make",
            Self::Folder => "folders where pictures are wanted",
            Self::OtherFile => "files that are no pictures by their names",
            Self::OtherPicture => "pictures whose names end otherwise than the data set's",
            Self::EmptyClass => "class folders without pictures",
            Self::ShortClip => "clips with too few frames",
            Self::StrangeFrame => "frames of clips that no annotation names",
            Self::Validation => "pictures that the data set keeps for validation",
        }
    }
}

/// Whether something belongs to a system or a program, by its name: it is no class, no picture and no truth.
#[must_use]
pub fn kept_by_programs(path: &Path) -> Option<Why> {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    if name.starts_with('.') {
        return Some(Why::Hidden);
    }
    PROGRAMS.contains(&name.to_lowercase().as_str()).then_some(Why::Program)
}

/// Whether a file is a picture by its name.
#[must_use]
pub fn is_picture(path: &Path) -> bool {
    ends_with(path, &ENDINGS)
}

/// Whether a file's name ends with one of `endings`, whatever the case of either.
#[must_use]
pub fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().to_lowercase();
    endings.iter().any(|ending| name.ends_with(&ending.to_lowercase()))
}

/// What was left out: how many for each reason, and which comes first by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<Why, (usize, PathBuf)>);

impl LeftOut {
    /// Counts one.
    pub fn add(&mut self, why: Why, path: &Path) {
        let (count, first) = self.0.entry(why).or_insert_with(|| (0, path.to_path_buf()));
        *count += 1;
        if path < first.as_path() {
            *first = path.to_path_buf();
        }
    }

    /// A sentence for each reason.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(why, (count, first)): (&Why, &(usize, PathBuf))| {
            format!("{count} {}, such as {}", why.words(), first.display())
        };
        self.0.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_leave_behind_is_no_picture_and_no_class() {
        for name in [".ipynb_checkpoints", "._a.jpg", ".DS_Store", "Thumbs.db", "@eaDir", "__MACOSX", "Desktop.ini"] {
            assert!(kept_by_programs(&Path::new("x").join(name)).is_some(), "{name}");
        }
        for name in ["River", "a.jpg", "macosx", "n01440764"] {
            assert!(kept_by_programs(&Path::new("x").join(name)).is_none(), "{name}");
        }
        assert!(is_picture(Path::new("A.JPG")) && is_picture(Path::new("b.Tiff")) && !is_picture(Path::new("a.jpg~")));
    }

    #[test]
    fn the_first_by_name_is_shown_whatever_the_order() {
        let mut left_out = LeftOut::default();
        for name in ["b/.c", "b/.a", "b/.b", "Thumbs.db"] {
            let path = Path::new(name);
            left_out.add(kept_by_programs(path).expect("left out"), path);
        }
        let said = left_out.sentences();
        assert!(said.len() == 2 && said[0].starts_with("3 hidden") && said[0].ends_with("b/.a"), "{said:?}");
    }
}
