#!/bin/bash
# The seeds of fuzz_crash in tests/fuzz/corpus: what the generator of seeds makes of the library today? (`make fuzz-seeds`)
make=$PWD/${BUILD:-build}/fuzz/crash_seeds
library=$PWD/scenarios
corpus=$PWD/tests/fuzz/corpus/fuzz_crash
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mkdir made kept
"$make" "$library" made || complain 'the seeds could not be made'
cp "$corpus"/library-* "$corpus"/gen-* kept
[[ $(find made -type f | wc -l) -gt 50 ]] || complain "too few seeds: $(ls made)"
diff -r made kept || complain "the seeds are not those of today: run 'make fuzz-seeds' and look at the difference"
finish
