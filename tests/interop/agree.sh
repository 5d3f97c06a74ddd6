#!/bin/bash
# A few of the random recordings of make agree-qemu; and a judge that is wrong, which they must find out.
set -u
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io sqlite3 qed blklogwrites
out=$(QEDCRASH=$QEDCRASH N=3 SEED=3 STATES=16 tests/qemu/agree.sh) || { echo "$out"; exit 1; }
[[ $out == *"3 agree in every finding, 0 differ for a known reason, 0 DIFFER; "[1-9]" unsafe"* ]] || { echo "$out"; exit 1; }

# Our engine, looking at one state and no more.
wrong=$(mktemp) || exit 1
trap 'rm -f "$wrong"' EXIT
cat >"$wrong" <<END
#!/bin/bash
if [[ \$1 == replay && " \$* " != *" --judge "* ]]; then
    exec "$QEDCRASH" "\$@" --limit 1
else
    exec "$QEDCRASH" "\$@"
fi
END
chmod +x "$wrong"
if out=$(QEDCRASH=$wrong N=1 SEED=3 STATES=16 tests/qemu/agree.sh); then
    echo "a judge that looks at one state was not found out:" "$out"
    exit 1
fi
[[ $out == *DIFFERS* ]] || { echo "no line says what differs:" "$out"; exit 1; }
