#!/bin/sh
# identify.sh FILE: prints what kind of picture it is, and its size in bytes.
case $(od -An -tx1 -N8 "$1" | tr -d ' \n') in
89504e470d0a1a0a) kind=png ;;
ffd8ff*) kind=jpeg ;;
*) echo "neither PNG nor JPEG"; exit 1 ;;
esac
echo "$kind $(wc -c <"$1")"
