# The sandbox of the unit, as the kernel has it and as a program in it finds it.

# of_process FILE KEY: a line of the server's files in /proc.
of_process() {
    sed -n "s/^$2[:[:space:]][[:space:]]*//p" "/proc/$(property MainPID)/$1"
}

part_sandbox() {
    systemctl is-active --quiet "$unit" || part_service
    local capabilities files hard
    [[ $(of_process status NoNewPrivs) == 1 ]] || fail "it may gain privileges"
    [[ $(of_process status Seccomp) == 2 ]] || fail "its system calls are not filtered"
    for capabilities in CapInh CapPrm CapEff CapBnd CapAmb; do
        [[ $(of_process status $capabilities) == 0000000000000000 ]] ||
            fail "it has capabilities: $capabilities"
    done
    [[ $(stat -c %U "/proc/$(property MainPID)") == landline ]] || fail "it is not its own user"
    # As many as the unit says, or as many as this machine lets anybody have.
    hard=$(ulimit -Hn)
    [[ $hard != unlimited && $hard -lt 131072 ]] || hard=131072
    [[ $hard == 131072 ]] || note "this machine gives no more than $hard descriptors"
    files=$(of_process limits "Max open files")
    [[ $(awk '{print $1, $2}' <<<"$files") == "$hard $hard" ]] || fail "descriptors: $files"
    tasks_are_limited
    in_the_sandbox
    score
}

tasks_are_limited() {
    local group at
    group=$(property ControlGroup)
    for at in /sys/fs/cgroup/pids /sys/fs/cgroup; do
        if [[ -e $at$group/pids.max ]]; then
            [[ $(<"$at$group/pids.max") == 66000 ]] || fail "threads: $(<"$at$group/pids.max")"
            return
        fi
    done
    note "this machine has no controller for the number of threads"
    must_be TasksMax 66000
}

# The same unit with a program in it that tries what a server that was taken over would. Outside of
# the sandbox, as root, nothing of it is refused.
in_the_sandbox() {
    local probe=/etc/systemd/system/probe.service tried outcome what
    install -D -m 0755 "$here/probe.py" /usr/local/lib/probe.py
    echo hush | tee /home/ann/secret /tmp/of-others >/dev/null
    touch /dev/of-the-machine
    expect "the tries can be made" unshare --mount python3 /usr/local/lib/probe.py
    ! grep -v '^open:' "$said" || fail "what is tried is refused without the sandbox as well"
    tried=$(wc -l <"$said")
    sed -e '/^Exec/d' -e '/^WatchdogSec=/d' -e '/^Restart/d' -e '/^RuntimeDirectory/d' \
        -e 's/^Type=.*/Type=oneshot/' \
        -e 's|^\[Service\]|&\nExecStart=/usr/bin/python3 /usr/local/lib/probe.py|' \
        "/etc/systemd/system/$unit" >"$probe"
    systemctl daemon-reload
    expect "a program can run in the sandbox" systemctl start probe.service
    journalctl --sync
    journalctl --no-pager --output cat --unit probe.service | grep -E '^(open|shut):' >"$said" || true
    while IFS=: read -r outcome what; do
        [[ $outcome == shut ]] || fail "in the sandbox one can $what"
    done <"$said"
    [[ $(wc -l <"$said") == "$tried" ]] || fail "not all was tried: $(<"$said")"
    note "$tried ways out of the sandbox are shut"
    rm "$probe" /home/ann/secret /tmp/of-others
    systemctl daemon-reload
}

score() {
    local score
    score=$(systemd-analyze security --no-pager "$unit" | sed -n 's/.*Overall exposure level for [^:]*: *//p')
    note "systemd-analyze security: $score"
    awk '{exit !($1 <= 1.5)}' <<<"$score" || fail "the unit is more open than it was: $score"
}
