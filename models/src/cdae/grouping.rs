//! Which buckets go through the network together.
//!
//! Calling an operation costs more than the few numbers of a bucket, so buckets share operations: the inner
//! convolutions do not depend on the number of frames and are shared by all buckets of (nearly) the same number of bins
//! (a *group*), the outer ones by those of nearly the same number of frames (a *class* within the group). What a bucket
//! lacks is filled up with zeros, which change nothing.

use super::kernel_bins;

/// Buckets that share the inner convolutions.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// Bins of the kernels.
    pub kernel: usize,
    /// Bins, filled up; more than the buckets have only if the kernel has one bin.
    pub num_bins: usize,
    pub classes: Vec<Class>,
}

/// Buckets of a group that share the outer convolutions.
#[derive(Debug, PartialEq)]
pub(super) struct Class {
    /// Frames, filled up.
    pub num_frames: usize,
    /// Indices of the buckets.
    pub buckets: Vec<usize>,
}

impl Group {
    pub fn num_buckets(&self) -> usize {
        self.classes.iter().map(|class| class.buckets.len()).sum()
    }
}

/// A class may fill up at most this share of its frames: every frame costs weights, and weights cost time.
const MIN_FILL: f64 = 0.85;

/// Every bucket in one class of one group. `sizes`: bins and frames of each.
pub(super) fn group(sizes: &[(usize, usize)]) -> Vec<Group> {
    group_sizes(&sizes.iter().map(|&(bins, frames)| (kernel_bins(bins), bins, frames)).collect::<Vec<_>>())
}

/// The same, from kernel, bins and frames.
fn group_sizes(sizes: &[(usize, usize, usize)]) -> Vec<Group> {
    // Matrix products take 16 columns at a time, and a bin has two: up to 8 bins cost the same.
    let padded = |(kernel, num_bins, _): (usize, usize, usize)| match kernel {
        1 if num_bins <= 8 => (kernel, num_bins.next_power_of_two()),
        _ => (kernel, num_bins),
    };
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // Longest first: it decides how far its class is filled up.
    order.sort_by_key(|&idx| (std::cmp::Reverse(padded(sizes[idx])), std::cmp::Reverse(sizes[idx].2), idx));
    let mut groups: Vec<Group> = Vec::new();
    for idx in order {
        let ((kernel, num_bins), num_frames) = (padded(sizes[idx]), sizes[idx].2);
        if groups.last().is_none_or(|group| (group.kernel, group.num_bins) != (kernel, num_bins)) {
            groups.push(Group { kernel, num_bins, classes: vec![] });
        }
        let Some(group) = groups.last_mut() else { continue };
        match group.classes.last_mut() {
            Some(class) if num_frames as f64 >= MIN_FILL * class.num_frames as f64 => class.buckets.push(idx),
            _ => group.classes.push(Class { num_frames, buckets: vec![idx] }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_is_in_one_class_that_holds_it() {
        let sizes: Vec<_> =
            (0..60).map(|i| if i % 7 == 0 { (3, 12, 16) } else { (1, 1 + i % 9, 16 + 4 * i) }).collect();
        let groups = group_sizes(&sizes);
        let mut seen = vec![0; sizes.len()];
        for group in &groups {
            for class in &group.classes {
                for &idx in &class.buckets {
                    seen[idx] += 1;
                    let (kernel, num_bins, num_frames) = sizes[idx];
                    assert_eq!(kernel, group.kernel);
                    assert!(num_bins == group.num_bins || (kernel == 1 && num_bins < group.num_bins));
                    assert!(num_frames <= class.num_frames && num_frames as f64 >= MIN_FILL * class.num_frames as f64);
                }
            }
        }
        assert!(seen.iter().all(|&count| count == 1), "{groups:?}");
    }
}
