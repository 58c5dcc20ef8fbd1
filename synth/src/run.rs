//! The whole run: plan, threads, progress, table.

use crate::compose;
use crate::folder::{self, SongJson};
use crate::mastering::master;
use crate::measure::{self, Table};
use crate::midi::{self, Bank, PACKAGES};
use crate::plan::{Kind, PlannedSong, plan};
use crate::raw_song::{RawSong, SAMPLE_RATE_HZ, VOCALS};
use crate::recorded::{self, Library};
use crate::vocals::{self, Backing, Recording};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Render songs with true stems, for `cargo xtask train --data OUT`.
///
/// Every song is a folder with vocals, drums, bass and other as FLAC, and a song.json that says where it comes from.
/// The stems sum to the mix. The same options give the same bytes; songs that are complete are not rendered again,
/// so that an interrupted run goes on where it was.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  cargo xtask synth --out target/songs --hours 1
      an hour of electronic songs, composed from nothing, with a synthetic voice
  cargo xtask synth --out target/songs --hours 1 --vocals data/stems/train --vocals data/solo
      the same, sung by the vocals of these folders
  cargo xtask synth --out target/midi --hours 2 --midi data/midi --soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2
      MIDI files on random instruments; without --soundfont, on all that Debian's packages have installed
  cargo xtask synth --out target/groove --hours 1 --kits data/kits --bass data/bass --groove data/midi/groove
      composed songs with drummers' performances on recorded drums, and recorded bass notes
  cargo xtask synth --measure data/stems/train
      level, silence and spectrum of the stems of real songs, to compare with")]
pub struct Options {
    /// Folder for the songs; is created
    #[arg(long, value_name = "DIR", required_unless_present = "measure")]
    pub out: Option<PathBuf>,
    /// Length of all songs together
    #[arg(long, value_name = "H", default_value_t = 1.0)]
    pub hours: f64,
    /// Folder of MIDI files, searched with its sub-folders; may be given several times; without it songs are composed
    #[arg(long, value_name = "DIR")]
    pub midi: Vec<PathBuf>,
    /// Compose songs, also the default where there is no --midi
    #[arg(long, conflicts_with = "midi")]
    pub compose: bool,
    /// SoundFont (sf2) that plays MIDI files, or most of the parts of composed songs; several: each stem or part draws one;
    /// default for MIDI files: those that are installed
    #[arg(long, value_name = "FILE")]
    pub soundfont: Vec<PathBuf>,
    /// Folder of singing: song folders with a vocals stem, or recordings; may be given several times
    #[arg(long, value_name = "DIR")]
    pub vocals: Vec<PathBuf>,
    /// Folder of drum hits: kits with folders kick, snare, hat, tom, cymbal, perc (and loop); may be given several times
    #[arg(long, value_name = "DIR")]
    pub kits: Vec<PathBuf>,
    /// Folder of bass notes, files <MIDI note>_<velocity>, or of such folders; may be given several times
    #[arg(long, value_name = "DIR")]
    pub bass: Vec<PathBuf>,
    /// Folder of MIDI files of drums alone, from which composed songs have their drums; may be given several times
    #[arg(long, value_name = "DIR", conflicts_with = "midi")]
    pub groove: Vec<PathBuf>,
    /// How often drums are played on --kits and bass lines on --bass, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.8)]
    pub recorded_share: f64,
    /// How often a composed song has a drummer of --groove, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub groove_share: f64,
    /// Other seed, other songs
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Songs rendered at a time, about 300 MB each, SoundFonts not counted [default: number of cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Longest song, to a section's end; of longer MIDI files an excerpt is played
    #[arg(long, value_name = "S", default_value_t = 120.0)]
    pub max_seconds: f64,
    /// Only print the table of levels for a folder of songs
    #[arg(long, value_name = "DIR")]
    pub measure: Option<PathBuf>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Songs that were rendered.
    pub num_rendered: usize,
    /// Songs that were there already.
    pub num_kept: usize,
    /// Files and songs that were left out.
    pub num_bad: usize,
    /// The table of stems, as text.
    pub table: String,
}

/// Renders what the options ask for.
///
/// # Errors
/// An option cannot be met; the disk is full or gone. Single bad files are named, left out and counted.
pub fn run(options: &Options) -> Result<Summary> {
    if let Some(dir) = &options.measure {
        return Ok(Summary { table: measure::folder(dir)?.render(), ..Summary::default() });
    }
    let out = options.out.as_ref().context("--out DIR is missing")?;
    ensure!(options.hours > 0.0 && options.hours.is_finite(), "--hours: expected more than 0, found {}", options.hours);
    ensure!(
        options.max_seconds >= 5.0 && options.max_seconds <= 3600.0,
        "--max-seconds: expected 5 to 3600, found {}",
        options.max_seconds
    );
    for (option, share) in [("--recorded-share", options.recorded_share), ("--groove-share", options.groove_share)] {
        ensure!((0.0..=1.0).contains(&share), "{option}: expected 0 to 1, found {share}");
    }
    std::fs::create_dir_all(out).with_context(|| format!("--out {}: could not create it", out.display()))?;
    let mut num_bad = 0;
    let mut complain = |text: String| {
        eprintln!("{text}");
        num_bad += 1;
    };
    let needs_banks = !options.midi.is_empty() || !options.soundfont.is_empty();
    let banks = if needs_banks { open_banks(&options.soundfont, &mut complain)? } else { Vec::new() };
    let recordings = vocals::find(&options.vocals)?;
    let library = recorded::open(&options.kits, &options.bass, &options.groove)?;
    let library = Library { recorded_share: options.recorded_share, groove_share: options.groove_share, ..library };
    let songs = plan(options, &banks, &recordings, &library, &mut complain)?;
    folder::remove_parts(out);

    let mut work = Vec::new();
    let mut done: Vec<Option<SongJson>> = Vec::new();
    for (song_idx, song) in songs.iter().enumerate() {
        let there = folder::read(out, &song.name, &song.digest)?;
        if there.is_none() {
            work.push(song_idx);
        }
        done.push(there);
    }
    let num_kept = songs.len() - work.len();
    let bar = progress(&songs, &work, num_kept);
    let studio = Studio { options, banks: &banks, recordings: &recordings, library: &library };
    let next = AtomicUsize::new(0);
    let results = Mutex::new((&mut done, &mut complain, None::<anyhow::Error>));
    let num_jobs = options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    thread::scope(|scope| {
        for _ in 0..num_jobs.min(work.len()) {
            scope.spawn(|| {
                while let Some(&song_idx) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let song = &songs[song_idx];
                    let complain = |text: String| {
                        bar.suspend(|| (results.lock().unwrap_or_else(|e| e.into_inner()).1)(text));
                    };
                    let rendered = catch_unwind(AssertUnwindSafe(|| studio.render(song, complain)))
                        .unwrap_or_else(|_| bail!("a library broke down over it"));
                    let written = rendered.map(|(raw, json)| folder::write(out, &song.name, &raw, json));
                    let mut results = results.lock().unwrap_or_else(|e| e.into_inner());
                    match written {
                        Ok(Ok(json)) => results.0[song_idx] = Some(json),
                        // Nothing can be written: no use in rendering on.
                        Ok(Err(error)) => {
                            results.2 = Some(error);
                            next.store(work.len(), Ordering::Relaxed);
                        }
                        Err(error) => bar.suspend(|| (results.1)(format!("{}: {error:#}; left out", song.name))),
                    }
                    drop(results);
                    bar.inc(song.seconds as u64);
                }
            });
        }
    });
    bar.finish_and_clear();
    let (_, _, failure) = results.into_inner().unwrap_or_else(|e| e.into_inner());
    if let Some(error) = failure {
        return Err(error);
    }
    folder::remove_parts(out);
    let mut table = Table::default();
    done.iter().flatten().for_each(|song| table.add(&song.measures, song.seconds));
    let num_done = done.iter().flatten().count();
    ensure!(num_done > 0, "no song could be rendered; the messages above say why");
    Ok(Summary { num_rendered: num_done - num_kept, num_kept, num_bad, table: table.render() })
}

