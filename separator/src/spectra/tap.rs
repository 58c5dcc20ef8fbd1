//! Where a pipeline's coefficients are looked at.

use super::{SpectrumFeed, measure::Measure};
use slicqt::{Complex, Plan, Timing};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Names of streams for [`SpectrumFeed::write`].
static NUM_TAPS: AtomicU64 = AtomicU64::new(0);

/// Turns what passes through a pipeline into columns of a feed, while somebody looks.
pub(crate) struct SpectrumTap {
    feed: Arc<SpectrumFeed>,
    name: u64,
    /// For each of the model's stems, which of the plugin's it is part of.
    stem_map: Vec<usize>,
    plan: Arc<Plan>,
    sample_rate_hz: f64,
    /// From the end of a hop to the start of the hop in the middle of the slice that is estimated with it.
    offset_s: f64,
    /// Where the stream begins.
    origin_s: f64,
    /// By how many slices estimates are late.
    late_slices: i64,
    /// Hops of the stream, the one at hand counted.
    num_hops: i64,
    /// Of the slice at hand.
    is_on: bool,
    /// None until somebody looks.
    measure: Option<Measure>,
}

impl SpectrumTap {
    pub fn new(
        feed: Arc<SpectrumFeed>,
        plan: Arc<Plan>,
        sample_rate_hz: f64,
        timing: Timing,
        late_slices: usize,
        stem_map: Vec<usize>,
    ) -> Self {
        let lead = if timing == Timing::Whole { 0 } else { plan.margin_samples() };
        let offset = lead as f64 - (plan.slice_len() + plan.hop_len()) as f64 / 2.0;
        SpectrumTap {
            feed,
            name: NUM_TAPS.fetch_add(1, Ordering::Relaxed) + 1,
            stem_map,
            sample_rate_hz,
            offset_s: offset / sample_rate_hz,
            origin_s: 0.0,
            late_slices: late_slices as i64,
            num_hops: 0,
            is_on: false,
            measure: None,
            plan,
        }
    }

    /// The stream begins at `origin_s`, and the next hop is the one with this index.
    pub fn restart(&mut self, origin_s: f64, hop_idx: i64) {
        (self.origin_s, self.num_hops) = (origin_s, hop_idx);
        if let Some(measure) = &mut self.measure {
            measure.forget();
        }
    }

    pub fn origin_s(&self) -> f64 {
        self.origin_s
    }

    /// A hop goes in. Whether its slice is to be looked at.
    pub fn begin_hop(&mut self) -> bool {
        self.num_hops += 1;
        let was_on = self.is_on;
        self.is_on = self.feed.is_wanted() && self.num_hops > self.late_slices;
        if self.is_on && !was_on {
            let new = || Measure::new(&self.plan, self.sample_rate_hz);
            self.measure.get_or_insert_with(new).forget();
        }
        self.is_on
    }

    /// What is estimated of a stem of the model.
    pub fn add_stem(&mut self, model_stem: usize, channel: usize, coefs: &[Complex<f32>]) {
        if let Some(measure) = self.measure.as_mut().filter(|_| self.is_on) {
            measure.add_stem(self.stem_map[model_stem], channel, coefs);
        }
    }

    /// All stems of the slice have been added, or it was silent.
    pub fn end_hop(&mut self) {
        if let Some(measure) = self.measure.as_mut().filter(|_| self.is_on) {
            let hop_end = (self.num_hops - self.late_slices) * self.plan.hop_len() as i64;
            let start_s = self.origin_s + hop_end as f64 / self.sample_rate_hz + self.offset_s;
            measure.end_hop(start_s, &mut |column| self.feed.write(self.name, column));
        }
    }
}
