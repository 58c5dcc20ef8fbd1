//! A small CLAP host in this process, on clack-host: loads a plugin, activates it, streams audio and automation through
//! it, and listens to what it asks of its host.

mod handlers;
mod processor;

use clack_extensions::{
    audio_ports::{AudioPortInfoBuffer, PluginAudioPorts},
    audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig},
    gui::{GuiApiType, GuiConfiguration, GuiSize, PluginGui, Window},
    latency::PluginLatency,
    params::{ParamInfoBuffer, PluginParams},
    remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer},
    render::{PluginRender, RenderMode},
    state::PluginState,
    tail::PluginTail,
};
use clack_host::prelude::*;
use handlers::{Handlers, Requests};
use std::ffi::CString;
use std::io::{Read, Write};
use std::path::Path;

pub use clack_extensions::log::LogSeverity;
pub use processor::{Automation, Outputs, Processor};

/// CLAP id of the plugin with one stereo output.
pub const UNBRAID: &str = "org.unbraid.unbraid";
/// CLAP id of the plugin with the mix and four stems.
pub const UNBRAID_MULTI_OUT: &str = "org.unbraid.unbraid-multi-out";

/// One parameter, as the host sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// What automation refers to.
    pub id: ClapId,
    /// As shown to the user.
    pub name: String,
    /// Path of the group that it is shown in.
    pub module: String,
    /// Lowest, default and highest value.
    pub range: [f64; 3],
}

/// A loaded `.clap` file.
pub struct Library {
    entry: PluginEntry,
}

impl Library {
    /// Opens the file at `path`.
    ///
    /// # Panics
    /// When it cannot be opened as a CLAP plugin.
    pub fn load(path: &Path) -> Library {
        // SAFETY: the file is the plugin built from this workspace; its code is as safe to run as this program.
        let entry = unsafe { PluginEntry::load(path.as_os_str()) };
        Library { entry: entry.unwrap_or_else(|error| panic!("could not load {}: {error}", path.display())) }
    }

    /// Id, name and features of each plugin in it.
    pub fn descriptors(&self) -> Vec<(String, String, Vec<String>)> {
        let factory = self.entry.get_plugin_factory().expect("the library has a plugin factory");
        let text =
            |text: Option<&std::ffi::CStr>| text.map_or(String::new(), |text| text.to_string_lossy().into_owned());
        let described = factory.plugin_descriptors().map(|descriptor| {
            let features = descriptor.features().map(|feature| feature.to_string_lossy().into_owned()).collect();
            (text(descriptor.id()), text(descriptor.name()), features)
        });
        described.collect()
    }

    /// Whether the library makes a plugin of this id.
    pub fn makes(&self, id: &str) -> bool {
        let info = HostInfo::new("Unbraid test host", "The Unbraid developers", "", "1").expect("a valid host info");
        let id = CString::new(id).expect("an id without NUL");
        PluginInstance::<Handlers>::new(|()| Requests::default(), |shared| shared, &self.entry, &id, &info).is_ok()
    }

    /// The ids of the plugins in it.
    pub fn plugin_ids(&self) -> Vec<String> {
        let factory = self.entry.get_plugin_factory().expect("the library has a plugin factory");
        let ids = factory.plugin_descriptors().filter_map(|descriptor| descriptor.id());
        ids.map(|id| id.to_string_lossy().into_owned()).collect()
    }
}

/// An instance of a plugin: the main thread's side.
pub struct Plugin {
    instance: PluginInstance<Handlers>,
    /// Number of channels of each port, inputs and outputs.
    ports: [Vec<usize>; 2],
    params: Vec<Param>,
}

