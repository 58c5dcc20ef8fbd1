//! How the editor looks: every colour and every size. Nothing else in the editor names one.
//!
//! The stems have the hues of Okabe and Ito (Color Universal Design, 2008), in lightnesses that people of all kinds of
//! colour vision tell apart; for the light theme they are darkened. Colour is never the only sign: names and letters
//! stand beside it.

use egui::{Color32, FontFamily, FontId, Painter, Rect, Stroke, StrokeKind, Vec2, Visuals, vec2};

/// The size of the window at 100 %, in points.
pub const WINDOW_SIZE: Vec2 = vec2(760.0, 620.0);
/// The smallest size in which everything can still be read.
pub const MIN_WINDOW_SIZE: Vec2 = vec2(640.0, 540.0);
/// The space between parts, in points.
pub const GAP: f32 = 8.0;
/// Height of the header, in points.
pub const HEADER_HEIGHT: f32 = 30.0;
/// Height of the spectrogram, in points.
pub const SPECTROGRAM_HEIGHT: f32 = 112.0;
/// Levels of a semitone that are as dark, and as bright, as the spectrogram gets, in dB; a sine at full scale has 0.
const GLOW_RANGE_DB: (f32, f32) = (-78.0, -18.0);
/// Height of the line of messages, in points.
pub const FOOTER_HEIGHT: f32 = 44.0;
/// Height of a row with a button or a value, in points.
pub const ROW_HEIGHT: f32 = 24.0;
/// Width of a fader's cap, in points.
pub const FADER_CAP: Vec2 = vec2(30.0, 14.0);
/// Width of one channel of a meter, in points.
pub const METER_WIDTH: f32 = 9.0;
/// Width of the menu of models, in points.
pub const MODEL_MENU_WIDTH: f32 = 460.0;
/// Radius of corners, in points.
pub const CORNER: f32 = 4.0;

/// Colours of one theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Behind everything.
    pub background: Color32,
    /// Behind a strip.
    pub panel: Color32,
    /// Behind a value, a fader's slot, a meter.
    pub well: Color32,
    /// A button that is off.
    pub button: Color32,
    /// A control under the pointer.
    pub hovered: Color32,
    /// Text.
    pub text: Color32,
    /// Text that matters less: ticks, units.
    pub faint_text: Color32,
    /// Text on `stems`, `mix`, `mute`, `solo` and `warning`.
    pub text_on_colour: Color32,
    /// The frame around what the keyboard acts on.
    pub focus: Color32,
    /// `[stem]`, in the order of [`separator::STEMS`].
    pub stems: [Color32; 4],
    /// The mix.
    pub mix: Color32,
    /// A button that takes sound away, when it is on.
    pub mute: Color32,
    /// A button that lets only its stem through, when it is on.
    pub solo: Color32,
    /// What is not as it should be: overload, late hops, errors.
    pub warning: Color32,
    is_dark: bool,
}

/// For dark rooms.
pub const DARK: Theme = Theme {
    background: Color32::from_rgb(0x16, 0x18, 0x1c),
    panel: Color32::from_rgb(0x21, 0x24, 0x2a),
    well: Color32::from_rgb(0x0e, 0x10, 0x13),
    button: Color32::from_rgb(0x33, 0x38, 0x41),
    hovered: Color32::from_rgb(0x3f, 0x45, 0x50),
    text: Color32::from_rgb(0xec, 0xee, 0xf1),
    faint_text: Color32::from_rgb(0xb4, 0xba, 0xc4),
    text_on_colour: Color32::from_rgb(0x0a, 0x0b, 0x0d),
    focus: Color32::from_rgb(0xff, 0xff, 0xff),
    stems: [
        Color32::from_rgb(0xe6, 0x9f, 0x00),
        Color32::from_rgb(0x56, 0xb4, 0xe9),
        Color32::from_rgb(0x14, 0xa9, 0x7c),
        Color32::from_rgb(0xf2, 0xbe, 0xde),
    ],
    mix: Color32::from_rgb(0xc8, 0xcd, 0xd5),
    mute: Color32::from_rgb(0xff, 0x8a, 0x5c),
    solo: Color32::from_rgb(0xf0, 0xe4, 0x42),
    warning: Color32::from_rgb(0xff, 0x8a, 0x5c),
    is_dark: true,
};

