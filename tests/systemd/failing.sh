# What happens when it cannot start, is killed, or hangs.

part_failing() {
    systemctl is-active --quiet "$unit" || part_service
    cannot_start
    is_killed
    hangs
}

# Wrong settings are no reason to try again and again: the start is refused once, with the reason.
cannot_start() {
    local line
    setting 'port = "many"'
    line=$(grep -n '^port' $settings | cut -d: -f1)
    systemctl stop "$unit"
    refused "it starts with wrong settings" systemctl start "$unit"
    must_be ActiveState failed
    must_be NRestarts 0
    must_be Result exit-code
    eventually "its journal says so" says "$settings line $line: port is a whole number" journal
    refused "status is good" landline service status
    cat "$said"
    grep -q 'journalctl --unit landline.service' "$said" || fail "status does not say where to look"
    setting 'port = 8000'
    expect "it can be started again" systemctl start "$unit"
    # Its port is taken: that may pass, so it is tried again.
    systemctl stop "$unit"
    python3 -m http.server --bind 127.0.0.1 8000 >/dev/null 2>&1 &
    local other=$!
    eventually "the port is taken" get http://127.0.0.1:8000/
    systemctl start "$unit" >"$said" 2>&1 || true
    eventually "its journal says so" says "127.0.0.1:8000" journal
    # Beyond what systemd itself would try.
    has_tried() { (($(property NRestarts) >= 6)); }
    eventually "it is tried again and again" has_tried
    kill "$other"
    wait "$other" || true
    eventually "it has started as soon as it could" is SubState running
}

is_killed() {
    local before
    before=$(property MainPID)
    kill -KILL "$before"
    runs_again_after "$before"
}

# runs_again_after PROCESS
runs_again_after() {
    is_another() { [[ $(property MainPID) != 0 && $(property MainPID) != "$1" ]]; }
    eventually "it has been started again" is_another "$1"
    eventually "it runs" is SubState running
    expect "it answers" get http://127.0.0.1:8000/healthz
}

# A server that does not say that it is well for long enough is started anew.
hangs() {
    local first before
    drop_in watchdog WatchdogSec=1 TimeoutAbortSec=1
    expect "it can be started" systemctl restart "$unit"
    first=$(property WatchdogTimestampMonotonic)
    is_heard_again() { (($(property WatchdogTimestampMonotonic) > first)); }
    eventually "it says that it is well" is_heard_again
    must_be NRestarts 0
    before=$(property MainPID)
    kill -STOP "$before"
    runs_again_after "$before"
    eventually "it was the watchdog" says "Watchdog timeout" journalctl --no-pager --unit "$unit"
    no_drop_ins
    expect "it can be started" systemctl restart "$unit"
}
