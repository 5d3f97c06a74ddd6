# shellcheck shell=bash
# Sourced by the scripts here, from the repository's root and before tests/cli/lib.sh.
#   needs WORD...               a program, or `qed', `blklogwrites': QEMU's drivers. Where one is missing: exit 77, with the reason
#   log_number FILE OFFSET      the u64 there
#   drop_flush DIR COPY [N]     the same recording, whose flushes, or whose N-th (from 0), are marks: they never were

needs()
{
    local word
    for word; do
        case $word in
        qed)
            qemu-img create --help 2>/dev/null | grep -q '\bqed\b' && continue
            echo "this qemu-img has no QED driver"
            ;;
        blklogwrites)
            qemu-io --image-opts driver=blklogwrites,file.driver=null-co,log.driver=null-co,log.size=1M -c quit 2>&1 |
                grep -q 'Unknown driver' || continue
            echo "this qemu-io has no driver blklogwrites"
            ;;
        *)
            command -v "$word" >/dev/null && continue
            echo "$word is not installed (Debian: qemu-utils, sqlite3)"
            ;;
        esac
        exit 77
    done
}

log_number() { od -An -tu8 -j "$2" -N 8 "$1" | tr -d ' '; }

drop_flush()
{
    local log=$2/writes.log entry=512 size n=0
    cp -r "$1" "$2"
    size=$(stat -c %s "$log")
    while [ "$entry" -lt "$size" ]; do
        if [ "$(log_number "$log" $((entry + 16)))" -eq 1 ]; then
            [ "$n" -eq "${3:-$n}" ] &&
                printf '\10' | dd of="$log" bs=1 seek=$((entry + 16)) conv=notrunc status=none
            n=$((n + 1))
        fi
        entry=$((entry + 512 + $(log_number "$log" $((entry + 8))) * 512))
    done
}
