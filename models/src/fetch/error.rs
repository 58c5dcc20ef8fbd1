//! What can go wrong between a server and a model folder.

use crate::import::ImportError;
use std::path::PathBuf;
use thiserror::Error;

/// Why weights could not be fetched; the message says what to do. What was downloaded is kept, unless it was wrong: the
/// next try continues there.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The server cannot be reached, or the connection broke again and again.
    #[error(
        "{url}: {message}. Check the network connection (a proxy: HTTPS_PROXY) and run the command again, it continues \
         after {num_bytes} bytes; or name another server with --url"
    )]
    Network {
        /// Address.
        url: String,
        /// What happened.
        message: String,
        /// What is there already.
        num_bytes: u64,
    },
    /// The server has no such file, or does not give it.
    #[error(
        "{url}: the server answers {status}. The file may have moved: try another server with --url, or download it \
             by hand and run `unbraid models import`"
    )]
    Status {
        /// Address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The file is not the published one.
    #[error(
        "{url}: not the published file: {field}: expected {expected}, got {actual}. It was removed; if this happens \
             again, the server's file has changed: do not use it"
    )]
    WrongFile {
        /// Address.
        url: String,
        /// Length or SHA-256.
        field: &'static str,
        /// As published.
        expected: String,
        /// As downloaded.
        actual: String,
    },
    /// The disk does not take it.
    #[error("{}: cannot be written ({source}). {num_bytes} bytes are needed: make room and run the command again, it \
             continues where it stopped", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
        /// Length of the whole file.
        num_bytes: u64,
    },
    /// The download is complete, but no model can be made of it.
    #[error(transparent)]
    Import(#[from] ImportError),
}
