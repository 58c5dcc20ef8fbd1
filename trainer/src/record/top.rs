//! The best checkpoints of a run, by score, in the folder `top`.

use crate::record::{history::Epoch, parts};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The file of an epoch's checkpoint, if it has a score.
pub fn path(out: &Path, epoch: &Epoch) -> Option<PathBuf> {
    Some(out.join("top").join(format!("step-{:06}_{:.3}dB.safetensors", epoch.step, epoch.mean_sdr_db?)))
}

/// The `num` best epochs, best first; of equals the earlier one.
pub fn best(past: &[Epoch], num: usize) -> Vec<&Epoch> {
    let mut scored: Vec<&Epoch> = past.iter().filter(|epoch| epoch.mean_sdr_db.is_some()).collect();
    scored.sort_by(|a, b| b.mean_sdr_db.partial_cmp(&a.mean_sdr_db).unwrap_or(std::cmp::Ordering::Equal));
    scored.truncate(num);
    scored
}

/// Removes what is no longer among the best `num`.
///
/// # Errors
/// If the folder cannot be read or a file not removed.
pub fn prune(out: &Path, past: &[Epoch], num: usize) -> Result<()> {
    let kept: Vec<PathBuf> = best(past, num).into_iter().filter_map(|epoch| path(out, epoch)).collect();
    let dir = out.join("top");
    if !dir.is_dir() {
        return Ok(());
    }
    for file in parts::list(&dir)? {
        if !kept.contains(&file) {
            parts::remove(&file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_best_stay() {
        let epoch = |step, score| Epoch { step, mean_sdr_db: Some(score), ..Epoch::default() };
        let past = [epoch(10, 1.0), epoch(20, 3.0), epoch(30, 2.0), epoch(40, 3.0)];
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("top")).unwrap();
        past.iter().for_each(|epoch| fs::write(path(dir.path(), epoch).unwrap(), b"x").unwrap());
        prune(dir.path(), &past, 2).unwrap();
        let left: Vec<bool> = past.iter().map(|epoch| path(dir.path(), epoch).unwrap().is_file()).collect();
        assert_eq!(left, [false, true, false, true]);
    }
}
