//! Values as text, shown and typed. What is shown can be typed.

use super::{
    param_input::Dial,
    theme::{self, Theme},
    touch::Touch,
};
use egui::{
    Align2, FontSelection, Id, Key, Rect, Sense, StrokeKind, TextEdit, Ui,
    text::{CCursor, CCursorRange},
};
use nice_plug::params::{FloatParam, Param, internals::ParamPtr};

/// What is being typed: nothing, or one value.
#[derive(Default)]
pub struct Typing {
    open: Option<Open>,
    /// What was typed last and is no value.
    pub refused: Option<String>,
}

struct Open {
    param: ParamPtr,
    text: String,
    /// What was there before.
    shown: String,
    is_new: bool,
    /// What has the keyboard afterwards.
    origin: Id,
}

impl Typing {
    /// Begins with what is shown, or with what was typed already. Afterwards `origin`, where it began, has the keyboard
    /// again.
    pub fn begin(&mut self, param: &FloatParam, typed: Option<String>, origin: Id) {
        let shown = shown(param, param.unmodulated_normalized_value());
        let text = typed.unwrap_or_else(|| shown.clone());
        self.open = Some(Open { param: param.as_ptr(), text, shown, is_new: true, origin });
    }

    /// Whether something is being typed.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

fn shown(param: &FloatParam, normalized: f32) -> String {
    param.normalized_value_to_string(normalized, true)
}

/// The value of `dial` in `rect`; a click lets the user type.
pub fn value_field(ui: &mut Ui, rect: Rect, dial: &Dial, theme: &Theme, touch: &Touch, typing: &mut Typing) {
    if edit_if_open(ui, rect, dial, touch, typing) {
        return;
    }
    let id = ui.scope_id().with(("value", dial.param.name()));
    let response = ui.interact(rect, id.with("shown"), Sense::click());
    let fill = if response.hovered() { theme.hovered } else { theme.well };
    theme::well(ui.painter(), rect, theme::CORNER, fill, theme);
    let text = shown(dial.param, touch.value(dial.param));
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, text, theme::body_font(), theme.text);
    if response.has_focus() {
        ui.painter().rect_stroke(rect, theme::CORNER, (1.5, theme.focus), StrokeKind::Inside);
    }
    if response.clicked() {
        typing.begin(dial.param, None, response.id);
    }
}

/// A text field in `rect` if the value of `dial` is being typed; whether it is.
pub fn edit_if_open(ui: &mut Ui, rect: Rect, dial: &Dial, touch: &Touch, typing: &mut Typing) -> bool {
    let Some(open) = typing.open.as_mut().filter(|open| open.param == dial.param.as_ptr()) else { return false };
    let id = ui.scope_id().with(("typed", dial.param.name()));
    let edit = TextEdit::singleline(&mut open.text)
        .id(id)
        .font(FontSelection::FontId(theme::body_font()))
        .align(Align2::CENTER_CENTER)
        .desired_width(rect.width());
    let output = ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| edit.show(ui)).inner;
    if open.is_new {
        open.is_new = false;
        output.response.request_focus();
        let len = open.text.chars().count();
        // A value that was there is selected whole, so that typing replaces it; what was typed goes on.
        let start = if open.text == open.shown { 0 } else { len };
        let mut state = output.state;
        state.cursor.set_char_range(Some(CCursorRange::two(CCursor::new(start), CCursor::new(len))));
        state.store(ui.ctx(), id);
    } else if output.response.lost_focus() || !output.response.has_focus() {
        let is_given_up = ui.input(|input| input.key_pressed(Key::Escape));
        let (text, shown, origin) = (open.text.clone(), open.shown.clone(), open.origin);
        typing.open = None;
        // Not with Tab or a click elsewhere, which have given it to somebody already.
        if is_given_up || ui.input(|input| input.key_pressed(Key::Enter)) {
            ui.memory_mut(|memory| memory.request_focus(origin));
        }
        typing.refused = None;
        // A value that nobody has edited stays as it is, whatever its text rounds away.
        if is_given_up || text == shown {
            return true;
        }
        match dial.param.string_to_normalized_value(&text) {
            Some(normalized) => touch.set_once(dial.param, dial.control, normalized),
            None => typing.refused = Some(format!("'{text}' is no value of {}", dial.param.name())),
        }
    }
    true
}
