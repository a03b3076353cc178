//! How the program ends and starts where the system does not help: told to stop, nobody reads, nothing may be written, the
//! disk is full.

mod common;

use common::program::{copy, virboard, works};
use common::wire::{get, head, post, status};
use common::{multipart, root, sample};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ENCODER: (&str, &str) = ("encoder", "Mini_Random");
const TASK: (&str, &str) = ("task", "SamplePhotos");

/// A server of its own process; ended when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let mut child = command.args(["serve", "--addr", "127.0.0.1:0", "--warm", "0"]).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let Some((_, address)) = line.trim().rsplit_once("http://") else {
            let mut said = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut said);
            panic!("it did not start: {line}{said}");
        };
        // What it logs is read, so that it never waits for us.
        let mut log = child.stderr.take().expect("piped");
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address: address.to_owned() }
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
        stream.write_all(bytes).expect("sent");
        stream
    }

    fn ask(&self, bytes: &[u8]) -> String {
        let mut answer = Vec::new();
        let _ = self.send(bytes).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Tells it to stop; gives how long that took.
    fn terminate(mut self) -> Duration {
        let begun = Instant::now();
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("it runs");
        assert!(told.success());
        while self.child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < Duration::from_mins(1), "it does not end at all");
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = self.child.wait().expect("a child");
        assert!(ended.success(), "{ended}");
        begun.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn told_to_stop_it_ends_within_ten_seconds_whatever_is_going_on() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Served::start(&mut virboard(data.path()));
    let large = image::GrayImage::from_fn(6300, 6300, |x, y| image::Luma([(x * y) as u8]));
    let mut png = std::io::Cursor::new(Vec::new());
    large.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
    let body = multipart(&sample("china.jpg"), &[ENCODER]);
    let open = [
        server.send(b""),
        server.send(b"GET / HTTP/1.1\r\nhost: te"),
        server.send(&[head(body.len()).as_bytes(), &body[..2000]].concat()),
        // Seconds of work.
        server.send(&post(png.get_ref(), &[("encoder", "EfficientNetLite0")])),
        server.send(&b"GET /samples/astronaut.png HTTP/1.1\r\nhost: test\r\n\r\n".repeat(30)),
    ];
    std::thread::sleep(Duration::from_millis(300));
    let took = server.terminate();
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(open);
}

#[test]
fn nobody_reading_ends_a_command_quietly_and_a_server_not_at_all() {
    let data = tempfile::tempdir().expect("a folder");
    works(data.path(), &["encoder", "list"]);
    for both in [false, true] {
        let mut child = virboard(data.path()).args(["encoder", "list"]).spawn().expect("it starts");
        // The readers have left before the first line.
        drop(child.stdout.take());
        if both {
            drop(child.stderr.take());
        }
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "not a word of a panic");
    }
    // A failure is told by the exit code where its sentence is read by nobody.
    let mut child =
        virboard(data.path()).args(["evaluate", "--encoders", "Nobody", "--tasks", "Pets"]).spawn().expect("starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut command = virboard(data.path());
    let mut child = command.args(["serve", "--warm", "0", "--addr", &port.to_string()]).spawn().expect("it starts");
    drop(child.stdout.take());
    drop(child.stderr.take());
    let server = Served { child, address: port.to_string() };
    let begun = Instant::now();
    while TcpStream::connect(&server.address).is_err() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not serve");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(status(&server.ask(&post(b"no photo", &[ENCODER]))), 415, "it logs to nobody");
    assert_eq!(status(&server.ask(&get("/healthz"))), 200);
    server.terminate();
}

