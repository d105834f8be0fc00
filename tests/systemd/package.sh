# The Debian package where systemd runs: from its installation to its purge.

part_package() {
    if [[ -e $settings ]]; then fail "there is a landline already"; fi
    # Where it was before the last part.
    hash -r
    package_installs
    package_upgrades
    package_goes
}

package_installs() {
    echo 65530 >/proc/sys/vm/max_map_count
    expect "it can be installed" dpkg --install /opt/things/landline.deb
    cat "$said"
    must_be ActiveState inactive
    must_be UnitFileState disabled
    [[ $(</proc/sys/vm/max_map_count) == 262144 ]] || fail "the kernel's limit was not raised"
    refused "it can be installed twice" landline service install
    grep -q "a package has installed the service" "$said" || fail "it does not say why"
    expect "it can be enabled" systemctl enable --now landline
    must_be UnitFileState enabled
    must_be ActiveState active
    expect "it answers" get http://127.0.0.1:8000/healthz
    expect "its status is good" landline service status
}

# An upgrade keeps the settings, tells everybody, and is not there for no longer than a restart.
package_upgrades() {
    local before key
    before=$(property MainPID)
    setting 'ws_max_size = 4711'
    key=$(cksum <$settings)
    visitors visitors 20 127.0.0.1 8000
    expect "it can be upgraded" dpkg --install /opt/things/landline.deb
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 20' /tmp/visitors || fail "the visitors: $(</tmp/visitors)"
    must_be ActiveState active
    must_be UnitFileState enabled
    [[ $(property MainPID) != "$before" ]] || fail "the old program still runs"
    [[ $(cksum <$settings) == "$key" ]] || fail "the upgrade has changed the settings"
    # With a socket of systemd nobody is turned away.
    expect "it can have a socket" systemctl stop landline
    expect "it can have a socket" systemctl enable --now landline.socket
    expect "it can have a socket" systemctl start landline
    rm -f /tmp/upgrade /tmp/upgrade.asked
    knock upgrade http://127.0.0.1:8000/healthz
    eventually "somebody asks" test -s /tmp/upgrade.asked
    expect "it can be upgraded again" dpkg --install /opt/things/landline.deb
    touch /tmp/knocked
    wait "$knocker"
    [[ ! -s /tmp/upgrade ]] || fail "while it was upgraded: $(sort /tmp/upgrade | uniq -c)"
    note "an upgrade behind a socket: none of $(wc -l </tmp/upgrade.asked) requests was turned away"
    # With wrong settings the old one goes on as long as it can, and the reason is told.
    setting 'wrong_key = 1'
    before=$(property MainPID)
    dpkg --install /opt/things/landline.deb >"$said" 2>&1 || fail "the upgrade fails: $(<"$said")"
    grep -q "no setting is called wrong_key" "$said" || fail "it does not say what is wrong: $(<"$said")"
    must_be ActiveState active
    [[ $(property MainPID) == "$before" ]] || fail "a running server was stopped for a new one that cannot start"
    sed -i '/^wrong_key/d' $settings
}

package_goes() {
    visitors visitors 5 127.0.0.1 8000
    expect "it can be removed" dpkg --remove landline
    cat "$said"
    wait "$visitor" || fail "the visitors: $(</tmp/visitors)"
    grep -qx '1001 x 5' /tmp/visitors || fail "the visitors: $(</tmp/visitors)"
    refused "somebody still listens" get http://127.0.0.1:8000/healthz
    [[ -e $settings ]] || fail "the settings are gone without a purge"
    drop_in mine Nice=1
    expect "it can be purged" dpkg --purge landline
    of_landline | grep -v '^/var/lib/dpkg/' >"$said" || true
    [[ ! -s $said ]] || fail "left behind: $(<"$said")"
}
