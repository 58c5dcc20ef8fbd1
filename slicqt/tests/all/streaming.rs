//! Streams: no allocation, plans shared by threads, look-ahead by perturbation, timings.

use crate::support;
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Complex, Design, OverlapAdd, Plan, Slicer, Timing, forward_whole, inverse_whole};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

thread_local! {
    static NUM_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; the counter is a plain cell of its thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NUM_ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NUM_ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TIMINGS: [Timing; 3] = [Timing::Whole, Timing::Early, Timing::Trimmed];
/// Small designs of every kind: `[L = 76.. ]` samples, so that every phase can be tried.
const SMALL: [&str; 6] = [
    "bark:6:400:rate=8000",
    "mel:8:300:transition=30:rate=8000",
    "cq:6:500:rate=8000",
    "linear:5:500:transition=2:rate=8000",
    "mr:1000=40,4000=16:rate=8000",
    "stft:32:8:rate=8000",
];

/// A stream whose coefficients are multiplied by fixed random masks, if there are any.
struct Stream<'a> {
    plan: &'a Plan<f64>,
    slicer: Slicer<f64>,
    overlap_add: OverlapAdd<f64>,
    masks: Option<&'a [f64]>,
}

impl<'a> Stream<'a> {
    fn new(plan: &'a Plan<f64>, timing: Timing, masks: Option<&'a [f64]>) -> Self {
        let (slicer, overlap_add) = (Slicer::with_timing(plan, timing), OverlapAdd::with_timing(plan, timing));
        Stream { plan, slicer, overlap_add, masks }
    }

    /// Coefficients `[slice][coef]` (before the masks) and output of whole hops.
    fn run(&mut self, signal: &[f64]) -> (Vec<Complex<f64>>, Vec<f64>) {
        let plan = self.plan;
        let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
        let (mut all, mut out) = (Vec::new(), vec![f64::NAN; signal.len()]);
        for (hop, out) in signal.chunks_exact(plan.hop_len()).zip(out.chunks_exact_mut(plan.hop_len())) {
            slice.fill(f64::NAN);
            self.slicer.slice_into(plan, hop, &mut slice);
            plan.forward_into(&slice, &mut coefs, &mut scratch);
            all.extend_from_slice(&coefs);
            if let Some(masks) = self.masks {
                coefs.iter_mut().zip(masks).for_each(|(c, mask)| *c *= *mask);
            }
            plan.inverse_into(&coefs, &mut slice, &mut scratch);
            self.overlap_add.add_into(&slice, out);
        }
        (all, out)
    }
}

fn plan(text: &str) -> Plan<f64> {
    Plan::new(&text.parse().unwrap()).unwrap()
}

#[test]
fn nothing_allocates_after_the_plan() {
    for text in SMALL.into_iter().chain(["bark-262", "mel-32"]) {
        for timing in TIMINGS {
            let plan = Plan::<f32>::new(&text.parse().unwrap()).unwrap();
            let (mut slicer, mut overlap_add) =
                (Slicer::with_timing(&plan, timing), OverlapAdd::with_timing(&plan, timing));
            let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
            let mut hop = vec![0.1; plan.hop_len()];
            let before = NUM_ALLOCATIONS.get();
            for _ in 0..3 {
                slicer.slice_into(&plan, &hop, &mut slice);
                plan.forward_into(&slice, &mut coefs, &mut scratch);
                plan.inverse_into(&coefs, &mut slice, &mut scratch);
                plan.adjoint_into(&slice, &mut coefs, &mut scratch);
                overlap_add.add_into(&slice, &mut hop);
            }
            slicer.reset();
            overlap_add.reset();
            assert_eq!(NUM_ALLOCATIONS.get(), before, "{text} {timing:?}");
        }
    }
    let before = NUM_ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0u8; 100]));
    assert_eq!(NUM_ALLOCATIONS.get(), before + 2, "the counter counts");
}

#[test]
fn threads_share_a_plan() {
    let plan = Arc::new(Plan::<f32>::new(&Design::mel_32()).unwrap());
    let signal: Vec<f32> = support::noise(20_000, &mut StdRng::seed_from_u64(1));
    let alone = inverse_whole(&plan, &forward_whole(&plan, &signal), signal.len());
    let start = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                let together = inverse_whole(&plan, &forward_whole(&plan, &signal), signal.len());
                assert_eq!(together, alone);
            });
        }
    });
}

