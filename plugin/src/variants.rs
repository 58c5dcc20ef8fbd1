//! What the two plugins differ in.
//!
//! They are two, since many hosts show every output a plugin has, and since VST3 cannot change its buses while running.
//! Both come for mono tracks too: one channel in, one or two out.

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
    /// The buses. The first layout, all stereo, is what a host gets that does not ask.
    const LAYOUTS: &'static [AudioIOLayout];
}

const fn layout(
    name: &'static str,
    num_inputs: u32,
    num_outputs: u32,
    stem_outputs: &'static [NonZeroU32],
) -> AudioIOLayout {
    AudioIOLayout {
        main_input_channels: NonZeroU32::new(num_inputs),
        main_output_channels: NonZeroU32::new(num_outputs),
        aux_output_ports: stem_outputs,
        names: PortNames {
            layout: Some(name),
            aux_outputs: if stem_outputs.is_empty() { &[] } else { &["Vocals", "Drums", "Bass", "Other"] },
            ..PortNames::const_default()
        },
        ..AudioIOLayout::const_default()
    }
}

/// One stereo output.
pub struct StereoOut;

impl Variant for StereoOut {
    const NAME: &'static str = "Unbraid";
    const CLAP_ID: &'static str = "org.unbraid.unbraid";
    const VST3_CLASS_ID: [u8; 16] = *b"UnbraidStereo001";
    const DESCRIPTION: &'static str = "Takes a mix apart and puts it together again, each stem at its own gain";
    const LAYOUTS: &'static [AudioIOLayout] =
        &[layout("Stereo", 2, 2, &[]), layout("Mono to stereo", 1, 2, &[]), layout("Mono", 1, 1, &[])];
}

/// The mix, and each stem on an output of its own.
pub struct MultiOut;

impl Variant for MultiOut {
    const NAME: &'static str = "Unbraid Multi-Out";
    const CLAP_ID: &'static str = "org.unbraid.unbraid-multi-out";
    const VST3_CLASS_ID: [u8; 16] = *b"UnbraidMultiOut1";
    const DESCRIPTION: &'static str = "Takes a mix apart; each stem leaves on an output of its own";
    const LAYOUTS: &'static [AudioIOLayout] = &[
        layout("Stereo", 2, 2, &[new_nonzero_u32(2); 4]),
        layout("Mono to stereo", 1, 2, &[new_nonzero_u32(2); 4]),
        layout("Mono", 1, 1, &[new_nonzero_u32(1); 4]),
    ];
}
