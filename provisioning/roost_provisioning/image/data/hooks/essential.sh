#!/bin/sh
# Run by mmdebstrap with the new root as $1, before the packages of the recipe are installed.
set -eu
root=$1

# The firmware's package copies itself to the first partition, and wants its folder to be there.
mkdir -p "$root/boot/firmware"

# Making the initramfs costs minutes under emulation, and every kernel package asks for it twice: nobody makes it
# during the installation; customise.sh makes it once at the end.
chroot "$root" dpkg-divert --quiet --local --rename \
  --divert /usr/sbin/update-initramfs.real --add /usr/sbin/update-initramfs
ln -s /bin/true "$root/usr/sbin/update-initramfs"

# No service is started in an image that is being built.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
