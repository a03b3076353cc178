//! Where the numbers of PyTorch's tensors lie in a file, and whether they are sound.

use super::super::layout::bad;
use super::super::other;
use crate::checkpoint::pickle::{Node, Pickle, Refusal, Value};
use crate::{Error, Result};
use candle_core::DType;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::Path;

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// The bytes of storages by their key.
pub(super) enum Storages<'a> {
    Zip { archive: Archive<'a>, folder: String, big_endian: bool },
    Legacy(HashMap<String, &'a [u8]>),
}

/// What is said of a file that asks for more memory than weights of its size could need.
pub(super) const UNFOLDS: &str = "it unfolds to far more than the file holds";

/// What is said of a part whose checksum is wrong.
const CHECKSUM: &str = "its checksum does not fit, so that the file is damaged (or PyTorch was told to write no checksums: torch.serialization.set_crc32_options); fetch it again, or load it with PyTorch and save it again";

impl<'a> Storages<'a> {
    /// The bytes of a storage, which are as many as wanted.
    pub(super) fn read(&mut self, key: &str, wanted: usize, room: usize) -> std::result::Result<Cow<'a, [u8]>, String> {
        let cut = |n: usize| format!("its storage has {n} bytes where {wanted} are wanted");
        match self {
            Self::Legacy(all) => {
                let bytes = *all.get(key).ok_or("its storage is missing")?;
                if bytes.len() == wanted { Ok(Cow::Borrowed(bytes)) } else { Err(cut(bytes.len())) }
            }
            Self::Zip { archive, folder, .. } => {
                if wanted > room {
                    return Err(UNFOLDS.to_owned());
                }
                let bytes = entry(archive, &format!("{folder}data/{key}"), wanted)?;
                if bytes.len() == wanted { Ok(Cow::Owned(bytes)) } else { Err(cut(bytes.len())) }
            }
        }
    }

    /// Whether numbers begin with their most significant byte. The legacy format always begins with the least,
    /// whatever machine wrote it.
    pub(super) const fn big_endian(&self) -> bool {
        matches!(self, Self::Zip { big_endian: true, .. })
    }
}

/// An entry of an archive, of which one byte more than `most` is read at most.
fn entry(archive: &mut Archive<'_>, name: &str, most: usize) -> std::result::Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|e| format!("`{name}` of the archive: {e}"))?;
    let mut bytes = Vec::new();
    entry
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("`{name}` of the archive: {}", said(&e)))?;
    Ok(bytes)
}

fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::InvalidData if error.to_string().contains("checksum") => CHECKSUM.to_owned(),
        _ => error.to_string(),
    }
}

pub(super) fn refused(path: &Path) -> impl Fn(Refusal) -> Error {
    let path = path.to_path_buf();
    move |refusal| match refusal {
        Refusal::Unsafe(name) => Error::UnsafePickle { path: path.clone(), name },
        Refusal::Malformed(reason) => Error::Checkpoint { path: path.clone(), reason },
    }
}

/// Larger pickles than any list of tensor names are not read.
const MAX_PICKLE: usize = 64 << 20;

/// Opens an archive. With `room`, every part of it is read, up to so many bytes, and its checksum compared.
pub(super) fn archive<'a>(path: &Path, bytes: &'a [u8], room: Option<u64>) -> Result<(Pickle, Storages<'a>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| bad(path, e))?;
    let mut names: Vec<String> = archive.file_names().flatten().map(Cow::into_owned).collect();
    names.sort();
    let pickles: Vec<&String> = names.iter().filter(|n| *n == "data.pkl" || n.ends_with("/data.pkl")).collect();
    let name = match pickles[..] {
        [name] => name.clone(),
        [] => return Err(other::archive(path, &names)),
        [one, another, ..] => return Err(bad(path, format!("the archive has `{one}` and `{another}`"))),
    };
    let folder = name.trim_end_matches("data.pkl").to_owned();
    if let Some(room) = room {
        sound(&mut archive, bytes, room).map_err(|reason| bad(path, reason))?;
    }
    let data = entry(&mut archive, &name, MAX_PICKLE).map_err(|reason| bad(path, reason))?;
    if data.len() > MAX_PICKLE {
        return Err(bad(path, format!("`{name}` of the archive is larger than any list of tensors")));
    }
    let (pickle, _) = Pickle::parse(&data).map_err(refused(path))?;
    let big_endian = big_endian(&mut archive, &format!("{folder}byteorder")).map_err(|reason| bad(path, reason))?;
    Ok((pickle, Storages::Zip { archive, folder, big_endian }))
}

