//! BRSKI over Wi-Fi in the machine (SP 1800-36B G.2.1): access points with a network for new devices and a join proxy behind it, and a
//! device that knows nothing yet. hostapd has the settings that `landfall network ap-config` writes; the program itself has to
//! be in the machine ([`super::Rig::boot_with`]).

use super::Machine;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{fs, net::SocketAddr, path::Path};

/// The radio of the device. Access points have others.
const DEVICE: u8 = 1;

/// A wpa_supplicant that knows nothing yet, where the device is. The machine's shell has an `ip` of its own, which knows less.
const STATION: &str = "set -e\n/usr/sbin/ip netns add device\niw phy phy1 set netns name device\n\
    printf 'ctrl_interface=/run/wpa\\nfreq_list=2437\\n' >/run/wpa.conf\n\
    /usr/sbin/ip netns exec device wpa_supplicant -B -t -f /run/wpa.log -Dnl80211 -iwlan1 -c /run/wpa.conf\n";

impl Machine {
    /// Puts the device into the air, without any network.
    ///
    /// # Errors
    /// If wpa_supplicant does not start.
    pub async fn turn_on(&self) -> Result<()> {
        self.sh(STATION).await.map(drop)
    }

    /// An access point of that radio with what `ap-config` wrote into `files` for the folder `there`, and a join proxy to
    /// `registrar` behind its network for new devices, in the place of those of that radio before.
    ///
    /// # Errors
    /// If one of them does not start.
    pub async fn welcome(&self, radio: u8, files: &Path, there: &str, registrar: SocketAddr) -> Result<()> {
        for entry in fs::read_dir(files)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("a file has a name")?;
            self.put(&format!("{there}/{name}"), &fs::read(&path)?).await?;
        }
        // Loopback outside.
        let registrar = format!("10.0.2.2:{}", registrar.port());
        let proxy = format!(
            "[metrics]\nlisten = \"\"\n[proxy]\nlisten = \"[::]:{}\"\nregistrar = \"{registrar}\"\nannounce = true\n\
             interfaces = [\"wlan{radio}_new\"]\n",
            8444 + u16::from(radio)
        );
        self.put(&format!("/run/proxy{radio}/landfall.toml"), proxy.as_bytes()).await?;
        let script = format!(
            "mkdir -p /var/run\ncd /run/proxy{radio}\n\
             for old in /run/hostapd{radio}.pid proxy.pid; do\n\
             [ ! -f $old ] || {{ pid=$(cat $old); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done; rm -f $old; }}\ndone\n\
             hostapd -B -t -P /run/hostapd{radio}.pid -f /run/hostapd{radio}.log {there}/hostapd.conf || {{ cat /run/hostapd{radio}.log; exit 1; }}\n\
             soon() {{ i=0; until \"$@\"; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done; }}\n\
             addressed() {{ /usr/sbin/ip -6 address show dev wlan{radio}_new scope link | grep inet6 | grep -qv tentative; }}\n\
             soon addressed\n\
             [ -d data ] || /opt/landfall network init >/dev/null || exit 1\n\
             /opt/landfall run proxy --json >out 2>log </dev/null & echo $! >proxy.pid\n\
             soon grep -q '}}' out || {{ cat log; exit 1; }}\n"
        );
        self.sh(&script).await.map(drop)
    }

    /// Hands the device a bundle of the factory, and by what it finds networks for new devices: lines of `[connect]`.
    ///
    /// # Errors
    /// If the machine does not take it.
    pub async fn unpack(&self, name: &str, bundle: &[u8], by: &str) -> Result<()> {
        let config = format!(
            "bundle = \"bundle.json\"\nstate = \"state\"\n[discovery]\ninterfaces = [\"wlan{DEVICE}\"]\n\
             [connect]\ncontrol = \"/run/wpa/wlan{DEVICE}\"\nmedium = \"wifi\"\nserver-name = \"localhost\"\n{by}"
        );
        self.put(&format!("/run/{name}/bundle.json"), bundle).await?;
        self.put(&format!("/run/{name}/device.toml"), config.as_bytes()).await
    }

    /// What the agent of the device with the bundle of that name answers to a command of `landfall device`.
    ///
    /// # Errors
    /// If it does not answer, with what it said instead.
    pub async fn agent(&self, name: &str, command: &str) -> Result<Value> {
        let script = format!(
            "cd /run/{name}\n/usr/sbin/ip netns exec device /opt/landfall device {command} --json --config device.toml 2>/run/said\n\
             [ $? -lt 2 ] || cat /run/said"
        );
        let said = self.sh(&script).await?;
        serde_json::from_str(&said).with_context(|| format!("{command}: {said}"))
    }

    /// Where the device is, in its wpa_supplicant's words, once the access point of the first radio answers it there.
    ///
    /// # Errors
    /// If that does not answer.
    pub async fn whereabouts(&self) -> Result<String> {
        let access_point = "fe80::ff:fe00:0";
        self.sh(&format!("/usr/sbin/ip netns exec device ping -c 3 -w 30 {access_point}%wlan{DEVICE}")).await?;
        self.sh(&format!("wpa_cli -p /run/wpa -i wlan{DEVICE} status")).await
    }

    /// What the device's wpa_supplicant wrote down so far.
    ///
    /// # Errors
    /// If it wrote nothing.
    pub async fn heard(&self) -> Result<String> {
        self.sh("cat /run/wpa.log").await
    }
}
