//! Pages of parameters for hardware controllers, eight at most on each.

use crate::params::UnbraidParams;
use nice_plug::prelude::*;

/// Adds our pages: the four stems always lie on the same four knobs or buttons.
pub(crate) fn add_pages(params: &UnbraidParams, context: &mut impl RemoteControlsContext) {
    let stems = params.stems();
    context.add_section("Unbraid", |section| {
        section.add_page("Levels", |page| {
            stems.iter().for_each(|stem| page.add_param(&stem.gain));
            page.add_param(&params.dry_wet);
            page.add_param(&params.output);
        });
        section.add_page("Mutes and solos", |page| {
            stems.iter().for_each(|stem| page.add_param(&stem.mute));
            stems.iter().for_each(|stem| page.add_param(&stem.solo));
        });
        section.add_page("Pan", |page| stems.iter().for_each(|stem| page.add_param(&stem.pan)));
        section.add_page("Sensitivity", |page| stems.iter().for_each(|stem| page.add_param(&stem.sensitivity)));
        section.add_page("Global", |page| {
            page.add_param(&params.dry_wet);
            page.add_param(&params.output);
            page.add_param(&params.bypass);
        });
    });
}
