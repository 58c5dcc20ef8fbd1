//! An X server without a screen (Xvfb) for tests that open the editor, and windows for it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConfigureWindowAux, ConnectionExt, CreateWindowAux, ImageFormat,
    MOTION_NOTIFY_EVENT, Window, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// A running Xvfb; ends when it is dropped.
pub struct Server {
    process: Child,
    /// What `DISPLAY` has to be for programs that shall use it.
    pub display: String,
}

impl Server {
    /// Starts one on a free display; None if there is no Xvfb here.
    ///
    /// # Panics
    /// When it does not say which display it took.
    pub fn start() -> Option<Server> {
        let mut process = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut number = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut number).expect("Xvfb says which display it took");
        assert!(number.ends_with('\n'), "Xvfb has not started: {:?}", process.wait());
        Some(Server { process, display: format!(":{}", number.trim()) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection to the X server of `DISPLAY`.
pub struct Screen {
    connection: RustConnection,
    root: Window,
}

impl Screen {
    /// Connects.
    ///
    /// # Panics
    /// When there is no server.
    pub fn connect() -> Screen {
        let (connection, screen_idx) = x11rb::connect(None).expect("an X server runs");
        let root = connection.setup().roots[screen_idx].root;
        Screen { connection, root }
    }

    /// A window of the host's, which is not shown yet.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn new_window(&self, width: u32, height: u32) -> Window {
        let window = self.connection.generate_id().expect("the server has ids left");
        // A colour that the editor has nowhere.
        let look = CreateWindowAux::new().background_pixel(MAGENTA);
        let (width, height) = (width as u16, height as u16);
        let class = WindowClass::INPUT_OUTPUT;
        let request = self.connection.create_window(
            COPY_DEPTH_FROM_PARENT,
            window,
            self.root,
            0,
            0,
            width,
            height,
            0,
            class,
            0,
            &look,
        );
        request.expect("connected").check().expect("the server makes the window");
        window
    }

    /// Shows a window.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn map(&self, window: Window) {
        self.connection.map_window(window).expect("connected").check().expect("the server shows the window");
    }

    /// Gives a window another size.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn resize(&self, window: Window, width: u32, height: u32) {
        let size = ConfigureWindowAux::new().width(width).height(height);
        self.connection.configure_window(window, &size).expect("connected").check().expect("the server resizes it");
    }

    /// Removes a window.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn destroy(&self, window: Window) {
        self.connection.destroy_window(window).expect("connected").check().expect("the server removes it");
    }

    /// The pixels of a window that is shown, `[row][column]` in one, each 0xRRGGBB.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn pixels(&self, window: Window) -> Vec<u32> {
        let size = self.connection.get_geometry(window).expect("connected").reply().expect("the window has a size");
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, window, 0, 0, size.width, size.height, !0)
            .expect("connected")
            .reply()
            .expect("the window has pixels");
        image.data.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes) & 0xFF_FFFF).collect()
    }

    /// Clicks at a place of the screen, like a user with a mouse.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn click(&self, x: i16, y: i16) {
        const LEFT: u8 = 1;
        let events = [(MOTION_NOTIFY_EVENT, 0), (BUTTON_PRESS_EVENT, LEFT), (BUTTON_RELEASE_EVENT, LEFT)];
        for (event, detail) in events {
            let request = self.connection.xtest_fake_input(event, detail, 0, self.root, x, y, 0);
            request.expect("connected").check().expect("the server has the extension XTEST");
            // A frame at least, so that each is seen by itself.
            std::thread::sleep(Duration::from_millis(60));
        }
    }

    /// Waits until the editor has drawn something in this window; None if it has not after `patience`.
    pub fn wait_for_picture(&self, window: Window, patience: Duration) -> Option<Duration> {
        let start = Instant::now();
        while start.elapsed() < patience {
            let mut colours = self.pixels(window);
            colours.sort_unstable();
            colours.dedup();
            // Text alone has dozens of shades.
            if colours.len() > 20 {
                return Some(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

const MAGENTA: u32 = 0xFF_00FF;
