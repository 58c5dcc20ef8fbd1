//! The menu of models: those that are installed, with what to know before choosing; the one for bouncing; the latency.

use super::{View, header::menu_button, theme, theme::Theme};
use crate::{
    model_choice::{ModelChoice, ModelId},
    model_shelf::ModelInfo,
    reporter::Status,
    separation,
};
use egui::{Align, Button, RichText, Ui, text::LayoutJob};

/// What a host is taken for before it has said anything: rate in Hz, longest block in samples.
const USUAL_HOST: (f64, usize) = (44_100.0, 512);

/// The button with model and latency, and the menu behind it.
pub fn model_menu(view: &mut View, ui: &mut Ui, status: &Status, theme: &Theme) {
    let (shelf, choice) = (view.shelf.clone(), view.params.models.get());
    let was_open = std::mem::take(&mut view.is_model_menu_open);
    let mut chosen = None;
    let button = menu_button(ui, &model_and_latency(status), |ui| {
        view.is_model_menu_open = true;
        if !was_open {
            shelf.rescan();
        }
        ui.set_width(theme::MODEL_MENU_WIDTH);
        let models = shelf.models();
        if separation::is_model_fixed() {
            faint(ui, "The environment variable UNBRAID_MODEL has chosen the model, for all projects.", theme);
        } else {
            chosen = playing(ui, &models, &choice, status, theme)
                .or_else(|| bouncing(ui, &models, &choice, status, theme))
                .or_else(|| constant_latency(ui, &models, &choice, status));
        }
        ui.separator();
        ui.horizontal(|ui| {
            let hint = "A model is a folder with manifest.toml; `unbraid models fetch` and `import` put more there";
            if ui.button("Look for models again").on_hover_text(hint).clicked() {
                shelf.rescan();
            }
            if let Some(dir) = shelf.own_dir() {
                let text = format!("Your own: {}", dir.display());
                let label = egui::Label::new(RichText::new(text).font(theme::small_font()).color(theme.faint_text));
                ui.add(label.truncate());
            }
        });
    });
    button.on_hover_text("The model that separates, and by how much the sound comes later");
    if let Some(choice) = chosen {
        view.params.models.choose(choice);
    }
}

/// `mix · 86 ms`
fn model_and_latency(status: &Status) -> String {
    let model = status.model.as_deref().unwrap_or("no model");
    match status.latency_ms() {
        Some(latency_ms) => format!("{model} \u{B7} {latency_ms:.0} ms"),
        None => model.to_owned(),
    }
}

fn latency_ms(model: &ModelInfo, status: &Status) -> Option<f64> {
    let (rate_hz, block_len) = match status.sample_rate_hz {
        rate_hz if rate_hz > 0.0 => (rate_hz, status.max_block_len),
        _ => USUAL_HOST,
    };
    Some(1000.0 * model.latency_samples(rate_hz, block_len)? as f64 / rate_hz)
}

fn id_of(model: &ModelInfo) -> ModelId {
    let sha256 = model.manifest.as_ref().ok().map(|manifest| manifest.graph.sha256.clone());
    ModelId { name: model.name.clone(), sha256 }
}

fn faint(ui: &mut Ui, text: &str, theme: &Theme) {
    ui.label(RichText::new(text).font(theme::small_font()).color(theme.faint_text));
}

/// Which model plays.
fn playing(
    ui: &mut Ui,
    models: &[ModelInfo],
    choice: &ModelChoice,
    status: &Status,
    theme: &Theme,
) -> Option<ModelChoice> {
    let mut chosen = None;
    let is_there = models.iter().any(|model| model.name == choice.playing.name);
    if !is_there && !models.is_empty() {
        let text =
            format!("The project wants the model '{}', which is not installed: the mix plays.", choice.playing.name);
        ui.label(RichText::new(text).font(theme::body_font()).color(theme.warning));
    }
    for model in models {
        let is_chosen = model.name == choice.playing.name;
        if entry(ui, model, is_chosen, status, theme) {
            chosen = Some(ModelChoice { playing: id_of(model), ..choice.clone() });
            ui.close();
        }
    }
    chosen
}

