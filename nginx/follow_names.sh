#!/bin/sh
# Where rooms are containers, their addresses change: at a restart, and with the number of Thumbor processes. nginx looks
# them up once, when it reads its configuration (from 1.27.3 on it could do better; Debian 13 has 1.26). So this looks every
# two seconds, and has nginx read it again when the answer is another. Requests under way are not touched by that.
# Usage: follow_names.sh PID     (nginx's, before it has become nginx; returns at once, and goes on looking behind it)
set -eu

names=$(echo "$UPLOADER_SERVER $SIGNER_SERVER $THUMBOR_UPSTREAM" | grep -o '[A-Za-z0-9._-]*:[0-9]*' | cut -d : -f 1)

# "172.20.0.3 uploader", a line each: with the name, because two rooms may have exchanged their addresses. Nothing where a
# name is unknown: its room is just being restarted, and nginx would refuse to read.
addresses() {
    found=$(for name in $names; do getent ahostsv4 "$name" | sed "s/ .*/ $name/" | grep . || exit 1; done) || return 0
    echo "$found" | sort -u
}

# Before nginx looks for itself, so that no change can fall between the two.
known=$(addresses)
while sleep 2 && kill -0 "$1" 2> /dev/null; do
    now=$(addresses)
    if [ -n "$now" ] && [ "$now" != "$known" ]; then
        kill -HUP "$1"
        known=$now
    fi
# Without nginx's outputs: whoever reads them to their end waits for nginx, not for this.
done > /dev/null 2>&1 &
