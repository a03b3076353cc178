//! Kinds of files that people bring in the place of a photo and that are not read, each with what to do instead. The
//! server tells them by their first bytes, the page by their keys.

/// A kind of file that is known by name and not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    /// Short name in addresses.
    pub key: &'static str,
    /// What it is, for "This is ...".
    what: &'static str,
    /// How to come by a picture that is read.
    advice: &'static str,
    signs: &'static [Sign],
}

/// How a kind shows in a file's first bytes.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    /// These bytes, this far from the start.
    At(usize, &'static [u8]),
    /// One of these brands among those of a file of boxes (ISO 14496-12), such as `heic`.
    Brand(&'static [&'static [u8; 4]]),
    /// A text that begins so, whatever its case and the white space before it.
    Text(&'static str),
}

use Sign::{At, Brand, Text};

/// All kinds; the first that fits is meant.
const KINDS: [Unread; 14] = [
    Unread {
        key: "avif",
        what: "an AVIF picture",
        advice: "Open it in a browser, copy it there and paste it here, or save it as PNG or JPEG.",
        signs: &[Brand(&[b"avif", b"avis"])],
    },
    Unread {
        key: "heic",
        what: "a HEIC photo",
        advice: "Share or export it as JPEG; an iPhone takes JPEG with Settings, Camera, Formats, Most Compatible.",
        signs: &[Brand(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"])],
    },
    Unread {
        key: "jpeg-xl",
        what: "a JPEG XL picture",
        advice: "Save it as JPEG or PNG.",
        signs: &[At(0, b"\xFF\x0A"), At(0, b"\0\0\0\x0CJXL ")],
    },
    Unread {
        key: "jpeg-2000",
        what: "a JPEG 2000 picture",
        advice: "Save it as JPEG or PNG.",
        signs: &[At(0, b"\0\0\0\x0CjP  "), At(0, b"\xFF\x4F\xFF\x51")],
    },
    Unread {
        key: "raw",
        what: "a camera's raw file",
        advice: "Export the photo as JPEG.",
        signs: &[Brand(&[b"crx "]), At(0, b"FUJIFILMCCD-RAW"), At(0, b"IIU\0"), At(0, b"IIRO"), At(0, b"IIRS")],
    },
    Unread {
        key: "video",
        what: "a video",
        advice: "Take a still of it and send that.",
        signs: &[At(4, b"ftyp"), At(0, b"\x1A\x45\xDF\xA3"), At(8, b"AVI ")],
    },
    Unread {
        key: "photoshop",
        what: "a Photoshop file",
        advice: "Export it as PNG or JPEG.",
        signs: &[At(0, b"8BPS")],
    },
    Unread {
        key: "document",
        what: "a document",
        advice: "Save the picture in it as PNG or JPEG.",
        signs: &[At(0, b"%PDF"), At(0, b"%!PS")],
    },
    Unread {
        key: "icon",
        what: "an icon",
        advice: "Save it as PNG.",
        signs: &[At(0, b"\0\0\x01\0"), At(0, b"\0\0\x02\0"), At(0, b"icns")],
    },
    Unread {
        key: "exr",
        what: "an OpenEXR picture",
        advice: "Save it as PNG or JPEG.",
        signs: &[At(0, b"\x76\x2F\x31\x01")],
    },
    Unread {
        key: "archive",
        what: "an archive",
        advice: "Unpack it and send one of its pictures.",
        signs: &[At(0, b"PK\x03\x04"), At(0, b"\x1F\x8B"), At(0, b"7z\xBC\xAF"), At(0, b"Rar!")],
    },
    Unread {
        key: "web-page",
        what: "a web page",
        advice: "Open the picture itself, save it, and send that file.",
        signs: &[Text("<!doctype html"), Text("<html")],
    },
    Unread {
        key: "address",
        what: "the address of a picture",
        advice: "Open it in a browser, save the picture, and send that file.",
        signs: &[Text("http://"), Text("https://"), Text("data:image/")],
    },
    Unread {
        key: "pointer",
        what: "a pointer of Git LFS",
        advice: "Fetch the picture itself with `git lfs pull`.",
        signs: &[Text("version https://git-lfs")],
    },
];

/// How much of a file is looked at.
const HEAD: usize = 256;

impl Unread {
    /// The kind that a file is of, if it is one of these.
    #[must_use]
    pub fn recognise(bytes: &[u8]) -> Option<&'static Self> {
        let head = &bytes[..bytes.len().min(HEAD)];
        KINDS.iter().find(|kind| kind.signs.iter().any(|sign| sign.fits(head)))
    }

    /// The kind with this key.
    #[must_use]
    pub fn by_key(key: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.key == key)
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "This is {}, which is not read here. {}", self.what, self.advice)
    }
}

impl Sign {
    fn fits(&self, head: &[u8]) -> bool {
        match self {
            At(offset, sign) => head.get(*offset..).is_some_and(|rest| rest.starts_with(sign)),
            Brand(wanted) => brands(head).any(|found| wanted.iter().any(|w| w.as_slice() == found)),
            Text(start) => head
                .trim_ascii_start()
                .get(..start.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(start.as_bytes())),
        }
    }
}

/// The brands of a file of boxes: the major one and those it is compatible with.
fn brands(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = head.first_chunk().map_or(0, |b| u32::from_be_bytes(*b) as usize).min(head.len());
    let inside = head.get(8..length).filter(|_| head.get(4..8) == Some(b"ftyp")).unwrap_or_default();
    // The second four bytes are the major brand's version.
    inside.chunks_exact(4).enumerate().filter(|(i, _)| *i != 1).map(|(_, brand)| brand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_photos_are_named() {
        let cases: [(&[u8], &str); 13] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", "avif"),
            (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B", "avif"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
            (b"\xFF\x0A\xFA\x1F", "jpeg-xl"),
            (b"\0\0\0\x0CjP  \r\n\x87\n", "jpeg-2000"),
            (b"%PDF-1.7", "document"),
            (b"PK\x03\x04\x14\0", "archive"),
            (b"\n <!DOCTYPE HTML><title>Sign in</title>", "web-page"),
            (b"https://example.org/cat.jpg\r\n", "address"),
            (b"DATA:image/png;base64,iVBORw0KGgo=", "address"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer"),
        ];
        for (bytes, key) in cases {
            assert_eq!(Unread::recognise(bytes).map(|k| k.key), Some(key), "{}", bytes.escape_ascii());
        }
        for other in [b"".as_slice(), b"\xFF\xD8\xFF\xE0", b"\x89PNG", b"hello, I am a photo", b"\0\0\0\xFFftyp"] {
            let found = Unread::recognise(other).map(|k| k.key);
            assert!(found.is_none() || found == Some("video"), "{}: {found:?}", other.escape_ascii());
        }
    }

    #[test]
    fn each_kind_has_a_key_and_a_sentence_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for kind in &KINDS {
            assert_eq!(Unread::by_key(kind.key), Some(kind));
            assert!(seen.insert(kind.key) && seen.insert(kind.what), "{}", kind.key);
        }
    }
}
