//! How far the work is: bars on a terminal, else lines, or JSON for programs.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;

use crate::console::complain;

/// How progress is shown on the standard error output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// Bars on a terminal, else lines
    Auto,
    /// Bars
    Bar,
    /// A line every few seconds
    Lines,
    /// A JSON object per line: {"event":"progress","song":...,"fraction":...}
    Json,
    /// Nothing
    None,
}

/// The display of all songs.
pub struct Progress {
    kind: ProgressKind,
    bars: MultiProgress,
}

impl Progress {
    pub fn new(kind: ProgressKind) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let kind = match kind {
            ProgressKind::Auto if is_terminal => ProgressKind::Bar,
            ProgressKind::Auto => ProgressKind::Lines,
            kind => kind,
        };
        Progress { kind, bars: MultiProgress::new() }
    }

    /// One song that begins.
    pub fn song(&self, name: &str, num_samples: Option<u64>) -> SongProgress {
        let bar = (self.kind == ProgressKind::Bar).then(|| self.bars.add(song_bar(name, num_samples)));
        let progress = SongProgress {
            kind: self.kind,
            name: name.to_string(),
            num_samples,
            bar,
            last_told: Mutex::new(Instant::now()),
        };
        progress.event("start", None);
        progress
    }

    /// A line that does not tear the bars.
    pub fn complain(&self, line: impl std::fmt::Display) {
        self.bars.suspend(|| complain(line));
    }
}

/// How far one song is.
pub struct SongProgress {
    kind: ProgressKind,
    name: String,
    num_samples: Option<u64>,
    bar: Option<ProgressBar>,
    last_told: Mutex<Instant>,
}

impl SongProgress {
    pub fn set_position(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
        let interval = match self.kind {
            ProgressKind::Lines => Duration::from_secs(5),
            ProgressKind::Json => Duration::from_millis(500),
            _ => return,
        };
        let Ok(mut last_told) = self.last_told.lock() else { return };
        if last_told.elapsed() < interval {
            return;
        }
        *last_told = Instant::now();
        let fraction = self.num_samples.map(|num_samples| (position as f64 / num_samples.max(1) as f64).min(1.0));
        match fraction {
            _ if self.kind == ProgressKind::Json => self.event("progress", fraction),
            Some(fraction) => complain(format_args!("{}: {:.0} %", self.name, 100.0 * fraction)),
            None => complain(format_args!("{}: {position} samples", self.name)),
        }
    }

    pub fn set_message(&self, message: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message);
        }
    }

    pub fn finish_and_clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.event("end", None);
    }

    fn event(&self, event: &str, fraction: Option<f64>) {
        if self.kind == ProgressKind::Json {
            complain(match fraction {
                Some(fraction) => json!({"event": event, "song": self.name, "fraction": fraction}),
                None => json!({"event": event, "song": self.name}),
            });
        }
    }
}

/// A bar on stderr that counts samples and shows time left. Without a length it is a spinner.
fn song_bar(name: &str, num_samples: Option<u64>) -> ProgressBar {
    let (bar, template) = match num_samples {
        Some(num_samples) => (
            ProgressBar::new(num_samples),
            "{prefix}  {wide_bar:.cyan/dim} {percent:>3} %  {elapsed} gone, {eta} left  {msg}",
        ),
        None => (ProgressBar::no_length(), "{prefix}  {spinner} {elapsed}"),
    };
    // Also when an error ends the song.
    let bar = bar.with_finish(ProgressFinish::AndClear);
    bar.set_style(ProgressStyle::with_template(template).expect("the templates above are valid"));
    bar.set_prefix(name.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar on stderr for a download.
pub fn download_bar(name: &str, num_bytes: u64) -> ProgressBar {
    let template = "{prefix}  {wide_bar:.cyan/dim} {bytes} of {total_bytes}  {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(num_bytes).with_finish(ProgressFinish::AndClear);
    bar.set_style(ProgressStyle::with_template(template).expect("the template above is valid"));
    bar.set_prefix(name.to_string());
    bar
}

/// A duration as people say it: 12.3 s, or 4:36 min.
pub fn readable(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}
