//! Folders of hits: which drum a file is of, and which files are the same drum struck harder or softer.

use super::{Drum, sounds};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where sounds come from, for `song.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Name of the folder.
    pub name: String,
    /// Licence by its SOURCE.json.
    pub licence: String,
}

impl Source {
    /// Reads `SOURCE.json` of a folder; "unknown" where it says nothing.
    pub fn of(dir: &Path) -> Source {
        let text = fs::read_to_string(dir.join("SOURCE.json")).unwrap_or_default();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let licence = json.get("licence").and_then(Value::as_str).unwrap_or("unknown");
        // Some explain themselves behind the name.
        let licence = licence.split(['(', ';']).next().unwrap_or_default().trim().to_string();
        Source { name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(), licence }
    }
}

/// The drums in a kit, told apart as far as the names of files tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// One of the drums that there is one of.
    One(Drum),
    /// Toms of any pitch.
    Toms,
    /// All other percussion.
    Percs,
}

impl From<Drum> for Group {
    fn from(drum: Drum) -> Group {
        match drum {
            Drum::Tom(_) => Group::Toms,
            Drum::Perc(_) => Group::Percs,
            drum => Group::One(drum),
        }
    }
}

/// A folder with sub-folders `kick`, `snare`, `hat`, `tom`, `cymbal`, `perc` of sound files.
pub struct KitFolder {
    /// Where it comes from.
    pub source: Source,
    /// `[group][instrument][layer]`: files of one instrument are its velocity layers, in no order.
    instruments: BTreeMap<Group, Vec<Vec<PathBuf>>>,
}

/// Sub-folders that make a kit.
const CLASSES: [&str; 6] = ["kick", "snare", "hat", "tom", "cymbal", "perc"];

impl KitFolder {
    /// Reads the names in `dir`; `None` where none of the sub-folders has a sound.
    pub fn open(dir: &Path) -> Option<KitFolder> {
        let mut by_name: BTreeMap<(Group, String), Vec<PathBuf>> = BTreeMap::new();
        for class in CLASSES {
            for path in sounds(&dir.join(class)) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
                let key = (group(class, &name), without_velocity(&name).to_string());
                by_name.entry(key).or_default().push(path);
            }
        }
        let mut instruments: BTreeMap<Group, Vec<Vec<PathBuf>>> = BTreeMap::new();
        for ((group, _), layers) in by_name {
            instruments.entry(group).or_default().push(layers);
        }
        (!instruments.is_empty()).then(|| KitFolder { source: Source::of(dir), instruments })
    }

    /// The instruments that may stand for a drum, each the files of its layers.
    pub fn instruments(&self, group: Group) -> &[Vec<PathBuf>] {
        self.instruments.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Whether it has such a drum.
    pub fn has(&self, drum: Drum) -> bool {
        self.instruments.contains_key(&drum.into())
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.instruments.values().flatten().flatten().map(PathBuf::as_path)
    }
}

/// The drum that a file of `class` is of, by its name (lower case, without extension).
fn group(class: &str, name: &str) -> Group {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is = |words: &[&str]| words.contains(&name);
    let drum = match class {
        "kick" => Drum::Kick,
        "snare" if has(&["clap"]) || is(&["cp"]) => Drum::Clap,
        "snare" if has(&["stick"]) || is(&["rs", "rimshot", "dt_rimshot"]) => Drum::Stick,
        "snare" => Drum::Snare,
        // Congas and toms that somebody called "hh" for "higher than high".
        "hat" if has(&["conga"]) => return Group::Percs,
        "hat" if has(&["tom"]) => return Group::Toms,
        "hat" if has(&["pedal"]) => Drum::Pedal,
        "hat" if has(&["open", "_oh", "-oh"]) || name.starts_with("oh") => Drum::Open,
        "hat" => Drum::Closed,
        "cymbal" if has(&["ride", "bell"]) => Drum::Ride,
        "cymbal" => Drum::Crash,
        "tom" => return Group::Toms,
        _ => return Group::Percs,
    };
    Group::One(drum)
}

/// A file's name without the word or number that says how hard the stroke was: `-softest` to `-hardest`, `_hard`, `_07`.
fn without_velocity(name: &str) -> &str {
    let Some(at) = name.rfind(['-', '_']) else { return name };
    let last = &name[at + 1..];
    let is_word = ["softest", "soft", "med", "hard", "hardest"].contains(&last);
    let is_number = name.as_bytes()[at] == b'_' && last.len() == 2 && last.bytes().all(|c| c.is_ascii_digit());
    if is_word || is_number { &name[..at] } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_drums_and_layers_apart() {
        let cases = [
            ("kick", "kick-softest", Drum::Kick, "kick"),
            ("snare", "snarerimshot-hard", Drum::Snare, "snarerimshot"),
            ("snare", "rimshot", Drum::Stick, "rimshot"),
            ("snare", "sidestick-med", Drum::Stick, "sidestick"),
            ("snare", "handclap", Drum::Clap, "handclap"),
            ("snare", "snare_07", Drum::Snare, "snare"),
            ("snare", "snare-1", Drum::Snare, "snare-1"),
            ("hat", "hatsemiopen-soft", Drum::Open, "hatsemiopen"),
            ("hat", "oh25", Drum::Open, "oh25"),
            ("hat", "univox-oh", Drum::Open, "univox-oh"),
            ("hat", "univox-ch", Drum::Closed, "univox-ch"),
            ("hat", "808_hat_pedal", Drum::Pedal, "808_hat_pedal"),
            ("cymbal", "24ride-5", Drum::Ride, "24ride-5"),
            ("cymbal", "crashl_03", Drum::Crash, "crashl"),
        ];
        for (class, name, drum, instrument) in cases {
            assert_eq!(group(class, name), drum.into(), "{class}/{name}");
            assert_eq!(without_velocity(name), instrument, "{class}/{name}");
        }
        assert_eq!(group("hat", "conga-hh"), Group::Percs);
        assert_eq!(group("tom", "bd5000"), Group::Toms);
        assert_eq!(without_velocity("bd5000"), "bd5000");
    }
}
