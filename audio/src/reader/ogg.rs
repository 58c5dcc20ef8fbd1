//! The streams of an Ogg file, seen from its pages (RFC 3533): how many there are one after the other, and how long.

use std::io;
use std::path::Path;

use super::window::Window;

const FIRST_PAGE: u8 = 2;
const LAST_PAGE: u8 = 4;

/// What the pages say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OggLayout {
    /// Groups of streams that follow one another; more than one in chained files.
    pub num_links: usize,
    /// Whether the last page of the last stream is there.
    pub is_complete: bool,
    /// Last positions of the links, added up: samples for Vorbis and FLAC, for Opus those of the decoder.
    pub num_samples: u64,
}

impl OggLayout {
    /// Walks over all pages. What lies between pages is passed over.
    pub fn read(path: &Path) -> io::Result<OggLayout> {
        let mut file = Window::open(path)?;
        let mut layout = OggLayout::default();
        let (mut position, mut granule, mut was_first) = (0, 0, false);
        while let Some(header) = file.array::<27>(position)? {
            if &header[..4] != b"OggS" {
                // Damage, or a tag at the end.
                match find_page(&mut file, position + 1)? {
                    Some(page) => position = page,
                    None => break,
                }
                continue;
            }
            let table = file.at(position + 27, usize::from(header[26]))?;
            let len = 27 + u64::from(header[26]) + table.iter().map(|len| u64::from(*len)).sum::<u64>();
            let is_first = header[5] & FIRST_PAGE != 0;
            if is_first && !was_first {
                layout.num_links += 1;
                layout.num_samples += std::mem::take(&mut granule);
            }
            was_first = is_first;
            let page_granule = i64::from_le_bytes(header[6..14].try_into().expect("8 of 27 bytes"));
            granule = u64::try_from(page_granule).map_or(granule, |page| granule.max(page));
            let is_whole = position + len <= file.file_len();
            layout.is_complete = is_whole && header[5] & LAST_PAGE != 0;
            position += len;
        }
        layout.num_samples += granule;
        Ok(layout)
    }
}

fn find_page(file: &mut Window, mut position: u64) -> io::Result<Option<u64>> {
    loop {
        let bytes = file.at(position, 1 << 14)?;
        if bytes.len() < 4 {
            return Ok(None);
        }
        match bytes.windows(4).position(|word| word == b"OggS") {
            Some(at) => return Ok(Some(position + at as u64)),
            None => position += bytes.len() as u64 - 3,
        }
    }
}
