//! The inverse transform as batched tensor operations, with torch's gradients.

use super::tables::{Tables, spectrum_index};
use crate::transform::Layout;
use crate::transform::Transform;
use crate::transform::num_whole_samples;
use anyhow::Result;
use slicqt::Plan;
use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

/// Tables of the inverse on a device.
pub struct TensorInverse {
    layout: Layout,
    /// `[coef]` Index of the cell at or before a coefficient, and how far it lies towards the next.
    lower: Tensor,
    fraction: Tensor,
    way: Way,
    slice_len: i64,
    hop_len: i64,
}

/// From coefficients to slices.
enum Way {
    /// A plain STFT: its coefficients are the spectrum, its slices go through a window.
    Stft {
        /// `[sample]`
        synthesis: Tensor,
    },
    Sliced(Sliced),
}

/// The sliced transform: a bin's spectrum is the DFT of its frames times its dual window. There are as many lengths of
/// DFTs as buckets, and an FFT for each would be launched by itself; so bins of similar lengths are padded to one length
/// and transformed by one batched product with their DFT matrices, dual windows included.
struct Sliced {
    groups: Vec<Group>,
    /// Which entries of all groups' spectra go where in the half spectrum, as they are and as conjugate mirrors.
    direct: (Tensor, Tensor),
    mirrored: (Tensor, Tensor),
    half_len: i64,
}

/// Bins that are padded to one number of frames.
struct Group {
    /// `[bin][frame]` Where the frames lie among the coefficients; anywhere behind a bin's last one.
    frames: Tensor,
    /// `[bin][k][frame]` (complex) `(-1)^(p/2) M g(k) / D` times the DFT matrix; 0 behind the last frame.
    dft: Tensor,
}

/// Bins have at least this share of the frames that they are padded to.
const LEAST_FILLED: f64 = 0.7;

fn ints(values: &[i64], device: Device) -> Tensor {
    Tensor::from_slice(values).to_device(device)
}

fn floats(values: &[f64], options: (Kind, Device)) -> Tensor {
    Tensor::from_slice(values).to_kind(options.0).to_device(options.1)
}

impl Sliced {
    fn new(plan: &Plan<f32>, tables: &Tables, options: (Kind, Device)) -> Self {
        let (len, last) = (plan.slice_len(), plan.num_bins() - 1);
        let half_len = len / 2 + 1;
        let mut by_length: Vec<usize> = (0..plan.num_bins()).collect();
        by_length.sort_by_key(|j| std::cmp::Reverse(plan.bins()[*j].num_frames));
        let mut groups = Vec::new();
        let (mut direct, mut mirrored) = ((vec![], vec![]), (vec![], vec![]));
        let mut num_entries = 0;
        let mut rest = by_length.as_slice();
        while let Some(longest) = rest.first() {
            let padded_len = plan.bins()[*longest].num_frames;
            let is_long = |j: &usize| plan.bins()[*j].num_frames as f64 >= LEAST_FILLED * padded_len as f64;
            let (group, shorter) = rest.split_at(rest.partition_point(is_long));
            rest = shorter;
            let (mut frames, mut re, mut im) = (vec![], vec![], vec![]);
            for j in group {
                let bin = &plan.bins()[*j];
                let m = bin.num_frames;
                frames.extend((0..padded_len).map(|i| (bin.coef_offset + i.min(m - 1)) as i64));
                for k in 0..padded_len {
                    let q = spectrum_index(bin.position, k.min(m - 1), m, len);
                    let window = tables.windows[bin.coef_offset + k.min(m - 1)];
                    let factor = if k < m { m as f64 * window / tables.diagonal[q] } else { 0.0 };
                    for i in 0..padded_len {
                        let turn = -2.0 * PI * (i * k % m) as f64 / m as f64;
                        let factor = if i < m { factor } else { 0.0 };
                        re.push(factor * turn.cos());
                        im.push(factor * turn.sin());
                    }
                    if k >= m {
                        continue;
                    }
                    let entry = num_entries + k as i64;
                    if q < half_len {
                        direct.0.push(entry);
                        direct.1.push(q as i64);
                    }
                    // A mirror falls into the half only where a band's window reaches over DC or Nyquist.
                    let mirror = (len - q) % len;
                    if *j != 0 && *j != last && mirror < half_len {
                        mirrored.0.push(entry);
                        mirrored.1.push(mirror as i64);
                    }
                }
                num_entries += padded_len as i64;
            }
            let shape = [group.len() as i64, padded_len as i64, padded_len as i64];
            let dft = Tensor::complex(&floats(&re, options), &floats(&im, options)).reshape(shape);
            groups.push(Group { frames: ints(&frames, options.1), dft });
        }
        let ints = |values: &[i64]| ints(values, options.1);
        Sliced {
            groups,
            direct: (ints(&direct.0), ints(&direct.1)),
            mirrored: (ints(&mirrored.0), ints(&mirrored.1)),
            half_len: half_len as i64,
        }
    }

