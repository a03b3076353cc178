//! What a file is that is no checkpoint, told from its bytes, with what to do.

use crate::Error;
use std::path::Path;

/// A kind of files by how they begin.
struct Kind {
    begins: &'static [&'static [u8]],
    is: &'static str,
    mend: &'static str,
}

const UNPACK: &str = "unpack it, and name the checkpoint that is in it";
const CONVERT: &str = "convert it with its own program to PyTorch or safetensors";
const FETCH: &str = "fetch the checkpoint again, and look at what the address answers";

const KINDS: [Kind; 15] = [
    Kind { begins: &[b"\x1f\x8b"], is: "a gzip archive", mend: UNPACK },
    Kind { begins: &[b"\xfd7zXZ"], is: "an xz archive", mend: UNPACK },
    Kind { begins: &[b"BZh"], is: "a bzip2 archive", mend: UNPACK },
    Kind { begins: &[b"\x28\xb5\x2f\xfd"], is: "a zstd archive", mend: UNPACK },
    Kind { begins: &[b"7z\xbc\xaf\x27\x1c"], is: "a 7-Zip archive", mend: UNPACK },
    Kind { begins: &[b"Rar!"], is: "a RAR archive", mend: UNPACK },
    Kind { begins: &[b"\x89HDF\r\n\x1a\n"], is: "HDF5, as Keras and TensorFlow write weights", mend: CONVERT },
    Kind { begins: &[b"\x93NUMPY"], is: "an array of numpy", mend: CONVERT },
    Kind { begins: &[b"GGUF"], is: "GGUF, quantized weights of language models", mend: CONVERT },
    Kind { begins: &[b"MATLAB "], is: "a file of MATLAB", mend: CONVERT },
    Kind { begins: &[b"\x08\x01\x12"], is: "a network of TensorFlow (SavedModel)", mend: CONVERT },
    Kind { begins: &[b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF"], is: "a picture", mend: FETCH },
    Kind { begins: &[b"%PDF"], is: "a PDF", mend: FETCH },
    Kind { begins: &[b"\x7fELF", b"MZ\x90"], is: "a program", mend: FETCH },
    Kind { begins: &[&[0; 16]], is: "a file of zeros, as unfinished downloads are", mend: "fetch it again" },
];

/// Endings of checkpoints inside archives.
const ENDINGS: [&str; 8] = [".pt", ".pth", ".pth.tar", ".torch", ".safetensors", ".bin", ".ckpt", ".pkl"];

fn other(path: &Path, is: impl Into<String>, mend: impl Into<String>) -> Error {
    Error::OtherFile { path: path.to_path_buf(), is: is.into(), mend: mend.into() }
}

/// What a file is, if it is known not to be a checkpoint.
pub(super) fn told(path: &Path, bytes: &[u8]) -> Option<Error> {
    if let Some(rest) = bytes.strip_prefix(b"version https://git-lfs.github.com/spec/") {
        return Some(pointer(path, rest));
    }
    if let Some(kind) = KINDS.iter().find(|kind| kind.begins.iter().any(|b| bytes.starts_with(b))) {
        return Some(other(path, kind.is, kind.mend));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(other(path, "a tar archive", UNPACK));
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some(other(path, "a network of TensorFlow Lite", CONVERT));
    }
    // ONNX: its version, then the name of the program that wrote it.
    if let [0x08, 2..=0x7f, 0x12 | 0x3a, ..] = bytes {
        return Some(other(path, "a network in ONNX", "export its weights with torch.save or as safetensors"));
    }
    text(path, bytes)
}

/// A file that Git LFS left in place of a large one.
fn pointer(path: &Path, rest: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&rest[..rest.len().min(1024)]);
    let size = text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse::<u64>().ok());
    let bytes = size.map_or_else(String::new, |n| format!(" of {n} bytes"));
    other(
        path,
        format!("a Git LFS pointer to a file{bytes}, which is not here"),
        "run `git lfs pull` there, or fetch the file itself from its page",
    )
}

/// Pages, JSON and other text.
fn text(path: &Path, bytes: &[u8]) -> Option<Error> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).trim_start_matches('\u{feff}').to_owned();
    let start = start.trim_start();
    let lower = start.to_ascii_lowercase();
    if ["<!doctype", "<html", "<head", "<?xml", "<svg", "<!--"].iter().any(|tag| lower.starts_with(tag)) {
        return Some(other(
            path,
            "a web page",
            "the address asks for a login or is that of a page: fetch the file itself from there",
        ));
    }
    if start.starts_with(['{', '[']) && bytes.first().is_some_and(u8::is_ascii) && is_text(start) {
        return Some(if lower.contains("\"weight_map\"") {
            other(
                path,
                "the list of a checkpoint in several files",
                "join them: load it, and save its state_dict as one",
            )
        } else {
            other(path, "JSON", FETCH)
        });
    }
    // A pickle in protocol 0 is text as well, and begins like this.
    let pickle = bytes.first().is_some_and(|b| b"(c}]".contains(b));
    (!pickle && bytes.len() > 1 && is_text(start)).then(|| {
        let line: String = start.lines().next().unwrap_or_default().chars().take(40).collect();
        other(path, format!("a text, `{line}`"), FETCH)
    })
}

fn is_text(start: &str) -> bool {
    !start.chars().any(|c| c == char::REPLACEMENT_CHARACTER || (c.is_control() && !c.is_whitespace()))
}

/// An archive without weights of its own, by the sorted names in it.
pub(super) fn archive(path: &Path, names: &[String]) -> Error {
    let has = |what: &str| names.iter().any(|n| n == what || n.ends_with(&format!("/{what}")));
    if has("saved_model.pb") {
        return other(path, "a zip archive with a network of TensorFlow", CONVERT);
    }
    if has("model.weights.h5") {
        return other(path, "a network of Keras", CONVERT);
    }
    if !names.is_empty() && names.iter().all(|n| n.strip_suffix(".npy").is_some()) {
        return other(path, "a zip archive of numpy's arrays", CONVERT);
    }
    let inner = names.iter().find(|n| !n.contains("__MACOSX") && ENDINGS.iter().any(|e| n.to_lowercase().ends_with(e)));
    match (inner, names.first()) {
        (Some(inner), _) => other(path, format!("a zip archive with `{inner}` in it"), UNPACK),
        (None, Some(first)) => {
            other(path, format!("a zip archive without `data.pkl`; its first entry is `{first}`"), FETCH)
        }
        (None, None) => other(path, "an empty zip archive", FETCH),
    }
}

/// A pickle that torch.save did not write.
pub(super) fn plain_pickle(path: &Path) -> Error {
    other(path, "a pickle that torch.save did not write", "load it in Python, and save its weights with torch.save")
}
