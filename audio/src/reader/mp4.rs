//! Which samples of an MP4 audio track are the music: encoder delay and padding; and whether the file is whole.
//!
//! symphonia delivers every sample that the decoder makes. What belongs to the song is said by iTunes' `iTunSMPB` comment
//! (delay and length in samples, exact) or by the edit list of the track (ISO/IEC 14496-12, 8.6.6).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The part of a track's decoded samples that is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Samples to drop at the start.
    pub start: u64,
    /// Samples to keep after that; `None`: all.
    pub len: Option<u64>,
}

/// How the file is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The samples lie in fragments behind the header, which does not give their number.
    pub is_fragmented: bool,
    /// A box goes beyond the end of the file.
    pub is_cut: bool,
}

/// Looks at the outermost boxes of the MP4 file at `path`.
pub(crate) fn read_shape(path: &Path) -> io::Result<Shape> {
    let mut boxes = Boxes { file: BufReader::new(File::open(path)?) };
    let file_len = boxes.file.seek(SeekFrom::End(0))?;
    let (mut shape, mut position) = (Shape::default(), 0);
    while position + 8 <= file_len {
        let (header_len, len, name) = boxes.header(position)?;
        let end = if len == 0 { file_len } else { position.saturating_add(len.max(header_len)) };
        shape.is_cut |= end > file_len;
        shape.is_fragmented |= &name == b"moof";
        if &name == b"moov" && boxes.find(position + header_len..end.min(file_len), b"mvex").is_some() {
            shape.is_fragmented = true;
        }
        position = end;
    }
    Ok(shape)
}

/// Larger boxes of tables and texts are not read: those that matter here are a few hundred bytes.
const MAX_BOX_LEN: u64 = 1 << 16;

/// Reads the edit of the track `track_id` of the MP4 file at `path`, which decodes to `num_samples` samples.
///
/// `None` where the file says nothing (or nothing that can be understood): then everything is played.
pub(crate) fn read_edit(path: &Path, track_id: u32, sample_rate_hz: u32, num_samples: Option<u64>) -> Option<Edit> {
    let mut boxes = Boxes { file: BufReader::new(File::open(path).ok()?) };
    let len = boxes.file.seek(SeekFrom::End(0)).ok()?;
    let moov = boxes.find(0..len, b"moov")?;
    if let Some(edit) = boxes.gapless_comment(moov.clone()) {
        return Some(edit);
    }
    let movie_timescale = boxes.timescale(moov.clone(), b"mvhd")?;
    let trak = boxes
        .children(moov, b"trak")
        .into_iter()
        .find(|trak| boxes.track_id(trak.clone()).is_some_and(|id| id == track_id))?;
    let media_timescale = boxes.find(trak.clone(), b"mdia").and_then(|mdia| boxes.timescale(mdia, b"mdhd"))?;
    let (duration, media_time) = boxes.first_edit(trak)?;

    let rescale =
        |x: u64, from: u32, to: u32| (u128::from(x) * u128::from(to)).div_ceil(u128::from(from.max(1))) as u64;
    let start = rescale(media_time, media_timescale, sample_rate_hz);
    let rest = num_samples.map(|n| n.saturating_sub(start));
    let edited = (duration > 0).then(|| rescale(duration, movie_timescale, sample_rate_hz));
    // The edit counts in ticks of the movie, often milliseconds: within a tick of the track's end it means the end.
    let tick = u64::from(sample_rate_hz.div_ceil(movie_timescale.max(1)));
    let len = match (edited, rest) {
        (Some(edited), Some(rest)) if edited + tick >= rest => Some(rest),
        (Some(edited), _) => Some(edited),
        (None, rest) => rest,
    };
    Some(Edit { start, len })
}

/// A walk over the boxes of the file. Every step is bounded by the parent's range, so a damaged file only ends it early.
struct Boxes {
    file: BufReader<File>,
}

