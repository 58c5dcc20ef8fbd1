//! How bins are split into bands, after BSRNN (Luo and Yu 2023): narrow below, wide above, and neighbours of one width
//! in groups that share one batched product.

use slicqt::Plan;

/// Width of a band in Hz, and the frequency up to which bands are so wide.
const WIDTHS_HZ: [(f64, f64); 6] =
    [(45.0, 500.0), (90.0, 1_500.0), (180.0, 3_200.0), (400.0, 6_500.0), (900.0, 12_000.0), (2_500.0, f64::INFINITY)];

/// Neighbouring bands of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandGroup {
    /// First bin of its first band.
    pub first_bin: i64,
    /// First of its bands.
    pub first_band: i64,
    /// Bands.
    pub num_bands: i64,
    /// Bins of each.
    pub width: i64,
}

impl BandGroup {
    /// Its bins.
    pub fn num_bins(&self) -> i64 {
        self.num_bands * self.width
    }
}

/// Groups of bands over all bins of a plain STFT, widths in Hz times `scale`. The last band may reach beyond the last
/// bin.
pub fn split(plan: &Plan<f32>, scale: f64) -> Vec<BandGroup> {
    let bins = plan.bins();
    let (num_bins, step_hz) = (bins.len() as i64, bins[1].frequency_hz - bins[0].frequency_hz);
    let mut groups: Vec<BandGroup> = Vec::new();
    let (mut first_bin, mut first_band) = (0, 0);
    for (width_hz, up_to_hz) in WIDTHS_HZ {
        let width = ((scale * width_hz / step_hz).round() as i64).max(1);
        let end = num_bins.min((up_to_hz / step_hz).min(1e9) as i64);
        let num_bands = match end - first_bin {
            left if left <= 0 => continue,
            left if end == num_bins => (left + width - 1) / width,
            left => ((left as f64 / width as f64).round() as i64).max(1),
        };
        // What is left above is shared equally by the last bands.
        let width = if end == num_bins { (end - first_bin + num_bands - 1) / num_bands } else { width };
        groups.push(BandGroup { first_bin, first_band, num_bands, width });
        (first_bin, first_band) = (first_bin + num_bands * width, first_band + num_bands);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use slicqt::Design;

    #[test]
    fn every_bin_is_in_one_band_and_bands_grow_wider() {
        for (fft_len, hop_len) in [(256, 64), (512, 128), (1024, 256), (2048, 512), (3072, 768), (4096, 1024)] {
            let plan = Plan::new(&Design::stft(fft_len, hop_len, 44_100.0)).unwrap();
            for scale in [0.7, 1.0, 1.4] {
                let groups = split(&plan, scale);
                let (mut bin, mut band) = (0, 0);
                for group in &groups {
                    assert_eq!((group.first_bin, group.first_band), (bin, band), "{fft_len} {scale}");
                    (bin, band) = (bin + group.num_bins(), band + group.num_bands);
                }
                let over = bin - plan.num_bins() as i64;
                let last = groups.last().unwrap();
                assert!((0..last.num_bands).contains(&over), "{fft_len} {scale}: {over} bins too many");
                assert!(groups.is_sorted_by_key(|group| group.width), "{fft_len} {scale}: {groups:?}");
            }
        }
        let plan = Plan::new(&Design::stft(3072, 768, 44_100.0)).unwrap();
        assert_eq!(split(&plan, 1.0).iter().map(|group| group.num_bands).sum::<i64>(), 51);
    }
}
