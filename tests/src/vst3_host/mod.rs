//! A small VST3 host in this process: loads the built bundle, sets a plugin up as often as a test wants (many hosts do it
//! once, frameworks such as JUCE twice), streams audio and automation through it, opens its editor.
#![allow(
    clippy::unnecessary_cast,
    reason = "the enums of the VST3 headers are signed on Windows and unsigned elsewhere"
)]

mod objects;
mod processor;

use objects::{Changes, Handler, Stream};
use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use vst3::Steinberg::Vst::{
    BusDirections_, IAudioProcessor, IAudioProcessorTrait, IComponent, IComponentHandler, IComponentTrait,
    IEditController, IEditControllerTrait, IParameterChanges, IUnitInfo, IUnitInfoTrait, MediaTypes_, ParamID,
    ParameterInfo, ProcessModes_, ProcessSetup, SpeakerArrangement, String128, SymbolicSampleSizes_, UnitID, UnitInfo,
};
use vst3::Steinberg::{
    IBStream, IPlugView, IPlugViewTrait, IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo, TUID,
    kResultOk,
};
use vst3::{ComPtr, ComWrapper, Interface};

pub use processor::{Automation, Outputs};

/// What the host says about time when it sets the plugin up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Blocks come at the pace of a sound card.
    Realtime,
    /// Blocks come ahead of time, in bursts.
    Prefetch,
    /// Blocks come as fast as the plugin takes them.
    Offline,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// What automation refers to.
    pub id: ParamID,
    /// As shown to the user.
    pub name: String,
    /// Name of the unit that it is shown in; empty for the root.
    pub unit: String,
    /// `ParameterInfo::ParameterFlags`.
    pub flags: i32,
}

/// A loaded bundle.
pub struct Library {
    factory: ComPtr<IPluginFactory>,
    /// Closed after the factory has gone.
    library: libloading::Library,
}

impl Library {
    /// Loads the bundle at `path`, a folder ending in `.vst3`.
    ///
    /// # Panics
    /// When it cannot be loaded.
    pub fn load(path: &Path) -> Library {
        let file = binary(path);
        // SAFETY: the file is the plugin built from this workspace; its code is as safe to run as this program.
        let library = unsafe { libloading::Library::new(&file) };
        let library = library.unwrap_or_else(|error| panic!("could not load {}: {error}", file.display()));
        #[cfg(all(unix, not(target_os = "macos")))]
        {
            type ModuleEntry = unsafe extern "C" fn(*mut c_void) -> bool;
            // SAFETY: the type that the VST3 SDK gives it.
            let entry = unsafe { library.get::<ModuleEntry>(b"ModuleEntry\0") }.expect("the library has an entry");
            // SAFETY: nice-plug does not use the handle.
            assert!(unsafe { entry(null_mut()) }, "the module refuses to be entered");
        }
        type GetPluginFactory = unsafe extern "system" fn() -> *mut c_void;
        // SAFETY: the type that the VST3 SDK gives it.
        let get_factory = unsafe { library.get::<GetPluginFactory>(b"GetPluginFactory\0") };
        let get_factory = get_factory.expect("the library makes plugins");
        // SAFETY: it returns a factory that the caller owns.
        let factory = unsafe { ComPtr::from_raw(get_factory().cast::<IPluginFactory>()) };
        Library { factory: factory.expect("the library has a factory"), library }
    }

    /// Leaves the module and closes the library, as a host does when the last instance is gone.
    ///
    /// # Panics
    /// When the operating system cannot close it.
    pub fn unload(self) {
        let Library { factory, library } = self;
        drop(factory);
        #[cfg(all(unix, not(target_os = "macos")))]
        {
            // SAFETY: the type that the VST3 SDK gives it; nothing of the plugin is left.
            let exit = unsafe { library.get::<unsafe extern "C" fn() -> bool>(b"ModuleExit\0") };
            // SAFETY: as above.
            assert!(unsafe { exit.expect("the library has an exit")() }, "the module refuses to be left");
        }
        library.close().expect("the library can be closed");
    }

