//! The ready binary with certificates that it has made itself.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::certificates::Directory;
use super::client::{connect_to, echoes, try_get};
use crate::harness::eventually;
use crate::program::{Program, landline, run};

/// A directory with what `landline tls init` makes.
fn made() -> (Directory, String) {
    let directory = Directory::new();
    let path = directory.file("tls").to_str().unwrap().to_owned();
    let ended = run(&["tls", "init", "--lan", "--name", "chat.example", &path]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("--ssl-certfile"), "{}", ended.stdout);
    (directory, path)
}

fn trusting(authority: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn without_a_directory_the_files_go_where_the_readme_looks_for_them() {
    let directory = Directory::new();
    let program = env!("CARGO_BIN_EXE_landline");
    let (words, place) = (["tls", "init", "--lan"], directory.file("."));
    let status = Command::new(program).args(words).current_dir(place).output().unwrap().status;
    assert!(status.success());
    for name in ["ca.pem", "server.pem", "server.key"] {
        assert!(directory.file("tls").join(name).exists(), "{name}");
    }
}

/// Asks the last address that the banner names with https.
fn ask(program: &Program, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<String> {
    try_get(&mut connect(program, config, name), "/echo?message=here")
}

fn connect(program: &Program, config: &Arc<ClientConfig>, name: &str) -> super::client::Encrypted {
    let stdout = program.stdout();
    let url = stdout.split("https://").nth(1).expect("a URL with TLS");
    let address = url.split('/').next().unwrap().parse().unwrap();
    connect_to(address, config, name)
}

fn flags(path: &str) -> Vec<String> {
    let file = |name| format!("{path}/{name}");
    let mut flags = vec!["serve".into(), "--port".into(), "0".into()];
    flags.extend(["--ssl-certfile".into(), file("server.pem")]);
    flags.extend(["--ssl-keyfile".into(), file("server.key")]);
    flags
}

fn serve(flags: &[String]) -> Program {
    Program::listening(landline(&flags.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn an_intranet_gets_a_server_with_tls_by_two_commands() {
    let (_directory, path) = made();
    let config = trusting(&format!("{path}/ca.pem"));
    let program = serve(&flags(&path));
    // The host rule of loopback wants a name of loopback in the request; any may be asked for.
    for name in ["localhost", "127.0.0.1", "chat.example"] {
        let answer = ask(&program, &config, name).expect("the client trusts it");
        assert!(answer.ends_with("here"), "{answer}");
    }
    assert!(ask(&program, &config, "other.example").is_err());
    let stream = connect(&program, &config, "localhost");
    let (mut client, _) = tungstenite::client("wss://localhost/echo", stream).unwrap();
    echoes(&mut client, "hello");
}

#[test]
fn keys_are_private_and_nothing_is_overwritten() {
    let (_directory, path) = made();
    for (file, mode) in
        [("ca.key", 0o600), ("server.key", 0o600), ("ca.pem", 0o644), ("server.pem", 0o644)]
    {
        let found = std::fs::metadata(format!("{path}/{file}")).unwrap().permissions().mode();
        // The tests' mask may take more.
        assert_eq!(found & 0o777 & !mode, 0, "{file}: {found:o}");
    }
    let before = std::fs::read(format!("{path}/server.key")).unwrap();
    let again = run(&["tls", "init", "--lan", &path]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(std::fs::read(format!("{path}/server.key")).unwrap(), before);
    let wrong = run(&["tls", "init", "--name", "https://a", &path]);
    assert!(wrong.stderr.contains("no name or address"), "{}", wrong.stderr);
}

#[test]
fn a_new_certificate_of_the_same_authority_counts_after_sighup() {
    let (_directory, path) = made();
    let config = trusting(&format!("{path}/ca.pem"));
    let program = serve(&flags(&path));
    std::fs::remove_file(format!("{path}/server.pem")).unwrap();
    program.signal(Signal::HUP);
    program.logged("settings refused");
    assert!(ask(&program, &config, "localhost").is_ok(), "the old one stays");
    std::fs::remove_file(format!("{path}/server.key")).unwrap();
    let ended = run(&["tls", "init", "--name", "localhost", "--name", "new.local", &path]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    program.signal(Signal::HUP);
    eventually("the new one counts", || ask(&program, &config, "new.local").is_ok());
    // The authority vouches for intranets alone.
    std::fs::remove_file(format!("{path}/server.key")).unwrap();
    std::fs::remove_file(format!("{path}/server.pem")).unwrap();
    assert_eq!(run(&["tls", "init", "--name", "bank.example", &path]).code, Some(0));
    program.signal(Signal::HUP);
    eventually("it counts, and is not believed", || ask(&program, &config, "new.local").is_err());
    assert!(ask(&program, &config, "bank.example").is_err());
}

/// To begin with TLS, or to end it, is not done while others go on; each key of it is named.
#[test]
fn tls_is_not_turned_on_or_off_by_sighup() {
    let (_made, path) = made();
    let directory = Directory::new();
    let file = directory.file("landline.toml");
    let with =
        format!("ssl_certfile = [\"{path}/server.pem\"]\nssl_keyfile = [\"{path}/server.key\"]\n");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Program::serve(&["--config", file.to_str().unwrap()])
    };
    let told = |program: &Program, text: &str| {
        std::fs::write(&file, text).unwrap();
        program.signal(Signal::HUP);
        program.logged("a restart is needed for ssl_certfile, ssl_keyfile: in force is what was")
    };
    let plain = start("");
    told(&plain, &with);
    assert_eq!(plain.connect().get("/echo?message=here").text(), "here");
    let secure = start(&with);
    let line = told(&secure, "ws_max_size = 5\n");
    assert!(line.contains("changed ws_max_size; a restart"), "{line}");
    assert!(ask(&secure, &trusting(&format!("{path}/ca.pem")), "localhost").is_ok());
}

#[test]
fn plain_and_tls_and_a_unix_socket_at_the_same_time() {
    let (directory, path) = made();
    let socket = directory.file("landline.sock");
    let mut flags = flags(&path);
    flags.extend(["--ssl-port".into(), "0".into(), "--uds".into()]);
    flags.extend([socket.to_str().unwrap().into(), "--uds-mode".into(), "600".into()]);
    let program = serve(&flags);
    let stdout = program.stdout();
    assert!(stdout.contains("http://127.0.0.1:") && stdout.contains("unix:"), "{stdout}");
    assert_eq!(program.connect().get("/echo?message=here").text(), "here");
    assert!(ask(&program, &trusting(&format!("{path}/ca.pem")), "localhost").is_ok());
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, Some(0));
    assert!(!socket.exists());
}

/// Other people's clients, where the host has them.
#[test]
fn curl_and_openssl_are_content() {
    let (_directory, path) = made();
    let program = serve(&flags(&path));
    let stdout = program.stdout();
    let address = stdout.split("https://").nth(1).unwrap().split('/').next().unwrap();
    let authority = format!("{path}/ca.pem");
    for version in ["1.2", "1.3"] {
        let url = format!("https://{address}/echo?message=here");
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--cacert", &authority])
            .args([&format!("--tlsv{version}"), "--tls-max", version, &url])
            .output();
        // A host without it has other tests.
        let Ok(output) = output else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "here", "TLS {version}: {said}");
    }
    let output = Command::new("openssl")
        .args(["s_client", "-connect", address, "-CAfile", &authority, "-verify_return_error"])
        .args(["-alpn", "http/1.1", "-brief"])
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("Verification: OK"), "{said}");
}
