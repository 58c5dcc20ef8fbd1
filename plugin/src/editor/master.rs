//! The strip of the mix: what comes out, its gain, how much of it is the new mix, and bypass.

use super::{
    View, fader,
    param_input::Dial,
    slider::slider,
    strip::{GAIN_MENU, GAIN_STEP_DB, Layout, ground},
    theme::Theme,
    toggle::Toggle,
    value_field::value_field,
};
use crate::{meters::MIX_METER, mix_controls::Control};
use egui::{Rect, Ui};

/// Values of the menu of dry and wet.
const DRY_WET_MENU: [&str; 5] = ["100 %", "75 %", "50 %", "25 %", "0 %"];
/// One step of it, in percent.
const DRY_WET_STEP: f32 = 5.0;

/// The strip, in `rect`.
pub fn master(view: &mut View, ui: &mut Ui, rect: Rect, theme: &Theme) {
    let layout = Layout::new(rect, 3);
    let params = view.params.clone();
    ground(ui, rect, &layout, "Mix", theme.mix, theme);
    let output =
        Dial { param: &params.output, control: Control::Output, step: GAIN_STEP_DB, label: "Gain", menu: &GAIN_MENU };
    fader::ticks(ui, layout.ticks, output.param, theme);
    fader::fader(ui, layout.fader, &output, theme.mix, theme, &view.touch, &mut view.typing);
    view.meters_shown[MIX_METER].show(ui, layout.meter, output.param, theme.mix, theme);
    value_field(ui, layout.rows[0], &output, theme, &view.touch, &mut view.typing);
    let bypass = Toggle {
        param: &params.bypass,
        control: Control::Bypass,
        label: "Bypass",
        hint: "The mix as it came, with the same latency",
        colour: theme.mute,
    };
    bypass.show(ui, layout.rows[1], theme, &view.touch);
    let dry_wet = Dial {
        param: &params.dry_wet,
        control: Control::DryWet,
        step: DRY_WET_STEP,
        label: "Wet",
        menu: &DRY_WET_MENU,
    };
    slider(ui, layout.rows[2], &dry_wet, theme.mix, theme, &view.touch, &mut view.typing);
}
