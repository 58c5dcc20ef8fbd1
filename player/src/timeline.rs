//! The song from its start to its end: what was played, the loop, and a click that goes there.

use crate::{player::Player, song::PEAK_LEN};
use egui::{Align, Align2, Key, Layout, Rect, RichText, Sense, Ui, UiBuilder, pos2, vec2};
use std::ops::Range;
use unbraid_plugin::editor::{
    theme::{self, Theme},
    toggle::button,
};

/// Height of the timeline with its buttons, in points.
pub const HEIGHT: f32 = 86.0;

/// What is on its way.
#[derive(Default)]
pub struct Timeline {
    /// `[peak]` of the song, as far as it is decoded.
    peaks: Vec<f32>,
    /// Where a loop began that is being drawn.
    loop_from: Option<i64>,
}

impl Timeline {
    /// Draws it in `rect`, and does what the user asks for.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, player: &Player, theme: &Theme) {
        let buttons = Rect::from_min_size(rect.min, vec2(rect.width(), theme::ROW_HEIGHT));
        buttons_row(ui, buttons, player, theme);
        let wave = rect.with_min_y(buttons.bottom() + theme::GAP / 2.0);
        self.waveform(ui, wave, player, theme);
        // What a focused widget does with Space is its own.
        let is_free = ui.memory(|memory| memory.focused().is_none());
        if is_free && ui.input(|input| input.key_pressed(Key::Space)) {
            player.toggle_playing();
        }
    }

    fn waveform(&mut self, ui: &mut Ui, rect: Rect, player: &Player, theme: &Theme) {
        player.song.peaks_into(&mut self.peaks);
        let len = player.song.likely_len().max(1);
        let x_of = |position: i64| rect.left() + rect.width() * (position as f64 / len as f64).clamp(0.0, 1.0) as f32;
        let painter = ui.painter().with_clip_rect(rect.expand(1.0));
        theme::well(&painter, rect, 0.0, theme.well, theme);
        let transport = &player.transport;
        if let Some(range) = transport.loop_range() {
            let across = Rect::from_x_y_ranges(x_of(range.start)..=x_of(range.end), rect.y_range());
            let colour = if transport.is_looping() { theme.solo } else { theme.faint_text };
            painter.rect_filled(across, 0.0, colour.gamma_multiply(0.25));
        }
        let played_x = x_of(transport.position());
        for pixel in 0..rect.width() as usize {
            let peaks =
                peaks_of(&self.peaks, pixel as f64 / f64::from(rect.width()), 1.0 / f64::from(rect.width()), len);
            let x = rect.left() + pixel as f32 + 0.5;
            let half = 0.5 * (rect.height() - 2.0) * peaks.min(1.0);
            let colour = if x < played_x { theme.mix } else { theme.mix.gamma_multiply(0.5) };
            painter.vline(x, rect.center().y - half..=rect.center().y + half.max(0.5), (1.0, colour));
        }
        painter.vline(played_x, rect.y_range(), (2.0, theme.focus));

        let response = ui.interact(rect, ui.scope_id().with("timeline"), Sense::click_and_drag());
        let (is_pressed, is_down, has_shift) =
            ui.input(|input| (input.pointer.primary_pressed(), input.pointer.primary_down(), input.modifiers.shift));
        if let Some(pointer) = response.interact_pointer_pos().or_else(|| response.hover_pos()) {
            let share = f64::from((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
            let position = (share * len as f64) as i64;
            if is_pressed && rect.contains(pointer) {
                // When the button goes down: a click ends too late.
                if has_shift {
                    self.loop_from = Some(position);
                } else {
                    player.seek(position);
                }
            } else if let Some(from) = self.loop_from
                && from != position
            {
                transport.set_loop_range(from.min(position)..from.max(position));
                transport.set_looping(true);
            }
        }
        if !is_down {
            self.loop_from = None;
        }
        response.on_hover_text("Click: go there. Shift and drag: a loop");
    }
}

/// The largest of the peaks in a part of the song, both as shares of `len` samples.
fn peaks_of(peaks: &[f32], from: f64, width: f64, len: i64) -> f32 {
    let idx = |share: f64| (share * len as f64 / PEAK_LEN as f64) as usize;
    let range: Range<usize> = idx(from)..(idx(from + width) + 1).min(peaks.len());
    peaks.get(range).unwrap_or_default().iter().fold(0.0, |max, &peak| max.max(peak))
}

fn buttons_row(ui: &mut Ui, rect: Rect, player: &Player, theme: &Theme) {
    let transport = &player.transport;
    let place = |idx: usize| {
        let left = rect.left() + idx as f32 * (72.0 + theme::GAP / 2.0);
        Rect::from_min_size(pos2(left, rect.top()), vec2(72.0, rect.height()))
    };
    let is_playing = transport.is_playing();
    let label = if is_playing { "Pause" } else { "Play" };
    if button(ui, place(0), "play", label, is_playing.then_some(theme.mix), theme).on_hover_text("Space").clicked() {
        player.toggle_playing();
    }
    let is_looping = transport.is_looping();
    let response = button(ui, place(1), "loop", "Loop", is_looping.then_some(theme.solo), theme);
    if response.on_hover_text("Shift and drag below says what; else the whole song").clicked() {
        if transport.loop_range().is_none() {
            transport.set_loop_range(0..player.song.likely_len());
        }
        transport.set_looping(!is_looping);
    }
    let is_exporting = player.is_exporting();
    let response = button(ui, place(2), "export", "Export", is_exporting.then_some(theme.mix), theme);
    if response.on_hover_text("Writes what is heard, the whole song, beside the song").clicked() {
        player.start_export(None);
    }
    let right = rect.with_min_x(place(3).left());
    ui.scope_builder(UiBuilder::new().max_rect(right).layout(Layout::left_to_right(Align::Center)), |ui| {
        let name = player.song.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        ui.add(egui::Label::new(RichText::new(name).font(theme::body_font()).color(theme.faint_text)).truncate());
    });
    let rate_hz = f64::from(player.song.sample_rate_hz());
    let time = |position: i64| clock(position as f64 / rate_hz);
    let text = format!("{} / {}", time(transport.position()), time(player.song.likely_len()));
    ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, text, theme::body_font(), theme.text);
}

/// `3:07.2`
pub fn clock(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0) as u64;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}
