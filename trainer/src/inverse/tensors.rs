//! The inverse transform as batched tensor operations, with torch's gradients.

use super::tables::{Tables, spectrum_index};
use crate::transform::Layout;
use crate::transform::Transform;
use crate::transform::num_whole_samples;
use anyhow::Result;
use slicqt::Plan;
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

struct Sliced {
    /// By bucket: first coefficient, bins, frames.
    buckets: Vec<(i64, i64, i64)>,
    /// `[coef]` in the order `[bin][k]`: `(-1)^(p/2) M g(k) / D`.
    dual: Tensor,
    /// Which entries of all bins' spectra go where in the half spectrum, as they are and as conjugate mirrors.
    direct: (Tensor, Tensor),
    mirrored: (Tensor, Tensor),
    half_len: i64,
}

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
        let mut dual = Vec::new();
        let (mut direct, mut mirrored) = ((vec![], vec![]), (vec![], vec![]));
        for (j, bin) in plan.bins().iter().enumerate() {
            for k in 0..bin.num_frames {
                let entry = bin.coef_offset + k;
                let q = spectrum_index(bin.position, k, bin.num_frames, len);
                dual.push(bin.num_frames as f64 * tables.windows[entry] / tables.diagonal[q]);
                if q < half_len {
                    direct.0.push(entry as i64);
                    direct.1.push(q as i64);
                }
                // A mirror falls into the half only where a band's window reaches over DC or Nyquist.
                let mirror = (len - q) % len;
                if j != 0 && j != last && mirror < half_len {
                    mirrored.0.push(entry as i64);
                    mirrored.1.push(mirror as i64);
                }
            }
        }
        let ints = |values: &[i64]| ints(values, options.1);
        Sliced {
            buckets: plan
                .buckets()
                .iter()
                .map(|b| (b.coefs.start as i64, b.num_bins as i64, b.num_frames as i64))
                .collect(),
            dual: floats(&dual, options),
            direct: (ints(&direct.0), ints(&direct.1)),
            mirrored: (ints(&mirrored.0), ints(&mirrored.1)),
            half_len: half_len as i64,
        }
    }

    /// Half spectra of slices, `[...][frequency]`, of `[...][coef]`.
    fn half_spectra(&self, coefs: &Tensor) -> Tensor {
        let spectra: Vec<Tensor> = self
            .buckets
            .iter()
            .map(|(start, num_bins, num_frames)| {
                let bins = coefs.narrow(-1, *start, num_bins * num_frames).unflatten(-1, [*num_bins, *num_frames]);
                bins.fft_fft(None, -1, "backward").flatten(-2, -1)
            })
            .collect();
        let spectra = Tensor::cat(&spectra, -1) * &self.dual;
        let mut shape = spectra.size();
        *shape.last_mut().expect("five dimensions") = self.half_len;
        Tensor::zeros(shape.as_slice(), (spectra.kind(), spectra.device()))
            .index_add(-1, &self.direct.1, &spectra.index_select(-1, &self.direct.0))
            .index_add(-1, &self.mirrored.1, &spectra.index_select(-1, &self.mirrored.0).conj().resolve_conj())
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
