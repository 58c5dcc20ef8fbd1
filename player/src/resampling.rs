//! A song at its own rate on a sound card that does not know it.

use crate::device::Render;
use anyhow::{Result, anyhow};
use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::SequentialSliceOfVecs};

/// Samples that are resampled at a time, about.
const CHUNK_LEN: usize = 256;

/// What `render` makes at `from_hz`, at `to_hz`. It comes later by a chunk and the filter's delay, some 10 ms.
///
/// # Errors
/// One of the rates is 0.
pub fn resampled(mut render: Render, from_hz: u32, to_hz: u32) -> Result<Render> {
    let fft = Fft::<f32>::new(from_hz as usize, to_hz as usize, CHUNK_LEN, 2, FixedSync::Both);
    let mut fft = fft.map_err(|error| anyhow!("{from_hz} Hz cannot be resampled to {to_hz} Hz: {error}"))?;
    let (input_len, output_len) = (fft.input_frames_next(), fft.output_frames_next());
    // `[channel][sample]`
    let mut input = vec![vec![0.0; input_len]; 2];
    let mut output = vec![vec![0.0; output_len]; 2];
    let mut num_taken = output_len;
    Ok(Box::new(move |[left, right]: [&mut [f32]; 2]| {
        let mut start = 0;
        while start < left.len() {
            if num_taken == output_len {
                if let [left, right] = &mut input[..] {
                    render([left, right]);
                }
                let from = SequentialSliceOfVecs::new(&input, 2, input_len);
                let to = SequentialSliceOfVecs::new_mut(&mut output, 2, output_len);
                // Both are as long as was asked for, so that nothing can fail.
                if let (Ok(from), Ok(mut to)) = (from, to) {
                    let _ = fft.process_into_buffer(&from, &mut to, None);
                }
                num_taken = 0;
            }
            let len = (left.len() - start).min(output_len - num_taken);
            left[start..start + len].copy_from_slice(&output[0][num_taken..num_taken + len]);
            right[start..start + len].copy_from_slice(&output[1][num_taken..num_taken + len]);
            (start, num_taken) = (start + len, num_taken + len);
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A tone of 1 kHz at the one rate is the same tone at the other, whatever the blocks.
    #[test]
    fn a_tone_stays_the_tone() {
        for (from_hz, to_hz) in [(44_100, 48_000), (96_000, 48_000), (22_050, 48_000), (48_000, 44_100)] {
            let mut num_made = 0;
            let tone = move |[left, right]: [&mut [f32]; 2]| {
                for (left, right) in left.iter_mut().zip(right) {
                    *left = (TAU * 1000.0 * f64::from(num_made) / f64::from(from_hz)).sin() as f32;
                    *right = -*left;
                    num_made += 1;
                }
            };
            let mut render = resampled(Box::new(tone), from_hz, to_hz).unwrap();
            let (mut left, mut right) = (vec![0.0; to_hz as usize], vec![0.0; to_hz as usize]);
            let mut start = 0;
            for len in [1, 7, 64, 480, 1000, 4096].into_iter().cycle() {
                let end = (start + len).min(left.len());
                render([&mut left[start..end], &mut right[start..end]]);
                start = end;
                if start == left.len() {
                    break;
                }
            }
            // Its power lies in the tone, and nowhere else.
            let inside = &left[to_hz as usize / 4..to_hz as usize * 3 / 4];
            let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
            for (n, &x) in inside.iter().enumerate() {
                let phase = TAU * 1000.0 * n as f64 / f64::from(to_hz);
                (sine, cosine) = (sine + f64::from(x) * phase.sin(), cosine + f64::from(x) * phase.cos());
                power += f64::from(x).powi(2);
            }
            let of_tone = 2.0 * (sine * sine + cosine * cosine) / inside.len() as f64;
            let rest_db = 10.0 * ((power - of_tone).abs() / power).log10();
            assert!((power / inside.len() as f64 - 0.5).abs() < 1e-3, "{from_hz} to {to_hz}: {power}");
            assert!(rest_db < -80.0, "{from_hz} to {to_hz}: {rest_db:.1} dB beside the tone");
            assert!(left.iter().zip(&right).all(|(left, right)| (left + right).abs() < 1e-5));
        }
    }
}
