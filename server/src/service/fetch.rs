//! Fetching checkpoints and data sets from where their authors put them.
//!
//! A download goes to `NAME.part`, from where it is resumed with a range request as long as the
//! server still has the same file; it gets its name once it is complete and, for a checkpoint,
//! once its network could be loaded.

use backon::{BlockingRetryable, ExponentialBuilder};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use virboard_lab::progress::Progress;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network or the server failed, after some tries.
    #[error("{url} could not be fetched: {reason}. What is there already is kept; run the command again to go on")]
    Transfer {
        /// The address.
        url: String,
        /// What failed last.
        reason: String,
    },
    /// The server says that there is no such file.
    #[error("{url} answers {status}; the file may have moved")]
    Status {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// What came is not what it should be.
    #[error("{path} is not usable and was removed: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was unpacked cannot be sorted.
    #[error(transparent)]
    Data(#[from] virboard_lab::Error),
    /// Nothing can be fetched for this key.
    #[error("{0}")]
    Unknown(String),
    /// The caller asked to stop.
    #[error("stopped on request; run the command again to go on")]
    Cancelled,
}

/// How patient a download is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries after the first, each after a longer pause; progress starts the count anew.
    pub tries: usize,
    /// First pause.
    pub pause: Duration,
    /// How long a connection may take to open, to answer and to deliver.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 5, pause: Duration::from_secs(1), silence: Duration::from_mins(1) }
    }
}

const BUFFER: usize = 1 << 18;

/// One attempt's end.
enum Trouble {
    /// Worth another try.
    Passing(String),
    /// The same, after new bytes came.
    Grew,
    /// Not.
    Final(FetchError),
}

/// Where to take a file from: its own address, or that of its name on a mirror.
#[must_use]
pub fn mirrored(url: &str, mirror: Option<&str>) -> String {
    let name = url.rsplit('/').next().unwrap_or_default();
    mirror.map_or_else(|| url.to_owned(), |mirror| format!("{}/{name}", mirror.trim_end_matches('/')))
}

/// Fetches `url` to `path`, resuming a partial download. `check` looks at the complete file
/// before it gets its name. A file that is there already stays.
pub fn fetch(
    url: &str,
    path: &Path,
    patience: Patience,
    progress: &dyn Progress,
    check: impl Fn(&Path) -> Result<(), String>,
) -> Result<(), FetchError> {
    if path.is_file() {
        return Ok(());
    }
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FetchError::Io { path, source }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    let part = beside(path, "part");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        // A connection is given this long for all of a body; what came by then is kept and the
        // next connection goes on behind it. So a server that falls silent is noticed.
        .timeout_recv_body(Some(patience.silence))
        .user_agent(concat!("virboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let size = || std::fs::metadata(&part).map_or(0, |m| m.len());
    loop {
        // Only tries that bring nothing new are counted and slowed down.
        let attempt = || {
            let before = size();
            attempt(&agent, url, &part, progress).map_err(|t| match t {
                Trouble::Passing(_) if size() > before => Trouble::Grew,
                other => other,
            })
        };
        let backoff = ExponentialBuilder::default().with_min_delay(patience.pause).with_max_times(patience.tries);
        let ended = attempt
            .retry(backoff)
            .when(|t| matches!(t, Trouble::Passing(_)))
            .notify(|t, pause| {
                if let Trouble::Passing(reason) = t {
                    tracing::warn!(url, reason, seconds = pause.as_secs_f32(), "the download broke off; it goes on");
                }
            })
            .call();
        match ended {
            Err(Trouble::Grew) => {}
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(reason)) => return Err(FetchError::Transfer { url: url.to_owned(), reason }),
            Ok(()) => {
                if let Err(reason) = check(&part) {
                    let _ = std::fs::remove_file(&part);
                    let _ = std::fs::remove_file(beside(&part, "tag"));
                    return Err(FetchError::Content { path: part, reason });
                }
                std::fs::rename(&part, path).map_err(io(path))?;
                let _ = std::fs::remove_file(beside(&part, "tag"));
                return Ok(());
            }
        }
    }
}

/// `NAME.ENDING` beside a file.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn attempt(agent: &ureq::Agent, url: &str, part: &Path, progress: &dyn Progress) -> Result<(), Trouble> {
    let io = |source| Trouble::Final(FetchError::Io { path: part.to_path_buf(), source });
    let tag_file = beside(part, "tag");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(part).map_err(io)?;
    let mut have = file.metadata().map_err(io)?.len();
    let tag = std::fs::read_to_string(&tag_file).unwrap_or_default();
    // Without knowing which version was begun, nothing can be continued.
    if tag.is_empty() && have > 0 {
        file.set_len(0).map_err(io)?;
        have = 0;
    }
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-")).header("If-Range", &tag);
    }
    let response = request.call().map_err(|e| Trouble::Passing(e.to_string()))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let length: Option<u64> = header("content-length").and_then(|v| v.parse().ok());
    let total = match status {
        200 => {
            // The whole file, from its beginning: also when it is another one by now.
            file.set_len(0).map_err(io)?;
            have = 0;
            length
        }
        206 => {
            let range = header("content-range").unwrap_or_default();
            let start = range.trim_start_matches("bytes ").split('-').next().and_then(|s| s.parse::<u64>().ok());
            if start != Some(have) {
                file.set_len(0).map_err(io)?;
                return Err(Trouble::Passing(format!("the server continues at {start:?} instead of {have}")));
            }
            range.rsplit('/').next().and_then(|s| s.parse().ok()).or(length.map(|l| l + have))
        }
        416 => {
            // Longer than the file is: begun from another one.
            file.set_len(0).map_err(io)?;
            return Err(Trouble::Passing("the partial file does not fit; it begins anew".to_owned()));
        }
        408 | 429 | 500..=599 => return Err(Trouble::Passing(format!("the server answers {status}"))),
        _ => return Err(Trouble::Final(FetchError::Status { url: url.to_owned(), status })),
    };
    let tag = header("etag").filter(|t| !t.starts_with("W/")).or_else(|| header("last-modified")).unwrap_or_default();
    std::fs::write(&tag_file, tag).map_err(io)?;
    file.seek(SeekFrom::Start(have)).map_err(io)?;
    progress.begin(&format!("fetching {url}"), total.unwrap_or(0));
    let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    copy(&mut reader, &mut file, have, total, progress, part)
}

/// Copies until the end.
fn copy(
    reader: &mut impl Read,
    file: &mut File,
    mut have: u64,
    total: Option<u64>,
    progress: &dyn Progress,
    part: &Path,
) -> Result<(), Trouble> {
    let io = |source| Trouble::Final(FetchError::Io { path: part.to_path_buf(), source });
    let mut buffer = vec![0u8; BUFFER];
    loop {
        if progress.cancelled() {
            return Err(Trouble::Final(FetchError::Cancelled));
        }
        let n = reader.read(&mut buffer).map_err(|e| Trouble::Passing(e.to_string()))?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).map_err(io)?;
        have += n as u64;
        progress.advance(have);
    }
    file.sync_all().map_err(io)?;
    match total {
        Some(total) if have < total => Err(Trouble::Passing(format!("it ended after {have} of {total} bytes"))),
        Some(total) if have > total => {
            file.set_len(0).map_err(io)?;
            Err(Trouble::Passing(format!("{have} bytes came instead of {total}")))
        }
        _ if have == 0 => Err(Trouble::Passing("nothing came".to_owned())),
        _ => Ok(()),
    }
}
