//! What somebody drops or pastes: one photo, or something else that deserves a sentence.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DataTransfer, File};

const ADDRESS: &str = "That is the address of a picture, not the picture. Save it and drop the file, or copy the picture itself and paste it.";
const TEXT: &str = "That is text, not a picture. Copy the picture itself, or choose its file.";
const SEVERAL: &str = "One photo at a time: none of the files was sent. Drop or choose a single one.";
const FOLDER: &str = "That is a folder. Drop one of the photos in it.";
const NOTHING: &str = "There was no picture in that. Choose its file instead.";

/// The one photo that was handed in, or a sentence about what it is instead.
pub fn photo(data: Option<DataTransfer>) -> Result<File, &'static str> {
    let data = data.ok_or(NOTHING)?;
    let files = data.files();
    match files.as_ref().map_or(0, web_sys::FileList::length) {
        0 => Err(instead(&kinds(&data), &data.get_data("text/plain").unwrap_or_default())),
        1 if is_folder(&data) => Err(FOLDER),
        1 => files.and_then(|f| f.get(0)).ok_or(NOTHING),
        _ => Err(SEVERAL),
    }
}

/// What else it is, told by its kinds and its text.
fn instead(kinds: &[String], text: &str) -> &'static str {
    let has = |kind: &str| kinds.iter().any(|k| k == kind);
    let text = text.trim().to_ascii_lowercase();
    let is_address = ["http://", "https://", "data:image/", "file:"].iter().any(|start| text.starts_with(start));
    match () {
        () if has("text/uri-list") || is_address => ADDRESS,
        // A picture of a page without its file, or a piece of a page.
        () if has("text/html") && text.is_empty() => ADDRESS,
        () if has("text/html") || has("text/plain") => TEXT,
        () => NOTHING,
    }
}

fn kinds(data: &DataTransfer) -> Vec<String> {
    data.types().iter().filter_map(|kind| kind.as_string()).collect()
}

/// Whether the first thing is a folder, which browsers pass as a file that cannot be read.
fn is_folder(data: &DataTransfer) -> bool {
    // Not all browsers have these.
    let get = |of: &JsValue, key: &str| js_sys::Reflect::get(of, &key.into()).ok().filter(|v| !v.is_undefined());
    let call = |of: &JsValue, key: &str| get(of, key)?.dyn_into::<js_sys::Function>().ok()?.call0(of).ok();
    let entry = get(data, "items").and_then(|items| get(&items, "0")).and_then(|item| call(&item, "webkitGetAsEntry"));
    entry.filter(|e| !e.is_null()).and_then(|e| get(&e, "isDirectory")).is_some_and(|is| is.is_truthy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_photo_is_named() {
        let kinds = |all: &[&str]| all.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
        let cases = [
            (kinds(&["text/uri-list", "text/html"]), "", ADDRESS),
            (kinds(&["text/html"]), "", ADDRESS),
            (kinds(&["text/plain"]), " https://example.org/cat.jpg\n", ADDRESS),
            (kinds(&["text/plain"]), "data:image/png;base64,AAAA", ADDRESS),
            (kinds(&["text/plain", "text/html"]), "A cat sat on a mat.", TEXT),
            (kinds(&["text/plain"]), "A cat", TEXT),
            (kinds(&[]), "", NOTHING),
        ];
        for (kinds, text, sentence) in cases {
            assert_eq!(instead(&kinds, text), sentence, "{kinds:?} {text}");
        }
    }
}
