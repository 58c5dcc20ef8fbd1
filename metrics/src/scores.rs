//! From lag products to ratios.

use crate::Ratios;
use crate::energy::{EnergyKernel, dot};
use crate::filters::closest;
use crate::ratios::ratio_db;

/// An artifact this far below its estimate (120 dB, as energies) is rounding.
const MIN_ARTIFACT: f64 = 1e-12;

/// The ratios of one stem in every window; `None` where the true stem, or its estimate, is silent all through.
pub type SourceScores = Option<Vec<Ratios>>;

/// The outcome of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// `[set][source]`
    pub sets: Vec<Vec<SourceScores>>,
    /// `[source]`, with the mix as the estimate of every stem.
    pub mix: Vec<SourceScores>,
}

/// Who is where in lag products `[channel of a source][signal][lag]`. Signals are the channels of the sources, then those
/// of the estimates, set by set.
pub struct SourceLayout {
    pub num_sources: usize,
    pub num_sets: usize,
    pub window_len: usize,
    pub filter_len: usize,
}

impl SourceLayout {
    pub fn num_signals(&self) -> usize {
        2 * self.num_sources * (1 + self.num_sets)
    }

    /// `[lag]`: the products of a source's channel with a signal that comes later by so much.
    pub fn lags<'a>(&self, products: &'a [f64], channel: usize, signal: usize) -> &'a [f64] {
        &products[(channel * self.num_signals() + signal) * self.filter_len..][..self.filter_len]
    }

    /// `[channel][lag]`: the products of `channels` with one channel of the estimate of a source. The set after the last
    /// is the mix.
    fn target(&self, products: &[f64], channels: &[usize], set: usize, source: usize, out: usize) -> Vec<f64> {
        let mut target = Vec::with_capacity(channels.len() * self.filter_len);
        for &channel in channels {
            if set < self.num_sets {
                let signal = 2 * (self.num_sources * (1 + set) + source) + out;
                target.extend_from_slice(self.lags(products, channel, signal));
            } else {
                let sum = |lag: usize| {
                    (0..self.num_sources).map(|j| self.lags(products, channel, 2 * j + out)[lag]).sum::<f64>()
                };
                target.extend((0..self.filter_len).map(sum));
            }
        }
        target
    }
}

/// All that is kept of one window.
pub struct Window {
    products: Vec<f64>,
    /// `[source or estimate]`, the mix last.
    pub is_silent: Vec<bool>,
    /// `[source]`
    source_energy: Vec<f64>,
    /// `[set][source]`, the mix as the last set: of the estimate, and of its difference to the source.
    estimate_energy: Vec<Vec<f64>>,
    error_energy: Vec<Vec<f64>>,
}

impl Window {
    /// Of `signals`, `[signal][sample]`, and their lag products.
    pub fn new(layout: &SourceLayout, signals: &[Vec<f32>], products: Vec<f64>) -> Window {
        let sources = &signals[..2 * layout.num_sources];
        let mix: Vec<Vec<f64>> = (0..2)
            .map(|out| {
                let sum = |i: usize| sources.iter().skip(out).step_by(2).map(|x| f64::from(x[i])).sum();
                (0..signals[0].len()).map(sum).collect()
            })
            .collect();
        // museval takes for silent whose channels cancel everywhere.
        let mut is_silent: Vec<bool> =
            signals.chunks_exact(2).map(|stereo| stereo[0].iter().zip(&stereo[1]).all(|(l, r)| l + r == 0.0)).collect();
        is_silent.push(mix[0].iter().zip(&mix[1]).all(|(l, r)| l + r == 0.0));

        let energy = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let distance =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
        let mix_energy: f64 = mix.iter().flatten().map(|x| x * x).sum();
        let mut estimate_energy = Vec::with_capacity(layout.num_sets + 1);
        let mut error_energy: Vec<Vec<f64>> = Vec::with_capacity(layout.num_sets + 1);
        for set in signals[sources.len()..].chunks_exact(sources.len()) {
            estimate_energy.push(set.chunks_exact(2).map(|stereo| energy(&stereo[0]) + energy(&stereo[1])).collect());
            let distances: Vec<f64> = set.iter().zip(sources).map(|(x, y)| distance(x, y)).collect();
            error_energy.push(distances.chunks_exact(2).map(|stereo| stereo[0] + stereo[1]).collect());
        }
        estimate_energy.push(vec![mix_energy; layout.num_sources]);
        let of_mix = |source: &[Vec<f32>]| -> f64 {
            source
                .iter()
                .zip(&mix)
                .flat_map(|(x, mix)| x.iter().zip(mix))
                .map(|(x, y)| (f64::from(*x) - y).powi(2))
                .sum()
        };
        error_energy.push(sources.chunks_exact(2).map(of_mix).collect());
        let source_energy = sources.chunks_exact(2).map(|stereo| energy(&stereo[0]) + energy(&stereo[1])).collect();
        Window { products, is_silent, source_energy, estimate_energy, error_energy }
    }
}

