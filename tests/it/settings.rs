//! Settings of the binary: four layers, a strict file, `init`, `check`, `config`, and what is refused
//! where strangers could come in.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use rustix::process::Signal;

use crate::program::{Directory, Ended, Program, landline, run};

/// A settings file in a directory of its own.
fn file(text: &str) -> (Directory, String) {
    let directory = Directory::with("landline.toml", text);
    let path = format!("{}/landline.toml", directory.text());
    (directory, path)
}

/// Runs the binary with variables to its end.
fn run_with(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = landline(args);
    command.envs(variables.iter().copied());
    Program::spawn(command).end()
}

/// The settings in force, by key.
fn in_force(args: &[&str], variables: &[(&str, &str)]) -> Value {
    let ended = run_with(&[&["config", "--json"], args].concat(), variables);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    document["settings"].clone()
}

fn keys() -> Vec<String> {
    in_force(&[], &[]).as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn each_layer_goes_before_the_next() {
    let flag = |key: &str| format!("--{}", key.replace('_', "-"));
    let variable = |key: &str| format!("LANDLINE_{}", key.to_ascii_uppercase());
    // Key, default, then the value and its text for the file, the variable and the flag.
    for (key, default, in_file, in_variable, in_flag) in [
        ("port", json!(8000), (json!(1), "1"), (json!(2), "2"), (json!(3), "3")),
        ("timeout_send", json!(10), (json!(0.5), "0.5"), (json!(1), "1"), (json!(1.5), "1.5")),
        (
            "ws_per_message_deflate",
            json!(true),
            (json!(false), "false"),
            (json!(true), "true"),
            (json!(false), "false"),
        ),
        (
            "log_level",
            json!("info"),
            (json!("error"), "\"error\""),
            (json!("debug"), "debug"),
            (json!("off"), "off"),
        ),
        (
            "origin",
            Value::Null,
            (json!(["a.example", "b.example"]), "[\"a.example\", \"b.example\"]"),
            (json!(["c.example", "d.example"]), "c.example,d.example"),
            (json!(["e.example"]), "e.example"),
        ),
    ] {
        let (_directory, path) = file(&format!("\n\n{key} = {}\n", in_file.1));
        let (flag, variable) = (flag(key), variable(key));
        let with_file = ["--config", &path];
        let with_flag = ["--config", &path, &flag, in_flag.1];
        let variables = [(&*variable, in_variable.1)];
        for (args, variables, value, source, place) in [
            (&[][..], &[][..], default, "default", "the default"),
            (&with_file, &[], in_file.0, "file", &format!("{path} line 3")),
            (&with_file, &variables, in_variable.0, "variable", &variable),
            (&with_flag, &variables, in_flag.0, "flag", &flag),
        ] {
            let entry = &in_force(args, variables)[key];
            assert_eq!(entry["value"], value, "{key} from {source}");
            assert_eq!((&entry["source"], &entry["where"]), (&json!(source), &json!(place)));
        }
    }
}

#[test]
fn a_flag_that_stands_alone_can_be_taken_back() {
    let (_directory, path) = file("no_access_log = true\n");
    let value = |args: &[&str]| in_force(args, &[])["no_access_log"]["value"].clone();
    assert_eq!(value(&["--config", &path]), json!(true));
    assert_eq!(value(&["--config", &path, "--no-access-log=false"]), json!(false));
    assert_eq!(value(&["--no-access-log"]), json!(true));
}

#[test]
fn what_stands_in_the_file_counts() {
    let (_directory, path) = file("port = 0\nws_max_size = 3\nallowed_host = [\"a.example\"]\n");
    let mut command = landline(&[]);
    command.env("LANDLINE_CONFIG", &path);
    let program = Program::listening(command);
    let mut client = program.websocket("/echo");
    client.send_text("abcd");
    assert_eq!(client.expect_close().0, 1009);
    let head = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(program.connect().ask(head).status, 200);
    // The flag that names the file goes before the variable.
    let settings = in_force(&["--config", &path], &[("LANDLINE_CONFIG", "/nowhere.toml")]);
    assert_eq!(settings["ws_max_size"]["value"], 3);
}

#[test]
fn whatever_is_wrong_in_the_file_is_told_with_its_line() {
    for (text, findings) in [
        ("prot = 1", &["line 1: no setting is called prot; did you mean port?"][..]),
        (
            "\n\nws-max-size = 1",
            &["line 3: no setting is called ws-max-size; did you mean ws_max_size?"],
        ),
        ("port = \"80\"", &["line 1: port is a whole number without quotes, as in port = 1000"]),
        (
            "port = 65536",
            &["line 1: wrong value \"65536\" for port: give a number from 0 to 65535"],
        ),
        ("port = 1\nport = 2", &["line 2: port stands here for the second time"]),
        ("host = \"::1\"", &["line 1: host is a list of texts in quotes"]),
        ("timeout_send = -1", &["line 1: wrong value \"-1\" for timeout_send: give seconds"]),
        ("no_access_log = 1", &["line 1: no_access_log is true or false without quotes"]),
        ("[log]\nlevel = \"off\"", &["line 1: a settings file has no sections"]),
        ("port = 1\nhost = [\n", &["this is no TOML: "]),
        (
            "a = 1\nport = 1\nlog_level = \"loud\"\nheld_bytes = 1.5",
            &[
                "line 1: no setting is called a;",
                "line 3: wrong value \"loud\"",
                "line 4: held_bytes is",
            ],
        ),
    ] {
        let (_directory, path) = file(text);
        for args in [&["serve", "--config", &path][..], &["check", "--config", &path]] {
            let ended = run(args);
            assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{args:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), findings.len(), "{}", ended.stderr);
            for (line, finding) in ended.stderr.lines().zip(findings) {
                assert!(line.starts_with(&format!("landline: {path} ")), "{line}");
                assert!(line.contains(finding), "{finding:?}: {line}");
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_code_1() {
    let directory = Directory::with("binary.toml", "");
    fs::write(directory.path.join("binary.toml"), b"port = 1 # \xff").unwrap();
    for (name, why) in [
        ("missing.toml", "there is none; \"landline init"),
        ("binary.toml", "is not UTF-8"),
        ("", "Is a directory"),
    ] {
        let path = format!("{}/{name}", directory.text());
        let ended = run(&["--config", &path]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(&path) && ended.stderr.contains(why), "{}", ended.stderr);
    }
}

/// What never ends, or never begins, must hold up neither a start nor a server that runs.
#[test]
fn no_file_is_waited_for_and_none_fills_the_memory() {
    let directory = Directory::with("landline.toml", "");
    let path = directory.path.join("landline.toml");
    let program = Program::serve(&["--config", path.to_str().unwrap()]);
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    program.signal(Signal::HUP);
    program.logged("it is a pipe");
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(20 << 20).unwrap();
    program.signal(Signal::HUP);
    program.logged("it is longer than 16 MiB");
    program.connect().get("/");
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, Some(0));

    let pipe = format!("{}/pipe", directory.text());
    rustix::fs::mkfifoat(rustix::fs::CWD, &*pipe, 0o600.into()).unwrap();
    for flag in ["--auth-basic-file", "--auth-jwt-key", "--auth-jwt-jwks", "--ssl-keyfile"] {
        let mut args = vec!["check", flag, &pipe];
        if flag == "--ssl-keyfile" {
            args.extend(["--ssl-certfile", &pipe]);
        }
        let ended = run(&args);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("it is a pipe"), "{flag}: {}", ended.stderr);
    }
}

#[test]
fn a_value_that_only_the_library_can_judge_has_its_place_too() {
    let key = "short-secret";
    let (_directory, path) = file(&format!("port = 0\npublish_key = \"{key}\"\n"));
    let ended = run(&["check", "--config", &path]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("; set by {path} line 2")), "{}", ended.stderr);
    assert!(!ended.stderr.contains(key), "{}", ended.stderr);
    let ended = run_with(&["check"], &[("LANDLINE_ORIGIN", "ftp://a")]);
    assert!(ended.stderr.contains("; set by LANDLINE_ORIGIN"), "{}", ended.stderr);
}

#[test]
fn from_init_over_check_and_config_to_a_server() {
    let directory = Directory::new();
    let path = format!("{}/landline.toml", directory.text());
    let ended = run(&["init", &path]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(&format!("landline check --config {path}")));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("publish_key = \"")).unwrap();
    let key = key.trim_end_matches('"');

    let ended = run(&["check", "--config", &path]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{}", ended.stdout);
    for args in [&["config", "--config", &path][..], &["config", "--json", "--config", &path]] {
        let ended = run(args);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("(set)") && !ended.stdout.contains(key), "{}", ended.stdout);
    }
    let program = Program::serve(&["--config", &path]);
    let send = "GET /send/?message=x HTTP/1.1\r\nHost: localhost\r\n";
    assert_eq!(program.connect().ask(format!("{send}\r\n")).status, 401);
    assert_eq!(program.connect().ask(format!("{send}X-API-Key: {key}\r\n\r\n")).status, 200);

    let again = run(&["init", &path]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is there already and stays as it is"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let other = format!("{}/other.toml", directory.text());
    let ended = run(&["init", "--quiet", &other]);
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
    assert_ne!(fs::read_to_string(&other).unwrap(), text, "secrets are fresh each time");
}

#[test]
fn every_example_that_init_writes_can_be_taken_as_it_is() {
    let directory = Directory::new();
    let path = format!("{}/landline.toml", directory.text());
    run(&["init", &path]);
    let text = fs::read_to_string(&path).unwrap();
    let is_example = |line: &str| {
        let key =
            line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        key.is_some_and(|key| keys().iter().any(|known| known == key))
    };
    let mut count = 0;
    let all: Vec<&str> = text
        .lines()
        .map(|line| {
            let is_example = is_example(line);
            count += usize::from(is_example);
            if is_example { &line[2..] } else { line }
        })
        .collect();
    assert!(count > 15, "{count}");
    fs::write(&path, all.join("\n")).unwrap();
    let settings = in_force(&["--config", &path], &[]);
    let from_file = settings.as_object().unwrap().values().filter(|it| it["source"] == "file");
    assert_eq!(from_file.count(), keys().len(), "every key stands in the file");
}

#[test]
fn every_setting_has_its_flag_variable_key_and_a_line_in_the_readme() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let named = |text: &str, word: &str| {
        text.split(|char: char| !(char.is_ascii_alphanumeric() || "-_".contains(char)))
            .any(|found| found == word)
    };
    let help = run(&["--help"]).stdout;
    for key in keys() {
        let flag = format!("--{}", key.replace('_', "-"));
        let variable = format!("LANDLINE_{}", key.to_ascii_uppercase());
        assert!(named(&help, &flag), "{flag} is not in the help");
        assert!(named(&help, &variable), "{variable} is not in the help");
        assert!(named(&readme, &key), "{key} is not in the README's list of settings");
    }
}

