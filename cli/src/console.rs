//! What the program says, on outputs that may be closed or full.
//!
//! `println!` panics there. Here a closed pipe is the reader's choice, and any other failure is reported once, at the end.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use anyhow::{Result, anyhow};

/// The first failure of the standard output that is none of the reader's doing.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes text to the standard output.
pub fn print(text: impl Display) {
    let mut out = io::stdout().lock();
    let result = write!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut failure) = FAILURE.lock()
    {
        failure.get_or_insert(error);
    }
}

/// Writes a line to the standard output.
pub fn print_line(line: impl Display) {
    print(format_args!("{line}\n"));
}

/// Writes a line to the standard error output; failures are ignored.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// At the end: an error if the standard output did not take everything.
pub fn check() -> Result<()> {
    match FAILURE.lock().ok().and_then(|mut failure| failure.take()) {
        Some(error) => Err(anyhow!("could not write to the standard output: {error}")),
        None => Ok(()),
    }
}
