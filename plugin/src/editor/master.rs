//! The strip of the mix: what comes out, and bypass.

use super::{
    View, fader,
    strip::{Layout, ground},
    theme::Theme,
    toggle::Toggle,
};
use crate::{gestures::Touched as Control, meters::MIX_METER};
use egui::{Rect, Ui};

/// The strip, in `rect`.
pub fn master(view: &mut View, ui: &mut Ui, rect: Rect, theme: &Theme) {
    let layout = Layout::new(rect, 1);
    let params = view.params.clone();
    ground(ui, rect, &layout, "Mix", theme.mix, theme);
    // No fader here, so the meter moves to its numbers.
    let ticks = layout.ticks.translate(egui::vec2(layout.fader.width() / 2.0, 0.0));
    let meter = layout.meter.translate(egui::vec2(-layout.fader.width() / 2.0, 0.0));
    let scale = params.fader(0);
    fader::ticks(ui, ticks, scale, theme);
    view.meters_shown[MIX_METER].show(ui, meter, scale, theme.mix, theme);
    let bypass = Toggle {
        param: &params.bypass,
        control: Control::Bypass,
        label: "Bypass",
        hint: "The mix as it came, with the same latency",
        colour: theme.mute,
    };
    bypass.show(ui, layout.rows[0], theme, &view.touch);
}
