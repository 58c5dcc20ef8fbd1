//! The combinations of stems that losses are taken over, by what is known of the stems.
//!
//! Stems that are known only together form one *part*. Losses run over all sums of 1 to P - 1 out of P parts: 14 for
//! four stems (X-UMX's combination scheme), 6 for three parts, 2 for vocals and the rest.

use crate::data::Known;

/// The parts that are known apart, each a list of stems.
pub fn parts(known: Known) -> &'static [&'static [usize]] {
    match known {
        Known::All => &[&[0], &[1], &[2], &[3]],
        Known::BassInOther => &[&[0], &[1], &[2, 3]],
        Known::VocalsOnly => &[&[0], &[1, 2, 3]],
    }
}

/// The sums, each a list of stems.
pub fn combinations(known: Known) -> Vec<Vec<usize>> {
    let parts = parts(known);
    (1u32..(1 << parts.len()) - 1)
        .map(|set| {
            let chosen = parts.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
            chosen.flat_map(|(_, stems)| stems.iter().copied()).collect()
        })
        .collect()
}

/// A mean square over the combinations of residuals `r_p` of P parts is a form of two terms,
/// `1/(2^P - 2) sum_S |sum_{p in S} r_p|^2 = each * sum_p |r_p|^2 + all * |sum_p r_p|^2`: a part is in `2^(P-1) - 1` of
/// the sums, a pair in `2^(P-2) - 1`. Returns `(each, all)`: 4/14 and 3/14 for four parts.
pub fn form_weights(known: Known) -> (f32, f32) {
    let num_parts = parts(known).len() as u32;
    let (quarter, sums) = ((1 << (num_parts - 2)) as f32, ((1 << num_parts) - 2) as f32);
    (quarter / sums, (quarter - 1.0) / sums)
}
