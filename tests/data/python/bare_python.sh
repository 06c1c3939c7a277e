#!/bin/sh
# python3 without any package but its own.
exec python3 -I -S "$@"
