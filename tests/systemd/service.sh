# `landline service`: installed with one command from somebody's home, started, seen.

part_service() {
    local program=/home/ann/landline code=0
    mkdir -p /home/ann
    cp /opt/things/landline "$program"
    "$program" service status >"$said" 2>&1 || code=$?
    ((code == 4)) || fail "status of what is not installed ends with $code"
    expect "it can be installed" "$program" service install
    cat "$said"
    must_be ActiveState active
    must_be SubState running
    must_be UnitFileState enabled
    must_be NRestarts 0
    must_be Type notify
    [[ $(property StatusText) == serving* ]] || fail "it says $(property StatusText)"
    [[ $(stat -c '%a %U %G' $settings) == "640 root landline" ]] ||
        fail "the settings are $(stat -c '%a %U %G' $settings)"
    [[ $(</proc/sys/vm/max_map_count) == 262144 ]] ||
        fail "vm.max_map_count is $(</proc/sys/vm/max_map_count)"
    expect "it answers" get http://127.0.0.1:8000/healthz
    expect "its status is good" /usr/local/bin/landline service status
    cat "$said"
    grep -q 'landline.service: active (running), starts with the host' "$said" ||
        fail "status does not say that it runs"
    eventually "its journal says so" says "a server can start with this" journal
    expect "it can be installed again" "$program" service install
    grep -q "was there and stays as it is" "$said" || fail "the settings were written again"
    must_be ActiveState active
    # As after a start of the host.
    echo 65530 >/proc/sys/vm/max_map_count
    expect "the kernel's limit is set at boot" /lib/systemd/systemd-sysctl
    [[ $(</proc/sys/vm/max_map_count) == 262144 ]] || fail "it is not: $(</proc/sys/vm/max_map_count)"
}
