#!/bin/bash
# A real guest: Debian's cloud kernel under software emulation, with an ext4 file system on a QED disk that QEMU writes over
# blklogwrites. Every crash point is judged by its structure (qedcrash replay), and sampled states by the guest's own view:
# check.sh says what that is. Then the same without the flushes, which must be found.
#
# The kernel is $QEDCRASH_KERNEL (an unpacked package), or one that apt-get downloads into $BUILD/guest; it is not installed.
# Exit: 0 as it should be; 1 not; 77 with a reason where a piece is missing.
set -u
BUILD=${BUILD:-build}
QEDCRASH=${QEDCRASH:-$PWD/$BUILD/qedcrash}
states=$PWD/$BUILD/guest_states
here=$PWD/tests/guest
PATH=$PATH:/sbin:/usr/sbin
skip() { echo "skipped: $*"; exit 77; }
fail() { echo "guest-recording: $*"; exit 1; }
for tool in qemu-system-x86_64 qemu-img busybox mkfs.ext4 e2fsck debugfs dpkg-deb; do
    command -v "$tool" >/dev/null ||
        skip "$tool is missing (Debian: qemu-system-x86 qemu-utils busybox-static e2fsprogs)"
done
file -L "$(command -v busybox)" 2>/dev/null | grep -q 'dynamically linked' && skip "busybox is not static (Debian: busybox-static)"

cache=$PWD/$BUILD/guest
mkdir -p "$cache"
kernel=${QEDCRASH_KERNEL:-$cache/kernel}
if [ ! -e "$kernel/boot" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || skip "apt knows no linux-image-cloud-amd64 (apt-get update)"
    (cd "$cache" && apt-get -qq download "$package") || skip "$package cannot be downloaded"
    dpkg-deb -x "$cache/$package"_*.deb "$kernel" || fail "$package cannot be unpacked"
fi
vmlinuz=$(find "$kernel/boot" -name 'vmlinuz-*' | head -n 1)
modules=$(dirname "$(find "$kernel/lib/modules" -name kernel -type d | head -n 1)")
[[ -e $vmlinuz && -d $modules/kernel ]] || skip "no kernel and modules in $kernel"

work=$(mktemp -d) || exit 3
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null; rm -rf "$work"' EXIT

# needs MODULE...: its file, behind those that it needs.
needs()
{
    local name file dependency
    for name; do
        file=$(find "$modules" -name "$name.ko*" | head -n 1)
        [ -n "$file" ] || continue # built in
        grep -qx "$name" "$work/order" && continue
        for dependency in $(busybox strings "$file" 2>/dev/null | sed -n 's/^depends=//p' | tr ',' ' '); do
            needs "$dependency"
        done
        grep -qx "$name" "$work/order" && continue
        echo "$name" >>"$work/order"
        case $file in
        *.xz) xz -dc "$file" >"$work/root/modules/$name" ;;
        *) cp "$file" "$work/root/modules/$name" ;;
        esac
    done
}
mkdir -p "$work/root/bin" "$work/root/modules" "$work/root/dev"
: >"$work/order"
needs virtio_pci virtio_blk crc32c_generic crc16 ext4
cp "$work/order" "$work/root/modules/order"
cp "$(command -v busybox)" "$work/root/bin/busybox"
install -m 755 "$here/init" "$work/root/init"
(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initrd" || fail "no initramfs"

rec=$work/rec
mkdir "$rec"
truncate -s 32M "$work/disk"
mkfs.ext4 -q -F -b 1024 -J size=1 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$work/disk" || fail "no ext4"
qemu-img convert -q -f raw -O qed -o cluster_size=65536,table_size=2 "$work/disk" "$rec/base.qed" || skip "this QEMU has no QED"
cp "$rec/base.qed" "$work/image.qed"
: >"$rec/writes.log"
echo '{"log":"blklogwrites"}' >"$rec/recording.json"

start=$SECONDS
mkfifo "$work/in" "$work/out"
qemu-system-x86_64 -accel tcg -m 256 -nodefaults -no-reboot -display none -serial stdio -kernel "$vmlinuz" \
    -initrd "$work/initrd" -append 'console=ttyS0 quiet panic=-1 tsc=unstable' \
    -drive "if=none,id=d,driver=qed,file.driver=blklogwrites,file.file.driver=file,file.file.filename=$work/image.qed,file.log.driver=file,file.log.filename=$rec/writes.log,cache.direct=off,cache.no-flush=off" \
    -device virtio-blk-pci,drive=d <"$work/in" >"$work/out" 2>"$work/err" &
qemu=$!
exec 4>"$work/in" 5<"$work/out"
: >"$work/marks"
while IFS= read -r -t 120 -u 5 line; do
    line=${line%$'\r'}
    echo "$line" >>"$work/console"
    case $line in
    *"mark "*)
        echo "${line##*mark } $("$states" --count "$rec/writes.log")" >>"$work/marks"
        echo >&4
        [[ $line == *"mark end"* ]] && break
        ;;
    esac
done
wait_end=$((SECONDS + 20))
while kill -0 "$qemu" 2>/dev/null && [ $SECONDS -lt $wait_end ]; do sleep 0.2; done
kill "$qemu" 2>/dev/null
wait "$qemu" 2>/dev/null
qemu=
grep -q '^end ' "$work/marks" || fail "the guest did not finish: $(tail -n 5 "$work/console" "$work/err" 2>/dev/null)"
grep -i 'failed\|error' "$work/console" && fail "the guest complained"
echo "guest: $("$states" --count "$rec/writes.log") entries in the log, $((SECONDS - start)) s; marks: $(tr '\n' ' ' <"$work/marks")"

"$QEDCRASH" replay "$rec" --json >"$work/replay.json" 2>"$work/replay.err"
code=$?
[ $code -le 1 ] || fail "replay: exit $code, $(tail -n 2 "$work/replay.err")"
"$QEDCRASH" replay "$rec" 2>/dev/null | sed -n '1p; /crash states/p'

count=${GUEST_STATES:-6}
cp -r "$rec" "$work/noflush" # before anything can change it
"$states" "$rec" "$count" 1 "$work/scratch" "$here/check.sh" "$work/marks" >"$work/verdict"
code=$?
tail -n 12 "$work/verdict"
"$states" --drop-flushes "$work/noflush/writes.log"
"$states" "$work/noflush" "$((count * 10))" 1 "$work/scratch" "$here/check.sh" "$work/marks" >"$work/planted"
planted=$?
echo "without its flushes: $(tail -n 1 "$work/planted")"
[ $planted -eq 1 ] || fail "the planted bug was not found"
[ $code -eq 0 ] || fail "ext4 found what it must not"
