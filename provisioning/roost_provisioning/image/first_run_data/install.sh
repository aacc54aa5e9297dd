#!/bin/sh
# Installs Roost on Raspberry Pi OS, from what lies beside this file on the boot partition. No compiler is needed.
#
#   install.sh arm    makes a service that runs `install.sh run` at every start until it came to its end
#   install.sh run    the installation; each step can be repeated, the mark is made last
#
# Written to the card by `roost image customise`. Messages: journalctl -u install-roost
set -eu

here=$(cd "$(dirname "$0")" && pwd)
home=/opt/roost
mark=$home/.installed
# Not roost-something: `roost units apply` takes away what it does not know of that name.
service=install-roost.service

say() { echo "install-roost: $*"; }

arm() {
    cat > /etc/systemd/system/$service <<END
# Written by $here/install.sh.
[Unit]
Description=Roost: installation from the boot partition
ConditionPathExists=!$mark
RequiresMountsFor=$here
After=network-online.target time-sync.target
Wants=network-online.target
Before=roost-firstboot.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh $here/install.sh run
Restart=on-failure
RestartSec=30
TimeoutStartSec=3600

[Install]
WantedBy=multi-user.target
END
    # The dialogue that asks for a first user on the screen: who may log in was said when the card was made.
    systemctl disable userconfig.service > /dev/null 2>&1 || true
    systemctl enable $service
    sync
}

packages() {
    lacking=
    while read -r one; do
        dpkg-query --show --showformat='${db:Status-Abbrev}' "$one" 2> /dev/null | grep -q '^ii' ||
            lacking="$lacking $one"
    done < "$here/packages"
    [ -n "$lacking" ] || return 0
    say "packages:$lacking"
    export DEBIAN_FRONTEND=noninteractive
    dpkg --configure -a # a power cut may have left one half done
    if [ -d "$here/debs" ]; then
        apt-get install --yes --no-install-recommends "$here"/debs/*.deb
    else
        apt-get update
        # shellcheck disable=SC2086  # a list of names
        apt-get install --yes --no-install-recommends $lacking
    fi
}

environment() {
    want=$(cat "$here/python")
    have=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$want" != "$have" ]; then
        say "the kit on the card is for Python $want and this system has $have: prepare the card again" >&2
        exit 1
    fi
    say "a Python environment in $home/venv"
    mkdir -p $home
    rm -rf $home/venv $home/.kit
    mkdir $home/.kit
    tar -C $home/.kit -xf "$here/kit.tar"
    python3 -m venv --system-site-packages $home/venv
    pip="$home/venv/bin/python -m pip --quiet --no-input --disable-pip-version-check install"
    pip="$pip --no-index --no-deps --no-cache-dir --root-user-action=ignore"
    # Also what the system has is installed from the kit: the lock file is what was tested.
    $pip --ignore-installed --require-hashes --find-links $home/.kit/packages --requirement $home/.kit/requirements.txt
    $pip $home/.kit/roost-*.whl
    rm -rf $home/.kit
    ln -sfn $home/venv/bin/roost /usr/local/bin/roost
    $home/venv/bin/roost version
}

settings() {
    mkdir -p /etc/roost/schedules
    for one in roost.toml schedules/*.toml; do
        if [ -f "$here/$one" ] && [ ! -e "/etc/roost/$one" ]; then
            say "/etc/roost/$one"
            install -m 0644 "$here/$one" "/etc/roost/$one"
        fi
    done
    # Tokens and hashes of passwords lie on the boot partition: from the next start on root alone reads it.
    if [ -f /etc/fstab ]; then
        sed -i '/[[:space:]]\/boot\/firmware[[:space:]]/ { /umask=/! s/defaults/defaults,umask=0077/ }' /etc/fstab
    fi
    if [ -d "$here/bundles" ]; then
        mkdir -p $home/bundles
        cp -R "$here"/bundles/. $home/bundles/
    fi
}

units() {
    say "users, folders and units"
    $home/venv/bin/roost units apply --base --first-boot
}

run() {
    [ ! -e $mark ] || exit 0
    say "looking at what is on the card"
    (cd "$here" && sha256sum --quiet --check SHA256SUMS)
    packages
    environment
    settings
    units
    sync # all of it is on the card before the mark says so
    touch $mark
    sync
    rm -rf "$here/kit.tar" "$here/debs" "$here/bundles" # the boot partition needs the room for new kernels
    say "installed"
    systemctl start --no-block roost-firstboot.service
}

case "${1:-}" in
arm) arm ;;
run) run ;;
*)
    echo "usage: install.sh arm|run" >&2
    exit 2
    ;;
esac
