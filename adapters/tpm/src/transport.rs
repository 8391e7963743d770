//! How commands get to the TPM: through the kernel's resource manager, or to a simulator.

use landfall_element::{ElementError, Trouble};
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::TcpStream,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// The largest answer, which TPMs do not exceed (TPM_PT_MAX_RESPONSE_SIZE).
const LARGEST: usize = 8192;
const HEADER: usize = 10;
/// Making an RSA key takes small TPMs a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where the TPM is, in the words of tpm2-tools (TCTI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcti {
    /// `device:/dev/tpmrm0`: a device file, best that of the kernel's resource manager.
    Device(PathBuf),
    /// `swtpm:host=127.0.0.1,port=2321`: the simulator swtpm.
    Swtpm {
        /// Its host.
        host: String,
        /// Its port for commands.
        port: u16,
    },
}

impl Default for Tcti {
    fn default() -> Self {
        Self::Device("/dev/tpmrm0".into())
    }
}

/// The text does not say where a TPM is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} says of no TPM where it is; write device:/dev/tpmrm0 or swtpm:host=HOST,port=PORT")]
pub struct InvalidTcti(pub String);

impl FromStr for Tcti {
    type Err = InvalidTcti;
    fn from_str(text: &str) -> Result<Self, InvalidTcti> {
        let invalid = || InvalidTcti(text.chars().take(80).collect());
        match text.split_once(':').unwrap_or((text, "")) {
            ("", "") => Ok(Self::default()),
            ("device", "") => Ok(Self::default()),
            ("device", path) => Ok(Self::Device(path.into())),
            ("swtpm", options) => {
                let (mut host, mut port) = ("127.0.0.1", 2321);
                for option in options.split(',').filter(|option| !option.is_empty()) {
                    match option.split_once('=').ok_or_else(invalid)? {
                        ("host", value) => host = value,
                        ("port", value) => port = value.parse().map_err(|_| invalid())?,
                        _ => return Err(invalid()),
                    }
                }
                Ok(Self::Swtpm { host: host.to_owned(), port })
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

/// An open way to the TPM. It is kept for one operation only: simulators serve one at a time, and the kernel removes
/// whatever was left loaded when it is closed.
pub(crate) struct Connection {
    tcti: Tcti,
    stream: Stream,
}

enum Stream {
    Device(File),
    Socket(TcpStream),
}

impl Connection {
    pub(crate) fn open(tcti: &Tcti) -> Result<Self, ElementError> {
        let stream = match tcti {
            Tcti::Device(path) => OpenOptions::new().read(true).write(true).open(path).map(Stream::Device),
            Tcti::Swtpm { host, port } => TcpStream::connect((host.as_str(), *port)).and_then(|socket| {
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_nodelay(true)?;
                Ok(Stream::Socket(socket))
            }),
        };
        Ok(Self { stream: stream.map_err(|error| gone(tcti, &error))?, tcti: tcti.clone() })
    }

    /// Sends a whole command and returns the whole answer.
    pub(crate) fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, ElementError> {
        let answer = match &mut self.stream {
            Stream::Device(file) => exchange_whole(file, command),
            Stream::Socket(socket) => exchange_stream(socket, command),
        };
        answer.map_err(|error| gone(&self.tcti, &error))
    }
}

/// A device file gives an answer by one read.
fn exchange_whole(file: &mut File, command: &[u8]) -> io::Result<Vec<u8>> {
    file.write_all(command)?;
    let mut answer = vec![0; LARGEST];
    let length = file.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

fn exchange_stream(stream: &mut (impl Read + Write), command: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(command)?;
    let mut answer = vec![0; HEADER];
    stream.read_exact(&mut answer)?;
    let size = answer.get(2..6).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
    let size = usize::try_from(size).ok().filter(|size| (HEADER..=LARGEST).contains(size));
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it answers with an impossible size"))?;
    answer.resize(size, 0);
    stream.read_exact(answer.get_mut(HEADER..).unwrap_or_default())?;
    Ok(answer)
}

fn gone(tcti: &Tcti, error: &io::Error) -> ElementError {
    ElementError::hardware(Trouble::Gone, format!("TPM at {tcti}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_tpm2_tools_write_it() {
        assert_eq!("".parse::<Tcti>().unwrap(), Tcti::default());
        for text in ["device:/dev/tpm0", "swtpm:host=::1,port=2323"] {
            assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
        }
        assert_eq!("swtpm:".parse::<Tcti>().unwrap().to_string(), "swtpm:host=127.0.0.1,port=2321");
        for wrong in ["tabrmd:", "swtpm:port=x", "swtpm:colour=red", "swtpm:host"] {
            assert!(wrong.parse::<Tcti>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_impossible_size_is_refused() {
        struct Answers(io::Cursor<Vec<u8>>);
        impl Read for Answers {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                self.0.read(out)
            }
        }
        impl Write for Answers {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for size in [0u32, 9, 8193, u32::MAX] {
            let answer = [&[0x80, 1][..], &size.to_be_bytes(), &[0; 4]].concat();
            assert!(exchange_stream(&mut Answers(io::Cursor::new(answer)), b"command").is_err(), "{size}");
        }
    }
}
