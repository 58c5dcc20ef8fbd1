//! What is drawn from which songs, and what is said to be known of it.

use crate::draw::draw_stems;
use crate::songs::{self, DataFolder, Song};
use crate::stems::{Known, Shares};
use rand::{SeedableRng, rngs::StdRng};
use std::path::Path;

const NUM_SAMPLES: usize = 4_000;

/// A song of constants: `levels[stem]`, `None` where the stem is missing.
fn song(name: &str, levels: [Option<f32>; 4], known: Known) -> Song {
    let num_samples = 3 * NUM_SAMPLES;
    let stems = levels.map(|level| Some(vec![[level?; 2]; num_samples]));
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
        let drawn = draw_stems(&songs, &Shares([0.5, 0.3, 0.2]), NUM_SAMPLES / 40, &mut rng);
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
    for shares in [Shares::default(), Shares([1.0, 0.0, 0.0])] {
        assert_eq!(draw_stems(&songs, &shares, 100, &mut rng).known, Known::VocalsOnly);
    }
}

fn write_wav(path: &Path, value: f32, num_samples: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = audio::WavWriter::create(path, 44_100, audio::WavFormat::Float32).unwrap();
    let channel = vec![value; num_samples];
    writer.write([&channel, &channel]).unwrap();
    writer.finish().unwrap();
}

#[test]
fn the_rest_is_the_mix_less_vocals_and_bad_songs_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("good/vocals.wav"), 0.25, 5_000);
    write_wav(&dir.path().join("good/mix.wav"), 0.75, 5_000);
    write_wav(&dir.path().join("bad/vocals.wav"), 0.25, 5_000);
    std::fs::write(dir.path().join("bad/mix.wav"), b"no wav at all").unwrap();
    let folders = [DataFolder { path: dir.path().into(), weight: 1.0 }];
    let songs = songs::load(&folders, 44_100, |_| ()).unwrap();
    assert_eq!(songs.iter().map(|song| song.name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(songs[0].known, Known::VocalsOnly);
    let first = |stem: usize| songs[0].stems[stem].as_ref().map(|stem| stem[0]);
    assert_eq!([first(0), first(1), first(2), first(3)], [Some([0.25; 2]), None, None, Some([0.5; 2])]);

    std::fs::remove_dir_all(dir.path().join("good")).unwrap();
    let error = songs::load(&folders, 44_100, |_| ()).err().unwrap().to_string();
    assert!(error.contains("none of its 1 songs"), "{error}");
}

#[test]
fn shares_are_read_as_they_are_shown() {
    let shares: Shares = "vocals-only=0.5,all=1".parse().unwrap();
    assert_eq!(shares, Shares([1.0, 0.2, 0.5]));
    assert_eq!(shares.to_string().parse::<Shares>().unwrap(), shares);
    assert!("drums=1".parse::<Shares>().unwrap_err().contains("drums"));
    assert!("all=-1".parse::<Shares>().unwrap_err().contains("-1"));
}
