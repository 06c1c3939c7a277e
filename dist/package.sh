#!/usr/bin/env bash
# Builds the release archive for this machine: target/package/taper-VERSION-TARGET.tar.gz and its sha256.
#
# usage: dist/package.sh [cargo build options, such as --features cuda]
#
# On Linux the binary is fully static: it runs on any distribution and in an empty container. A CUDA build cannot be: it
# loads the driver's library, so it is linked dynamically.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=taper-$version-$target
suffix=
static=
case $target in
  *windows*) suffix=.exe; static=yes ;;
  *linux*) [[ $* == *cuda* ]] || static=yes ;;
esac
# With the target named, the flags do not reach build scripts and procedural macros, which must stay dynamic.
if [ -n "$static" ]; then export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"; fi
# What `taper bench` reports as the commit; unknown where this is no checkout.
if commit=$(git rev-parse --short=12 HEAD 2>/dev/null); then export GIT_COMMIT="${GIT_COMMIT:-$commit}"; fi
cargo build --release --locked --target "$target" "$@"

out=target/package/$name
rm -rf "$out"
mkdir -p "$out/completions" "$out/man"
cp "target/$target/release/taper$suffix" LICENSE README.md CHANGELOG.md "$out/"
cp completions/* "$out/completions/"
"$out/taper$suffix" man > "$out/man/taper.1"

if [[ $target == *linux* && -n $static ]] && ldd "$out/taper" 2>&1 | grep -q '=>'; then
  echo "error: the binary is not static: $(ldd "$out/taper" | tr '\n' ' ')" >&2
  exit 1
fi
"$out/taper$suffix" run -q -n 8 --temp 0 "hello" > /dev/null

tar -C target/package -czf "$out.tar.gz" "$name"
(cd target/package && { sha256sum "$name.tar.gz" 2> /dev/null || shasum -a 256 "$name.tar.gz"; } > "$name.tar.gz.sha256")
rm -rf "$out"
echo "$out.tar.gz: $(wc -c < "$out.tar.gz") bytes; the binary: $(wc -c < "target/$target/release/taper$suffix") bytes"