/// A model in two lines; whether it was clicked.
fn entry(ui: &mut Ui, model: &ModelInfo, is_chosen: bool, status: &Status, theme: &Theme) -> bool {
    let obstacle = model.obstacle();
    let mut text = LayoutJob::default();
    let mut append = |part: &str, font, color| text.append(part, 0.0, egui::TextFormat::simple(font, color));
    append(&model.name, theme::name_font(), theme.text);
    let facts = [latency_ms(model, status).map(|ms| format!("{ms:.0} ms")), model.cost.clone()];
    for fact in facts.into_iter().flatten() {
        append(&format!(" \u{B7} {fact}"), theme::body_font(), theme.text);
    }
    append("\n", theme::small_font(), theme.text);
    match (&obstacle, &model.manifest) {
        (Some(obstacle), _) => append(obstacle, theme::small_font(), theme.warning),
        (None, Ok(manifest)) => {
            if model.is_non_commercial() {
                append("Non-commercial: ", theme::small_font(), theme.warning);
            }
            append(&manifest.licence, theme::small_font(), theme.faint_text);
            if let Some(scores) = model.scores() {
                append(&format!(" \u{B7} {scores}"), theme::small_font(), theme.faint_text);
            }
        }
        (None, Err(_)) => {}
    }
    text.halign = Align::LEFT;
    text.wrap.max_width = theme::MODEL_MENU_WIDTH - 16.0;
    let button = Button::selectable(is_chosen, text).min_size(egui::vec2(theme::MODEL_MENU_WIDTH, 0.0));
    ui.add_enabled(obstacle.is_none(), button).clicked()
}

/// Which model offline renders have.
fn bouncing(
    ui: &mut Ui,
    models: &[ModelInfo],
    choice: &ModelChoice,
    status: &Status,
    theme: &Theme,
) -> Option<ModelChoice> {
    ui.separator();
    let now = choice.other_for_bouncing().map_or("the model that plays", |id| &id.name);
    let mut chosen = None;
    // egui draws an arrow of its own here.
    let menu = ui.menu_button(format!("Bounce with {now}"), |ui| {
        ui.set_width(theme::MODEL_MENU_WIDTH);
        if ui.selectable_label(choice.other_for_bouncing().is_none(), "The model that plays").clicked() {
            chosen = Some(ModelChoice { bouncing: None, ..choice.clone() });
            ui.close();
        }
        for model in models.iter().filter(|model| model.name != choice.playing.name) {
            let is_chosen = choice.other_for_bouncing().is_some_and(|id| id.name == model.name);
            if entry(ui, model, is_chosen, status, theme) {
                chosen = Some(ModelChoice { bouncing: Some(id_of(model)), ..choice.clone() });
                ui.close();
            }
        }
    });
    menu.response.on_hover_text("For offline renders. The latency is that of the slower of the two");
    if let Some(problem) = &status.bouncing_problem {
        ui.label(RichText::new(problem).font(theme::small_font()).color(theme.warning));
    }
    chosen
}

/// Whether the latency stays when another model is chosen.
fn constant_latency(ui: &mut Ui, models: &[ModelInfo], choice: &ModelChoice, status: &Status) -> Option<ModelChoice> {
    let slowest = models.iter().filter_map(|model| latency_ms(model, status)).fold(0.0, f64::max);
    let mut is_on = choice.has_constant_latency;
    let text = format!("Constant latency: {slowest:.0} ms, that of the slowest");
    let hint = "Then no change of the model changes the latency, and the host need not start the plugin anew";
    let is_changed = ui.checkbox(&mut is_on, text).on_hover_text(hint).changed();
    is_changed.then(|| ModelChoice { has_constant_latency: is_on, ..choice.clone() })
}
