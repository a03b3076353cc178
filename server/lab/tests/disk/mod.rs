//! A folder of data sets that tests write.
#![allow(dead_code, reason = "every test file uses its own part")]

use image::RgbImage;
use virboard_core::protocol::Protocol;
use virboard_lab::data::{Broken, Dataset, Places, Split, open};

/// A folder of data sets.
pub struct Disk(pub tempfile::TempDir);

impl Disk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn places(&self) -> Places {
        Places {
            samples: self.0.path().join("samples"),
            datasets: self.0.path().into(),
            hashes: self.0.path().join("h"),
        }
    }

    pub fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }

    pub fn picture(&self, file: &str, tint: u8) {
        self.write(file, &jpeg(tint));
    }

    pub fn open(&self, task: &str) -> Result<Box<dyn Dataset>, virboard_lab::Error> {
        open(task, &self.places(), Protocol::Standard, Broken::Refuse, &())
    }

    #[track_caller]
    pub fn refused(&self, task: &str) -> String {
        self.open(task).err().expect("refused").to_string()
    }

    /// What reading the first training sample says.
    #[track_caller]
    pub fn refused_sample(&self, task: &str) -> String {
        self.open(task).expect("opened").sample(Split::Train, 0).expect_err("refused").to_string()
    }
}

/// A JPEG of 48 x 40 pixels.
pub fn jpeg(tint: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(48, 40, |x, y| image::Rgb([x as u8 * 5, y as u8 * 6, tint]));
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("encoded");
    bytes.into_inner()
}
