//! The editor on a bench: a view without a window, and a host that writes down what it hears.

use crate::rasterizer::Rasterizer;
use egui::{Context, Event, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, RawInput, Rect, Shape, Vec2, pos2};
use image::RgbImage;
use nice_plug::{
    context::{
        PluginApi,
        gui::{GuiContext, GuiContextInner},
    },
    params::{Params, internals::ParamPtr},
    prelude::PluginState,
};
use separator::{SpectrumColumn, SpectrumFeed};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use unbraid_plugin::{
    editor::{View, settings::SettingsFile, strip::NUM_ROWS, theme},
    meters::{MeterWriter, Meters},
    params::UnbraidParams,
    reporter::StatusBoard,
};

/// What a host hears of a gesture: the parameter's id, and what happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It begins.
    Begin(String),
    /// A normalized value.
    Set(String, f32),
    /// It ends.
    End(String),
}

/// A host that obeys at once.
struct Host {
    params: Arc<UnbraidParams>,
    heard: Mutex<Vec<Heard>>,
}

impl Host {
    fn hear(&self, param: ParamPtr, heard: impl FnOnce(String) -> Heard) {
        let map = self.params.param_map();
        let (id, _, _) = map.into_iter().find(|(_, known, _)| *known == param).expect("a parameter of the plugin");
        self.heard.lock().unwrap().push(heard(id));
    }
}

impl GuiContextInner for Host {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }
    unsafe fn raw_begin_set_parameter(&self, param: ParamPtr) {
        self.hear(param, Heard::Begin);
    }
    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        self.hear(param, |id| Heard::Set(id, normalized));
        // SAFETY: `hear` has found it among the parameters, which live in `self`.
        unsafe { param._internal_set_normalized_value(normalized) };
    }
    unsafe fn raw_end_set_parameter(&self, param: ParamPtr) {
        self.hear(param, Heard::End);
    }
    fn get_state(&self) -> PluginState {
        unimplemented!("the editor does not ask for states")
    }
    fn set_state(&self, _state: PluginState) {
        unimplemented!("the editor does not set states")
    }
    fn request_restart(&self) {}
}

/// A view and what is around it.
pub struct Bench {
    pub params: Arc<UnbraidParams>,
    pub board: Arc<StatusBoard>,
    pub view: View,
    meters: Arc<Meters>,
    spectra: Arc<SpectrumFeed>,
    host: Arc<Host>,
    ctx: Context,
    rasterizer: Rasterizer,
    scale: f32,
    size: Vec2,
    time_s: f64,
    modifiers: Modifiers,
    last: Option<egui::FullOutput>,
}

impl Bench {
    /// At this scale; 1 is 100 %.
    pub fn new(scale: f32) -> Self {
        Bench::with_board(scale, Arc::default())
    }

    /// The editor of the instance that this is the status of.
    pub fn with_board(scale: f32, board: Arc<StatusBoard>) -> Self {
        let (params, meters) = (Arc::new(UnbraidParams::default()), Arc::new(Meters::default()));
        let host = Arc::new(Host { params: params.clone(), heard: Mutex::default() });
        let spectra = Arc::new(SpectrumFeed::default());
        let view = View::new(params.clone(), board.clone(), meters.clone(), spectra.clone(), SettingsFile::default());
        view.touch().connect(GuiContext::new(host.clone()));
        let mut bench = Bench {
            params,
            board,
            view,
            meters,
            spectra,
            host,
            ctx: Context::default(),
            rasterizer: Rasterizer::default(),
            scale,
            size: theme::WINDOW_SIZE,
            time_s: 10.0,
            modifiers: Modifiers::NONE,
            last: None,
        };
        // egui knows its widgets from the second frame on.
        bench.frames(2);
        bench
    }

    /// The window has another size, in points.
    pub fn resize(&mut self, size: Vec2) {
        self.size = size;
        self.frames(2);
    }

    /// Goes on for `num_frames` thirtieths of a second.
    pub fn frames(&mut self, num_frames: usize) {
        for _ in 0..num_frames {
            self.frame(Vec::new());
        }
    }

