# What `landline service uninstall` leaves: nothing that was not there, but the settings until a purge.

# of_landline: what there is of it, apart from the program of somebody's home and what was tried here.
of_landline() {
    find /etc /usr/local /usr/lib /var/lib /var/cache /run -xdev -name '*landline*' \
        -not -path '/run/systemd/propagate/*' -not -path '/run/log/*' || true
    getent passwd landline || true
    getent group landline || true
    systemctl list-units --all --no-legend --plain 'landline*'
    pgrep --list-name --exact landline || true
}

part_uninstall() {
    systemctl is-active --quiet "$unit" || part_service
    expect "it can be installed with sockets" /home/ann/landline service install --socket
    visitors visitors 5 127.0.0.1 8000
    expect "it can be uninstalled" landline service uninstall
    cat "$said"
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 5' /tmp/visitors || fail "the visitors: $(</tmp/visitors)"
    refused "somebody still listens" get http://127.0.0.1:8000/healthz
    [[ -e $settings ]] || fail "the settings are gone without a purge"
    drop_in mine Nice=1
    expect "it can be purged" /home/ann/landline service uninstall --purge
    of_landline >"$said"
    [[ ! -s $said ]] || fail "left behind: $(<"$said")"
}
