//! The audio thread's side.

use super::{
    clock::now_ns,
    delay_line::DelayLine,
    lane::AudioLane,
    link::Patience,
    pace::Pace,
    shared::{Activity, FAILED, RUNNING},
};
use crate::{Stereo, latency::LatencyPlan};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{cell::Cell, marker::PhantomData, ops::Range, sync::Arc};

/// Lanes that may be on their way at once.
const NUM_LANES_UNDER_WAY: usize = 16;

/// Lives on the audio thread: copies the mix into jobs for the workers and finished stems out of them.
///
/// Where stems are missing (a worker is late, the model still loads, has failed, or there is none), each stem is a quarter
/// of the delayed mix instead, after a short fade: the stems still sum to the mix, gains act on its level, and muted stems
/// take their quarter away. Late stems are dropped, so that everything stays aligned.
///
/// Drop it on the main thread: that frees memory. It may move to the audio thread, but not be shared with it:
///
/// ```
/// fn may_move<T: Send>() {}
/// may_move::<separator::AudioSide>();
/// ```
/// ```compile_fail
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<separator::AudioSide>();
/// ```
pub struct AudioSide {
    latency_samples: usize,
    max_block_len: usize,
    /// `[channel]`
    delay_lines: [DelayLine; 2],
    pace: Pace,
    /// The lane that is heard. None: the mix passes through.
    lane: Option<Box<AudioLane>>,
    /// The lane that comes next, once it has stems to give.
    next: Option<NextLane>,
    /// The lane for offline renders. None: the one that is heard in real time.
    bouncing: Option<Box<AudioLane>>,
    /// Which lane took the last block; None after a reset.
    last_role: Option<Role>,
    /// A lane that nobody has taken back yet.
    leaving: Option<Box<AudioLane>>,
    rings: Option<LaneRings>,
    /// `[stem]`, of the input from the next block on.
    sensitivities: [f32; 4],
    activity: Option<Arc<Activity>>,
    /// `[stem][channel][sample]` of the next lane, one block.
    next_stems: [Stereo; 4],
    /// `Send`, but not `Sync`.
    not_sync: PhantomData<Cell<()>>,
}

struct NextLane {
    lane: Box<AudioLane>,
    /// How much of it is heard, 0..=1.
    presence: f32,
}

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Playing,
    Bouncing,
}

/// What the engine sends.
pub(crate) enum Arrival {
    /// A lane that has heard nothing yet, to be heard from when it has.
    Playing(Box<AudioLane>),
    /// The lane for offline renders, whose model may still be loading. None: the one that plays.
    Bouncing(Option<Box<AudioLane>>),
}

/// The audio side's ends of the rings that lanes come and go through.
pub(crate) struct LaneRings {
    incoming: Consumer<Arrival>,
    outgoing: Producer<Box<AudioLane>>,
}

impl LaneRings {
    /// The audio side's ends, and the engine's.
    pub fn new() -> (Self, Producer<Arrival>, Consumer<Box<AudioLane>>) {
        let (to_audio, incoming) = RingBuffer::new(NUM_LANES_UNDER_WAY);
        let (outgoing, from_audio) = RingBuffer::new(NUM_LANES_UNDER_WAY);
        (LaneRings { incoming, outgoing }, to_audio, from_audio)
    }
}

/// What became of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStatus {
    /// Samples of the block whose stems were, in part or wholly, replaced by the mix.
    pub num_missing: usize,
    /// Whether a model is at work: it is neither loading nor has it failed.
    pub is_running: bool,
    /// Whether the model has failed, or there is none.
    pub has_failed: bool,
}

impl AudioSide {
    pub(crate) fn new(plan: &LatencyPlan, lane: Box<AudioLane>, rings: LaneRings, activity: Arc<Activity>) -> Self {
        let mut audio_side = AudioSide::passthrough(plan.latency_samples(), plan.max_block_len());
        let room = || vec![0.0; audio_side.max_block_len];
        audio_side.next_stems = std::array::from_fn(|_| [room(), room()]);
        audio_side.pace = Pace::new(plan.sample_rate_hz());
        AudioSide { lane: Some(lane), rings: Some(rings), activity: Some(activity), ..audio_side }
    }

