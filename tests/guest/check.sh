#!/bin/bash
# check.sh MARKS DISK ENTRIES: is this what an ext4 guest may find when the power failed with so many entries logged? Its
# journal is replayed; then the file system is clean, what was fsynced is there, and a rename happened or did not.
marks=$1 disk=$2 entries=$3
PATH=$PATH:/sbin:/usr/sbin
export DEBUGFS_PAGER=cat PAGER=cat
work=$(dirname "$disk")

bad()
{
    echo "entry $entries: $*"
    exit 1
}

reached() # NAME: had the guest been told?
{
    local at
    at=$(sed -n "s/^$1 //p" "$marks")
    [ -n "$at" ] && [ "$entries" -ge "$at" ]
}

cat_file() # PATH: 1 if there is none
{
    debugfs -R "stat $1" "$disk" 2>/dev/null | grep -q '^Inode:' || return 1
    debugfs -R "cat $1" "$disk" 2>/dev/null
}

is() # PATH WORD BYTES
{
    cat_file "$1" >"$work/found" && cmp -s "$work/found" <(yes "$2" | head -c "$3")
}

e2fsck -fy -E journal_only "$disk" >"$work/fsck" 2>&1
[ $? -le 1 ] || bad "the journal cannot be replayed: $(tail -n 3 "$work/fsck" | tr '\n' ' ')"
e2fsck -fn "$disk" >"$work/fsck" 2>&1 ||
    bad "not clean after its journal was replayed: $(grep -v -e '^e2fsck' -e '^Pass' "$work/fsck" | head -n 3 | tr '\n' ' ')"
if reached gone; then
    cat_file /a >/dev/null && bad "/a is there, and had been removed and synced"
elif reached b; then
    ! cat_file /a >/dev/null || is /a alpha 20000 || bad "/a is half removed"
elif reached a; then
    is /a alpha 20000 || bad "/a had been fsynced, and is not what it was"
fi
if reached two; then
    is /conf two 9000 || bad "/conf had been renamed and synced, and is not what it was"
elif reached one; then
    is /conf one 5000 || is /conf two 9000 || bad "/conf is neither the old nor the new"
fi
if reached b; then
    cat_file /b >"$work/found" || bad "/b had been fsynced, and is gone"
    cmp -s <(head -c 200000 "$work/found") <(yes beta | head -c 200000) || bad "/b had been fsynced, and is not what it was"
fi
exit 0
