//! The editor: four strips and the mix, presets, and how the instance is doing.
//!
//! Nothing of it runs on the audio thread, and while it is closed nothing runs at all. The [`View`] draws and takes input
//! and knows no window, so that tests draw it without one; [`window`] puts it into the host's.
//! - what it looks like: [`theme`], and nothing else; its size is remembered by [`settings`];
//! - what it is made of: [`strip`]s with a [`fader`], a [`level_meter`], a [`value_field`], [`slider`]s and [`toggle`]s; the
//!   [`master`] strip, [`header`] and [`footer`], [`presets`], [`ab`], the [`model_menu`];
//! - what it hears of the stems' spectra: [`spectrogram`], from a [`spectrum_history`];
//! - what input does: [`param_input`]; what the host and the audio thread hear of it: [`touch`].

pub mod ab;
pub mod fader;
pub mod footer;
pub mod header;
pub mod level_meter;
pub mod master;
pub mod model_menu;
pub mod param_input;
pub mod presets;
pub mod settings;
pub mod slider;
pub mod spectrogram;
pub mod spectrum_history;
pub mod strip;
pub mod theme;
pub mod toggle;
pub mod touch;
pub mod value_field;
pub mod window;

use crate::{
    meters::{Meters, NUM_METERS},
    model_shelf::Shelf,
    params::UnbraidParams,
    reporter::StatusBoard,
};
use ab::Comparison;
use egui::{Rect, Ui, pos2, vec2};
use level_meter::LevelMeter;
use separator::SpectrumFeed;
use settings::{Settings, SettingsFile};
use spectrogram::Spectrogram;
use std::{sync::Arc, time::Duration};
use theme::Theme;
use touch::Touch;
use value_field::Typing;

/// How often it is drawn while something moves, in frames a second.
const FRAME_RATE: f64 = 30.0;
/// How often it looks whether something moves again.
const IDLE_FRAME_RATE: f64 = 10.0;

/// Everything that is shown, and what is being done to it.
pub struct View {
    params: Arc<UnbraidParams>,
    board: Arc<StatusBoard>,
    meters: Arc<Meters>,
    /// How it looks.
    pub settings: Settings,
    file: SettingsFile,
    /// What is in the file.
    saved_settings: Settings,
    touch: Touch,
    typing: Typing,
    comparison: Comparison,
    /// The models that can be chosen.
    pub shelf: Shelf,
    is_model_menu_open: bool,
    /// `[meter]`
    meters_shown: [LevelMeter; NUM_METERS],
    /// What the stems are made of.
    pub spectrogram: Spectrogram,
    /// Of a song that is played from a file: up to where. None: a stream.
    pub song_end_s: Option<f64>,
    last_frame_s: Option<f64>,
    /// The name of the track; empty if the host does not tell.
    pub track_name: String,
}

impl View {
    /// Of an instance.
    pub fn new(
        params: Arc<UnbraidParams>,
        board: Arc<StatusBoard>,
        meters: Arc<Meters>,
        spectra: Arc<SpectrumFeed>,
        file: SettingsFile,
    ) -> Self {
        let settings = file.read();
        View {
            touch: Touch::new(params.clone()),
            params,
            board,
            meters,
            saved_settings: settings.clone(),
            settings,
            file,
            typing: Typing::default(),
            comparison: Comparison::default(),
            shelf: Shelf::default(),
            is_model_menu_open: false,
            meters_shown: [LevelMeter::default(); NUM_METERS],
            spectrogram: Spectrogram::new(spectra, spectrogram::NUM_COLUMNS),
            song_end_s: None,
            last_frame_s: None,
            track_name: String::new(),
        }
    }

    /// The hand that moves the parameters.
    pub fn touch(&self) -> &Touch {
        &self.touch
    }

    /// Draws a frame and does what the user asks for.
    pub fn ui(&mut self, ui: &mut Ui) {
        let (now_s, is_button_down) = ui.input(|input| (input.time, input.pointer.any_down()));
        self.touch.tick(now_s);
        let passed_s = self.last_frame_s.map_or(0.0, |last| (now_s - last).clamp(0.0, 10.0));
        self.last_frame_s = Some(now_s);
        let is_moving = self.update_meters(now_s, passed_s);
        match self.song_end_s {
            Some(end_s) => self.spectrogram.follow_song(end_s),
            None => self.spectrogram.follow_stream(passed_s),
        }
        let theme = Theme::of(self.settings.is_light);
        theme.apply_to(ui.ctx());
        let status = self.board.get();

        let whole = ui.max_rect();
        // Edges are smoothed; those of the window must not be.
        ui.painter().rect_filled(whole.expand(2.0), 0.0, theme.background);
        let inner = whole.shrink(theme::GAP);
        let row = |top: f32, height: f32| Rect::from_min_size(pos2(inner.left(), top), vec2(inner.width(), height));
        let header = row(inner.top(), theme::HEADER_HEIGHT);
        let footer = row(inner.bottom() - theme::FOOTER_HEIGHT, theme::FOOTER_HEIGHT);
        let spectrogram = row(header.bottom() + theme::GAP, theme::SPECTROGRAM_HEIGHT);
        let strips = Rect::from_min_max(
            pos2(inner.left(), spectrogram.bottom() + theme::GAP),
            pos2(inner.right(), footer.top() - theme::GAP / 2.0),
        );
        header::header(self, ui, header, &status, theme);
        let width = (strips.width() - 4.0 * theme::GAP) / 5.0;
        for idx in 0..5 {
            let left = strips.left() + idx as f32 * (width + theme::GAP);
            let rect = Rect::from_min_size(pos2(left, strips.top()), vec2(width, strips.height()));
            match idx {
                4 => master::master(self, ui, rect, theme),
                stem_idx => strip::strip(self, ui, rect, stem_idx, theme),
            }
        }
        let heard = self.params.mix_controls().heard_stems();
        self.spectrogram.show(ui, spectrogram, heard, theme);
        footer::footer(self, ui, footer, &status, theme);

        // Not in the middle of dragging a corner.
        if self.settings != self.saved_settings && !is_button_down {
            self.save_settings();
        }
        let frame_rate = if is_moving || !self.spectrogram.is_blank() { FRAME_RATE } else { IDLE_FRAME_RATE };
        ui.ctx().request_repaint_after(Duration::from_secs_f64(1.0 / frame_rate));
    }

    /// Whether any has moved.
    fn update_meters(&mut self, now_s: f64, passed_s: f64) -> bool {
        let former = self.meters_shown;
        for (shown, level) in self.meters_shown.iter_mut().zip(self.meters.read()) {
            shown.update(level, now_s, passed_s as f32);
        }
        former != self.meters_shown
    }

    fn save_settings(&mut self) {
        self.saved_settings = self.settings.clone();
        if let Err(error) = self.file.write(&self.settings) {
            nice_plug::prelude::nice_warn!("The editor's size and looks cannot be remembered: {error}");
        }
    }
}
