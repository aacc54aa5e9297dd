#!/bin/sh
# Run by mmdebstrap with the new root as $1, after all packages are installed. $2 is the folder of this file's data.
set -eu
root=$1
data=$2

# --- what the first program in memory carries: only what mounts a root from a card, a USB disk or an emulator's disk
cat > "$root/etc/initramfs-tools/conf.d/roost" <<END
MODULES=list
COMPRESS=zstd
COMPRESSLEVEL=3
BUSYBOX=y
END
grep -v '^#' "$data/initramfs/modules" > "$root/etc/initramfs-tools/modules"

# --- what the Pi's firmware reads: config.txt and cmdline.txt are written by its package from these answers
cat > "$root/etc/default/raspi-firmware" <<END
# Written by \`roost image build\`; config.txt and cmdline.txt are made from this at every kernel update.
# The card's partition is found by its label, so that a USB disk boots like a card.
ROOTPART=LABEL=RASPIROOT
CONSOLES="tty0 ttyS1,115200"
# The package's own default would keep a Pi 4 from booting; the kernel's is right for all.
CMA=0
END
# The package says `rw`, and this comes after it: the root is mounted read-only, looked over, and then made writable,
# as its line in fstab says. On a sealed root it stays read-only.
echo ro > "$root/etc/default/raspi-extra-cmdline"

# --- one initramfs, now, from the answers above; its last step fills /boot/firmware
rm "$root/usr/sbin/update-initramfs"
chroot "$root" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
chroot "$root" update-initramfs -c -k all

# --- nothing that tells two cards apart, and nothing of the machine that built it
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" \
  "$root/var/lib/systemd/credential.secret" "$root/usr/sbin/policy-rc.d" "$root/etc/hostname"
: > "$root/etc/machine-id"
if [ ! -L "$root/etc/resolv.conf" ]; then
  ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
fi
rm -rf "$root/var/cache/debconf"/*-old "$root/var/log"/*.log "$root/var/log/apt" "$root/var/lib/cloud"
