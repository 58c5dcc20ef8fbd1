//! The songs of `../shared`, where this checkout has them.

use std::path::{Path, PathBuf};

use audio::{STEM_NAMES, SdrMeter, StemFolder, read_all};

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/stems").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn stems_of_the_validation_song_have_the_announced_and_equal_lengths() {
    let Some(data) = shared("valid") else { return };
    for song in StemFolder::open_all(data).unwrap() {
        let announced = song.reader().unwrap().num_samples().expect("ogg says its length");
        for stem in STEM_NAMES {
            let Some(file) = song.file_of(stem) else { continue };
            let audio = read_all(file).unwrap();
            assert_eq!(audio.sample_rate_hz, 44100);
            assert_eq!(audio.samples[0].len() as u64, announced, "{stem}");
            assert_eq!(audio.samples[1].len() as u64, announced, "{stem}");
        }
    }
}

#[test]
fn stems_of_every_training_song_announce_equal_lengths() {
    let Some(data) = shared("train") else { return };
    let songs = StemFolder::open_all(data).unwrap();
    assert_eq!(songs.len(), 5);
    for song in songs {
        let reader = song.reader().unwrap();
        assert!(reader.num_samples().unwrap() > 200 * 44100, "{}", song.name());
        let is_bassless = ["caesium", "francium", "hydrogen"].contains(&song.name().as_str());
        assert_eq!(song.file_of("bass").is_none(), is_bassless, "{}", song.name());
    }
}

#[test]
fn reading_in_step_gives_the_whole_files() {
    let Some(data) = shared("valid") else { return };
    let songs = StemFolder::open_all(data).unwrap();
    let song = songs.iter().find(|song| STEM_NAMES.iter().all(|stem| song.file_of(stem).is_some()));
    let Some(song) = song else {
        eprintln!("SKIPPED: no song has all four stems");
        return;
    };
    let mut reader = song.reader().unwrap();
    let vocals = read_all(song.file_of("vocals").unwrap()).unwrap();
    let mut block: [[Vec<f32>; 2]; 4] = Default::default();
    let (mut position, mut mix_as_vocals) = (0, SdrMeter::new());
    loop {
        let len = reader.read_block(10_007, &mut block).unwrap();
        if len == 0 {
            break;
        }
        assert_eq!(block[0][0], vocals.samples[0][position..position + len]);
        assert_eq!(block[0][1], vocals.samples[1][position..position + len]);
        let mix: Vec<Vec<f32>> =
            (0..2).map(|c| (0..len).map(|i| block.iter().map(|stem| stem[c][i]).sum()).collect()).collect();
        mix_as_vocals.add([&block[0][0], &block[0][1]], [&mix[0], &mix[1]]);
        position += len;
    }
    assert_eq!(position, vocals.samples[0].len());
    // Stems of about equal loudness: the mix holds three times as much of the others.
    let sdr_db = mix_as_vocals.sdr_db().unwrap();
    assert!((-9.0..-1.0).contains(&sdr_db), "{sdr_db}");
}

/// ffmpeg wrote these, and where they are silent some of their pages count too few samples.
#[test]
fn pages_that_count_too_few_samples_lose_none() {
    let Some(data) = shared("../teacher") else { return };
    for song in ["jonathan-coulton-monkey-shines", "jonathan-coulton-mr-fancy-pants"] {
        let sound = |name: &str| read_all(data.join(song).join(name)).unwrap().samples;
        let (vocals, mix) = (sound("vocals.ogg"), sound("mix.ogg"));
        // Vocals that came early would no longer cancel anything in the mix.
        let rest: Vec<Vec<f32>> =
            mix.iter().zip(&vocals).map(|(m, v)| m.iter().zip(v).map(|(m, v)| m - v).collect()).collect();
        let energy = |channels: &[Vec<f32>]| {
            let last_s = channels[0].len() - 20 * 44_100..;
            channels.iter().flat_map(|c| &c[last_s.clone()]).map(|x| f64::from(*x).powi(2)).sum::<f64>()
        };
        assert!(energy(&rest) < energy(&mix), "{song}");
    }
}
