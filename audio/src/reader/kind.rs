//! What a file is, by its first bytes: for messages about files that are not decoded here.

use std::path::Path;

use super::window::Window;

/// The kind of an audio or video file; `Err` says what else it looks like.
pub(crate) fn kind_of(path: &Path) -> Result<&'static str, &'static str> {
    let mut file = Window::open(path).map_err(|_| "it cannot be read")?;
    let head = file.at(0, 512).map_err(|_| "it cannot be read")?.to_vec();
    let at = |position: usize, magic: &[u8]| head.get(position..).is_some_and(|rest| rest.starts_with(magic));
    let has = |magic: &[u8]| head.windows(magic.len()).any(|window| window == magic);
    if head.is_empty() {
        return Err("it is empty");
    }
    Ok(match () {
        _ if at(0, b"OggS") && has(b"OpusHead") => "this Opus file",
        _ if at(0, b"OggS") && has(b"Speex") => "a Speex file",
        _ if at(0, b"OggS") => "this kind of Ogg file",
        _ if at(0, b"\x1a\x45\xdf\xa3") => "this WebM or Matroska file",
        _ if at(0, b"wvpk") => "a WavPack file",
        _ if at(0, b"MAC ") => "a Monkey's Audio file",
        _ if at(0, b"TTA1") => "a True Audio file",
        _ if at(0, b"DSD ") || at(0, b"FRM8") => "a DSD file",
        _ if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => "a Windows Media file",
        _ if at(4, b"ftyp") => "this kind of MP4 file (HE-AAC, AC-3 or another codec)",
        _ if at(0, b"RIFF") && at(8, b"AVI ") => "an AVI file",
        _ if at(0, b"RIFF") || at(0, b"RF64") || at(0, b"riff") => "this kind of WAV file",
        _ if at(0, b"FLV") => "an FLV file",
        _ if at(0, b"caff") => "this kind of CAF file",
        _ if at(0, b"FORM") => "this kind of AIFF file",
        _ if at(0, b"fLaC") => "this kind of FLAC file",
        _ if at(0, b"\x0b\x77") => "an AC-3 file",
        _ if at(0, b"#!AMR") => "an AMR file",
        _ if at(0, b"MThd") => return Err("it is a MIDI file: notes, not sound"),
        _ if at(0, b"%PDF") => return Err("it is a PDF"),
        _ if at(0, b"PK\x03\x04") => return Err("it is a ZIP archive"),
        _ if at(0, b"\x89PNG") || at(0, b"\xff\xd8\xff") => return Err("it is a picture"),
        _ if std::str::from_utf8(&head[..head.len().min(256)]).is_ok() => return Err("it is text"),
        _ => return Err("its first bytes are those of no known kind"),
    })
}

/// Whether the file begins as one of a kind that is decoded here.
pub(crate) fn is_known(path: &Path) -> bool {
    let head = Window::open(path).and_then(|mut file| Ok(file.at(0, 12)?.to_vec())).unwrap_or_default();
    let magics: [&[u8]; 6] = [b"RIFF", b"FORM", b"fLaC", b"OggS", b"caff", b"\x1a\x45\xdf\xa3"];
    magics.iter().any(|magic| head.starts_with(magic)) || head.get(4..8) == Some(b"ftyp")
}
