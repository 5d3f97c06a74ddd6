#!/bin/bash
# The Slurm path for real: a controller and two node daemons on this machine, the file that `qedcrash gen slurm` writes, an
# array of eight shards, one task killed and requeued in the middle, the dependent merge; and the merged store is that of a
# single machine, row for row. No systemd, no munge. Exit 77 with the reason where a tool is missing.
set -u
export LC_ALL=C
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
library=$PWD/scenarios
for tool in slurmctld slurmd sbatch squeue scontrol sqlite3; do
    [ -n "$(PATH=$PATH:/usr/sbin command -v $tool)" ] || { echo "$tool is missing (Debian: slurm-wlm, sqlite3)"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo 'slurmd must be root to start jobs'; exit 77; }
PATH=$PATH:/usr/sbin

work=$(mktemp -d) || exit 1
cd "$work" || exit 1
pids=()
end()
{
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    for p in "${pids[@]}"; do
        for ((i = 0; i < 50; i++)); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$p" 2>/dev/null
    done
    cd / && rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

die()
{
    echo "$*"
    tail -n 15 ctld.log n1.log n2.log ./*.out job/*.log 2>/dev/null
    exit 1
}

port=$((20000 + $$ % 20000))
host=$(hostname -s)
mkdir state spool-n1 spool-n2 job
cat >slurm.conf <<CONF
ClusterName=qedcrash
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1,requeue_delay=0
SlurmctldPort=$port
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/%n.pid
SlurmctldLogFile=$work/ctld.log
SlurmdLogFile=$work/%n.log
ReturnToService=2
MinJobAge=300
KillWait=2
InactiveLimit=0
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
touch cgroup.conf

slurmctld -D >ctld.out 2>&1 &
pids+=($!)
for n in n1 n2; do
    slurmd -D -N $n >$n.out 2>&1 &
    pids+=($!)
done
for ((i = 0; i < 300; i++)); do
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] && break
    sleep 0.1
done
[ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] || die 'the two nodes did not come up'

# A campaign of some seconds; the single machine's store first.
mkdir job/lib
cp "$library"/{cow-partial,overwrite-in-place,race-cluster,tail}.scn job/lib/
args=(lib --design v2 --design upstream --design cow-flush --disk ssd --disk ordered --disk hostdev --limit 100000)
cd job || exit 1
"$QEDCRASH" matrix "${args[@]}" --store one.db -q >one.txt 2>&1
[ $? -le 1 ] || die "the campaign on one machine fails: $(tail -n 3 one.txt)"
"$QEDCRASH" gen slurm 8 -o night.sh -- "${args[@]}" || die 'no job file'
QEDCRASH=$QEDCRASH bash night.sh submit >submitted || die 'sbatch refuses the job file'
read -r _ array _ merge _ < <(tr -d , <submitted)

# The first task that has something in its store is killed, and requeued.
victim='' task=''
for ((i = 0; i < 600 && !task; i++)); do
    for w in part*.db-wal; do
        if [ -s "$w" ] && [ "$(stat -c %s "$w")" -gt 60000 ]; then
            k=${w#part}
            task=${k%.db-wal}
            break
        fi
    done
    sleep 0.05
done
[ -n "$task" ] || die 'no task wrote to its store'
for pid in $(pgrep -x qedcrash); do
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--store part$task.db" &&
        [ "$(readlink "/proc/$pid/cwd")" = "$work/job" ] && victim="$victim $pid"
done
# shellcheck disable=SC2086
[ -n "$victim" ] && kill -KILL $victim
scontrol requeue "${array}_$task" 2>requeue.err || die "no requeue: $(cat requeue.err)"
echo "task $task of job $array: killed$victim, requeued"

for ((i = 0; i < 800; i++)); do
    state=$(squeue -h -j "$merge" -t all -o %T 2>/dev/null)
    if [ "$(squeue -h -j "${array}_$task" -o %r 2>/dev/null)" = BeginTime ]; then # Slurm would wait two minutes
        scontrol update JobId="${array}_$task" StartTime=now 2>>update.err
    fi
    case $state in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) break ;; esac
    sleep 0.3
done
[ "$state" = COMPLETED ] || die "the merge job: $state; $(squeue -h -t all -o '%i %T %r' | tr '\n' ' ')"
restarts=$(scontrol show job "${array}_$task" | grep -o 'Restarts=[0-9]*')
[ "$restarts" = Restarts=1 ] || die "the killed task was not requeued: $restarts"
nodes=$(for k in 1 2 3 4 5 6 7 8; do scontrol show job "${array}_$k" | grep -o ' NodeList=[^ ]*'; done | sort -u | wc -l)
[ "$nodes" -eq 2 ] || die "the array ran on $nodes nodes"

for s in one night; do
    sqlite3 $s.db "UPDATE campaign SET command = ''" .dump >$s.sql || die "$s.db is no store"
done
cmp -s one.sql night.sql || die "the merged store is another one: $(diff one.sql night.sql | head -n 5)"
echo "8 shards on 2 nodes, one killed and requeued, merged: equal row for row, $(wc -l <one.sql) lines"
