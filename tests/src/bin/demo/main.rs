//! The demo: the bundled plugin, in a headless host, takes a song apart. Run by `cargo xtask demo [SONG]`; the results
//! lie in `target/demo`.

mod input;
mod live;
mod spectrogram;

use anyhow::{Context, Result};
use audio::{WavFormat, WavWriter, global_sdr_db};
use input::Input;
use spectrogram::Panel;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tests::host::{Automation, Library, Plugin, Processor, UNBRAID, UNBRAID_MULTI_OUT};
use tests::measure::{best_delay, first_difference, power_db};
use tests::places;
use tests::signal::{Stereo, impulse};

/// Samples in a block, as many hosts have it.
const BLOCK_LEN: usize = 512;

fn main() -> Result<()> {
    let song = std::env::args_os().nth(1).map(PathBuf::from);
    let input = Input::open(song.as_deref().unwrap_or(&places::demo_song()))?;
    let out_dir = places::target().join("demo");
    std::fs::create_dir_all(&out_dir).with_context(|| format!("could not create {}", out_dir.display()))?;
    let clap = places::clap();
    let library = Library::load(&clap);
    let rate = input.sample_rate_hz;
    let mut report = String::new();
    writeln!(report, "plugin              {}", clap.display())?;
    writeln!(report, "song                {} ({:.1} s at {rate} Hz)", input.name, input.duration_s())?;

    println!("Measuring the latency ...");
    let latency = measure_latency(&library, rate, &mut report)?;

    println!("Streaming the song through Unbraid Multi-Out ...");
    let start = Instant::now();
    let (outputs, process_s) = bounce(&library, UNBRAID_MULTI_OUT, &input, latency, |_| Vec::new());
    let [mix, stems @ ..] = <[Stereo; 5]>::try_from(outputs).ok().context("Unbraid Multi-Out has five outputs")?;
    let is_exact = first_difference(&input.mix, &mix).is_none();
    let yes_or_no = |is_true: bool| if is_true { "yes" } else { "NO" };
    writeln!(report, "mix at 0 dB         the delayed input, bit for bit: {}", yes_or_no(is_exact))?;
    let factor = process_s / input.duration_s();
    writeln!(report, "real-time factor    {factor:.3} (offline, {:.1} s in all)", start.elapsed().as_secs_f64())?;

    println!("Pulling the vocals down ...");
    let vocals_down = |plugin: &mut Plugin| {
        let value = plugin.value_of("Vocals", "-inf dB");
        vec![Automation { sample_idx: 0, param: plugin.param("Vocals").id, value }]
    };
    let (mut outputs, _) = bounce(&library, UNBRAID, &input, latency, vocals_down);
    let without_vocals = outputs.swap_remove(0);

    println!("Playing the song in real time ...");
    let live = live::play(&library, &input, &stems, latency);
    writeln!(report, "played live         {:.1} s, blocks of {BLOCK_LEN} samples", live.duration_s)?;
    writeln!(report, "drop-outs           {}", live.num_dropouts)?;
    writeln!(report, "longest process()   {:.3} ms of {:.3} ms", live.longest_ms, live.block_ms)?;

    for (stem_idx, (name, stem)) in base::STEMS.iter().zip(&stems).enumerate() {
        write!(report, "{name:<20}{:>6.1} dB", power_db(stem))?;
        if let Some(truth) = &input.stems {
            let [left, right] = &truth[stem_idx];
            match global_sdr_db([left, right], [&stem[0], &stem[1]]) {
                Some(sdr_db) => write!(report, ", SDR {sdr_db:>5.2} dB")?,
                None => write!(report, ", silent in truth")?,
            }
        }
        writeln!(report)?;
    }

    println!("Writing {} ...", out_dir.display());
    let names = [&["mix", "without_vocals"][..], &base::STEMS].concat();
    let sounds = [&[&input.mix, &without_vocals][..], &stems.each_ref()].concat();
    for (name, sound) in names.iter().zip(&sounds) {
        write_wav(&out_dir.join(format!("{name}.wav")), rate, sound)?;
    }
    let titles = [&["before: the song", "after: without its vocals"][..], &base::STEMS].concat();
    let panels: Vec<_> = titles.iter().zip(&sounds).map(|(title, sound)| Panel { title, sound }).collect();
    spectrogram::draw(&panels, f64::from(rate))?.write_png(&out_dir.join("spectrograms.png"))?;
    let path = out_dir.join("report.txt");
    std::fs::write(&path, &report).with_context(|| format!("could not write {}", path.display()))?;
    println!("\n{report}");
    let program = places::program();
    println!("Listen to mix.wav and without_vocals.wav there, and look at spectrograms.png. Next, a song of yours:");
    println!("\n    {} separate SONG\n", program.strip_prefix(places::root()).unwrap_or(&program).display());
    Ok(())
}

/// Compares what the plugin reports with where an impulse comes out.
fn measure_latency(library: &Library, rate: u32, report: &mut String) -> Result<usize> {
    let mut plugin = Plugin::new(library, UNBRAID);
    plugin.set_offline(true);
    let mut processor = plugin.activate(f64::from(rate), BLOCK_LEN);
    let reported = plugin.latency();
    let input = impulse(reported + rate as usize, 0);
    let output = processor.render(&input, std::iter::repeat(BLOCK_LEN), &[]).swap_remove(0);
    let measured = best_delay(&input, &output, reported, rate as usize / 2);
    plugin.deactivate(processor);
    let ms = 1000.0 * reported as f64 / f64::from(rate);
    writeln!(report, "latency reported    {reported} samples ({ms:.1} ms)")?;
    writeln!(report, "latency measured    {measured} samples")?;
    Ok(reported)
}

/// Renders the song offline. Returns the outputs, without the latency, and how long the plugin took for it in s.
fn bounce(
    library: &Library,
    id: &str,
    input: &Input,
    latency: usize,
    automation: impl FnOnce(&mut Plugin) -> Vec<Automation>,
) -> (Vec<Stereo>, f64) {
    let mut plugin = Plugin::new(library, id);
    plugin.set_offline(true);
    let mut processor = plugin.activate(f64::from(input.sample_rate_hz), BLOCK_LEN);
    // Loading the model is no part of the real-time factor: in offline mode the first hop waits for it.
    warm_up(&mut processor, latency);
    let automation = automation(&mut plugin);
    let start = Instant::now();
    let outputs = processor.render(&input.padded(latency), std::iter::repeat(BLOCK_LEN), &automation);
    let process_s = start.elapsed().as_secs_f64();
    plugin.deactivate(processor);
    (outputs.into_iter().map(|output| output.map(|channel| channel[latency..].to_vec())).collect(), process_s)
}

fn warm_up(processor: &mut Processor, latency: usize) {
    processor.render(&tests::signal::silence(2 * latency), std::iter::repeat(BLOCK_LEN), &[]);
    processor.reset();
}

fn write_wav(path: &Path, rate: u32, sound: &Stereo) -> Result<()> {
    let mut writer = WavWriter::create(path, rate, WavFormat::Float32)?;
    writer.write([&sound[0], &sound[1]])?;
    writer.finish()?;
    Ok(())
}
