//! Sound cards, through cpal: ALSA, CoreAudio, WASAPI; and one that nobody hears.

use crate::resampling::resampled;
use anyhow::{Context, Result, anyhow, bail};
use cpal::{
    BufferSize, Device, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The name of the device that nobody hears.
pub const NULL_DEVICE: &str = "null";
/// Samples of a block of the null device.
const NULL_BLOCK_LEN: usize = 480;
/// The longest block that is asked for at a time.
pub const MAX_BLOCK_LEN: usize = 8192;

/// Makes the next samples, `[channel][sample]`.
pub type Render = Box<dyn FnMut([&mut [f32]; 2]) + Send>;
/// Takes samples in, interleaved: left, right.
pub type Take = Box<dyn FnMut(&[f32]) + Send>;

/// A device that plays until it is dropped.
pub enum Output {
    /// A sound card.
    Card(Stream),
    /// A thread that keeps time.
    Null(NullDevice),
}

/// Plays into nothing, in real time.
pub struct NullDevice {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for NullDevice {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The system's own sound, then JACK where it runs (and its library is there: it is looked for at run time).
fn hosts() -> impl Iterator<Item = cpal::Host> {
    let default = cpal::default_host();
    let id = default.id();
    let others = cpal::available_hosts().into_iter().filter(move |other| *other != id);
    std::iter::once(default).chain(others.filter_map(|id| cpal::host_from_id(id).ok()))
}

fn output(name: Option<&str>) -> Option<Device> {
    match name {
        Some(name) => hosts().find_map(|host| host.output_devices().ok()?.find(|device| is_called(device, name))),
        None => cpal::default_host().default_output_device(),
    }
}

/// Names of all devices for output, the default one first.
pub fn output_names() -> Vec<String> {
    let default = cpal::default_host().default_output_device().into_iter();
    let all = hosts().flat_map(|host| {
        host.output_devices().into_iter().flatten().filter(Device::supports_output).collect::<Vec<_>>()
    });
    let mut names: Vec<String> = Vec::new();
    for name in default.chain(all).map(|device| name_of(&device)).chain([NULL_DEVICE.to_owned()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Opens a device for output: the default one, or that of a name, and begins to play. A device that does not know the rate
/// gets what it knows, resampled.
///
/// # Errors
/// There is no such device, or it cannot be opened.
pub fn play(name: Option<&str>, sample_rate_hz: u32, render: Render) -> Result<Output> {
    if name == Some(NULL_DEVICE) {
        return play_null(sample_rate_hz, render);
    }
    let device = output(name).ok_or_else(|| no_device(name, "plays"))?;
    let supported = device.supported_output_configs();
    let configs: Vec<_> = supported.map_err(|error| cannot(&device, "be asked what it plays", &error))?.collect();
    let (format, render) = match best_format(&device, &configs, sample_rate_hz, "plays") {
        Ok(format) => (format, render),
        Err(error) => {
            let known = nearest_rate_hz(&configs, sample_rate_hz).ok_or(error)?;
            let format = best_format(&device, &configs, known, "plays")?;
            (format, resampled(render, sample_rate_hz, known)?)
        }
    };
    let stream = match format.sample_format {
        SampleFormat::F32 => output_stream::<f32>(&device, format.config, render),
        SampleFormat::I32 => output_stream::<i32>(&device, format.config, render),
        _ => output_stream::<i16>(&device, format.config, render),
    }?;
    stream.play().map_err(|error| cannot(&device, "be started", &error))?;
    Ok(Output::Card(stream))
}

/// Opens a device for input, and begins to record.
///
/// # Errors
/// There is no such device, or it does not record at that rate.
pub fn record(name: Option<&str>, sample_rate_hz: u32, mut take: Take) -> Result<Stream> {
    let device = match name {
        Some(name) => hosts().find_map(|host| host.input_devices().ok()?.find(|device| is_called(device, name))),
        None => cpal::default_host().default_input_device(),
    };
    let device = device.ok_or_else(|| no_device(name, "records"))?;
    let supported = device.supported_input_configs();
    let configs: Vec<_> = supported.map_err(|error| cannot(&device, "be asked what it records", &error))?.collect();
    let format = best_format(&device, &configs, sample_rate_hz, "records")?;
    let num_channels = usize::from(format.config.channels);
    let mut stereo = vec![0.0; 2 * MAX_BLOCK_LEN];
    let mut take_any = move |len: usize, at: &dyn Fn(usize) -> f32| {
        for start in (0..len).step_by(MAX_BLOCK_LEN) {
            let num = MAX_BLOCK_LEN.min(len - start);
            for idx in 0..num {
                let first = (start + idx) * num_channels;
                // A mono input is heard on both sides.
                stereo[2 * idx] = at(first);
                stereo[2 * idx + 1] = at(first + 1.min(num_channels - 1));
            }
            take(&stereo[..2 * num]);
        }
    };
    let failed = |error: cpal::Error| eprintln!("the sound card: {error}");
    let config = format.config;
    let stream = match format.sample_format {
        SampleFormat::F32 => device.build_input_stream(
            config,
            move |data: &[f32], _: &_| take_any(data.len() / num_channels, &|idx| data[idx]),
            failed,
            None,
        ),
        SampleFormat::I32 => device.build_input_stream(
            config,
            move |data: &[i32], _: &_| take_any(data.len() / num_channels, &|idx| data[idx].to_sample()),
            failed,
            None,
        ),
        _ => device.build_input_stream(
            config,
            move |data: &[i16], _: &_| take_any(data.len() / num_channels, &|idx| data[idx].to_sample()),
            failed,
            None,
        ),
    };
    let stream = stream.map_err(|error| cannot(&device, "be opened", &error))?;
    stream.play().map_err(|error| cannot(&device, "be started", &error))?;
    Ok(stream)
}

/// The rate that a device prefers.
pub fn preferred_rate_hz(name: Option<&str>) -> Option<u32> {
    let device = output(name)?;
    Some(device.default_output_config().ok()?.sample_rate())
}

/// The lowest rate that a device knows and that takes nothing away, or else the highest; usual ones first.
fn nearest_rate_hz(configs: &[cpal::SupportedStreamConfigRange], sample_rate_hz: u32) -> Option<u32> {
    let usual = [48_000, 44_100, 96_000, 88_200, 192_000].into_iter();
    let known = usual.filter(|&rate| configs.iter().any(|config| config.contains_rate(rate)));
    let limits = configs.iter().map(cpal::SupportedStreamConfigRange::max_sample_rate);
    let mut rates: Vec<u32> = known.collect();
    if rates.is_empty() {
        rates.extend(limits);
    }
    let above = rates.iter().copied().filter(|&rate| rate >= sample_rate_hz).min();
    above.or_else(|| rates.into_iter().max())
}

struct Format {
    config: StreamConfig,
    sample_format: SampleFormat,
}

/// Stereo before more channels, and those before mono; floating point before integers.
fn best_format(
    device: &Device,
    configs: &[cpal::SupportedStreamConfigRange],
    sample_rate_hz: u32,
    verb: &str,
) -> Result<Format> {
    let is_known = |format| matches!(format, SampleFormat::F32 | SampleFormat::I32 | SampleFormat::I16);
    let rank = |config: &&cpal::SupportedStreamConfigRange| {
        let channels = match config.channels() {
            2 => 0,
            1 => 1000,
            more => more,
        };
        let format = match config.sample_format() {
            SampleFormat::F32 => 0,
            SampleFormat::I32 => 1,
            _ => 2,
        };
        (channels, format)
    };
    let fits = |config: &&cpal::SupportedStreamConfigRange| {
        is_known(config.sample_format()) && config.contains_rate(sample_rate_hz) && config.channels() > 0
    };
    let Some(best) = configs.iter().filter(fits).min_by_key(rank) else {
        let mut rates: Vec<u32> =
            configs.iter().flat_map(|config| [config.min_sample_rate(), config.max_sample_rate()]).collect();
        rates.sort_unstable();
        rates.dedup();
        let rates: Vec<String> = rates.iter().map(u32::to_string).collect();
        bail!(
            "the sound card '{}' {verb} nothing at {sample_rate_hz} Hz (it knows {} Hz); choose another one with --device",
            name_of(device),
            rates.join(", ")
        );
    };
    let config =
        StreamConfig { channels: best.channels(), sample_rate: sample_rate_hz, buffer_size: BufferSize::Default };
    Ok(Format { config, sample_format: best.sample_format() })
}

fn output_stream<T: SizedSample + FromSample<f32> + Send + 'static>(
    device: &Device,
    config: StreamConfig,
    mut render: Render,
) -> Result<Stream> {
    let num_channels = usize::from(config.channels);
    let (mut left, mut right) = (vec![0.0; MAX_BLOCK_LEN], vec![0.0; MAX_BLOCK_LEN]);
    let fill = move |data: &mut [T], _: &_| {
        for part in data.chunks_mut(MAX_BLOCK_LEN * num_channels) {
            let len = part.len() / num_channels;
            render([&mut left[..len], &mut right[..len]]);
            for (idx, frame) in part.chunks_exact_mut(num_channels).enumerate() {
                match frame {
                    [mono] => *mono = T::from_sample(0.5 * (left[idx] + right[idx])),
                    [first, second, rest @ ..] => {
                        (*first, *second) = (T::from_sample(left[idx]), T::from_sample(right[idx]));
                        rest.fill(T::EQUILIBRIUM);
                    }
                    [] => {}
                }
            }
        }
    };
    let failed = |error: cpal::Error| eprintln!("the sound card: {error}");
    device.build_output_stream(config, fill, failed, None).map_err(|error| cannot(device, "be opened", &error))
}

fn play_null(sample_rate_hz: u32, mut render: Render) -> Result<Output> {
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = stop.clone();
    let thread = thread::Builder::new().name("unbraid-null".into()).spawn(move || {
        let (mut left, mut right) = ([0.0; NULL_BLOCK_LEN], [0.0; NULL_BLOCK_LEN]);
        let (start, mut num_blocks) = (Instant::now(), 0_u64);
        while !is_over.load(Ordering::Acquire) {
            render([&mut left, &mut right]);
            num_blocks += 1;
            let due = num_blocks as f64 * NULL_BLOCK_LEN as f64 / f64::from(sample_rate_hz);
            thread::sleep(Duration::from_secs_f64(due).saturating_sub(start.elapsed()));
        }
    });
    let thread = thread.context("no thread for the null device")?;
    Ok(Output::Null(NullDevice { stop, thread: Some(thread) }))
}

fn name_of(device: &Device) -> String {
    device.description().map_or_else(|_| "?".to_owned(), |description| description.name().to_owned())
}

fn is_called(device: &Device, name: &str) -> bool {
    name_of(device) == name || device.id().is_ok_and(|id| id.id() == name)
}

fn no_device(name: Option<&str>, verb: &str) -> anyhow::Error {
    match name {
        Some(name) => anyhow!("there is no sound card '{name}' that {verb}; known: {}", output_names().join(", ")),
        None => anyhow!("there is no sound card that {verb}; --device {NULL_DEVICE} goes without"),
    }
}

fn cannot(device: &Device, what: &str, error: &cpal::Error) -> anyhow::Error {
    anyhow!(
        "the sound card '{}' cannot {what}: {error}; choose another one with --device ('{NULL_DEVICE}': none)",
        name_of(device)
    )
}
