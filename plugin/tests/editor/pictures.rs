//! The editor looks as in the docs. `cargo xtask screenshots` draws the pictures anew.

use crate::{
    bench::{Bench, fader_of, shown_button_of, solo_of},
    song,
};
use image::RgbImage;
use nice_plug::params::Param;
use separator::testing::TestModel;
use slicqt::Design;
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use unbraid_plugin::{
    editor::{theme, touch::Touch},
    mix_controls::Control,
    model_shelf::Shelf,
    reporter::Activity,
};

/// Set by `cargo xtask screenshots`.
const WRITE_VARIABLE: &str = "UNBRAID_WRITE_SCREENSHOTS";
/// A pixel differs when one of its channels does by more than this: other processors round otherwise.
const CHANNEL_TOLERANCE: u8 = 24;
/// So many of 1000 pixels may differ.
const PIXEL_TOLERANCE: usize = 2;

/// A song that plays, with the vocals down.
fn playing(scale: f32, is_light: bool) -> Bench {
    let mut bench = Bench::new(scale);
    bench.view.settings.is_light = is_light;
    bench.view.settings.scale_percent = (100.0 * scale) as u16;
    bench.view.track_name = "Band bus".into();
    bench.board.update(|status| {
        status.activity = Activity::Running;
        status.model = Some("mix".into());
        (status.load, status.late_hops) = (0.34, 0);
        (status.latency_samples, status.sample_rate_hz) = (4_032, 44_100.0);
        status.message = Some("Unbraid runs the model 'mix'".into());
    });
    set_gain(&bench.view.touch().clone(), &bench, 0, -12.0);
    set_gain(&bench.view.touch().clone(), &bench, 2, 2.5);
    let (touch, drums) = (bench.view.touch().clone(), &bench.params.drums);
    touch.set_once(&drums.mute, Control::Mute(1), 1.0);
    touch.set_once(&bench.params.other.pan, Control::Pan(3), 0.3);
    touch.set_once(&bench.params.vocals.sensitivity, Control::Sensitivity(0), 0.35);
    bench.hear(song::columns());
    bench.play([0.12, 0.0, 0.5, 0.3, 1.2]);
    bench
}

fn set_gain(touch: &Touch, bench: &Bench, stem_idx: usize, gain_db: f32) {
    let param = &bench.params.stems()[stem_idx].gain;
    touch.set_once(param, Control::Gain(stem_idx), param.preview_normalized(gain_db));
}

fn stored_path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures")).join(name)
}

/// How many pixels differ, in 1000.
fn difference(a: &RgbImage, b: &RgbImage) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    let differs = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| {
        a.0.iter().zip(b.0).any(|(&a, b)| a.abs_diff(b) > CHANNEL_TOLERANCE)
    };
    let num_different = a.pixels().zip(b.pixels()).filter(|&pair| differs(pair)).count();
    (1000 * num_different).div_ceil(a.pixels().len())
}

/// The part of a picture with the spectrogram.
fn spectrogram(picture: &RgbImage) -> RgbImage {
    let top = (2.0 * theme::GAP + theme::HEADER_HEIGHT) as u32;
    let (left, width) = (130, picture.width() - 150);
    image::imageops::crop_imm(picture, left, top, width, theme::SPECTROGRAM_HEIGHT as u32).to_image()
}

fn check(name: &str, picture: &RgbImage) {
    let path = stored_path(name);
    if env::var_os(WRITE_VARIABLE).is_some() {
        picture.save(&path).unwrap();
        println!("{}", path.display());
        return;
    }
    let stored = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8();
    let difference = difference(picture, &stored);
    if difference > PIXEL_TOLERANCE {
        let drawn = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        picture.save(&drawn).unwrap();
        panic!(
            "{difference} of 1000 pixels differ from {}; drawn: {}. If that is meant: cargo xtask screenshots",
            path.display(),
            drawn.display()
        );
    }
}

#[test]
fn dark_at_100_percent() {
    check("editor-dark-100.png", &playing(1.0, false).picture());
}

