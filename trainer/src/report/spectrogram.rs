//! Spectrograms as pictures.

use image::{Rgb, RgbImage};
use num_complex::Complex;
use pictures::level_colour;
use slicqt::{Design, Plan, forward_whole};

/// Rows of the picture.
const HEIGHT: u32 = 160;
/// Columns of the picture.
const WIDTH: u32 = 480;
/// From black to the brightest colour.
const RANGE_DB: f32 = 70.0;

/// A picture of stereo sound, `[channel][sample]`: time to the right, the bark scale upwards, levels below the loudest.
pub fn picture(sound: &[Vec<f32>; 2]) -> RgbImage {
    let plan = Plan::<f32>::new(&Design::bark_262()).expect("a preset");
    let mono: Vec<f32> = sound[0].iter().zip(&sound[1]).map(|(l, r)| 0.5 * (l + r)).collect();
    let coefs = forward_whole(&plan, &mono);
    let num_slices = coefs.len() / plan.num_coefs();
    let level = |x: u32, y: u32| {
        // Where the slicing window is at its height, neighbouring slices take turns.
        let at = (f64::from(x) + 0.5) / f64::from(WIDTH) * mono.len() as f64 / plan.hop_len() as f64;
        let slice_idx = (at as usize).min(num_slices - 1);
        let bin_idx = (HEIGHT - 1 - y) as usize * plan.num_bins() / HEIGHT as usize;
        let bin = &plan.bins()[bin_idx];
        let frame = ((0.25 + 0.5 * at.fract()) * bin.num_frames as f64) as usize;
        let coef: Complex<f32> = coefs[slice_idx * plan.num_coefs() + bin.coef_offset + frame.min(bin.num_frames - 1)];
        10.0 * (coef.norm_sqr() * (bin.num_frames as f32).powi(2)).max(1e-12).log10()
    };
    let mut levels = vec![0.0; (WIDTH * HEIGHT) as usize];
    for (i, out) in levels.iter_mut().enumerate() {
        *out = level(i as u32 % WIDTH, i as u32 / WIDTH);
    }
    let loudest = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let share = 1.0 + (levels[(y * WIDTH + x) as usize] - loudest) / RANGE_DB;
        Rgb(level_colour(f64::from(share)))
    })
}
