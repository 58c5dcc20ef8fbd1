//! What is drawn from which songs, and what is said to be known of it.

use crate::augment::Augmentation;
use crate::batch::draw::{Drawing, draw_stems};
use crate::data::Song;
use crate::data::Stem;
use crate::data::{Known, Shares};
use rand::{SeedableRng, rngs::StdRng};
use std::sync::Arc;

const NUM_SAMPLES: usize = 4_000;

/// A song of constants: `levels[stem]`, `None` where the stem is missing.
fn song(name: &str, levels: [Option<f32>; 4], known: Known) -> Song {
    let num_samples = 3 * NUM_SAMPLES;
    let stems = levels.map(|level| Some(Arc::new(Stem::from_samples(&vec![[level?; 2]; num_samples]))));
    Song { name: name.into(), stems, known, num_samples, bass_activity: 1.0, weight: 1.0 }
}

fn three_songs() -> Vec<Song> {
    let level = Some(0.1);
    vec![
        song("all", [level; 4], Known::All),
        song("no bass", [level, level, None, level], Known::BassInOther),
        song("vocals only", [level, None, None, level], Known::VocalsOnly),
    ]
}

fn drawing(shares: [f64; 3]) -> Drawing {
    Drawing { shares: Shares(shares), augmentation: Augmentation::default() }
}

fn is_silent(stem: &[Vec<f32>; 2]) -> bool {
    stem.iter().flatten().all(|sample| *sample == 0.0)
}

#[test]
fn kinds_come_as_often_as_their_shares_say_and_stand_where_known_says() {
    let songs = three_songs();
    let mut rng = StdRng::seed_from_u64(1);
    let mut counts = [0usize; 3];
    let mut heard = [[false; 4]; 3];
    const NUM_DRAWS: usize = 2_000;
    for _ in 0..NUM_DRAWS {
        let drawn = draw_stems(&songs, &drawing([0.5, 0.3, 0.2]), NUM_SAMPLES / 40, &mut rng).unwrap();
        let kind = Known::EACH.iter().position(|known| *known == drawn.known).unwrap();
        counts[kind] += 1;
        for (heard, stem) in heard[kind].iter_mut().zip(&drawn.samples) {
            *heard |= !is_silent(stem);
        }
    }
    for (count, share) in counts.iter().zip([0.5, 0.3, 0.2]) {
        let got = *count as f64 / NUM_DRAWS as f64;
        assert!((got - share).abs() < 0.04, "{got} against {share}");
    }
    assert_eq!(heard, [[true; 4], [true, true, false, true], [true, false, false, true]]);
}

#[test]
fn kinds_without_songs_are_left_out() {
    let songs = three_songs().into_iter().filter(|song| song.known == Known::VocalsOnly).collect::<Vec<_>>();
    let mut rng = StdRng::seed_from_u64(2);
    for shares in [Shares::default().0, [1.0, 0.0, 0.0]] {
        assert_eq!(draw_stems(&songs, &drawing(shares), 100, &mut rng).unwrap().known, Known::VocalsOnly);
    }
}

#[test]
fn shares_are_read_as_they_are_shown() {
    let shares: Shares = "vocals-only=0.5,all=1".parse().unwrap();
    assert_eq!(shares, Shares([1.0, 0.2, 0.5]));
    assert_eq!(shares.to_string().parse::<Shares>().unwrap(), shares);
    assert!("drums=1".parse::<Shares>().unwrap_err().contains("drums"));
    assert!("all=-1".parse::<Shares>().unwrap_err().contains("-1"));
}

#[test]
fn without_augmentation_the_stems_are_those_of_one_song() {
    let levels = [Some(0.1), Some(0.2), Some(0.3), Some(0.4)];
    let songs = [song("a", levels, Known::All), song("b", levels.map(|l| l.map(|l| -l)), Known::All)];
    let augmentation = Augmentation { no_augmentation: true, ..Augmentation::default() }.resolved();
    let drawing = Drawing { shares: Shares::default(), augmentation };
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..20 {
        let drawn = draw_stems(&songs, &drawing, 100, &mut rng).unwrap();
        let sign = drawn.samples[0][0][50].signum();
        for (stem, level) in drawn.samples.iter().zip(levels) {
            let level = sign * level.unwrap();
            assert!(stem.iter().flatten().all(|sample| (sample - level).abs() < 1e-4), "{level}");
        }
    }
}

#[test]
fn stems_are_looked_for_where_they_sound_unless_they_are_taken_from_anywhere() {
    // Vocals sound in the last twentieth only.
    let num_samples = 20 * NUM_SAMPLES;
    let mut late = vec![[0.0; 2]; num_samples];
    late[19 * NUM_SAMPLES..].fill([0.1; 2]);
    let stem = |samples: &[[f32; 2]]| Some(Arc::new(Stem::from_samples(samples)));
    let constant = vec![[0.1; 2]; num_samples];
    let stems = [stem(&late), stem(&constant), stem(&constant), stem(&constant)];
    let song = Song { name: "late".into(), stems, known: Known::All, num_samples, bass_activity: 1.0, weight: 1.0 };
    let nothing = Augmentation { no_augmentation: true, ..Augmentation::default() }.resolved();
    let share_of_silence = |anywhere: f64| {
        let augmentation = Augmentation { mix_songs: 1.0, anywhere, ..nothing };
        let drawing = Drawing { shares: Shares::default(), augmentation };
        let mut rng = StdRng::seed_from_u64(4);
        let songs = std::slice::from_ref(&song);
        let silent = (0..300).filter(|_| is_silent(&draw_stems(songs, &drawing, 100, &mut rng).unwrap().samples[0]));
        silent.count() as f64 / 300.0
    };
    let (sought, anywhere) = (share_of_silence(0.0), share_of_silence(1.0));
    assert!((0.7..0.85).contains(&sought), "five tries: {sought}");
    assert!((0.9..0.99).contains(&anywhere), "one: {anywhere}");
}