#[test]
fn an_empty_variable_is_not_set_unless_it_is_a_secret() {
    let (_directory, path) = file("port = 7\norigin = [\"a.example\"]\n");
    let variables = [
        ("LANDLINE_CONFIG", &*path),
        ("LANDLINE_PORT", ""),
        ("LANDLINE_ORIGIN", ""),
        ("LANDLINE_WS_PING_INTERVAL", ""),
    ];
    let settings = in_force(&[], &variables);
    assert_eq!(
        (&settings["port"]["value"], &settings["port"]["source"]),
        (&json!(7), &json!("file"))
    );
    assert_eq!(settings["origin"]["source"], "file");
    assert_eq!(settings["ws_ping_interval"]["source"], "default");
    assert_eq!(run_with(&["check"], &[("LANDLINE_CONFIG", "")]).code, Some(0));
    let ended = run_with(&["check"], &[("LANDLINE_PUBLISH_KEY", "")]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn check_reads_what_the_settings_name_and_binds_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_eq!(run(&["check", "--port", &port]).code, Some(0));
    let (directory, path) = file("templates = \"pages\"\n");
    let missing = run(&["check", "--config", &path]);
    assert_eq!(missing.code, Some(1));
    let place = format!("{}/pages", directory.text());
    assert!(missing.stderr.contains(&place), "a path counts from the file: {}", missing.stderr);
    fs::create_dir(&place).unwrap();
    fs::write(format!("{place}/index.html"), "{% if %}").unwrap();
    let broken = run(&["check", "--config", &path]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains("index.html line 1"), "{}", broken.stderr);
    fs::remove_file(format!("{place}/index.html")).unwrap();
    assert_eq!(run(&["check", "--config", &path]).code, Some(0));
    // A wrong variable is code 2 at the start, where it is told from wrong settings.
    let variables = [("LANDLINE_PORT", "x")];
    assert_eq!(run_with(&["check"], &variables).code, Some(1));
    assert_eq!(run_with(&["serve"], &variables).code, Some(2));
}

#[test]
fn what_is_no_mistake_and_yet_not_right_is_said() {
    let (_directory, path) = file("publish_key = \"0123456789abcdef\"\nport = 0\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = run_with(&["check", "--config", &path], &[("LANDLINE_PROT", "1")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("every user of this machine can read publish_key"));
    assert!(ended.stdout.contains("LANDLINE_PROT is no setting; did you mean LANDLINE_PORT?"));
    let program = Program::serve(&["--config", &path]);
    program.logged("WARN  every user of this machine can read publish_key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let kubernetes =
        [("LANDLINE_PORT_80_TCP", "tcp://10.0.0.1:80"), ("LANDLINE_SERVICE_HOST", "x")];
    let ended = run_with(&["check", "--config", &path], &kubernetes);
    assert!(!ended.stdout.contains("warning"), "{}", ended.stdout);
}

#[test]
fn a_door_that_strangers_would_find_open_is_refused() {
    let any = ["--port", "0", "--origin", "any"];
    for public in [&["--host", "0.0.0.0"][..], &["--host", "::"], &["--allowed-host", "a.example"]]
    {
        for command in ["serve", "check"] {
            let ended = run(&[&[command], &any[..], public].concat());
            assert_eq!(ended.code, Some(1), "{public:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("say --insecure-any-origin"), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    let local = Program::serve(&any[2..]);
    assert_eq!(local.connect().get("/").status, 200);
    let aloud = ["--insecure-any-origin", "--host", "0.0.0.0"];
    let meant = Program::serve(&[&any[2..], &aloud].concat());
    assert_eq!(meant.connect().get("/").status, 200);
}

#[test]
fn publishing_without_a_key_is_open_to_others_only_if_it_is_said_aloud() {
    let send = "GET /send/?message=x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let public = ["--host", "0.0.0.0"];
    let proxied = ["--allowed-host", "a.example"];
    for others in [&public, &proxied] {
        let closed = Program::serve(others);
        assert_eq!(closed.connect().ask(send).status, 403, "{others:?}");
        let aloud = ["--insecure-publish-without-key"];
        let open = Program::serve(&[&others[..], &aloud].concat());
        assert_eq!(open.connect().ask(send).status, 200, "{others:?}");
        assert!(open.stdout().contains("OPEN TO EVERYBODY"), "{}", open.stdout());
    }
}
