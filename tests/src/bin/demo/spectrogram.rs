//! A picture of spectrograms: time to the right in s, frequency upwards in Hz (logarithmic), level as colour in dB.

use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage};
use realfft::RealFftPlanner;
use tests::signal::Stereo;

/// One spectrogram.
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The left and right channel are added.
    pub sound: &'a Stereo,
}

const WINDOW_LEN: usize = 4096;
/// Levels from here up to 0 dB (a sine of full scale) are told apart.
const MIN_DB: f64 = -90.0;
const FREQUENCIES_HZ: [f64; 2] = [40.0, 16_000.0];
const TICKS_HZ: [(f64, &str); 6] =
    [(50.0, "50"), (200.0, "200"), (500.0, "500"), (1000.0, "1k"), (4000.0, "4k"), (10_000.0, "10k")];

const NUM_COLUMNS: u32 = 2;
/// Size of the coloured area of a panel in pixels, and the room around it for titles and axes.
const PLOT: [u32; 2] = [620, 230];
const MARGIN: [u32; 4] = [78, 40, 24, 54];
/// Room for the colour bar at the right.
const BAR_WIDTH: u32 = 110;
/// A glyph of 8 x 8 is drawn twice as large, titles three times.
const TEXT_SCALE: u32 = 2;

const INK: Rgb<u8> = Rgb([30, 30, 30]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// Draws the panels in two columns, with one colour bar for all.
pub fn draw(panels: &[Panel], sample_rate_hz: f64) -> RgbImage {
    let [left, top, right, bottom] = MARGIN;
    let panel_size = [left + PLOT[0] + right, top + PLOT[1] + bottom];
    let num_rows = (panels.len() as u32).div_ceil(NUM_COLUMNS);
    let mut image = RgbImage::from_pixel(NUM_COLUMNS * panel_size[0] + BAR_WIDTH, num_rows * panel_size[1], PAPER);
    for (panel_idx, panel) in (0..).zip(panels) {
        let x = panel_idx % NUM_COLUMNS * panel_size[0] + left;
        let y = panel_idx / NUM_COLUMNS * panel_size[1] + top;
        draw_panel(&mut image, panel, [x, y], sample_rate_hz);
    }
    let x = NUM_COLUMNS * panel_size[0];
    draw_colour_bar(&mut image, [x, top], num_rows * panel_size[1] - top - bottom);
    image
}

fn draw_panel(image: &mut RgbImage, panel: &Panel, [x0, y0]: [u32; 2], sample_rate_hz: f64) {
    write_text(image, panel.title, [x0, y0 - 28], TEXT_SCALE);
    let levels = levels_db(panel.sound, sample_rate_hz);
    for (x, column) in (0..).zip(&levels) {
        for (y, level_db) in (0..).zip(column) {
            image.put_pixel(x0 + x, y0 + y, colour(1.0 - level_db / MIN_DB));
        }
    }
    for (hz, label) in TICKS_HZ {
        let y = y0 + row_of(hz);
        (1..=6).for_each(|dx| image.put_pixel(x0 - dx, y, INK));
        write_text(image, label, [x0 - 10 - text_width(label), y - 8], TEXT_SCALE);
    }
    write_text(image, "Hz", [x0 - 10 - text_width("Hz"), y0 - 28], TEXT_SCALE);
    let duration_s = panel.sound[0].len() as f64 / sample_rate_hz;
    let step_s = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0].into_iter().find(|step| duration_s / step <= 7.0);
    let step_s = step_s.unwrap_or(600.0);
    for tick_idx in 0..=(duration_s / step_s) as u32 {
        let seconds = step_s * f64::from(tick_idx);
        let x = x0 + (seconds / duration_s * f64::from(PLOT[0] - 1)) as u32;
        (0..6).for_each(|dy| image.put_pixel(x, y0 + PLOT[1] + dy, INK));
        let label = if step_s < 1.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
        write_text(image, &label, [x - text_width(&label) / 2, y0 + PLOT[1] + 10], TEXT_SCALE);
    }
    let label = "time in s";
    write_text(image, label, [x0 + (PLOT[0] - text_width(label)) / 2, y0 + PLOT[1] + 30], TEXT_SCALE);
}