fn open_banks(paths: &[PathBuf], complain: &mut dyn FnMut(String)) -> Result<Vec<Bank>> {
    let paths = if paths.is_empty() { midi::find_installed() } else { paths.to_vec() };
    let mut banks = Vec::new();
    for path in &paths {
        match Bank::open(path) {
            Ok(bank) => banks.push(bank),
            Err(error) => complain(format!("{error:#}; left out")),
        }
    }
    if banks.is_empty() {
        bail!(
            "MIDI files need a SoundFont, and there is none: give --soundfont FILE.sf2, or install some (Debian):\n  \
             {PACKAGES}\nor leave --midi out to have songs composed"
        );
    }
    Ok(banks)
}

fn progress(songs: &[PlannedSong], work: &[usize], num_kept: usize) -> ProgressBar {
    let seconds: f64 = work.iter().map(|song_idx| songs[*song_idx].seconds).sum();
    let bar = ProgressBar::new(seconds as u64);
    let style = ProgressStyle::with_template("{bar:30} {msg} {percent}%, {per_sec} of songs, ready in {eta}");
    let style = style.map(|style| {
        style.with_key("per_sec", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = write!(text, "{:.1} s/s", state.per_sec());
        })
    });
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(format!("{} songs, {:.2} h, {num_kept} there already:", work.len(), seconds / 3600.0));
    bar
}

/// What all songs are made with.
struct Studio<'a> {
    options: &'a Options,
    banks: &'a [Bank],
    recordings: &'a [Recording],
    library: &'a Library,
}

