//! The top: name and track, presets, model and latency, theme and scale.

use super::{
    View,
    presets::PRESETS,
    settings::SCALES_PERCENT,
    theme::{self, Theme},
};
use crate::reporter::Status;
use egui::{Align, Layout, Rect, RichText, Ui, UiBuilder};

/// The header, in `rect`.
pub fn header(view: &mut View, ui: &mut Ui, rect: Rect, status: &Status, theme: &Theme) {
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(Layout::left_to_right(Align::Center)), |ui| {
        ui.label(RichText::new("Unbraid").font(theme::name_font()).strong());
        ui.label(RichText::new(&view.track_name).font(theme::body_font()).color(theme.faint_text));
        presets(view, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            looks(view, ui);
            ui.label(RichText::new(model_and_latency(status)).font(theme::body_font()).color(theme.faint_text))
                .on_hover_text("The model that separates, and by how much the sound comes later");
        });
    });
}

fn presets(view: &mut View, ui: &mut Ui) {
    let name = PRESETS.iter().find(|preset| preset.is_set(&view.params)).map_or("Presets", |preset| preset.name);
    ui.menu_button(format!("{name} \u{23F7}"), |ui| {
        for preset in &PRESETS {
            if ui.selectable_label(preset.is_set(&view.params), preset.name).clicked() {
                preset.apply(&view.params, &view.touch);
                ui.close();
            }
        }
    });
}

fn looks(view: &mut View, ui: &mut Ui) {
    let settings = &mut view.settings;
    ui.menu_button(format!("{} % \u{23F7}", settings.scale_percent), |ui| {
        for percent in SCALES_PERCENT {
            if ui.selectable_label(settings.scale_percent == percent, format!("{percent} %")).clicked() {
                settings.scale_percent = percent;
                ui.close();
            }
        }
        ui.separator();
        for (name, is_light) in [("Dark room", false), ("Light room", true)] {
            if ui.selectable_label(settings.is_light == is_light, name).clicked() {
                settings.is_light = is_light;
                ui.close();
            }
        }
    });
}

/// `first · 518 ms`
fn model_and_latency(status: &Status) -> String {
    let model = status.model.as_deref().unwrap_or("no model");
    match status.latency_ms() {
        Some(latency_ms) => format!("{model} \u{B7} {latency_ms:.0} ms"),
        None => model.to_owned(),
    }
}
