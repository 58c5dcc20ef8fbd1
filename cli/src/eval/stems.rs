//! What is compared with what: the stems of a model need not be those of the songs.

use anyhow::{Result, bail};
use audio::{STEM_NAMES, StemFolder};

/// Index of bass and other in [`STEM_NAMES`].
const BASS: usize = 2;
const OTHER: usize = 3;

/// Names that models give to the sum of all stems that they do not name themselves.
const REST_NAMES: [&str; 5] = ["other", "accompaniment", "rest", "instrumental", "no_vocals"];

/// A row of the table: the sum of some true stems against the sum of some of the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The name in tables and files.
    pub name: String,
    /// Indices into [`STEM_NAMES`].
    pub truth: Vec<usize>,
    /// Indices into the model's stems.
    pub estimate: Vec<usize>,
}

/// The rows for a model of the stems `model_stems`, judged by `judged` stems, or by its own. `whose` begins the errors.
pub fn judged_stems(whose: &str, model_stems: &[String], judged: &[String]) -> Result<Vec<Judged>> {
    let of_model = partition(&format!("{whose}: stems"), model_stems)?;
    if judged.is_empty() {
        let rows = model_stems.iter().zip(of_model).enumerate();
        return Ok(rows
            .map(|(idx, (name, truth))| Judged { name: name.clone(), truth, estimate: vec![idx] })
            .collect());
    }
    let mut rows = Vec::with_capacity(judged.len());
    for (name, truth) in judged.iter().zip(partition("--stems", judged)?) {
        let is_inside = |stem: &&Vec<usize>| stem.iter().all(|idx| truth.contains(idx));
        let num_found: usize = of_model.iter().filter(is_inside).map(Vec::len).sum();
        if num_found != truth.len() {
            let names: Vec<&str> = truth.iter().map(|idx| STEM_NAMES[*idx]).collect();
            bail!(
                "--stems: {name} is {}, which {whose} cannot give: its stems are {}",
                names.join(" + "),
                model_stems.join(", ")
            );
        }
        let estimate = (0..of_model.len()).filter(|idx| is_inside(&&of_model[*idx])).collect();
        rows.push(Judged { name: name.clone(), truth, estimate });
    }
    Ok(rows)
}

/// The rows for estimates that are there as files: those of the true stems, and one for the rest. Not all must be there.
pub fn estimated_stems(whose: &str, names: &[String], judged: &[String]) -> Result<Vec<Judged>> {
    let known = |name: &&String| STEM_NAMES.contains(&name.as_str()) || REST_NAMES.contains(&name.as_str());
    let Some(unknown) = names.iter().find(|name| !known(name)) else {
        // With a rest they are a whole; without, each is judged alone.
        if names.iter().any(|name| REST_NAMES.contains(&name.as_str())) {
            return judged_stems(whose, names, judged);
        }
        if let Some(missing) = judged.iter().find(|name| !names.contains(name)) {
            bail!("--stems: {missing} is not among the estimates: {}", names.join(", "));
        }
        let truth = |name: &String| STEM_NAMES.iter().position(|stem| stem == name);
        let rows = names.iter().enumerate().filter(|(_, name)| judged.is_empty() || judged.contains(name));
        let row = |(idx, name): (usize, &String)| {
            Some(Judged { name: name.clone(), truth: vec![truth(name)?], estimate: vec![idx] })
        };
        return Ok(rows.filter_map(row).collect());
    };
    bail!("{whose}: expected files called {}, or instrumental for the rest, but found {unknown}", STEM_NAMES.join(", "))
}

/// Which true stems each name stands for: every one is in exactly one of them.
fn partition(whose: &str, names: &[String]) -> Result<Vec<Vec<usize>>> {
    let rest: Vec<usize> = (0..STEM_NAMES.len())
        .filter(|idx| *idx == OTHER || !names.iter().any(|name| name == STEM_NAMES[*idx]))
        .collect();
    let mut num_rests = 0;
    let mut parts = Vec::with_capacity(names.len());
    for (idx, name) in names.iter().enumerate() {
        if names[..idx].contains(name) {
            bail!("{whose}: expected each stem once, but found {name} twice");
        }
        if REST_NAMES.contains(&name.as_str()) {
            num_rests += 1;
            parts.push(rest.clone());
        } else if let Some(idx) = STEM_NAMES.iter().position(|stem| stem == name) {
            parts.push(vec![idx]);
        } else {
            bail!(
                "{whose}: expected some of {}, and accompaniment for the rest, but found {name}",
                STEM_NAMES.join(", ")
            );
        }
    }
    if num_rests != 1 {
        bail!(
            "{whose}: expected exactly one of {} for all that the others are not, but found {}",
            REST_NAMES.join(", "),
            names.join(", ")
        );
    }
    Ok(parts)
}