    /// An audio side without a model: it delays the mix, and each stem is a quarter of it.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn passthrough(latency_samples: usize, max_block_len: usize) -> Self {
        AudioSide {
            latency_samples,
            max_block_len: max_block_len.max(1),
            delay_lines: [DelayLine::new(latency_samples), DelayLine::new(latency_samples)],
            pace: Pace::new(0.0),
            lane: None,
            next: None,
            bouncing: None,
            last_role: None,
            leaving: None,
            rings: None,
            sensitivities: [0.0; 4],
            activity: None,
            next_stems: Default::default(),
            not_sync: PhantomData,
        }
    }

    /// By how many samples everything that comes out lags behind what goes in.
    ///
    /// # Realtime
    /// Safe.
    pub fn latency_samples(&self) -> usize {
        self.latency_samples
    }

    /// How much each stem takes of what it shares with others, `[stem]`, -1..=1, of the input from the next block on: see
    /// [`Pipeline::set_sensitivities`](crate::Pipeline::set_sensitivities). A hop has the mean over its samples.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_sensitivities(&mut self, sensitivities: [f32; 4]) {
        self.sensitivities = sensitivities;
    }

    /// Takes a block of the mix (`[channel][sample]`, any length) and gives as many samples of the delayed mix, bit
    /// for bit what went in, and of the stems aligned with it: `[stem][channel][sample]`, stems as in
    /// [`STEMS`](super::STEMS).
    ///
    /// It waits for stems as long as the samples delivered since the last reset are ahead of the wall clock, which a host
    /// in real time never is: so a render that is faster than real time has every stem, whatever the host announces. With
    /// `is_offline` it waits whatever the clock says, unless the worker is gone. What is waited for does not depend on how
    /// the stream is cut into blocks.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Realtime
    /// Safe in real time: no allocation, no lock, no system call. It sleeps where it may wait.
    pub fn process_into(
        &mut self,
        input: [&[f32]; 2],
        delayed: [&mut [f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        is_offline: bool,
    ) -> BlockStatus {
        let len = input[0].len();
        let lens_agree = input.iter().all(|channel| channel.len() == len)
            && delayed.iter().all(|channel| channel.len() == len)
            && stems.iter().flatten().all(|channel| channel.len() == len);
        assert!(lens_agree, "input, delayed and stems must have one length");
        // A host that has stopped and goes on without a word: nobody would look for the job.
        self.wake_if_stopped();
        self.exchange_lanes();
        let mut num_missing = 0;
        // Longer blocks than announced in parts: the pool is as large as the announced ones need.
        for start in (0..len).step_by(self.max_block_len) {
            let part = start..len.min(start + self.max_block_len);
            let input = input.map(|channel| &channel[part.clone()]);
            for channel in 0..2 {
                self.delay_lines[channel].process_into(input[channel], &mut delayed[channel][part.clone()]);
            }
            let mix = [&delayed[0][part.clone()], &delayed[1][part.clone()]];
            let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[part.clone()]));
            num_missing += self.separate_into(input, mix, &mut stems, is_offline);
        }
        let lane = if self.last_role == Some(Role::Bouncing) { &self.bouncing } else { &self.lane };
        let state = lane.as_ref().map_or(FAILED, |lane| lane.shared().state());
        BlockStatus { num_missing, is_running: state == RUNNING, has_failed: state == FAILED }
    }

    fn separate_into(
        &mut self,
        input: [&[f32]; 2],
        mix: [&[f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        is_offline: bool,
    ) -> usize {
        let role = self.take_role(is_offline);
        let lane = if role == Role::Bouncing { &mut self.bouncing } else { &mut self.lane };
        let Some(lane) = lane else { return share_out(mix, stems) };
        let len = mix[0].len();
        let now = now_ns();
        let wait_end = self.pace.begin_block(now, len);
        let patience = if is_offline { Patience::Offline } else { Patience::Until(wait_end) };
        lane.set_sensitivities(self.sensitivities);
        let mut num_missing = lane.process_into(input, mix, stems, now, patience);
        if let Some(next) = &mut self.next
            && role == Role::Playing
        {
            next.lane.set_sensitivities(self.sensitivities);
            let mut next_stems =
                self.next_stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..len]));
            // It cannot give stems before it has heard enough; from then on nothing of it is missing.
            let was_present = next.lane.is_present();
            next.lane.process_into(input, mix, &mut next_stems, now, patience);
            if was_present {
                num_missing = num_missing.min(next.cross_fade(&next_stems, stems));
            }
            if next.presence == 1.0 {
                self.finish_exchange();
            }
        }
        self.pace.end_block(now_ns());
        num_missing
    }

    /// Which lane takes the next block. One that has not heard what came before joins in.
    fn take_role(&mut self, is_offline: bool) -> Role {
        let can_bounce = self.bouncing.as_ref().is_some_and(|lane| lane.shared().state() != FAILED);
        let role = if is_offline && can_bounce { Role::Bouncing } else { Role::Playing };
        if self.last_role.replace(role).is_some_and(|last| last != role) {
            // A lane that was to come in has missed something too: nothing is left that could be faded from.
            self.finish_exchange();
            let lane = if role == Role::Bouncing { &mut self.bouncing } else { &mut self.lane };
            lane.iter_mut().for_each(|lane| lane.join());
        }
        role
    }

    /// Takes a new lane in and gives an old one back, if there are any.
    fn exchange_lanes(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        if let Some(lane) = self.leaving.take()
            && let Err(rtrb::PushError::Full(lane)) = rings.outgoing.push(lane)
        {
            self.leaving = Some(lane);
        }
        if self.leaving.is_none()
            && self.next.is_none()
            && let Ok(arrival) = rings.incoming.pop()
        {
            match arrival {
                Arrival::Playing(lane) => {
                    self.next = Some(NextLane { lane, presence: 0.0 });
                    if self.last_role == Some(Role::Bouncing) {
                        // Nobody hears it now, and it joins in later.
                        self.finish_exchange();
                    }
                }
                Arrival::Bouncing(lane) => {
                    self.leaving = std::mem::replace(&mut self.bouncing, lane);
                    if self.bouncing.is_some() {
                        // So that it joins in: it has heard nothing.
                        self.last_role = self.last_role.map(|_| Role::Playing);
                    }
                }
            }
        }
    }

    /// The next lane is the one that is heard.
    fn finish_exchange(&mut self) {
        if let Some(next) = self.next.take() {
            self.leaving = self.lane.replace(next.lane);
        }
    }

    /// The host will send no block until it has called [`reset`](Self::reset). No thread of ours wakes up meanwhile.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn stop(&mut self) {
        if let Some(activity) = &self.activity {
            activity.stop();
        }
    }

    fn wake_if_stopped(&self) {
        if let Some(activity) = &self.activity {
            activity.start();
        }
    }

    /// Forgets everything that was heard: what comes out afterwards is what a new audio side would give.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; no system call but the first time after [`stop`](Self::stop), when no sound flows:
    /// then it wakes a worker.
    pub fn reset(&mut self) {
        self.wake_if_stopped();
        self.delay_lines.iter_mut().for_each(DelayLine::reset);
        self.pace.reset();
        self.exchange_lanes();
        // Nothing is heard that could jump.
        self.finish_exchange();
        self.last_role = None;
        for lane in [&mut self.lane, &mut self.bouncing].into_iter().flatten() {
            lane.reset();
        }
    }
}

