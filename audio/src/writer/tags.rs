//! What a file says about its song: carried over into the stems.

use std::fs::File;
use std::path::Path;

use symphonia::core::formats::FormatOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::{MetadataContainer, MetadataOptions, StandardTag};

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// As in `image/jpeg`.
    pub media_type: String,
    /// The picture's file.
    pub data: Vec<u8>,
}

/// Title, artist and so on, by the names that Vorbis comments have for them, and the cover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Name and value.
    pub fields: Vec<(&'static str, String)>,
    /// The cover.
    pub cover: Option<Cover>,
}

impl Tags {
    /// The tags of an audio file; none if it has none, or if they cannot be understood.
    pub fn read(path: impl AsRef<Path>) -> Tags {
        Tags::try_read(path.as_ref()).unwrap_or_default()
    }

    fn try_read(path: &Path) -> Option<Tags> {
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        if !std::fs::metadata(path).ok()?.is_file() {
            return None;
        }
        let stream = MediaSourceStream::new(Box::new(File::open(path).ok()?), Default::default());
        let probe = symphonia::default::get_probe();
        let mut format = probe.probe(&hint, stream, FormatOptions::default(), MetadataOptions::default()).ok()?;
        let mut tags = Tags::default();
        let mut metadata = format.metadata();
        while let Some(revision) = metadata.current() {
            tags.add(&revision.media);
            for track in &revision.per_track {
                tags.add(&track.metadata);
            }
            if metadata.pop().is_none() {
                break;
            }
        }
        Some(tags)
    }

    fn add(&mut self, container: &MetadataContainer) {
        for tag in container.tags.iter().filter_map(|tag| tag.std.as_ref()) {
            let (name, value) = match tag {
                StandardTag::TrackTitle(value) => ("TITLE", value.to_string()),
                StandardTag::Artist(value) => ("ARTIST", value.to_string()),
                StandardTag::Album(value) => ("ALBUM", value.to_string()),
                StandardTag::AlbumArtist(value) => ("ALBUMARTIST", value.to_string()),
                StandardTag::Composer(value) => ("COMPOSER", value.to_string()),
                StandardTag::Genre(value) => ("GENRE", value.to_string()),
                StandardTag::TrackNumber(value) => ("TRACKNUMBER", value.to_string()),
                StandardTag::RecordingDate(value) | StandardTag::ReleaseDate(value) => ("DATE", value.to_string()),
                StandardTag::Copyright(value) => ("COPYRIGHT", value.to_string()),
                _ => continue,
            };
            if !self.fields.iter().any(|(known, _)| *known == name) {
                self.fields.push((name, value));
            }
        }
        let visual = container.visuals.first().filter(|_| self.cover.is_none());
        self.cover = self.cover.take().or_else(|| {
            let visual = visual?;
            let media_type = visual.media_type.clone().unwrap_or_else(|| "image/jpeg".into());
            Some(Cover { media_type, data: visual.data.to_vec() })
        });
    }

    /// The tags of one of its stems: the title names it.
    pub fn of_stem(&self, stem: &str) -> Tags {
        let mut tags = self.clone();
        match tags.fields.iter_mut().find(|(name, _)| *name == "TITLE") {
            Some((_, title)) => *title = format!("{title} ({stem})"),
            None => tags.fields.push(("TITLE", stem.to_string())),
        }
        tags
    }
}
