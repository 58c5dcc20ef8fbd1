//! The fader: a cap on a slot, and the decibels beside it.

use super::{
    param_input::{Dial, Direction},
    theme::{self, Theme},
    touch::Touch,
    value_field::Typing,
};
use egui::{Align2, Color32, CursorIcon, Rect, Sense, StrokeKind, Ui, pos2, vec2};
use nice_plug::params::{FloatParam, Param};

/// What stands beside a fader, in dB.
const TICKS_DB: [f32; 8] = [12.0, 6.0, 0.0, -6.0, -12.0, -24.0, -48.0, -72.0];

/// Where a fader's cap goes: the middle of it moves from the bottom of `rect` to its top.
fn way(rect: Rect) -> Rect {
    rect.shrink2(vec2(0.0, theme::FADER_CAP.y / 2.0))
}

/// The height of a gain in `rect`. Meters have the same scale.
pub fn y_of(rect: Rect, normalized: f32) -> f32 {
    let way = way(rect);
    way.bottom() - normalized * way.height()
}

/// The ticks of `param` in `rect`, with their numbers to the left and lines across to the right.
pub fn ticks(ui: &Ui, rect: Rect, param: &FloatParam, theme: &Theme) {
    for gain_db in TICKS_DB {
        let y = y_of(rect, param.preview_normalized(gain_db));
        let text = if gain_db <= -72.0 { "-inf".to_owned() } else { format!("{gain_db:+}").replace("+0", "0") };
        let colour = if gain_db == 0.0 { theme.text } else { theme.faint_text };
        ui.painter().text(pos2(rect.right() - 8.0, y), Align2::RIGHT_CENTER, text, theme::small_font(), colour);
        ui.painter().hline(rect.right() - 5.0..=rect.right(), y, (1.0, colour));
    }
}

/// The fader of `dial` in `rect`.
pub fn fader(ui: &mut Ui, rect: Rect, dial: &Dial, colour: Color32, theme: &Theme, touch: &Touch, typing: &mut Typing) {
    let id = ui.scope_id().with(("fader", dial.param.name()));
    let response = ui.interact(rect, id, Sense::click_and_drag()).on_hover_and_drag_cursor(CursorIcon::ResizeVertical);
    dial.take_input(ui, &response, Direction::Up, way(rect).height(), touch, typing);

    let y = y_of(rect, touch.value(dial.param));
    let slot = Rect::from_center_size(rect.center(), vec2(6.0, way(rect).height()));
    let painter = ui.painter();
    theme::well(painter, slot, 3.0, theme.well, theme);
    painter.rect_filled(slot.with_min_y(y), 3.0, colour);
    let modulated_y = y_of(rect, dial.param.modulated_normalized_value());
    if (modulated_y - y_of(rect, dial.param.unmodulated_normalized_value())).abs() > 0.5 {
        painter.hline(rect.center().x - 12.0..=rect.center().x + 12.0, modulated_y, (2.0, colour));
    }
    let cap = Rect::from_center_size(pos2(rect.center().x, y), theme::FADER_CAP);
    let fill = if response.hovered() || response.dragged() { theme.hovered } else { theme.button };
    painter.rect_filled(cap, 3.0, fill);
    painter.rect_stroke(cap, 3.0, (1.0, theme.faint_text), StrokeKind::Inside);
    painter.hline(cap.shrink(4.0).x_range(), y, (2.0, theme.text));
    if response.has_focus() {
        painter.rect_stroke(rect, theme::CORNER, (1.5, theme.focus), StrokeKind::Inside);
    }
}
