//! From a model's stems to the plugin's four, by name.

use super::STEMS;

/// For each of a model's stems, which of [`STEMS`] it is part of: the one of its name, else "other". So a model without
/// drums leaves them silent (they are in its other stems), and guitars, pianos or an accompaniment are heard as "other".
///
/// # Realtime
/// Safe.
pub fn stem_map(model_stems: &[String]) -> Vec<usize> {
    let other = STEMS.len() - 1;
    model_stems.iter().map(|name| STEMS.iter().position(|stem| stem == name).unwrap_or(other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_go_by_name_and_strangers_to_other() {
        let map = |names: &[&str]| stem_map(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(map(&["vocals", "drums", "bass", "other"]), [0, 1, 2, 3]);
        assert_eq!(map(&["bass", "other", "vocals", "drums"]), [2, 3, 0, 1]);
        assert_eq!(map(&["vocals", "accompaniment"]), [0, 3]);
        assert_eq!(map(&["drums", "guitar", "piano", "other", "vocals", "bass"]), [1, 3, 3, 3, 0, 2]);
    }
}
