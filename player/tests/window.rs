//! The window of a song without a display: its picture, and what a click does.

#[path = "../../plugin/tests/editor/rasterizer.rs"]
mod rasterizer;

use audio::{WavFormat, WavWriter};
use egui::{Event, Modifiers, PointerButton, Pos2, RawInput, Rect, pos2};
use player::{
    player::Player,
    separating::Engine,
    timeline,
    window::{Shown, Window},
};
use rasterizer::Rasterizer;
use separator::testing;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use unbraid_plugin::editor::{settings::SettingsFile, theme};

const RATE_HZ: u32 = 44_100;
const LEN_S: f64 = 8.0;

struct Bench {
    player: Arc<Player>,
    window: Window,
    ctx: egui::Context,
    rasterizer: Rasterizer,
    time_s: f64,
    modifiers: Modifiers,
    last: Option<egui::FullOutput>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let song = dir.path().join("A song.wav");
        let sample = |n: usize| {
            let t = n as f64 / f64::from(RATE_HZ);
            let pluck = (-(t % 0.5) * 5.0).exp();
            (pluck * (std::f64::consts::TAU * 220.0 * (1.0 + (t / 2.0).floor()) * t).sin() * 0.7) as f32
        };
        let mix: Vec<f32> = (0..(LEN_S * f64::from(RATE_HZ)) as usize).map(sample).collect();
        let mut writer = WavWriter::create(&song, RATE_HZ, WavFormat::Float32).unwrap();
        writer.write([&mix, &mix]).unwrap();
        writer.finish().unwrap();
        let model = testing::TestModel::with_masks([0.6, 0.2, 0.1, 0.1]).write(&dir.path().join("model")).unwrap();
        let runtime = separator::find_runtime(&[concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime").into()]);
        let engine = Engine { runtime: runtime.unwrap(), model };
        // The playback is not asked: time stands still, and every picture is the same.
        let (player, _) = Player::open(&song, engine).unwrap();
        let player = Arc::new(player);
        let shown = Shown {
            params: player.params.clone(),
            board: player.board.clone(),
            meters: player.meters.clone(),
            spectra: player.spectra.clone(),
        };
        let mut window = Window::new(shown, Some(player.clone()), SettingsFile::default());
        window.connect();
        let mut bench = Bench {
            player,
            window,
            ctx: egui::Context::default(),
            rasterizer: Rasterizer::default(),
            time_s: 10.0,
            modifiers: Modifiers::NONE,
            last: None,
            _dir: dir,
        };
        let start = Instant::now();
        while !bench.player.is_complete() {
            bench.frame(Vec::new());
            thread::sleep(Duration::from_millis(2));
            assert!(start.elapsed() < Duration::from_secs(120), "the stems do not come: {:?}", bench.player.error());
        }
        bench.frame(Vec::new());
        bench
    }

    fn frame(&mut self, events: Vec<Event>) {
        self.time_s += 1.0 / 30.0;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, self.window.size())),
            time: Some(self.time_s),
            events,
            focused: true,
            ..RawInput::default()
        };
        let window = &mut self.window;
        let output = self.ctx.run_ui(input, |ui| window.draw(ui));
        self.rasterizer.take_textures(&output);
        self.last = Some(output);
    }

    fn shift(&mut self, is_down: bool) {
        self.modifiers.shift = is_down;
        self.frame(vec![Event::ModifiersChanged(self.modifiers)]);
    }

    fn pointer(&mut self, pos: Pos2, pressed: Option<bool>) {
        let mut events = vec![Event::PointerMoved(pos)];
        let modifiers = self.modifiers;
        events.extend(pressed.map(|pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers,
        }));
        self.frame(events);
    }

    fn picture(&mut self) -> image::RgbImage {
        self.frame(Vec::new());
        self.frame(Vec::new());
        let size = self.window.size();
        self.rasterizer.draw(&self.ctx, self.last.take().unwrap(), size)
    }
}

/// A place in the waveform, as a share of the song.
fn at(share: f32) -> Pos2 {
    pos2(theme::GAP + share * (theme::WINDOW_SIZE.x - 2.0 * theme::GAP), timeline::HEIGHT - 20.0)
}

#[test]
fn a_press_goes_there_and_a_drag_with_shift_makes_a_loop() {
    let mut bench = Bench::new();
    let len = bench.player.song.known_len().unwrap();
    let share = |position: i64| position as f64 / len as f64;
    bench.pointer(at(0.5), None);
    bench.pointer(at(0.5), Some(true));
    assert!((share(bench.player.transport.position()) - 0.5).abs() < 0.01, "when the button goes down");
    bench.pointer(at(0.5), Some(false));
    bench.shift(true);
    bench.pointer(at(0.25), None);
    bench.pointer(at(0.25), Some(true));
    bench.pointer(at(0.4), None);
    bench.pointer(at(0.6), None);
    bench.pointer(at(0.6), Some(false));
    bench.shift(false);
    let range = bench.player.transport.active_loop().expect("a loop");
    assert!((share(range.start) - 0.25).abs() < 0.01 && (share(range.end) - 0.6).abs() < 0.01, "{range:?}");
    assert!((share(bench.player.transport.position()) - 0.5).abs() < 0.01, "the place stays");
    bench.pointer(at(0.9), None);
    assert_eq!(bench.player.transport.active_loop(), Some(range));
}

#[test]
fn the_picture_is_that_of_the_docs() {
    let mut bench = Bench::new();
    let len = bench.player.song.known_len().unwrap();
    bench.player.seek(len * 3 / 4);
    bench.player.transport.set_loop_range(len / 4..len / 2);
    let picture = bench.picture();
    let path = std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures/player.png"));
    if std::env::var_os("UNBRAID_WRITE_SCREENSHOTS").is_some() {
        picture.save(&path).unwrap();
        println!("{}", path.display());
        return;
    }
    let stored = image::open(&path).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), stored.dimensions());
    let differs = |(a, b): &(&image::Rgb<u8>, &image::Rgb<u8>)| a.0.iter().zip(b.0).any(|(&a, b)| a.abs_diff(b) > 24);
    let num_different = picture.pixels().zip(stored.pixels()).filter(differs).count();
    // Processing load is told as it is measured.
    let share = num_different as f64 / picture.pixels().len() as f64;
    if share > 0.004 {
        let drawn = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("player.png");
        picture.save(&drawn).unwrap();
        panic!("{:.2} % of the pixels differ; drawn: {}", 100.0 * share, drawn.display());
    }
}
