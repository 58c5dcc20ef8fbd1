//! Drum patterns on a grid of sixteenths, two bars long, with fills before a section ends.

use super::score::{Score, Section};
use crate::kit::{Kit, Piece};
use crate::recorded::{Band, Drum, Groove, Stroke};
use crate::seed;
use crate::tone::{Stereo, add_sound, silence};
use anyhow::Result;
use rand::Rng;
use rand::seq::IndexedRandom;
use std::ops::Range;

/// Steps of a bar.
const BAR_LEN: usize = 16;
/// Steps of a pattern.
const PATTERN_LEN: usize = 2 * BAR_LEN;

/// `[step]` velocities 0..=1 of one piece.
type Line = [f64; PATTERN_LEN];

/// Where kicks fall within a bar: four on the floor, backbeats, broken beats, half time.
const KICKS: [&[usize]; 10] = [
    &[0, 4, 8, 12],
    &[0, 4, 8, 12],
    &[0, 4, 8, 12],
    &[0, 8],
    &[0, 8, 10],
    &[0, 6, 10],
    &[0, 10],
    &[0, 3, 6, 10],
    &[0, 7, 10, 13],
    &[0, 6],
];

/// Plays the drums, on the band's kit or else on `kit`. Returns them, and when kicks sound, in s.
///
/// # Errors
/// A loop cannot be read.
pub fn play(
    score: &Score,
    kit: &Kit,
    band: &Band<'_>,
    num_samples: usize,
    rate: f64,
    song_seed: u64,
    rng: &mut impl Rng,
) -> Result<(Stereo, Vec<f64>)> {
    let mut strokes = composed(score, rng);
    let mut own_rng = seed::rng(song_seed, "recorded/drums");
    if let Some(groove) = band.groove {
        strokes = performed(score, groove, &band.fills, &mut own_rng);
    }
    let is_full = |section: &&Section| section.drums == 2;
    let full_s = score.sections().iter().filter(is_full);
    let full_s: Vec<Range<f64>> =
        full_s.map(|section| score.time_s(section.first_beat())..score.time_s(section.end_beat())).collect();
    if band.drum_loop.is_some() {
        strokes.retain(|stroke| !full_s.iter().any(|stretch| stretch.contains(&stroke.time_s)));
    }
    let mut out = match &band.kit {
        Some(kit) => {
            strokes.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
            kit.play(&strokes, num_samples, rate, &mut own_rng)
        }
        None => {
            let mut out = silence(num_samples);
            for (stroke_idx, stroke) in strokes.iter().enumerate() {
                let sound = kit.sound(stroke.drum.synthesized(), stroke_idx + 1);
                add_sound(&mut out, sound, (stroke.time_s * rate) as usize, stroke.velocity as f32);
            }
            out
        }
    };
    if let Some(drum_loop) = band.drum_loop {
        drum_loop.play(&mut out, &full_s, score.beat_s(), rate)?;
    }
    let kicks = strokes.iter().filter(|stroke| stroke.drum == Drum::Kick);
    let mut kicks_s: Vec<f64> = kicks.map(|stroke| stroke.time_s).collect();
    kicks_s.sort_by(f64::total_cmp);
    Ok((out, kicks_s))
}

/// The bars of a performance, one after the other where there are drums; the last bar of a section may be a fill.
fn performed(score: &Score, groove: &Groove, fills: &[&Groove], rng: &mut impl Rng) -> Vec<Stroke> {
    let mut strokes = Vec::new();
    let mut next_bar = rng.random_range(0..groove.bars.len());
    let fill_share = if fills.is_empty() { 0.0 } else { 0.5 };
    for section in score.sections().iter().filter(|section| section.drums > 0) {
        let has_fill = section.drums == 2 && rng.random_bool(fill_share);
        // Reduced: the top without kick and snare, or these without the top.
        let keeps_top = rng.random_bool(0.5);
        for bar in 0..section.num_bars {
            let fill = fills.choose(rng).filter(|_| has_fill && bar + 1 == section.num_bars);
            let played = match fill.and_then(|fill| fill.bars.last()) {
                Some(fill) => fill,
                None => &groove.bars[next_bar % groove.bars.len()],
            };
            next_bar += 1;
            for stroke in played.iter().filter(|stroke| section.drums == 2 || stroke.drum.is_top() == keeps_top) {
                let beat = section.first_beat() + 4.0 * bar as f64 + stroke.time_s;
                // Before the first bar there is nothing.
                strokes.push(Stroke { time_s: (beat * score.beat_s()).max(0.0), ..*stroke });
            }
        }
    }
    strokes
}

