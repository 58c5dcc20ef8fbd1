//! The logic of the player, without a window or a sound card: where it plays, what is heard, and what is exported.
#![allow(clippy::needless_range_loop, reason = "`for channel in 0..2` says more than enumerate")]

use audio::{WavFormat, WavWriter, read_all};
use nice_plug::params::Param;
use player::{playback::Playback, player::Player, separating::Engine, stem_store::CHUNK_LEN};
use separator::{
    FileSeparator, Pipeline, Stereo,
    testing::{self, CountingAllocator, num_allocator_calls},
};
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};
use unbraid_plugin::params::UnbraidParams;

const RATE_HZ: u32 = 44_100;
const LEN: usize = 5 * RATE_HZ as usize + 123;
/// Fades at seeks and pauses are over by then.
const FADE_LEN: usize = 256;
/// Stems go half, a quarter and so on into the four; what is left is shared out.
const MASKS: [f32; 4] = [0.5, 0.25, 0.125, 0.0625];

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A song on the disk, and a model for it.
struct Bench {
    dir: tempfile::TempDir,
    mix: Stereo,
    engine: Engine,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut x = 1_u32;
        let mut sample = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.5 * ((x >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        let mix = [(); 2].map(|()| (0..LEN).map(|_| sample()).collect::<Vec<f32>>());
        let mut writer = WavWriter::create(dir.path().join("song.wav"), RATE_HZ, WavFormat::Float32).unwrap();
        writer.write([&mix[0], &mix[1]]).unwrap();
        writer.finish().unwrap();
        let model = testing::TestModel { listens: true, ..testing::TestModel::with_masks(MASKS) };
        let model = model.write(&dir.path().join("model")).unwrap();
        let runtime = separator::find_runtime(&[concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime").into()]);
        Bench { mix, engine: Engine { runtime: runtime.unwrap(), model }, dir }
    }

    fn song(&self) -> PathBuf {
        self.dir.path().join("song.wav")
    }

    fn open(&self) -> (Player, Playback) {
        let (player, playback) = Player::open(&self.song(), self.engine.clone()).unwrap();
        wait_for("the decoder", || player.song.known_len().is_some());
        assert_eq!(player.song.known_len(), Some(LEN as i64));
        (player, playback)
    }

    /// The stems as `unbraid separate` writes them.
    fn stems(&self) -> Vec<Stereo> {
        let pipeline = Pipeline::new(&testing::runtime(), &self.engine.model).unwrap();
        let mut separator = FileSeparator::new(pipeline, f64::from(RATE_HZ));
        let mut all = vec![Stereo::default(); 4];
        let mut keep = |stems: &[Stereo]| {
            for (all, part) in all.iter_mut().flatten().zip(stems.iter().flatten()) {
                all.extend_from_slice(part);
            }
        };
        separator.push([&self.mix[0], &self.mix[1]], &mut keep).unwrap();
        separator.finish(&mut keep).unwrap();
        all
    }
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what} does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

fn set(param: &impl Param, normalized: f32) {
    // SAFETY: the parameter lives, and nobody else sets it meanwhile.
    unsafe { param.as_ptr()._internal_set_normalized_value(normalized) };
}

fn set_gain(params: &UnbraidParams, stem_idx: usize, gain_db: f32) {
    let param = &params.stems()[stem_idx].gain;
    set(param, param.preview_normalized(gain_db));
}

/// The next `len` samples, in blocks of odd lengths, with an eye on the allocator.
fn render(playback: &mut Playback, len: usize) -> Stereo {
    let mut out = [vec![f32::NAN; len], vec![f32::NAN; len]];
    let [left, right] = &mut out;
    let before = num_allocator_calls();
    let lens = [441, 64, 1, 2000, 480];
    let mut start = 0;
    for block_len in lens.iter().cycle() {
        if start == len {
            break;
        }
        let end = len.min(start + block_len);
        playback.render([&mut left[start..end], &mut right[start..end]]);
        start = end;
    }
    assert_eq!(num_allocator_calls(), before, "calls of the allocator");
    out
}

/// In dB below the louder one.
fn difference_db(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let energy = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let error = energy(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    10.0 * (error / energy(&mut b.iter().map(|&b| f64::from(b)))).log10()
}

#[test]
fn untouched_the_song_comes_out_bit_for_bit_wherever_it_begins() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    player.transport.set_playing(true);
    render(&mut playback, 1000);
    for position in [100_000, 0, 4095, 4096, 33_333, LEN - 2000] {
        player.seek(position as i64);
        assert_eq!(player.transport.position(), position as i64, "at once for the window");
        let out = render(&mut playback, 1999);
        for channel in 0..2 {
            let expected = &bench.mix[channel][position + FADE_LEN..position + 1999];
            assert_eq!(&out[channel][FADE_LEN..], expected, "from {position}");
        }
        assert_eq!(player.transport.position(), position as i64 + 1999);
    }
}

#[test]
fn a_seek_is_heard_in_the_next_block_with_stems_or_without() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    set(&player.params.vocals.mute, 1.0);
    player.transport.set_playing(true);
    // Long before the model is open: quarters of the mix.
    player.seek(50_000);
    let out = render(&mut playback, 2000);
    if !player.is_ready() {
        // The mute is on its way for 20 ms.
        for idx in 1200..2000 {
            let expected = 0.75 * bench.mix[0][50_000 + idx];
            assert!((out[0][idx] - expected).abs() < 1e-6, "{idx}: {} {expected}", out[0][idx]);
        }
    }
    wait_for("the stems", || player.is_complete());
    let vocals = &bench.stems()[0];
    // The vocals go on their way for 20 ms; afterwards they are gone.
    render(&mut playback, 4000);
    player.seek(70_001);
    let out = render(&mut playback, 30_000);
    let expected: Vec<f32> = (70_001..100_001).map(|at| bench.mix[0][at] - vocals[0][at]).collect();
    let difference = difference_db(&out[0][FADE_LEN..], &expected[FADE_LEN..]);
    assert!(difference < -100.0, "{difference} dB");
    assert_eq!(player.transport.num_late(), 0);
}

#[test]
fn a_loop_is_exact_to_the_sample() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    let (from, to) = (12_345_i64, 20_001_i64);
    player.transport.set_loop_range(from..to);
    player.transport.set_looping(true);
    player.transport.set_playing(true);
    player.seek(from);
    let len = (to - from) as usize;
    let out = render(&mut playback, 3 * len + 100);
    for (idx, &x) in out[1].iter().enumerate().skip(FADE_LEN) {
        assert_eq!(x, bench.mix[1][from as usize + idx % len], "sample {idx}");
    }
    // Behind its end, the song goes on.
    player.seek(to + 5);
    let out = render(&mut playback, 1000);
    assert_eq!(out[0][FADE_LEN..], bench.mix[0][to as usize + 5 + FADE_LEN..to as usize + 1005]);
}

#[test]
fn pauses_fade_and_go_on_where_they_were() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    assert!(render(&mut playback, 500).iter().flatten().all(|&x| x == 0.0));
    assert_eq!(player.transport.position(), 0);
    player.toggle_playing();
    render(&mut playback, 10_000);
    player.toggle_playing();
    let out = render(&mut playback, 5000);
    let position = player.transport.position();
    assert!(out[0][2100..].iter().all(|&x| x == 0.0) && (10_000..12_100).contains(&position), "{position}");
    player.toggle_playing();
    let out = render(&mut playback, 1000);
    assert_eq!(out[0][FADE_LEN..], bench.mix[0][position as usize + FADE_LEN..position as usize + 1000]);
    // The end stops it, and playing again begins anew; a seek from the end does not stop what it leads to.
    player.seek(LEN as i64 - 100);
    let out = render(&mut playback, 2000);
    assert!(!player.transport.is_playing() && out[0][1000..].iter().all(|&x| x == 0.0));
    player.toggle_playing();
    let out = render(&mut playback, 1000);
    assert!(player.transport.is_playing());
    assert_eq!(out[0][FADE_LEN..], bench.mix[0][FADE_LEN..1000]);
}