    /// Half spectra of slices, `[...][frequency]`, of `[...][coef]`.
    fn half_spectra(&self, coefs: &Tensor) -> Tensor {
        let mut shape = coefs.size();
        let num_coefs = shape.pop().expect("five dimensions");
        // [coef][row]: everything from here on takes rows as they lie.
        let by_coef = coefs.reshape([-1, num_coefs]).transpose(0, 1).contiguous();
        let num_rows = by_coef.size()[1];
        let spectra = self.groups.iter().map(|group| {
            let [num_bins, padded_len, _] = group.dft.size()[..] else { unreachable!("made with three axes") };
            let frames = by_coef.index_select(0, &group.frames).reshape([num_bins, padded_len, num_rows]);
            group.dft.bmm(&frames).reshape([-1, num_rows])
        });
        let spectra = Tensor::cat(&spectra.collect::<Vec<_>>(), 0);
        let half = Tensor::zeros([self.half_len, num_rows], (spectra.kind(), spectra.device()))
            .index_add(0, &self.direct.1, &spectra.index_select(0, &self.direct.0))
            .index_add(0, &self.mirrored.1, &spectra.index_select(0, &self.mirrored.0).conj().resolve_conj());
        shape.push(self.half_len);
        half.transpose(0, 1).reshape(shape)
    }
}

impl TensorInverse {
    /// Tables for a transform, in f32 or f64.
    ///
    /// # Errors
    /// If the transform cannot be computed.
    pub fn new(transform: &Transform, layout: Layout, options: (Kind, Device)) -> Result<Self> {
        let plan = &transform.plan;
        let way = match Plan::<f64>::new(&transform.design)?.synthesis_window() {
            Some(window) => Way::Stft { synthesis: floats(&window, options) },
            None => Way::Sliced(Sliced::new(plan, &Tables::new(&transform.design)?, options)),
        };
        let lower: Vec<i64> = transform.grid.lower.iter().map(|i| i64::from(*i)).collect();
        let fraction: Vec<f64> = transform.grid.fraction.iter().map(|f| f64::from(*f)).collect();
        Ok(TensorInverse {
            layout,
            lower: ints(&lower, options.1),
            fraction: floats(&fraction, options),
            way,
            slice_len: plan.slice_len() as i64,
            hop_len: plan.hop_len() as i64,
        })
    }

    /// Samples `[B][stem][channel][sample]` of `masks` `[B][S][stem][channel][position]` times `mix`
    /// `[B][S][1][channel][coef]` (complex).
    pub fn samples(&self, mix: &Tensor, masks: &Tensor, transform: &Transform) -> Tensor {
        let masks = match self.layout {
            Layout::Coefs => masks.shallow_clone(),
            Layout::Grid => {
                let at = masks.index_select(-1, &self.lower);
                let next = masks.index_select(-1, &(&self.lower + 1));
                &at + (next - &at) * &self.fraction
            }
        };
        let coefs = mix * masks;
        let inverse = |half: &Tensor| half.fft_irfft(self.slice_len, -1, "backward");
        let slices = match &self.way {
            Way::Stft { synthesis } => inverse(&coefs) * synthesis,
            Way::Sliced(sliced) => inverse(&sliced.half_spectra(&coefs)),
        };
        let (b, s) = (coefs.size()[0], coefs.size()[1]);
        // [B * stem * channel][sample of the slice][S], added up at every hop
        let slices = slices.permute([0, 2, 3, 4, 1]).reshape([b * 8, self.slice_len, s]);
        let total_len = (s - 1) * self.hop_len + self.slice_len;
        let all = slices.col2im([1, total_len], [1, self.slice_len], [1, 1], [0, 0], [1, self.hop_len]);
        let num_samples = num_whole_samples(&transform.plan, s as usize) as i64;
        all.reshape([b, 4, 2, total_len]).narrow(-1, self.slice_len - self.hop_len, num_samples)
    }
}
