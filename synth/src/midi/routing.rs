//! Which stem a MIDI note belongs to.

use crate::raw_song::{BASS, DRUMS, OTHER};

/// The channel of percussion, counted from 0 (the tenth).
pub const PERCUSSION: u8 = 9;
/// "Lead 8 (bass + lead)": a bass in its low register.
const BASS_LEAD: u8 = 87;
/// Below C3 a "bass + lead" plays bass.
const LOW_KEY: u8 = 48;

/// Index of the stem of a note, by General MIDI: channel 10 is drums; so are the percussive programs without a
/// definite pitch (agogo 113, woodblock 115, taiko 116, tom 117, synth drum 118, reverse cymbal 119). Programs 32 to 39
/// are bass; "bass + lead" is where it plays below C3. The rest is other: also the tinkle bell and steel drums, which
/// play tunes, and sound effects. Channel and program count from 0.
pub fn stem_of(channel: u8, program: u8, key: u8) -> usize {
    match program {
        _ if channel == PERCUSSION => DRUMS,
        113 | 115..=119 => DRUMS,
        32..=39 => BASS,
        BASS_LEAD if key < LOW_KEY => BASS,
        _ => OTHER,
    }
}

/// Whether another program may take its place without the note changing its stem: programs of one General MIDI family
/// (eight in a row) may, except for percussion, effects, and "bass + lead".
pub fn may_be_exchanged(program: u8) -> bool {
    program < 112 && program != BASS_LEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_go_to_their_stems() {
        let cases = [
            ((9, 0, 36), DRUMS),
            ((9, 33, 60), DRUMS),
            ((0, 32, 30), BASS),
            ((5, 39, 70), BASS),
            ((0, 31, 30), OTHER),
            ((0, 40, 30), OTHER),
            ((3, 87, 36), BASS),
            ((3, 87, 48), OTHER),
            ((2, 116, 40), DRUMS),
            ((2, 119, 40), DRUMS),
            ((2, 112, 80), OTHER),
            ((2, 114, 60), OTHER),
            ((2, 127, 60), OTHER),
            ((0, 0, 21), OTHER),
        ];
        for ((channel, program, key), stem_idx) in cases {
            assert_eq!(stem_of(channel, program, key), stem_idx, "channel {channel} program {program} key {key}");
        }
    }

    #[test]
    fn an_exchange_within_a_family_never_changes_the_stem() {
        for program in (0..128).filter(|program| may_be_exchanged(*program)) {
            for other in (program / 8 * 8..program / 8 * 8 + 8).filter(|other| may_be_exchanged(*other)) {
                for key in [20, 47, 48, 90] {
                    assert_eq!(stem_of(0, program, key), stem_of(0, other, key), "{program} for {other}");
                }
            }
        }
    }
}