impl NextLane {
    /// Fades from `stems` to this lane's. Returns how many samples are not wholly its own.
    fn cross_fade(&mut self, own: &[[&mut [f32]; 2]; 4], stems: &mut [[&mut [f32]; 2]; 4]) -> usize {
        let step = 1.0 / self.lane.fade_len() as f32;
        let len = stems[0][0].len();
        let num_faded = ((1.0 - self.presence) / step).ceil() as usize;
        let faded: Range<usize> = 0..num_faded.min(len);
        for (stem, own) in stems.iter_mut().flatten().zip(own.iter().flatten()) {
            for idx in faded.clone() {
                let presence = (self.presence + (idx + 1) as f32 * step).min(1.0);
                stem[idx] += presence * (own[idx] - stem[idx]);
            }
            stem[faded.end..].copy_from_slice(&own[faded.end..]);
        }
        self.presence = if num_faded <= len { 1.0 } else { self.presence + len as f32 * step };
        faded.len()
    }
}

/// Each stem is a quarter of the mix.
fn share_out(mix: [&[f32]; 2], stems: &mut [[&mut [f32]; 2]; 4]) -> usize {
    for stem in stems {
        for (stem, mix) in stem.iter_mut().zip(mix) {
            stem.iter_mut().zip(mix).for_each(|(stem, mix)| *stem = 0.25 * mix);
        }
    }
    mix[0].len()
}
