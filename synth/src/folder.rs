//! A finished song on disk: four FLAC files and `song.json`, written beside and renamed as one.

use crate::measure::StemMeasure;
use crate::raw_song::{RawSong, SAMPLE_RATE_HZ, VOCALS};
use anyhow::{Context, Result, bail};
use audio::STEM_NAMES;
use flac_codec::encode::{FlacSampleWriter, Options};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// `song.json`: what the trainer reads (`stems`), what people want to know, and how the song can be made again.
#[derive(Debug, Deserialize, Serialize)]
pub struct SongJson {
    /// Name of the song.
    pub title: String,
    /// Where its notes and sounds come from.
    pub source: String,
    /// Licences of everything in it.
    pub licence: String,
    /// What to beware of.
    pub note: String,
    /// Length in s.
    pub seconds: f64,
    /// The stems that are there.
    pub stems: Vec<String>,
    /// Seed of the song and digest of everything else that decides about its sound; as text, since JSON's numbers lose
    /// digits.
    pub seed: String,
    /// How it was made.
    pub synth: Value,
    /// By stem.
    pub measures: [Option<StemMeasure>; 4],
}

/// Where songs are while they are being written: a folder that no reader of songs takes for one.
const PARTS: &str = ".part";

/// Writes the stems (vocals only where somebody sings) and `song.json` to `out/name`. What stands there afterwards is complete.
///
/// # Errors
/// The disk is full or gone, or the folder is there already.
pub fn write(out: &Path, name: &str, song: &RawSong, mut json: SongJson) -> Result<SongJson> {
    let part = out.join(PARTS).join(name);
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("could not remove {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("could not create {}", part.display()))?;
    json.stems.clear();
    for (stem_idx, (stem, name)) in song.stems.iter().zip(STEM_NAMES).enumerate() {
        // A stem that is not there says that nobody knows it: a silent bass is known to be silent. Vocals are the
        // exception: where nobody sings at all there is no use in drawing them.
        if stem_idx == VOCALS && stem.iter().flatten().all(|x| *x == 0.0) {
            continue;
        }
        let path = part.join(format!("{name}.flac"));
        write_flac(&path, stem).with_context(|| format!("could not write {}", path.display()))?;
        json.stems.push(name.into());
        json.measures[stem_idx] = Some(StemMeasure::of(stem, f64::from(SAMPLE_RATE_HZ)));
    }
    let text = serde_json::to_string_pretty(&json)? + "\n";
    let path = part.join("song.json");
    base::write_whole(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    let place = out.join(name);
    if place.exists() {
        bail!("{}: expected no folder of this name", place.display());
    }
    base::replace_dir(&part, &place).with_context(|| format!("could not write {}", place.display()))?;
    Ok(json)
}

/// Removes what an interrupted run left behind.
pub fn remove_parts(out: &Path) {
    // Only tidiness: songs are written to fresh folders anyway.
    let _ = fs::remove_dir_all(out.join(PARTS));
}

/// The song that stands at `out/name`, if there is one.
///
/// # Errors
/// There is a folder of that name which was not made with this seed and these sources.
pub fn read(out: &Path, name: &str, seed: &str) -> Result<Option<SongJson>> {
    let place: PathBuf = out.join(name);
    if !place.exists() {
        return Ok(None);
    }
    let path = place.join("song.json");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let json: SongJson = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected what `synth` writes; use another --out", path.display()))?;
    if json.seed != seed {
        bail!(
            "{}: field \"seed\": expected {seed:?}, found {:?}: it was rendered with another --seed or other sources; \
             give what was given then, or another --out",
            path.display(),
            json.seed
        );
    }
    Ok(Some(json))
}

/// 16 bit. Rounded without dither, so that silence stays silence.
fn write_flac(path: &Path, stem: &[Vec<f32>; 2]) -> Result<()> {
    let options = Options::fast().overwrite();
    let num_samples = stem[0].len();
    let mut writer = FlacSampleWriter::create(path, options, SAMPLE_RATE_HZ, 16, 2, Some(2 * num_samples as u64))?;
    let quantize = |x: &f32| (x * 32768.0).round().clamp(-32768.0, 32767.0) as i32;
    let mut block = Vec::with_capacity(1 << 16);
    for (left, right) in stem[0].chunks(1 << 15).zip(stem[1].chunks(1 << 15)) {
        block.clear();
        block.extend(left.iter().zip(right).flat_map(|(l, r)| [quantize(l), quantize(r)]));
        writer.write(&block)?;
    }
    writer.finalize()?;
    Ok(())
}
