# What docs/DEPLOY.md says of a host with systemd and is tried nowhere else.

# block NAME: what stands in the block that is marked with this name.
block() {
    awk -v mark="<!-- try: $1 -->" '
        index($0, mark) { found = 1; next }
        found && /^ *```/ { if (inside) exit; inside = 1; next }
        inside { sub(/^  /, ""); print }
    ' "$here/DEPLOY.md"
}

part_document() {
    systemctl is-active --quiet "$unit" || part_service
    settings_are_secret
    doctor_has_the_units_limits
    certificates_are_renewed
    proxies_use_the_socket
}

settings_are_secret() {
    refused "anybody can read the settings" runuser -u nobody -- landline check --config $settings
    grep -q "cannot read the settings file $settings: this user may not" "$said" ||
        fail "it does not say why: $(<"$said")"
    expect "root can check them" landline check --config $settings
    expect "the doctor is content" landline doctor --config $settings
    grep -q "a running Landline listens" "$said" || fail "the doctor: $(<"$said")"
}

# With a view of /proc of its own, as the unit has it, the kernel's own file counts for the maps, and not
# the one that stands for it here.
doctor_has_the_units_limits() {
    local admits holds
    admits=$(journal | sed -n 's/^ *Connections *up to //p')
    block limits | sed 's/ --wait / --wait --property=ProtectProc=invisible /' >/tmp/asked
    bash -c 'sudo() { "$@"; }; source /tmp/asked' >"$said" 2>&1 || fail "the doctor: $(<"$said")"
    holds=$(sed -n 's/^ok *connections *this host holds \([0-9,]*\),.*/\1/p' "$said" | tr -d ,)
    [[ -n $holds && $holds == "$admits" ]] ||
        fail "the doctor says $holds and the service admits $admits"
}

# As certbot would: files that root alone can read, the hook, and the new certificate is shown.
certificates_are_renewed() {
    local hook=/tmp/hook live=/tmp/live first second
    block certbot >$hook
    chmod +x $hook
    renew() {
        rm -rf "$live" /tmp/ca
        landline tls init --lan /tmp/ca >/dev/null
        install -d -m 0700 $live
        install -m 0600 /tmp/ca/server.pem $live/fullchain.pem
        install -m 0600 /tmp/ca/server.key $live/privkey.pem
        RENEWED_LINEAGE=$live $hook
    }
    shown() {
        openssl s_client -connect 127.0.0.1:8443 -servername localhost </dev/null 2>/dev/null |
            openssl x509 -noout -fingerprint
    }
    sed -i '/^\(port\|host\|ssl_\)/d' $settings
    setting 'port = 8443'
    setting 'ssl_certfile = ["/etc/landline/fullchain.pem"]'
    setting 'ssl_keyfile = ["/etc/landline/privkey.pem"]'
    # The first time there is nothing yet that could be reloaded.
    renew >/dev/null 2>&1 || true
    expect "it can be started with them" systemctl restart "$unit"
    first=$(shown)
    visitors visitors 3 localhost 8443 /tmp/ca/ca.pem
    expect "the hook renews them" renew
    is_another_shown() { second=$(shown) && [[ -n $second && $second != "$first" ]]; }
    eventually "the new one is shown" is_another_shown
    must_be NRestarts 0
    sed -i '/^\(port\|ssl_\)/d' $settings
    expect "it can be restarted" systemctl restart "$unit"
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 3' /tmp/visitors || fail "who was connected did not stay so: $(</tmp/visitors)"
    rm -rf /etc/landline/*.pem $hook $live /tmp/ca
}

# A user in the group may use the socket, and others may not.
proxies_use_the_socket() {
    local socket=/run/landline/landline.sock
    block socket >>$settings
    expect "it can be started on a socket" systemctl restart "$unit"
    useradd --system --user-group proxy-in-group
    usermod --append --groups landline proxy-in-group
    expect "a proxy can use it" runuser -u proxy-in-group -- \
        curl --silent --fail --max-time 20 --unix-socket $socket http://live.example.com/healthz
    refused "anybody can use it" runuser -u nobody -- \
        curl --silent --fail --max-time 20 --unix-socket $socket http://live.example.com/healthz
    userdel proxy-in-group
    sed -i '/^\(uds\|allowed_host\|proxy_headers\|forwarded_allow_ips\)/d' $settings
    expect "it can be started" systemctl restart "$unit"
}
