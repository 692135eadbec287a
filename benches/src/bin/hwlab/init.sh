#!/bin/sh
# First process of a guest: mounts, modules, the state disk, then one command line after another from the second serial port.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ TERM=dumb LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /var/lib/daos_server
mount -t devpts pts /dev/pts
for place in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $place; done
# The configuration that distributions ship for modprobe breaks the search for dependencies here.
modprobe -a -C /dev/null $(cat /etc/modules)
ip link set lo up
for link in /sys/class/net/e*; do
    [ -e "$link" ] || continue
    ip link set "${link##*/}" up
    ip addr add 10.0.2.15/24 dev "${link##*/}"
    break
done
disk() { echo "/dev/$(basename "$(dirname "$(grep -l "$1" /sys/block/*/serial)")")"; }
mount "$(disk STATE)" /var/lib/daos_server
mount -o ro "$(disk PROGRAMS)" /opt
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo ready >&3
while read -r id code <&3; do
    printf '%s' "$code" | base64 -d >/tmp/.command
    sh /tmp/.command >/tmp/.output 2>&1 3>&- </dev/null
    printf 'done %s %s %s\n' "$id" "$?" "$(base64 -w0 /tmp/.output)" >&3
done
