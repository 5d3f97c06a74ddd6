#!/bin/bash
# Has each target that the Makefile calls phony a rule, and is each that docs tell the reader to make listed by `make help`?
# (A phony target without a rule does nothing, and succeeds.)
set -u
failed=0
phony=$(sed -n '/^\.PHONY:/,/[^\\]$/p' Makefile | tr -d '\\' | sed 's/^\.PHONY://' | tr -s ' ' '\n' | grep -v '^FORCE$')
for target in $phony; do
    grep -q "^$target:" Makefile || { echo "Makefile: .PHONY names '$target', which has no rule"; failed=1; }
done
# shellcheck disable=SC2016 # the backquotes are the documents'
for target in $(cat README.md CONTRIBUTING.md docs/*.md | grep -o '`make [a-z][a-z-]*' | sed 's/`make //' | sort -u); do
    grep -q "^$target:.*## " Makefile || { echo "the documents say 'make $target'; 'make help' does not list it"; failed=1; }
done
exit $failed
