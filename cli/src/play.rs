//! `unbraid play`: hands over to the program `unbraid-play` beside this one. It needs a window and a sound card, whose
//! libraries this program must do without.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::interruption;

#[derive(clap::Args)]
pub struct Args {
    /// The song, and options: `unbraid play --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SONG")]
    args: Vec<OsString>,
}

pub fn run(args: &Args) -> Result<()> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).context("where is this program?")?;
    let name = format!("unbraid-play{}", std::env::consts::EXE_SUFFIX);
    // Beside this program, or where `cargo xtask install` puts what it needs.
    let places = [Some(own.with_file_name(&name)), ::models::program_data_dir().map(|dir| dir.join(&name))];
    let Some(player) = places.iter().flatten().find(|path| path.is_file()) else {
        bail!(
            "{} is not there. `cargo xtask bundle` builds it beside `unbraid`; so does `cargo build --release -p player`",
            own.with_file_name(&name).display()
        );
    };
    let mut command = Command::new(player);
    let cannot_start = || format!("{}: could not be started", player.display());
    // Ctrl-C reaches both programs; this one waits until the other has tidied up.
    interruption::listen()?;
    let status = command.args(&args.args).status().with_context(cannot_start)?;
    match status.code() {
        Some(0) => Ok(()),
        // It has said why.
        code => std::process::exit(code.unwrap_or(1)),
    }
}
