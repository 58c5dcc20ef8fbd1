//! Meters of peak and RMS. What falls falls here: the audio thread only measures.

use super::{
    fader,
    theme::{self, Theme},
};
use crate::meters::Level;
use egui::{Align2, Color32, Rect, Sense, Ui, pos2, vec2};
use nice_plug::params::{FloatParam, Param};

/// How fast a peak falls, in dB/s.
const FALL_DB_PER_S: f32 = 24.0;
/// How long the highest peak stands, in s.
const HOLD_S: f64 = 2.0;
/// Below this nothing is shown, in dB.
const FLOOR_DB: f32 = -72.0;

/// What a meter shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelMeter {
    /// `[channel]`, in dB, falling.
    peak_db: [f32; 2],
    /// `[channel]`, in dB.
    rms_db: [f32; 2],
    /// The highest peak lately, in dB.
    hold_db: f32,
    hold_until_s: f64,
    /// Whether full scale was exceeded since the last click.
    has_clipped: bool,
}

impl Default for LevelMeter {
    fn default() -> Self {
        LevelMeter {
            peak_db: [FLOOR_DB; 2],
            rms_db: [FLOOR_DB; 2],
            hold_db: FLOOR_DB,
            hold_until_s: 0.0,
            has_clipped: false,
        }
    }
}

impl LevelMeter {
    /// Takes what was measured in the `passed_s` until `now_s`.
    pub fn update(&mut self, level: Level, now_s: f64, passed_s: f32) {
        for (shown, peak) in self.peak_db.iter_mut().zip(level.peak) {
            *shown = (*shown - FALL_DB_PER_S * passed_s).max(to_db(peak));
            if self.hold_db <= to_db(peak) && to_db(peak) > FLOOR_DB {
                (self.hold_db, self.hold_until_s) = (to_db(peak), now_s + HOLD_S);
            }
            self.has_clipped |= peak > 1.0;
        }
        if now_s > self.hold_until_s {
            self.hold_db = self.peak_db[0].max(self.peak_db[1]);
        }
        self.rms_db = level.rms.map(to_db);
    }

    /// Draws it in `rect`, on the scale of the fader of `scale`; a click forgets the overload.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, scale: &FloatParam, colour: Color32, theme: &Theme) {
        let y_of = |db: f32| fader::y_of(rect, scale.preview_normalized(db));
        let painter = ui.painter();
        let bottom = y_of(FLOOR_DB);
        for channel_idx in 0..2 {
            let left = rect.left() + channel_idx as f32 * (theme::METER_WIDTH + 2.0);
            let bar = |top: f32| Rect::from_min_max(pos2(left, top), pos2(left + theme::METER_WIDTH, bottom));
            theme::well(painter, bar(y_of(scale.preview_plain(1.0))), 2.0, theme.well, theme);
            // Peak thin and dim, RMS full: the one says how near to overload, the other how loud.
            painter.rect_filled(bar(y_of(self.peak_db[channel_idx])), 2.0, colour.gamma_multiply(0.45));
            painter.rect_filled(bar(y_of(self.rms_db[channel_idx])), 2.0, colour);
        }
        let across = rect.left()..=rect.left() + 2.0 * theme::METER_WIDTH + 2.0;
        if self.hold_db > FLOOR_DB {
            painter.hline(across.clone(), y_of(self.hold_db), (2.0, colour));
        }
        painter.hline(across, y_of(0.0), (1.0, theme.faint_text));
        let top =
            Rect::from_center_size(pos2(rect.left() + theme::METER_WIDTH + 1.0, rect.top() - 8.0), vec2(40.0, 16.0));
        let text = if self.hold_db > FLOOR_DB { format!("{:+.1}", self.hold_db) } else { "-inf".to_owned() };
        let ink = if self.has_clipped {
            painter.rect_filled(top, 3.0, theme.warning);
            theme.text_on_colour
        } else {
            theme.faint_text
        };
        painter.text(top.center(), Align2::CENTER_CENTER, text, theme::small_font(), ink);
        let hint = "Highest peak in dB. Red: over 0 dB since the last click";
        // Not for Tab: there is nothing to set here.
        let sense = Sense::CLICK;
        if ui.interact(top, ui.scope_id().with(("peak", scale.name())), sense).on_hover_text(hint).clicked() {
            *self = LevelMeter::default();
        }
    }
}

fn to_db(linear: f32) -> f32 {
    // A NaN is nothing that can be shown.
    (20.0 * linear.log10()).max(FLOOR_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(peak: f32) -> Level {
        Level { peak: [peak, 0.0], rms: [peak / 2.0, 0.0] }
    }

    #[test]
    fn a_peak_rises_at_once_falls_evenly_and_is_held() {
        let mut meter = LevelMeter::default();
        meter.update(level(1.0), 10.0, 0.03);
        assert_eq!((meter.peak_db, meter.hold_db, meter.has_clipped), ([0.0, FLOOR_DB], 0.0, false));
        assert!((meter.rms_db[0] + 6.02).abs() < 0.01);
        for step in 1..=10 {
            meter.update(level(0.0), 10.0 + f64::from(step) * 0.1, 0.1);
        }
        assert!((meter.peak_db[0] + FALL_DB_PER_S).abs() < 1e-3, "{meter:?}");
        assert_eq!(meter.hold_db, 0.0);
        meter.update(level(0.0), 12.5, 1.5);
        assert!((meter.hold_db + 2.5 * FALL_DB_PER_S).abs() < 1e-3, "{meter:?}");
    }

    #[test]
    fn an_overload_stays() {
        let mut meter = LevelMeter::default();
        meter.update(level(1.01), 0.0, 0.03);
        meter.update(level(0.1), 100.0, 100.0);
        assert!(meter.has_clipped);
    }

    #[test]
    fn what_is_no_number_is_not_shown() {
        let mut meter = LevelMeter::default();
        meter.update(Level { peak: [f32::NAN, -0.0], rms: [f32::NAN, f32::NAN] }, 0.0, 0.03);
        assert_eq!(meter, LevelMeter { hold_until_s: meter.hold_until_s, ..LevelMeter::default() });
    }
}
