//! Downloads from a server that misbehaves, and what is made of one.

mod common;

use common::drawn::{encoded, noise};
use common::program::{fails, works};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use virboard::service::fetch::{FetchError, Patience, fetch};
use virboard_lab::data::pack::Index;
use virboard_lab::data::pack::origins::{Column, Origin};

/// What a server does with a request: its number, and the first byte that is asked for.
type Behaviour = dyn Fn(usize, Option<usize>, &mut TcpStream) + Send + Sync;

struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

fn serve(behaviour: impl Fn(usize, Option<usize>, &mut TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/file.pt", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let (count, seen) = (requests.clone(), ranges.clone());
    let behaviour: Arc<Behaviour> = Arc::new(behaviour);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (number, seen, behaviour) = (count.fetch_add(1, Ordering::SeqCst), seen.clone(), behaviour.clone());
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut request = Vec::new();
                let mut byte = [0u8];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    request.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let from =
                    text.lines().find_map(|l| l.strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok());
                seen.lock().expect("not poisoned").push(from);
                behaviour(number, from, &mut stream);
            });
        }
    });
    Server { url, requests, ranges }
}

fn contents() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Answers with the bytes from `from`, but only `most` of them.
fn answer(stream: &mut TcpStream, bytes: &[u8], from: Option<usize>, tag: &str, most: usize) {
    let start = from.unwrap_or(0);
    let head = match from {
        Some(start) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\n",
            bytes.len() - 1,
            bytes.len()
        ),
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    let rest = &bytes[start..];
    let head = format!("{head}Content-Length: {}\r\nETag: \"{tag}\"\r\nConnection: close\r\n\r\n", rest.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&rest[..most.min(rest.len())]);
}

const QUICK: Patience = Patience { tries: 2, pause: Duration::from_millis(10), silence: Duration::from_millis(700) };

fn get(server: &Server, path: &Path) -> Result<(), FetchError> {
    fetch(&server.url, path, QUICK, &(), |_| Ok(()))
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pt");
    // Every connection breaks after 70,000 bytes: more often than tries are allowed.
    let server = serve(|_, from, stream| answer(stream, &contents(), from, "v1", 70_000));
    get(&server, &path).expect("fetched");
    assert_eq!(std::fs::read(&path).expect("there"), contents());
    assert_eq!(*server.ranges.lock().expect("seen"), [None, Some(70_000), Some(140_000), Some(210_000), Some(280_000)]);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["a.pt"]);
    // What is there is not fetched again.
    get(&server, &path).expect("there");
    assert_eq!(server.requests.load(Ordering::SeqCst), 5);
}

#[test]
fn a_silent_server_is_left_and_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pt");
    let server = serve(|number, from, stream| {
        answer(stream, &contents(), from, "v1", if number == 0 { 1000 } else { usize::MAX });
        if number == 0 {
            std::thread::sleep(Duration::from_secs(20));
        }
    });
    let started = std::time::Instant::now();
    get(&server, &path).expect("fetched");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(std::fs::read(&path).expect("there"), contents());
}

#[test]
fn a_file_that_changes_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pt");
    let new: Vec<u8> = contents().iter().map(|b| b ^ 0xFF).collect();
    let wanted = new.clone();
    let server = serve(move |number, from, stream| match number {
        0 => answer(stream, &contents(), from, "v1", 50_000),
        // If-Range does not match: the whole new file.
        _ => answer(stream, &new, None, "v2", usize::MAX),
    });
    get(&server, &path).expect("fetched");
    assert_eq!(std::fs::read(&path).expect("there"), wanted);
}

#[test]
fn lies_about_length_and_place_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    // Fewer bytes than promised, again and again.
    let path = folder.path().join("short.pt");
    let server = serve(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nabc");
    });
    let said = get(&server, &path).expect_err("refused").to_string();
    assert!(said.contains(&server.url) && said.contains("run the command again"), "{said}");
    assert!(!path.exists());
    // A continuation from another place.
    let path = folder.path().join("place.pt");
    let server = serve(|number, from, stream| match number {
        0 => answer(stream, &contents(), from, "v1", 90_000),
        1 => answer(stream, &contents(), Some(5), "v1", usize::MAX),
        _ => answer(stream, &contents(), from, "v1", usize::MAX),
    });
    get(&server, &path).expect("fetched in the end");
    assert_eq!(std::fs::read(&path).expect("there"), contents());
}

