//! The window in the host.

use super::{View, settings::SettingsFile, theme::MIN_WINDOW_SIZE, touch::Touch};
use crate::{meters::Meters, model_shelf::Shelf, params::UnbraidParams, reporter::StatusBoard};
use nice_plug::{
    context::gui::GuiContext,
    editor::{
        Editor, EditorHandle, HostMethods, ParentWindowHandle, ResizeHint, SpawnedEditor,
        dpi::{LogicalSize, NativeSize},
    },
    prelude::{Modifiers, TrackInfo, VirtualKeyCode},
};
use nice_plug_egui::{
    EguiEditor, EguiEditorHandle, EguiEditorState, EguiNiceSettings, Frame, GraphicsConfig, NiceEguiApp,
    RepaintNotifier, baseview, create_egui_editor,
};
use separator::SpectrumFeed;
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The editor of an instance, whether it is open or not.
pub struct UnbraidEditor {
    inner: EguiEditor<App>,
    /// The scale of the menu at the start.
    first_scale: f32,
    has_resized: Arc<AtomicBool>,
    touch: Touch,
    spectra: Arc<SpectrumFeed>,
}

impl UnbraidEditor {
    /// None if egui has none to offer.
    pub fn new(
        params: Arc<UnbraidParams>,
        board: Arc<StatusBoard>,
        meters: Arc<Meters>,
        spectra: Arc<SpectrumFeed>,
    ) -> Option<Self> {
        let mut view = View::new(params, board, meters, spectra.clone(), SettingsFile::of_user());
        view.shelf = Shelf::installed();
        let touch = view.touch().clone();
        let size = LogicalSize::new(view.settings.width, view.settings.height);
        let state = EguiEditorState::from_size(size, view.settings.scale());
        let smallest = LogicalSize::new(MIN_WINDOW_SIZE.x, MIN_WINDOW_SIZE.y);
        let settings = EguiNiceSettings::new()
            .with_tile("Unbraid")
            .with_graphics_config(graphics())
            .with_resize_hint(ResizeHint::resizable().with_min_logical_size(smallest));
        let (first_scale, has_resized) = (view.settings.scale(), Arc::new(AtomicBool::new(false)));
        let app = App { view, applied_percent: 0, has_resized: has_resized.clone() };
        let inner = create_egui_editor(state, RepaintNotifier::new(), settings, app)?;
        Some(UnbraidEditor { inner, first_scale, has_resized, touch, spectra })
    }
}

/// Plain colours need neither dithering nor depth, and a machine without a graphics card pays for both.
pub fn graphics() -> GraphicsConfig {
    let mut config = GraphicsConfig { dithering: false, ..GraphicsConfig::default() };
    (config.gl_config.depth_bits, config.gl_config.stencil_bits) = (0, 0);
    config
}

/// What nice-plug-egui calls while the window is open.
struct App {
    view: View,
    /// The scale that the window has.
    applied_percent: u16,
    /// Whether the window has told its size yet.
    has_resized: Arc<AtomicBool>,
}

impl NiceEguiApp for App {
    fn build(
        &mut self,
        egui_ctx: egui::Context,
        nice_gui_ctx: GuiContext,
        _frame: &mut Frame,
    ) -> Result<(), baseview::HandlerError> {
        self.view.touch().connect(nice_gui_ctx);
        self.view.spectrogram.set_open(true);
        self.applied_percent = self.view.settings.scale_percent;
        // Plus and minus belong to values, and a scale of our own is in the menu.
        egui_ctx.options_mut(|options| options.zoom_with_keyboard = false);
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut Frame) {
        self.view.ui(ui);
        if self.applied_percent != self.view.settings.scale_percent {
            self.applied_percent = self.view.settings.scale_percent;
            // egui-baseview then asks the host for a window that is as much larger.
            ui.ctx().set_zoom_factor(self.view.settings.scale());
        }
    }

    fn resized(&mut self, new_size: baseview::WindowSize) {
        let (width, height) = (new_size.logical.width as f32, new_size.logical.height as f32);
        if width >= 1.0 && height >= 1.0 {
            (self.view.settings.width, self.view.settings.height) = (width, height);
            self.has_resized.store(true, Ordering::Relaxed);
        }
    }

    fn track_info_changed(&mut self, info: TrackInfo) {
        self.view.track_name = info.name().to_owned();
    }
}

impl Editor for UnbraidEditor {
    type Handle = Handle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui_context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Handle>, Box<dyn Error>> {
        let spawned = self.inner.spawn(parent, wait_for_parent, fallback_scale_factor, gui_context, host)?;
        let handle = Handle { inner: spawned.handle, touch: self.touch.clone(), spectra: self.spectra.clone() };
        Ok(SpawnedEditor { handle, window: spawned.window })
    }

    fn size(&self) -> NativeSize<u32> {
        let size = self.inner.size();
        if self.has_resized.load(Ordering::Relaxed) {
            return size;
        }
        // Until then nice-plug-egui leaves the scale of the menu out, and the host would make too small a window.
        let scaled = |len: u32| (len as f32 * self.first_scale).round() as u32;
        NativeSize::new(scaled(size.width), scaled(size.height))
    }

    fn resize_hint(&self) -> ResizeHint {
        self.inner.resize_hint()
    }

    fn track_info_updated(&self, info: TrackInfo) {
        self.inner.track_info_updated(info);
    }
}

/// Of an open window.
pub struct Handle {
    inner: EguiEditorHandle,
    touch: Touch,
    spectra: Arc<SpectrumFeed>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.touch.disconnect();
        self.spectra.set_wanted(false);
    }
}

impl EditorHandle for Handle {
    type Window = baseview::Window;
    type Error = baseview::Error;

    fn run_until_closed(window: Self::Window) -> Result<(), Self::Error> {
        EguiEditorHandle::run_until_closed(window)
    }

    fn set_parent(&self, parent: ParentWindowHandle, window: &Self::Window) -> Result<(), Self::Error> {
        self.inner.set_parent(parent, window)
    }

    fn show(&self, window: &Self::Window) -> Result<(), Self::Error> {
        self.inner.show(window)
    }

    fn hide(&self, window: &Self::Window) -> Result<(), Self::Error> {
        self.inner.hide(window)
    }

    fn set_size(&self, new_size: NativeSize<u32>, window: &Self::Window) -> Result<(), Self::Error> {
        self.inner.set_size(new_size, window)
    }

    fn host_main_thread_callback(&self, window: &Self::Window) {
        self.inner.host_main_thread_callback(window);
    }

    fn adjust_size(&self, new_size: NativeSize<u32>, window: &Self::Window) -> Option<NativeSize<u32>> {
        self.inner.adjust_size(new_size, window)
    }

    fn set_fallback_scale_factor(&self, scale_factor: f64, window: &Self::Window) -> Result<(), Self::Error> {
        self.inner.set_fallback_scale_factor(scale_factor, window)
    }

    fn on_virtual_key_from_host(&self, key_code: VirtualKeyCode, is_down: bool, modifiers: Modifiers) -> bool {
        self.inner.on_virtual_key_from_host(key_code, is_down, modifiers)
    }

    fn state_changed(&self) {
        self.inner.state_changed();
    }

    fn param_value_changed(&self, id: &str, normalized_value: f32) {
        self.inner.param_value_changed(id, normalized_value);
    }

    fn param_modulation_changed(&self, id: &str, modulation_offset: f32) {
        self.inner.param_modulation_changed(id, modulation_offset);
    }
}
