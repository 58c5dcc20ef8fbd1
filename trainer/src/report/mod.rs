//! The report of a run: `report.md` with pictures beside it, written anew after every epoch.

mod plot;
pub mod snippet;
pub mod spectrogram;
pub mod tensorboard;

pub use plot::{Curve, Plot};

use crate::data::DataCounts;
use crate::data::STEMS;
use crate::record::RunState;
use crate::record::history::Epoch;
use crate::record::top;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// Writes the report of a run into its folder.
///
/// # Errors
/// If a file cannot be written.
pub fn write(out: &Path, run: &RunState, size: &str, data: &DataCounts) -> Result<()> {
    plots(out, &run.history)?;
    let path = out.join("report.md");
    base::write_whole(&path, text(run, size, data)).with_context(|| format!("cannot write {}", path.display()))
}

fn plots(out: &Path, history: &[Epoch]) -> Result<()> {
    let curve = |name: &str, value: &dyn Fn(&Epoch) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: history.iter().filter_map(|epoch| Some((epoch.step as f64, value(epoch)?))).collect(),
    };
    let names = history.last().map(|epoch| epoch.losses.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let losses = names.iter().map(|name| curve(name, &|epoch| epoch.losses.get(name).copied())).collect();
    Plot { title: "Losses", x: "step", y: "mean over an epoch", log_y: true, curves: losses }
        .write(&out.join("losses.png"))?;
    let mut scores: Vec<Curve> =
        STEMS.iter().enumerate().map(|(i, name)| curve(name, &|epoch| epoch.sdr_db[i])).collect();
    scores.push(curve("mean", &|epoch| epoch.mean_sdr_db));
    Plot { title: "Global SDR of the songs that judge", x: "step", y: "dB", log_y: false, curves: scores }
        .write(&out.join("sdr.png"))?;
    let rate = vec![curve("learning rate", &|epoch| Some(epoch.learning_rate))];
    Plot { title: "Learning rate", x: "step", y: "", log_y: false, curves: rate }.write(&out.join("learning_rate.png"))
}

fn text(run: &RunState, size: &str, data: &DataCounts) -> String {
    let of_all = run.minutes.map_or(format!("{} of {} steps", run.step, run.total_steps), |minutes| {
        format!("{} steps, {:.1} of {minutes} minutes", run.step, run.clock_s / 60.0)
    });
    let mut text = format!("# A training run: {of_all}\n\n");
    let network = serde_json::to_string(&run.network).unwrap_or_default();
    let _ = write!(
        text,
        "- Network: `{network}`; {size}\n- Transform: {}\n- Losses: {}\n- Learning rate: {} at its highest; {:?}\n\
         - Batches: {} slices, seed {}\n- Heard: {:.2} h of audio in {:.2} h\n- Data: {} ({} songs, {:.0} min)\n\
         - Judged by {} song(s), {}: {}\n",
        run.transform,
        run.loss,
        run.learning_rate,
        run.recipe,
        run.batch_slices,
        run.seed,
        run.audio_s / 3600.0,
        run.wall_s / 3600.0,
        run.data.join(", "),
        data.num_train,
        data.train_min,
        data.valid.len(),
        data.valid_reason,
        data.valid.join(", "),
    );
    let _ = writeln!(text, "- Songs left out, as they cannot be read: {}", data.left_out.len());
    for song in &data.left_out {
        let _ = writeln!(text, "  - {song}");
    }
    if !data.filled_up.is_empty() {
        let _ = writeln!(text, "- Songs with stems of different lengths:");
    }
    for song in &data.filled_up {
        let _ = writeln!(text, "  - {song}");
    }
    text +=
        "\n![Scores](sdr.png)\n\n![Losses](losses.png)\n\n![Learning rate](learning_rate.png)\n\n## Best epochs\n\n";
    text += &table(&top::best(&run.history, 5));
    text += "\n## All epochs\n\n";
    text + &table(&run.history.iter().collect::<Vec<_>>())
}

fn table(epochs: &[&Epoch]) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let mut table = String::from(
        "| step | h heard | loss | vocals | drums | bass | other | mean dB | x real time | waiting |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for epoch in epochs {
        let stems: Vec<String> = epoch.sdr_db.iter().map(|sdr_db| number(*sdr_db)).collect();
        let _ = writeln!(
            table,
            "| {} | {:.2} | {:.4} | {} | {} | {:.1} | {:.0} % |",
            epoch.step,
            epoch.audio_h,
            epoch.losses.get("total").copied().unwrap_or(f64::NAN),
            stems.join(" | "),
            number(epoch.mean_sdr_db),
            epoch.audio_s_per_s,
            100.0 * epoch.waiting
        );
    }
    table
}