    fn class_id(&self, name: &str) -> TUID {
        // SAFETY: the factory lives; the class info is plain data that it fills in.
        let infos = (0..unsafe { self.factory.countClasses() }).map(|index| unsafe {
            let mut info: PClassInfo = std::mem::zeroed();
            assert_eq!(self.factory.getClassInfo(index, &mut info), kResultOk);
            info
        });
        // SAFETY: names are C strings.
        let is_named = |info: &PClassInfo| unsafe { CStr::from_ptr(info.name.as_ptr()) }.to_str() == Ok(name);
        infos.into_iter().find(is_named).unwrap_or_else(|| panic!("no plugin is called {name}")).cid
    }
}

/// The file with the code inside of a bundle.
fn binary(bundle: &Path) -> PathBuf {
    let contents = bundle.join("Contents");
    let arch = std::env::consts::ARCH;
    match std::env::consts::OS {
        "macos" => contents.join("MacOS/Unbraid"),
        "windows" => contents.join(format!("{arch}-win/Unbraid.vst3")),
        os => contents.join(format!("{arch}-{os}/Unbraid.so")),
    }
}

/// An instance of a plugin.
pub struct Plugin {
    component: ComPtr<IComponent>,
    processor: ComPtr<IAudioProcessor>,
    controller: ComPtr<IEditController>,
    handler: ComWrapper<Handler>,
    /// None unless the editor is open.
    view: Option<ComPtr<IPlugView>>,
    params: Vec<Param>,
    changes: ComWrapper<Changes>,
    changes_pointer: ComPtr<IParameterChanges>,
    is_active: bool,
    mode: Mode,
    buffers: processor::Buffers,
}

// SAFETY: moved between threads only as a whole, and used by one thread at a time; the plugin's objects may be used from
// any thread, its `process()` from one at a time.
unsafe impl Send for Plugin {}

