//! What all spectrograms share.

/// The colour of a level: 0 is black, 1 the brightest, and lightness rises evenly in between.
pub fn level_colour(level: f64) -> [u8; 3] {
    let colorous::Color { r, g, b } = colorous::MAGMA.eval_continuous(level.clamp(0.0, 1.0));
    [r, g, b]
}

/// Frequencies that get a label, within a range.
pub fn frequency_ticks(low_hz: f64, high_hz: f64) -> Vec<f64> {
    let decades = (0..5).map(|exponent| 10f64.powi(exponent));
    let ticks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * decade));
    ticks.filter(|hz| *hz >= low_hz * 0.999 && *hz <= high_hz * 1.001).collect()
}

/// 50, 200, 1k, 20k.
pub fn frequency_label(hz: &f64) -> String {
    if *hz >= 1000.0 { format!("{}k", hz / 1000.0) } else { format!("{hz}") }
}
