//! What goes beside the program: completions and man pages.

use std::path::Path;

use anyhow::{Result, anyhow};
use clap::Command;
use clap_complete::Shell;

use crate::console;

/// Prints the completions for a shell.
pub fn completions(command: &mut Command, shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "unbraid", &mut text);
    console::print(String::from_utf8_lossy(&text));
    Ok(())
}

/// Writes `unbraid.1`, `unbraid-separate.1` and so on.
pub fn man_pages(command: Command, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|error| anyhow!("{}: could not write the man pages: {error}", dir.display()))?;
    console::print_line(format_args!("wrote man pages to {}", dir.display()));
    Ok(())
}