#[test]
fn what_is_heard_is_what_is_exported_and_what_separate_and_gains_give() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    set_gain(&player.params, 0, -6.0);
    set_gain(&player.params, 1, 3.0);
    set(&player.params.bass.mute, 1.0);
    set(&player.params.other.pan, 0.2);
    wait_for("the stems", || player.is_complete());
    // The gains are there when it begins.
    render(&mut playback, 10);
    player.transport.set_playing(true);
    render(&mut playback, 3000);
    player.seek(0);
    let heard = render(&mut playback, LEN);

    player.start_export(None);
    wait_for("the export", || !player.is_exporting());
    let path = bench.dir.path().join("song.unbraid.wav");
    assert_eq!(player.export_message(), Some(format!("Written: {}", path.display())));
    let exported = read_all(&path).unwrap();
    assert_eq!((exported.sample_rate_hz, exported.samples[0].len()), (RATE_HZ, LEN));

    let stems = bench.stems();
    let gains = player.params.mix_controls().gains(false);
    for channel in 0..2 {
        let expected: Vec<f32> = (0..LEN)
            .map(|at| {
                let stem = |idx: usize| {
                    gains.stems[idx].0[channel][0] * stems[idx][0][at]
                        + gains.stems[idx].0[channel][1] * stems[idx][1][at]
                };
                (0..4).map(stem).sum()
            })
            .collect();
        let exported = &exported.samples[channel];
        let (by_hand, by_ear) =
            (difference_db(exported, &expected), difference_db(&heard[channel][FADE_LEN..], &exported[FADE_LEN..]));
        println!("channel {channel}: {by_hand:.1} dB from separate and gains, {by_ear:.1} dB from what was heard");
        assert!(by_hand < -100.0 && by_ear < -100.0, "{by_hand} {by_ear}");
    }
    // A second one does not overwrite it.
    player.start_export(None);
    wait_for("the export", || !player.is_exporting());
    assert!(bench.dir.path().join("song.unbraid-2.wav").is_file());
}