#[test]
fn dark_at_200_percent() {
    check("editor-dark-200.png", &playing(2.0, false).picture());
}

#[test]
fn light_at_100_percent() {
    check("editor-light-100.png", &playing(1.0, true).picture());
}

#[test]
fn light_at_200_percent() {
    check("editor-light-200.png", &playing(2.0, true).picture());
}

#[test]
fn small_and_in_trouble() {
    let mut bench = playing(1.0, false);
    bench.resize(theme::MIN_WINDOW_SIZE);
    bench.board.update(|status| {
        status.activity = Activity::PassingThrough;
        (status.load, status.late_hops, status.model) = (0.97, 12, None);
        status.message = Some(
            "Unbraid passes the mix through: no model 'mix' in /usr/lib/clap/Unbraid/models. Then switch the plugin off \
             and on again"
                .into(),
        );
    });
    check("editor-trouble.png", &bench.picture());
}

/// The stems as they are, each in its colour.
fn all_heard() -> Bench {
    let bench = playing(1.0, false);
    let (touch, drums) = (bench.view.touch().clone(), &bench.params.drums);
    touch.set_once(&drums.mute, Control::Mute(1), 0.0);
    bench
}

#[test]
fn spectrogram_of_a_song() {
    check("editor-spectrogram.png", &all_heard().picture());
}

#[test]
fn a_stem_is_shown_alone_when_soloed_or_selected() {
    let mut bench = all_heard();
    let before = bench.picture();
    bench.click(solo_of(0));
    let soloed = spectrogram(&bench.picture());
    bench.click(solo_of(0));
    assert_eq!(difference(&spectrogram(&before), &spectrogram(&bench.picture())), 0);
    bench.click(shown_button_of(0));
    let selected = spectrogram(&bench.picture());
    assert_eq!(difference(&soloed, &selected), 0);
    assert!(difference(&spectrogram(&before), &selected) > 100);
    bench.click(shown_button_of(0));
    assert_eq!(difference(&spectrogram(&before), &spectrogram(&bench.picture())), 0);
}

/// A model with these facts in `dir`.
fn write_model(dir: &Path, design: Design, licence: &str, scores: [f64; 4], cost: &str) {
    let mut manifest = TestModel { design, ..TestModel::identity() }.write(dir).unwrap().manifest;
    manifest.licence = licence.into();
    let of_stems = separator::STEMS.map(String::from).into_iter().zip(scores);
    manifest.scores.insert("songs".into(), of_stems.collect());
    manifest.write(dir).unwrap();
    fs::write(dir.join("CARD.md"), format!("| processor time | {cost} |\n")).unwrap();
}

#[test]
fn the_menu_of_models() {
    let dir = tempfile::tempdir().unwrap();
    let stft = |fft_len, hop_len| Design::stft(fft_len, hop_len, 44_100.0);
    let write =
        |name: &str, design, licence, scores, cost| write_model(&dir.path().join(name), design, licence, scores, cost);
    write("first", Design::bark_262(), "CC-BY-NC-SA-4.0", [6.4, 5.6, 2.6, 3.4], "4.0 % of one core");
    write("mix", stft(3072, 768), "CC-BY-SA-4.0", [6.7, 6.2, 3.3, 4.0], "5.2 % of one core");
    TestModel { blocks: Some((8, 0)), ..TestModel::identity() }.write(&dir.path().join("spleeter-2stems")).unwrap();
    let mut bench = playing(1.0, false);
    bench.view.shelf = Shelf::of(vec![dir.path().to_owned()]);
    bench.open_model_menu();
    check("editor-models.png", &bench.picture());
}

#[test]
fn a_moved_fader_is_a_different_picture() {
    let mut bench = playing(1.0, false);
    let before = bench.picture();
    assert_eq!(difference(&before, &bench.picture()), 0);
    bench.drag_up(fader_of(1), 60);
    assert!(difference(&before, &bench.picture()) > PIXEL_TOLERANCE);
}