/// For light rooms.
pub const LIGHT: Theme = Theme {
    background: Color32::from_rgb(0xe4, 0xe6, 0xea),
    panel: Color32::from_rgb(0xf6, 0xf7, 0xf9),
    well: Color32::from_rgb(0xff, 0xff, 0xff),
    button: Color32::from_rgb(0xdd, 0xe0, 0xe6),
    hovered: Color32::from_rgb(0xcd, 0xd2, 0xda),
    text: Color32::from_rgb(0x14, 0x17, 0x1b),
    faint_text: Color32::from_rgb(0x4a, 0x50, 0x5a),
    text_on_colour: Color32::from_rgb(0xff, 0xff, 0xff),
    focus: Color32::from_rgb(0x00, 0x00, 0x00),
    stems: [
        Color32::from_rgb(0x8f, 0x5a, 0x00),
        Color32::from_rgb(0x00, 0x62, 0xa0),
        Color32::from_rgb(0x00, 0x6b, 0x4e),
        Color32::from_rgb(0x7a, 0x1f, 0x57),
    ],
    mix: Color32::from_rgb(0x4a, 0x50, 0x5a),
    mute: Color32::from_rgb(0xb0, 0x37, 0x0a),
    solo: Color32::from_rgb(0x6b, 0x5f, 0x00),
    warning: Color32::from_rgb(0xb0, 0x37, 0x0a),
    is_dark: false,
};

/// Text of the usual size.
pub fn body_font() -> FontId {
    FontId::new(13.0, FontFamily::Proportional)
}

/// Ticks and what else is small.
pub fn small_font() -> FontId {
    FontId::new(11.0, FontFamily::Proportional)
}

/// Names.
pub fn name_font() -> FontId {
    FontId::new(15.0, FontFamily::Proportional)
}

/// A well in `rect`: a fader's slot, a meter, a value. `fill` is its colour, or another one under the pointer.
pub fn well(painter: &Painter, rect: Rect, corner: f32, fill: Color32, theme: &Theme) {
    painter.rect_filled(rect, corner, fill);
    edge(painter, rect, corner, theme);
}

/// The edge of a well.
pub fn edge(painter: &Painter, rect: Rect, corner: f32, theme: &Theme) {
    painter.rect_stroke(rect, corner, (1.0, theme.hovered), StrokeKind::Outside);
}

