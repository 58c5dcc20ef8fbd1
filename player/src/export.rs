//! What is heard, as a file.

use crate::separating::of_model;
use anyhow::{Result, bail};
use audio::{AudioReader, FileFormat, FileSpec, FileWriter, ReadOptions, Tags, WavFormat};
use separator::{FileSeparator, Graph, Pipeline, Stereo, stem_map};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use unbraid_plugin::{mix_controls::MixControls, stem_mixer::StemMixer};

/// A name beside the song that is not taken: `song.unbraid.wav`, `song.unbraid-2.wav` and so on.
pub fn free_path(song: &Path) -> PathBuf {
    let stem = song.file_stem().unwrap_or(song.as_os_str()).to_string_lossy();
    let name = |number: u32| match number {
        1 => format!("{stem}.unbraid.wav"),
        number => format!("{stem}.unbraid-{number}.wav"),
    };
    let mut paths = (1..).map(|number| song.with_file_name(name(number)));
    paths.find(|path| !path.exists()).expect("numbers do not end")
}

/// Separates the whole song, mixes it as `controls` say and writes it to `path`; the format is that of its name's ending.
/// `go_on` hears how much is done, 0..=1, and may stop it.
///
/// # Errors
/// The song cannot be read, the model fails, the file cannot be written, or it was stopped.
pub fn export(
    song: &Path,
    graph: &Arc<Graph>,
    controls: &MixControls,
    path: &Path,
    go_on: &mut dyn FnMut(f64) -> bool,
) -> Result<()> {
    let mut reader = AudioReader::open_with(song, ReadOptions { skip_damaged: true, ..ReadOptions::default() })?;
    let sample_rate_hz = reader.sample_rate_hz();
    let rate_hz = f64::from(sample_rate_hz);
    let tags = Tags::default();
    let num_samples = reader.num_samples();
    let spec = FileSpec { format: format_of(path)?, sample_rate_hz, num_samples, is_dithered: true, tags: &tags };
    let mut writer = FileWriter::create(path, spec)?;
    let mut mixer = StemMixer::new(rate_hz, controls.gains(false));
    let stem_map = stem_map(&graph.model().manifest.stems);
    let mut pipeline = Pipeline::with_graph(graph)?;
    pipeline.set_sensitivities(&of_model(&controls.stems.map(|stem| stem.sensitivity), &stem_map));
    let mut separator = FileSeparator::new(pipeline, rate_hz);
    let estimated_len = reader.estimated_num_samples().unwrap_or(0).max(1) as f64;
    // The mix of which no stems have come yet.
    let (mut waiting, mut result, mut num_pushed) = (Stereo::default(), Ok(()), 0_u64);
    let mut block = Stereo::default();
    let mut write = |waiting: &mut Stereo, model_stems: &[Stereo], result: &mut Result<(), audio::AudioError>| {
        if result.is_ok() {
            *result = writer.write(mixed(&mut mixer, waiting, model_stems, &stem_map).each_ref().map(Vec::as_slice));
        }
    };
    loop {
        let len = reader.read_block(&mut block)?;
        if len == 0 {
            break;
        }
        waiting.iter_mut().zip(&block).for_each(|(waiting, block)| waiting.extend_from_slice(block));
        separator.push([&block[0], &block[1]], &mut |stems| write(&mut waiting, stems, &mut result))?;
        num_pushed += len as u64;
        if !go_on((num_pushed as f64 / estimated_len).min(1.0)) {
            bail!("the export was stopped");
        }
    }
    separator.finish(&mut |stems| write(&mut waiting, stems, &mut result))?;
    result?;
    writer.finish()?;
    Ok(())
}

/// Takes as much of the waiting mix as there are stems, and mixes them.
fn mixed(mixer: &mut StemMixer, waiting: &mut Stereo, model_stems: &[Stereo], stem_map: &[usize]) -> Stereo {
    let len = model_stems[0][0].len();
    let mut mix = waiting.each_mut().map(|channel| channel.drain(..len).collect::<Vec<f32>>());
    let mut stems: [Stereo; 4] = std::array::from_fn(|_| [vec![0.0; len], vec![0.0; len]]);
    for (stem, &slot) in model_stems.iter().zip(stem_map) {
        for (sum, part) in stems[slot].iter_mut().zip(stem) {
            sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
    }
    let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(Vec::as_mut_slice));
    mixer.mix(mix.each_mut().map(Vec::as_mut_slice), &mut stems);
    mix
}

fn format_of(path: &Path) -> Result<FileFormat> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    Ok(match extension.as_str() {
        "wav" => FileFormat::Wav(WavFormat::Float32),
        "flac" => FileFormat::Flac { num_bits: 24 },
        "mp3" => FileFormat::Mp3 { kbps: 320 },
        "opus" => FileFormat::Opus { kbps: 192 },
        "m4a" => FileFormat::M4a { kbps: 256 },
        _ => bail!("{}: expected a name that ends in .wav, .flac, .mp3, .opus or .m4a", path.display()),
    })
}