#[test]
fn missing_files_busy_servers_and_bad_contents() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pt");
    let gone = serve(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    assert!(matches!(get(&gone, &path), Err(FetchError::Status { status: 404, .. })));
    assert_eq!(gone.requests.load(Ordering::SeqCst), 1, "what is not there is not asked for again");
    let busy = serve(|number, from, stream| {
        if number < 2 {
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        } else {
            answer(stream, &contents(), from, "v1", usize::MAX);
        }
    });
    get(&busy, &path).expect("fetched in the end");
    let other = folder.path().join("b.pt");
    let error = fetch(&busy.url, &other, QUICK, &(), |_| Err("it is no checkpoint".to_owned())).expect_err("refused");
    assert!(error.to_string().contains("no checkpoint"), "{error}");
    assert!(!other.exists());
    let nobody = Server { url: "http://127.0.0.1:9/file".to_owned(), requests: busy.requests, ranges: busy.ranges };
    assert!(matches!(get(&nobody, &other), Err(FetchError::Transfer { .. })));
}

/// The original of the blood cells as its archive has it, with pictures that are drawn here.
fn blood_cells() -> Vec<u8> {
    let origin = Origin::named("blood-cells").expect("a row");
    let index = Index::read(&origin.shipped(&common::root().join("server/samples"))).expect("it ships");
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (seed, row) in index.rows.iter().enumerate() {
        let place = &origin.places(Column::Picture, &row.pictures[0])[0];
        let name = format!("{}/BCCD/{place}", origin.parts[0].strip);
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
        let picture = encoded(noise(seed as u64, 176, 132), image::ImageFormat::Jpeg);
        zip.write_all(&picture).expect("written");
    }
    zip.finish().expect("closed").into_inner()
}

#[test]
fn an_original_is_fetched_and_made_a_small_data_set() {
    let data = tempfile::tempdir().expect("a folder");
    let archive = blood_cells();
    let server = serve(move |_, from, stream| answer(stream, &archive, from, "v1", usize::MAX));
    let mirror = server.url.trim_end_matches("/file.pt");
    // By the key of a task on it.
    let fetch = ["fetch", "dataset", "BloodCells", "--mirror", mirror];
    let said = works(data.path(), &fetch);
    assert!(said.contains("BloodCells: 292 train, 72 test") && said.contains("originals/blood-cells"), "{said}");
    let first = data.path().join("datasets/blood-cells/images/BloodImage_00000.jpg");
    assert_eq!(image::image_dimensions(first).expect("a picture"), (171, 128));
    let checked = works(data.path(), &["dataset", "check", "blood-cells"]);
    assert!(!checked.contains("problem") && !checked.contains("warning"), "{checked}");
    // By its name, and nothing is fetched again, also where the data set was removed.
    assert!(works(data.path(), &["fetch", "dataset", "blood-cells"]).contains("blood-cells is here"));
    works(data.path(), &["dataset", "remove", "blood-cells"]);
    works(data.path(), &["fetch", "dataset", "blood-cells", "--mirror", "http://127.0.0.1:9"]);
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    // What is at its place is not written over, nor is anything fetched for it.
    std::fs::create_dir_all(data.path().join("datasets/camvid/train")).expect("made");
    let said = fails(data.path(), &["fetch", "dataset", "camvid", "--mirror", mirror]);
    assert!(said.contains("datasets/camvid is there already"), "{said}");
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    let said = fails(data.path(), &["fetch", "dataset", "flowers-5"]);
    assert!(said.contains("registration") && said.contains("virboard dataset pack flowers-5 FOLDER"), "{said}");
}
