//! The top: name and track, presets, model and latency, theme and scale.

use super::{
    View,
    model_menu::model_menu,
    presets::PRESETS,
    settings::SCALES_PERCENT,
    theme::{self, Theme},
};
use crate::reporter::Status;
use egui::{Align, Layout, Rect, Response, RichText, Shape, Stroke, Ui, UiBuilder, vec2};

/// The header, in `rect`.
pub fn header(view: &mut View, ui: &mut Ui, rect: Rect, status: &Status, theme: &Theme) {
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(Layout::left_to_right(Align::Center)), |ui| {
        ui.label(RichText::new("Unbraid").font(theme::name_font()).strong());
        ui.label(RichText::new(&view.track_name).font(theme::body_font()).color(theme.faint_text));
        presets(view, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            looks(view, ui);
            model_menu(view, ui, status, theme);
        });
    });
}

fn presets(view: &mut View, ui: &mut Ui) {
    let name = PRESETS.iter().find(|preset| preset.is_set(&view.params)).map_or("Presets", |preset| preset.name);
    menu_button(ui, name, |ui| {
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
    menu_button(ui, &format!("{} %", settings.scale_percent), |ui| {
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

/// A button that opens a menu, with a triangle to say so; the fonts have none.
pub fn menu_button(ui: &mut Ui, text: &str, contents: impl FnOnce(&mut Ui)) -> Response {
    // Spaces make room for it.
    let response = ui.menu_button(format!("{text}     "), contents).response;
    let rect = response.rect;
    let (center, colour) = (rect.right_center() - vec2(12.0, 0.0), ui.visuals().text_color());
    let triangle = [vec2(-4.0, -2.0), vec2(4.0, -2.0), vec2(0.0, 3.0)].map(|corner| center + corner);
    ui.painter().add(Shape::convex_polygon(triangle.to_vec(), colour, Stroke::NONE));
    response
}