    /// One frame with these events.
    pub fn frame(&mut self, events: Vec<Event>) {
        self.time_s += 1.0 / 30.0;
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, self.size)),
            time: Some(self.time_s),
            events,
            focused: true,
            ..RawInput::default()
        };
        input.viewports.entry(input.viewport_id).or_default().native_pixels_per_point = Some(self.scale);
        let view = &mut self.view;
        let output = self.ctx.run_ui(input, |ui| view.ui(ui));
        self.rasterizer.take_textures(&output);
        self.last = Some(output);
    }

    /// Everything that is written in the last frame, a line each.
    pub fn texts(&self) -> String {
        fn add(shape: &egui::Shape, texts: &mut String) {
            match shape {
                egui::Shape::Text(text) => texts.extend([text.galley.text(), "\n"]),
                egui::Shape::Vec(shapes) => shapes.iter().for_each(|shape| add(shape, texts)),
                _ => {}
            }
        }
        let mut texts = String::new();
        let shapes = self.last.iter().flat_map(|output| &output.shapes);
        shapes.for_each(|clipped| add(&clipped.shape, &mut texts));
        texts
    }

    /// Makes triangles of the last frame, as the window does before it draws them; how many.
    pub fn tessellate(&mut self) -> usize {
        let output = self.last.take().expect("a frame was drawn");
        let meshes = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        let count = |primitive: &egui::epaint::Primitive| match primitive {
            egui::epaint::Primitive::Mesh(mesh) => mesh.indices.len() / 3,
            egui::epaint::Primitive::Callback(_) => 0,
        };
        meshes.iter().map(|mesh| count(&mesh.primitive)).sum()
    }

    /// The last frame as a picture.
    pub fn picture(&mut self) -> RgbImage {
        // Texts that have just been seen for the first time lie in the textures now.
        self.frames(2);
        let output = self.last.take().expect("a frame was drawn");
        self.rasterizer.draw(&self.ctx, output, self.size)
    }

    /// The middle of the first text of the last frame that has `part` in it.
    pub fn text_with(&self, part: &str) -> Option<Pos2> {
        fn find(shape: &Shape, part: &str) -> Option<Pos2> {
            match shape {
                Shape::Text(text) if text.galley.text().contains(part) => Some(text.visual_bounding_rect().center()),
                Shape::Vec(shapes) => shapes.iter().find_map(|shape| find(shape, part)),
                _ => None,
            }
        }
        self.last.as_ref()?.shapes.iter().find_map(|clipped| find(&clipped.shape, part))
    }

    /// Opens the menu of models and waits until it has found some.
    pub fn open_model_menu(&mut self) {
        let status = self.board.get();
        let button = self.text_with(status.model.as_deref().unwrap_or("no model")).expect("the button of the models");
        self.click(button);
        let start = Instant::now();
        while self.view.shelf.models().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "the menu looks for models");
            self.frames(1);
        }
        // A menu has its size from the second frame on.
        self.frames(3);
    }

    /// Everything that the host has heard since it was asked last.
    pub fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.host.heard.lock().unwrap())
    }

    /// Plays a second of tones with these amplitudes, `[meter]`.
    pub fn play(&mut self, amplitudes: [f32; 5]) {
        let mut writer = MeterWriter::new(self.meters.clone(), 48_000.0);
        for _ in 0..30 {
            self.frames(1);
            let tone = |amplitude: f32, pitch: f32| -> Vec<f32> {
                (0..1600).map(|idx| amplitude * (idx as f32 * pitch).sin()).collect()
            };
            let signals = amplitudes.map(|amplitude| [tone(amplitude, 0.05), tone(0.8 * amplitude, 0.07)]);
            writer.write(signals.each_ref().map(|channels| channels.each_ref().map(Vec::as_slice)));
        }
        self.frames(1);
    }

    /// Time goes on as these columns come.
    pub fn hear(&mut self, columns: &[SpectrumColumn]) {
        let (mut columns, mut ahead_s) = (columns.iter(), 0.0);
        while columns.len() > 0 {
            ahead_s += 1.0 / 30.0;
            while ahead_s > 0.0
                && let Some(column) = columns.next()
            {
                self.spectra.write(1, column);
                ahead_s -= column.len_s;
            }
            self.frames(1);
        }
    }

    pub fn shift(&mut self, is_down: bool) {
        self.modifiers.shift = is_down;
        self.frame(vec![Event::ModifiersChanged(self.modifiers)]);
    }

    pub fn key(&mut self, key: Key) {
        for pressed in [true, false] {
            let modifiers = self.modifiers;
            self.frame(vec![Event::Key { key, physical_key: None, pressed, repeat: false, modifiers }]);
        }
    }

    pub fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            self.frame(vec![Event::Text(letter.to_string())]);
        }
    }

    pub fn press(&mut self, at: Pos2, pressed: bool) {
        self.button(at, PointerButton::Primary, pressed);
    }

    pub fn button(&mut self, pos: Pos2, button: PointerButton, pressed: bool) {
        let modifiers = self.modifiers;
        self.frame(vec![Event::PointerMoved(pos), Event::PointerButton { pos, button, pressed, modifiers }]);
    }

    pub fn click(&mut self, at: Pos2) {
        // The pointer is there before it clicks, as with people.
        self.move_to(at);
        self.press(at, true);
        self.press(at, false);
        self.frames(1);
    }

    pub fn move_to(&mut self, at: Pos2) {
        self.frame(vec![Event::PointerMoved(at)]);
    }

    /// Drags from `from` upwards by `up` points, a point a frame.
    pub fn drag_up(&mut self, from: Pos2, up: usize) {
        self.move_to(from);
        self.press(from, true);
        for step in 1..=up {
            self.move_to(from - egui::vec2(0.0, step as f32));
        }
        self.press(from - egui::vec2(0.0, up as f32), false);
    }

    pub fn wheel(&mut self, at: Pos2, lines: f32) {
        self.move_to(at);
        let (modifiers, delta) = (self.modifiers, egui::vec2(0.0, lines));
        self.frame(vec![Event::MouseWheel {
            unit: MouseWheelUnit::Line,
            delta,
            modifiers,
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
        }]);
    }
}