/// The ratios of all windows, with filters of the whole song.
pub fn scores(
    layout: &SourceLayout,
    windows: &[Window],
    total: &[f64],
    is_mono: &[bool],
    is_silent: &[bool],
) -> Scores {
    // A stem that is silent throughout cannot be scored (museval refuses it). Two equal channels are one: the equations
    // would have no single solution.
    let sources: Vec<usize> = (0..layout.num_sources).filter(|source| !is_silent[*source]).collect();
    let channels_of = |source: usize| if is_mono[source] { vec![2 * source] } else { vec![2 * source, 2 * source + 1] };
    let channels: Vec<usize> = sources.iter().flat_map(|source| channels_of(*source)).collect();

    // One solution of the equations serves every estimate.
    let num_sets = layout.num_sets + 1;
    let estimates: Vec<(usize, usize)> =
        (0..num_sets).flat_map(|set| sources.iter().map(move |source| (set, *source))).collect();
    let targets_on = |channels: &[usize], estimates: &[(usize, usize)]| -> Vec<Vec<f64>> {
        estimates
            .iter()
            .flat_map(|&(set, source)| [0, 1].map(|out| layout.target(total, channels, set, source, out)))
            .collect()
    };
    let all_filters = closest(layout, total, &channels, &targets_on(&channels, &estimates));
    let mut sets = vec![vec![None; layout.num_sources]; num_sets];
    for &source in &sources {
        let own_channels = channels_of(source);
        let own: Vec<(usize, usize)> = (0..num_sets).map(|set| (set, source)).collect();
        let own_filters = closest(layout, total, &own_channels, &targets_on(&own_channels, &own));
        for set in 0..num_sets {
            if is_silent[layout.heard(set, source)] {
                continue;
            }
            let estimate_idx = estimates.iter().position(|e| *e == (set, source)).expect("all are there");
            let projection = Projection::new(
                layout,
                (set, source),
                (&own_channels, &own_filters[2 * set..][..2]),
                (&channels, &all_filters[2 * estimate_idx..][..2]),
            );
            let heard: Vec<usize> = (sources.iter().copied())
                .chain(sources.iter().map(|source| layout.heard(set, *source)))
                .filter(|signal| !is_silent[*signal])
                .collect();
            sets[set][source] = Some(windows.iter().map(|window| projection.ratios(layout, window, &heard)).collect());
        }
    }
    let mix = sets.pop().expect("the mix is the last set");
    Scores { sets, mix }
}

impl SourceLayout {
    /// The index in lists of who is silent.
    fn heard(&self, set: usize, source: usize) -> usize {
        if set < self.num_sets { self.num_sources * (1 + set) + source } else { self.num_signals() / 2 }
    }
}

/// The two projections of one estimate, ready for any window.
struct Projection {
    set: usize,
    source: usize,
    channels: Vec<usize>,
    /// `[out][channel][tap]` of the projection on all sources.
    filters: Vec<Vec<f64>>,
    /// Energies of the projection on the source itself, of that minus the source, of the projection on all sources, and
    /// of what the others add to it.
    own: EnergyKernel,
    spatial: EnergyKernel,
    all: EnergyKernel,
    interference: EnergyKernel,
}

impl Projection {
    /// `own` and `all` are channels and filters, `[out][channel][tap]`.
    fn new(
        layout: &SourceLayout,
        (set, source): (usize, usize),
        (own_channels, own_filters): (&[usize], &[Vec<f64>]),
        (channels, filters): (&[usize], &[Vec<f64>]),
    ) -> Projection {
        let num_taps = layout.filter_len;
        let mut spatial = own_filters.to_vec();
        let mut interference = filters.to_vec();
        for out in 0..2 {
            // Of a stem with equal channels only the left is filtered.
            let channel_idx = out.min(own_channels.len() - 1);
            spatial[out][channel_idx * num_taps] -= 1.0;
            for (own, channel) in own_filters[out].chunks_exact(num_taps).zip(own_channels) {
                let start = channels.iter().position(|c| c == channel).expect("own is among all") * num_taps;
                interference[out][start..][..num_taps].iter_mut().zip(own).for_each(|(x, own)| *x -= own);
            }
        }
        Projection {
            set,
            source,
            channels: channels.to_vec(),
            filters: filters.to_vec(),
            own: EnergyKernel::new(own_channels, own_filters, num_taps),
            spatial: EnergyKernel::new(own_channels, &spatial, num_taps),
            all: EnergyKernel::new(channels, filters, num_taps),
            interference: EnergyKernel::new(channels, &interference, num_taps),
        }
    }

    /// museval's `_bss_crit`, unless one of `heard` is silent in this window.
    fn ratios(&self, layout: &SourceLayout, window: &Window, heard: &[usize]) -> Ratios {
        if heard.iter().any(|signal| window.is_silent[*signal]) {
            return Ratios::NAN;
        }
        let energy = |kernel: &EnergyKernel| kernel.energy(layout, &window.products);
        let (set, source) = (self.set, self.source);
        let (stem, estimate) = (window.source_energy[source], window.estimate_energy[set][source]);
        // |e - q|^2 = |e|^2 - 2 <e, q> + |q|^2
        let all = energy(&self.all);
        let common: f64 = (0..2)
            .map(|out| dot(&self.filters[out], &layout.target(&window.products, &self.channels, set, source, out)))
            .sum();
        let artifact = estimate - 2.0 * common + all;
        let artifact = if artifact < MIN_ARTIFACT * estimate { 0.0 } else { artifact };
        Ratios {
            sdr_db: ratio_db(stem, window.error_energy[set][source]),
            isr_db: ratio_db(stem, energy(&self.spatial)),
            sir_db: ratio_db(energy(&self.own), energy(&self.interference)),
            sar_db: ratio_db(all, artifact),
        }
    }
}
