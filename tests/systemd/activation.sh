# Socket activation: systemd holds the listeners, plain, with TLS, both, and a Unix socket.

part_activation() {
    systemctl is-active --quiet "$unit" || part_service
    plain_socket
    tls_sockets
    low_port
    rm -f $settings
    expect "the settings can be made anew" landline init $settings
    chown root:landline $settings
    chmod 0640 $settings
    rm -rf /etc/landline/tls
    expect "it can be installed as before" landline service install
}

# knock NAME URL..: asks again and again until told to stop, and notes who was turned away.
knock() {
    local name=$1
    shift
    rm -f /tmp/knocked
    while [[ ! -e /tmp/knocked ]]; do
        get "$@" >/dev/null 2>>"/tmp/$name" || echo refused >>"/tmp/$name"
        echo asked >>"/tmp/$name.asked"
    done &
    knocker=$!
}

plain_socket() {
    local before
    expect "it can be installed with sockets" landline service install --socket
    must_be ActiveState active landline.socket
    must_be ActiveState active
    eventually "its journal says so" says "listening on 1 sockets handed over" journal
    expect "it answers" get http://127.0.0.1:8000/healthz
    # Nobody is turned away while the server starts anew.
    before=$(property MainPID)
    knock knocks http://127.0.0.1:8000/healthz
    eventually "somebody asks" test -s /tmp/knocks.asked
    expect "it can be restarted" systemctl restart "$unit"
    expect "and again" systemctl restart "$unit"
    touch /tmp/knocked
    wait "$knocker"
    [[ ! -s /tmp/knocks ]] || fail "while it was restarted: $(sort /tmp/knocks | uniq -c)"
    note "a restart behind a socket: none of $(wc -l </tmp/knocks.asked) requests was turned away"
    [[ $(property MainPID) != "$before" ]] || fail "it was not restarted"
    # The first who knocks starts it.
    expect "it can be stopped" systemctl stop "$unit"
    must_be ActiveState inactive
    expect "it is started by the first who comes" get http://127.0.0.1:8000/healthz
    must_be ActiveState active
}

tls_sockets() {
    local directory=/etc/landline/tls port socket=/run/landline/landline.sock
    expect "certificates can be made" landline tls init --lan "$directory"
    chown -R root:landline "$directory"
    chmod -R g+rX "$directory"
    setting "ssl_certfile = [\"$directory/server.pem\"]"
    setting "ssl_keyfile = [\"$directory/server.key\"]"
    setting 'ssl_port = 8443'
    setting 'port = 8000'
    setting 'host = ["127.0.0.1", "::1"]'
    setting "uds = \"$socket\""
    expect "it can be installed with them" landline service install --socket
    [[ $(grep -c '^ListenStream=' /etc/systemd/system/landline.socket) == 5 ]] ||
        fail "the sockets are not those of the settings: $(</etc/systemd/system/landline.socket)"
    eventually "its journal says so" says "listening on 5 sockets handed over" journal
    expect "plain" get http://127.0.0.1:8000/healthz "http://[::1]:8000/healthz"
    expect "TLS" get --cacert "$directory/ca.pem" https://localhost:8443/healthz
    expect "TLS on IPv6" get --cacert "$directory/ca.pem" --resolve 'localhost:8443:[::1]' \
        https://localhost:8443/healthz
    expect "a Unix socket" get --unix-socket "$socket" http://localhost/healthz
    refused "plain where TLS is" get http://127.0.0.1:8443/healthz
    refused "TLS where plain is" get --cacert "$directory/ca.pem" https://localhost:8000/healthz
    # Everybody is told when it stops.
    visitors plain 5 127.0.0.1 8000
    local plain=$visitor
    visitors secure 5 127.0.0.1 8443 "$directory/ca.pem"
    local secure=$visitor
    visitors unix 5 "$socket"
    expect "it can be restarted" systemctl restart "$unit"
    wait "$plain" "$secure" "$visitor" || fail "the visitors: $(cat /tmp/{plain,secure,unix})"
    for port in plain secure unix; do
        grep -qx '1001 x 5' "/tmp/$port" || fail "the visitors of $port: $(<"/tmp/$port")"
    done
    # Without a port of its own, every socket speaks TLS.
    sed -i -e '/^ssl_port/d' -e '/^uds/d' $settings
    setting 'port = 8443'
    setting 'host = ["127.0.0.1"]'
    expect "it can be installed with TLS alone" landline service install --socket
    expect "TLS alone" get --cacert "$directory/ca.pem" https://localhost:8443/healthz
    refused "plain there" get http://127.0.0.1:8443/healthz
}

# A port below 1024: with a socket of systemd, and without one by a capability.
low_port() {
    sed -i '/^ssl_/d' $settings
    setting 'port = 80'
    expect "it can be installed for port 80" landline service install --socket
    [[ $(sed -n 's/^CapEff:\s*//p' "/proc/$(property MainPID)/status") == 0000000000000000 ]] ||
        fail "it has capabilities"
    expect "it answers on port 80" get http://127.0.0.1/healthz
    expect "it can be installed for port 80 without sockets" landline service install
    [[ ! -e /etc/systemd/system/landline.socket ]] || fail "the sockets are still there"
    must_be ActiveState inactive landline.socket
    [[ $(sed -n 's/^CapEff:\s*//p' "/proc/$(property MainPID)/status") == 0000000000000400 ]] ||
        fail "it has other capabilities than that for low ports"
    expect "it answers on port 80" get http://127.0.0.1/healthz
}
