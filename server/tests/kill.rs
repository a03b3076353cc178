//! `kill -9` at any time: the next start is clean, nothing is half-written.

mod common;

use common::{root, sample};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use virboard::service::samples::{SCORES, shipped};
use virboard::store::Store;
use virboard_core::catalogue::Catalogue;
use virboard_core::run::{Probe, Score};

fn virboard(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virboard"));
    command.current_dir(root()).arg("--data-dir").arg(data).arg("--device").arg("cpu");
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}

/// Starts a server and gives it with its address.
fn serve(data: &Path) -> (Child, String) {
    let mut child = virboard(data).args(["serve", "--addr", "127.0.0.1:0"]).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let address = line.trim().rsplit("http://").next().expect("an address").to_owned();
    (child, address)
}

/// Every file below a folder whose name says that it is unfinished.
fn unfinished(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(unfinished(&entry.path()));
        } else if name.contains("unfinished") || name.contains('#') {
            found.push(name);
        }
    }
    found
}

#[test]
fn an_evaluation_can_be_killed_and_run_again() {
    let data = tempfile::tempdir().expect("a folder");
    let arguments = ["evaluate", "--encoders", "EfficientNetLite0", "--tasks", "SamplePhotos", "--json"];
    for milliseconds in [50, 150, 500, 1500] {
        let mut child = virboard(data.path()).args(arguments).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let done = virboard(data.path()).args(arguments).output().expect("it runs");
    assert!(done.status.success());
    // On a fast machine the last of the killed ones had finished: then nothing was left to do.
    let own = |r: &&Score| {
        (r.encoder.as_str(), r.task.as_str(), r.evidence.probe) == ("EfficientNetLite0", "SamplePhotos", Probe::Head)
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let again = runtime.block_on(async {
        let store =
            Store::open(&data.path().join("virboard.db"), &Catalogue::builtin()).await.expect("the database opens");
        store.counting_scores().await.expect("read").iter().find(own).expect("a score").value
    });
    // The shipped score of the same run, undisturbed, is the same.
    let shipped = shipped(&root().join("server/samples").join(SCORES)).expect("read");
    let before = shipped.iter().map(|run| &run.score).find(own).expect("it ships").value;
    assert!((again - before).abs() < 0.05, "{again} after kills, {before} shipped");

    let (mut server, _) = serve(data.path());
    server.kill().expect("killed");
    server.wait().expect("ended");
    assert_eq!(unfinished(&data.path().join("features")), Vec::<String>::new());
    assert_eq!(unfinished(&data.path().join("heads")), Vec::<String>::new());
    runtime.block_on(async {
        let store =
            Store::open(&data.path().join("virboard.db"), &Catalogue::builtin()).await.expect("the database opens");
        assert_eq!(store.running_jobs().await.expect("asked"), [], "no run is left running");
        let results = store.counting_scores().await.expect("read");
        assert_eq!(results.iter().filter(own).count(), 1);
    });
}

/// Sends as much of an upload of `photo` as `share` of its bytes; gives the connection.
fn upload(address: &str, photo: &[u8], share: f64) -> TcpStream {
    let form = "--x\r\nContent-Disposition: form-data; name=\"encoder\"\r\n\r\nEfficientNetLite0\r\n--x\r\n\
         Content-Disposition: form-data; name=\"image\"; filename=\"photo.png\"\r\n\r\n";
    let body = [form.as_bytes(), photo, b"\r\n--x--\r\n"].concat();
    let head = format!(
        "POST /api/v1/predictions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body[..(share * body.len() as f64) as usize]).expect("sent");
    stream.flush().expect("sent");
    stream
}

#[test]
fn an_upload_can_be_killed() {
    let data = tempfile::tempdir().expect("a folder");
    let originals = data.path().join("uploads/originals");
    let count = || std::fs::read_dir(&originals).into_iter().flatten().count();
    let photo = sample("astronaut.png");
    let (mut server, _) = serve(data.path());
    let before = count();
    server.kill().expect("killed");
    server.wait().expect("ended");
    // Half a form, and whole ones that are stored and computed meanwhile.
    let mut unanswered = 0;
    for (share, milliseconds) in [(0.5, 200), (1.0, 5), (1.0, 30), (1.0, 100), (1.0, 250)] {
        let (mut server, address) = serve(data.path());
        let mut stream = upload(&address, &photo, share);
        std::thread::sleep(Duration::from_millis(milliseconds));
        server.kill().expect("killed");
        server.wait().expect("ended");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        unanswered += usize::from(!answer.contains("espresso") && !answer.ends_with('}'));
        if share < 1.0 {
            assert_eq!(count(), before, "half a form leaves nothing");
        }
    }
    assert!(unanswered >= 2, "{unanswered} uploads were really killed");
    // What the blobs' staging leaves when it is killed.
    std::fs::create_dir_all(&originals).expect("made");
    std::fs::write(originals.join("0123#1"), &photo[..photo.len() / 2]).expect("written");

    let (mut server, address) = serve(data.path());
    let mut stream = TcpStream::connect(&address).expect("connected");
    stream
        .write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("sent");
    let answer = std::io::read_to_string(&mut stream).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(unfinished(&data.path().join("uploads")), Vec::<String>::new(), "the start cleans up");
    let answer = std::io::read_to_string(&mut upload(&address, &photo, 1.0)).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"sha256\""), "{answer}");
    server.kill().expect("killed");
    server.wait().expect("ended");
    let kept = std::fs::read_dir(&originals).expect("the folder").flatten();
    let whole = kept.filter(|f| f.metadata().is_ok_and(|m| m.len() == photo.len() as u64)).count();
    assert!(whole == 1 && count() <= before + 1, "the photo is there once and whole");
}
