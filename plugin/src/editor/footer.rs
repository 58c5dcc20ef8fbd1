//! The bottom: what it does, load, late hops, and one line of plain text.

use super::{
    View,
    theme::{self, Theme},
};
use crate::reporter::{Activity, Status};
use egui::{Align, Align2, Layout, Rect, RichText, Ui, UiBuilder, vec2};

/// From this load on hops are likely to come late.
const HIGH_LOAD: f32 = 0.8;

/// The footer, in `rect`.
pub fn footer(view: &View, ui: &mut Ui, rect: Rect, status: &Status, theme: &Theme) {
    let line_height = rect.height() / 2.0;
    let first = Rect::from_min_size(rect.min, vec2(rect.width(), line_height));
    ui.scope_builder(UiBuilder::new().max_rect(first).layout(Layout::left_to_right(Align::Center)), |ui| {
        let (activity, is_bad) = activity(status.activity);
        label(ui, activity, is_bad, theme);
        ui.separator();
        load(ui, status.load, theme);
        ui.separator();
        let late = match status.late_hops {
            0 => "Never late".to_owned(),
            1 => "Late once".to_owned(),
            count => format!("Late {count} times"),
        };
        label(ui, &late, status.late_hops > 0, theme).on_hover_text(
            "How often the stems were not ready in time since the start; the mix was let through instead",
        );
    });
    let second = first.translate(vec2(0.0, line_height));
    let trouble = view.typing.refused.as_deref();
    // What is wrong with the stems matters more than what is wrong with bounces.
    let is_passing = status.activity == Activity::PassingThrough;
    let trouble = trouble.or(status.bouncing_problem.as_deref().filter(|_| !is_passing));
    let text = trouble.or(status.message.as_deref()).unwrap_or_default();
    let is_bad = trouble.is_some() || is_passing;
    let colour = if is_bad { theme.warning } else { theme.faint_text };
    // One line: what does not fit is cut, and shown whole under the pointer.
    let label = egui::Label::new(RichText::new(text).font(theme::body_font()).color(colour)).truncate();
    ui.scope_builder(UiBuilder::new().max_rect(second).layout(Layout::left_to_right(Align::Center)), |ui| {
        ui.add(label).on_hover_text(text);
    });
}

fn activity(activity: Activity) -> (&'static str, bool) {
    match activity {
        Activity::Idle => ("Not playing yet", false),
        Activity::Loading => ("Loading the model", false),
        Activity::Running => ("Separating", false),
        Activity::PassingThrough => ("The mix passes through", true),
    }
}

fn label(ui: &mut Ui, text: &str, is_bad: bool, theme: &Theme) -> egui::Response {
    let colour = if is_bad { theme.warning } else { theme.text };
    ui.label(RichText::new(text).font(theme::body_font()).color(colour))
}

/// A bar and a number: the share of the real time that the model takes.
fn load(ui: &mut Ui, load: f32, theme: &Theme) {
    let colour = if load >= HIGH_LOAD { theme.warning } else { theme.mix };
    label(ui, "Load", false, theme);
    let (rect, response) = ui.allocate_exact_size(vec2(80.0, 8.0), egui::Sense::hover());
    ui.painter().rect_filled(rect, 2.0, theme.well);
    let filled = vec2(rect.width() * load.clamp(0.0, 1.0), rect.height());
    ui.painter().rect_filled(Rect::from_min_size(rect.min, filled), 2.0, colour);
    response.on_hover_text("The share of the time that the model needs; at 100 % it comes late");
    let text = format!("{:.0} %", 100.0 * load);
    // As wide as the widest, so that nothing beside it moves.
    let (rect, _) = ui.allocate_exact_size(vec2(38.0, 16.0), egui::Sense::hover());
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, text, theme::body_font(), theme.text);
}
