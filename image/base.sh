#!/usr/bin/env bash
# Makes the two bases of the image from Debian's packages, as tar files: with Python, and with Python and its venv module for the build.
# Usage: base.sh FOLDER (which gets base.tar and build.tar). Needs root and debootstrap; takes about 45 seconds.
set -euo pipefail
folder=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mirror=${MODELTRUST_DEBIAN_MIRROR:-http://deb.debian.org/debian}
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,tzdata bookworm "$root" "$mirror" >&2
echo 'modeltrust:x:65532:65532::/tmp:/usr/sbin/nologin' >> "$root/etc/passwd"
echo 'modeltrust:x:65532:' >> "$root/etc/group"
reproducible=(--numeric-owner --sort=name --mtime=@0 --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* --exclude=./tmp/* --exclude=./run/*
  --exclude=./var/cache/* --exclude=./var/lib/apt/lists/* --exclude=./var/log/* --exclude=./usr/share/doc/* --exclude=./usr/share/man/*
  --exclude=./usr/share/locale/* --exclude=./usr/share/info/* --exclude=./etc/machine-id --exclude=./debootstrap)
tar -C "$root" "${reproducible[@]}" -cf "$folder/build.tar" .
tar -C "$root" "${reproducible[@]}" --exclude=./usr/share/python-wheels/* --exclude=./usr/lib/*/perl-base/unicore/lib/* -cf "$folder/base.tar" .
