#!/bin/sh
# checksum.sh FILE: as identify.sh, and a checksum.
sh "${0%/*}/identify.sh" "$1" || exit 1
sha256sum "$1" | cut -d ' ' -f 1
