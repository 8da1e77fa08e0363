//! What settings come from, and what they show of secrets.

use super::*;

fn load(flags: Given, file: Option<&str>, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let path = file.map(|text| {
        let name = format!("rotunda-config-{}-{}.toml", std::process::id(), text.len());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let loaded = Config::load(flags, path.clone(), |name| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    if let Some(path) = path {
        fs::remove_file(path).unwrap();
    }
    loaded
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = Some("listen = \"127.0.0.1:3\"\nconnections = 3\nlog = \"json\"\n");
    let env = [
        ("ROTUNDA_LISTEN", "127.0.0.1:2"),
        ("ROTUNDA_CONNECTIONS", "2"),
    ];
    let flags = Given {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
        ..Given::default()
    };
    let config = load(flags, file, &env).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.connections, 2);
    assert_eq!(config.log, LogFormat::Json);
    assert_eq!(config.drain_seconds, 0);
}

#[test]
fn secrets_show_neither_in_debug_output_nor_in_a_message() {
    let env = [("DATABASE_URL", "postgres://u:hunter2@h/d")];
    let config = load(Given::default(), None, &env).unwrap();
    assert!(config.database_url.is_some());
    assert!(!format!("{config:?}").contains("hunter2"));
    let file = Some("log = \"text\"\ndatabase_ur = \"postgres://u:hunter2@h/d\"\n");
    let said = load(Given::default(), file, &[]).unwrap_err().to_string();
    assert!(said.contains("line 2"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn mail_needs_a_server_and_a_sender_wherever_each_is_said() {
    let file = Some("[mail]\nurl = \"smtps://u:hunter2@mail.example\"\n");
    let refused = load(Given::default(), file, &[]).unwrap_err().to_string();
    assert!(refused.contains("ROTUNDA_MAIL_FROM") && !refused.contains("hunter2"));
    let env = [("ROTUNDA_MAIL_FROM", "Mall <a@b.example>")];
    let config = load(Given::default(), file, &env).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.mail.unwrap().from, "Mall <a@b.example>");
    assert!(load(Given::default(), None, &[]).unwrap().mail.is_none());
}

#[test]
fn targets_come_from_the_environment_or_the_file_and_show_no_secret() {
    let file = Some("[targets]\nnorth = \"postgres://u:hunter2@n/d\"\n");
    let config = load(Given::default(), file, &[]).unwrap();
    let names = |config: &Config| -> Vec<String> {
        let names = config.targets.keys();
        names.map(|name| name.as_str().to_owned()).collect()
    };
    assert_eq!(names(&config), ["north"]);
    assert!(!format!("{config:?}").contains("hunter2"));

    let env = [(
        "ROTUNDA_TARGETS",
        "east=postgres://e/d?x=y  south=postgres://s/d",
    )];
    let config = load(Given::default(), file, &env).unwrap();
    assert_eq!(names(&config), ["east", "south"]);

    for (list, why) in [
        ("main=postgres://u:hunter2@m/d", "main"),
        ("Nord=postgres://u:hunter2@m/d", "Nord"),
        ("postgres://u:hunter2@m/d", "name=URL"),
    ] {
        let said = load(Given::default(), None, &[("ROTUNDA_TARGETS", list)]);
        let said = said.unwrap_err().to_string();
        assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn the_example_holds_every_setting() {
    let example = include_str!("../../deploy/config.example.toml");
    let settings = example.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    let settings: Vec<&str> = settings.collect();
    let config = load(Given::default(), Some(&settings.join("\n")), &[]).unwrap();
    assert!(config.database_url.is_some() && config.base_url.is_some());
    assert_eq!(config.targets.len(), 1);
    assert!(config.mail.is_some() && config.secrets_key.is_some() && config.behind_proxy);
    assert_eq!(config.stripe.len(), 1);
    assert!(config.stripe_url.is_some());
    assert!(config.files.bucket.is_some());
}

#[test]
fn files_lie_beside_the_data_or_in_a_bucket_with_everything_that_it_needs() {
    let flags = || Given {
        data_dir: Some(PathBuf::from("/srv/points")),
        ..Given::default()
    };
    let config = load(flags(), None, &[("ROTUNDA_FILES_LARGEST", "7")]).unwrap();
    assert_eq!(config.files.dir, Path::new("/srv/points/files"));
    assert_eq!(config.files.largest, 7);
    let half = [
        ("ROTUNDA_FILES_BUCKET", "papers"),
        ("ROTUNDA_FILES_SECRET_KEY", "hunter2"),
    ];
    let said = load(flags(), None, &half).unwrap_err().to_string();
    assert!(
        said.contains("ROTUNDA_FILES_BUCKET") && !said.contains("hunter2"),
        "{said}"
    );
    let file = "[files]\nregion = \"eu-1\"\naccess_key = \"k\"\n";
    let config = load(flags(), Some(file), &half).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.files.bucket.unwrap().region, "eu-1");
}

#[test]
fn keys_of_stripe_come_from_the_environment_or_the_file_and_show_nowhere() {
    let file = Some(
        "[stripe.starlight]\nsecret_key = \"sk_hunter2\"\nwebhook_secret = \"whsec_hunter2\"\n",
    );
    let malls = |config: &Config| -> Vec<String> {
        let malls = config.stripe.keys();
        malls.map(|slug| slug.as_str().to_owned()).collect()
    };
    let config = load(Given::default(), file, &[]).unwrap();
    assert_eq!(malls(&config), ["starlight"]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let env = [("ROTUNDA_STRIPE", "north=sk_a,whsec_b  south=sk_c,whsec_d")];
    let config = load(Given::default(), file, &env).unwrap();
    assert_eq!(malls(&config), ["north", "south"]);
    for (list, why) in [
        ("north=sk_hunter2", "mall=secret_key,webhook_secret"),
        ("sk_hunter2,whsec_hunter2", "mall=secret_key,webhook_secret"),
        ("North=sk_hunter2,whsec_hunter2", "North"),
    ] {
        let said = load(Given::default(), None, &[("ROTUNDA_STRIPE", list)]);
        let said = said.unwrap_err().to_string();
        assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_bad_value_names_its_variable_and_what_would_do() {
    let said = load(Given::default(), None, &[("ROTUNDA_CONNECTIONS", "0")])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("ROTUNDA_CONNECTIONS") && said.contains("above zero"),
        "{said}"
    );
}
