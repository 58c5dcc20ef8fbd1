//! The live spectrogram: what the stems are made of, each in its colour.

use super::{
    spectrum_history::{COLUMN_S, Levels, SpectrumHistory, SteadyClock},
    strip::STEM_NAMES,
    theme::{self, Theme},
    toggle::button,
};
use egui::{
    Align2, Color32, ColorImage, Rect, Shape, TextureHandle, TextureOptions, Ui, emath::GuiRounding, epaint::Mesh,
    pos2, vec2,
};
use separator::{LEVEL_STEP_DB, MIN_LEVEL_DB, NUM_ROWS, SpectrumFeed, row_frequency_hz};
use std::sync::Arc;

/// Columns that are shown: ten seconds.
pub const NUM_COLUMNS: usize = 1000;
/// Frequencies that are written beside it.
const TICKS: [(f64, &str); 3] = [(100.0, "100 Hz"), (1000.0, "1 kHz"), (10_000.0, "10 kHz")];
/// Width of the buttons beside it, in points.
const BUTTON_WIDTH: f32 = 64.0;
/// The same of the frequencies.
const TICK_WIDTH: f32 = 48.0;

/// A picture that scrolls: the texture is a ring of columns, of which only new ones are painted.
pub struct Spectrogram {
    feed: Arc<SpectrumFeed>,
    /// The next column of the feed.
    next: u64,
    /// What has come.
    pub history: SpectrumHistory,
    clock: SteadyClock,
    /// Only this stem is shown.
    pub selected: Option<usize>,
    texture: Option<TextureHandle>,
    /// What the texture is painted with.
    painted: Option<Painted>,
    /// The last column that is not silent, of those painted.
    last_loud: Option<i64>,
    /// `[level]`, its power.
    powers: [f32; 256],
}

/// What a texture depends on.
#[derive(Clone, Copy, PartialEq)]
struct Painted {
    shown: [bool; 4],
    theme: Theme,
    /// The column after the last one.
    end: i64,
}

impl Spectrogram {
    /// Of what comes through `feed`, which it switches on while it lives; `num_columns` are kept, at least those shown.
    pub fn new(feed: Arc<SpectrumFeed>, num_columns: usize) -> Self {
        Spectrogram {
            next: feed.num_written(),
            feed,
            history: SpectrumHistory::new(num_columns.max(NUM_COLUMNS)),
            clock: SteadyClock::default(),
            selected: None,
            texture: None,
            painted: None,
            last_loud: None,
            powers: std::array::from_fn(|level| match level {
                0 => 0.0,
                level => 10f32.powf((MIN_LEVEL_DB + level as f32 * LEVEL_STEP_DB) / 10.0),
            }),
        }
    }

    /// The window has opened or closed.
    pub fn set_open(&mut self, is_open: bool) {
        self.feed.set_wanted(is_open);
        self.next = self.feed.num_written();
        // Each window has textures of its own.
        (self.texture, self.painted) = (None, None);
    }

    /// Takes what has come in a stream that plays now; `passed_s` since the last call.
    pub fn follow_stream(&mut self, passed_s: f64) {
        let (history, clock) = (&mut self.history, &mut self.clock);
        self.next = self.feed.read(self.next, &mut |column| {
            history.add(column, clock.stream_end_s);
            clock.stream_end_s += column.len_s;
        });
        clock.advance(passed_s);
    }

    /// Takes what has come of a song, and shows it up to `end_s`.
    pub fn follow_song(&mut self, end_s: f64) {
        let history = &mut self.history;
        self.next = self.feed.read(self.next, &mut |column| history.add(column, column.start_s));
        self.clock.shown_end_s = end_s;
    }