impl Plugin {
    /// Makes an instance of the plugin called `id`.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(library: &Library, id: &str) -> Plugin {
        let info = HostInfo::new("Unbraid test host", "The Unbraid developers", "", "1").expect("a valid host info");
        let id = CString::new(id).expect("an id without NUL");
        let mut instance =
            PluginInstance::<Handlers>::new(|()| Requests::default(), |shared| shared, &library.entry, &id, &info)
                .unwrap_or_else(|error| panic!("could not make an instance of {id:?}: {error}"));
        let ports = [true, false].map(|is_input| ports(&mut instance, is_input));
        let params = params(&mut instance);
        Plugin { instance, ports, params }
    }

    /// Number of channels of each input port and each output port.
    pub fn ports(&self) -> [&[usize]; 2] {
        [&self.ports[0], &self.ports[1]]
    }

    /// Chooses the layout of ports called `name`; the plugin must not be active.
    ///
    /// # Panics
    /// When there is none, or the plugin refuses.
    pub fn select_ports(&mut self, name: &str) {
        let handle = self.instance.plugin_handle();
        let extension: PluginAudioPortsConfig = handle.get_extension().expect("the plugin has layouts of ports");
        let mut buffer = AudioPortsConfigBuffer::new();
        let id = (0..extension.count(&handle)).find_map(|index| {
            let config = extension.get(&handle, index, &mut buffer).expect("the plugin describes its layouts");
            (config.name == name.as_bytes()).then_some(config.id)
        });
        let id = id.unwrap_or_else(|| panic!("no layout is called {name}"));
        extension.select(&handle, id).expect("the plugin takes its own layout");
        self.ports = [true, false].map(|is_input| ports(&mut self.instance, is_input));
    }

    /// How often the plugin has said that its state has changed without a parameter.
    pub fn num_dirty(&self) -> usize {
        self.instance.access_shared_handler(Requests::num_dirty)
    }

    /// Opens the editor in a window of the X server, as hosts do it.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn open_editor(&mut self, window: u32) {
        let handle = self.instance.plugin_handle();
        let gui: PluginGui = handle.get_extension().expect("the plugin has an editor");
        let configuration = GuiConfiguration { api_type: GuiApiType::X11, is_floating: false };
        assert!(gui.is_api_supported(&handle, configuration), "the editor goes into windows of X11");
        gui.create(&handle, configuration).expect("the plugin makes an editor");
        // SAFETY: the window outlives the editor: tests close it first.
        unsafe { gui.set_parent(&handle, Window::from_x11_handle(window.into())) }.expect("it takes the window");
        let _ = gui.show(&handle);
    }

    /// Size of the open editor, in pixels.
    pub fn editor_size(&mut self) -> (u32, u32) {
        let handle = self.instance.plugin_handle();
        let gui: PluginGui = handle.get_extension().expect("the plugin has an editor");
        let GuiSize { width, height } = gui.get_size(&handle).expect("an open editor has a size");
        (width, height)
    }

    /// Gives the editor another size, as when the user drags the host's window; false if it refuses.
    pub fn resize_editor(&mut self, width: u32, height: u32) -> bool {
        let handle = self.instance.plugin_handle();
        let gui: PluginGui = handle.get_extension().expect("the plugin has an editor");
        gui.set_size(&handle, GuiSize { width, height }).is_ok()
    }

    /// Closes the editor.
    pub fn close_editor(&mut self) {
        let handle = self.instance.plugin_handle();
        let gui: PluginGui = handle.get_extension().expect("the plugin has an editor");
        gui.destroy(&handle);
    }

    /// What the plugin has written into this host's log, with its severity.
    pub fn messages(&self) -> Vec<(LogSeverity, String)> {
        self.instance.access_shared_handler(Requests::messages)
    }

    /// All parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The parameter called `name` (upper and lower case are the same).
    ///
    /// # Panics
    /// When there is none.
    pub fn param(&self, name: &str) -> Param {
        let found = self.params.iter().find(|param| param.name.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no parameter is called {name}: {:?}", self.params)).clone()
    }

    /// The value that the plugin reads from what a user would type, such as "-6 dB".
    ///
    /// # Panics
    /// When the plugin does not understand it.
    pub fn value_of(&mut self, name: &str, text: &str) -> f64 {
        let id = self.param(name).id;
        let handle = self.instance.plugin_handle();
        let extension: PluginParams = handle.get_extension().expect("the plugin has parameters");
        let text = CString::new(text).expect("a text without NUL");
        extension.text_to_value(&handle, id, &text).unwrap_or_else(|| panic!("{name} does not understand {text:?}"))
    }

    /// Writes what the plugin shows for a value of `param` into `text`; returns its length in bytes.
    pub fn text_into(&mut self, param: ClapId, value: f64, text: &mut [u8]) -> usize {
        let handle = self.instance.plugin_handle();
        let extension: PluginParams = handle.get_extension().expect("the plugin has parameters");
        extension.value_to_text(&handle, param, value, text).map_or(0, |text| text.len())
    }

    /// The value of a parameter now.
    pub fn value(&mut self, name: &str) -> f64 {
        let id = self.param(name).id;
        let handle = self.instance.plugin_handle();
        let extension: PluginParams = handle.get_extension().expect("the plugin has parameters");
        extension.get_value(&handle, id).expect("the parameter has a value")
    }

    /// The pages of remote controls: their names, and the names of the parameters on them.
    pub fn remote_pages(&mut self) -> Vec<(String, Vec<String>)> {
        let params = self.params.clone();
        let handle = self.instance.plugin_handle();
        let extension: PluginRemoteControls = handle.get_extension().expect("the plugin has remote controls");
        let mut buffer = RemoteControlsPageBuffer::new();
        let mut page = |index| {
            let page = extension.get(&handle, index, &mut buffer).expect("the plugin describes its pages");
            let name = |id| params.iter().find(|param| param.id == id).expect("a parameter of the plugin").name.clone();
            let names = page.param_ids.into_iter().flatten().map(name).collect();
            (String::from_utf8_lossy(page.page_name).into_owned(), names)
        };
        (0..extension.count(&handle)).map(&mut page).collect()
    }

    /// Tells the plugin whether it is rendered offline (and may wait) or plays in real time.
    pub fn set_offline(&mut self, is_offline: bool) {
        let handle = self.instance.plugin_handle();
        let extension: PluginRender = handle.get_extension().expect("the plugin has render modes");
        let mode = if is_offline { RenderMode::Offline } else { RenderMode::Realtime };
        extension.set(&handle, mode).expect("the plugin takes the render mode");
    }

    /// What the plugin reports as its latency, in samples.
    pub fn latency(&mut self) -> usize {
        let handle = self.instance.plugin_handle();
        let extension: PluginLatency = handle.get_extension().expect("the plugin has a latency");
        extension.get(&handle) as usize
    }

    /// The plugin's state, as a host would put it into its project file.
    pub fn save_state(&mut self) -> Vec<u8> {
        let mut state = Vec::new();
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().expect("the plugin has state");
        extension.save(&handle, &mut state).expect("the plugin saves its state");
        state
    }

    /// As [`save_state`](Self::save_state), in a stream that takes only a few bytes at a time.
    pub fn save_state_in_pieces(&mut self, piece_len: usize) -> Vec<u8> {
        let mut state = Pieces { bytes: Vec::new(), piece_len };
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().expect("the plugin has state");
        extension.save(&handle, &mut state).expect("the plugin saves its state");
        state.bytes
    }

    /// As [`load_state`](Self::load_state), from a stream that gives only a few bytes at a time.
    pub fn load_state_in_pieces(&mut self, state: &[u8], piece_len: usize) -> bool {
        let mut state = Pieces { bytes: state.to_vec(), piece_len };
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().expect("the plugin has state");
        extension.load(&handle, &mut state).is_ok()
    }

    /// Gives the plugin a state; whether it took it.
    pub fn load_state(&mut self, mut state: &[u8]) -> bool {
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().expect("the plugin has state");
        extension.load(&handle, &mut state).is_ok()
    }

    /// Activates the plugin and starts processing, for blocks of at most `max_block_len` samples.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn activate(&mut self, sample_rate_hz: f64, max_block_len: usize) -> Processor {
        let configuration = PluginAudioConfiguration {
            sample_rate: sample_rate_hz,
            min_frames_count: 1,
            max_frames_count: max_block_len as u32,
        };
        let stopped = self.instance.activate(|_, _| (), configuration).expect("the plugin can be activated");
        let started = stopped.start_processing().expect("the plugin starts processing");
        let handle = self.instance.plugin_handle();
        let tail: PluginTail = handle.get_extension().expect("the plugin has a tail");
        Processor::new(started, tail, &self.ports, max_block_len)
    }

    /// Stops processing and deactivates.
    pub fn deactivate(&mut self, processor: Processor) {
        self.instance.deactivate(processor.stop());
    }

    /// Does what a host's main thread does now and then; says whether the plugin asked for a restart since last time.
    pub fn idle(&mut self) -> bool {
        let (wants_callback, wants_restart) = self.instance.access_shared_handler(Requests::take);
        if wants_callback {
            self.instance.call_on_main_thread_callback();
        }
        wants_restart
    }
}

