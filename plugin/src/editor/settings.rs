//! What the editor remembers, for all projects: how large it is, and how it looks.

use super::theme::{MIN_WINDOW_SIZE, WINDOW_SIZE};
use directories::ProjectDirs;
use egui::{Vec2, vec2};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};

/// The scales that the menu offers, in percent.
pub const SCALES_PERCENT: [u16; 8] = [75, 100, 125, 150, 175, 200, 250, 300];
/// The widest that a window may be, in points; what is in a damaged file must not break the host.
const MAX_WINDOW_SIZE: Vec2 = vec2(2400.0, 1600.0);

/// What is remembered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Settings {
    /// One of [`SCALES_PERCENT`]; on top of the system's scale.
    pub scale_percent: u16,
    /// Width of the window in points.
    pub width: f32,
    /// Height of the window in points.
    pub height: f32,
    /// Whether it looks as for light rooms.
    pub is_light: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { scale_percent: 100, width: WINDOW_SIZE.x, height: WINDOW_SIZE.y, is_light: false }
    }
}

impl Settings {
    /// The size of the window at 100 %, in points.
    pub fn size(&self) -> Vec2 {
        vec2(self.width, self.height)
    }

    /// The scale as a factor.
    pub fn scale(&self) -> f32 {
        f32::from(self.scale_percent) / 100.0
    }

    /// Reads text that may be damaged: what makes no sense is as if it were not there.
    fn from_text(text: &str) -> Settings {
        let settings: Settings = toml::from_str(text).unwrap_or_default();
        let default = Settings::default();
        let within =
            |value: f32, min: f32, max: f32, or: f32| if value.is_finite() { value.clamp(min, max) } else { or };
        let is_offered = SCALES_PERCENT.contains(&settings.scale_percent);
        Settings {
            scale_percent: if is_offered { settings.scale_percent } else { default.scale_percent },
            width: within(settings.width, MIN_WINDOW_SIZE.x, MAX_WINDOW_SIZE.x, default.width),
            height: within(settings.height, MIN_WINDOW_SIZE.y, MAX_WINDOW_SIZE.y, default.height),
            is_light: settings.is_light,
        }
    }
}

/// Where settings lie. Tests have a place of their own, or none.
#[derive(Clone, Debug, Default)]
pub struct SettingsFile(Option<PathBuf>);

impl SettingsFile {
    /// In the user's configuration folder: `~/.config/unbraid/editor.toml` on Linux.
    pub fn of_user() -> Self {
        SettingsFile(ProjectDirs::from("", "", "unbraid").map(|dirs| dirs.config_dir().join("editor.toml")))
    }

    /// At this path.
    pub fn at(path: PathBuf) -> Self {
        SettingsFile(Some(path))
    }

    /// What is in it; the defaults where there is none.
    pub fn read(&self) -> Settings {
        let text = self.0.as_ref().and_then(|path| fs::read_to_string(path).ok());
        text.map_or_else(Settings::default, |text| Settings::from_text(&text))
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn write(&self, settings: &Settings) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        base::write_whole(path, toml::to_string(settings).map_err(io::Error::other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = SettingsFile::at(dir.path().join("new folder").join("editor.toml"));
        assert_eq!(file.read(), Settings::default());
        let settings = Settings { scale_percent: 175, width: 900.0, height: 612.5, is_light: true };
        file.write(&settings).unwrap();
        assert_eq!(file.read(), settings);
    }

    #[test]
    fn damage_falls_back() {
        let default = Settings::default();
        for text in ["", "width = ", "\0", "scale_percent = 0", "scale_percent = 70000", "width = nan\nheight = inf"] {
            assert_eq!(Settings::from_text(text), default, "{text}");
        }
        let small = Settings::from_text("width = -5\nheight = 1e30\nis_light = true");
        assert_eq!((small.width, small.height, small.is_light), (MIN_WINDOW_SIZE.x, MAX_WINDOW_SIZE.y, true));
    }
}