impl Studio<'_> {
    fn render(&self, song: &PlannedSong, complain: impl FnMut(String)) -> Result<(RawSong, SongJson)> {
        let rate = f64::from(SAMPLE_RATE_HZ);
        let band = self.library.band(song.seed, matches!(song.kind, Kind::Composed(_)), rate)?;
        let (mut raw, backing, mut about, source, mut licences) = match &song.kind {
            Kind::Composed(score) => {
                let raw = compose::play(score, song.seed, &band, self.banks, rate)?;
                let sung = score.sections().iter().filter(|section| section.has_vocals);
                let windows_s: Vec<Range<f64>> =
                    sung.map(|s| score.time_s(s.first_beat())..score.time_s(s.end_beat())).collect();
                let backing = Backing {
                    beat_s: score.beat_s(),
                    major_tonic: Some(score.major_tonic()),
                    windows_s,
                    num_samples: raw.stems[VOCALS][0].len(),
                };
                let banks: Vec<Value> =
                    self.banks.iter().map(|bank| json!({ "file": bank.path, "sha256": bank.sha256 })).collect();
                let mut licences = vec!["CC0-1.0".to_string()];
                licences.extend((!banks.is_empty()).then(|| "those of the SoundFonts".to_string()));
                let about =
                    json!({ "kind": "composed", "beats_per_minute": score.beats_per_minute(), "soundfonts": banks });
                (raw, backing, about, "composed and synthesized by Unbraid".to_string(), licences)
            }
            Kind::Midi(file, arrangement) => {
                let raw = midi::play(file, arrangement, self.banks, &band, song.seed)?;
                let banks: Vec<Value> = arrangement
                    .banks_used(self.banks)
                    .iter()
                    .map(|bank| json!({ "file": bank.path, "sha256": bank.sha256 }))
                    .collect();
                let num_samples = raw.stems[VOCALS][0].len();
                let backing = Backing {
                    beat_s: 60.0 / file.beats_per_minute.clamp(30.0, 300.0) / arrangement.tempo,
                    major_tonic: file.major_tonic.map(|tonic| (tonic + arrangement.transposition).rem_euclid(12)),
                    windows_s: verses(num_samples as f64 / rate),
                    num_samples,
                };
                let about = json!({
                    "kind": "midi",
                    "midi": { "file": file.path, "sha256": file.sha256 },
                    "soundfonts": banks,
                    "tempo": arrangement.tempo,
                    "transposition": arrangement.transposition,
                    "excerpt_s": [arrangement.excerpt_s.start, arrangement.excerpt_s.end],
                });
                let source = format!("{} on SoundFonts, by Unbraid", file.path.display());
                let licences = vec!["that of the MIDI file".to_string(), "those of the SoundFonts".to_string()];
                (raw, backing, about, source, licences)
            }
        };
        let sources = band.sources();
        if !sources.is_empty() {
            let name = |source: &recorded::Source| format!("{} ({})", source.name, source.licence);
            licences.push(format!("drums and bass: {}", sources.iter().map(name).collect::<Vec<_>>().join(", ")));
            about["recorded"] = json!({
                "drums": band.kit.as_ref().map(|kit| kit.sources.iter().map(|s| &s.name).collect::<Vec<_>>()),
                "loop": band.drum_loop.map(|drum_loop| &drum_loop.path),
                "bass": band.bass.map(|bass| &bass.source.name),
                "groove": band.groove.map(|groove| &groove.path),
            });
        }
        let mut note = "synthesized: for training, never for scores".to_string();
        if !self.recordings.is_empty() && !backing.windows_s.is_empty() {
            let (vocals, sung) = vocals::sing(self.recordings, &backing, song.seed, complain)?;
            raw.stems[VOCALS] = vocals;
            licences.push(format!("vocals: {}", sung.licence));
            note += &format!("; vocals: {}", if sung.note.is_empty() { "as recorded" } else { &sung.note });
            about["vocals"] = serde_json::to_value(sung)?;
        } else if let (Kind::Composed(score), true) = (&song.kind, self.recordings.is_empty()) {
            raw.stems[VOCALS] = compose::sing_lead(score, song.seed, rate);
            note += "; vocals are a synthetic voice (formants), not singing";
            about["vocals"] = json!({ "title": "formant synthesis" });
        }
        let mastering = master(&mut raw, song.seed, rate);
        about["mastering"] = serde_json::to_value(mastering)?;
        about["seed"] = json!(self.options.seed);
        let json = SongJson {
            title: song.name.clone(),
            source,
            licence: licences.join("; "),
            note,
            seconds: raw.stems[VOCALS][0].len() as f64 / rate,
            stems: Vec::new(),
            seed: song.digest.clone(),
            synth: about,
            measures: [const { None }; 4],
        };
        Ok((raw, json))
    }
}

/// Where there is singing in a song of unknown form: three stretches of four.
fn verses(duration_s: f64) -> Vec<Range<f64>> {
    const PERIOD_S: f64 = 32.0;
    let first_s = 4.0;
    let starts = (0..).map(|n| first_s + PERIOD_S * f64::from(n)).take_while(|start| *start < duration_s - 4.0);
    starts.map(|start| start..(start + 0.75 * PERIOD_S).min(duration_s - 2.0)).collect()
}
