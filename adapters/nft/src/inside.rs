//! What is done in the network namespace of a [`Kernel`]: a socket that is opened there stays there.

use crate::{Interface, Kernel, KernelError};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::{fs::File, io, net::IpAddr, os::fd::AsFd, path::Path, thread};

impl Kernel {
    /// Does something there.
    ///
    /// # Errors
    /// If it fails, or there is no such namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let Some(namespace) = &self.namespace else { return work() };
        let namespace = File::open(Path::new("/run/netns").join(namespace))?;
        // A thread of its own, since it does not come back.
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            there.join().unwrap_or_else(|_| Err(io::Error::other("it came to no end")))
        })
    }

    /// The addresses of the interfaces that have that address on a link of this machine.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn neighbours(&self, address: IpAddr) -> Result<Vec<[u8; 6]>, KernelError> {
        let said = self.run("ip", &["-json", "neighbour", "show", "to", &address.to_string()], Vec::new()).await?;
        Ok(read(&said)?.iter().filter_map(link_address).collect())
    }

    /// Every address that an interface on a link of this machine has, as far as the kernel has asked, and that interface's own.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn neighbourhood(&self) -> Result<Vec<(IpAddr, [u8; 6])>, KernelError> {
        let said = read(&self.run("ip", &["-json", "neighbour", "show"], Vec::new()).await?)?;
        let address = |one: &Value| one.get("dst").and_then(Value::as_str)?.parse().ok();
        Ok(said.iter().filter_map(|one| Some((address(one)?, link_address(one)?))).collect())
    }

    /// Every interface by its number.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn numbers(&self) -> Result<Vec<(u32, Interface)>, KernelError> {
        let said = read(&self.run("ip", &["-json", "link", "show"], Vec::new()).await?)?;
        let number = |link: &Value| link.get("ifindex").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let name = |link: &Value| link.get("ifname").and_then(Value::as_str).and_then(|name| name.parse().ok());
        Ok(said.iter().filter_map(|link| Some((number(link)?, name(link)?))).collect())
    }
}

fn read(said: &[u8]) -> Result<Vec<Value>, KernelError> {
    // With nothing to list, nothing is said.
    let said = if said.is_empty() { b"[]" } else { said };
    serde_json::from_slice(said).map_err(|why| KernelError::Unable { program: "ip", why: why.to_string() })
}

fn link_address(neighbour: &Value) -> Option<[u8; 6]> {
    let text = neighbour.get("lladdr").and_then(Value::as_str)?;
    let mut octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16));
    let mut address = [0; 6];
    address.iter_mut().try_for_each(|octet| octets.next()?.ok().map(|read| *octet = read))?;
    Some(address)
}
