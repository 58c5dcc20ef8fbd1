//! The strip of the mix: what comes out, its gain, how much of it is the new mix, bypass, and A and B.

use super::{
    View, fader,
    param_input::Dial,
    slider::slider,
    strip::{GAIN_MENU, GAIN_STEP_DB, Layout, NUM_ROWS, ground},
    theme::{self, Theme},
    toggle::{Toggle, button},
    value_field::value_field,
};
use crate::{meters::MIX_METER, mix_controls::Control};
use egui::{Rect, Ui, vec2};

/// Values of the menu of dry and wet.
const DRY_WET_MENU: [&str; 5] = ["100 %", "75 %", "50 %", "25 %", "0 %"];
/// One step of it, in percent.
const DRY_WET_STEP: f32 = 5.0;

/// The strip, in `rect`.
pub fn master(view: &mut View, ui: &mut Ui, rect: Rect, theme: &Theme) {
    let layout = Layout::new(rect, NUM_ROWS);
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
    comparison(view, ui, layout.rows[3], theme);
}

/// Two settings to compare: which of them is heard, and a button that makes the other the same.
fn comparison(view: &mut View, ui: &mut Ui, rect: Rect, theme: &Theme) {
    let gap = theme::GAP / 2.0;
    let width = (rect.width() - 2.0 * gap) / 4.0;
    let is_b = view.comparison.is_b();
    for (idx, (label, is_heard)) in [("A", !is_b), ("B", is_b)].into_iter().enumerate() {
        let rect = Rect::from_min_size(rect.min + vec2(idx as f32 * (width + gap), 0.0), vec2(width, rect.height()));
        let hint = format!("Setting {label} of all controls but bypass");
        let response = button(ui, rect, label, label, is_heard.then_some(theme.mix), theme).on_hover_text(hint);
        if response.clicked() && !is_heard {
            view.comparison.toggle(&view.params, &view.touch);
        }
    }
    let rect = rect.with_min_x(rect.left() + 2.0 * (width + gap));
    let hint = if is_b { "Makes A the same as B" } else { "Makes B the same as A" };
    if button(ui, rect, "copy", "Copy", None, theme).on_hover_text(hint).clicked() {
        view.comparison.copy(&view.params);
    }
}
