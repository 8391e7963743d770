//! One bridge for all segments, as VLANs, in a kernel that has them: that of the radio rig's machine. Landfall keeps the bridge,
//! Debian's hostapd the port; a device comes in by itself, and a trunk carries its segment to what is beyond.

use crate::{
    air::rig,
    ground::{Ground, Role, name},
};
use landfall_reference::rig::Machine;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const OFFICE: &str = "[access]\nlisten = \"127.0.0.1:1812\"\n\
    [[access.client]]\nname = \"hall\"\naddresses = [\"127.0.0.1\"]\nsecret-file = \"hall.secret\"\n\
    [[access.place]]\nvlan = \"30\"\n[access.quarantine]\nvlan = \"99\"\n\
    [enforcer]\nbridge = \"br0\"\ntrunks = [\"up1\"]\ncheck = \"1s\"\n\
    [[enforcer.segment]]\nname = \"new\"\nkind = \"onboarding\"\nvid = 10\n\
    [[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nvlan = \"30\"\n\
    [[enforcer.segment]]\nname = \"others\"\nkind = \"production\"\nvlan = \"40\"\n\
    [[enforcer.segment]]\nname = \"clinic\"\nkind = \"quarantine\"\nvlan = \"99\"\nreach = [\"tcp 192.0.2.9 443\"]\n\
    [[enforcer.port]]\ninterface = \"lan1\"\n";

/// A device at `lan1`, and beyond the trunk a switch with a host in each VLAN. The machine's shell has an `ip` of its own, which knows
/// less.
const CABLES: &str = "set -e\necho root:x:0:0::/:/bin/sh >/etc/passwd\nip=/usr/sbin/ip\n\
    for there in lamp rest host30 host40 host99; do $ip netns add $there; $ip -n $there link set lo up; done\n\
    $ip link add lan1 type veth peer name d1 netns lamp\n$ip -n lamp link set d1 up\n\
    $ip -n lamp address add 192.0.2.100/24 dev d1\n\
    $ip link add up1 type veth peer name t0 netns rest\n$ip -n rest link set t0 up\n\
    for vlan in 30 40 99; do\n\
    $ip -n rest link add link t0 name t0.$vlan type vlan id $vlan\n$ip -n rest link set t0.$vlan netns host$vlan\n\
    $ip -n host$vlan link set t0.$vlan up\n$ip -n host$vlan address add 192.0.2.${vlan%[09]}/24 dev t0.$vlan\ndone\n\
    while :; do $ip netns exec host99 nc -l -p 443; done >/dev/null 2>&1 </dev/null &\n";