impl Plugin {
    /// Makes an instance of the plugin called `name`.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(library: &Library, name: &str) -> Plugin {
        let class_id = library.class_id(name);
        let mut object = null_mut();
        let interface: *const c_char = IComponent::IID.as_ptr().cast();
        // SAFETY: class id and interface id are 16 bytes each; the object is returned with a reference that we own.
        let component = unsafe {
            assert_eq!(library.factory.createInstance(class_id.as_ptr(), interface, &mut object), kResultOk);
            ComPtr::from_raw(object.cast::<IComponent>()).expect("an object")
        };
        // SAFETY: the first call that a component gets; hosts without services give no context.
        assert_eq!(unsafe { component.initialize(null_mut()) }, kResultOk);
        let processor = component.cast::<IAudioProcessor>().expect("an audio processor");
        let controller = component.cast::<IEditController>().expect("component and controller are one");
        let handler = ComWrapper::new(Handler::default());
        let pointer = handler.to_com_ptr::<IComponentHandler>().expect("the class has this interface");
        // SAFETY: the controller adds its own reference.
        assert_eq!(unsafe { controller.setComponentHandler(pointer.as_ptr()) }, kResultOk);
        let params = params(&controller);
        let changes = ComWrapper::new(Changes::new(params.iter().map(|param| param.id)));
        let changes_pointer = changes.to_com_ptr::<IParameterChanges>().expect("the class has this interface");
        let buffers = processor::Buffers::new(&component);
        let (is_active, mode) = (false, Mode::Realtime);
        Plugin {
            component,
            processor,
            controller,
            handler,
            view: None,
            params,
            changes,
            changes_pointer,
            is_active,
            mode,
            buffers,
        }
    }

    /// All parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The id of the parameter called `name`.
    ///
    /// # Panics
    /// When there is none.
    pub fn param(&self, name: &str) -> ParamID {
        let found = self.params.iter().find(|param| param.name.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no parameter is called {name}: {:?}", self.params)).id
    }

    /// The normalized value of a parameter, as the controller has it.
    pub fn value(&self, name: &str) -> f64 {
        // SAFETY: any id may be asked for.
        unsafe { self.controller.getParamNormalized(self.param(name)) }
    }

    /// Sets a parameter in the controller only; a host also sends it with the next block.
    pub fn set_value(&mut self, name: &str, normalized: f64) {
        // SAFETY: any value may be given.
        assert_eq!(unsafe { self.controller.setParamNormalized(self.param(name), normalized) }, kResultOk);
    }

    /// The normalized value of a text, or `None` where the plugin does not understand it.
    pub fn value_of(&self, name: &str, text: &str) -> Option<f64> {
        let mut text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut value = 0.0;
        // SAFETY: the text ends with a NUL.
        let result =
            unsafe { self.controller.getParamValueByString(self.param(name), text.as_mut_ptr().cast(), &mut value) };
        (result == kResultOk).then_some(value)
    }

    /// What the plugin shows for a normalized value of a parameter.
    pub fn text_of(&self, name: &str, normalized: f64) -> String {
        // SAFETY: the text is plain data that the controller fills in.
        unsafe {
            let mut shown: String128 = std::mem::zeroed();
            let result = self.controller.getParamStringByValue(self.param(name), normalized, &mut shown);
            assert_eq!(result, kResultOk, "{name} has a text for {normalized}");
            text(&shown)
        }
    }

    /// Tells the plugin mode, rate and largest block; it must not be active.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn setup(&mut self, mode: Mode, sample_rate_hz: f64, max_block_len: usize) {
        let process_mode = match mode {
            Mode::Realtime => ProcessModes_::kRealtime,
            Mode::Prefetch => ProcessModes_::kPrefetch,
            Mode::Offline => ProcessModes_::kOffline,
        };
        let mut setup = ProcessSetup {
            processMode: process_mode as i32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            maxSamplesPerBlock: max_block_len as i32,
            sampleRate: sample_rate_hz,
        };
        // SAFETY: plain data.
        assert_eq!(unsafe { self.processor.setupProcessing(&mut setup) }, kResultOk);
        self.mode = mode;
        self.buffers.resize(max_block_len);
    }

    /// Says in each block from now on that it is processed in this mode, without a new setup.
    pub fn set_block_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Activates and starts processing.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn activate(&mut self) {
        self.activate_only();
        // SAFETY: in the order that the VST3 workflow prescribes.
        assert_eq!(unsafe { self.processor.setProcessing(1) }, kResultOk);
    }

    /// Activates and does not say that processing starts, as some hosts do.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn activate_only(&mut self) {
        // SAFETY: in the order that the VST3 workflow prescribes.
        assert_eq!(unsafe { self.component.setActive(1) }, kResultOk);
        self.is_active = true;
    }

    /// Stops processing and deactivates.
    pub fn deactivate(&mut self) {
        if std::mem::take(&mut self.is_active) {
            // SAFETY: in the order that the VST3 workflow prescribes.
            unsafe {
                self.processor.setProcessing(0);
                self.component.setActive(0);
            }
        }
    }

    /// Stops and starts processing without deactivating: a seek.
    pub fn restart_processing(&mut self) {
        // SAFETY: any order is allowed while the component is active.
        unsafe {
            self.processor.setProcessing(0);
            assert_eq!(self.processor.setProcessing(1), kResultOk);
        }
    }

    /// What the plugin reports as its latency, in samples.
    pub fn latency(&self) -> usize {
        // SAFETY: may be asked for at any time.
        unsafe { self.processor.getLatencySamples() as usize }
    }

    /// For how many samples something may come out after the input has ended.
    pub fn tail(&self) -> usize {
        // SAFETY: may be asked for at any time.
        unsafe { self.processor.getTailSamples() as usize }
    }

    /// Number of channels of each input and output bus.
    pub fn buses(&self) -> [Vec<usize>; 2] {
        [BusDirections_::kInput, BusDirections_::kOutput].map(|direction| {
            // SAFETY: `info` is plain data that the component fills in.
            let count = unsafe { self.component.getBusCount(MediaTypes_::kAudio as i32, direction as i32) };
            let channels = |index| unsafe {
                let mut info = std::mem::zeroed();
                self.component.getBusInfo(MediaTypes_::kAudio as i32, direction as i32, index, &mut info);
                info.channelCount as usize
            };
            (0..count).map(channels).collect()
        })
    }

    /// Asks for these numbers of channels (1 or 2) of each bus; whether the plugin takes them.
    pub fn set_buses(&mut self, inputs: &[usize], outputs: &[usize]) -> bool {
        let arrangements = |channels: &[usize]| -> Vec<SpeakerArrangement> {
            // The center speaker, or left and right.
            channels.iter().map(|&count| if count == 1 { 1 << 19 } else { 0b11 }).collect()
        };
        let (mut inputs, mut outputs) = (arrangements(inputs), arrangements(outputs));
        let counts = (inputs.len() as i32, outputs.len() as i32);
        // SAFETY: the arrays are as long as is said.
        let result =
            unsafe { self.processor.setBusArrangements(inputs.as_mut_ptr(), counts.0, outputs.as_mut_ptr(), counts.1) };
        self.buffers = processor::Buffers::new(&self.component);
        result == kResultOk
    }

    /// The plugin's state, as a host would put it into its project file.
    ///
    /// # Panics
    /// When the plugin does not save it.
    pub fn save_state(&self) -> Vec<u8> {
        let stream = ComWrapper::new(Stream::default());
        let pointer = stream.to_com_ptr::<IBStream>().expect("the class has this interface");
        // SAFETY: the stream outlives the call.
        assert_eq!(unsafe { self.component.getState(pointer.as_ptr()) }, kResultOk);
        stream.bytes()
    }

    /// Gives the plugin a state; whether it took it.
    pub fn load_state(&mut self, state: &[u8]) -> bool {
        let load = |load: &dyn Fn(*mut IBStream) -> i32| {
            let pointer = ComWrapper::new(Stream::new(state)).to_com_ptr::<IBStream>().expect("the class has it");
            load(pointer.as_ptr())
        };
        // SAFETY: the stream outlives each call.
        let is_taken = load(&|stream| unsafe { self.component.setState(stream) }) == kResultOk;
        load(&|stream| unsafe { self.controller.setComponentState(stream) });
        is_taken
    }

    /// How often the plugin has said that its state has changed without a parameter.
    pub fn num_dirty(&self) -> usize {
        self.handler.num_dirty()
    }

    /// Opens the editor in a window of the X server.
    ///
    /// # Panics
    /// When the plugin refuses.
    pub fn open_editor(&mut self, window: u32) {
        // SAFETY: in the order that the VST3 workflow prescribes; the view is ours.
        let view = unsafe { ComPtr::from_raw(self.controller.createView(c"editor".as_ptr())) };
        let view = view.expect("the plugin has an editor");
        // SAFETY: the window outlives the view: tests close it first.
        let result = unsafe { view.attached(window as usize as *mut c_void, c"X11EmbedWindowID".as_ptr()) };
        assert_eq!(result, kResultOk, "it takes the window");
        self.view = Some(view);
    }

    /// Closes the editor.
    pub fn close_editor(&mut self) {
        if let Some(view) = self.view.take() {
            // SAFETY: it is attached.
            assert_eq!(unsafe { view.removed() }, kResultOk);
        }
    }

    /// The restart flags (`RestartFlags`) that the plugin asked for since the last call.
    pub fn take_restart_flags(&self) -> i32 {
        self.handler.take_restart_flags()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.close_editor();
        self.deactivate();
        // SAFETY: the last calls; the pointers give up their references afterwards.
        unsafe {
            self.controller.setComponentHandler(null::<IComponentHandler>().cast_mut());
            self.component.terminate();
        }
    }
}