    /// Draws it in `rect`; `heard`: the stems that mutes and solos let through.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, heard: [bool; 4], theme: &Theme) {
        let shown = match self.selected {
            Some(selected) => std::array::from_fn(|stem_idx| stem_idx == selected),
            None => heard,
        };
        let (buttons, picture) = rect.split_left_right_at_x(rect.left() + BUTTON_WIDTH);
        self.show_buttons(ui, buttons, shown, theme);
        let picture = picture.with_min_x(picture.left() + TICK_WIDTH).round_to_pixels(ui.pixels_per_point());
        let end = self.end();
        self.paint(ui.ctx(), Painted { shown, theme: *theme, end });
        match &self.texture {
            Some(texture) if !self.is_blank() => {
                theme::edge(ui.painter(), picture, 0.0, theme);
                ui.painter().add(Shape::mesh(ring_mesh(texture, picture, end)));
            }
            // Nothing moves, so there is nothing to draw again.
            _ => theme::well(ui.painter(), picture, 0.0, theme.well, theme),
        }
        for (frequency_hz, text) in TICKS {
            let row = (frequency_hz / row_frequency_hz(0)).log2() * 12.0;
            let y = picture.bottom() - picture.height() * row as f32 / NUM_ROWS as f32;
            ui.painter().hline(picture.left() - 4.0..=picture.left(), y, (1.0, theme.faint_text));
            let at = pos2(picture.left() - 7.0, y);
            ui.painter().text(at, Align2::RIGHT_CENTER, text, theme::small_font(), theme.faint_text);
        }
    }

    /// The column after the last one that is shown.
    fn end(&self) -> i64 {
        (self.clock.shown_end_s / COLUMN_S).floor() as i64
    }

    /// Whether silence is all that is shown.
    pub fn is_blank(&self) -> bool {
        self.last_loud.is_none_or(|last| last < self.end() - NUM_COLUMNS as i64)
    }

    fn show_buttons(&mut self, ui: &mut Ui, rect: Rect, shown: [bool; 4], theme: &Theme) {
        let height = rect.height() / 4.0;
        for (stem_idx, name) in STEM_NAMES.into_iter().enumerate() {
            let top = rect.top() + stem_idx as f32 * height;
            let place = Rect::from_min_size(pos2(rect.left(), top), vec2(rect.width(), height));
            let colour = shown[stem_idx].then_some(theme.stems[stem_idx]);
            let response = button(ui, place.shrink2(vec2(0.0, 1.0)), &format!("show {name}"), name, colour, theme);
            if response.clicked() {
                self.selected = (self.selected != Some(stem_idx)).then_some(stem_idx);
            }
            response.on_hover_text("Show only this stem in the picture, or what is heard again");
        }
    }

    /// Paints into the texture what it lacks.
    fn paint(&mut self, ctx: &egui::Context, wanted: Painted) {
        let new = self.history.take_new();
        let window = wanted.end - NUM_COLUMNS as i64..wanted.end;
        let is_kept = |painted: &Painted| {
            painted.shown == wanted.shown
                && painted.theme == wanted.theme
                && (painted.end..=painted.end + NUM_COLUMNS as i64 / 2).contains(&wanted.end)
        };
        // Of what is in the texture: a ring, in which each column takes the place of an old one.
        let was_blank = self.last_loud.is_none_or(|last| last < window.start);
        let painted = self.painted.replace(wanted);
        let (Some(texture), Some(painted)) = (&mut self.texture, painted.filter(is_kept)) else {
            self.last_loud = window.clone().rev().find(|&number| self.is_loud(number, &wanted));
            let mut image = ColorImage::filled([NUM_COLUMNS, NUM_ROWS], wanted.theme.well);
            for number in window {
                let x = number.rem_euclid(NUM_COLUMNS as i64) as usize;
                self.paint_column(number, &wanted, |y, colour| image.pixels[y * NUM_COLUMNS + x] = colour);
            }
            match &mut self.texture {
                Some(texture) => texture.set(image, TextureOptions::LINEAR),
                None => self.texture = Some(ctx.load_texture("spectrogram", image, TextureOptions::LINEAR)),
            }
            return;
        };
        // What came late lies within what is painted; the rest is what time has brought.
        let first_late = new.into_iter().filter(|number| window.contains(number)).min().unwrap_or(wanted.end);
        let first = first_late.min(painted.end).max(window.start);
        let mut texture = texture.clone();
        let last_loud = (first..wanted.end).rev().find(|&number| self.is_loud(number, &wanted));
        self.last_loud = self.last_loud.max(last_loud);
        if was_blank && last_loud.is_none() {
            // Silence follows on silence.
            return;
        }
        let mut start = first;
        while start < wanted.end {
            let x = start.rem_euclid(NUM_COLUMNS as i64);
            let num_columns = (wanted.end - start).min(NUM_COLUMNS as i64 - x) as usize;
            let mut patch = ColorImage::filled([num_columns, NUM_ROWS], wanted.theme.well);
            for column in 0..num_columns {
                let number = start + column as i64;
                self.paint_column(number, &wanted, |y, colour| patch.pixels[y * num_columns + column] = colour);
            }
            texture.set_partial([x as usize, 0], patch, TextureOptions::LINEAR);
            start += num_columns as i64;
        }
    }

    /// Whether a column shows anything.
    fn is_loud(&self, number: i64, wanted: &Painted) -> bool {
        let is_loud = |levels: &Levels| {
            levels.iter().any(|row| (0..4).any(|stem_idx| wanted.shown[stem_idx] && row[1 + stem_idx] > 0))
        };
        self.history.column(number).is_some_and(is_loud)
    }

    /// `put(y, colour)` for every row of a column, `y` from the top.
    fn paint_column(&self, number: i64, wanted: &Painted, mut put: impl FnMut(usize, Color32)) {
        let Some(levels) = self.history.column(number) else { return };
        for row in 0..NUM_ROWS {
            put(NUM_ROWS - 1 - row, self.colour(levels, row, wanted));
        }
    }

    /// The colours of the stems shown, weighted by their powers; as bright as they are loud together.
    fn colour(&self, levels: &Levels, row: usize, wanted: &Painted) -> Color32 {
        let level_of = |stem_idx: usize| if wanted.shown[stem_idx] { levels[row][1 + stem_idx] } else { 0 };
        let powers: [f32; 4] = std::array::from_fn(|stem_idx| self.powers[usize::from(level_of(stem_idx))]);
        let total: f32 = powers.iter().sum();
        if total <= 0.0 {
            return wanted.theme.well;
        }
        wanted.theme.glow(powers.map(|power| power / total), 10.0 * total.log10())
    }
}

impl Drop for Spectrogram {
    fn drop(&mut self) {
        self.feed.set_wanted(false);
    }
}

/// The ring, cut open after its newest column, in `rect`.
fn ring_mesh(texture: &TextureHandle, rect: Rect, end: i64) -> Mesh {
    let cut = end.rem_euclid(NUM_COLUMNS as i64) as f32 / NUM_COLUMNS as f32;
    let middle = rect.left() + rect.width() * (1.0 - cut);
    let uv = |from: f32, to: f32| Rect::from_min_max(pos2(from, 0.0), pos2(to, 1.0));
    let mut mesh = Mesh::with_texture(texture.id());
    mesh.add_rect_with_uv(rect.with_max_x(middle), uv(cut, 1.0), Color32::WHITE);
    mesh.add_rect_with_uv(rect.with_min_x(middle), uv(0.0, cut), Color32::WHITE);
    mesh
}