/// Compares checksums and names of all parts: what the directory at the end says of each also stands before it.
fn sound(archive: &mut Archive<'_>, bytes: &[u8], mut room: u64) -> std::result::Result<(), String> {
    if archive.has_duplicate_names() {
        return Err("two parts of the archive have one name".to_owned());
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| format!("part {index} of the archive: {e}"))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if name_before(bytes, entry.header_start()) != Some(entry.name_raw()) {
            return Err(format!("`{name}` of the archive has another name before it than in the directory"));
        }
        let read = std::io::copy(&mut entry.by_ref().take(room.saturating_add(1)), &mut std::io::sink());
        let read = read.map_err(|e| format!("`{name}` of the archive: {}", said(&e)))?;
        room = room.checked_sub(read).ok_or_else(|| UNFOLDS.to_owned())?;
    }
    Ok(())
}

/// The name in the header that stands before a part: behind 30 bytes, of which two tell its length.
fn name_before(bytes: &[u8], start: u64) -> Option<&[u8]> {
    let header = bytes.get(usize::try_from(start).ok()?..)?;
    let length = usize::from(u16::from_le_bytes([*header.get(26)?, *header.get(27)?]));
    header.get(30..30 + length)
}

/// What the entry `byteorder` says; older PyTorch wrote none.
fn big_endian(archive: &mut Archive<'_>, name: &str) -> std::result::Result<bool, String> {
    if archive.index_for_name(name).is_none() {
        return Ok(false);
    }
    match entry(archive, name, 16)?.trim_ascii() {
        b"little" => Ok(false),
        b"big" => Ok(true),
        other => Err(format!("its byte order is `{}`, neither little nor big", String::from_utf8_lossy(other))),
    }
}

/// What the first pickle of a legacy file holds: an integer of ten bytes.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Magic number, protocol and system information, each a pickle; the object; the list of
/// storage keys; then per key the number of elements (8 bytes) and the raw elements.
pub(super) fn legacy<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Pickle, Storages<'a>)> {
    let mut at = 0;
    let mut next = || -> Result<Pickle> {
        let (pickle, length) = Pickle::parse(&bytes[at..]).map_err(refused(path))?;
        at += length;
        Ok(pickle)
    };
    next()?;
    if !bytes[..bytes.len().min(32)].windows(MAGIC.len()).any(|w| w == MAGIC) {
        return Err(other::plain_pickle(path));
    }
    for _ in 0..2 {
        next()?;
    }
    let object = next()?;
    let keys = next()?;
    let Some(Node::Sequence(keys)) = keys.node(&keys.root) else { return Err(bad(path, "it has no list of storages")) };
    let widths: HashMap<&str, usize> =
        object.storages().filter_map(|(class, key, _)| Some((key, element(class)?.1))).collect();
    let mut storages = HashMap::new();
    for key in keys {
        let Value::Text(key) = key else { return Err(bad(path, "a storage's key is not text")) };
        let Some(width) = widths.get(&**key) else { return Err(bad(path, format!("storage {key} has no type"))) };
        let header = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let length = header.and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_mul(*width));
        let data = length.and_then(|n| bytes.get(at + 8..(at + 8).checked_add(n)?));
        let data = data.ok_or_else(|| bad(path, format!("it is cut off in storage {key}")))?;
        at += 8 + data.len();
        storages.insert(key.to_string(), data);
    }
    Ok((object, Storages::Legacy(storages)))
}

/// Element type of a storage class, none for what holds no weights, and bytes an element.
pub(super) fn element(class: &str) -> Option<(Option<DType>, usize)> {
    Some(match class.strip_prefix("torch.")?.strip_suffix("Storage")? {
        "Float" => (Some(DType::F32), 4),
        "Double" => (Some(DType::F64), 8),
        "Half" => (Some(DType::F16), 2),
        "BFloat16" => (Some(DType::BF16), 2),
        "Long" | "ComplexFloat" => (None, 8),
        "Int" | "QInt32" => (None, 4),
        "Byte" | "Char" | "Bool" | "QInt8" | "QUInt8" => (None, 1),
        "Short" => (None, 2),
        "ComplexDouble" => (None, 16),
        _ => return None,
    })
}
