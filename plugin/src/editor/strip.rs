//! The strip of a stem: name, fader, meter, value, mute, solo, pan, sensitivity.

use super::{
    View, fader,
    param_input::Dial,
    slider::slider,
    theme::{self, Theme},
    toggle::Toggle,
    value_field::value_field,
};
use crate::mix_controls::Control;
use egui::{Align2, CornerRadius, Rect, Ui, pos2, vec2};

/// Values of the menu of a gain.
pub const GAIN_MENU: [&str; 9] = ["+6 dB", "+3 dB", "0 dB", "-3 dB", "-6 dB", "-12 dB", "-18 dB", "-24 dB", "-inf dB"];
/// One step of a gain, in dB.
pub const GAIN_STEP_DB: f32 = 0.5;
/// Values of the menu of a pan.
const PAN_MENU: [&str; 5] = ["L100", "L50", "C", "R50", "R100"];
/// One step of a pan, in hundredths.
const PAN_STEP: f32 = 5.0;

/// Values of the menu of a sensitivity.
const SENSITIVITY_MENU: [&str; 5] = ["+100 %", "+50 %", "0 %", "-50 %", "-100 %"];
/// One step of it, in percent.
const SENSITIVITY_STEP: f32 = 5.0;
/// What it does.
const SENSITIVITY_HINT: &str = "Sensitivity. To the left only what is surely of this stem (sharp masks), to the right also \
                                what it shares with others (soft masks). Heard with the latency";

/// Rows below a fader.
pub const NUM_ROWS: usize = 4;

/// The parts of a strip, from left to right and from top to bottom.
pub struct Layout {
    /// Where the name stands.
    pub name: Rect,
    /// The numbers beside the fader.
    pub ticks: Rect,
    /// The fader.
    pub fader: Rect,
    /// The meter; its number stands above it.
    pub meter: Rect,
    /// `[row]`, from the top: the rows below the fader.
    pub rows: Vec<Rect>,
}

impl Layout {
    /// Cuts `rect` up, with `num_rows` below the fader.
    pub fn new(rect: Rect, num_rows: usize) -> Self {
        let inner = rect.shrink(theme::GAP);
        let row_step = theme::ROW_HEIGHT + theme::GAP / 2.0;
        let first_row = inner.bottom() - num_rows as f32 * row_step + theme::GAP / 2.0;
        let rows = (0..num_rows).map(|row| {
            let top = first_row + row as f32 * row_step;
            Rect::from_min_size(pos2(inner.left(), top), vec2(inner.width(), theme::ROW_HEIGHT))
        });
        let name = Rect::from_min_size(inner.min, vec2(inner.width(), 24.0));
        let y_range = name.bottom() + 18.0..=first_row - theme::GAP;
        let column = |from: f32, width: f32| Rect::from_x_y_ranges(from..=from + width, y_range.clone());
        // Ticks, fader and meter stand in the middle of what is there.
        let (ticks_width, fader_width, meter_width) = (34.0, theme::FADER_CAP.x + 4.0, 2.0 * theme::METER_WIDTH + 2.0);
        let total = ticks_width + fader_width + theme::GAP + meter_width + 12.0;
        let left = inner.center().x - total / 2.0;
        let fader_left = left + ticks_width;
        Layout {
            name,
            ticks: column(left, ticks_width),
            fader: column(fader_left, fader_width),
            meter: column(fader_left + fader_width + theme::GAP, meter_width),
            rows: rows.collect(),
        }
    }
}

/// A strip's ground and name.
pub fn ground(ui: &Ui, rect: Rect, layout: &Layout, name: &str, colour: egui::Color32, theme: &Theme) {
    ui.painter().rect_filled(rect, theme::CORNER, theme.panel);
    let edge = Rect::from_min_size(rect.min, vec2(rect.width(), 4.0));
    let top = CornerRadius { nw: theme::CORNER as u8, ne: theme::CORNER as u8, sw: 0, se: 0 };
    ui.painter().rect_filled(edge, top, colour);
    ui.painter().text(layout.name.center(), Align2::CENTER_CENTER, name, theme::name_font(), theme.text);
}

/// The strip of the stem with this index, in `rect`.
pub fn strip(view: &mut View, ui: &mut Ui, rect: Rect, stem_idx: usize, theme: &Theme) {
    let layout = Layout::new(rect, NUM_ROWS);
    let colour = theme.stems[stem_idx];
    let params = view.params.clone();
    let stem = params.stems()[stem_idx];
    ground(ui, rect, &layout, STEM_NAMES[stem_idx], colour, theme);
    let dial = Dial {
        param: &stem.gain,
        control: Control::Gain(stem_idx),
        step: GAIN_STEP_DB,
        label: "Gain",
        menu: &GAIN_MENU,
    };
    fader::ticks(ui, layout.ticks, &stem.gain, theme);
    fader::fader(ui, layout.fader, &dial, colour, theme, &view.touch, &mut view.typing);
    view.meters_shown[stem_idx].show(ui, layout.meter, &stem.gain, colour, theme);
    value_field(ui, layout.rows[0], &dial, theme, &view.touch, &mut view.typing);
    mute_and_solo(view, ui, layout.rows[1], stem_idx, theme);
    let pan = Dial { param: &stem.pan, control: Control::Pan(stem_idx), step: PAN_STEP, label: "Pan", menu: &PAN_MENU };
    slider(ui, layout.rows[2], &pan, colour, theme, &view.touch, &mut view.typing);
    let sensitivity = Dial {
        param: &stem.sensitivity,
        control: Control::Sensitivity(stem_idx),
        step: SENSITIVITY_STEP,
        label: "Sens",
        menu: &SENSITIVITY_MENU,
    };
    let response = slider(ui, layout.rows[3], &sensitivity, colour, theme, &view.touch, &mut view.typing);
    response.map(|response| response.on_hover_text(SENSITIVITY_HINT));
}

fn mute_and_solo(view: &mut View, ui: &mut Ui, rect: Rect, stem_idx: usize, theme: &Theme) {
    let params = view.params.clone();
    let stem = params.stems()[stem_idx];
    let (left, right) = rect.split_left_right_at_fraction(0.5);
    let gap = vec2(theme::GAP / 4.0, 0.0);
    let mute = Toggle {
        param: &stem.mute,
        control: Control::Mute(stem_idx),
        label: "Mute",
        hint: "Not heard; the fader stays where it is",
        colour: theme.mute,
    };
    mute.show(ui, left.with_max_x(left.right() - gap.x), theme, &view.touch);
    let solo = Toggle {
        param: &stem.solo,
        control: Control::Solo(stem_idx),
        label: "Solo",
        hint: "Only what is soloed is heard. With Shift or Ctrl: this one alone",
        colour: theme.solo,
    };
    let response = solo.show(ui, right.with_min_x(right.left() + gap.x), theme, &view.touch);
    if response.clicked() && ui.input(|input| input.modifiers.shift || input.modifiers.command) {
        // The click has switched this one; alone means on, and the others off.
        for (idx, stem) in params.stems().into_iter().enumerate() {
            let wanted = if idx == stem_idx { 1.0 } else { 0.0 };
            if view.touch.value(&stem.solo) != wanted {
                view.touch.set_once(&stem.solo, Control::Solo(idx), wanted);
            }
        }
    }
}

/// As shown, in the order of [`separator::STEMS`].
pub const STEM_NAMES: [&str; 4] = ["Vocals", "Drums", "Bass", "Other"];
