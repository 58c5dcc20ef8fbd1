//! The streams of an Ogg file, seen from its pages (RFC 3533): how many there are one after the other, and how long.

use std::collections::HashMap;
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
    /// Whether a page does not pass its checksum or is missing. Only then time stamps are to be trusted more than the
    /// samples: ffmpeg writes whole files whose pages count too few.
    pub is_damaged: bool,
    /// Last positions of the links, added up: samples for Vorbis and FLAC, for Opus those of the decoder.
    pub num_samples: u64,
}

impl OggLayout {
    /// Walks over all pages. What lies between pages is passed over.
    pub fn read(path: &Path) -> io::Result<OggLayout> {
        let mut file = Window::open(path)?;
        let mut layout = OggLayout::default();
        let (mut position, mut granule, mut was_first) = (0, 0, false);
        let mut next_numbers = HashMap::new();
        let crcs = crc_table();
        while let Some(header) = file.array::<27>(position)? {
            if &header[..4] != b"OggS" {
                // Damage, or a tag at the end.
                match find_page(&mut file, position + 1)? {
                    Some(page) => {
                        position = page;
                        layout.is_damaged = true;
                    }
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
            if is_whole {
                let [serial, number, crc] = [14, 18, 22].map(|at| u32_at(&header, at));
                let page = file.at(position, len as usize)?;
                layout.is_damaged |= crc_of(page, &crcs) != crc;
                let expected = next_numbers.insert(serial, number.wrapping_add(1));
                layout.is_damaged |= expected.is_some_and(|expected| expected != number);
            }
            layout.is_complete = is_whole && header[5] & LAST_PAGE != 0;
            position += len;
        }
        layout.num_samples += granule;
        Ok(layout)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// CRC-32 of polynomial 0x04c11db7, neither reflected nor inverted; the field of the CRC counts as 0.
fn crc_of(page: &[u8], table: &[u32; 256]) -> u32 {
    let bytes = page.iter().enumerate().map(|(at, byte)| if (22..26).contains(&at) { 0 } else { *byte });
    bytes.fold(0, |crc, byte| (crc << 8) ^ table[((crc >> 24) as u8 ^ byte) as usize])
}

fn crc_table() -> [u32; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold((byte as u32) << 24, |crc, _| (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
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
