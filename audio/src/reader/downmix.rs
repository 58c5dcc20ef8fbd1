//! More than two channels as stereo.

use symphonia::core::audio::{Channels, Position};

/// Centre and surrounds in front channels: -3 dB, as in ITU-R BS.775.
const SHARE: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// The factor of each channel of the file, `[left, right][channel]`.
///
/// Factors of a side sum to at most 1, so that nothing can be louder than full scale that was not before. Low-frequency
/// effects are left out, as everywhere. Without known positions, even channels go left, odd ones right.
pub(crate) fn factors(channels: &Channels, num_channels: usize) -> [Vec<f32>; 2] {
    let mut factors = [Vec::with_capacity(num_channels), Vec::with_capacity(num_channels)];
    for channel_idx in 0..num_channels {
        let [left, right] = match position(channels, channel_idx) {
            Some(position) => sides(position),
            None => [((channel_idx + 1) % 2) as f32, (channel_idx % 2) as f32],
        };
        factors[0].push(left);
        factors[1].push(right);
    }
    let sum = factors.iter().map(|side| side.iter().sum::<f32>()).fold(0.0, f32::max).max(1.0);
    factors.iter_mut().flatten().for_each(|factor| *factor /= sum);
    factors
}

fn position(channels: &Channels, channel_idx: usize) -> Option<Position> {
    match channels {
        Channels::Positioned(positions) => positions.iter().nth(channel_idx),
        _ => None,
    }
}

fn sides(position: Position) -> [f32; 2] {
    match position {
        Position::FRONT_LEFT | Position::FRONT_LEFT_WIDE => [1.0, 0.0],
        Position::FRONT_RIGHT | Position::FRONT_RIGHT_WIDE => [0.0, 1.0],
        Position::FRONT_CENTER | Position::TOP_FRONT_CENTER | Position::TOP_CENTER => [SHARE, SHARE],
        Position::LFE1 | Position::LFE2 => [0.0, 0.0],
        Position::REAR_LEFT
        | Position::SIDE_LEFT
        | Position::FRONT_LEFT_CENTER
        | Position::TOP_FRONT_LEFT
        | Position::TOP_REAR_LEFT
        | Position::TOP_SIDE_LEFT => [SHARE, 0.0],
        Position::REAR_RIGHT
        | Position::SIDE_RIGHT
        | Position::FRONT_RIGHT_CENTER
        | Position::TOP_FRONT_RIGHT
        | Position::TOP_REAR_RIGHT
        | Position::TOP_SIDE_RIGHT => [0.0, SHARE],
        _ => [SHARE / 2.0, SHARE / 2.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_5P1, CHANNEL_LAYOUT_STEREO};

    #[test]
    fn surround_in_stereo() {
        let [left, right] = factors(&CHANNEL_LAYOUT_5P1, 6);
        let front = 1.0 / (1.0 + 2.0 * SHARE);
        let close = |got: &[f32], want: [f32; 6]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
        assert!(close(&left, [front, 0.0, front * SHARE, 0.0, front * SHARE, 0.0]), "{left:?}");
        assert!(close(&right, [0.0, front, front * SHARE, 0.0, 0.0, front * SHARE]), "{right:?}");
        assert_eq!(factors(&CHANNEL_LAYOUT_STEREO, 2), [vec![1.0, 0.0], vec![0.0, 1.0]]);
        assert_eq!(factors(&Channels::Discrete(4), 4), [vec![0.5, 0.0, 0.5, 0.0], vec![0.0, 0.5, 0.0, 0.5]]);
    }
}
