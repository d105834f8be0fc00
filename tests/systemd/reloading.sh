# `systemctl reload`: right settings are taken over, wrong ones refused with the reason in the journal.

part_reloading() {
    systemctl is-active --quiet "$unit" || part_service
    local before
    before=$(property MainPID)
    setting 'ws_max_size = 4711'
    expect "it can be reloaded" systemctl reload "$unit"
    eventually "it says so" says "changed ws_max_size" property StatusText
    setting 'port = 8001'
    expect "it can be reloaded with what needs a restart" systemctl reload "$unit"
    eventually "it says so" says "a restart is needed for port" property StatusText
    setting 'port = 8000'
    setting 'wrong_key = 1'
    refused "wrong settings can be reloaded" systemctl reload "$unit"
    eventually "its journal says so" says "no setting is called wrong_key" journal
    eventually "its journal says so" says "landline.toml line $(grep -n wrong_key $settings | cut -d: -f1)" journal
    sed -i '/^wrong_key/d' $settings
    # As an editor of root's may leave it.
    chmod 0600 $settings
    refused "settings that it may not read can be reloaded" systemctl reload "$unit"
    eventually "its journal says so" says "chmod 0640 $settings" journal
    chmod 0640 $settings
    [[ $(property MainPID) == "$before" ]] || fail "it is another process now"
    must_be ActiveState active
    expect "it answers" get http://127.0.0.1:8000/healthz
}
