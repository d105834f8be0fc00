# A stop closes every WebSocket in its time, and the manager waits for it.

part_stopping() {
    systemctl is-active --quiet "$unit" || part_service
    setting 'drain_time = 2'
    expect "it takes that over" systemctl reload "$unit"
    eventually "it says so" says "changed drain_time" property StatusText
    visitors visitors 50 127.0.0.1 8000
    expect "it can be stopped" systemctl stop "$unit"
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 50' /tmp/visitors || fail "the visitors: $(</tmp/visitors)"
    must_be Result success
    must_be ExecMainStatus 0
    # A drain that takes longer than the unit knows: the server asks for the time.
    drop_in patience TimeoutStopSec=1
    setting 'drain_time = 4'
    expect "it can be started" systemctl start "$unit"
    visitors visitors 50 127.0.0.1 8000
    expect "it can be stopped" systemctl stop "$unit"
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 50' /tmp/visitors || fail "the visitors: $(</tmp/visitors)"
    must_be Result success
    must_be ExecMainStatus 0
    no_drop_ins
    setting 'drain_time = 0'
    expect "it can be started" systemctl start "$unit"
}