#[test]
fn stems_after_a_seek_are_those_of_a_stream_that_has_heard_enough() {
    // A network without a memory: whole from the first wanted sample on.
    let bench = Bench::new();
    let stems = bench.stems();
    let (player, mut playback) = bench.open();
    wait_for("the model", || player.is_ready());
    let position = 3 * RATE_HZ as i64 + 77;
    player.seek(position);
    wait_for("the stems", || player.is_complete());
    for stem in player.params.stems() {
        set(&stem.solo, 0.0);
    }
    set(&player.params.drums.solo, 1.0);
    player.transport.set_playing(true);
    render(&mut playback, 3000);
    player.seek(position);
    let out = render(&mut playback, 2 * CHUNK_LEN);
    let expected = &stems[1][0][position as usize + FADE_LEN..position as usize + 2 * CHUNK_LEN];
    let difference = difference_db(&out[0][FADE_LEN..], expected);
    assert!(difference < -100.0, "{difference} dB");
}

#[test]
fn a_file_that_is_none_says_so_and_a_model_that_is_none_leaves_the_mix() {
    let bench = Bench::new();
    let error = Player::open(&bench.dir.path().join("nothing.wav"), bench.engine.clone()).err().unwrap();
    assert!(error.to_string().contains("nothing.wav"), "{error}");
    std::fs::write(bench.dir.path().join("model/model.onnx"), "damaged").unwrap();
    let (player, mut playback) = bench.open();
    wait_for("the error", || player.error().is_some());
    assert!(player.error().unwrap().contains("model.onnx"), "{:?}", player.error());
    player.transport.set_playing(true);
    let out = render(&mut playback, 2000);
    assert_eq!(out[0][FADE_LEN..], bench.mix[0][FADE_LEN..2000]);
    player.start_export(None);
    assert!(player.export_message().unwrap().contains("not open"));
}

#[test]
fn sensitivity_is_heard_and_exported() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    set(&player.params.vocals.solo, 1.0);
    wait_for("the stems", || player.is_complete());
    render(&mut playback, 10);
    player.transport.set_playing(true);
    render(&mut playback, 3000);
    player.seek(60_000);
    let neutral = render(&mut playback, 20_000);
    set(&player.params.vocals.sensitivity, 0.0);
    wait_for("the stems", || player.is_complete());
    player.seek(60_000);
    let sharp = render(&mut playback, 20_000);
    let difference = difference_db(&sharp[0][FADE_LEN..], &neutral[0][FADE_LEN..]);
    assert!(difference > -40.0, "{difference} dB");
    let path = bench.dir.path().join("sharp.wav");
    player.export_now(&path, &player.params.mix_controls(), &mut |_| true).unwrap();
    let exported = read_all(&path).unwrap();
    let difference = difference_db(&exported.samples[0][60_000 + FADE_LEN..80_000], &sharp[0][FADE_LEN..]);
    assert!(difference < -100.0, "{difference} dB");
}

#[test]
fn another_model_takes_over_and_one_that_is_damaged_does_not() {
    let bench = Bench::new();
    let (player, mut playback) = bench.open();
    set(&player.params.vocals.solo, 1.0);
    wait_for("the stems", || player.is_complete());
    let other = testing::TestModel::with_masks([0.0, 0.0, 0.0, 1.0]).write(&bench.dir.path().join("other")).unwrap();
    let damaged = testing::TestModel::identity().write(&bench.dir.path().join("damaged")).unwrap();
    std::fs::write(bench.dir.path().join("damaged/model.onnx"), "damaged").unwrap();
    player.transport.set_playing(true);
    render(&mut playback, 3000);
    player.choose_model(damaged);
    wait_for("the error", || player.error().is_some());
    player.seek(60_000);
    let before = render(&mut playback, 5000);
    assert!(before[0][FADE_LEN..].iter().any(|x| x.abs() > 0.01), "the model before goes on");
    player.choose_model(other);
    wait_for("the model", || player.error().is_none());
    wait_for("the stems", || player.is_complete());
    player.seek(60_000);
    let after = render(&mut playback, 5000);
    assert!(after[0][FADE_LEN..].iter().all(|x| x.abs() < 1e-4), "its vocals are silent");
}
