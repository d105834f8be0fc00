//! Unix sockets to listen on: the file, whose it is, and who may connect.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Error, ErrorKind, Result};

/// The file of a listening socket, which is removed when this is dropped, unless somebody else has
/// put another one in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number, by which it is known again.
    identity: (u64, u64),
}

impl SocketFile {
    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, if it is still ours.
    pub(crate) fn remove(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity) {
            // Whoever may not remove it could not have made it either.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Binds a socket to a path, for those whom the mode lets write to it; it does not listen yet.
///
/// A socket that somebody listens on is left alone, and one that nobody does is replaced. Two
/// servers that start at the same time take turns: the directory is locked meanwhile.
///
/// # Errors
/// `Bind`: the path is taken by a living socket or something else, or may not be written.
pub(crate) fn bind(path: &Path, mode: u32) -> Result<(OwnedFd, SocketFile)> {
    let failed = |error: io::Error| {
        let text = format!("cannot listen on {}", path.display());
        Error::new(ErrorKind::Bind, text).with_source(error)
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let turn = File::open(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    turn.lock().map_err(failed)?;
    make_room(path)?;
    let fd = socket().map_err(|error| failed(error.into()))?;
    let mode = Permissions::from_mode(mode);
    // What the file is made with; the process's mask may take more of it, and never adds any.
    rustix::fs::fchmod(&fd, Mode::from_bits_truncate(mode.mode()))
        .map_err(|error| failed(error.into()))?;
    let address = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
    rustix::net::bind(&fd, &address).map_err(|error| failed(error.into()))?;
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&found) };
    // Nobody can connect before it listens.
    fs::set_permissions(path, mode).map_err(failed)?;
    Ok((fd, file))
}

/// Removes a socket that nobody listens on.
fn make_room(path: &Path) -> Result<()> {
    let taken = |why: String| {
        Error::new(ErrorKind::Bind, format!("cannot listen on {}: {why}", path.display()))
    };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(taken("the path cannot be looked at".into()).with_source(error)),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(taken("there is something that is no socket".into()));
    }
    match knock(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|error| {
            taken("the socket of a server that has ended cannot be removed".into())
                .with_source(error)
        }),
        // Nothing was there after all.
        Err(Errno::NOENT) => Ok(()),
        // It listens, and has more to do than it can.
        Ok(()) | Err(Errno::AGAIN) => {
            Err(taken("another server listens there; stop it or take another path".into()))
        }
        Err(error) => {
            let why = "whether another server listens there cannot be found out";
            Err(taken(why.into()).with_source(io::Error::from(error)))
        }
    }
}

/// Connects, without waiting, to find out whether somebody listens.
fn knock(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(path)?)
}

fn socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A directory of this test's own, removed when dropped.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("landline-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_mode_is_set_and_the_file_goes_with_its_owner() {
        let directory = Directory::new("mode");
        for mode in [0o660, 0o600, 0o666] {
            let (_fd, file) = bind(&directory.socket(), mode).unwrap();
            let found = fs::metadata(file.path()).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode);
            drop(file);
            assert!(!directory.socket().exists());
        }
    }

    #[test]
    fn a_living_socket_is_left_alone_and_a_dead_one_replaced() {
        let directory = Directory::new("living");
        let living = UnixListener::bind(directory.socket()).unwrap();
        let error = bind(&directory.socket(), 0o660).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bind);
        assert!(error.to_string().contains("another server listens there"), "{error}");
        drop(living);
        assert!(directory.socket().exists(), "left behind");
        bind(&directory.socket(), 0o660).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = Directory::new("file");
        fs::write(directory.socket(), "precious").unwrap();
        let error = bind(&directory.socket(), 0o660).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        assert_eq!(fs::read_to_string(directory.socket()).unwrap(), "precious");
    }

    #[test]
    fn the_socket_of_a_successor_is_not_removed() {
        let directory = Directory::new("successor");
        let (_fd, file) = bind(&directory.socket(), 0o660).unwrap();
        fs::remove_file(directory.socket()).unwrap();
        let _successor = UnixListener::bind(directory.socket()).unwrap();
        drop(file);
        assert!(directory.socket().exists());
    }
}
