//! One file from a server, continued where it stopped, and checked.

use super::FetchError;
use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

/// How often a broken connection is taken up again before the user is asked.
const NUM_TRIES: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that says nothing for so long is gone.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What a file must be.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// Its length, or at most so much if there is no hash.
    pub num_bytes: u64,
    pub sha256: Option<&'a str>,
}

/// A client that follows redirects and does not wait for ever.
pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .user_agent(concat!("unbraid/", env!("CARGO_PKG_VERSION")))
        // As it is: the hash is that of the file.
        .accept_encoding("identity")
        .build();
    config.into()
}

/// Downloads `url` to `path`, by way of `path` with `.part` appended, which a later call continues. `progress` is called with
/// how many bytes are there.
pub(crate) fn download(
    agent: &Agent,
    url: &str,
    path: &Path,
    expected: &Expected,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let transfer = Transfer { agent, url, part: base::part_path(path), expected };
    let mut num_failures = 0;
    let num_bytes = loop {
        let start = transfer.num_there();
        match transfer.go_on(start, progress) {
            Ok(()) => break transfer.num_there(),
            // An attempt that received some bytes does not count as a failure.
            Err(Interrupted::Broken(_)) if transfer.num_there() > start => num_failures = 0,
            Err(Interrupted::Broken(message)) => {
                num_failures += 1;
                if num_failures == NUM_TRIES {
                    let num_bytes = transfer.num_there();
                    return Err(FetchError::Network { url: url.to_owned(), message, num_bytes });
                }
            }
            Err(Interrupted::For(error)) => return Err(error),
        }
    };
    if let Some(sha256) = expected.sha256 {
        transfer.check("length", expected.num_bytes, num_bytes)?;
        transfer.check(
            "SHA-256",
            sha256.to_owned(),
            base::sha256_file(&transfer.part).map_err(|source| transfer.disk(source))?.sha256,
        )?;
    }
    base::put_in_place(&transfer.part, path).map_err(|source| transfer.disk(source))
}

enum Interrupted {
    /// Worth another try.
    Broken(String),
    For(FetchError),
}

struct Transfer<'a> {
    agent: &'a Agent,
    url: &'a str,
    part: PathBuf,
    expected: &'a Expected<'a>,
}

impl Transfer<'_> {
    fn num_there(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    fn disk(&self, source: io::Error) -> FetchError {
        FetchError::Disk { path: self.part.clone(), source, num_bytes: self.expected.num_bytes }
    }

    /// One request, for what is missing.
    fn go_on(&self, start: u64, progress: &mut dyn FnMut(u64)) -> Result<(), Interrupted> {
        if self.expected.sha256.is_some() && start == self.expected.num_bytes {
            return Ok(());
        }
        // Without a hash nothing would tell whether the parts belong to one file.
        let start = if self.expected.sha256.is_some() && start < self.expected.num_bytes { start } else { 0 };
        let mut request = self.agent.get(self.url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = request.call().map_err(|error| Interrupted::Broken(error.to_string()))?;
        match response.status().as_u16() {
            206 if start > 0 && range_start(&response) == Some(start) => self.receive(response, start, progress),
            // The server does not know ranges: from the start.
            200 => self.receive(response, 0, progress),
            // A range that the server does not like: from the start.
            206 | 416 => {
                let _ = fs::remove_file(&self.part);
                Err(Interrupted::Broken("the server does not continue downloads".to_owned()))
            }
            status @ (408 | 429 | 500..=599) => Err(Interrupted::Broken(format!("the server answers {status}"))),
            status => Err(Interrupted::For(FetchError::Status { url: self.url.to_owned(), status })),
        }
    }

    fn receive(&self, response: Response<Body>, start: u64, progress: &mut dyn FnMut(u64)) -> Result<(), Interrupted> {
        let disk = |source| Interrupted::For(self.disk(source));
        let mut file =
            OpenOptions::new().create(true).append(start > 0).write(true).truncate(start == 0).open(&self.part);
        let file = file.as_mut().map_err(|error| disk(io::Error::new(error.kind(), error.to_string())))?;
        // A little more than expected is enough to see that it is the wrong file.
        let mut body = response.into_body().into_reader().take((self.expected.num_bytes + 1).saturating_sub(start));
        let (mut position, mut buffer) = (start, vec![0; 1 << 16]);
        loop {
            progress(position);
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    file.write_all(&buffer[..len]).map_err(disk)?;
                    position += len as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Interrupted::Broken(error.to_string())),
            }
        }
        file.sync_all().map_err(disk)?;
        if position > self.expected.num_bytes {
            let more = format!("more than {}", self.expected.num_bytes);
            return self.check("length", self.expected.num_bytes.to_string(), more).map_err(Interrupted::For);
        }
        if self.expected.sha256.is_some() && position < self.expected.num_bytes {
            let message = format!("the connection ended after {position} of {} bytes", self.expected.num_bytes);
            return Err(Interrupted::Broken(message));
        }
        Ok(())
    }

    /// Removes a file that is not the right one.
    fn check<T: PartialEq + ToString>(&self, field: &'static str, expected: T, actual: T) -> Result<(), FetchError> {
        if expected == actual {
            return Ok(());
        }
        let _ = fs::remove_file(&self.part);
        let (expected, actual) = (expected.to_string(), actual.to_string());
        Err(FetchError::WrongFile { url: self.url.to_owned(), field, expected, actual })
    }
}

/// Where the server's part begins: `Content-Range: bytes START-END/LENGTH`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("Content-Range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
