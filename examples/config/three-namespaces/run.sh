#!/usr/bin/env bash
# Three servers in three network namespaces form one system, which goes on when its leader is killed.
# Run as root, with daos_server, dmg and daos_io_server in PATH:
#   cargo build --workspace --bins && PATH=$PWD/target/debug:$PATH examples/config/three-namespaces/run.sh
# It leaves nothing behind. The logs are in /tmp/daos_three while it runs.
set -euo pipefail
cd "$(dirname "$0")"
files=/tmp/daos_three
declare -A server=()

say() { printf '\n# %s\n' "$*"; }
on() { nsenter --net="/run/netns/daos-three-$1" -- "${@:2}"; }
dmg() { echo "\$ dmg $*" && on switch dmg -o daos_control.yml "$@"; }
start() {
    # Without a function around it, so that the process number is that of the server.
    nsenter --net="/run/netns/daos-three-$1" -- daos_server start -o "server$1.yml" >>"$files/$1/server.log" 2>&1 &
    server[$1]=$!
}
until_true() { # what command...
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if "${@:2}" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "waited in vain for $1; the logs:" >&2
    tail -n 15 "$files"/*/server.log >&2
    return 1
}
logged() { grep -q "$2" "$files/$1/server.log"; }
leader() { on switch dmg -j -o daos_control.yml system leader-query | grep -o '"current_leader": *"10.78.0.[1-3]' | grep -o '.$'; }
joined() { [ "$(on switch dmg -j -o daos_control.yml system query | grep -c '"state": *"joined"')" = "$1" ]; }
other_leader() { local now && now=$(leader) && [ "$now" != "$1" ]; }
voters() { [ "$(on switch dmg -j -o daos_control.yml system ms status | grep -c '"voter": *true')" = "$1" ]; }
running_again() { [ "$(grep -c 'engine 0 is running' "$files/$1/server.log")" = 2 ]; }

clear_all() {
    local host
    for host in "${!server[@]}"; do kill "${server[$host]}" 2>/dev/null || true; done
    wait
    for host in 1 2 3; do
        # An engine whose server was killed ends by itself.
        for _ in $(seq 100); do
            [ -n "$(ip netns pids "daos-three-$host" 2>/dev/null)" ] || break
            sleep 0.1
        done
        if mountpoint -q "$files/$host/scm"; then umount "$files/$host/scm"; fi
        ip netns delete "daos-three-$host" 2>/dev/null || true
    done
    ip netns delete daos-three-switch 2>/dev/null || true
    rm -rf "$files" .daos_server.active.yml
}

if [ -e "$files" ] || ip netns list | grep -q '^daos-three-'; then
    echo "$files or a namespace daos-three-… is there already: does another run.sh run?" >&2
    exit 1
fi
trap clear_all EXIT
trap 'exit 130' INT TERM

say 'A switch and three hosts, each in a network namespace of its own.'
ip netns add daos-three-switch
ip -n daos-three-switch link add bridge type bridge
ip -n daos-three-switch address add 10.78.0.254/24 dev bridge
ip -n daos-three-switch link set bridge up
for host in 1 2 3; do
    ip netns add "daos-three-$host"
    ip -n daos-three-switch link add "host$host" type veth peer name eth0 netns "daos-three-$host"
    ip -n daos-three-switch link set "host$host" master bridge up
    ip -n "daos-three-$host" address add "10.78.0.$host/24" dev eth0
    ip -n "daos-three-$host" link set lo up
    ip -n "daos-three-$host" link set eth0 up
    mkdir -p "$files/$host/sockets" "$files/$host/state"
    start "$host"
done

say 'The servers wait for a format. One command formats all of them, and their engines join one system.'
for host in 1 2 3; do until_true "server $host" logged "$host" 'waiting for storage format'; done
dmg storage format
until_true 'three joined ranks' joined 3
dmg system query --verbose
until_true 'three replicas that vote' voters 3
dmg system ms status

first=$(leader)
say "The leader is host $first. It is killed (kill -9); the two others elect a new one."
kill -9 "${server[$first]}"
wait "${server[$first]}" || true
until_true 'a new leader' other_leader "$first"
dmg system leader-query
dmg system set-attr "survived:host$first"
dmg system get-attr survived

say "Host $first starts again and follows."
start "$first"
until_true 'the engine of the host' running_again "$first"
dmg system leader-query
dmg system query --verbose

say 'The end: everything is stopped and removed.'
