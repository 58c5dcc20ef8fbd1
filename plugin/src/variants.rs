//! What the two plugins differ in.
//!
//! They are two, since nice-plug skips `process()` when a host leaves an auxiliary output unconnected, and since VST3
//! cannot change its buses while running.

use nice_plug::prelude::*;

/// Constants of one plugin. See [`Plugin`], [`ClapPlugin`] and [`Vst3Plugin`].
pub trait Variant: Send + 'static {
    /// As shown to the user.
    const NAME: &'static str;
    /// Must never change.
    const CLAP_ID: &'static str;
    /// Must never change.
    const VST3_CLASS_ID: [u8; 16];
    /// One sentence.
    const DESCRIPTION: &'static str;
    /// The buses; all stereo.
    const LAYOUTS: &'static [AudioIOLayout];
}

const STEREO: AudioIOLayout = AudioIOLayout {
    main_input_channels: NonZeroU32::new(2),
    main_output_channels: NonZeroU32::new(2),
    ..AudioIOLayout::const_default()
};

/// One stereo output.
pub struct Stereo;

impl Variant for Stereo {
    const NAME: &'static str = "Unbraid";
    const CLAP_ID: &'static str = "org.unbraid.unbraid";
    const VST3_CLASS_ID: [u8; 16] = *b"UnbraidStereo001";
    const DESCRIPTION: &'static str = "Takes a mix apart and puts it together again, each stem at its own gain";
    const LAYOUTS: &'static [AudioIOLayout] = &[STEREO];
}

/// The mix, and each stem on an output of its own.
pub struct MultiOut;

impl Variant for MultiOut {
    const NAME: &'static str = "Unbraid Multi-Out";
    const CLAP_ID: &'static str = "org.unbraid.unbraid-multi-out";
    const VST3_CLASS_ID: [u8; 16] = *b"UnbraidMultiOut1";
    const DESCRIPTION: &'static str = "Takes a mix apart; each stem leaves on an output of its own";
    const LAYOUTS: &'static [AudioIOLayout] = &[AudioIOLayout {
        aux_output_ports: &[new_nonzero_u32(2); 4],
        names: PortNames { aux_outputs: &["Vocals", "Drums", "Bass", "Other"], ..PortNames::const_default() },
        ..STEREO
    }];
}
