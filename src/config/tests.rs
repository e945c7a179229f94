use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    let environment = |name: &str| match name {
        "DATABASE_URL" => Some("postgresql+psycopg://app:hunter2@db/exam".to_owned()),
        "EMPTY" => Some(String::new()),
        "TRICKY" => Some("a$$${HOME}".to_owned()),
        _ => None,
    };
    Config::parse(text, &environment, Path::new("/srv/app"))
}

/// The one database of a configuration that says `lines` about it.
fn database(lines: &str) -> DatabaseConfig {
    parse(&format!("[database.exam]\n{lines}")).unwrap().databases.into_values().next().unwrap()
}

fn check_error(text: &str, expected: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert_eq!(error, expected);
    assert!(!error.contains("hunter2"));
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::without_file(Path::new("/srv/app")));
    assert_eq!(parse("").unwrap().repository, Path::new("/srv/app/backups"));
    let expected = DatabaseConfig::unconfigured(Some(DatabaseUrl::Sqlite("/srv/app/a.db".into())), Tz::UTC);
    assert_eq!(database("url = 'a.db'"), expected);
}

#[test]
fn everything_said_is_taken() {
    let config = parse(
        r#"
        repository = "/var/${EMPTY}backups"
        temp_dir = "tmp"
        time_zone = "Europe/Berlin"
        jobs = 3
        [database.exam]
        url = "${DATABASE_URL}"
        files = ["data/workflows.json", "/etc/a.json"]
        compression = "zstd:9"
        check = "quick"
        absent_ok = true
        protected = true
        [database.exam.retention]
        keep_last = 7
        keep_daily = 0x0e
        [database."a/b"]
        files = ["x"]
        "#,
    )
    .unwrap();
    assert_eq!(config.repository, Path::new("/var/backups"));
    assert_eq!(config.temp_dir.as_deref(), Some(Path::new("/srv/app/tmp")));
    assert_eq!((config.time_zone, config.jobs), (Tz::Europe__Berlin, NonZeroUsize::new(3)));
    let names: Vec<&str> = config.databases.keys().map(DatabaseName::as_str).collect();
    assert_eq!(names, ["a=2Fb", "exam"]);
    let exam = &config.databases[&"exam".parse().unwrap()];
    assert_eq!(exam.url.as_ref().unwrap().to_string(), "postgresql://app@db/exam");
    assert_eq!(exam.files, [Path::new("/srv/app/data/workflows.json"), Path::new("/etc/a.json")]);
    assert_eq!((exam.compression, exam.check), (Compression::Zstd(9), CheckDepth::Quick));
    assert!(exam.absent_ok && exam.protected);
    assert_eq!((exam.retention.keep_last, exam.retention.keep_daily, exam.retention.keep_weekly), (7, 14, 0));
    assert_eq!(exam.retention.time_zone, Tz::Europe__Berlin);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn variables_are_replaced_once() {
    assert_eq!(database("files = ['${TRICKY}']").files, [Path::new("/srv/app/a$$${HOME}")]);
    assert_eq!(database("files = ['$$${TRICKY}$5$']").files, [Path::new("/srv/app/$a$$${HOME}$5$")]);
    assert_eq!(database("files = ['$${DATABASE_URL}']").files, [Path::new("/srv/app/${DATABASE_URL}")]);
}

#[test]
fn missing_variables_are_named() {
    check_error(
        "\n[database.exam]\nurl = '${NOT_SET}'",
        "line 3: database.exam.url: the environment variable NOT_SET is not set",
    );
    for text in ["${", "${A", "${}", "${A B}"] {
        let text = format!("repository = '{text}'");
        check_error(&text, "line 1: repository: a ${ is no ${NAME}; write $${ for the characters");
    }
    check_error("repository = '${EMPTY}'", "line 1: repository: is empty");
}

#[test]
fn unknown_keys_have_a_neighbour() {
    check_error("repositry = 'x'", "line 1: unknown key repositry; did you mean repository?");
    check_error("databases = 1", "line 1: unknown key databases; did you mean database?");
    check_error("[database.exam]\n\nfile = []", "line 3: unknown key database.exam.file; did you mean files?");
    check_error(
        "[database.exam.retention]\nkeep_dayly = 1",
        "line 2: unknown key database.exam.retention.keep_dayly; did you mean keep_daily?",
    );
    check_error(
        "colour = 'x'",
        "line 1: unknown key colour; the keys here are repository, temp_dir, time_zone, jobs, database",
    );
}

#[test]
fn planned_keys_are_told_apart() {
    check_error(
        "[database.exam]\nurl = 'a.db'\nmigrations = 'm'",
        "line 3: database.exam.migrations is not supported by this version",
    );
    check_error("[database.exam.flags]\na = 1", "line 1: database.exam.flags is not supported by this version");
    check_error(
        "repository = 's3://bucket/x'",
        "line 1: repository: a repository at s3:// is not supported by this version",
    );
}

#[test]
fn values_have_their_types() {
    check_error("jobs = '3'", "line 1: jobs: expected a whole number, found string");
    check_error("jobs = 0", "line 1: jobs: expected a whole number from 1");
    check_error("jobs = -1", "line 1: jobs: expected a whole number from 0 to 4294967295");
    check_error("time_zone = 'Mars'", "line 1: time_zone: no such time zone; write it like Europe/Berlin");
    check_error("repository = 'ftp://x'", "line 1: repository: expected a folder");
    check_error("repository = 1", "line 1: repository: expected a string, found integer");
    check_error("database = 1", "line 1: database: expected a table, found integer");
    check_error("[database]\nexam = 'a.db'", "line 2: database.exam: expected a table, found string");
    check_error("[database.exam]", "line 1: database.exam: names neither url nor files");
    check_error(
        "[database.exam]\nfiles = 'x'",
        "line 2: database.exam.files: expected an array of strings, found string",
    );
    check_error("[database.exam]\nfiles = [1]", "line 2: database.exam.files: expected strings in the array");
    check_error("[database.exam]\ncheck = 'deep'", "line 2: database.exam.check: expected full, quick or none");
    check_error(
        "[database.exam]\nprotected = 1",
        "line 2: database.exam.protected: expected true or false, found integer",
    );
    check_error(
        "[database.exam]\nurl = ':memory:'",
        "line 2: database.exam.url: not a database URL: it names no file; a database in memory can't be backed up",
    );
    check_error(
        "[database.exam]\ncompression = 'lz4'",
        "line 2: database.exam.compression: unknown compression \"lz4\": \
         use zstd, zstd:1 to zstd:19, gzip, gzip:1 to gzip:9",
    );
}

#[test]
fn broken_toml_is_placed() {
    let error = parse("repository = 'x'\njobs = = 1").unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { line: 2, column: 8, .. }), "{error:?}");
    let error = parse("[database.exam]\nurl = 'postgres://app:hunter2@db/x").unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { line: 2, .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
    assert!(matches!(parse("jobs = 1\njobs = 2"), Err(ConfigError::Syntax { line: 2, .. })));
}