fn draw_colour_bar(image: &mut RgbImage, [x0, y0]: [u32; 2], height: u32) {
    for y in 0..height {
        let level = 1.0 - f64::from(y) / f64::from(height - 1);
        (0..24).for_each(|x| image.put_pixel(x0 + x, y0 + y, colour(level)));
    }
    write_text(image, "dB", [x0, y0 - 28], TEXT_SCALE);
    for level_db in (0..=9).map(|tick_idx| -10 * tick_idx) {
        let y = y0 + (f64::from(level_db) / MIN_DB * f64::from(height - 1)) as u32;
        (24..30).for_each(|x| image.put_pixel(x0 + x, y, INK));
        write_text(image, &level_db.to_string(), [x0 + 34, y - 8], TEXT_SCALE);
    }
}

/// The rows of pixels that belong to a frequency, from the top.
fn row_of(hz: f64) -> u32 {
    let [low, high] = FREQUENCIES_HZ;
    ((high / hz).ln() / (high / low).ln() * f64::from(PLOT[1] - 1)).round() as u32
}

/// `[column][row from the top]` of the plot, in dB re a sine of full scale, `MIN_DB..=0`.
fn levels_db(sound: &Stereo, sample_rate_hz: f64) -> Vec<Vec<f64>> {
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW_LEN);
    let (mut samples, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
    let num_samples = sound[0].len();
    let hz_per_bin = sample_rate_hz / WINDOW_LEN as f64;
    let [low, high] = FREQUENCIES_HZ;
    let column = |x: u32| {
        let centre = num_samples * x as usize / PLOT[0] as usize;
        for (i, sample) in samples.iter_mut().enumerate() {
            let at = (centre + i).checked_sub(WINDOW_LEN / 2).filter(|at| *at < num_samples);
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / WINDOW_LEN as f64).cos();
            *sample = at.map_or(0.0, |at| window * f64::from(sound[0][at] + sound[1][at]) / 2.0);
        }
        fft.process(&mut samples, &mut spectrum).expect("buffers of the plan's own lengths");
        let row = |y: u32| {
            // The loudest bin within the row; where a row is narrower than a bin, the nearest one.
            let edge = |y: f64| high * (low / high).powf(y / f64::from(PLOT[1] - 1)) / hz_per_bin;
            let (from, to) = (edge(f64::from(y) + 0.5), edge(f64::from(y) - 0.5));
            let first = (from.round() as usize).min(spectrum.len() - 1);
            let last = (to.round() as usize).clamp(first, spectrum.len() - 1);
            let power = spectrum[first..=last].iter().map(|c| c.norm_sqr()).fold(0.0, f64::max);
            // A sine of amplitude 1 has a peak of a quarter of the Hann window's length.
            (10.0 * power.log10() - 20.0 * (WINDOW_LEN as f64 / 4.0).log10()).clamp(MIN_DB, 0.0)
        };
        (0..PLOT[1]).map(row).collect()
    };
    (0..PLOT[0]).map(column).collect()
}

/// Dark blue over purple and orange to light yellow, evenly rising in lightness; `level` in 0..=1.
fn colour(level: f64) -> Rgb<u8> {
    const STOPS: [[f64; 3]; 6] = [
        [0.0, 0.0, 12.0],
        [50.0, 12.0, 92.0],
        [125.0, 35.0, 110.0],
        [200.0, 66.0, 76.0],
        [245.0, 140.0, 30.0],
        [252.0, 252.0, 180.0],
    ];
    let position = level.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop_idx = (position as usize).min(STOPS.len() - 2);
    let way = position - stop_idx as f64;
    Rgb([0, 1, 2].map(|i| (STOPS[stop_idx][i] + way * (STOPS[stop_idx + 1][i] - STOPS[stop_idx][i])) as u8))
}

fn text_width(text: &str) -> u32 {
    8 * TEXT_SCALE * text.chars().count() as u32
}

fn write_text(image: &mut RgbImage, text: &str, [x0, y0]: [u32; 2], scale: u32) {
    for (char_idx, char) in (0..).zip(text.chars()) {
        let glyph = font8x8::BASIC_FONTS.get(char).unwrap_or_default();
        for (row_idx, row) in (0..).zip(glyph) {
            for column_idx in (0..8).filter(|bit| row >> bit & 1 == 1) {
                for (dx, dy) in (0..scale).flat_map(|dx| (0..scale).map(move |dy| (dx, dy))) {
                    let x = x0 + (8 * char_idx + column_idx) * scale + dx;
                    let y = y0 + row_idx * scale + dy;
                    if x < image.width() && y < image.height() {
                        image.put_pixel(x, y, INK);
                    }
                }
            }
        }
    }
}
