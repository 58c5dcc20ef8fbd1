//! The progress bar of one song.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar on stderr that counts samples and shows time left; hidden where stderr is not a terminal. Without a length it
/// is a spinner.
pub fn song_bar(name: &str, num_samples: Option<u64>) -> ProgressBar {
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
