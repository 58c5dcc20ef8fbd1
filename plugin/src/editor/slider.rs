//! A horizontal slider with its value on it: pan, sensitivity, dry and wet.

use super::{
    param_input::{Dial, Direction},
    theme::{self, Theme},
    touch::Touch,
    value_field::{self, Typing},
};
use egui::{Align2, Color32, CursorIcon, Rect, Response, Sense, StrokeKind, Ui, vec2};
use nice_plug::params::Param;

/// The slider of `dial` in `rect`, with its label to the left, filled up to the value. None while its value is being
/// typed.
pub fn slider(
    ui: &mut Ui,
    rect: Rect,
    dial: &Dial,
    colour: Color32,
    theme: &Theme,
    touch: &Touch,
    typing: &mut Typing,
) -> Option<Response> {
    if value_field::edit_if_open(ui, rect, dial, touch, typing) {
        return None;
    }
    let id = ui.scope_id().with(("slider", dial.param.name()));
    let response =
        ui.interact(rect, id, Sense::click_and_drag()).on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
    let way = rect.shrink2(vec2(2.0, 0.0));
    dial.take_input(ui, &response, Direction::Right, way.width(), touch, typing);

    let x_of = |normalized: f32| way.left() + normalized * way.width();
    let normalized = touch.value(dial.param);
    // From the middle if that is where it belongs, else from the left.
    let is_centred = (dial.param.default_normalized_value() - 0.5).abs() < 1e-3;
    let (value_x, origin_x) = (x_of(normalized), x_of(if is_centred { 0.5 } else { 0.0 }));
    let painter = ui.painter();
    let fill = if response.hovered() || response.dragged() { theme.hovered } else { theme.well };
    theme::well(painter, rect, theme::CORNER, fill, theme);
    // A line below the text: text on a fill of any colour would not have the contrast.
    let track = Rect::from_x_y_ranges(way.x_range(), rect.bottom() - 4.0..=rect.bottom() - 1.0);
    let filled = Rect::from_x_y_ranges(value_x.min(origin_x)..=value_x.max(origin_x), track.y_range());
    painter.rect_filled(filled, 1.0, colour);
    painter.vline(value_x, rect.bottom() - 7.0..=rect.bottom(), (2.0, colour));
    let inner = rect.shrink2(vec2(6.0, 3.0)).translate(vec2(0.0, -1.0));
    painter.text(inner.left_center(), Align2::LEFT_CENTER, dial.label, theme::small_font(), theme.faint_text);
    let text = dial.param.normalized_value_to_string(normalized, true);
    painter.text(inner.right_center(), Align2::RIGHT_CENTER, text, theme::small_font(), theme.text);
    if response.has_focus() {
        painter.rect_stroke(rect, theme::CORNER, (1.5, theme.focus), StrokeKind::Inside);
    }
    Some(response)
}