/// Strokes by patterns, in the order in which they were thought of.
fn composed(score: &Score, rng: &mut impl Rng) -> Vec<Stroke> {
    let (full, reduced) = patterns(rng);
    let mut strokes = Vec::new();
    let hold_back_s = if rng.random_bool(0.5) { 0.006 } else { 0.0 };
    let mut stroke = |piece: Piece, beat: f64, velocity: f64, rng: &mut dyn rand::RngCore| {
        let late_s = if piece == Piece::Kick { 0.0 } else { hold_back_s * rng.random::<f64>() };
        strokes.push(Stroke { time_s: score.time_s(beat) + late_s, drum: piece.into(), velocity });
    };
    for section in score.sections().iter().filter(|section| section.drums > 0) {
        if section.drums == 2 && rng.random_bool(0.6) {
            stroke(Piece::Crash, section.first_beat(), 0.8, rng);
        }
        let pattern = if section.drums == 2 { &full } else { &reduced };
        let has_fill = rng.random_bool(0.5);
        for bar in 0..section.num_bars {
            let is_fill = has_fill && bar + 1 == section.num_bars;
            for step in 0..BAR_LEN {
                let beat = section.first_beat() + 4.0 * bar as f64 + step as f64 / 4.0;
                if is_fill && step >= BAR_LEN / 2 {
                    if rng.random_bool(0.7) {
                        let piece = *[Piece::Snare, Piece::Tom, Piece::Kick].choose(rng).unwrap_or(&Piece::Tom);
                        stroke(piece, beat, rng.random_range(0.4..1.0), rng);
                    }
                    continue;
                }
                for (piece, line) in pattern {
                    let velocity = line[bar % 2 * BAR_LEN + step];
                    if velocity > 0.0 {
                        stroke(*piece, beat, velocity * rng.random_range(0.9..1.0), rng);
                    }
                }
            }
        }
    }
    strokes
}

type Pattern = Vec<(Piece, Line)>;

/// The pattern of full sections, and that of reduced ones.
fn patterns(rng: &mut impl Rng) -> (Pattern, Pattern) {
    let first = KICKS.choose(rng).unwrap_or(&KICKS[0]);
    // Most songs repeat the first bar, some answer it.
    let second = if rng.random_bool(0.25) { KICKS.choose(rng).unwrap_or(first) } else { first };
    let mut kick = [0.0; PATTERN_LEN];
    first.iter().for_each(|step| kick[*step] = 1.0);
    second.iter().for_each(|step| kick[BAR_LEN + step] = 1.0);
    if rng.random_bool(0.4) {
        kick[rng.random_range(0..PATTERN_LEN)] = 0.7;
    }
    const BACK_BEATS: [&[usize]; 4] = [&[4, 12], &[4, 12], &[8], &[4, 12, 15]];
    let back_beats = BACK_BEATS.choose(rng).unwrap_or(&BACK_BEATS[0]);
    let back = repeated(back_beats, 1.0);
    let mut pattern: Pattern = vec![(Piece::Kick, kick)];
    match rng.random_range(0..4) {
        0 => pattern.push((Piece::Clap, back)),
        1 => pattern.extend([(Piece::Clap, back), (Piece::Snare, back.map(|v| 0.6 * v))]),
        _ => pattern.push((Piece::Snare, back)),
    }
    if rng.random_bool(0.3) {
        let mut ghosts = [0.0; PATTERN_LEN];
        (0..3).for_each(|_| ghosts[rng.random_range(0..PATTERN_LEN)] = rng.random_range(0.15..0.35));
        pattern.push((Piece::Snare, ghosts));
    }
    let mut top: Pattern = Vec::new();
    let spacing = *[1usize, 2, 2, 2, 4].choose(rng).unwrap_or(&2);
    let accent = rng.random_range(0.3..0.9);
    let skip = rng.random_range(0.0..0.25);
    let mut hats = [0.0; PATTERN_LEN];
    for step in (0..PATTERN_LEN).step_by(spacing) {
        if !rng.random_bool(skip) {
            hats[step] = if step % 4 == 0 { 0.8 } else { 0.8 * accent };
        }
    }
    top.push((Piece::Closed, hats));
    if rng.random_bool(0.5) {
        top.push((Piece::Open, repeated(&[2, 6, 10, 14], rng.random_range(0.3..0.9))));
    }
    if rng.random_bool(0.35) {
        let level = rng.random_range(0.2..0.7);
        top.push((Piece::Shaker, std::array::from_fn(|step| if step % 4 == 2 { level } else { 0.5 * level })));
    }
    if rng.random_bool(0.35) {
        let density = rng.random_range(0.08..0.35);
        let level = rng.random_range(0.3..0.7);
        top.push((Piece::Tom, std::array::from_fn(|_| if rng.random_bool(density) { level } else { 0.0 })));
    }
    // Reduced: only the top, or only kick and back beat.
    let reduced = if rng.random_bool(0.5) { top.clone() } else { pattern.clone() };
    pattern.extend(top);
    (pattern, reduced)
}

fn repeated(steps: &[usize], velocity: f64) -> Line {
    std::array::from_fn(|step| if steps.contains(&(step % BAR_LEN)) { velocity } else { 0.0 })
}
