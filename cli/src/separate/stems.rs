//! Which stems are written, and of which of the model's they are made.

use anyhow::{Result, bail};
use separator::Stereo;

/// A stem that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stem {
    /// Its name in file names.
    pub name: String,
    /// The model's stems that it is the sum of.
    pub parts: Vec<usize>,
}

impl Stem {
    /// Appends its share, a sum of what the separator gives, `[stem_idx][channel_idx][sample_idx]`.
    pub fn append_to(&self, separated: &[Stereo], samples: &mut Stereo) {
        let (first, rest) = self.parts.split_first().expect("a stem has parts");
        for (channel, samples) in samples.iter_mut().enumerate() {
            let start = samples.len();
            samples.extend_from_slice(&separated[*first][channel]);
            for part in rest {
                samples[start..].iter_mut().zip(&separated[*part][channel]).for_each(|(sum, x)| *sum += x);
            }
        }
    }
}

/// All of the model's stems, or those named by `wanted`.
pub fn chosen(wanted: &[String], known: &[String]) -> Result<Vec<Stem>> {
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("--stems: the model has no stem \"{unknown}\"; it has {}", known.join(", "));
    }
    let all = known.iter().enumerate().map(|(idx, name)| Stem { name: name.clone(), parts: vec![idx] });
    Ok(all.filter(|stem| wanted.is_empty() || wanted.contains(&stem.name)).collect())
}

/// A stem and the sum of all others: `vocals` and `instrumental`, else `drums` and `no_drums`. The instrumental may be
/// asked for as well.
pub fn two(name: &str, known: &[String]) -> Result<Vec<Stem>> {
    let name = if name == "instrumental" && !known.iter().any(|known| known == name) { "vocals" } else { name };
    let Some(idx) = known.iter().position(|known| known == name) else {
        bail!("--two-stems: the model has no stem \"{name}\"; it has {}", known.join(", "));
    };
    let rest = if name == "vocals" { "instrumental".into() } else { format!("no_{name}") };
    let others: Vec<usize> = (0..known.len()).filter(|other| *other != idx).collect();
    if others.is_empty() {
        bail!("--two-stems: the model has no other stem than {name}");
    }
    Ok(vec![Stem { name: name.into(), parts: vec![idx] }, Stem { name: rest, parts: others }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stems_are_one_and_the_rest() {
        let known = ["vocals", "drums", "bass", "other"].map(String::from);
        let names = |stems: &[Stem]| stems.iter().map(|stem| stem.name.clone()).collect::<Vec<_>>();
        let stems = two("vocals", &known).unwrap();
        assert_eq!(names(&stems), ["vocals", "instrumental"]);
        assert_eq!(stems, two("instrumental", &known).unwrap());
        assert_eq!(stems[1].parts, [1, 2, 3]);
        assert_eq!(names(&two("drums", &known).unwrap()), ["drums", "no_drums"]);
        assert!(two("piano", &known).unwrap_err().to_string().contains("vocals, drums, bass, other"));
        let separated: Vec<Stereo> = (1..5).map(|x| [vec![x as f32; 2], vec![-x as f32; 2]]).collect();
        let mut sum = Stereo::default();
        stems[1].append_to(&separated, &mut sum);
        stems[0].append_to(&separated, &mut sum);
        assert_eq!(sum, [vec![9.0, 9.0, 1.0, 1.0], vec![-9.0, -9.0, -1.0, -1.0]]);
    }
}