fn params(controller: &ComPtr<IEditController>) -> Vec<Param> {
    let units = units(controller);
    // SAFETY: `info` is plain data that the controller fills in.
    let param = |index| unsafe {
        let mut info: ParameterInfo = std::mem::zeroed();
        assert_eq!(controller.getParameterInfo(index, &mut info), kResultOk);
        // The root is not always listed.
        let unit = units.iter().find(|(id, _)| *id == info.unitId);
        let unit = unit.map_or(String::new(), |(_, name)| name.clone());
        Param { id: info.id, name: text(&info.title), unit, flags: info.flags as i32 }
    };
    // SAFETY: may be asked for at any time.
    (0..unsafe { controller.getParameterCount() }).map(param).collect()
}

/// The ids and names of the units.
fn units(controller: &ComPtr<IEditController>) -> Vec<(UnitID, String)> {
    let unit_info = controller.cast::<IUnitInfo>().expect("the controller has units");
    // SAFETY: `info` is plain data that the controller fills in.
    let unit = |index| unsafe {
        let mut info: UnitInfo = std::mem::zeroed();
        assert_eq!(unit_info.getUnitInfo(index, &mut info), kResultOk);
        (info.id, text(&info.name))
    };
    // SAFETY: may be asked for at any time.
    (0..unsafe { unit_info.getUnitCount() }).map(unit).collect()
}

fn text(text: &String128) -> String {
    let text: Vec<u16> = text.iter().map(|&unit| unit as u16).take_while(|&unit| unit != 0).collect();
    String::from_utf16_lossy(&text)
}
