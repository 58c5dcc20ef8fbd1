//! The plugin's editor in a window of its own, and above it the timeline if there is a song.

use crate::{
    installation,
    player::Player,
    timeline::{self, Timeline},
};
use anyhow::{Result, anyhow};
use egui::{Rect, UiBuilder};
use nice_plug::{
    context::{
        PluginApi,
        gui::{GuiContext, GuiContextInner},
    },
    editor::{Editor, EditorHandle, ResizeHint, dpi::LogicalSize},
    params::internals::ParamPtr,
    prelude::PluginState,
};
use nice_plug_egui::{
    EguiEditorHandle, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, baseview,
    create_egui_editor,
};
use separator::SpectrumFeed;
use std::sync::Arc;
use unbraid_plugin::{
    editor::{
        View,
        settings::SettingsFile,
        spectrum_history::{COLUMN_S, SpectrumHistory},
        theme::{self, Theme},
        window::graphics,
    },
    meters::Meters,
    model_shelf::Shelf,
    params::UnbraidParams,
    reporter::StatusBoard,
};

/// Columns of spectra that are kept at most: a quarter of an hour, 60 MB.
const MAX_COLUMNS: usize = 100_000;

/// A host that obeys at once and has nothing to say.
struct OwnHost {
    /// Parameters must live as long as pointers to them.
    _params: Arc<UnbraidParams>,
}

impl GuiContextInner for OwnHost {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }
    unsafe fn raw_begin_set_parameter(&self, _param: ParamPtr) {}
    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        // SAFETY: the editor only names parameters of `_params`.
        unsafe { param._internal_set_normalized_value(normalized) };
    }
    unsafe fn raw_end_set_parameter(&self, _param: ParamPtr) {}
    fn get_state(&self) -> PluginState {
        unimplemented!("the editor does not ask for states")
    }
    fn set_state(&self, _state: PluginState) {
        unimplemented!("the editor does not set states")
    }
    fn request_restart(&self) {}
}

/// The parts that an editor shows.
pub struct Shown {
    /// The controls.
    pub params: Arc<UnbraidParams>,
    /// How things are.
    pub board: Arc<StatusBoard>,
    /// Levels.
    pub meters: Arc<Meters>,
    /// What the stems are made of.
    pub spectra: Arc<SpectrumFeed>,
}

/// A view with or without a song.
pub struct Window {
    view: View,
    song: Option<(Arc<Player>, Timeline)>,
    /// The scale that the window has.
    applied_percent: u16,
    params: Arc<UnbraidParams>,
}

impl Window {
    /// Of a song, or of what a sound card records.
    pub fn new(shown: Shown, player: Option<Arc<Player>>, file: SettingsFile) -> Self {
        let Shown { params, board, meters, spectra } = shown;
        let mut view = View::new(params.clone(), board, meters, spectra.clone(), file);
        view.shelf = Shelf::of(installation::model_dirs());
        if let Some(player) = &player {
            // Stems come long before they are played.
            let len_s = player.song.likely_len() as f64 / f64::from(player.song.sample_rate_hz());
            view.spectrogram.history = SpectrumHistory::new(((len_s / COLUMN_S) as usize + 500).min(MAX_COLUMNS));
            spectra.set_wanted(true);
            player.follow_choice();
        }
        let song = player.map(|player| (player, Timeline::default()));
        Window { view, song, applied_percent: 0, params }
    }

    /// Connects the controls. Before the first frame.
    pub fn connect(&mut self) {
        self.view.touch().connect(GuiContext::new(Arc::new(OwnHost { _params: self.params.clone() })));
        if self.song.is_none() {
            self.view.spectrogram.set_open(true);
        }
    }

    /// What is above the editor, in points.
    fn extra_height(&self) -> f32 {
        if self.song.is_some() { timeline::HEIGHT + theme::GAP } else { 0.0 }
    }

    /// The size at 100 %, in points.
    pub fn size(&self) -> egui::Vec2 {
        self.view.settings.size() + egui::vec2(0.0, self.extra_height())
    }

    /// Draws a frame and does what the user asks for.
    pub fn draw(&mut self, ui: &mut egui::Ui) {
        let whole = ui.max_rect();
        let editor = whole.with_min_y(whole.top() + self.extra_height());
        if let Some((player, timeline)) = &mut self.song {
            player.update_board();
            let rate_hz = f64::from(player.song.sample_rate_hz());
            self.view.song_end_s = Some(player.transport.position() as f64 / rate_hz);
            let theme = Theme::of(self.view.settings.is_light);
            ui.painter().rect_filled(whole.expand(2.0), 0.0, theme.background);
            let rect = Rect::from_min_max(whole.min, editor.right_top()).shrink2(egui::vec2(theme::GAP, 0.0));
            timeline.show(ui, rect.with_min_y(rect.top() + theme::GAP), player, theme);
        }
        ui.scope_builder(UiBuilder::new().max_rect(editor), |ui| self.view.ui(ui));
    }

    /// Opens the window and waits until it is closed.
    ///
    /// # Errors
    /// There is no display, or it cannot draw.
    pub fn run(mut self, title: &str) -> Result<()> {
        let (size, extra) = (self.size(), self.extra_height());
        let smallest = LogicalSize::new(theme::MIN_WINDOW_SIZE.x, theme::MIN_WINDOW_SIZE.y + extra);
        let settings = EguiNiceSettings::new()
            .with_tile(title)
            .with_graphics_config(graphics())
            .with_resize_hint(ResizeHint::resizable().with_min_logical_size(smallest));
        let state = EguiEditorState::from_size(LogicalSize::new(size.x, size.y), self.view.settings.scale());
        let context = GuiContext::new(Arc::new(OwnHost { _params: self.params.clone() }));
        self.applied_percent = self.view.settings.scale_percent;
        let editor = create_egui_editor(state, RepaintNotifier::new(), settings, self)
            .ok_or_else(|| anyhow!("egui has no window to offer"))?;
        let spawned = editor
            .spawn(None, false, None, context, None)
            .map_err(|error| anyhow!("no window can be opened: {error}"))?;
        EguiEditorHandle::run_until_closed(spawned.window).map_err(|error| anyhow!("the window failed: {error}"))
    }
}

impl NiceEguiApp for Window {
    fn build(
        &mut self,
        egui_ctx: egui::Context,
        _nice_gui_ctx: GuiContext,
        _frame: &mut Frame,
    ) -> Result<(), baseview::HandlerError> {
        self.connect();
        egui_ctx.options_mut(|options| options.zoom_with_keyboard = false);
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut Frame) {
        self.draw(ui);
        if self.applied_percent != self.view.settings.scale_percent {
            self.applied_percent = self.view.settings.scale_percent;
            ui.ctx().set_zoom_factor(self.view.settings.scale());
        }
    }

    fn resized(&mut self, new_size: baseview::WindowSize) {
        let (width, height) = (new_size.logical.width as f32, new_size.logical.height as f32 - self.extra_height());
        if width >= 1.0 && height >= 1.0 {
            (self.view.settings.width, self.view.settings.height) = (width, height);
        }
    }
}