impl Theme {
    /// The one or the other.
    pub fn of(is_light: bool) -> &'static Theme {
        if is_light { &LIGHT } else { &DARK }
    }

    /// The colour of a sound in the spectrogram: `shares: [stem]`, which sum to one, and its level.
    pub fn glow(&self, shares: [f32; 4], level_db: f32) -> Color32 {
        let (dark, bright) = GLOW_RANGE_DB;
        let brightness = ((level_db - dark) / (bright - dark)).clamp(0.0, 1.0);
        let channel = |of: fn(&Color32) -> u8| {
            let colour: f32 = self.stems.iter().zip(shares).map(|(stem, share)| share * f32::from(of(stem))).sum();
            let well = f32::from(of(&self.well));
            (well + brightness * (colour - well)).round() as u8
        };
        Color32::from_rgb(channel(Color32::r), channel(Color32::g), channel(Color32::b))
    }

    /// For egui's own widgets: menus and text fields. Cheap where it has been applied already.
    pub fn apply_to(&self, ctx: &egui::Context) {
        let applied = egui::Id::unique("theme of Unbraid");
        if ctx.data(|data| data.get_temp::<bool>(applied)) == Some(self.is_dark) {
            return;
        }
        ctx.data_mut(|data| data.insert_temp(applied, self.is_dark));
        let kind = if self.is_dark { egui::Theme::Dark } else { egui::Theme::Light };
        let mut visuals = if self.is_dark { Visuals::dark() } else { Visuals::light() };
        visuals.panel_fill = self.background;
        visuals.window_fill = self.panel;
        visuals.window_stroke = Stroke::new(1.0, self.hovered);
        visuals.extreme_bg_color = self.well;
        visuals.override_text_color = Some(self.text);
        visuals.selection.bg_fill = self.hovered;
        visuals.selection.stroke = Stroke::new(1.0, self.text);
        for (widget, fill) in [
            (&mut visuals.widgets.inactive, self.button),
            (&mut visuals.widgets.hovered, self.hovered),
            (&mut visuals.widgets.active, self.hovered),
            (&mut visuals.widgets.open, self.hovered),
        ] {
            (widget.bg_fill, widget.weak_bg_fill) = (fill, fill);
            widget.fg_stroke.color = self.text;
        }
        ctx.set_visuals_of(kind, visuals);
        ctx.set_theme(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance(color: Color32) -> f64 {
        let [r, g, b] = [color.r(), color.g(), color.b()].map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Contrast ratio (WCAG 2.2), 1 to 21.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn black_on_white_is_21_to_1() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
        // A pair that is known to pass by a hair.
        assert!((contrast(Color32::from_gray(0x76), Color32::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn everything_that_is_read_has_contrast() {
        for theme in [DARK, LIGHT] {
            let grounds = [theme.background, theme.panel, theme.well];
            let mut pairs = Vec::new();
            for ground in grounds.into_iter().chain([theme.button, theme.hovered]) {
                pairs.extend([theme.text, theme.faint_text].map(|text| (text, ground)));
            }
            for ground in grounds {
                let marks = [theme.mix, theme.mute, theme.solo, theme.warning, theme.focus];
                pairs.extend(theme.stems.into_iter().chain(marks).map(|mark| (mark, ground)));
            }
            let coloured = theme.stems.into_iter().chain([theme.mix, theme.mute, theme.solo, theme.warning]);
            pairs.extend(coloured.map(|ground| (theme.text_on_colour, ground)));
            for (mark, ground) in pairs {
                let contrast = contrast(mark, ground);
                assert!(contrast >= 4.5, "{mark:?} on {ground:?}: {contrast:.2}");
            }
        }
    }

    /// How a colour looks to one of the three kinds of dichromats: Viénot, Brettel and Mollon (1999) for the first two,
    /// and a projection in the same space for tritanopes.
    fn seen_by(kind: usize, color: Color32) -> [f64; 3] {
        let linear = [color.r(), color.g(), color.b()].map(|value| (f64::from(value) / 255.0).powf(2.2));
        let to_lms = [[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]];
        let mut lms = to_lms.map(|row| row.iter().zip(linear).map(|(a, b)| a * b).sum::<f64>());
        match kind {
            0 => lms[0] = 2.02344 * lms[1] - 2.52581 * lms[2],
            1 => lms[1] = 0.494207 * lms[0] + 1.24827 * lms[2],
            _ => lms[2] = -0.395913 * lms[0] + 0.801109 * lms[1],
        }
        // A logarithm makes distances those that are seen, near enough.
        lms.map(|value| value.max(1e-3).ln())
    }

    #[test]
    fn stems_are_told_apart_with_every_colour_vision() {
        for theme in [DARK, LIGHT] {
            for kind in 0..3 {
                for (idx, &a) in theme.stems.iter().enumerate() {
                    for &b in &theme.stems[..idx] {
                        let (a_seen, b_seen) = (seen_by(kind, a), seen_by(kind, b));
                        let distance = a_seen.iter().zip(b_seen).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                        assert!(distance > 0.2, "{a:?} and {b:?} to kind {kind}: {distance:.2}");
                    }
                }
            }
        }
    }
}
