//! The measurement, while the signals pass.

use crate::Signal;
use crate::lag_products::LagProducts;
use crate::scores::{Scores, SourceLayout, Window};

/// Sizes of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// True stems.
    pub num_sources: usize,
    /// Sets of estimates of all of them, as of several models.
    pub num_sets: usize,
    /// Samples of a window, and from one window to the next: one second in museval.
    pub window_len: usize,
    /// Taps of the distortion filters: 512 in museval.
    pub filter_len: usize,
}

impl Config {
    /// museval's: windows of one second, filters of 512 taps.
    pub fn museval(num_sources: usize, num_sets: usize, sample_rate_hz: u32) -> Config {
        Config { num_sources, num_sets, window_len: sample_rate_hz as usize, filter_len: 512 }
    }
}

/// BSSEval v4 of one song: add all of it, then finish.
///
/// It weighs, for four stems and the filters of museval, 0.26 MB for each second of the song, and as much again for each
/// set of estimates; and while it finishes 134 MB for the equations of 4096 filter taps. It computes on one thread.
///
/// The mix itself, the sum of the stems, is always measured too, as if it were the estimate of every stem.
///
/// ```
/// let config = metrics::Config { num_sources: 2, num_sets: 1, window_len: 400, filter_len: 8 };
/// let tone = |hz: f32| -> Vec<f32> { (0..1000).map(|i| (i as f32 * hz).sin()).collect() };
/// let (a, b) = ([tone(0.1), tone(0.2)], [tone(0.9), tone(0.7)]);
/// let estimate_of_a: metrics::Signal = [0, 1].map(|c| a[c].iter().zip(&b[c]).map(|(a, b)| a + 0.1 * b).collect());
/// let mut bss_eval = metrics::BssEval::new(config);
/// bss_eval.add(&[a, b.clone()], &[&[estimate_of_a, b]]);
/// let scores = bss_eval.finish();
/// let windows = scores.sets[0][0].as_ref().unwrap();
/// assert_eq!(windows.len(), 2);
/// assert!((windows[0].sdr_db - 20.0).abs() < 1.0);
/// ```
pub struct BssEval {
    layout: SourceLayout,
    lag_products: LagProducts,
    /// `[signal][sample]`: channels of the true stems, then those of the estimates; the window being filled.
    window: Vec<Vec<f32>>,
    /// `[signal][sample]`, the last `filter_len - 1` samples of the window before.
    past: Vec<Vec<f32>>,
    windows: Vec<Window>,
    /// Lag products of the whole song.
    total: Vec<f64>,
    /// `[source]`: both channels are the same so far.
    is_mono: Vec<bool>,
    /// `[source or estimate]`: all input so far was silent.
    is_silent: Vec<bool>,
}

impl BssEval {
    /// A measurement before any input.
    ///
    /// # Panics
    /// If there is no stem, no tap, or a window is shorter than a filter.
    pub fn new(config: Config) -> BssEval {
        let Config { num_sources, num_sets, window_len, filter_len } = config;
        assert!(num_sources > 0 && filter_len > 0, "a measurement needs stems and taps: {config:?}");
        assert!(window_len >= filter_len, "windows must not be shorter than filters: {config:?}");
        let layout = SourceLayout { num_sources, num_sets, window_len, filter_len };
        let num_signals = layout.num_signals();
        BssEval {
            lag_products: LagProducts::new(2 * num_sources, num_signals, filter_len),
            window: vec![Vec::with_capacity(window_len); num_signals],
            past: vec![Vec::new(); num_signals],
            windows: Vec::new(),
            total: vec![0.0; 2 * num_sources * num_signals * filter_len],
            is_mono: vec![true; num_sources],
            is_silent: vec![true; num_signals / 2 + 1],
            layout,
        }
    }

    /// Adds the next samples: the true stems, `[source][channel][sample]`, and the estimates of each set in the same
    /// order, `[set][source][channel][sample]`.
    ///
    /// # Panics
    /// If the numbers are not those of the [`Config`], or lengths differ.
    pub fn add(&mut self, sources: &[Signal], sets: &[&[Signal]]) {
        assert_eq!(sources.len(), self.layout.num_sources, "BssEval::add: number of true stems");
        assert_eq!(sets.len(), self.layout.num_sets, "BssEval::add: number of sets");
        assert!(sets.iter().all(|set| set.len() == sources.len()), "BssEval::add: number of estimates");
        let signals: Vec<&Vec<f32>> = sources.iter().chain(sets.iter().copied().flatten()).flatten().collect();
        let len = signals[0].len();
        assert!(signals.iter().all(|signal| signal.len() == len), "BssEval::add: signals differ in length");
        let mut start = 0;
        while start < len {
            let end = len.min(start + self.layout.window_len - self.window[0].len());
            for (window, signal) in self.window.iter_mut().zip(&signals) {
                window.extend_from_slice(&signal[start..end]);
            }
            start = end;
            if self.window[0].len() == self.layout.window_len {
                self.end_window(true);
            }
        }
    }

    /// Finds the filters of the whole song and the ratios of every window. What is left at the end and fills no window
    /// counts for the filters only; but a song shorter than a window is one window.
    pub fn finish(mut self) -> Scores {
        if !self.window[0].is_empty() {
            self.end_window(self.windows.is_empty());
        }
        drop(self.lag_products);
        crate::scores::scores(&self.layout, &self.windows, &self.total, &self.is_mono, &self.is_silent)
    }

    /// Takes the lag products of what is in `window`, and keeps them if it counts as one.
    fn end_window(&mut self, is_kept: bool) {
        let num_first = 2 * self.layout.num_sources;
        // What the window shares with the one before it is no part of either, but of the song.
        if !self.past[0].is_empty() {
            let past_len = self.past[0].len();
            let head_len = self.window[0].len().min(self.layout.filter_len - 1);
            let first: Vec<Vec<f32>> = self.past[..num_first]
                .iter()
                .map(|past| past.iter().copied().chain(std::iter::repeat_n(0.0, head_len)).collect())
                .collect();
            let second: Vec<Vec<f32>> = self
                .window
                .iter()
                .map(|window| std::iter::repeat_n(0.0, past_len).chain(window[..head_len].iter().copied()).collect())
                .collect();
            self.lag_products.add(&slices(&first), &slices(&second));
            add_to(&mut self.total, &self.lag_products.take());
        }
        let signals = slices(&self.window);
        self.lag_products.add(&signals[..num_first], &signals);
        let products = self.lag_products.take();
        add_to(&mut self.total, &products);

        for (is_mono, stereo) in self.is_mono.iter_mut().zip(self.window.chunks_exact(2)) {
            *is_mono &= stereo[0] == stereo[1];
        }
        let window = Window::new(&self.layout, &self.window, products);
        self.is_silent.iter_mut().zip(&window.is_silent).for_each(|(song, window)| *song &= window);
        if is_kept {
            self.windows.push(window);
        }
        for (past, window) in self.past.iter_mut().zip(&mut self.window) {
            past.clear();
            past.extend_from_slice(&window[window.len().saturating_sub(self.layout.filter_len - 1)..]);
            window.clear();
        }
    }
}

fn slices(signals: &[Vec<f32>]) -> Vec<&[f32]> {
    signals.iter().map(Vec::as_slice).collect()
}

fn add_to(total: &mut [f64], products: &[f64]) {
    total.iter_mut().zip(products).for_each(|(total, product)| *total += product);
}
