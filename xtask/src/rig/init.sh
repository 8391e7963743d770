#!/bin/busybox sh
# The first process of the rig's machine: radios, a network card, and then whatever the other end of the wire asks for.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
ln -s /proc/self/fd/0 /dev/stdin
mount -t tmpfs none /tmp
mount -t tmpfs none /run
while read -r module options; do
    # shellcheck disable=SC2086 # options are words
    insmod "/modules/$module" $options
done </modules/list
ip link set lo up
# 10.0.2.2 is loopback of the machine outside. There is no route to anywhere else.
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up

# A job is its length in a line, and a script. The answer is the exit status and the output's length in a line, and the output.
exec 3<>"$(echo /dev/vport*p1)"
while read -r length <&3; do
    head -c "$length" <&3 >/tmp/.job
    sh /tmp/.job >/tmp/.output 2>&1 </dev/null
    status=$?
    echo "$status $(wc -c </tmp/.output)" >&3
    cat /tmp/.output >&3
done
# The end of the wire is the end of the machine.
poweroff -f