/// A stream that takes and gives a few bytes at a time, as the CLAP headers allow.
struct Pieces {
    bytes: Vec<u8>,
    piece_len: usize,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = bytes.len().min(self.piece_len);
        self.bytes.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Pieces {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let len = bytes.len().min(self.piece_len).min(self.bytes.len());
        bytes[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes.drain(..len);
        Ok(len)
    }
}

fn ports(instance: &mut PluginInstance<Handlers>, is_input: bool) -> Vec<usize> {
    let handle = instance.plugin_handle();
    let extension: PluginAudioPorts = handle.get_extension().expect("the plugin has audio ports");
    let mut buffer = AudioPortInfoBuffer::new();
    let mut channels = |index| extension.get(&handle, index, is_input, &mut buffer).map(|port| port.channel_count);
    let port_idx = 0..extension.count(&handle, is_input);
    port_idx.map(|index| channels(index).expect("the plugin describes its ports") as usize).collect()
}

fn params(instance: &mut PluginInstance<Handlers>) -> Vec<Param> {
    let handle = instance.plugin_handle();
    let extension: PluginParams = handle.get_extension().expect("the plugin has parameters");
    let mut buffer = ParamInfoBuffer::new();
    let mut param = |index| {
        let info = extension.get_info(&handle, index, &mut buffer).expect("the plugin describes its parameters");
        let name = String::from_utf8_lossy(info.name).into_owned();
        let module = String::from_utf8_lossy(info.module).into_owned();
        Param { id: info.id, name, module, range: [info.min_value, info.default_value, info.max_value] }
    };
    (0..extension.count(&handle)).map(&mut param).collect()
}
