//! Where the stems of a song go.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use super::songs::SongFile;
use super::stems::Stem;

/// Names of files, with the placeholders {song}, {stem}, {model} and {ext}.
#[derive(Clone, Debug)]
pub struct Pattern(String);

/// A folder for each song.
pub const FOLDERS: &str = "{song}/{stem}";
/// All in one folder.
pub const FLAT: &str = "{song} - {stem}";

impl Pattern {
    pub fn new(text: &str) -> Result<Pattern> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { bail!("--name {text}: a {{ without its }}") };
            if !["song", "stem", "model", "ext"].contains(&name) {
                bail!("--name {text}: expected {{song}}, {{stem}}, {{model}} or {{ext}}, got {{{name}}}");
            }
            rest = after;
        }
        if !text.contains("{stem}") {
            bail!("--name {text}: without {{stem}} all stems would have one name");
        }
        let is_inside = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || text.ends_with('/') {
            bail!("--name {text}: expected a name below --out, without .. and not absolute");
        }
        Ok(Pattern(text.to_string()))
    }

    /// The file of a stem, with the ending `extension`.
    fn path(&self, song: &SongFile, stem: &str, model: &str, extension: &str) -> PathBuf {
        // Not one after the other: a song may be called {stem}.
        let mut name = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
            name.push_str(before);
            match placeholder {
                "song" => name.push_str(&song.stem()),
                "stem" => name.push_str(stem),
                "model" => name.push_str(model),
                _ => name.push_str(&song.extension()),
            }
            rest = after;
        }
        name.push_str(rest);
        song.folder.join(format!("{name}.{extension}"))
    }
}

/// A song, and a file for each of its stems.
#[derive(Clone, Debug)]
pub struct Job {
    pub song: SongFile,
    /// In the order of the stems.
    pub files: Vec<PathBuf>,
}

impl Job {
    /// What is printed: the folder, if all stems are in one of the song's own, else the first file.
    pub fn place(&self) -> PathBuf {
        let parent = self.files[0].parent().unwrap_or(Path::new("")).to_path_buf();
        if parent.ends_with(self.song.stem()) { parent } else { self.files[0].clone() }
    }
}

/// The files of every song. Refused if two would have one name, or if a song would be overwritten by a stem.
pub fn plan(
    songs: Vec<SongFile>,
    stems: &[Stem],
    out: &Path,
    pattern: &Pattern,
    model: &str,
    ext: &str,
) -> Result<Vec<Job>> {
    let mut owners: HashMap<PathBuf, String> = HashMap::new();
    let inputs: HashMap<PathBuf, String> =
        songs.iter().filter_map(|song| Some((song.path.as_ref()?.canonicalize().ok()?, song.name()))).collect();
    let mut jobs = Vec::with_capacity(songs.len());
    for song in songs {
        let files = stems.iter().map(|stem| out.join(pattern.path(&song, &stem.name, model, ext))).collect();
        let job = Job { song, files };
        for file in &job.files {
            if let Some(other) = owners.insert(file.clone(), job.song.name()) {
                bail!(
                    "{other} and {} would both write to {}; separate them into different folders, or tell them apart, as \
                     with --name '{{song}}.{{ext}}/{{stem}}'",
                    job.song.name(),
                    job.place().display()
                );
            }
            if let Some(input) = resolved(file).and_then(|file| inputs.get(&file)) {
                bail!("{}: a stem would replace the song {input}; choose another --out or --name", file.display());
            }
        }
        jobs.push(job);
    }
    Ok(jobs)
}

/// Where the file is, or would be: links and `..` of its folder followed.
fn resolved(file: &Path) -> Option<PathBuf> {
    if let Ok(path) = file.canonicalize() {
        return Some(path);
    }
    Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let song = SongFile { path: Some("music/a {stem}.mp3".into()), folder: "x/y".into() };
        let path = |text: &str| Pattern::new(text).unwrap().path(&song, "bass", "first", "wav");
        assert_eq!(path(FOLDERS), Path::new("x/y/a {stem}/bass.wav"));
        assert_eq!(path("{model}/{stem}/{song}.{ext}"), Path::new("x/y/first/bass/a {stem}.mp3.wav"));
        for (text, part) in [
            ("{song}", "without {stem}"),
            ("{stem}/{artist}", "{artist}"),
            ("../{stem}", "below --out"),
            ("/{stem}", "below --out"),
            ("{stem", "without its }"),
        ] {
            let error = Pattern::new(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
