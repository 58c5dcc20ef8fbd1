//! How mouse and keyboard move a parameter.
//!
//! | input | does |
//! |---|---|
//! | drag | moves it, without a jump at the start; with Shift ten times as fine |
//! | wheel | a step; with Shift a fine one |
//! | double click, or Delete | back to its default |
//! | arrows, Page up and down, Home, End | steps, with Shift fine ones; ten steps; the ends |
//! | Enter, or a number | types a value |
//! | right click | a menu of values |

use super::{touch::Touch, value_field::Typing};
use crate::mix_controls::Control;
use egui::{Event, EventFilter, Key, Modifiers, MouseWheelUnit, Response, Ui};
use nice_plug::params::{FloatParam, Param};

/// How much finer Shift is.
const FINE: f32 = 0.1;
/// So many points of a smooth wheel or pad are one step.
const POINTS_PER_STEP: f32 = 40.0;

/// A parameter that is moved along a line.
pub struct Dial<'a> {
    /// The parameter.
    pub param: &'a FloatParam,
    /// What it is.
    pub control: Control,
    /// One step of the wheel, in the parameter's unit.
    pub step: f32,
    /// What stands on it, where there is room for nothing else.
    pub label: &'a str,
    /// Values of the menu, as text.
    pub menu: &'a [&'a str],
}

/// Which way more is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Upwards.
    Up,
    /// To the right.
    Right,
}

impl Dial<'_> {
    /// Does what `response`, of a widget that is clicked and dragged and whose way is `way_len` points long, asks for.
    pub fn take_input(
        &self,
        ui: &Ui,
        response: &Response,
        direction: Direction,
        way_len: f32,
        touch: &Touch,
        typing: &mut Typing,
    ) {
        self.take_drag(ui, response, direction, way_len, touch);
        self.take_wheel(ui, response, touch);
        if response.double_clicked() {
            self.reset(touch);
        }
        if response.has_focus() {
            self.take_keys(ui, response, touch, typing);
        }
        response.context_menu(|ui| self.show_menu(ui, response, touch, typing));
    }

    fn take_drag(&self, ui: &Ui, response: &Response, direction: Direction, way_len: f32, touch: &Touch) {
        if response.drag_started() {
            touch.hold(self.param, self.control);
        }
        if response.dragged() {
            let delta = response.drag_delta();
            let by = if direction == Direction::Up { -delta.y } else { delta.x };
            let fine = if ui.input(|input| input.modifiers.shift) { FINE } else { 1.0 };
            if by != 0.0 {
                touch.set(self.param, self.control, touch.value(self.param) + fine * by / way_len.max(1.0));
            }
        }
        if response.drag_stopped() {
            touch.let_go();
        }
    }

    fn take_wheel(&self, ui: &Ui, response: &Response, touch: &Touch) {
        if !response.hovered() || response.dragged() {
            return;
        }
        let num_steps: f32 = ui.input(|input| {
            let steps = input.events.iter().map(|event| match event {
                Event::MouseWheel { unit: MouseWheelUnit::Point, delta, modifiers, .. } => {
                    // Systems turn the wheel's axis when Shift is down.
                    fine_if_shift(modifiers) * (delta.x + delta.y) / POINTS_PER_STEP
                }
                Event::MouseWheel { delta, modifiers, .. } => fine_if_shift(modifiers) * (delta.x + delta.y),
                _ => 0.0,
            });
            steps.sum()
        });
        if num_steps != 0.0 {
            touch.step(self.param, self.control, num_steps, self.step);
        }
    }

    fn take_keys(&self, ui: &Ui, response: &Response, touch: &Touch, typing: &mut Typing) {
        let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        for event in ui.input(|input| input.filtered_events(&filter)) {
            match event {
                Event::Key { key, pressed: true, modifiers, .. } => {
                    let fine = fine_if_shift(&modifiers);
                    match key {
                        Key::ArrowUp | Key::ArrowRight => touch.step(self.param, self.control, fine, self.step),
                        Key::ArrowDown | Key::ArrowLeft => touch.step(self.param, self.control, -fine, self.step),
                        Key::PageUp => touch.step(self.param, self.control, 10.0, self.step),
                        Key::PageDown => touch.step(self.param, self.control, -10.0, self.step),
                        Key::Home => touch.set_once(self.param, self.control, 0.0),
                        Key::End => touch.set_once(self.param, self.control, 1.0),
                        Key::Delete | Key::Backspace => self.reset(touch),
                        Key::Enter => typing.begin(self.param, None, response.id),
                        _ => {}
                    }
                }
                // Space belongs to the host's transport.
                Event::Text(text) if !text.trim().is_empty() => typing.begin(self.param, Some(text), response.id),
                _ => {}
            }
        }
    }

    fn show_menu(&self, ui: &mut Ui, response: &Response, touch: &Touch, typing: &mut Typing) {
        ui.set_min_width(90.0);
        if ui.button("Type a value").clicked() {
            typing.begin(self.param, None, response.id);
            ui.close();
        }
        for text in self.menu {
            if ui.button(*text).clicked() {
                if let Some(normalized) = self.param.string_to_normalized_value(text) {
                    touch.set_once(self.param, self.control, normalized);
                }
                response.request_focus();
                ui.close();
            }
        }
    }

    fn reset(&self, touch: &Touch) {
        touch.set_once(self.param, self.control, self.param.default_normalized_value());
    }
}

fn fine_if_shift(modifiers: &Modifiers) -> f32 {
    if modifiers.shift { FINE } else { 1.0 }
}
