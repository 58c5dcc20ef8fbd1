//! FLAC files, written beside their final name and renamed when complete.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use base::{part_path, put_in_place};
use flac_codec::encode::{FlacSampleWriter, Options};
use flac_codec::metadata::{Picture, PictureType};

use super::{FileSpec, quantizer::Quantizer};
use crate::AudioError;

pub(crate) struct FlacWriter {
    /// `None` only after `finish`.
    flac: Option<FlacSampleWriter<BufWriter<File>>>,
    quantizer: Quantizer,
    path: PathBuf,
    part_path: PathBuf,
    /// `[sample][channel]`
    interleaved: Vec<i32>,
}

impl FlacWriter {
    pub fn create(path: &Path, num_bits: u16, spec: FileSpec) -> Result<FlacWriter, AudioError> {
        let part_path = part_path(path);
        let mut options = Options::default().overwrite();
        for (name, value) in &spec.tags.fields {
            options = options.tag(name, value.as_str());
        }
        let cover = spec.tags.cover.as_ref();
        // A picture that the library cannot measure is left out.
        if let Some(Ok(picture)) = cover.map(|cover| Picture::new(PictureType::FrontCover, "", cover.data.clone())) {
            options = options.picture(picture);
        }
        let flac = FlacSampleWriter::create(&part_path, options, spec.sample_rate_hz, u32::from(num_bits), 2, None)
            .map_err(|error| flac_error(&part_path, "create", error))?;
        let quantizer = Quantizer::new(num_bits, spec.is_dithered && num_bits == 16);
        Ok(FlacWriter { flac: Some(flac), quantizer, path: path.into(), part_path, interleaved: Vec::new() })
    }

    pub fn write(&mut self, [left, right]: [&[f32]; 2]) -> Result<(), AudioError> {
        assert_eq!(left.len(), right.len(), "FlacWriter::write: channels differ in length");
        self.interleaved.clear();
        for (left, right) in left.iter().zip(right) {
            self.interleaved.extend([*left, *right].map(|x| self.quantizer.quantize(x)));
        }
        let flac = self.flac.as_mut().expect("only finish takes it");
        flac.write(&self.interleaved).map_err(|error| flac_error(&self.part_path, "write", error))
    }

    pub fn num_clipped(&self) -> u64 {
        self.quantizer.num_clipped()
    }

    pub fn finish(mut self) -> Result<(), AudioError> {
        let flac = self.flac.take().expect("only finish takes it");
        let result = flac
            .finalize()
            .map_err(|error| flac_error(&self.part_path, "write", error))
            .and_then(|()| put_in_place(&self.part_path, &self.path).map_err(AudioError::io(&self.path, "rename")));
        if result.is_err() {
            let _ = std::fs::remove_file(&self.part_path);
        }
        result
    }
}

impl Drop for FlacWriter {
    fn drop(&mut self) {
        if let Some(flac) = self.flac.take() {
            drop(flac);
            let _ = std::fs::remove_file(&self.part_path);
        }
    }
}

fn flac_error(path: &Path, action: &'static str, error: flac_codec::Error) -> AudioError {
    let source = match error {
        flac_codec::Error::Io(source) => source,
        other => std::io::Error::other(other),
    };
    AudioError::Io { path: path.to_path_buf(), action, source }
}