/// The rows that this song can answer, and those that are silent in it, since its `song.json` does not list their stems. A
/// song with other but without bass has its bass line inside other: there, the model's bass counts as other, and nothing
/// is known to be silent.
pub fn of_song(rows: &[Judged], song: &StemFolder) -> (Vec<Judged>, Vec<Judged>) {
    let has = |idx: usize| song.file(idx).is_some();
    let mut rows = rows.to_vec();
    let find = |rows: &[Judged], stem: usize| rows.iter().position(|row| row.truth.contains(&stem));
    if !has(BASS)
        && has(OTHER)
        && let (Some(bass), Some(other)) = (find(&rows, BASS), find(&rows, OTHER))
        && bass != other
    {
        let row = rows[bass].clone();
        let other = &mut rows[other];
        other.name = format!("{}+{}", row.name, other.name);
        other.truth.extend(row.truth);
        other.estimate.extend(row.estimate);
        rows.remove(bass);
    }
    let is_bass_hidden = |row: &Judged| row.truth.contains(&BASS) && has(OTHER);
    let (judged, mut silent): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.truth.iter().any(|idx| has(*idx)));
    silent.retain(|row| !is_bass_hidden(row));
    (judged, silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn rows(model_stems: &[&str], judged: &[&str]) -> Result<Vec<Judged>> {
        judged_stems("model x", &names(model_stems), &names(judged))
    }

    #[test]
    fn the_rest_is_what_nobody_names() {
        let row = |name: &str, truth: &[usize], estimate: &[usize]| Judged {
            name: name.to_string(),
            truth: truth.to_vec(),
            estimate: estimate.to_vec(),
        };
        let four = rows(&["bass", "vocals", "other", "drums"], &[]).unwrap();
        assert_eq!(four[0], row("bass", &[2], &[0]));
        assert_eq!(four[2], row("other", &[3], &[2]));
        for rest in ["accompaniment", "other", "rest"] {
            let two = rows(&["vocals", rest], &[]).unwrap();
            assert_eq!(two, [row("vocals", &[0], &[0]), row(rest, &[1, 2, 3], &[1])]);
        }
        let coarser = rows(&["vocals", "drums", "bass", "other"], &["vocals", "accompaniment"]).unwrap();
        assert_eq!(coarser, [row("vocals", &[0], &[0]), row("accompaniment", &[1, 2, 3], &[1, 2, 3])]);
    }

    #[test]
    fn errors_say_what_was_expected() {
        let error = |model: &[&str], judged: &[&str]| rows(model, judged).unwrap_err().to_string();
        assert!(error(&["vocals", "piano", "other"], &[]).contains("piano"));
        assert!(error(&["vocals", "drums"], &[]).contains("accompaniment"));
        assert!(error(&["vocals", "accompaniment", "other"], &[]).contains("exactly one"));
        assert!(error(&["vocals", "vocals", "other"], &[]).contains("twice"));
        assert!(error(&["vocals", "other"], &["drums", "other"]).contains("cannot give"));
    }

    #[test]
    fn bass_inside_other_is_judged_as_other() {
        let dir = std::env::temp_dir().join(format!("unbraid-judged-{}", std::process::id()));
        let song = |stems: &[&str]| {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            stems.iter().for_each(|stem| std::fs::write(dir.join(format!("{stem}.wav")), "").unwrap());
            std::fs::write(dir.join("song.json"), format!("{{\"stems\": {stems:?}}}")).unwrap();
            let song = StemFolder::open(&dir).unwrap();
            std::fs::remove_dir_all(&dir).unwrap();
            song
        };
        let four = judged_stems("x", &names(&STEM_NAMES), &[]).unwrap();
        let (judged, silent) = of_song(&four, &song(&["vocals", "drums", "other"]));
        assert_eq!(silent, []);
        assert_eq!(judged.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["vocals", "drums", "bass+other"]);
        assert_eq!(judged[2].estimate, [3, 2]);
        let (judged, silent) = of_song(&four, &song(&["vocals", "drums"]));
        assert_eq!(silent.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["bass", "other"]);
        assert_eq!(judged.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["vocals", "drums"]);
        let two = judged_stems("x", &names(&["vocals", "rest"]), &[]).unwrap();
        assert_eq!(of_song(&two, &song(&["vocals", "drums", "other"])), (two.clone(), Vec::new()));
        let (judged, silent) = of_song(&two, &song(&["drums", "other"]));
        assert_eq!((&judged[..], &silent[..]), (&two[1..], &two[..1]));
        // Estimates without other, each judged alone: a bass line may still be inside the song's other.
        let bass = [Judged { name: "bass".into(), truth: vec![2], estimate: vec![0] }];
        assert_eq!(of_song(&bass, &song(&["drums", "other"])), (Vec::new(), Vec::new()));
    }
}
