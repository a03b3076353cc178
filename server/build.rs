//! Tells the program its version: Cargo's, with the commit where there is one.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo:rerun-if-env-changed=VIRBOARD_COMMIT");
    // A copy of the sources is told its commit.
    let commit = std::env::var("VIRBOARD_COMMIT").ok().or_else(commit).map(|c| format!("+{c}")).unwrap_or_default();
    println!("cargo:rustc-env=VIRBOARD_VERSION={version}{commit}");
}

/// The commit of this repository; none in an archive, or inside another repository.
fn commit() -> Option<String> {
    let own = Path::new("..").canonicalize().ok()?;
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if own != top {
        return None;
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let watched = ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    for name in watched {
        // A file that is not there would have the script run every time.
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|p| Path::new(p).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git answers; nothing without git.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|s| !s.is_empty())
}
