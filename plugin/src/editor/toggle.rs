//! Buttons that are on or off.

use super::{
    theme::{self, Theme},
    touch::Touch,
};
use crate::mix_controls::Control;
use egui::{Align2, Color32, Rect, Response, Sense, StrokeKind, Ui};
use nice_plug::params::{BoolParam, Param};

/// A switch: its parameter and its looks.
pub struct Toggle<'a> {
    /// The parameter.
    pub param: &'a BoolParam,
    /// What it is.
    pub control: Control,
    /// What stands on it.
    pub label: &'a str,
    /// What it does, in a sentence.
    pub hint: &'a str,
    /// Its colour when it is on.
    pub colour: Color32,
}

impl Toggle<'_> {
    /// Whether it is on.
    pub fn is_on(&self, touch: &Touch) -> bool {
        touch.value(self.param) > 0.5
    }

    /// Draws it in `rect`; a click, Space or Enter switches.
    pub fn show(&self, ui: &mut Ui, rect: Rect, theme: &Theme, touch: &Touch) -> Response {
        let is_on = self.is_on(touch);
        let response = button(ui, rect, self.param.name(), self.label, is_on.then_some(self.colour), theme);
        if response.clicked() {
            touch.set_once(self.param, self.control, if is_on { 0.0 } else { 1.0 });
        }
        response.on_hover_text(self.hint)
    }
}

/// A button in `rect`, filled with `colour` if it is on.
pub fn button(ui: &mut Ui, rect: Rect, id: &str, label: &str, colour: Option<Color32>, theme: &Theme) -> Response {
    let response = ui.interact(rect, ui.scope_id().with(("button", id)), Sense::click());
    let (fill, ink) = match colour {
        Some(colour) => (colour, theme.text_on_colour),
        None if response.hovered() => (theme.hovered, theme.text),
        None => (theme.button, theme.text),
    };
    let painter = ui.painter().with_clip_rect(rect);
    painter.rect_filled(rect, theme::CORNER, fill);
    painter.text(rect.center(), Align2::CENTER_CENTER, label, theme::body_font(), ink);
    if response.has_focus() {
        painter.rect_stroke(rect, theme::CORNER, (1.5, theme.focus), StrokeKind::Inside);
    }
    response
}