impl Boxes {
    /// The bodies of the boxes of this kind within `range`.
    fn children(&mut self, range: Range<u64>, kind: &[u8; 4]) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        let mut position = range.start;
        while position + 8 <= range.end {
            let Ok((header_len, len, name)) = self.header(position) else { break };
            let end = match len {
                0 => range.end,
                len => position.saturating_add(len),
            };
            if end > range.end || end < position + header_len {
                break;
            }
            if &name == kind {
                found.push(position + header_len..end);
            }
            position = end;
        }
        found
    }

    /// The first box of this kind within `range`.
    fn find(&mut self, range: Range<u64>, kind: &[u8; 4]) -> Option<Range<u64>> {
        self.children(range, kind).into_iter().next()
    }

    /// Length of the header, length of the box (0: to the end), kind.
    fn header(&mut self, position: u64) -> io::Result<(u64, u64, [u8; 4])> {
        self.file.seek(SeekFrom::Start(position))?;
        let mut header = [0; 8];
        self.file.read_exact(&mut header)?;
        let name = [header[4], header[5], header[6], header[7]];
        match be_u32(&header, 0) {
            Some(1) => {
                let mut long = [0; 8];
                self.file.read_exact(&mut long)?;
                Ok((16, u64::from_be_bytes(long), name))
            }
            len => Ok((8, u64::from(len.unwrap_or(0)), name)),
        }
    }

    fn body(&mut self, range: Range<u64>) -> Option<Vec<u8>> {
        let len = range.end - range.start;
        if len > MAX_BOX_LEN {
            return None;
        }
        let mut body = vec![0; len as usize];
        self.file.seek(SeekFrom::Start(range.start)).ok()?;
        self.file.read_exact(&mut body).ok()?;
        Some(body)
    }

    /// Ticks per second of `mvhd` or `mdhd`.
    fn timescale(&mut self, parent: Range<u64>, kind: &[u8; 4]) -> Option<u32> {
        let body = self.find(parent, kind).and_then(|range| self.body(range))?;
        be_u32(&body, if body.first() == Some(&1) { 20 } else { 12 })
    }

    fn track_id(&mut self, trak: Range<u64>) -> Option<u32> {
        let body = self.find(trak, b"tkhd").and_then(|range| self.body(range))?;
        be_u32(&body, if body.first() == Some(&1) { 20 } else { 12 })
    }

    /// Duration (ticks of the movie) and start (ticks of the media) of the first edit that plays something.
    fn first_edit(&mut self, trak: Range<u64>) -> Option<(u64, u64)> {
        let edts = self.find(trak, b"edts")?;
        let body = self.find(edts, b"elst").and_then(|range| self.body(range))?;
        let num_edits = be_u32(&body, 4)? as usize;
        let wide = body.first() == Some(&1);
        (0..num_edits.min(body.len())).find_map(|edit_idx| {
            let (duration, media_time) = if wide {
                let at = 8 + edit_idx * 20;
                (be_u64(&body, at)?, be_u64(&body, at + 8)? as i64)
            } else {
                let at = 8 + edit_idx * 12;
                (u64::from(be_u32(&body, at)?), i64::from(be_u32(&body, at + 4)? as i32))
            };
            // -1 marks an empty edit: a pause before the music, which a stem separator has no use for.
            u64::try_from(media_time).ok().map(|media_time| (duration, media_time))
        })
    }

    /// `moov/udta/meta/ilst/----` named `iTunSMPB`: hexadecimal words: 0, delay, padding, length, ...
    fn gapless_comment(&mut self, moov: Range<u64>) -> Option<Edit> {
        let udta = self.find(moov, b"udta")?;
        let meta = self.find(udta, b"meta")?;
        let ilst = self.find(meta.start + 4..meta.end, b"ilst")?;
        for comment in self.children(ilst, b"----") {
            let name = self.find(comment.clone(), b"name").and_then(|range| self.body(range));
            if name.is_none_or(|name| name.get(4..) != Some(&b"iTunSMPB"[..])) {
                continue;
            }
            let data = self.find(comment, b"data").and_then(|range| self.body(range))?;
            let text = std::str::from_utf8(data.get(8..)?).ok()?;
            let mut words = text.split_whitespace().map(|word| u64::from_str_radix(word, 16));
            let delay = words.nth(1)?.ok()?;
            let len = words.nth(1)?.ok()?;
            return (len > 0).then_some(Edit { start: delay, len: Some(len) });
        }
        None
    }
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(kind: &[u8; 4], body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A movie with 600 ticks per second, and one track (id 7) at 44100 whose edit list holds `edits`.
    fn movie(edits: &[u32], comment: &[u8]) -> Vec<u8> {
        let mvhd = atom(b"mvhd", &[&words(&[0, 0, 0, 600, 0])]);
        let tkhd = atom(b"tkhd", &[&words(&[0, 0, 0, 7])]);
        let elst = atom(b"elst", &[&words(&[0, edits.len() as u32 / 3]), &words(edits)]);
        let edts = atom(b"edts", &[&elst]);
        let mdia = atom(b"mdia", &[&atom(b"mdhd", &[&words(&[0, 0, 0, 44100, 0])])]);
        let trak = atom(b"trak", &[&tkhd, &edts, &mdia]);
        let moov = atom(b"moov", &[&mvhd, &trak, comment]);
        [atom(b"ftyp", &[b"M4A "]), atom(b"mdat", &[&[0; 100]]), moov].concat()
    }

    fn edit_of(bytes: &[u8], num_samples: Option<u64>) -> Option<Edit> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_edit(file.path(), 7, 44100, num_samples)
    }

    #[test]
    fn edit_list() {
        const PLAY: u32 = 0x1_0000;
        let one_second = movie(&[600, 1024, PLAY], &[]);
        // The edit ends within the track: it cuts.
        assert_eq!(edit_of(&one_second, Some(60_000)), Some(Edit { start: 1024, len: Some(44100) }));
        // It ends within a tick (73.5 samples) of the track's end: the track's own length is the exact one.
        assert_eq!(edit_of(&one_second, Some(1024 + 44_123)), Some(Edit { start: 1024, len: Some(44_123) }));
        assert_eq!(edit_of(&one_second, None), Some(Edit { start: 1024, len: Some(44100) }));
        // No duration (fragmented files): to the end. An empty edit in front is passed over.
        assert_eq!(edit_of(&movie(&[0, 1024, PLAY], &[]), None), Some(Edit { start: 1024, len: None }));
        let delayed = movie(&[300, u32::MAX, PLAY, 600, 2112, PLAY], &[]);
        assert_eq!(edit_of(&delayed, Some(90_000)), Some(Edit { start: 2112, len: Some(44100) }));
    }

    #[test]
    fn gapless_comment_is_preferred() {
        let text = b" 00000000 00000840 000001CA 000000000000AC55 00000000 00000000";
        let comment = atom(
            b"----",
            &[
                &atom(b"mean", &[&[0; 4], b"com.apple.iTunes"]),
                &atom(b"name", &[&[0; 4], b"iTunSMPB"]),
                &atom(b"data", &[&words(&[1, 0]), text]),
            ],
        );
        let udta = atom(b"udta", &[&atom(b"meta", &[&[0; 4], &atom(b"ilst", &[&comment])])]);
        let bytes = movie(&[600, 1024, 0x1_0000], &udta);
        assert_eq!(edit_of(&bytes, Some(60_000)), Some(Edit { start: 0x840, len: Some(0xAC55) }));
    }

    #[test]
    fn nothing_said_or_cut_off() {
        assert_eq!(edit_of(b"", None), None);
        let bytes = movie(&[600, 1024, 0x1_0000], &[]);
        for len in 0..bytes.len() {
            assert_eq!(edit_of(&bytes[..len], None), None, "cut at {len}");
        }
    }
}