/// The program, somewhere where everybody may run it.
fn public_copy(folder: &Path) -> PathBuf {
    let program = folder.join("virboard");
    std::fs::copy(env!("CARGO_BIN_EXE_virboard"), &program).expect("copied");
    for part in ["server/samples", "public"] {
        copy(&root().join(part), &folder.join(part));
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("set");
    program
}

/// A command of the program as somebody who may not write: who we are, or nobody if we are root.
fn as_nobody(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(program.parent().expect("a folder")).arg("--data-dir").arg(data).args(["--device", "cpu"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    }
    command
}

fn set_modes(folder: &Path, writable: bool) {
    for entry in std::fs::read_dir(folder).expect("listed").flatten() {
        if entry.path().is_dir() {
            set_modes(&entry.path(), writable);
        } else {
            let mode = if writable { 0o644 } else { 0o444 };
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(mode)).expect("set");
        }
    }
    let mode = if writable { 0o755 } else { 0o555 };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn a_read_only_data_folder_can_still_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = public_copy(folder.path());
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("made");
    // It has been used before.
    let server = Served::start(&mut virboard(&data));
    let answer = server.ask(&post(&sample("coffee.png"), &[ENCODER, TASK]));
    assert_eq!(status(&answer), 200, "{answer}");
    let sha = answer.split("\"sha256\":\"").nth(1).and_then(|r| r.get(..64)).expect("a hash").to_owned();
    server.terminate();
    set_modes(&data, false);

    let output = as_nobody(&program, &data).args(["export", "--format", "csv"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().count() > 5, "{said}");
    let server = Served::start(&mut as_nobody(&program, &data));
    let ready = server.ask(&get("/readyz"));
    assert!(status(&ready) == 200 && ready.contains("read-only"), "{ready}");
    for path in ["/", "/encoders/Random", "/api/v1/results", &format!("/try?image={sha}&encoder=Random")] {
        assert_eq!(status(&server.ask(&get(path))), 200, "{path}");
    }
    let known = server.ask(&post(&sample("coffee.png"), &[ENCODER, TASK]));
    assert_eq!(status(&known), 200, "what was answered once is answered again: {known}");
    let other = [sample("china.jpg"), b"another".to_vec()].concat();
    let refused = server.ask(&post(&other, &[ENCODER, TASK]));
    assert!(status(&refused) == 403 && refused.contains("\"type\":\"read-only\""), "{refused}");
    server.terminate();
    set_modes(&data, true);
}

#[test]
fn a_full_disk_is_said_and_shown_to_whoever_watches() {
    // A small disk of our own needs a namespace of our own, which some machines do not give.
    let allowed = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|s| s.success()) {
        eprintln!("no namespaces here: a full disk is only tried on the store of blobs");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("made");
    let script = "mount -t tmpfs -o size=8m tmpfs \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.current_dir(root()).args(["-rm", "sh", "-c", script, "sh"]).arg(&data).arg(env!("CARGO_BIN_EXE_virboard"));
    command.arg("--data-dir").arg(&data).args(["--device", "cpu"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    let server = Served::start(&mut command);
    assert_eq!(status(&server.ask(&get("/readyz"))), 200);
    // Smaller ones fit for a while when larger ones do no longer.
    let (mut last, mut side) = (String::new(), 400);
    for number in 0..200u32 {
        let noise = image::RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([x, y, x * y].map(|v| ((v + number).wrapping_mul(2_654_435_761) >> 13) as u8))
        });
        let mut png = std::io::Cursor::new(Vec::new());
        noise.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
        last = server.ask(&post(png.get_ref(), &[ENCODER, TASK]));
        if status(&last) != 200 {
            assert!(status(&last) == 507 && last.contains("\"type\":\"disk-full\""), "{last}");
            side /= 2;
        }
        if side < 50 {
            break;
        }
    }
    assert_eq!(status(&last), 507, "it never filled up");
    let ready = server.ask(&get("/readyz"));
    assert!(status(&ready) == 503 && ready.contains("\"type\":\"disk-full\""), "{ready}");
    for path in ["/", "/api/v1/results"] {
        assert_eq!(status(&server.ask(&get(path))), 200, "{path} needs no room");
    }
    assert!(server.terminate() < Duration::from_secs(10));
}