/// The middle of the fader of a stem, in a window of the usual size.
pub fn fader_of(stem_idx: usize) -> Pos2 {
    let width = (theme::WINDOW_SIZE.x - 6.0 * theme::GAP) / 5.0;
    let y = 170.0 + theme::SPECTROGRAM_HEIGHT + theme::GAP;
    pos2(theme::GAP + stem_idx as f32 * (width + theme::GAP) + width / 2.0 + 2.0, y)
}

/// The button beside the spectrogram that shows only this stem.
pub fn shown_button_of(stem_idx: usize) -> Pos2 {
    let top = 2.0 * theme::GAP + theme::HEADER_HEIGHT;
    pos2(theme::GAP + 30.0, top + (stem_idx as f32 + 0.5) * theme::SPECTROGRAM_HEIGHT / 4.0)
}

/// The value below it.
pub fn value_of(stem_idx: usize) -> Pos2 {
    row_of(stem_idx, 0)
}

/// Its mute.
pub fn mute_of(stem_idx: usize) -> Pos2 {
    row_of(stem_idx, 1) - egui::vec2(30.0, 0.0)
}

/// Its solo.
pub fn solo_of(stem_idx: usize) -> Pos2 {
    row_of(stem_idx, 1) + egui::vec2(30.0, 0.0)
}

/// Its sensitivity.
pub fn sensitivity_of(stem_idx: usize) -> Pos2 {
    row_of(stem_idx, 3)
}

/// The buttons A, B and Copy.
pub fn comparison() -> [Pos2; 3] {
    [-45.0, -13.0, 32.0].map(|x| row_of(4, 3) + egui::vec2(x, 0.0))
}

/// The middle of one of the rows below the fader.
fn row_of(stem_idx: usize, row: usize) -> Pos2 {
    let bottom = theme::WINDOW_SIZE.y - theme::FOOTER_HEIGHT - 2.5 * theme::GAP;
    let up = (NUM_ROWS - 1 - row) as f32 * (theme::ROW_HEIGHT + theme::GAP / 2.0) + theme::ROW_HEIGHT / 2.0;
    pos2(fader_of(stem_idx).x, bottom - up)
}
