//! The program `synth`, run by `cargo xtask synth`.

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask synth", version)]
struct Cli {
    #[command(flatten)]
    options: synth::Options,
}

fn main() -> anyhow::Result<()> {
    let options = Cli::parse().options;
    let summary = synth::run(&options)?;
    if let Some(out) = &options.out {
        let synth::Summary { num_rendered, num_kept, num_bad, .. } = summary;
        println!("{}: {num_rendered} songs rendered, {num_kept} there already, {num_bad} left out", out.display());
    }
    print!("{}", summary.table);
    Ok(())
}