/// The machine, in which everything is.
struct Switch {
    machine: Machine,
    device: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_vlans_of_one_bridge() {
    let Some(switch) = Switch::new().await else { return };
    let [things, others, clinic] = ["192.0.2.3", "192.0.2.4", "192.0.2.9"];

    // Whoever shows nothing is among the new ones, and reaches nobody.
    switch.becomes("10").await;
    for host in [things, others, clinic] {
        assert!(!switch.reaches(host).await, "{host}");
    }
    assert!(!switch.reaches_clinic().await);

    let connected = switch.device_comes().await;
    assert_eq!(connected["connected"], true, "{connected}");
    switch.becomes("30").await;
    assert!(switch.reaches(things).await);
    assert!(!switch.reaches(others).await && !switch.reaches(clinic).await);
    // On the trunk its frames bear the tag of its segment.
    let seen = switch
        .sh("/usr/sbin/ip netns exec rest timeout 20 tcpdump -Z root -i t0 -e -n -c 1 -l vlan 30 and icmp 2>/dev/null & \
             tcpdump=$!\ni=0\nwhile kill -0 $tcpdump 2>/dev/null && [ $i -lt 15 ]; do i=$((i+1)); \
             /usr/sbin/ip netns exec lamp ping -c 1 -W 1 192.0.2.3 >/dev/null; done\nwait $tcpdump")
        .await;
    assert!(seen.contains("vlan 30") && seen.contains("192.0.2.100"), "{seen}");

    // A tag that a device puts on by itself takes it nowhere.
    switch
        .sh("ip=/usr/sbin/ip; $ip -n lamp link add link d1 name d1.40 type vlan id 40 && $ip -n lamp link set d1.40 up && \
             $ip -n lamp address add 192.0.2.101/32 dev d1.40 && $ip -n lamp route add 192.0.2.4/32 dev d1.40")
        .await;
    assert!(!switch.reaches(others).await);
    switch.sh("/usr/sbin/ip -n lamp link del d1.40").await;

    // What somebody does to the bridge is undone.
    switch.sh("bridge vlan add dev lan1 vid 40 pvid untagged").await;
    switch.becomes("30").await;
    switch.sh("bridge vlan del dev up1 vid 30; bridge vlan add dev up1 vid 1 pvid untagged").await;
    switch.soon("bridge vlan show dev up1 | awk 'NR>1{print $NF}' | tr '\\n' ' ' | grep -qx '10 30 40 99 '").await;
    switch.sh("/usr/sbin/ip link set br0 type bridge vlan_filtering 0").await;
    switch.soon("[ \"$(cat /sys/class/net/br0/bridge/vlan_filtering)\" = 1 ]").await;
    switch.becomes("30").await;
    switch.soon("/usr/sbin/ip netns exec lamp ping -c 1 -W 1 192.0.2.3 >/dev/null").await;

    // Quarantine is another VLAN, at once; and who is thrown out is among the new ones again.
    switch.office(&format!("network quarantine {} --reason dust", switch.device)).await;
    switch.becomes("99").await;
    assert!(!switch.reaches(things).await && !switch.reaches(clinic).await && switch.reaches_clinic().await);
    switch.office(&format!("network revoke {}", switch.device)).await;
    switch.becomes("10").await;
    for host in [things, others, clinic] {
        assert!(!switch.reaches(host).await, "{host}");
    }
    assert!(!switch.reaches_clinic().await);
}

impl Switch {
    /// A device that was onboarded outside, and the servers with what they know of it; all of it goes into the machine.
    async fn new() -> Option<Self> {
        let rig = rig()?;
        landfall_testkit::tool("busybox")?;
        let ground = Ground::lay(1);
        let bundle = ground.devices().remove(0);
        let mut servers = [ground.serve(Role::Masa), ground.serve(Role::Registrar)];
        let onboarded = ground.device_command(&bundle, &["onboard"]).output().unwrap();
        assert!(onboarded.status.success(), "{}", String::from_utf8_lossy(&onboarded.stderr));
        for server in &mut servers {
            server.signal("TERM");
            assert!(server.wait().success());
        }
        let data = ground.data(Role::Registrar);
        fs::write(data.join("hall.secret"), "a secret of the hall\n").unwrap();
        ground.change(Role::Registrar, "[registrar]", "[registrar]", OFFICE);
        ground.does(Role::Registrar, &["network", "ap-config", "hall", "--wired", "lan1", "--out", "hall"]);

        let machine = rig.boot_with(Path::new(env!("CARGO_BIN_EXE_landfall"))).await.unwrap();
        let switch = Self { machine, device: name(&bundle) };
        switch.put(&ground.of(Role::Registrar), Path::new("/run/office")).await;
        let anchors = ground.data(Role::Masa).join("manufacturer/root.pem");
        switch.put(&anchors, &anchors).await;
        switch.put(&bundle, Path::new("/run/lamp/bundle.json")).await;
        switch.put(&ground.state(&switch.device), Path::new("/run/lamp/state")).await;
        let device = b"bundle = \"bundle.json\"\nstate = \"state\"\n[connect]\ninterface = \"d1\"\nserver-name = \"localhost\"\n";
        switch.machine.put("/run/lamp/device.toml", device).await.unwrap();
        switch.sh(CABLES).await;
        switch
            .sh("chmod -R go-rwx /run/office /run/lamp\nmkdir -p /var/run\ncd /run/office\n\
                 /opt/landfall run registrar access enforcer --json >out 2>log </dev/null &\n\
                 i=0; until grep -q '}' /run/office/out 2>/dev/null; do i=$((i+1)); [ $i -lt 600 ] || { tail -c 2000 /run/office/log; exit 1; }; sleep 0.1; done\n\
                 hostapd -B -t -f /run/hostapd.log hall/wired-lan1.conf || { cat /run/hostapd.log; exit 1; }")
            .await;
        Some(switch)
    }

    async fn put(&self, from: &Path, to: &Path) {
        let mut left: Vec<(PathBuf, PathBuf)> = vec![(from.into(), to.into())];
        while let Some((from, to)) = left.pop() {
            if from.is_dir() {
                let within = fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path());
                left.extend(within.map(|path| (path.clone(), to.join(path.file_name().unwrap()))));
            } else if from.is_file() {
                self.machine.put(to.to_str().unwrap(), &fs::read(&from).unwrap()).await.unwrap();
            }
        }
    }

    async fn sh(&self, script: &str) -> String {
        self.machine.sh(script).await.unwrap_or_else(|why| panic!("{script}: {why:#}"))
    }

    /// Waits until the script succeeds.
    async fn soon(&self, script: &str) {
        let log = "tail -c 2000 /run/office/log; bridge vlan show";
        self.sh(&format!(
            "i=0; until {script}; do i=$((i+1)); [ $i -lt 300 ] || {{ {log}; exit 1; }}; sleep 0.1; done"
        ))
        .await;
    }

    /// The device's port is soon in that VLAN, and no other.
    async fn becomes(&self, vlan: &str) {
        self.soon(&format!("[ \"$(bridge vlan show dev lan1 | tail -n +2 | tr -s ' \\n' ' ' | tr -d '\\t')\" = 'lan1 {vlan} PVID Egress Untagged ' ]"))
            .await;
    }

    async fn reaches(&self, host: &str) -> bool {
        let ping = format!("/usr/sbin/ip netns exec lamp ping -c 2 -W 1 {host}");
        self.machine.run(&ping).await.unwrap().status == 0
    }

    /// The one thing that quarantine leaves.
    async fn reaches_clinic(&self) -> bool {
        let call = "echo | /usr/sbin/ip netns exec lamp timeout 3 nc 192.0.2.9 443";
        self.machine.run(call).await.unwrap().status == 0
    }

    /// The device shows its certificate at its port.
    async fn device_comes(&self) -> Value {
        let script = "cd /run/lamp; /usr/sbin/ip netns exec lamp /opt/landfall device connect --timeout 60 --json \
                      --config device.toml 2>/run/said; [ $? -lt 2 ] || cat /run/said";
        let said = self.sh(script).await;
        serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {said}"))
    }

    async fn office(&self, command: &str) {
        self.sh(&format!("cd /run/office && /opt/landfall {command} --json")).await;
    }
}