/// One input sample is changed, at every phase of a hop: no output sample further back than the bound moves, and one
/// right at the bound does.
#[test]
fn lookahead_is_what_perturbation_finds() {
    for text in SMALL {
        let plan = plan(text);
        let mut rng = StdRng::seed_from_u64(2);
        let masks: Vec<f64> = (0..plan.num_coefs()).map(|_| rng.random_range(0.0..1.0)).collect();
        let hops_per_slice = plan.slice_len().div_ceil(plan.hop_len());
        let signal: Vec<f64> = support::noise((4 * hops_per_slice + 2) * plan.hop_len(), &mut rng);
        for timing in TIMINGS {
            let delay = plan.delay_samples(timing);
            let (_, still) = Stream::new(&plan, timing, Some(&masks)).run(&signal);
            let mut furthest = 0;
            for phase in 0..plan.hop_len() {
                let p = 2 * hops_per_slice * plan.hop_len() + phase;
                let mut changed = signal.clone();
                changed[p] += 1e6;
                let (_, moved) = Stream::new(&plan, timing, Some(&masks)).run(&changed);
                let first = (0..moved.len()).find(|&i| moved[i] != still[i]).expect("something moves");
                // What comes out at i is sample i - delay.
                furthest = furthest.max((p + delay).saturating_sub(first));
            }
            assert_eq!(furthest, plan.lookahead_samples(timing), "{text} {timing:?}");
        }
    }
}

/// Frames hear nothing after their bound.
#[test]
fn frames_hear_no_further_than_they_say() {
    for text in SMALL {
        let plan = plan(text);
        let (mut slice, mut scratch) = (plan.make_slice(), plan.make_scratch());
        let mut coefs = plan.make_coefs();
        let (mut slicer, hop) = (Slicer::new(&plan), vec![1.0; plan.hop_len()]);
        for _ in 0..plan.slice_len() / plan.hop_len() {
            slicer.slice_into(&plan, &hop, &mut slice); // the slicing window itself
        }
        let last_heard = slice.iter().rposition(|w| *w != 0.0).unwrap();
        let mut last = vec![0.0; slice.len()];
        last[last_heard] = 1.0;
        plan.forward_into(&last, &mut coefs, &mut scratch);
        for (b, bin) in plan.bins().iter().enumerate() {
            for frame in 0..bin.num_frames {
                let position = plan.frame_position_samples(b, frame);
                assert!((0.0..plan.slice_len() as f64).contains(&position));
                let bound = plan.frame_lookahead_samples(b, frame);
                assert_eq!(bound, last_heard.saturating_sub(position as usize), "{text} bin {b} frame {frame}");
            }
        }
        assert!(coefs.iter().any(|c| c.norm() > 0.0), "{text}: the last sample heard matters");
    }
}

/// `Early` does what `Whole` does to the signal that begins a margin later.
#[test]
fn early_slices_are_whole_ones_a_margin_further_on() {
    for text in SMALL {
        let plan = plan(text);
        let (hop_len, margin) = (plan.hop_len(), plan.margin_samples());
        let mut rng = StdRng::seed_from_u64(3);
        let masks: Vec<f64> = (0..plan.num_coefs()).map(|_| rng.random_range(0.0..1.0)).collect();
        let signal: Vec<f64> = support::noise(12 * hop_len, &mut rng);
        let (early_coefs, early) = Stream::new(&plan, Timing::Early, Some(&masks)).run(&signal);
        let mut later = signal[margin..].to_vec();
        later.resize(signal.len(), 0.0);
        let (coefs, whole) = Stream::new(&plan, Timing::Whole, Some(&masks)).run(&later);
        // Up to the hop that the signal's missing end reaches.
        let from = plan.slice_len() / hop_len;
        let coefs_range = from * plan.num_coefs()..11 * plan.num_coefs();
        assert_eq!(early_coefs[coefs_range.clone()], coefs[coefs_range], "{text}");
        let range = 2 * from * hop_len..11 * hop_len;
        assert_eq!(early[range.clone()], whole[range], "{text}");
    }
}

/// With unchanged coefficients every timing gives the input, delayed by what it says.
#[test]
fn every_timing_reconstructs_after_its_delay() {
    for text in SMALL.into_iter().chain(["bark-262", "mel-32"]) {
        let plan = plan(text);
        let signal: Vec<f64> = support::noise(10 * plan.hop_len(), &mut StdRng::seed_from_u64(4));
        for timing in TIMINGS {
            let (_, out) = Stream::new(&plan, timing, None).run(&signal);
            let delay = plan.delay_samples(timing);
            // A stream that starts in the middle of a slice has its first samples in no slice.
            let start = plan.slice_len();
            let db = support::snr_db(&signal[start..signal.len() - delay], &out[start + delay..]);
            assert!(db > 290.0, "{text} {timing:?}: {db} dB");
            let mut stream = Stream::new(&plan, timing, None);
            let first = stream.run(&signal).1;
            assert_ne!(stream.run(&signal).1, first, "the state matters");
            stream.slicer.reset();
            stream.overlap_add.reset();
            assert_eq!(stream.run(&signal).1, first, "{text} {timing:?}: reset equals new");
        }
    }
    let delays = |text: &str| TIMINGS.map(|timing| plan(text).delay_samples(timing));
    assert_eq!(delays("bark-262"), [9030, 6773, 4516]);
    assert_eq!(delays("mel-32"), [1008, 756, 504]);
    assert_eq!(delays("stft:4096:1024"), [3072; 3]);
}
